package sniff_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/netx/proxyproto"
	"github.com/culvert-project/culvert/server/internal/sniff"
)

// recorder keeps what a TLS client sends first.
type recorder struct {
	net.Conn
	sent []byte
}

var errRecorded = errors.New("recorded")

func (r *recorder) Write(b []byte) (int, error) {
	r.sent = append(r.sent, b...)
	return 0, errRecorded
}
func (r *recorder) Close() error                     { return nil }
func (r *recorder) SetDeadline(time.Time) error      { return nil }
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// helloOf returns the ClientHello record that crypto/tls makes.
func helloOf(t testing.TB, cfg *tls.Config) []byte {
	t.Helper()
	r := &recorder{}
	cfg.InsecureSkipVerify = true
	if err := tls.Client(r, cfg).HandshakeContext(context.Background()); !errors.Is(err, errRecorded) {
		t.Fatal(err)
	}
	return r.sent
}

// message is a ClientHello message with the given extensions.
func message(exts []byte) []byte {
	body := append([]byte{3, 3}, make([]byte, 32)...)
	body = append(body, 0, 0, 2, 0x13, 0x01, 1, 0)
	if exts != nil {
		body = binary.BigEndian.AppendUint16(body, uint16(len(exts)))
		body = append(body, exts...)
	}
	return append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

// records cuts a message into records of n bytes.
func records(m []byte, n int) []byte {
	var out []byte
	for part := range slices.Chunk(m, n) {
		out = append(out, 0x16, 3, 1)
		out = binary.BigEndian.AppendUint16(out, uint16(len(part)))
		out = append(out, part...)
	}
	return out
}

func ext(kind uint16, body []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// sni is a server_name extension with these host names.
func sni(names ...string) []byte {
	var list []byte
	for _, n := range names {
		list = append(list, 0)
		list = binary.BigEndian.AppendUint16(list, uint16(len(n)))
		list = append(list, n...)
	}
	return ext(0, append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...))
}

// padding is an extension that makes a message n bytes larger.
func padding(n int) []byte { return ext(21, make([]byte, n-4)) }

func TestParseClientHelloOfCryptoTLS(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		cfg  *tls.Config
		want sniff.Hello
	}{
		{"usual", &tls.Config{ServerName: "App.Example.com", NextProtos: []string{"h2", "http/1.1"}}, sniff.Hello{ServerName: "app.example.com", ALPN: []string{"h2", "http/1.1"}}},
		{"no name", &tls.Config{NextProtos: []string{"mqtt"}}, sniff.Hello{ALPN: []string{"mqtt"}}},
		{"TLS 1.2", &tls.Config{ServerName: "app.example.com", MaxVersion: tls.VersionTLS12}, sniff.Hello{ServerName: "app.example.com"}},
		{"trailing dot", &tls.Config{ServerName: "app.example.com."}, sniff.Hello{ServerName: "app.example.com"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := sniff.ParseClientHello(helloOf(t, tt.cfg))
			if err != nil || got.ServerName != tt.want.ServerName || !slices.Equal(got.ALPN, tt.want.ALPN) {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestT12_ServerNameHasOneForm(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, want string }{
		{"app.example.com", "app.example.com"},
		{"APP.Example.COM", "app.example.com"},
		{"app.example.com.", "app.example.com"},
		{"APP.example.com.", "app.example.com"},
		{"xn--BCHER-kva.example", "xn--bcher-kva.example"},
		{"_svc.example.com", "_svc.example.com"},
		{"127.0.0.1", "127.0.0.1"},
		{strings.Repeat("a", 63) + ".example", strings.Repeat("a", 63) + ".example"},
		{"", ""},
		{".", ""},
		{"app..example.com", ""},
		{".app.example.com", ""},
		{"app.example.com..", ""},
		{"*.example.com", ""},
		{"bücher.example", ""},
		{"app.example.com:443", ""},
		{"[::1]", ""},
		{"app.example.com\x00", ""},
		{"app example.com", ""},
		{strings.Repeat("a", 64) + ".example", ""},
		{strings.Repeat("a.", 126) + "ab", ""},
	}
	for _, tt := range tests {
		got, ok := sniff.CanonicalName(tt.name)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("CanonicalName(%q) = %q, %t; want %q", tt.name, got, ok, tt.want)
		}
		h, err := sniff.ParseClientHello(records(message(sni(tt.name)), 16384))
		if h.ServerName != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ClientHello for %q: got %q, %v; want %q", tt.name, h.ServerName, err, tt.want)
		}
	}
}

func TestT13_ClientHelloInManyPieces(t *testing.T) {
	t.Parallel()
	big := message(slices.Concat(padding(30_000), sni("app.example.com"), padding(30_000)))
	tests := []struct {
		name  string
		bytes []byte
	}{
		{"one record", helloOf(t, &tls.Config{ServerName: "app.example.com"})},
		{"records of one byte", records(message(sni("app.example.com")), 1)},
		{"60 KB in large records", records(big, 16384)},
		{"60 KB in small records", records(big, 100)},
		{"65 535 bytes of extensions", records(message(slices.Concat(sni("app.example.com"), padding(65_535-len(sni("app.example.com"))-100))), 16384)},
	}
	for _, tt := range tests {
		for _, step := range []int{1, 1000, 1 << 20} {
			synctest.Test(t, func(t *testing.T) {
				c, far := pipe()
				defer c.Close()
				go func() {
					for part := range slices.Chunk(tt.bytes, step) {
						_, _ = far.Write(part)
						synctest.Wait()
					}
				}()
				h, err := c.ClientHello(time.Now().Add(3 * time.Second))
				if err != nil || h.ServerName != "app.example.com" {
					t.Errorf("%s, %d bytes at a time: got %+v, %v", tt.name, step, h, err)
				}
				got := make([]byte, len(tt.bytes))
				if _, err := io.ReadFull(c, got); err != nil || !slices.Equal(got, tt.bytes) {
					t.Errorf("%s, %d bytes at a time: the bytes were not replayed (%v)", tt.name, step, err)
				}
			})
		}
	}
}

func TestT13_BadClientHelloIsAnErrorAndNeverNoName(t *testing.T) {
	t.Parallel()
	good := message(sni("app.example.com"))
	alpn := func(list string) []byte {
		return ext(16, append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...))
	}
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), sniff.ErrNotTLS},
		{"SSLv2", []byte{0x80, 0x2e, 1, 0, 2}, sniff.ErrNotTLS},
		{"alert record", []byte{0x15, 3, 1, 0, 2, 1, 0}, sniff.ErrNotTLS},
		{"second record of another type", append(records(good[:20], 20), 0x17, 3, 3, 0, 1, 0), sniff.ErrNotTLS},
		{"version 2", []byte{0x16, 2, 0, 0, 1, 1}, sniff.ErrNotTLS},
		{"empty record", []byte{0x16, 3, 1, 0, 0}, sniff.ErrHello},
		{"large record", []byte{0x16, 3, 1, 0x40, 1}, sniff.ErrHello},
		{"other message", records([]byte{2, 0, 0, 1, 0}, 100), sniff.ErrHello},
		{"message over 64 KB", records(append([]byte{1, 0, 0xff, 0xfd}, make([]byte, 100)...), 200), sniff.ErrTooLarge},
		{"cut short", records(good, 1000)[:60], sniff.ErrHello},
		{"bytes behind", records(append(slices.Clone(good), 0), 1000), sniff.ErrHello},
		{"two names", records(message(sni("a.example", "b.example")), 1000), sniff.ErrHello},
		{"two server_name extensions", records(message(append(sni("a.example"), sni("b.example")...)), 1000), sniff.ErrHello},
		{"empty server_name", records(message(ext(0, nil)), 1000), sniff.ErrHello},
		{"empty list of names", records(message(sni()), 1000), sniff.ErrHello},
		{"empty name", records(message(sni("")), 1000), sniff.ErrHello},
		{"name longer than its list", records(message(ext(0, []byte{0, 4, 0, 0, 9, 'a'})), 1000), sniff.ErrHello},
		{"extension longer than the rest", records(message([]byte{0, 21, 0, 9, 1}), 1000), sniff.ErrHello},
		{"half an extension head", records(message([]byte{0, 21, 0}), 1000), sniff.ErrHello},
		{"two ALPN extensions", records(message(append(alpn("\x02h2"), alpn("\x02h2")...)), 1000), sniff.ErrHello},
		{"empty ALPN", records(message(alpn("")), 1000), sniff.ErrHello},
		{"empty protocol", records(message(alpn("\x00")), 1000), sniff.ErrHello},
		{"protocol longer than the list", records(message(alpn("\x03h2")), 1000), sniff.ErrHello},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if h, err := sniff.ParseClientHello(tt.in); !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v; want %v", h, err, tt.want)
			}
		})
	}
	if h, err := sniff.ParseClientHello(records(message(nil), 1000)); err != nil || h.ServerName != "" {
		t.Errorf("without extensions: got %+v, %v; want no name", h, err)
	}
}

