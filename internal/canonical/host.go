package canonical

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// hostPort returns host and port of a URL in canonical form; ok is false if it is
// none.
func hostPort(authority, scheme string) (host, port string, ok bool) {
	host = authority
	// A colon within the brackets belongs to an IPv6 address.
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], strings.TrimLeft(authority[i+1:], "0")
	}
	if strings.Trim(port, "0123456789") != "" {
		return "", "", false
	}
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		port = ""
	}
	host, ok = canonicalHost(host)
	return host, port, ok
}

// canonicalHost returns a host name in lower case and ASCII.
func canonicalHost(host string) (string, bool) {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = strings.ToLower(host)
		return host, len(host) > 2 && strings.Trim(host[1:len(host)-1], "0123456789abcdef:.") == ""
	}
	if !isPlain(host, "") {
		host = unicodeHost(host)
	}
	host = strings.ToLower(host)
	if strings.Trim(host, ".") == "" {
		return "", false
	}
	labels := strings.Split(host, ".")
	for i, label := range labels {
		ascii, ok := asciiLabel(label)
		if !ok {
			return "", false
		}
		labels[i] = ascii
	}
	return strings.Join(labels, "."), true
}

// unicodeHost undoes escapes, and writes letters of other widths and forms, and
// the full stops of other scripts, as the usual ones.
func unicodeHost(host string) string {
	b := make([]byte, 0, len(host))
	for i := 0; i < len(host); i++ {
		c := host[i]
		if c == '%' && i+2 < len(host) && isHex(host[i+1]) && isHex(host[i+2]) {
			c = unhex(host[i+1])<<4 | unhex(host[i+2])
			i += 2
		}
		b = append(b, c)
	}
	if !utf8.Valid(b) {
		return "%" // no host
	}
	host = strings.Map(func(r rune) rune {
		if isDropped(r) && r >= utf8.RuneSelf {
			return -1
		}
		return r
	}, string(b))
	host = norm.NFKC.String(strings.ToLower(norm.NFKC.String(host)))
	return strings.ReplaceAll(host, "。", ".")
}

// maxLabel is the longest label of a host name.
const maxLabel = 63

// asciiLabel returns a label in lower case as ASCII.
func asciiLabel(label string) (string, bool) {
	ascii := true
	for _, r := range label {
		switch {
		case r >= utf8.RuneSelf:
			if isSpace(r) || isDropped(r) {
				return "", false
			}
			ascii = false
		case !isUnreserved(byte(r)):
			return "", false
		}
	}
	if ascii {
		return label, true
	}
	if utf8.RuneCountInString(label) > maxLabel {
		return "", false
	}
	return "xn--" + punycode([]rune(label)), true
}

// The parameters that RFC 3492 gives Punycode for host names.
const (
	punyBase  = 36
	punyTMin  = 1
	punyTMax  = 26
	punySkew  = 38
	punyDamp  = 700
	punyBias  = 72
	punyFirst = 128
)

// punycode encodes a label as RFC 3492 says: its ASCII characters, then for each
// other one, in order of value, how many states a decoder passes before it
// inserts it.
func punycode(label []rune) string {
	var out []byte
	for _, r := range label {
		if r < punyFirst {
			out = append(out, byte(r))
		}
	}
	basic := len(out)
	if basic > 0 {
		out = append(out, '-')
	}
	next, delta, bias := rune(punyFirst), 0, punyBias
	for handled := basic; handled < len(label); {
		least := rune(utf8.MaxRune)
		for _, r := range label {
			if r >= next {
				least = min(least, r)
			}
		}
		delta += int(least-next) * (handled + 1)
		for _, r := range label {
			switch {
			case r < least:
				delta++
			case r == least:
				out = appendPunyInt(out, delta, bias)
				bias = punyAdapt(delta, handled+1, handled == basic)
				delta = 0
				handled++
			}
		}
		delta++
		next = least + 1
	}
	return string(out)
}

// appendPunyInt appends n as digits of variable base, the lowest first.
func appendPunyInt(out []byte, n, bias int) []byte {
	for k := punyBase; ; k += punyBase {
		t := min(max(k-bias, punyTMin), punyTMax)
		if n < t {
			return append(out, punyDigit(n))
		}
		out = append(out, punyDigit(t+(n-t)%(punyBase-t)))
		n = (n - t) / (punyBase - t)
	}
}

func punyDigit(d int) byte {
	if d < 26 {
		return byte('a' + d)
	}
	return byte('0' + d - 26)
}

// punyAdapt returns the bias for the next number.
func punyAdapt(delta, points int, first bool) int {
	if first {
		delta /= punyDamp
	} else {
		delta /= 2
	}
	delta += delta / points
	k := 0
	for delta > (punyBase-punyTMin)*punyTMax/2 {
		delta /= punyBase - punyTMin
		k += punyBase
	}
	return k + (punyBase-punyTMin+1)*delta/(delta+punySkew)
}
