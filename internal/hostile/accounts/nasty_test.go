package accounts

import (
	"context"
	"iter"
	"time"

	"github.com/pinterest-go/pinterest"
)

// nasty is a store that a test can let fail, wait or panic.
type nasty struct {
	pinterest.TokenStore
	onLock    func(ctx context.Context, account string) error
	onLoad    func(ctx context.Context, account string) error
	onVersion func(ctx context.Context, account string) error
	onSave    func(ctx context.Context, account string, tok *pinterest.Token) error // before
	saved     func(ctx context.Context, account string) error                       // after
	onDelete  func(ctx context.Context, account string) error
	onDue     func(ctx context.Context) error
}

func newNasty() *nasty { return &nasty{TokenStore: pinterest.NewMemoryTokenStore()} }

func (s *nasty) Lock(ctx context.Context, account string) (func(), error) {
	if s.onLock != nil {
		if err := s.onLock(ctx, account); err != nil {
			return nil, err
		}
	}
	return s.TokenStore.Lock(ctx, account)
}

func (s *nasty) Load(ctx context.Context, account string) (*pinterest.Token, error) {
	if s.onLoad != nil {
		if err := s.onLoad(ctx, account); err != nil {
			return nil, err
		}
	}
	return s.TokenStore.Load(ctx, account)
}

func (s *nasty) Version(ctx context.Context, account string) (string, error) {
	if s.onVersion != nil {
		if err := s.onVersion(ctx, account); err != nil {
			return "", err
		}
	}
	return s.TokenStore.Version(ctx, account)
}

func (s *nasty) Save(ctx context.Context, account string, tok *pinterest.Token) (string, error) {
	if s.onSave != nil {
		if err := s.onSave(ctx, account, tok); err != nil {
			return "", err
		}
	}
	v, err := s.TokenStore.Save(ctx, account, tok)
	if err == nil && s.saved != nil {
		if err := s.saved(ctx, account); err != nil {
			return "", err
		}
	}
	return v, err
}

func (s *nasty) Delete(ctx context.Context, account string) error {
	if s.onDelete != nil {
		if err := s.onDelete(ctx, account); err != nil {
			return err
		}
	}
	return s.TokenStore.Delete(ctx, account)
}

func (s *nasty) Due(ctx context.Context, before time.Time) iter.Seq2[string, error] {
	if s.onDue != nil {
		if err := s.onDue(ctx); err != nil {
			return func(yield func(string, error) bool) { yield("", err) }
		}
	}
	return s.TokenStore.Due(ctx, before)
}

// hang waits until ctx ends.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}
