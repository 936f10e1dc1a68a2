package pinterest_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for base, ok := range map[string]bool{
		"https://api.pinterest.com/v5":                true,
		"https://api.pinterest.com/v5/":               true,
		"https://api.pinterest.com":                   false,
		"https://api.pinterest.com/":                  false,
		"https://api.pinterest.com/v4":                false,
		"https://api.pinterest.com/v5/pins":           false,
		"HTTPS://api.pinterest.com/v5":                true,
		"http://127.0.0.1:8080/v5":                    true,
		"http://127.8.9.1/v5":                         true,
		"http://localhost:8080/v5":                    true,
		"http://[::1]:8080/v5":                        true,
		"http://api.pinterest.com/v5":                 false,
		"http://127.0.0.1.example.com/v5":             false,
		"http://localhost.example.com/v5":             false,
		"http://0.0.0.0/v5":                           false,
		"http://10.0.0.1/v5":                          false,
		"https://user:hunter22@api.pinterest.com":     false,
		"http://user:hunter22@127.0.0.1/v5":           false,
		"https://api.pinterest.com/v5?token=hunter22": false,
		"https://api.pinterest.com/v5#hunter22":       false,
		"ftp://api.pinterest.com":                     false,
		"api.pinterest.com/v5":                        false,
		"//api.pinterest.com/v5":                      false,
		"https://":                                    false,
		"":                                            false,
		"https://api.pinterest.com:port/hunter22":     false,
		"https://api.pinterest.com/%zzhunter22":       false,
	} {
		c, err := pinterest.New(pinterest.WithAccessToken("t"), pinterest.WithBaseURL(base))
		if ok {
			require.NoError(t, err, base)
			assert.False(t, strings.HasSuffix(strings.TrimSuffix(c.String(), ")"), "/"), c.String())
			continue
		}
		require.Error(t, err, base)
		assert.NotContains(t, err.Error(), "hunter22")
		assert.True(t, strings.HasPrefix(err.Error(), "pinterest: "), err.Error())
	}
}

func TestNewRefusesInvalidOptions(t *testing.T) {
	t.Parallel()
	token := pinterest.WithAccessToken(accessToken)
	without := func(change func(*pinterest.RefreshConfig)) pinterest.Option {
		cfg := refreshConfig()
		change(&cfg)
		return pinterest.WithRefreshToken(cfg)
	}
	for name, opts := range map[string][]pinterest.Option{
		"no token":           {},
		"two tokens":         {token, token},
		"empty token":        {pinterest.WithAccessToken("")},
		"nil source":         {pinterest.WithTokenSource(nil)},
		"no http.Client":     {token, pinterest.WithHTTPClient(nil)},
		"no clock":           {token, pinterest.WithClock(nil)},
		"no response":        {token, pinterest.WithMaxResponse(0)},
		"user agent":         {token, pinterest.WithUserAgent("a\r\nX: y")},
		"negative attempts":  {token, pinterest.WithRetry(pinterest.RetryPolicy{MaxAttempts: -1})},
		"negative delay":     {token, pinterest.WithRetry(pinterest.RetryPolicy{ServerDelay: -1})},
		"jitter over all":    {token, pinterest.WithRetry(pinterest.RetryPolicy{Jitter: 1.5})},
		"jitter not a share": {token, pinterest.WithRetry(pinterest.RetryPolicy{Jitter: math.NaN()})},
		"no client id":       {without(func(c *pinterest.RefreshConfig) { c.ClientID = "" })},
		"no client secret":   {without(func(c *pinterest.RefreshConfig) { c.ClientSecret = "" })},
		"no refresh token":   {without(func(c *pinterest.RefreshConfig) { c.RefreshToken = "" })},
		"no store":           {without(func(c *pinterest.RefreshConfig) { c.Store = nil })},
	} {
		_, err := pinterest.New(opts...)
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), accessToken)
	}
}

// What is nil is named by its place, where it is given.
func TestNilOptionIsNamed(t *testing.T) {
	t.Parallel()
	_, err := pinterest.New(pinterest.WithAccessToken(accessToken), nil, pinterest.WithSandbox())
	require.EqualError(t, err, "pinterest: option 2 is nil")
	_, err = pinterest.NewApp(nil)
	require.EqualError(t, err, "pinterest: option 1 is nil")
}

func TestBaseURLWithoutVersionIsExplained(t *testing.T) {
	t.Parallel()
	_, err := pinterest.New(pinterest.WithAccessToken(accessToken), pinterest.WithBaseURL("https://api.pinterest.com"))
	require.ErrorContains(t, err, `WithBaseURL: https://api.pinterest.com: the path must end with /v5, as in https://api.pinterest.com/v5`)
}