// pipe returns the sniffed end of a connection and the client's end.
func pipe() (*sniff.Conn, net.Conn) {
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	return &sniff.Conn{Conn: a}, b
}

func TestEndpoints15_SilentClientIsGivenUpAfterTheDeadline(t *testing.T) {
	t.Parallel()
	half := helloOf(t, &tls.Config{ServerName: "app.example.com"})[:50]
	waits := map[string]func(*sniff.Conn, time.Time) error{
		"ClientHello": func(c *sniff.Conn, d time.Time) error { _, err := c.ClientHello(d); return err },
		"PROXY":       func(c *sniff.Conn, d time.Time) error { _, err := c.ProxyHeader(d); return err },
		"protocol":    func(c *sniff.Conn, d time.Time) error { _, err := c.Protocol(d); return err },
	}
	sends := map[string][]byte{"ClientHello": half, "PROXY": []byte("PROXY TCP4 192.0.2.1"), "protocol": []byte("PRI * HT")}
	for name, wait := range waits {
		for _, send := range [][]byte{nil, sends[name]} {
			synctest.Test(t, func(t *testing.T) {
				c, far := pipe()
				defer c.Close()
				if send != nil {
					_, _ = far.Write(send)
				}
				start := time.Now()
				err := wait(c, start.Add(3*time.Second))
				if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
					t.Errorf("%s after %d bytes: got %v, want a timeout", name, len(send), err)
				}
				if d := time.Since(start); d != 3*time.Second {
					t.Errorf("%s after %d bytes: gave up after %v, want 3s", name, len(send), d)
				}
			})
		}
	}
}

