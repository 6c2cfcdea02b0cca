package mux_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// There is nobody to say goodbye to when the peer is gone: the session ends in
// no time, whatever it was sending.
func TestLostPeerEndsTheSessionAtOnce(t *testing.T) {
	t.Parallel()
	ends := map[string]func(net.Conn){
		"finished": func(c net.Conn) { _ = netx.CloseWrite(c) },
		"gone":     func(c net.Conn) { _ = c.Close() },
	}
	for _, secured := range []bool{false, true} {
		for name, lose := range ends {
			for _, busy := range []bool{false, true} {
				t.Run(map[bool]string{false: "plain ", true: "TLS "}[secured]+name+map[bool]string{false: " idle", true: " busy"}[busy], func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
						near := a
						if secured {
							near = handshaken(t, a, b)
						}
						s := mux.New(near, mux.Config{Role: mux.Server})
						ran := make(chan error, 1)
						go func() { ran <- s.Run(context.Background()) }()
						if busy { // until the transport takes no more
							for range 4 {
								go func() {
									st, _ := s.Open(context.Background(), []byte("x"))
									_, _ = st.Write(make([]byte, mux.Window-1))
								}()
							}
							synctest.Wait()
						}
						start := time.Now()
						lose(b)
						<-ran
						if d := time.Since(start); d != 0 {
							t.Errorf("the session took %v to end", d)
						}
					})
				})
			}
		}
	}
}

// handshaken returns the client's end of a TLS connection over a batch. What
// the server's end would read stays in b.
func handshaken(t *testing.T, a, b net.Conn) net.Conn {
	t.Helper()
	client := tls.Client(netx.NewBatch(a), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the peer is this test
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	go func() { _ = server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	return client
}

// Whoever routes to a session must know of its end before the peer does, who
// may be slow to hear of it.
func TestOwnerHearsOfTheEndFirst(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*mux.Session, net.Conn){
		"closed":         func(s *mux.Session, _ net.Conn) { _ = s.Close() },
		"protocol error": func(_ *mux.Session, peer net.Conn) { _, _ = peer.Write(syn(2, "our parity")) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
				heard := make(chan time.Time, 1)
				s := run(t, a, mux.Server, mux.Config{Ended: func() { heard <- time.Now() }})
				for range 3 { // until the transport takes no more
					st := open(t, s, "x")
					go func() { _, _ = st.Write(make([]byte, mux.Window)) }()
				}
				st := open(t, s, "x")
				synctest.Wait()
				start := time.Now()
				go end(s, b)
				if d := (<-heard).Sub(start); d != 0 {
					t.Errorf("told after %v", d)
				}
				if _, err := st.Write([]byte("x")); err == nil || time.Since(start) != 0 {
					t.Errorf("a write fails with %v after %v, want it at once", err, time.Since(start))
				}
			})
		})
	}
}

// A peer gets the last frame and a regular end although much of what it sent
// was not read. Closing with unread input would reset the connection.
func TestGoodbyeArrivesAtAPeerThatSends(t *testing.T) {
	t.Parallel()
	for _, secured := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "TLS"}[secured], func(t *testing.T) {
			t.Parallel()
			peer, transport := tcpPair(t)
			near := transport
			if secured {
				near = tls.Server(netx.NewBatch(transport), &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
				client := tls.Client(peer, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the server is this test
				go func() { _ = client.Handshake() }()
				if err := near.(*tls.Conn).Handshake(); err != nil {
					t.Fatal(err)
				}
				peer = client
			}
			ran := make(chan error, 1)
			s := mux.New(near, mux.Config{Role: mux.Server})
			// All of it is in our socket before the session reads the first byte.
			if _, err := peer.Write(append(syn(2, "our parity"), data(3, 200<<10)...)); err != nil {
				t.Fatal(err)
			}
			go func() { ran <- s.Run(context.Background()) }()
			got, err := io.ReadAll(peer)
			if err != nil || len(got) == 0 || frame.ParseHeader(got).Type != frame.GoAway {
				t.Fatalf("the peer reads % x, %v; want a GOAWAY and a regular end", got, err)
			}
			if _, err := peer.Write(data(3, 100<<10)); err != nil { // what was on its way
				t.Errorf("the peer writes: %v, want it taken until it has heard of the end", err)
			}
			_ = peer.Close()
			<-ran
		})
	}
}

// A peer that does not go is not waited for.
func TestGoodbyeIsBounded(t *testing.T) {
	t.Parallel()
	peers := map[string]func(net.Conn){
		"silent": func(net.Conn) {},
		"sends for ever": func(c net.Conn) {
			for buf := make([]byte, 64<<10); ; {
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		},
		"sends slowly": func(c net.Conn) {
			for {
				if _, err := c.Write([]byte{0}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		},
	}
	for name, act := range peers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
				s := mux.New(a, mux.Config{Role: mux.Server})
				ran := make(chan error, 1)
				go func() { ran <- s.Run(context.Background()) }()
				synctest.Wait()
				start := time.Now()
				_ = s.Close()
				acted := make(chan struct{})
				go func() {
					defer close(acted)
					act(b)
				}()
				<-ran
				if d := time.Since(start); d > time.Second {
					t.Errorf("the session took %v to end", d)
				}
				<-acted
			})
		})
	}
}
