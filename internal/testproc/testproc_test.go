package testproc

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type role struct {
	Say  []string
	Fail string
	Stay bool
}

func TestMain(m *testing.M) {
	Play(func(ctx context.Context, r role) error {
		for _, s := range r.Say {
			fmt.Print(s)
		}
		if r.Stay {
			<-ctx.Done()
		}
		if r.Fail != "" {
			return errors.New(r.Fail)
		}
		return nil
	})
	m.Run()
}

func TestCommand(t *testing.T) {
	t.Parallel()
	out, err := Command(t.Context(), t, role{Say: []string{"one\n", "a \"second\" line\n"}}).Output()
	require.NoError(t, err)
	assert.Equal(t, "one\na \"second\" line\n", string(out))

	_, err = Command(t.Context(), t, role{Fail: "no such thing"}).Output()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Equal(t, "no such thing\n", string(exit.Stderr))

	Run(t, Command(t.Context(), t, role{}))
}

func TestKill(t *testing.T) {
	t.Parallel()
	cmd := Command(t.Context(), t, role{Say: []string{"one\n", "half a line"}, Stay: true})
	kill := Start(t, cmd)
	assert.Equal(t, []string{"one"}, kill())
	assert.False(t, cmd.ProcessState.Success())
}