func TestDeadlineIsLiftedAfterwards(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, far := pipe()
		defer c.Close()
		_, _ = far.Write([]byte("GET / "))
		if p, err := c.Protocol(time.Now().Add(3 * time.Second)); p != sniff.HTTP1 || err != nil {
			t.Fatalf("Protocol = %v, %v", p, err)
		}
		c.Discard(6)
		go func() {
			time.Sleep(time.Minute)
			_, _ = far.Write([]byte("x"))
		}()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("Read a minute later: %v", err)
		}
	})
}

func TestT10_ProxyHeaderIsTakenOff(t *testing.T) {
	t.Parallel()
	src, dst := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("203.0.113.9:443")
	for version := 1; version <= 2; version++ {
		c, far := pipe()
		hello := helloOf(t, &tls.Config{ServerName: "app.example.com"})
		_, _ = far.Write(append(proxyproto.Append(nil, version, src, dst), hello...))
		h, err := c.ProxyHeader(time.Now().Add(time.Minute))
		if err != nil || h.Src != src || h.Dst != dst {
			t.Fatalf("version %d: got %+v, %v", version, h, err)
		}
		if h, err := c.ClientHello(time.Now().Add(time.Minute)); err != nil || h.ServerName != "app.example.com" {
			t.Errorf("version %d: what follows: %+v, %v", version, h, err)
		}
		below, ahead := c.Detach()
		if below != c.NetConn() || !slices.Equal(ahead, hello) || len(c.Ahead()) != 0 {
			t.Errorf("version %d: Detach gives %d bytes, want %d", version, len(ahead), len(hello))
		}
		_ = c.Close()
	}
}

func TestT10_HeaderThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	c, far := pipe()
	defer c.Close()
	_, _ = far.Write([]byte("PROXY TCP4 " + strings.Repeat("1", 200)))
	if _, err := c.ProxyHeader(time.Now().Add(time.Minute)); !errors.Is(err, proxyproto.ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
}

func TestConnectionThatEnds(t *testing.T) {
	t.Parallel()
	for send, want := range map[string]error{"": io.EOF, "\x16\x03\x01": io.ErrUnexpectedEOF} {
		c, far := pipe()
		_, _ = far.Write([]byte(send))
		_ = far.Close()
		if _, err := c.ClientHello(time.Now().Add(time.Minute)); !errors.Is(err, want) {
			t.Errorf("after %q: got %v, want %v", send, err, want)
		}
		_ = c.Close()
	}
}

