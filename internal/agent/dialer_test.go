package agent

import (
	"net"
	"testing"
)

func TestNamesBelowLocalhostAreThisMachine(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "connect.tunnel.localhost", "A.LOCALHOST."} {
		c, err := localDialer{&net.Dialer{}}.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Errorf("dial %s: %v", host, err)
			continue
		}
		_ = c.Close()
	}
}
