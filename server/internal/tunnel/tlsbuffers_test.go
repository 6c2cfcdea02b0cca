package tunnel

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/certs"
)

// kept is how much the buffers of a connection hold.
func kept(c *tls.Conn) (n int) {
	for _, at := range buffers {
		n += (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(c), at)).Cap()
	}
	return n
}

// TestF04_IdleSessionsKeepNoBuffers: neither those of the handshake, nor those
// of traffic once it is over, and nothing that is received gets lost thereby. It
// fails with a version of crypto/tls whose buffers are called otherwise.
func TestF04_IdleSessionsKeepNoBuffers(t *testing.T) {
	t.Parallel()
	if got := len(buffers); got != 2 {
		t.Fatalf("found %d buffers of a TLS connection, want 2", got)
	}
	synctest.Test(t, func(t *testing.T) {
		store, err := certs.Open(certs.Config{Dir: t.TempDir(), Domains: []string{"culvert.localhost"}})
		if err != nil {
			t.Fatal(err)
		}
		a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
		defer a.Close()
		defer b.Close()
		//nolint:gosec // the server is the test's own
		agent := tls.Client(b, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
		large := bytes.Repeat([]byte("large"), 3000)
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() {
			if err := agent.HandshakeContext(t.Context()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second) // nothing comes together with the handshake
			for _, text := range [][]byte{large, []byte("beat"), []byte("beat"), large} {
				if _, err := agent.Write(text); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Second)
			}
		})
		deadline := time.Now().Add(time.Minute)
		secured, err := handshake(t.Context(), a, newTurns(1).pace(store.AgentTLS()), deadline, deadline)
		if err != nil {
			t.Fatal(err)
		}
		conn := secured.(*tls.Conn)
		if got := kept(conn); got != 0 {
			t.Errorf("after the handshake %d bytes are kept, want none", got)
		}
		g := newGate(conn, 1<<20)
		for i, want := range [][]byte{large, []byte("beat"), []byte("beat"), large} {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(g, got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("message %d: got %d bytes, error %v, want those that were sent", i, len(got), err)
			}
			if got, most := kept(conn), 1<<10; i == 2 && got > most {
				t.Errorf("10 s after the last large message %d bytes are kept, want at most %d", got, most)
			}
		}
	})
}
