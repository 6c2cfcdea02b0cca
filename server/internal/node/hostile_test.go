package node_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// A token that is deleted ends the sessions that it let in within
// five seconds, and lets no more in.
func TestT63_RevocationEndsLiveSessions(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := nodetest.Start(t)
		a := s.Agent()
		s.ServeHTTP(a, nodetest.Text("hello"), culvert.WithURL("https://h.culvert.localhost"))
		api := s.API()
		tokens := api.List("/credentials")
		if len(tokens) != 1 {
			t.Fatalf("credentials = %v, want one", tokens)
		}
		time.Sleep(10 * time.Second)
		if n := s.Node.Tunnels().NumSessions(); n != 1 {
			t.Fatalf("%d sessions while the token is valid, want 1", n)
		}
		api.Must(204, "DELETE", "/credentials/"+tokens[0]["id"].(string), "")
		time.Sleep(5 * time.Second)
		if n := s.Node.Tunnels().NumSessions(); n != 0 {
			t.Errorf("%d sessions 5 s after the token was revoked, want none", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.Agent().Connect(ctx); err == nil {
			t.Error("the revoked token lets an agent in")
		}
	})
}

// dialAgent opens TLS to the agent listener as an agent does.
func dialAgent(t *testing.T, s *nodetest.Server) *tls.Conn {
	t.Helper()
	c := tls.Client(s.Dial(s.Info.Agent.String()), &tls.Config{RootCAs: s.CAs, ServerName: "localhost", MinVersion: tls.VersionTLS12})
	if err := c.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func stockAuth() wire.Auth {
	return wire.Auth{Version: []string{"3", "2"}, Extra: wire.AuthExtra{Authtoken: nodetest.Token, UserAgent: "ngrok-go/2.1.1"}}
}

// A flood of binds that are too large is refused one by one; nobody else
// notices, and nothing of it stays.
func TestT64_BindFloodWithLargeMetadata(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("hello"))
	m := mux.New(dialAgent(t, s), mux.Config{Role: mux.Client})
	ended := make(chan struct{})
	go func() { defer close(ended); _ = m.Run(context.Background()) }()
	defer func() { m.Close(); <-ended }()
	p := wire.NewPeer(m)
	var auth wire.AuthResp
	if err := p.Call(t.Context(), wire.TypeAuth, stockAuth(), &auth); err != nil || auth.Error != "" {
		t.Fatalf("auth: %v, %q", err, auth.Error)
	}
	big := wire.Bind{Proto: "https", Extra: wire.BindExtra{Metadata: strings.Repeat("m", 64<<10)}}
	for i := range 1000 {
		var resp wire.BindResp
		if err := p.Call(t.Context(), wire.TypeBind, big, &resp); err != nil {
			t.Fatalf("bind %d: %v", i, err)
		}
		if f := fault.ParseWire(resp.Error); f == nil || f.Code != fault.MetadataTooLong {
			t.Fatalf("bind %d: got %q, want %s", i, resp.Error, fault.MetadataTooLong)
		}
	}
	if _, body := s.Get(ln.URL().String()); body != "hello" {
		t.Errorf("another agent's endpoint gives %q", body)
	}
	var resp wire.BindResp
	if err := p.Call(t.Context(), wire.TypeBind, wire.Bind{Proto: "https"}, &resp); err != nil || resp.Error != "" {
		t.Errorf("a bind after the flood: %v, %q", err, resp.Error)
	}
}

// frame makes one frame of the multiplexer.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind)<<4|uint32(flags)) //nolint:gosec // short
	b = binary.BigEndian.AppendUint32(b, stream)
	return append(b, payload...)
}

