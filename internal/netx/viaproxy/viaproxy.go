package viaproxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// DialFunc opens a connection, as net.Dialer.DialContext does.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Proxy is a forward proxy.
type Proxy struct {
	url  *url.URL
	addr string
}

// defaultPorts has the schemes of proxies and the ports they imply.
func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	case "socks5", "socks5h":
		return "1080"
	}
	return ""
}

// Parse reads a proxy URL: http, https, socks5 or socks5h, a host, and
// optionally a port and user:password. Both SOCKS schemes mean the same. Its
// errors carry fault.ProxyInvalid.
func Parse(text string) (*Proxy, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, fault.New(fault.ProxyInvalid, redact(text), "it has no scheme or no host")
	}
	port := defaultPort(u.Scheme)
	switch {
	case port == "":
		return nil, fault.New(fault.ProxyInvalid, u.Redacted(), "the scheme "+u.Scheme+" is not supported")
	case u.Hostname() == "":
		return nil, fault.New(fault.ProxyInvalid, u.Redacted(), "it has no host")
	case (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "":
		return nil, fault.New(fault.ProxyInvalid, u.Redacted(), "it must end after host and port")
	}
	if p := u.Port(); p != "" {
		port = p
	}
	return &Proxy{url: u, addr: net.JoinHostPort(u.Hostname(), port)}, nil
}

// redact keeps what is left of the last @ of a text that is no URL out of
// messages, since it may be a password.
func redact(text string) string {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '@' {
			return "…" + text[i:]
		}
	}
	return text
}

// String returns the URL without its password.
func (p *Proxy) String() string { return p.url.Redacted() }

// Addr returns host:port of the proxy.
func (p *Proxy) Addr() string { return p.addr }

// Dial connects to the proxy with base and has it connect to addr, host:port.
// It gives up when ctx ends. Its errors carry fault.ProxyFailed.
func (p *Proxy) Dial(ctx context.Context, base DialFunc, addr string) (net.Conn, error) {
	conn, err := base(ctx, "tcp", p.addr)
	if err != nil {
		return nil, fault.Wrap(err, fault.ProxyFailed, p.String(), err)
	}
	// The end of ctx breaks whatever the handshake is waiting for.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	through, err := p.handshake(ctx, conn, addr)
	if err == nil && !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		stop()
		conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, fault.Wrap(err, fault.ProxyFailed, p.String(), err)
	}
	return through, nil
}

func (p *Proxy) handshake(ctx context.Context, conn net.Conn, addr string) (net.Conn, error) {
	switch p.url.Scheme {
	case "http":
		return p.connect(conn, addr)
	case "https":
		tc := tls.Client(conn, &tls.Config{ServerName: p.url.Hostname(), MinVersion: tls.VersionTLS12})
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		return p.connect(tc, addr)
	default:
		return conn, p.socks5(conn, addr)
	}
}
