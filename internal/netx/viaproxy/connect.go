package viaproxy

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/culvert-project/culvert/internal/netx"
)

// maxHead bounds the answer of an HTTP proxy, in bytes.
const maxHead = 16 << 10

// connect asks an HTTP proxy for a tunnel to addr (RFC 9110, 9.3.6).
func (p *Proxy) connect(conn net.Conn, addr string) (net.Conn, error) {
	head := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if u := p.url.User; u != nil {
		password, _ := u.Password()
		head += "Proxy-Authorization: Basic " +
			base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: conn, N: maxHead}
	br := bufio.NewReader(limited)
	resp, err := http.ReadResponse(br, &http.Request{Method: http.MethodConnect}) //nolint:bodyclose // what follows is the tunnel
	switch {
	case err != nil && limited.N <= 0:
		return nil, errors.New("the proxy's answer is too long")
	case err != nil:
		return nil, fmt.Errorf("read the proxy's answer: %w", err)
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return nil, errors.New("the proxy asks for a user name and a password, or refuses these")
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, fmt.Errorf("the proxy answered %.100s", resp.Status)
	}
	// Bytes behind the answer already belong to the tunnel.
	early := make([]byte, br.Buffered())
	if _, err := io.ReadFull(br, early); err != nil {
		return nil, err
	}
	return netx.Prefixed(conn, early), nil
}