func TestProtocolOf(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want sniff.Protocol
	}{
		{"\x16\x03\x01\x02\x00", sniff.TLS},
		{"GET / HTTP/1.1\r\n", sniff.HTTP1},
		{"PROPFIND / HTTP/1.1\r\n", sniff.HTTP1},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest", sniff.HTTP2},
		{"PRI * HTTP/2.0\r\n\r\nXX", sniff.HTTP1},
		{"\x00\x00\x04\x12\x00\x00\x00\x03\x00", sniff.Agent},
		{"\x00\x00\x04\x12\x00\x00\x00\x05", sniff.Unknown},
		{"\x16\x02", sniff.Unknown},
		{"\x80", sniff.Unknown},
		{" GET", sniff.Unknown},
	}
	for _, tt := range tests {
		if got, ok := sniff.ProtocolOf([]byte(tt.in)); got != tt.want || !ok {
			t.Errorf("ProtocolOf(%q) = %v, %t; want %v", tt.in, got, ok, tt.want)
		}
	}
	for _, short := range []string{"", "\x16", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r", "\x00\x00\x04\x12\x00\x00\x00"} {
		if got, ok := sniff.ProtocolOf([]byte(short)); ok {
			t.Errorf("ProtocolOf(%q) = %v, want more bytes", short, got)
		}
	}
}

func FuzzParseClientHello(f *testing.F) {
	f.Add(helloOf(f, &tls.Config{ServerName: "app.example.com", NextProtos: []string{"h2"}}))
	f.Add(helloOf(f, &tls.Config{MaxVersion: tls.VersionTLS12}))
	f.Add(records(message(sni("a.example")), 7))
	f.Add(records(message(nil), 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := sniff.ParseClientHello(b)
		if err != nil {
			if h.ServerName != "" || h.ALPN != nil {
				t.Fatalf("error %v together with %+v", err, h)
			}
			return
		}
		if h.ServerName != "" {
			if again, ok := sniff.CanonicalName(h.ServerName); !ok || again != h.ServerName {
				t.Fatalf("server name %q is not canonical", h.ServerName)
			}
		}
		// What crypto/tls makes of the same bytes has to be the same, where it
		// takes them at all.
		if name, ok := nameByCryptoTLS(b); ok && name != h.ServerName {
			t.Fatalf("server name %q, crypto/tls says %q", h.ServerName, name)
		}
	})
}

// nameByCryptoTLS lets crypto/tls parse a ClientHello.
func nameByCryptoTLS(b []byte) (name string, ok bool) {
	near, far := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	defer near.Close()
	_, _ = far.Write(b)
	_ = far.Close()
	cfg := &tls.Config{GetConfigForClient: func(i *tls.ClientHelloInfo) (*tls.Config, error) {
		name, ok = i.ServerName, true
		return nil, errRecorded
	}}
	_ = tls.Server(near, cfg).HandshakeContext(context.Background())
	if ok && name != "" {
		name, _ = sniff.CanonicalName(name)
	}
	return name, ok
}

func FuzzProtocolOf(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1"))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	f.Add([]byte("\x16\x03\x01"))
	f.Add([]byte("\x00\x00\x04\x12\x00\x00\x00\x03"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := sniff.ProtocolOf(b)
		if !ok && len(b) >= 24 {
			t.Fatalf("asks for more after %d bytes", len(b))
		}
		// More bytes never change a verdict.
		if q, still := sniff.ProtocolOf(append(slices.Clone(b), 'x')); ok && (q != p || !still) {
			t.Fatalf("%v becomes %v, %t", p, q, still)
		}
	})
}

// TestConn_Socket: a TCP socket below is read and written like any connection,
// more than it takes at once, with deadlines, and up to its end.
func TestConn_Socket(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	below, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer below.Close()
	c := &sniff.Conn{Conn: below}

	if err := c.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a read after its deadline gives %v", err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}

	const size = 8 << 20
	sent := make(chan error, 1)
	go func() {
		n, err := c.Write(bytes.Repeat([]byte("x"), size))
		if err == nil && n != size {
			err = io.ErrShortWrite
		}
		sent <- errors.Join(err, c.CloseWrite())
	}()
	if n, err := io.Copy(io.Discard, peer); n != size || err != nil {
		t.Errorf("the peer got %d bytes, %v, want %d", n, err, size)
	}
	if err := <-sent; err != nil {
		t.Errorf("write: %v", err)
	}

	if _, err := io.WriteString(peer, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("read %q, %v, want hello", got, err)
	}
}
