package agent_test

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/agent"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// wireCutter passes connections on to an address, until it is told to swallow
// everything without closing anything, as a broken network does.
type wireCutter struct {
	addr  string
	cut   atomic.Bool
	mu    sync.Mutex
	conns []net.Conn // guarded by mu
}

func newWireCutter(t *testing.T, to string) *wireCutter {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &wireCutter{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			wg.Go(func() { c.pass(in, out) })
			wg.Go(func() { c.pass(out, in) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		c.mu.Lock()
		for _, conn := range c.conns {
			_ = conn.Close()
		}
		c.mu.Unlock()
		wg.Wait()
	})
	return c
}

func (c *wireCutter) pass(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if c.cut.Load() {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func TestAgent31_SilentCutIsNoticed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wiretest.Script{})
	cutter := newWireCutter(t, w.addr)
	s := w.settings(t)
	s.Server = cutter.addr
	s.HeartbeatInterval, s.HeartbeatTolerance, s.ConnectTimeout = 50*time.Millisecond, 200*time.Millisecond, time.Second
	r := start(t, agent.Config{Settings: s, Specs: specs(t, "- {name: web, url: https://app.example, upstream: {url: 1}}\n")})
	r.log.wait(t, `msg="started tunnel"`)
	cutter.cut.Store(true)
	r.log.wait(t, `lvl=eror msg="heartbeat timeout, terminating session" obj=csess`)
	r.log.wait(t, `msg="session closed, starting reconnect loop" obj=csess`)
	cutter.cut.Store(false)
	r.log.waitNth(t, 2, `msg="client session established"`)
	r.lines.waitNth(t, 2, `"event":"session"`, `"state":"online"`)
	if !w.server.Bound(t.Context(), "https://app.example") {
		t.Error("the endpoint did not come back")
	}
}
