package mux_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// relay passes on what from sends, as pass would have it, until one of both
// ends.
func relay(from, to net.Conn, pass func(to io.Writer, b []byte) error) {
	buf := make([]byte, 256<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && pass(to, buf[:n]) != nil {
			_ = from.Close()
			return
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			_ = netx.CloseWrite(to)
			return
		}
	}
}

// relayed returns sessions over TLS whose ciphertext goes through up and down.
func relayed(t *testing.T, up, down func(io.Writer, []byte) error) (client, server *mux.Session) {
	t.Helper()
	a, ra := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	rb, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	var relays sync.WaitGroup
	relays.Go(func() { relay(ra, rb, up) })
	relays.Go(func() { relay(rb, ra, down) })
	t.Cleanup(relays.Wait)
	c := tls.Client(netx.NewBatch(a), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the peer is this test
	s := tls.Server(netx.NewBatch(b), &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	go func() { _ = c.Handshake() }()
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	return run(t, c, mux.Client, mux.Config{}), run(t, s, mux.Server, mux.Config{})
}

// TestF06_AnySlicing: however the network cuts and joins what is sent, the same
// bytes arrive.
func TestF06_AnySlicing(t *testing.T) {
	t.Parallel()
	cuts := map[string]func(io.Writer, []byte) error{
		"byte by byte": func(to io.Writer, b []byte) error {
			for i := range b {
				if _, err := to.Write(b[i : i+1]); err != nil {
					return err
				}
			}
			return nil
		},
		"joined": func(to io.Writer, b []byte) error {
			time.Sleep(time.Millisecond) // more is read at once next time
			_, err := to.Write(b)
			return err
		},
		"cut at 1369": func(to io.Writer, b []byte) error {
			for len(b) > 0 {
				n := min(len(b), 1369)
				if _, err := to.Write(b[:n]); err != nil {
					return err
				}
				b = b[n:]
			}
			return nil
		},
	}
	for name, pass := range cuts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, server := relayed(t, pass, pass)
				go echo(server)
				var wg sync.WaitGroup
				for i := range 4 {
					wg.Go(func() {
						want := body(i)
						st := open(t, client, string(want[:1]))
						go func() {
							_, _ = st.Write(want[1:])
							_ = st.CloseWrite()
						}()
						if got, err := io.ReadAll(st); err != nil || !bytes.Equal(got, want) {
							t.Errorf("stream %d: %d bytes, %v; want %d equal ones", i, len(got), err, len(want))
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

// body returns 60 KB that differ from stream to stream.
func body(i int) []byte {
	b := make([]byte, 60_000)
	for j := range b {
		b[j] = pattern(uint64(i), j) //nolint:gosec // a small number
	}
	return b
}

// TestF06_OneBitFlipped: the session ends, and no stream gets anything that was
// not sent or takes the end for a regular one.
func TestF06_OneBitFlipped(t *testing.T) {
	t.Parallel()
	plain := func(to io.Writer, b []byte) error {
		_, err := to.Write(b)
		return err
	}
	for _, at := range []int{4_000, 4_005, 10_001, 50_000, 77_777, 120_000, 200_000} {
		for _, upward := range []bool{true, false} {
			t.Run(fmt.Sprint(at, upward), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					passed := 0
					flip := func(to io.Writer, b []byte) error {
						if i := at - passed; i >= 0 && i < len(b) {
							b[i] ^= 1 << (at % 8)
						}
						passed += len(b)
						return plain(to, b)
					}
					up, down := flip, plain
					if !upward {
						up, down = plain, flip
					}
					client, server := relayed(t, up, down)
					go echo(server)
					var wg sync.WaitGroup
					for i := range 4 { // 240 KB each way
						wg.Go(func() {
							want := body(i)
							st, err := client.Open(context.Background(), want[:1])
							if err != nil {
								return // ended already
							}
							go func() {
								_, _ = st.Write(want[1:])
								_ = st.CloseWrite()
							}()
							got, err := io.ReadAll(st)
							if !bytes.HasPrefix(want, got) || err == nil && len(got) < len(want) {
								t.Errorf("stream %d: %d bytes, %v; want a part of what was sent and no regular end", i, len(got), err)
							}
						})
					}
					wg.Wait()
					<-client.Done()
					<-server.Done()
				})
			})
		}
	}
}
