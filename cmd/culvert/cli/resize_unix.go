//go:build unix

package cli

import (
	"os"
	"os/signal"
	"syscall"
)

// watchSize returns what receives a value when the terminal has changed its
// size.
func watchSize() (resized <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGWINCH)
	return c, func() { signal.Stop(c) }
}
