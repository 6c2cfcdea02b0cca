package mux_test

import (
	"bytes"
	"io"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
)

// What goes through a pair can be counted on its way, each direction by itself.
func TestSpliceCounts(t *testing.T) {
	t.Parallel()
	for _, tt := range transports {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var down, up atomic.Int64
			client, upstream, results := chain(t, tt.pair, mux.SpliceOptions{Passed: &down})
			body := bytes.Repeat([]byte("x"), 3<<20)
			go func() {
				_, _ = client.Write(body[:1000])
				_ = netx.CloseWrite(client)
			}()
			if got, err := io.ReadAll(upstream); len(got) != 1000 || err != nil {
				t.Fatalf("upstream read %d bytes, %v", len(got), err)
			}
			go func() {
				_, _ = upstream.Write(body)
				_ = upstream.Close()
			}()
			if got, err := io.ReadAll(client); len(got) != len(body) || err != nil {
				t.Fatalf("client read %d bytes, %v; want %d", len(got), err, len(body))
			}
			for range 2 {
				<-results
			}
			if down.Load() != int64(len(body)) {
				t.Errorf("counted %d bytes to the client, want %d", down.Load(), len(body))
			}

			agent, edge := sessions(t, mux.Config{})
			st := open(t, edge, "h")
			st.CountWrites(&up)
			if _, err := st.Write(body[:100]); err != nil {
				t.Fatal(err)
			}
			peer, err := agent.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = st.WriteClose([]byte("bye")) }()
			if got, err := io.ReadAll(peer); len(got) != 104 || err != nil { // with the head
				t.Errorf("the peer read %d bytes, %v; want 104", len(got), err)
			}
			if up.Load() != 103 {
				t.Errorf("counted %d bytes written, want 103", up.Load())
			}
		})
	}
}
