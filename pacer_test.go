package pinterest_test

import (
	"testing"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest/limitertest"
)

func TestPacer(t *testing.T) {
	limitertest.Run(t, func(t *testing.T, limits pinterest.Limits, clock pinterest.Clock) pinterest.Limiter {
		p, err := pinterest.NewPacer(limits, clock)
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
}
