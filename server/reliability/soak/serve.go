package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/node"
)

// The program runs itself again as these.
const (
	roleServer = "as-server"
	roleAgent  = "as-agent"
)

const token = "soak_token_0123456789"

// hello is the line that a process says once it is up.
type hello struct {
	// Stats is where it tells its number of goroutines and its heap.
	Stats string
	// Agent, CAFile and Pin are the server's; URL and Refusing the agent's
	// endpoints, in front of an upstream and of nothing.
	Agent, CAFile, Pin, URL, Refusing string
	HTTPSPort                         uint16
}

// serve runs one of the processes until its standard input ends.
func serve(ctx context.Context, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the parent
		cancel()
	}()
	stats, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory() // what is left is in use
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Fprintln(w, runtime.NumGoroutine(), m.HeapAlloc+m.StackInuse)
	})}
	go func() { _ = srv.Serve(stats) }() // ends with Close
	defer srv.Close()
	say := func(h hello) error {
		h.Stats = stats.Addr().String()
		return json.NewEncoder(os.Stdout).Encode(h)
	}
	if args[0] == roleServer {
		return runServer(ctx, say)
	}
	return runAgent(ctx, args[1:], say)
}

func runServer(ctx context.Context, say func(hello) error) error {
	dir, err := os.MkdirTemp("", "culvert-soak-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	const free = "127.0.0.1:0"
	n, err := node.New(node.Config{
		DataDir: dir, BootstrapAuthtoken: token, HTTPAddr: free, HTTPSAddr: free, AgentAddr: free, APIAddr: free, SSHAddr: free,
	})
	if err != nil {
		return err
	}
	go func() {
		<-n.Ready()
		i := n.Info()
		_ = say(hello{Agent: i.Agent.String(), CAFile: i.CAFile, Pin: i.CAFingerprint, HTTPSPort: i.HTTPSPort})
		<-ctx.Done()
		n.Kill()
	}()
	return n.Run(ctx)
}

// runAgent connects to the address, with the pin, and forwards to the upstream
// that args name.
func runAgent(ctx context.Context, args []string, say func(hello) error) error {
	if len(args) != 3 {
		return errors.New("want address, pin and upstream")
	}
	a, err := culvert.NewAgent(culvert.WithAuthtoken(token), culvert.WithAgentConnectURL(args[0]), culvert.WithCAFingerprint(args[1]))
	if err != nil {
		return err
	}
	defer a.Disconnect() //nolint:errcheck // it ends with the process
	up, err := a.Forward(ctx, culvert.WithUpstream("http://"+args[2]))
	if err != nil {
		return err
	}
	refusing, err := a.Forward(ctx, culvert.WithUpstream("http://127.0.0.1:1"))
	if err != nil {
		return err
	}
	if err := say(hello{URL: up.URL().String(), Refusing: refusing.URL().String()}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// child is a process of this program.
type child struct {
	hello
	name string
	pid  int
	stop func()
}

// spawn starts the program in a role and waits until it is up.
func spawn(ctx context.Context, name, role string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{role}, args...)...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{name: name, pid: cmd.Process.Pid, stop: func() {
		_ = in.Close()
		_ = cmd.Wait() // what it has to say is on standard error
	}}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &c.hello)
	}
	if err != nil {
		c.stop()
		return nil, fmt.Errorf("%s did not come up: %w", name, err)
	}
	return c, nil
}
