package mux_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
)

// recorder is a Tap that keeps what it gets.
type recorder struct {
	mu               sync.Mutex
	toConn, toStream bytes.Buffer // guarded by mu
	ended            bool
}

func (r *recorder) ToConn(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.toConn.Write(p)
}

func (r *recorder) ToStream(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = len(p) == 0
	r.toStream.Write(p)
}

func TestTapGetsEveryByteOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range transports {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tap := &recorder{}
			client, upstream, results := chain(t, tt.pair, mux.SpliceOptions{Initial: []byte("first"), Tap: tap})
			up, down := make([]byte, 1<<20), make([]byte, 9<<20) // more than a socket takes at once
			_, _ = rand.Read(up)
			_, _ = rand.Read(down)
			read := make(chan struct{})
			go func() {
				_, _ = client.Write(up)
				_ = netx.CloseWrite(client)
				_, _ = upstream.Write(down)
				<-read // closing with something unread is a reset
				_ = upstream.Close()
			}()
			go func() {
				defer close(read)
				_, _ = io.Copy(io.Discard, upstream)
			}()
			if n, err := io.Copy(io.Discard, client); err != nil || n != int64(len(down)) {
				t.Fatalf("client read %d bytes, %v; want %d", n, err, len(down))
			}
			for range 2 {
				<-results
			}
			tap.mu.Lock()
			defer tap.mu.Unlock()
			if !bytes.Equal(tap.toConn.Bytes(), down) {
				t.Errorf("to the connection: got %d bytes, want the %d that were sent", tap.toConn.Len(), len(down))
			}
			if want := append([]byte("first"), up...); !bytes.Equal(tap.toStream.Bytes(), want) || !tap.ended {
				t.Errorf("to the stream: got %d bytes, end %v, want the %d that were sent, and their end", tap.toStream.Len(), tap.ended, len(want))
			}
		})
	}
}
