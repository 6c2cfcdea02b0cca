package mux_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// tcpPair returns both ends of a connection over loopback.
func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	return ends(t, listenLoopback(t), func(addr net.Addr) (net.Conn, error) { return net.Dial("tcp", addr.String()) })
}

// ownPair is tcpPair with the sockets of package netx.
func ownPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	return ends(t, netx.Sockets(listenLoopback(t)), func(addr net.Addr) (net.Conn, error) { return netx.DialTCP(t.Context(), netx.AddrPort(addr)) })
}

func listenLoopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ends makes one connection through l, which it closes.
func ends(t *testing.T, l net.Listener, dial func(net.Addr) (net.Conn, error)) (near, far net.Conn) {
	t.Helper()
	defer l.Close()
	near, err := dial(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	return near, far
}

func memPair(*testing.T) (near, far net.Conn) {
	return memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
}

// chain joins a client connection with an upstream connection through two
// spliced ends of one stream, as edge and agent do.
func chain(t *testing.T, pair func(*testing.T) (net.Conn, net.Conn), o mux.SpliceOptions) (client, upstream net.Conn, results chan mux.SpliceResult) {
	t.Helper()
	agent, edge := sessions(t, mux.Config{})
	client, public := pair(t)
	local, upstream := pair(t)
	results = make(chan mux.SpliceResult, 2)
	st := open(t, edge, "h")
	go func() { results <- mux.Splice(st, public, o) }()
	go func() {
		peer, err := agent.Accept(context.Background())
		if err != nil {
			return
		}
		if _, err := io.ReadFull(peer, make([]byte, 1)); err != nil {
			return
		}
		results <- mux.Splice(peer, local, mux.SpliceOptions{})
	}()
	return client, upstream, results
}

var transports = []struct {
	name string
	pair func(*testing.T) (net.Conn, net.Conn)
}{{"socket", tcpPair}, {"own socket", ownPair}, {"memory", memPair}}

func TestT79_SplicePassesHalfClosesOn(t *testing.T) {
	t.Parallel()
	for _, tt := range transports {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, upstream, results := chain(t, tt.pair, mux.SpliceOptions{})
			up, down := make([]byte, 3<<20), make([]byte, 7<<20)
			_, _ = rand.Read(up)
			_, _ = rand.Read(down)
			go func() {
				_, _ = client.Write(up)
				_ = netx.CloseWrite(client)
			}()
			got, err := io.ReadAll(upstream)
			if err != nil || !bytes.Equal(got, up) {
				t.Fatalf("upstream read %d bytes, %v; want %d equal ones and EOF", len(got), err, len(up))
			}
			// The client has half-closed: the other direction still works.
			go func() {
				_, _ = upstream.Write(down)
				_ = upstream.Close()
			}()
			got, err = io.ReadAll(client)
			if err != nil || !bytes.Equal(got, down) {
				t.Fatalf("client read %d bytes, %v; want %d equal ones and EOF", len(got), err, len(down))
			}
			for range 2 {
				if r := <-results; r.Err != nil || r.ToConn+r.ToStream != int64(len(up)+len(down)) {
					t.Errorf("result %+v, want both bodies and no error", r)
				}
			}
		})
	}
}

func TestSpliceServerSpeaksFirst(t *testing.T) {
	t.Parallel()
	for _, tt := range transports {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, upstream, _ := chain(t, tt.pair, mux.SpliceOptions{})
			if _, err := upstream.Write([]byte("220 ready")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 9)
			if _, err := io.ReadFull(client, got); err != nil || string(got) != "220 ready" {
				t.Fatalf("read %q, %v", got, err)
			}
		})
	}
}

