//go:build !race

package suites_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/edge"
)

// slowSize is how many connections slowhttptest opens, how many of them in a second, and for how many seconds it waits at
// most for their end.
type slowSize struct{ connections, rate, seconds int }

// slow returns the size of the attacks and the limits that they meet.
//
// Whole, the floors have to do it: a head is cut off after 5 s, a body and a response when they have fallen a minute
// behind. What the socket buffers swallow of a response is credit, so its floor is higher than by default.
//
// In short, clients that send nothing for 10 s are ended by a lower idle time before the floors get to them.
func slow() (slowSize, edge.Limits) {
	if full() {
		return slowSize{connections: 1000, rate: 200, seconds: 150}, edge.Limits{WriteRate: 128 << 10}
	}
	return slowSize{connections: 100, rate: 100, seconds: 60}, edge.Limits{IdleTimeout: 3 * time.Second}
}

// TestT09_SlowHTTPTest runs slowhttptest with slow heads, slow bodies and slow reading. Loopback has no limits per source
// (decisions.md 20), so that all of it has to be cut off by time.
func TestT09_SlowHTTPTest(t *testing.T) {
	t.Parallel()
	path, sni := program(t, "slowhttptest"), preload(t)
	size, limits := slow()
	w := start(t, limits)
	page := make([]byte, slowPage)
	targets := map[string]*slowUpstream{w.httpURL(): {page: page}, w.httpsURL(): {page: page}}
	for url, up := range targets {
		scheme, _, _ := strings.Cut(url, ":")
		w.forward(t, scheme+"://"+name, web(t, up))
	}
	for _, attack := range []string{"-H", "-B", "-X"} {
		var both sync.WaitGroup // both listeners at once
		for url, up := range targets {
			both.Go(func() {
				scheme, _, _ := strings.Cut(url, ":")
				what := fmt.Sprintf("slowhttptest 1.8.2 %s, %s", attack, scheme)
				out := filepath.Join(t.TempDir(), "slow")
				cmd := exec.CommandContext(t.Context(), path, attack, "-g", "-o", out, "-u", url+"/"+attack,
					"-c", strconv.Itoa(size.connections), "-r", strconv.Itoa(size.rate), "-l", strconv.Itoa(size.seconds),
					"-i", "10", "-p", "20")
				cmd.Env = append(os.Environ(), "LD_PRELOAD="+sni, "SNI="+name)
				text, closed := up.attack(t, cmd, attack, size.connections)
				available := slowAvailable(t, out+".csv")
				scores.add(t, what, fmt.Sprintf("available: %s, all %d closed: %t", available, size.connections, closed))
				if available != "YES" || !closed {
					t.Errorf("%s: available: %s, want YES; all closed: %t; it says\n%s", what, available, closed, tail(text))
				}
			})
		}
		both.Wait()
	}
}

// attack runs slowhttptest until it ends or, if it reads slowly, until all the pages have been broken off: it will not
// know before it has read what came before the reset, which takes it minutes. It returns what the program has said,
// and whether all connections were closed before it ended.
func (u *slowUpstream) attack(t *testing.T, cmd *exec.Cmd, flag string, connections int) (text []byte, closed bool) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return nil, false
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		_ = cmd.Wait() // what it says tells more than how it ends
	}()
	if flag == "-X" && u.wait(ctx, connections) {
		_ = cmd.Process.Signal(os.Interrupt) // it still writes its report
		closed = true
	}
	<-ctx.Done()
	return out.Bytes(), closed || flag != "-X" && bytes.Contains(out.Bytes(), []byte("No open connections left"))
}

// slowAvailable reads what slowhttptest has noted every second, and says whether the service was available, as it does.
func slowAvailable(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Error(err)
		return "unknown"
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Errorf("%s: %d rows, %v", file, len(rows), err)
		return "unknown"
	}
	const column = 4 // after the second, and how many connections are closed, pending and connected
	for _, row := range rows[1:] {
		if row[column] == "0" {
			return "NO in second " + row[0]
		}
	}
	return "YES"
}

// preload compiles what gives slowhttptest a server name, and returns the library's path.
func preload(t *testing.T) string {
	t.Helper()
	lib := filepath.Join(t.TempDir(), "sni.so")
	out, err := exec.CommandContext(t.Context(), program(t, "gcc"), "-shared", "-fPIC", "-o", lib, "testdata/sni.c", "-ldl").CombinedOutput()
	if err != nil {
		t.Fatalf("compile testdata/sni.c: %v\n%s", err, out)
	}
	return lib
}

// tail is the end of a program's output.
func tail(b []byte) string {
	const most = 2000
	return string(b[max(0, len(b)-most):])
}
