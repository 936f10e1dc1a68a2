package pinterest

import (
	"cmp"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// This file has the cookies that bind a login to a browser.

const (
	cookiePrefix = "pinterest_login_"
	// hostPrefix makes a browser refuse the cookie from anyone but this very host, over
	// https. Without it a page of a sibling subdomain can plant one.
	hostPrefix = "__Host-"
	// maxCookie is how long a cookie may be, with its attributes. Browsers drop
	// longer ones. It also bounds the cookies of all logins of one browser.
	maxCookie = 4096
	// maxLogins is how many logins a browser can have begun at the same time.
	maxLogins = 5
)

// loginState is what the cookie holds.
type loginState struct {
	State    string    `json:"s"`
	Account  string    `json:"a"`
	Verifier string    `json:"v,omitzero"`
	Until    time.Time `json:"u"`
}

// cookie returns the cookie of a login. SameSite is Lax, because the owner comes
// back from Pinterest's site.
func (s *OAuthService) cookie(name, value string, age int) *http.Cookie {
	return &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: age,
		HttpOnly: true, Secure: s.overTLS(), SameSite: http.SameSiteLaxMode,
	}
}

// cookieName returns the name of a login's cookie. Each login has its own, so that
// two tabs of a browser do not disturb each other.
func (s *OAuthService) cookieName(state string) string {
	return s.cookiePrefix() + state[:min(8, len(state))]
}

func (s *OAuthService) cookiePrefix() string {
	if s.overTLS() {
		return hostPrefix + cookiePrefix
	}
	return cookiePrefix
}

func (s *OAuthService) overTLS() bool {
	scheme, _, _ := strings.Cut(s.oauth.RedirectURL, ":")
	return strings.EqualFold(scheme, "https")
}

// aead encrypts the cookies. Its key is derived from the app's secret, so that any
// process of the application can answer a login.
func (s *OAuthService) aead() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(s.oauth.ClientSecret), nil, "pinterest login cookie", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (s *OAuthService) seal(state loginState) (string, error) {
	aead, err := s.aead()
	if err != nil {
		return "", err
	}
	data, err := json.Marshal(state)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, data, nil)), nil
}

// unseal returns the login of a cookie that is not over yet, or nil.
func (s *OAuthService) unseal(aead cipher.AEAD, value string) *loginState {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil
	}
	data, err := aead.Open(nil, nil, sealed, nil)
	if err != nil {
		return nil
	}
	var login loginState
	if json.Unmarshal(data, &login) != nil || !s.clock.Now().Before(login.Until) {
		return nil
	}
	return &login
}

// open returns the login that a callback answers.
func (s *OAuthService) open(r *http.Request) (*loginState, error) {
	aead, err := s.aead()
	if err != nil {
		return nil, err
	}
	state := r.URL.Query().Get("state")
	// Over http others can plant cookies of the same name. They must not hide ours.
	for _, cookie := range r.CookiesNamed(s.cookieName(state)) {
		login := s.unseal(aead, cookie.Value)
		if login != nil && subtle.ConstantTimeCompare([]byte(login.State), []byte(state)) == 1 {
			return login, nil
		}
	}
	return nil, ErrState
}

// dropCookies removes the cookies of logins from a browser, except those of the last
// few. next is about to be added.
func (s *OAuthService) dropCookies(w http.ResponseWriter, r *http.Request, next *http.Cookie) {
	aead, err := s.aead()
	if err != nil {
		return // it did not fail for next
	}
	type begun struct {
		name  string
		size  int
		until time.Time // the zero time if it is over
	}
	var list []begun
	for _, cookie := range r.Cookies() {
		if !strings.HasPrefix(cookie.Name, s.cookiePrefix()) || cookie.Name == next.Name {
			continue
		}
		b := begun{name: cookie.Name, size: len(cookie.Name) + len(cookie.Value)}
		if login := s.unseal(aead, cookie.Value); login != nil {
			b.until = login.Until
		}
		list = append(list, b)
	}
	slices.SortStableFunc(list, func(a, b begun) int { return cmp.Or(b.until.Compare(a.until), cmp.Compare(a.name, b.name)) })
	size := len(next.Name) + len(next.Value)
	for i, b := range list {
		size += b.size
		if b.until.IsZero() || i >= maxLogins-1 || size > maxCookie {
			http.SetCookie(w, s.cookie(b.name, "", -1))
		}
	}
}
