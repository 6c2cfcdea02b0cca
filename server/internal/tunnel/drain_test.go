package tunnel

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"
)

// TestD10_StalledHandshakeDoesNotHoldUpClosing: a stranger that connects and says
// nothing has fifteen seconds, which a server that ends does not wait for.
func TestD10_StalledHandshakeDoesNotHoldUpClosing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, w *world) {
		w.connect("192.0.2.1")
		synctest.Wait()
		start := time.Now()
		w.srv.Close()
		if d := time.Since(start); d != 0 {
			t.Errorf("Close took %v, want it to end the handshake at once", d)
		}
	}, func(c *Config) { c.TLS = &tls.Config{} })
}
