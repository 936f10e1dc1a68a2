package redislimit_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest/redislimit"
)

const processEnv = "REDISLIMIT_TEST_PROCESS"

// playProcess is a process of TestRealProcesses. It calls until the time is up, and
// prints when each call went.
func playProcess(role string, out io.Writer) error {
	var limit, until int64
	var common string
	if _, err := fmt.Sscan(role, &limit, &until, &common); err != nil {
		return err
	}
	opts, err := redis.ParseURL(os.Getenv("PINTEREST_TEST_REDIS"))
	if err != nil {
		return err
	}
	opts.ContextTimeoutEnabled = true
	c := redis.NewClient(opts)
	defer c.Close()
	l, err := redislimit.New(c, writes(int(limit), processWindow), redislimit.WithPrefix(common), redislimit.WithFallback(redislimit.FailClosed()), redislimit.WithTimeout(5*time.Second))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(0, until))
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for l.Wait(ctx, write("a")) == nil {
				mu.Lock()
				fmt.Fprintln(out, time.Now().UnixNano())
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

const processWindow = 2 * time.Second

// Real processes share a quota, on the clock of Redis.
func TestRealProcesses(t *testing.T) {
	c := outside(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	const limit, spell = 200, 5 * time.Second
	common := prefix()
	// The bucket is full at first; what is counted begins when all of them run.
	until := time.Now().Add(spell + 2*time.Second)
	var mu sync.Mutex
	var at []int64
	var wg sync.WaitGroup
	processes := make([]int, 3)
	for i := range processes {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), exe)
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s", processEnv, limit, until.UnixNano(), common))
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
				n, err := strconv.ParseInt(lines.Text(), 10, 64)
				assert.NoError(t, err)
				at = append(at, n)
				processes[i]++
			}
		})
	}
	wg.Wait()
	slices.Sort(at)
	total, worst, first := 0, 0, 0
	for i := range at {
		if until.UnixNano()-at[i] < int64(spell) {
			total++
		}
		for at[i]-at[first] >= int64(processWindow) {
			first++
		}
		worst = max(worst, i-first+1)
	}
	share := float64(total) * float64(processWindow) / float64(spell) / limit
	t.Logf("each had %v; %.3f of the quota; %d of %d in the worst stretch", processes, share, worst, limit)
	// Whoever has its slot may go a moment late, on a machine with much to do.
	assert.LessOrEqual(t, worst, limit*105/100)
	assert.Greater(t, share, 0.9)
	for _, n := range processes {
		assert.Greater(t, n, len(at)/5, "each has its share")
	}
	assert.NotEmpty(t, keys(t, c, common))
}
