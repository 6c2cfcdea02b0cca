package oracle

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Upstream starts app on a loopback port and returns its address.
func Upstream(t *testing.T, app App) string {
	t.Helper()
	ln := listen(t)
	go Serve(ln, app)
	return ln.Addr().String()
}

// Header is a PROXY header as an upstream has received it.
type Header struct {
	Version  int
	Src, Dst netip.AddrPort
}

// ProxyUpstream starts a tcp application that expects a PROXY header ahead of the connection. It sends each header to
// the returned channel.
func ProxyUpstream(t *testing.T, app App) (addr string, headers <-chan Header) {
	t.Helper()
	ln := listen(t)
	seen := make(chan Header, 16)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				in := bufio.NewReader(conn)
				h, err := readHeader(in)
				if err != nil {
					fmt.Fprintf(conn, "bad PROXY header: %v\n", err)
					conn.Close()
					return
				}
				seen <- h
				var rest net.Conn = &replay{Conn: conn, in: in}
				if app.TLS != nil {
					rest = tls.Server(rest, &tls.Config{Certificates: []tls.Certificate{app.TLS.Certificate()}})
				}
				Echo(rest, app.Name)
			}()
		}
	}()
	return ln.Addr().String(), seen
}

// Closed returns an address of this machine on which nobody listens.
func Closed(t *testing.T) string {
	t.Helper()
	ln := listen(t)
	ln.Close()
	return ln.Addr().String()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// replay is a connection whose first bytes were read ahead.
type replay struct {
	net.Conn
	in *bufio.Reader
}

func (r *replay) Read(b []byte) (int, error) { return r.in.Read(b) }

// readHeader reads a PROXY header of either version, by its public specification and without Culvert's own parser.
func readHeader(in *bufio.Reader) (Header, error) {
	first, err := in.Peek(1)
	if err != nil {
		return Header{}, err
	}
	if first[0] == 'P' {
		line, err := in.ReadString('\n')
		if err != nil {
			return Header{}, err
		}
		f := strings.Fields(strings.TrimSuffix(line, "\r\n"))
		if len(f) != 6 || f[0] != "PROXY" || !strings.HasPrefix(f[1], "TCP") {
			return Header{}, fmt.Errorf("line %q", line)
		}
		src, err1 := netip.ParseAddrPort(net.JoinHostPort(f[2], f[4]))
		dst, err2 := netip.ParseAddrPort(net.JoinHostPort(f[3], f[5]))
		if err1 != nil || err2 != nil {
			return Header{}, fmt.Errorf("line %q", line)
		}
		return Header{1, src, dst}, nil
	}
	head := make([]byte, 16)
	if _, err := io.ReadFull(in, head); err != nil {
		return Header{}, err
	}
	if string(head[:12]) != "\r\n\r\n\x00\r\nQUIT\n" || head[12] != 0x21 {
		return Header{}, fmt.Errorf("bytes %x", head)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[14:]))
	if _, err := io.ReadFull(in, body); err != nil {
		return Header{}, err
	}
	size := 4
	if head[13] == 0x21 {
		size = 16
	}
	if len(body) < 2*size+4 {
		return Header{}, fmt.Errorf("%d bytes of addresses", len(body))
	}
	addr := func(at int) netip.Addr { a, _ := netip.AddrFromSlice(body[at : at+size]); return a }
	port := func(at int) uint16 { return binary.BigEndian.Uint16(body[2*size+at:]) }
	return Header{2, netip.AddrPortFrom(addr(0), port(0)), netip.AddrPortFrom(addr(size), port(2))}, nil
}

// recv takes one value from c, or fails.
func recv[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}
