package redislimit_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"

	"github.com/pinterest-go/pinterest/internal/testproc"
	"github.com/pinterest-go/pinterest/redislimit"
)

// A process is what a process of TestRealProcesses is told.
type process struct {
	Limit  int
	Until  time.Time
	Prefix string
}

// playProcess calls until the time is up, and prints when each call went.
func playProcess(ctx context.Context, p process) error {
	opts, err := redis.ParseURL(os.Getenv("PINTEREST_TEST_REDIS"))
	if err != nil {
		return err
	}
	opts.ContextTimeoutEnabled = true
	c := redis.NewClient(opts)
	defer c.Close()
	l, err := redislimit.New(c, writes(p.Limit, processWindow), redislimit.WithPrefix(p.Prefix), redislimit.WithFallback(redislimit.FailClosed()), redislimit.WithTimeout(5*time.Second))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, p.Until)
	defer cancel()
	out := bufio.NewWriter(os.Stdout)
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
	return out.Flush()
}

const processWindow = 2 * time.Second

// Real processes share a quota, on the clock of Redis.
func TestRealProcesses(t *testing.T) {
	c := outside(t)
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
			cmd := testproc.Command(t.Context(), t, process{limit, until, common})
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
