package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"

	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/tunnel"
)

// token is the authtoken of all agents.
const token = "bench_0123456789abcdefghijklm"

// info is what the server tells when it is ready.
type info struct {
	Agent string // address
	CA    string // file
}

// memory is what the server tells about itself.
type memory struct {
	RSS, Heap, Stacks uint64 // bytes
	Goroutines        int
	Sessions          int
}

// serveArgs is the number of arguments of serve.
const serveArgs = 3

// serve is the server's process. The arguments are its data directory, its
// address for agents and a folder for profiles; the last two may be "". It
// obeys lines on its standard input: memory, collect, profile. With the input
// it ends.
func serve(ctx context.Context, args []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const any = "127.0.0.1:0"
	agent := any
	if args[1] != "" {
		agent = args[1]
	}
	n, err := node.New(node.Config{
		DataDir: args[0], HTTPAddr: any, HTTPSAddr: any, APIAddr: any, SSHAddr: any, AgentAddr: agent, BootstrapAuthtoken: token,
		Agents: tunnel.Limits{Connections: math.MaxInt}, // nobody else needs descriptors
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	select {
	case <-n.Ready():
	case err := <-ended:
		return err
	}
	i := n.Info()
	endProfile, err := cpuProfile(args[2], "server")
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(info{Agent: i.Agent.String(), CA: i.CAFile}); err != nil {
		return err
	}
	go func() {
		defer cancel()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			switch in.Text() {
			case "collect":
				runtime.GC() // pools let go at the second one
				debug.FreeOSMemory()
			case "profile":
				endProfile()
				if err := profile(args[2]); err != nil {
					fmt.Fprintln(os.Stderr, "profile:", err)
				}
			}
			m := measure()
			m.Sessions = n.Tunnels().NumSessions()
			_ = out.Encode(m) // who asked is gone
		}
	}()
	return <-ended
}

// measure reads the process's memory. The heap is what the last collection has
// found alive.
func measure() memory {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(samples)
	return memory{
		RSS: rss(), Heap: samples[0].Value.Uint64(), Stacks: samples[1].Value.Uint64(), Goroutines: runtime.NumGoroutine(),
	}
}

// rss returns the resident memory of this process, where Linux tells it.
func rss() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident uint64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return resident * uint64(os.Getpagesize()) //nolint:gosec // not negative
}

// cpuProfile begins a profile of this process, unless dir is "". It ends with
// the function that is returned.
func cpuProfile(dir, name string) (end func(), err error) {
	if dir == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(dir, "agents-cpu-"+name+".pprof")) //nolint:gosec // the user names the folder
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // nothing is left to be written
	}, nil
}

// profile writes the profiles of the heap and of the goroutines.
func profile(dir string) error {
	for _, name := range []string{"heap", "goroutine"} {
		f, err := os.Create(filepath.Join(dir, "agents-"+name+".pprof")) //nolint:gosec // the user names the folder
		if err != nil {
			return err
		}
		if err := pprof.Lookup(name).WriteTo(f, 0); err != nil {
			_ = f.Close()
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// server is the server's process, seen from outside.
type server struct {
	process
	info info
}

func startServer(dir, addr, profile string) (*server, error) {
	s := &server{}
	if err := s.start("serve", dir, addr, profile); err != nil {
		return nil, err
	}
	return s, s.answer(&s.info)
}

// ask sends a command and returns the server's state after it.
func (s *server) ask(command string) (m memory, err error) {
	if _, err := io.WriteString(s.in, command+"\n"); err != nil {
		return m, err
	}
	return m, s.answer(&m)
}
