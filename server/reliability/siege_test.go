//go:build !race

package reliability

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/node"
)

// siegeEnv holds what attackers need to know of the server, in their process.
const siegeEnv = "CULVERT_SIEGE"

// besiegedServer is what they need to know.
type besiegedServer struct {
	HTTP, HTTPS, Agent netip.AddrPort
	HTTPSPort          uint16
	CAFile, URL        string
}

// besiege starts the test's attackers as a process of their own, of the least
// priority: what they compute is not to be taken from the server and its ordinary
// clients. The function returned ends them.
func besiege(t *testing.T, w *world, u string) (over func()) {
	t.Helper()
	addr := func(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() } //nolint:forcetypeassert // of loopback
	text, err := json.Marshal(besiegedServer{
		HTTP: addr(w.info.HTTP), HTTPS: addr(w.info.HTTPS), Agent: addr(w.info.Agent), HTTPSPort: w.info.HTTPSPort,
		CAFile: w.info.CAFile, URL: u,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nice", "-n", "19", os.Args[0], "-test.run=^"+t.Name()+"$") //nolint:gosec // this very program
	cmd.Env = append(os.Environ(), siegeEnv+"="+string(text))
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		_ = in.Close() // which tells them to end
		if err := cmd.Wait(); err != nil {
			t.Errorf("the attackers: %v", err)
		}
	})
}

// besieged returns the world as the attackers' process sees it and the URL of an
// endpoint, or nil in any other process.
func besieged(t *testing.T) (*world, string) {
	t.Helper()
	text := os.Getenv(siegeEnv)
	if text == "" {
		return nil, ""
	}
	var s besiegedServer
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, net: Loopback{}, cas: x509.NewCertPool(), info: node.Info{
		HTTP: net.TCPAddrFromAddrPort(s.HTTP), HTTPS: net.TCPAddrFromAddrPort(s.HTTPS),
		Agent: net.TCPAddrFromAddrPort(s.Agent), HTTPSPort: s.HTTPSPort,
	}}
	w.cas.AppendCertsFromPEM(pem)
	return w, s.URL
}

// attack attacks until the other process says that it is enough.
func attack(t *testing.T, attacks map[string]func(context.Context)) {
	t.Helper()
	ctx, over := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for name, f := range attacks {
		wg.Go(func() {
			f(ctx)
			if ctx.Err() == nil {
				t.Errorf("the attack %q ended by itself", name)
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	over()
	wg.Wait()
}

// siege lets the attacks of the test loose on a server while an ordinary agent
// serves ordinary clients, who must not notice. Memory may grow by growth bytes
// meanwhile, and when the attacks are over nothing of them may be left. It shares
// its process with no other test, for memory's sake, and not with the attackers,
// who in life compute on machines of their own.
func siege(t *testing.T, w *world, u string, growth int64) {
	t.Helper()
	load := w.load(u, func(c *LoadConfig) { c.Upload, c.Pace = 1<<20, Pace(offered) })
	await(t, load, 10)
	base := heap()
	quiet := rate(t, load, func() { await(t, load, 20) })
	over := besiege(t, w, u)
	var peak int64
	besieged := rate(t, load, func() {
		for range 10 {
			await(t, load, 10)
			peak = max(peak, heap()-base)
		}
	})
	over()
	counts := load.Stop()
	only(t, counts)
	eventually(t, "the attackers' sessions have ended", func() bool { return w.node.Tunnels().NumSessions() == 1 })
	eventually(t, "no stream is left", func() bool { return w.node.Open() == 0 })
	if peak > growth {
		t.Errorf("memory grew by %d MiB, want at most %d MiB", peak>>20, growth>>20)
	}
	c := w.client(true)
	if o, _ := Get(t.Context(), c, u, false, 1000); o != OK {
		t.Errorf("after the siege: %q", o)
	}
	t.Logf("memory grew by %d MiB; %.0f requests/s before, %.0f beside the attacks (%.0f %%); load: %v",
		peak>>20, quiet, besieged, 100*besieged/quiet, counts)
}

// offered is how many requests a second ordinary clients make at most. What the
// attacks take of the processors is theirs and the server's together, so there has
// to be room left for both.
const offered = 100

// rate returns how many requests a second are answered while f runs, all of which
// have to be fine.
func rate(t *testing.T, load *Load, f func()) float64 {
	t.Helper()
	before, start := load.Counts(), time.Now()
	f()
	counts, took := load.Counts().Since(before), time.Since(start)
	only(t, counts)
	return float64(counts.Sum(func(kind string, _ Outcome) bool { return kind == kindH1 || kind == kindH2 })) / took.Seconds()
}

// heap is the memory in use, rubbish excluded.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
