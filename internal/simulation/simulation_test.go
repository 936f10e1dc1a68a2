package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/internal/simulation"
)

var out = flag.String("simulation.out", "", "write pacing.md and pacing.svg into this directory")

const (
	pins  = 500
	every = 10 * time.Millisecond
)

// phases are where the server's minute stands at the start, in seconds.
var phases = []int{0, 7, 23, 41, 59}

func pacer(t *testing.T) pinterest.Limiter {
	t.Helper()
	p, err := pinterest.NewPacer(pinterest.AccessStandard.Limits(), nil)
	require.NoError(t, err)
	return p
}

// creates runs a load in a bubble of its own.
func creates(t *testing.T, name string, phase int, silent bool, retry pinterest.RetryPolicy, limiters func(t *testing.T) []pinterest.Limiter) (r simulation.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r = simulation.Creates{
			Name: name, Server: &simulation.Server{Phase: time.Duration(phase) * time.Second, Silent: silent, Seed: 1},
			Limiters: limiters(t), N: pins, Every: every, Retry: retry,
		}.Run()
	})
	return r
}

func fleet(t *testing.T, f simulation.Fleet) (r simulation.FleetResult) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f.Limiter = pacer(t)
		r = f.Run()
	})
	return r
}

// TestSimulation runs all scenarios, compares their results with what the library
// promises, and docs/pacing.md with their results.
func TestSimulation(t *testing.T) {
	var rep report
	for _, phase := range phases {
		r := creates(t, fmt.Sprintf("paced, the API's minute is at second %d", phase), phase, false, pinterest.RetryPolicy{},
			func(t *testing.T) []pinterest.Limiter { return []pinterest.Limiter{pacer(t)} })
		assert.Zero(t, r.Failed, r.Name)
		assert.LessOrEqual(t, r.Refused, 5, r.Name)
		assert.LessOrEqual(t, r.Ratio(), 1.02, r.Name)
		rep.creates = append(rep.creates, r)
	}
	for _, phase := range phases {
		r := creates(t, fmt.Sprintf("two processes that know nothing of each other, second %d", phase), phase, false, pinterest.RetryPolicy{},
			func(t *testing.T) []pinterest.Limiter { return []pinterest.Limiter{pacer(t), pacer(t)} })
		assert.Zero(t, r.Failed, r.Name)
		assert.LessOrEqual(t, r.Refused, (r.N+r.Refused)/20, r.Name)
		assert.LessOrEqual(t, r.Ratio(), 1.05, r.Name)
		rep.creates = append(rep.creates, r)
	}
	none := func(*testing.T) []pinterest.Limiter { return []pinterest.Limiter{nil} }
	rep.creates = append(rep.creates,
		creates(t, "no limiter, 5 attempts as the headers say", 23, false, pinterest.RetryPolicy{}, none),
		creates(t, "no limiter, plain backoff of 2 s to 60 s until it works", 23, true, pinterest.RetryPolicy{
			MaxAttempts: 1000, ThrottleDelay: 2 * time.Second, Budget: -1,
		}, none))

	rep.shared = fleet(t, simulation.Fleet{
		Server: &simulation.Server{App: 1200, Phase: 17 * time.Second, Seed: 2}, Heavy: 20, Light: 180, Time: 6 * time.Minute,
	})
	assert.LessOrEqual(t, rep.shared.Spread(), 0.05, "heavy accounts: %v", rep.shared.Heavy)
	assert.Zero(t, rep.shared.Unserved)
	assert.LessOrEqual(t, rep.shared.LightWait, 10*time.Second)
	assert.LessOrEqual(t, rep.shared.Refused, 5)

	alone := simulation.Fleet{Heavy: 10, Writes: true, Time: 4 * time.Minute, Server: &simulation.Server{Seed: 3}}
	rep.unblocked = fleet(t, alone)
	alone.Server = &simulation.Server{Seed: 3, Blocked: "heavy-0"}
	rep.blocked = fleet(t, alone)
	assert.Zero(t, rep.blocked.Heavy[0])
	assert.InEpsilon(t, others(rep.unblocked), others(rep.blocked), 0.01)

	if *out != "" {
		require.NoError(t, os.WriteFile(filepath.Join(*out, "pacing.md"), rep.markdown(), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(*out, "pacing.svg"), rep.plot(), 0o600))
	}
	for file, want := range map[string][]byte{"pacing.md": rep.markdown(), "pacing.svg": rep.plot()} {
		got, err := os.ReadFile(filepath.Join("..", "..", "docs", file))
		require.NoError(t, err)
		sameFigures(t, file, want, got)
	}
}

// others returns the number of calls of all accounts but the first.
func others(r simulation.FleetResult) (n int) {
	for _, calls := range r.Heavy[1:] {
		n += calls
	}
	return n
}
