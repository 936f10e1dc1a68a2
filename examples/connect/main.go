// Command connect is a local web page with a button that connects a Pinterest
// account, and shows what was granted, by whom and for how long. Without an
// app's credentials it does so against a fake of Pinterest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "connect:", err)
		os.Exit(1)
	}
}

// run runs the program: it serves the page until ctx ends.
func run(ctx context.Context, args []string, env func(string) string, stdout, stderr io.Writer) error {
	s, err := parse(args, env, stdout)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // where serving has not done it
	base := s.baseURL(listener.Addr())
	log := slog.New(slog.NewTextHandler(stderr, nil))

	var d *demo
	if s.clientID == "" {
		d = startDemo(base+callbackPath, pinteresttest.RealClock())
		defer d.close()
	}
	forget, err := s.chooseStore()
	if err != nil {
		return err
	}
	defer forget()
	site, err := newSite(s, base, d, log)
	if err != nil {
		return err
	}
	go site.refreshOften(ctx)
	s.tell(stdout, base)
	if s.open {
		openBrowser(ctx, base, log)
	}
	err = serve(ctx, listener, site.handler())
	return errors.Join(err, site.drain(ctx))
}

// newSite shows how an application sets the library up: it makes an App with the
// app's credentials, the scopes to request and the store of the tokens.
func newSite(s settings, base string, d *demo, log *slog.Logger) (*site, error) {
	store, err := filestore.Open(s.store)
	if err != nil {
		return nil, err
	}
	oauth := pinterest.OAuth{
		ClientID: s.clientID, ClientSecret: s.clientSecret, RedirectURL: base + callbackPath,
		// The scopes follow from the operations that the program calls.
		Scopes: pinterest.ScopesFor(pinterest.OpUserAccountGet, pinterest.OpBoardsList, pinterest.OpPinsCreate),
	}
	opts := []pinterest.Option{
		pinterest.WithTokenStore(store), pinterest.WithLogger(log), pinterest.WithUserAgent("connect-example"),
	}
	now := time.Now
	switch {
	case d != nil:
		oauth.ClientID, oauth.ClientSecret, oauth.AuthorizeURL = d.srv.App().ID, d.srv.App().Secret, d.srv.AuthorizeURL()
		opts = append(opts, pinterest.WithBaseURL(d.srv.URL), pinterest.WithClock(d.srv.Clock()))
		now = d.srv.Clock().Now
	case s.sandbox:
		opts = append(opts, pinterest.WithSandbox())
	}
	app, err := pinterest.NewApp(append(opts, pinterest.WithOAuth(oauth))...)
	if err != nil {
		return nil, err
	}
	return &site{app: app, store: store, oauth: oauth, demo: d, base: base, now: now, log: log}, nil
}

// refreshOften keeps accounts connected that make no calls. A cron job that calls
// RefreshDue once a day works as well.
func (s *site) refreshOften(ctx context.Context) {
	_ = s.app.RefreshEvery(ctx, 12*time.Hour, s.logRefresh) // it ends with the program
}

// logRefresh tells the operator what became of the accounts.
func (s *site) logRefresh(report pinterest.RefreshReport, err error) {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, pinterest.ErrShutdown):
	case err != nil:
		s.log.Error("refreshing tokens", "error", err)
	default:
		s.log.Info("refreshing tokens", "refreshed", report.Refreshed, "current", report.Current, "failed", len(report.Failed))
	}
}

// drain lets renewals end whose rotated tokens are not saved yet. A process that left
// without it would lose these accounts.
func (s *site) drain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return s.app.Shutdown(ctx)
}

// serve answers requests until ctx ends, and lets requests in progress finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
