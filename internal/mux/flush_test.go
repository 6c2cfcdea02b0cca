package mux_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// counted counts what in production are system calls.
type counted struct {
	net.Conn
	writes atomic.Int64
}

func (c *counted) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

// A flush is one write to the transport, however many records it makes, and a
// Write is one flush, however many frames it makes.
func TestOneWritePerFlush(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	transport := &counted{Conn: a}
	client := tls.Client(netx.NewBatch(transport), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the peer is this test
	server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
	go func() { _ = server.Handshake() }()
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	near, far := run(t, client, mux.Client, mux.Config{}), run(t, server, mux.Server, mux.Config{})
	st := open(t, near, "head")
	read := make(chan int64, 1)
	go func() {
		peer, err := far.Accept(context.Background())
		if err == nil {
			n, _ := io.Copy(io.Discard, peer)
			read <- n
		}
	}()
	before := transport.writes.Load()
	const writes, size = 100, 64_000
	for range writes {
		if _, err := st.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	_ = st.CloseWrite()
	if n := <-read; n != writes*size+4 {
		t.Fatalf("the peer read %d bytes, want %d", n, writes*size+4)
	}
	calls, flushes := transport.writes.Load()-before, int64(near.Flushes())
	if calls > flushes {
		t.Errorf("%d system calls for %d flushes, want one each", calls, flushes)
	}
	if most := int64(writes + writes*size/mux.Window*2 + 2); flushes > most {
		t.Errorf("%d flushes for %d writes, want %d at most", flushes, writes, most)
	}
}