func TestSpliceSendsInitialBytesFirst(t *testing.T) {
	t.Parallel()
	client, upstream, _ := chain(t, tcpPair, mux.SpliceOptions{Initial: []byte("hello ")})
	if _, err := client.Write([]byte("world")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 11)
	if _, err := io.ReadFull(upstream, got); err != nil || string(got) != "hello world" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func TestSpliceEndsWithTheClient(t *testing.T) {
	t.Parallel()
	client, upstream, results := chain(t, tcpPair, mux.SpliceOptions{})
	if _, err := client.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(upstream, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = client.(*net.TCPConn).SetLinger(0)
	_ = client.Close() // RST
	if _, err := upstream.Read(make([]byte, 1)); err == nil {
		t.Fatal("upstream goes on although the client is gone")
	}
	if r := <-results; r.Err == nil {
		t.Error("the end by reset was not recorded")
	}
	<-results
}

func TestSpliceEndsWithTheSession(t *testing.T) {
	t.Parallel()
	agent, edge := sessions(t, mux.Config{})
	client, public := tcpPair(t)
	st := open(t, edge, "h")
	done := make(chan mux.SpliceResult, 1)
	go func() { done <- mux.Splice(st, public, mux.SpliceOptions{}) }()
	accept(t, agent)
	_ = agent.Close()
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Fatal("the client's connection outlives the session")
	}
	if r := <-done; !errors.Is(r.Err, net.ErrClosed) {
		t.Fatalf("ended with %v, want the session's cause", r.Err)
	}
}

func TestSpliceIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, edge := sessions(t, mux.Config{})
		client, public := memPair(t)
		st := open(t, edge, "h")
		done := make(chan mux.SpliceResult, 1)
		start := time.Now()
		go func() { done <- mux.Splice(st, public, mux.SpliceOptions{Idle: time.Minute}) }()
		time.Sleep(30 * time.Second)
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		r := <-done
		if d := time.Since(start); !errors.Is(r.Err, mux.ErrIdle) || d < 90*time.Second || d > 2*time.Minute {
			t.Fatalf("ended after %v with %v; want the idle time after the last byte, 30 s in", d, r.Err)
		}
	})
}

func TestT79_SlowClientHoldsAWindow(t *testing.T) {
	t.Parallel()
	agent, edge := sessions(t, mux.Config{})
	client, public := tcpPair(t)
	st := open(t, edge, "h")
	done := make(chan mux.SpliceResult, 1)
	go func() { done <- mux.Splice(st, public, mux.SpliceOptions{}) }()
	peer := accept(t, agent)
	_ = peer.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	n, err := peer.Write(make([]byte, 64<<20))
	if err == nil {
		t.Fatal("64 MiB went to a client that reads nothing")
	}
	if held := edge.Unread(); held > mux.Window {
		t.Fatalf("%d bytes wait at the edge, want a window at most", held)
	}
	_ = peer.CloseWrite()
	got, err := io.Copy(io.Discard, client)
	if err != nil || got != int64(n) {
		t.Fatalf("the client read %d bytes, %v; want the %d that were accepted", got, err, n)
	}
	_ = client.Close()
	<-done
}

// TestT79_DeadAgentHoldsLittle: a connection whose agent takes nothing holds one
// read, which is two frames, besides what the session has room for.
func TestT79_DeadAgentHoldsLittle(t *testing.T) {
	edge, peer := against(t, mux.Server, mux.Config{}) // nobody reads the other end
	_ = peer
	const connections = 40
	chunk := make([]byte, 1<<20)
	before := heap()
	var wg sync.WaitGroup
	for range connections {
		client, public := tcpPair(t)
		st := open(t, edge, "h")
		wg.Go(func() { mux.Splice(st, public, mux.SpliceOptions{}) })
		_ = client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		_, _ = client.Write(chunk) // as much as goes
	}
	shared := int64(2*256<<10+2*(mux.HighWater+2*frame.MaxSend)) + pooled() // transport, output
	each := (heap() - before - shared) / connections
	t.Logf("%d KiB each", each>>10)
	if each > 64<<10+16<<10 { // and stacks
		t.Errorf("a connection holds %d bytes, want two frames", each)
	}
	_ = edge.Close()
	wg.Wait()
}
