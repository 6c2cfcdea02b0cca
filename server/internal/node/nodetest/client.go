package nodetest

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

// Client returns an HTTP client that finds every name at the server and trusts
// its CA. It follows no redirects.
func (s *Server) Client() *http.Client {
	s.tb.Helper()
	tr := &http.Transport{
		DialContext:       s.Dialer().DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: s.CAs, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2: true,
	}
	s.tb.Cleanup(tr.CloseIdleConnections)
	return &http.Client{
		Transport: tr, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Get fetches a URL with a client of its own and returns status, headers and
// body.
func (s *Server) Get(u string, edit ...func(*http.Request)) (*http.Response, string) {
	s.tb.Helper()
	c := s.Client()
	defer c.CloseIdleConnections()
	return s.Do(c, http.MethodGet, u, nil, edit...)
}

// Do makes a request with c and reads the whole answer.
func (s *Server) Do(c *http.Client, method, u string, body io.Reader, edit ...func(*http.Request)) (*http.Response, string) {
	s.tb.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, u, body)
	if err != nil {
		s.tb.Fatal(err)
	}
	for _, e := range edit {
		e(req)
	}
	resp, err := c.Do(req)
	if err != nil {
		s.tb.Fatalf("%s %s: %v", method, u, err)
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.tb.Fatalf("%s %s: read body: %v", method, u, err)
	}
	return resp, string(text)
}

// Dial opens a TCP connection to host:port, which is at the server whatever the
// host is called.
func (s *Server) Dial(addr string) net.Conn {
	s.tb.Helper()
	return s.DialFrom("127.0.0.1", addr)
}

// DialFrom is Dial with another source address.
func (s *Server) DialFrom(from, addr string) net.Conn {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := s.Net.DialFrom(ctx, "tcp", from, addr)
	if err != nil {
		s.tb.Fatalf("dial %s: %v", addr, err)
	}
	s.tb.Cleanup(func() { _ = c.Close() })
	return c
}

// DialTLS opens a TLS connection to the https listener for the given name.
func (s *Server) DialTLS(name string, edit ...func(*tls.Config)) (*tls.Conn, error) {
	s.tb.Helper()
	cfg := &tls.Config{ServerName: name, RootCAs: s.CAs, MinVersion: tls.VersionTLS12}
	for _, e := range edit {
		e(cfg)
	}
	c := tls.Client(s.Dial(s.Info.HTTPS.String()), cfg)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c, c.HandshakeContext(ctx)
}

// HostPort is the address in a URL, with the port that the server advertises
// where it has none.
func (s *Server) HostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	port := s.Info.HTTPSPort
	if u.Scheme == "http" {
		port = s.Info.HTTPPort
	}
	return net.JoinHostPort(u.Hostname(), portText(port))
}

func portText(p uint16) string { return strconv.Itoa(int(p)) }
