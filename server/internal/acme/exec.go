package acme

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Program is a [DNS] that calls a program: with present or cleanup, the name and
// the value. It has failed if its exit status is not 0; its output is for
// people.
type Program struct {
	Path string
	// Env is its environment, as in [exec.Cmd]; nil: that of this process.
	Env []string
}

// programWait is how long a program may hold its output open after its end.
const programWait = 5 * time.Second

// Present calls the program.
func (p Program) Present(ctx context.Context, name, value string) error {
	return p.call(ctx, "present", name, value)
}

// CleanUp calls the program.
func (p Program) CleanUp(ctx context.Context, name, value string) error {
	return p.call(ctx, "cleanup", name, value)
}

func (p Program) call(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, p.Path, args...) //nolint:gosec // the operator names the program; names and values are of DNS
	cmd.Env, cmd.WaitDelay = p.Env, programWait
	var said tail
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", p.Path, strings.Join(args, " "), err, bytes.TrimSpace(said.kept))
	}
	return nil
}

// maxSaid is how much is kept of what a program says.
const maxSaid = 1 << 10

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p[max(0, len(p)-maxSaid):]...)
	t.kept = t.kept[max(0, len(t.kept)-maxSaid):]
	return len(p), nil
}
