package pinterest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
)

// This file finds out how far a request came that got no answer.

// transportFailure finds out how far the exchange got and what ended it.
func (at *attempt) transportFailure(err error) {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // a *url.Error prints the URL with its query
	}
	if stream := at.run.cl.stream; stream != nil && stream.failure() != nil && at.ctx.Err() == nil {
		err = stream.failure() // the transport's words need not be the reader's
	}
	phase := PhaseUnanswered
	if at.trace.notSent() || isDialError(err) && !at.trace.whole.Load() || isClosedIdle(err) {
		phase = PhaseNotSent
	}
	at.fail(phase, at.reason(err), err)
}

func (at *attempt) reason(err error) Reason {
	switch {
	case at.caller.Err() != nil:
		return ReasonCanceled
	case at.ctx.Err() != nil:
		return ReasonTimeout
	case isCertificateError(err):
		return ReasonCertificate
	case at.run.cl.stream != nil && at.run.cl.stream.failure() != nil:
		return ReasonRequest // the caller's reader failed, not the exchange
	}
	return ReasonNone
}

// isDialError reports whether no connection could be made. It serves operations
// that are not creates: they have no connection trace, because they may be sent
// again in any case.
func isDialError(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// isClosedIdle reports whether the server had closed the connection before the
// request was given to it. net/http says so by an error of its own that is not
// exported; another text counts as unanswered.
func isClosedIdle(err error) bool { return err.Error() == "http: server closed idle connection" }

func isCertificateError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) ||
		errors.As(err, &hostname) || errors.As(err, &invalid)
}

// connTrace records how far a request got. The transport's goroutines write its
// fields and may outlive the attempt.
type connTrace struct {
	started atomic.Bool // the transport began to get a connection
	got     atomic.Bool // it got one
	cut     atomic.Bool // writing the request to it failed
	whole   atomic.Bool // the whole request was written, at least once
}

// notSent reports whether the server certainly did not get the whole request. That
// is not known if the transport does not support traces. A request that was written
// once counts as sent, even if the transport sends it again and fails.
func (t *connTrace) notSent() bool {
	return !t.whole.Load() && (t.started.Load() && !t.got.Load() || t.cut.Load())
}

func (t *connTrace) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { t.started.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { t.got.Store(true); t.cut.Store(false) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			t.cut.Store(info.Err != nil)
			if info.Err == nil {
				t.whole.Store(true)
			}
		},
	})
}