func word(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// many repeats what f makes for one stream id after the other.
func many(n int, f func(id uint32) []byte) []byte {
	var b bytes.Buffer
	for i := range n {
		b.Write(f(uint32(5 + 2*i))) //nolint:gosec // small
	}
	return b.Bytes()
}

// Whatever an agent sends once it is in, the others are served on, and it takes
// no more than a megabyte at rest. Not parallel, for it measures memory.
func TestT64_HostileFramesHurtNobody(t *testing.T) {
	s := nodetest.Start(t)
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("hello"))
	const (
		rst, data, wndinc, goaway = 0, 1, 2, 3
		fin, syn                  = 1, 2
	)
	typed := func(n uint32, text string) []byte { return append(word(n), text...) }
	attacks := map[string][]byte{
		"a frame that never comes": {0xff, 0xff, 0xff, data<<4 | syn, 0, 0, 0, 5, 0, 0, 0, 1},
		"beyond the window":        bytes.Join([][]byte{frame(data, syn, 5, typed(1, "{")), bytes.Repeat(frame(data, 0, 5, make([]byte, 16<<10)), 64)}, nil),
		"empty increments":         bytes.Repeat(frame(wndinc, 0, 3, word(0)), 1000),
		"increments that overflow": bytes.Join([][]byte{frame(data, syn, 5, word(1)), bytes.Repeat(frame(wndinc, 0, 5, word(0x7fffffff)), 1000)}, nil),
		"streams without end":      many(20_000, func(id uint32) []byte { return frame(data, syn, id, word(1)) }),
		"streams without a type":   many(20_000, func(id uint32) []byte { return frame(data, syn, id, nil) }),
		"a storm of resets":        many(20_000, func(id uint32) []byte { return append(frame(data, syn, id, word(1)), frame(rst, 0, id, word(6))...) }),
		"opened and closed":        many(20_000, func(id uint32) []byte { return frame(data, syn|fin, id, word(1)) }),
		"heartbeats":               many(5000, func(id uint32) []byte { return frame(data, syn, id, typed(0xffffffff, "beat")) }),
		"streams of the server":    frame(data, syn, 4, word(1)),
		"stream 0":                 frame(data, 0, 0, []byte("x")),
		"a short reset":            frame(rst, 0, 3, []byte("x")),
		"a short goodbye":          frame(goaway, 0, 0, []byte("x")),
		"frames after a goodbye":   bytes.Join([][]byte{frame(goaway, 0, 0, make([]byte, 8)), many(100, func(id uint32) []byte { return frame(data, syn, id, word(1)) })}, nil),
		"an unknown frame":         frame(9, 0, 3, []byte("x")),
		"binds without an end":     many(2000, func(id uint32) []byte { return frame(data, syn, id, typed(1, `{"Proto":"https","ForwardsTo":"`)) }),
	}
	// What the runtime keeps of goroutines that have ended is nobody's: the first
	// round pays for it.
	for round := range 2 {
		for name, bad := range attacks {
			before := heap()
			c := hostile(t, s, bad)
			if _, body := s.Get(ln.URL().String()); body != "hello" {
				t.Errorf("%s: another agent's endpoint gives %q", name, body)
			}
			// Requests that never come to their end wait for it, some 1200 of them at
			// once: agents may bind a thousand endpoints together.
			most := int64(1 << 20)
			if strings.Contains(name, "without") {
				most = 8 << 20
			}
			more := heap() - before
			for tick, end := time.NewTicker(50*time.Millisecond), time.Now().Add(20*time.Second); round > 0 && more > most && time.Now().Before(end); <-tick.C {
				more = heap() - before // what is under way comes to rest
			}
			if round > 0 && more > most {
				t.Errorf("%s: takes %d KiB, want at most %d", name, more>>10, most>>10)
			}
			_ = c.Close()
		}
	}
}

// hostile is an agent that is let in and then sends what it is given.
func hostile(t *testing.T, s *nodetest.Server, bad []byte) net.Conn {
	t.Helper()
	c := dialAgent(t, s)
	text, err := json.Marshal(stockAuth())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(frame(1, 2, 3, append(word(0), text...))); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil { // of the answer: it is in
		t.Fatal(err)
	}
	drained := make(chan struct{})
	go func() { defer close(drained); _, _ = io.Copy(io.Discard, c) }()
	t.Cleanup(func() { _ = c.Close(); <-drained })
	_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second)) // who is cut off cannot write
	_, _ = c.Write(bad)
	return c
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below
}
