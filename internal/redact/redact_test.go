package redact

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestStringTakesCredentialsOut(t *testing.T) {
	for text, want := range map[string]string{
		"refused pina_AMAS3KZQAAVHQBQA":                                     "refused [redacted]",
		"old pinr.eyJhbGciOiJI.x-y_z":                                       "old [redacted]",
		"Authorization: Bearer abcdefghijk and more":                        "Authorization: Bearer [redacted] and more",
		"basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==":                                "basic [redacted]",
		`{"access_token":"abcdef","scope":"a"}`:                             `{"access_token":"[redacted]","scope":"a"}`,
		"https://s3.example/k?X-Amz-Signature=0a1b2c":                       "https://s3.example/k?X-Amz-Signature=[redacted]",
		`https://s3.example/k?a=b\u0026X-Amz-Credential=AKIA%2Fus\u0026c=d`: `https://s3.example/k?a=b\u0026X-Amz-Credential=[redacted]\u0026c=d`,
		"https://cdn.example/a.jpg?sig=abcdef&w=100":                        "https://cdn.example/a.jpg?sig=[redacted]&w=100",
	} {
		assert.Equal(t, want, String(text))
	}
	for text, want := range map[string]string{
		`{"password":12345678}`:                            `{"password":[redacted]}`,
		`{"password":"abc\"12345678","a":"b"}`:             `{"password":"[redacted]","a":"b"}`,
		`{"password": "my pass word"}`:                     `{"password": "[redacted]"}`,
		`client_secret: abcdefgh`:                          `client_secret: [redacted]`,
		`map[client_secret:abcdefgh a:b]`:                  `map[client_secret:[redacted] a:b]`,
		`{ClientSecret:abcdefgh}`:                          `{ClientSecret:[redacted]}`,
		`token: abcdefgh12345678`:                          `token: [redacted]`,
		`password = 'abcdefgh12345678'`:                    `password = '[redacted]'`,
		"https://alice:pass/word9@db.example/x":            "https://[redacted]@db.example/x",
		`"https://alice:pass#word9@db.example/x"`:          `"https://[redacted]@db.example/x"`,
		`https://alice:pass?word9@db.example/x`:            `https://[redacted]@db.example/x`,
		`https://alice:pass'word9@db.example/x`:            `https://[redacted]@db.example/x`,
		`parse "x": invalid port ":pass" after host`:       `parse "x": invalid port ":[redacted]" after host`,
		"https://cdn.example/a?Policy=eyJTdGF0ZW1lbnQiOlt": "https://cdn.example/a?Policy=[redacted]",
	} {
		assert.Equal(t, want, String(text))
	}
	assert.Equal(t, "say [redacted] twice: [redacted]", String("say hunter22 twice: hunter22", "hunter22"))
}

func TestStringLeavesOrdinaryWords(t *testing.T) {
	for _, text := range []string{
		"", "pinning is fun, a pinch of salt", "policy: none", "the token you provided is not valid or has expired",
		"Bearer of news", "basic", "policy=strict mode", `"design_token": "primary-blue"`, "'auth' is required; no_signature=true, page_token=next",
		`board "policy": "Keep it tidy" is archived`, "basic authentication is required", "Bearer authentication required", "https://www.example.com/@name",
		"Pinclicker-Standard-2026 pincode-lookup-service", `Unexpected token: "<" at 1`, "Unexpected token='something'", `{"error":"invalid_token","token":"expired"}`,
		`{"token": null}`, "invalid port \":8080\" after host", `'board_id' value 'x' must match the pattern: ^\d+$`, "pina", "https://shop.example/p?id=12345",
	} {
		assert.Equal(t, text, String(text, "", "abc"))
	}
}

func FuzzString(f *testing.F) {
	f.Add("before ", "s3cr3tvalue", " after")
	f.Add("Bearer ", "pina_AAAAAAAA", "\u0026x=1")
	f.Fuzz(func(t *testing.T, before, secret, after string) {
		if len(secret) < 4 || strings.Contains(Mark, secret) || strings.ContainsAny(secret, "[]") {
			return // too short to be a secret, or it could arise again from the mark and what stands beside it
		}
		if got := String(before+secret+after, secret); strings.Contains(got, secret) {
			t.Errorf("%q is still in %q", secret, got)
		}
	})
}
