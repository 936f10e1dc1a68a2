package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
)

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// TestRun starts the program as a shell does, and ends it.
func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"-addr", "127.0.0.1:0"}, environment(), in, io.Discard)
		in.Close()
	}()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, line, "A demonstration")
	line, err = lines.ReadString('\n')
	require.NoError(t, err)
	address, ok := strings.CutSuffix(line, " (Ctrl-C ends it)\n")
	require.True(t, ok, line)
	res, err := http.Get(strings.TrimPrefix(address, "Open "))
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	res.Body.Close()
	assert.Contains(t, string(body), "Connect Pinterest</button>")
	cancel()
	assert.NoError(t, <-ended)
}

func TestParse(t *testing.T) {
	app := environment("PINTEREST_CLIENT_ID", "1478036", "PINTEREST_CLIENT_SECRET", "hush")
	s, err := parse([]string{"-sandbox", "-addr", "localhost:80", "-store", "x"}, app, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, settings{clientID: "1478036", clientSecret: "hush", addr: "localhost:80", sandbox: true, store: "x"}, s)
	assert.Equal(t, "http://localhost:8734", s.baseURL(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8734}))

	for want, args := range map[string][]string{
		`"x" is not a flag`:                      {"x"},
		"-sandbox needs PINTEREST_CLIENT_ID":     {"-sandbox"},
		`address with a port, such as 127`:       {"-addr", "0.0.0.0:80"},
		`not "192.168.1.1:80"`:                   {"-addr", "192.168.1.1:80"},
		`not ":80"`:                              {"-addr", ":80"},
		`not "127.0.0.1"`:                        {"-addr", "127.0.0.1"},
		"flag provided but not defined: -nobody": {"-nobody"},
	} {
		_, err := parse(args, environment(), io.Discard)
		assert.ErrorContains(t, err, want)
	}
	_, err = parse(nil, environment("PINTEREST_CLIENT_ID", "1478036"), io.Discard)
	assert.ErrorContains(t, err, "only one of them is set")

	var out bytes.Buffer
	_, err = parse([]string{"-h"}, environment(), &out)
	assert.Error(t, err)
	assert.Contains(t, out.String(), "PINTEREST_CLIENT_SECRET")
	assert.Contains(t, out.String(), "-store directory")
}

func TestChooseStore(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	app := settings{clientID: "1478036", clientSecret: "hush"}
	box := app
	box.sandbox = true
	for want, s := range map[string]*settings{"production": &app, "sandbox": &box} {
		forget, err := s.chooseStore()
		require.NoError(t, err)
		forget()
		assert.Equal(t, filepath.Join("pinterest-connect", want), filepath.Join(filepath.Base(filepath.Dir(s.store)), filepath.Base(s.store)))
	}
	var demo settings
	forget, err := demo.chooseStore()
	require.NoError(t, err)
	assert.DirExists(t, demo.store)
	forget()
	assert.NoDirExists(t, demo.store)
}

// TestPinterestItself has the program set up for the real API, without calling it.
func TestPinterestItself(t *testing.T) {
	s := settings{clientID: "1478036", clientSecret: "hush", store: t.TempDir()}
	for _, s.sandbox = range []bool{false, true} {
		site, err := newSite(s, "http://127.0.0.1:8734", nil, nil)
		require.NoError(t, err)
		login, err := site.app.OAuth.Login("browser-1")
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(login.URL, pinterest.AuthorizeURL+"?client_id=1478036&"), login.URL)
		assert.Contains(t, login.URL, "redirect_uri=http%3A%2F%2F127.0.0.1%3A8734%2Fcallback")
		assert.Equal(t, s.sandbox, strings.Contains(site.app.String(), "sandbox"))
	}
	var out bytes.Buffer
	s.tell(&out, "http://127.0.0.1:8734")
	assert.Contains(t, out.String(), "\n  http://127.0.0.1:8734/callback\n")
	assert.NotContains(t, out.String(), "hush")
}

func TestAway(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "now", 29 * time.Second: "now", time.Minute: "in 1 minute", -90 * time.Minute: "90 minutes ago",
		3 * time.Hour: "in 3 hours", 47 * time.Hour: "in 47 hours", 30 * 24 * time.Hour: "in 30 days", -50 * time.Hour: "2 days ago",
	} {
		assert.Equal(t, want, away(d), d)
	}
}
