package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
)

// output keeps the end of what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.buf.Len() > 64<<10 {
		o.buf.Reset()
	}
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// spawn starts a process that runs until ctx ends, and returns its id. One that
// ends earlier has its output shown.
func (w *world) spawn(ctx context.Context, env []string, name string, args ...string) (pid int, err error) {
	out := &output{}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append([]string{"HOME=" + w.dir, "PATH=" + os.Getenv("PATH")}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	w.running.Go(func() {
		err := cmd.Wait()
		if ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "%s has ended: %v\n%s\n", name, err, out)
		}
	})
	return cmd.Process.Pid, nil
}

// freePorts returns addresses of loopback that were free a moment ago: programs
// that have to be told their port cannot leave the choice to the system.
func freePorts(n int) ([]string, error) {
	addrs := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // it was only to find a port
		addrs = append(addrs, l.Addr().String())
	}
	return addrs, nil
}

// portOf returns the port of an address.
func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr) // freePorts made it
	return port
}
