package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

const help = `connect serves a page with a button that connects a Pinterest account.

Usage:
  connect [flags]

Without credentials in the environment it connects against a fake of Pinterest
on this machine.

Environment:
  PINTEREST_CLIENT_ID      the app's id
  PINTEREST_CLIENT_SECRET  the app's secret

Flags:
`

// settings are the values of flags and environment variables.
type settings struct {
	clientID, clientSecret string // "": a demonstration

	addr    string
	sandbox bool
	store   string
	open    bool
}

func parse(args []string, env func(string) string, out io.Writer) (s settings, err error) {
	set := flag.NewFlagSet("connect", flag.ContinueOnError)
	set.SetOutput(out)
	set.Usage = func() {
		fmt.Fprint(out, help)
		set.PrintDefaults()
	}
	set.StringVar(&s.addr, "addr", "127.0.0.1:8734", "loopback `address` to serve the page on")
	set.BoolVar(&s.sandbox, "sandbox", false, "use Pinterest's sandbox")
	set.StringVar(&s.store, "store", "", "`directory` to keep tokens in (default: one in your configuration directory; the demonstration keeps none)")
	set.BoolVar(&s.open, "open", false, "open the page in the browser")
	if err := set.Parse(args); err != nil {
		return s, err
	}
	s.clientID, s.clientSecret = env("PINTEREST_CLIENT_ID"), env("PINTEREST_CLIENT_SECRET")
	switch {
	case set.NArg() > 0:
		return s, fmt.Errorf("%q is not a flag: see -h", set.Arg(0))
	case (s.clientID == "") != (s.clientSecret == ""):
		return s, errors.New("PINTEREST_CLIENT_ID and PINTEREST_CLIENT_SECRET belong together: only one of them is set")
	case s.sandbox && s.clientID == "":
		return s, errors.New("-sandbox needs PINTEREST_CLIENT_ID and PINTEREST_CLIENT_SECRET")
	case !isLoopback(s.addr):
		return s, fmt.Errorf("-addr must be a loopback address with a port, such as 127.0.0.1:8734, not %q", s.addr)
	}
	return s, nil
}

// isLoopback reports whether only this machine can reach the address. The page is
// meant for the person at this machine.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// baseURL returns the page's URL: with the requested host, as in the registered
// redirect URL, and the actual port.
func (s settings) baseURL(got net.Addr) string {
	host, _, _ := net.SplitHostPort(s.addr)
	_, port, _ := net.SplitHostPort(got.String())
	return "http://" + net.JoinHostPort(host, port)
}

// chooseStore returns the store of the tokens. The tokens of the demonstration are
// worthless when it ends, and forget removes them.
func (s *settings) chooseStore() (forget func(), err error) {
	forget = func() {}
	if s.store != "" {
		return forget, nil
	}
	if s.clientID == "" {
		dir, err := os.MkdirTemp("", "connect-demo-")
		s.store = dir
		return func() { _ = os.RemoveAll(dir) }, err
	}
	config, err := os.UserConfigDir()
	if err != nil {
		return forget, fmt.Errorf("no directory for tokens (name one with -store): %w", err)
	}
	kind := "production"
	if s.sandbox {
		kind = "sandbox" // its tokens are of no use elsewhere
	}
	s.store = filepath.Join(config, "pinterest-connect", kind)
	return forget, nil
}

// tell prints where the page is, and what must be registered for it.
func (s settings) tell(out io.Writer, base string) {
	if s.clientID == "" {
		fmt.Fprintln(out, "A demonstration against a fake of Pinterest: PINTEREST_CLIENT_ID and PINTEREST_CLIENT_SECRET are not set.")
	} else {
		fmt.Fprintf(out, "Register this redirect URL for the app on https://developers.pinterest.com/apps/:\n  %s\n", base+callbackPath)
		fmt.Fprintf(out, "Tokens are kept in %s\n", s.store)
	}
	fmt.Fprintf(out, "Open %s/ (Ctrl-C ends it)\n", base)
}

// openBrowser opens the page. If that fails, the visitor can type its address.
func openBrowser(ctx context.Context, url string, log *slog.Logger) {
	command := []string{"xdg-open", url}
	switch runtime.GOOS {
	case "darwin":
		command[0] = "open"
	case "windows":
		command = []string{"rundll32", "url.dll,FileProtocolHandler", url}
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...) //nolint:gosec // the URL is our own
	if err := cmd.Start(); err != nil {
		log.Warn("the browser was not opened", "error", err)
		return
	}
	go func() { _ = cmd.Wait() }()
}
