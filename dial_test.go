package culvert

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
)

// TestF34_AgentsResumeTLS: who comes back to a server is spared its certificate,
// and the hybrid key exchange of the first contact. Failures in between are no reason to do without, a row of them is.
func TestF34_AgentsResumeTLS(t *testing.T) {
	t.Parallel()
	made := httptest.NewTLSServer(nil)
	made.Close() // only for its certificate
	config := &tls.Config{Certificates: made.TLS.Certificates}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ln.Close() //nolint:errcheck // ends Accept
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("x")) // behind it comes no ticket any more
			_ = c.Close()
		}
	})
	o := defaultAgentOptions()
	o.connectCAs = x509.NewCertPool()
	o.connectCAs.AddCert(made.Certificate())
	for i, tt := range []struct {
		failures int
		resumed  bool
		curve    tls.CurveID
	}{
		{0, false, tls.X25519MLKEM768},
		{0, true, tls.CurveP256},
		{3, true, tls.CurveP256},
		{3, true, tls.CurveP256},
		{9, false, tls.X25519MLKEM768},
		{0, true, tls.CurveP256},
	} {
		for range tt.failures {
			o.tickets.failed(&tls.Config{ServerName: "127.0.0.1"}) //nolint:gosec // only named
		}
		c, err := o.dialServer(t.Context(), ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if got := c.ConnectionState(); got.DidResume != tt.resumed || got.CurveID != tt.curve {
			t.Errorf("connection %d: resumed %v with %v, want %v with %v", i, got.DidResume, got.CurveID, tt.resumed, tt.curve)
		}
		_ = c.Close()
	}
}

// TestF34_WaitingForATurnIsWaiting: an agent that a busy server has turned away
// after a long wait comes back soon, but not together with the others; one that
// was refused at once waits as long as the back-off says.
func TestF34_WaitingForATurnIsWaiting(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for _, tt := range []struct{ delay, taken, least, most time.Duration }{
		{4 * s, 0, 4 * s, 4 * s},
		{4 * s, 100 * time.Millisecond, 4 * s, 4 * s},
		{4 * s, s, 3 * s, 3 * s},
		{4 * s, 10 * s, 0, backoff.DefaultMin},
		{0, 10 * s, 0, backoff.DefaultMin},
	} {
		for range 100 {
			if got := spread(tt.delay, tt.taken); got < tt.least || got > tt.most {
				t.Fatalf("spread(%v, %v) = %v, want %v to %v", tt.delay, tt.taken, got, tt.least, tt.most)
			}
		}
	}
}
