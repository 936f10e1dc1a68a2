package pinterest

import (
	"cmp"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// This file is how an Error is printed: in one line of bounded length, whatever
// a server sent.

const (
	// maxErrorText bounds the text of an Error, in bytes.
	maxErrorText = 2 << 10
	// maxErrorWord bounds what should be one word of it, such as a request id.
	maxErrorWord = 128
	// more stands where text was cut off.
	more = "..."
	// maxErrorFields bounds how many fields are looked at for that text.
	maxErrorFields = 64
)

// Error describes the failure in one line of at most 2 KB: operation, class,
// status and code, message, field problems, what to do and when, attempts and
// request id.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("pinterest: ")
	if e.Operation != "" {
		b.WriteString(shortLine(e.Operation, maxErrorWord) + ": ")
	}
	b.WriteString(e.Class.String())
	if e.Status != 0 {
		b.WriteString(" (" + strconv.Itoa(e.Status))
		if e.Code != 0 {
			b.WriteString("/" + strconv.Itoa(e.Code))
		} else if e.CodeName != "" {
			b.WriteString("/" + shortLine(e.CodeName, maxErrorWord))
		}
		b.WriteByte(')')
	}
	advice := e.advice()
	if parts := e.parts(e.Class.String(), e.CodeName); len(parts) > 0 {
		b.WriteString(": ")
		b.WriteString(shortLine(strings.Join(parts, "; "), maxErrorText-b.Len()-len(advice)))
	}
	b.WriteString(advice)
	return b.String()
}

// parts are the explanations: the message, the fields, the causes. What another
// one, or what was said before, tells already is left out.
func (e *Error) parts(said ...string) []string {
	all := []string{e.Message}
	for _, f := range e.Fields[:min(len(e.Fields), maxErrorFields)] {
		all = append(all, f.Error())
	}
	for _, c := range e.causes {
		all = append(all, causeText(c))
	}
	var parts []string
	for i, part := range all {
		if strings.TrimSpace(part) != "" && !repeats(all, i, said) {
			parts = append(parts, part)
		}
	}
	return parts
}

// repeats reports whether another part says what part i says, or it was said
// before. Of two that are equal, the first one stays.
func repeats(parts []string, i int, said []string) bool {
	for _, s := range said {
		if parts[i] == s {
			return true
		}
	}
	for j, other := range parts {
		if j == i || parts[i] == other && i < j {
			continue
		}
		if containsPhrase(other, parts[i]) {
			return true
		}
	}
	return false
}

// containsPhrase reports whether text contains phrase as whole words.
func containsPhrase(text, phrase string) bool {
	i := strings.Index(text, phrase)
	if i < 0 {
		return false
	}
	before, _ := utf8.DecodeLastRuneInString(text[:i])
	after, _ := utf8.DecodeRuneInString(text[i+len(phrase):])
	isWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	return !isWord(before) && !isWord(after)
}

// causeText returns the text of a cause without the name of this package, which
// the whole error begins with.
func causeText(cause error) string {
	return strings.ReplaceAll(strings.TrimPrefix(cause.Error(), "pinterest: "), " pinterest: ", " ")
}

func (e *Error) advice() string {
	var parts []string
	if e.Disposition != DispositionNone {
		advice, at := e.Disposition.String(), e.RetryAt.UTC().Format(time.RFC3339)
		switch {
		case e.RetryAt.IsZero():
		case e.Disposition != DispositionUncertain:
			advice += " until " + at
		case e.Uncertain != nil: // otherwise nobody can look
			advice += ", look again after " + at
		}
		parts = append(parts, advice)
	}
	if n := len(e.Attempts); n > 1 {
		parts = append(parts, strconv.Itoa(n)+" attempts")
	}
	if e.RequestID != "" {
		parts = append(parts, "request "+shortLine(e.RequestID, maxErrorWord))
	}
	if len(parts) == 0 {
		return ""
	}
	return " [" + strings.Join(parts, "; ") + "]"
}

// GoString keeps %#v from printing more than Error does.
func (e *Error) GoString() string { return "&pinterest.Error{" + strconv.Quote(e.Error()) + "}" }

// LogValue gives structured logs the error's parts instead of one line.
func (e *Error) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("operation", e.Operation),
		slog.Uint64("call", e.Call),
		slog.String("class", e.Class.String()),
		slog.String("disposition", e.Disposition.String()),
		slog.Int("status", e.Status),
		slog.Int("code", e.Code),
		slog.String("message", shortLine(strings.Join(e.parts(), "; "), maxErrorText)),
		slog.Int("attempts", len(e.Attempts)),
		slog.String("request_id", e.RequestID),
	}
	if !e.RetryAt.IsZero() {
		attrs = append(attrs, slog.Time("retry_at", e.RetryAt))
	}
	return slog.GroupValue(attrs...)
}

// message returns the words that explain the failure best, never "": those that
// it has, else the fields, else the first cause, else a code that is a word, else
// the class.
func (e *Error) message() string {
	fields := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = f.Error()
	}
	cause := ""
	if len(e.causes) > 0 {
		cause = causeText(e.causes[0])
	}
	return cmp.Or(words(e.Message), words(strings.Join(fields, "; ")), words(cause), words(e.CodeName), e.Class.String())
}

// words returns text in one line, without spaces around it.
func words(text string) string { return strings.TrimSpace(oneLine(text)) }

// oneLine returns text as valid UTF-8 in one line: what breaks lines becomes a
// space, and what could change how a terminal or a page shows the rest (control
// characters, those that turn the direction of the text) is made visible. Nothing
// is left out, so that nothing is joined that was apart.
func oneLine(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return visible(r) != r }) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		v := visible(r)
		if v == ' ' && r != ' ' && strings.HasSuffix(b.String(), " ") {
			continue // of \r\n and the indentation after it, one space is enough
		}
		b.WriteRune(v)
	}
	return b.String()
}

// visible returns r, or what stands for it in one line.
func visible(r rune) rune {
	switch {
	case r == '\t', r == '\n', r == '\v', r == '\f', r == '\r', r == '\u0085', r == '\u2028', r == '\u2029':
		return ' '
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
		return utf8.RuneError
	}
	return r
}

// shortLine returns text in one line of at most limit bytes.
func shortLine(text string, limit int) string {
	text = oneLine(text)
	if len(text) <= limit {
		return text
	}
	end := max(0, limit-len(more))
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + more
}
