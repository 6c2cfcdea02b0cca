package culvert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/viaproxy"
)

// dialWait bounds opening a connection to the server, TLS included.
const dialWait = 15 * time.Second

// dialServer opens a TLS connection to the server at addr, host:port. Its
// errors carry a code.
func (o *agentOptions) dialServer(ctx context.Context, addr string) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	conn, err := o.dialTransport(ctx, addr)
	if err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			return nil, err
		}
		return nil, fault.Wrap(err, fault.ConnectFailed, addr, err)
	}
	host, _, _ := net.SplitHostPort(addr) // parseServer made it
	config, err := o.serverTLS(host)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	client := tls.Client(netx.NewBatch(conn), config)
	if err := client.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		o.tickets.failed(config)
		return nil, handshakeFault(addr, err)
	}
	return client, nil
}

// dialTransport opens a connection to addr, through the proxy if there is one.
func (o *agentOptions) dialTransport(ctx context.Context, addr string) (net.Conn, error) {
	var dial viaproxy.DialFunc = (&net.Dialer{}).DialContext
	if o.dialer != nil {
		dial = o.dialer.DialContext
	}
	if o.proxyURL == "" {
		return dial(ctx, "tcp", addr)
	}
	proxy, err := viaproxy.Parse(o.proxyURL)
	if err != nil {
		return nil, err
	}
	return proxy.Dial(ctx, dial, addr)
}

// serverTLS returns the settings for TLS with the server called host.
func (o *agentOptions) serverTLS(host string) (*tls.Config, error) {
	config := &tls.Config{
		ServerName: host, RootCAs: o.connectCAs, MinVersion: tls.VersionTLS12,
		ClientSessionCache: o.tickets,
	}
	if o.fingerprint != "" {
		want, err := parseFingerprint(o.fingerprint)
		if err != nil {
			return nil, err
		}
		// The chain is verified below, against the one authority that counts.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyPinned(state.PeerCertificates, want, host)
		}
	}
	for _, change := range o.tlsConfig {
		change(config)
	}
	if config.CurvePreferences == nil && resumes(config) {
		config.CurvePreferences = resumedCurves()
	}
	return config, nil
}

// tickets are the TLS sessions with servers that may be resumed. Several
// failures in a row make an agent do without: its ticket may be the reason.
type tickets struct {
	tls.ClientSessionCache
	failures atomic.Int32
}

// ticketFailures is how many failures in a row a ticket survives. A server that
// is busy or starting makes for some.
const ticketFailures = 5

func newTickets() *tickets {
	return &tickets{ClientSessionCache: tls.NewLRUClientSessionCache(maxLegs)}
}

// Put keeps the ticket of a session that has come to be.
func (t *tickets) Put(server string, session *tls.ClientSessionState) {
	t.failures.Store(0)
	t.ClientSessionCache.Put(server, session)
}

// failed notes that a handshake has failed.
func (t *tickets) failed(config *tls.Config) {
	if t.failures.Add(1) > ticketFailures {
		t.Put(config.ServerName, nil)
	}
}

// resumes reports whether there is a session to be resumed.
func resumes(config *tls.Config) bool {
	if config.SessionTicketsDisabled || config.ClientSessionCache == nil {
		return false
	}
	state, ok := config.ClientSessionCache.Get(config.ServerName)
	return ok && state != nil
}

// resumedCurves is the key exchange offered to a server that we come back to: the
// one that takes the least of a processor, since all agents of a server that was
// restarted come back at once. Every server with TLS 1.3 has it.
//
// It is no hybrid, as that of the first contact is. What a resumed session says
// is kept from a quantum computer by the secret of the session before it, down to
// the first one. That secret travels in the ticket, under a key of the server's:
// who wants to read on such a computer what was recorded needs that key as well.
// Who sets curves with WithTLSConfig has these each time.
func resumedCurves() []tls.CurveID { return []tls.CurveID{tls.CurveP256} }

// parseFingerprint reads "sha256:" and 64 hexadecimal digits; colons between
// the digits are allowed, as openssl prints them.
func parseFingerprint(text string) ([]byte, error) {
	digits, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), "sha256:")
	sum, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if !ok || err != nil || len(sum) != sha256.Size {
		return nil, fault.New(fault.FingerprintInvalid, text)
	}
	return sum, nil
}

// verifyPinned verifies a chain against the certificate in it that has the
// fingerprint: the server sends its own authority.
func verifyPinned(chain []*x509.Certificate, want []byte, host string) error {
	if len(chain) == 0 {
		return errors.New("the server sent no certificate")
	}
	roots, others := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, cert := range chain {
		if sum := sha256.Sum256(cert.Raw); bytes.Equal(sum[:], want) {
			roots.AddCert(cert)
			found = true
		} else {
			others.AddCert(cert)
		}
	}
	if !found {
		return &mismatch{got: fingerprint(chain[len(chain)-1]), want: "sha256:" + hex.EncodeToString(want)}
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: others})
	return err
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// mismatch is a server with another authority than the pinned one.
type mismatch struct{ got, want string }

func (m *mismatch) Error() string { return "the server's authority is " + m.got + ", not " + m.want }

// handshakeFault explains why TLS with the server failed. What only the user
// can mend is told apart from what may pass, such as a clock that is wrong.
func handshakeFault(addr string, err error) error {
	var other *mismatch
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &other):
		return fault.Wrap(err, fault.FingerprintMismatch, addr, other.got, other.want)
	case errors.As(err, &unknown), errors.As(err, &name):
		return fault.Wrap(err, fault.ServerUntrusted, addr, err)
	case errors.As(err, &record):
		return fault.Wrap(err, fault.DiagServerProtocol, addr, "it does not speak TLS")
	}
	return fault.Wrap(err, fault.ConnectFailed, addr, err)
}
