package proxyproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/culvert-project/culvert/internal/netx/proxyproto"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestAppendWritesTheSpecifiedBytes(t *testing.T) {
	t.Parallel()
	none := netip.AddrPort{}
	tests := []struct {
		name     string
		version  int
		src, dst netip.AddrPort
		want     string
	}{
		{"v1 TCP4", 1, ap("192.0.2.1:56324"), ap("203.0.113.9:443"), "PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n"},
		{"v1 TCP6", 1, ap("[2001:db8::1]:1"), ap("[::1]:65535"), "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"},
		{"v1 mixed families", 1, ap("192.0.2.1:1"), ap("[2001:db8::1]:2"), "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n"},
		{"v1 mapped address", 1, ap("[::ffff:192.0.2.1]:1"), ap("203.0.113.9:2"), "PROXY TCP4 192.0.2.1 203.0.113.9 1 2\r\n"},
		{"v1 zone dropped", 1, ap("[fe80::1%eth0]:1"), ap("[fe80::2%eth0]:2"), "PROXY TCP6 fe80::1 fe80::2 1 2\r\n"},
		{"v1 unknown", 1, none, ap("203.0.113.9:2"), "PROXY UNKNOWN\r\n"},
		{"v2 TCP4", 2, ap("192.0.2.1:258"), ap("203.0.113.9:443"), signature + "\x21\x11\x00\x0c\xc0\x00\x02\x01\xcb\x00\x71\x09\x01\x02\x01\xbb"},
		{
			"v2 TCP6", 2, ap("[2001:db8::1]:1"), ap("[::1]:2"),
			signature + "\x21\x21\x00\x24\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01" + strings.Repeat("\x00", 15) + "\x01\x00\x01\x00\x02",
		},
		{"v2 unknown", 2, ap("192.0.2.1:1"), none, signature + "\x21\x00\x00\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := string(proxyproto.Append([]byte("before"), tt.version, tt.src, tt.dst))
			if want := "before" + tt.want; got != want {
				t.Errorf("Append:\n got %q\nwant %q", got, want)
			}
		})
	}
}

func TestParseReadsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	v4 := "\xc0\x00\x02\x01\xcb\x00\x71\x09\x01\x02\x01\xbb"
	tests := []struct {
		name, in string
		want     proxyproto.Header
	}{
		{"v1", "PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n", proxyproto.Header{Version: 1, Src: ap("192.0.2.1:56324"), Dst: ap("203.0.113.9:443")}},
		{"v1 port 0", "PROXY TCP4 192.0.2.1 203.0.113.9 0 0\r\n", proxyproto.Header{Version: 1, Src: ap("192.0.2.1:0"), Dst: ap("203.0.113.9:0")}},
		{"v1 mapped becomes IPv4", "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n", proxyproto.Header{Version: 1, Src: ap("192.0.2.1:1"), Dst: ap("[2001:db8::1]:2")}},
		{"v1 unknown", "PROXY UNKNOWN\r\n", proxyproto.Header{Version: 1, Local: true}},
		{"v1 unknown with addresses", "PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", proxyproto.Header{Version: 1, Local: true}},
		{"v1 longest", "PROXY UNKNOWN " + strings.Repeat("f", 107-16) + "\r\n", proxyproto.Header{Version: 1, Local: true}},
		{"v2 LOCAL", signature + "\x20\x00\x00\x00", proxyproto.Header{Version: 2, Local: true}},
		{"v2 LOCAL with addresses", signature + "\x20\x11\x00\x0c" + v4, proxyproto.Header{Version: 2, Local: true}},
		{"v2 LOCAL with unknown family", signature + "\x20\x99\x00\x01x", proxyproto.Header{Version: 2, Local: true}},
		{"v2 unspecified", signature + "\x21\x00\x00\x02xy", proxyproto.Header{Version: 2, Local: true}},
		{"v2 unix", signature + "\x21\x31\x00\xd8" + strings.Repeat("/", 216), proxyproto.Header{Version: 2, Local: true}},
		{"v2 with unknown TLV", signature + "\x21\x11\x00\x11" + v4 + "\xee\x00\x02ab", proxyproto.Header{Version: 2, Src: ap("192.0.2.1:258"), Dst: ap("203.0.113.9:443")}},
		{"v2 with checksum", withChecksum(signature + "\x21\x11\x00\x13" + v4), proxyproto.Header{Version: 2, Src: ap("192.0.2.1:258"), Dst: ap("203.0.113.9:443")}},
		{"v2 largest", signature + "\x21\x00\x0f\xf0" + strings.Repeat("x", 4080), proxyproto.Header{Version: 2, Local: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, n, err := proxyproto.Parse([]byte(tt.in + "rest"))
			if err != nil || n != len(tt.in) || got != tt.want {
				t.Errorf("Parse(%q) = %+v, %d, %v\nwant %+v, %d", tt.in, got, n, err, tt.want, len(tt.in))
			}
			for cut := range len(tt.in) {
				if _, _, err := proxyproto.Parse([]byte(tt.in[:cut])); !errors.Is(err, proxyproto.ErrNeedMore) {
					t.Fatalf("Parse of the first %d bytes: got error %v, want ErrNeedMore", cut, err)
				}
			}
		})
	}
}

// withChecksum appends a right checksum extension.
func withChecksum(head string) string {
	b := append([]byte(head), 3, 0, 4, 0, 0, 0, 0)
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	binary.BigEndian.PutUint32(b[len(b)-4:], sum)
	return string(b)
}

func TestT10_MalformedHeaderIsRefused(t *testing.T) {
	t.Parallel()
	v4 := "\xc0\x00\x02\x01\xcb\x00\x71\x09\x01\x02\x01\xbb"
	tests := []struct{ name, in string }{
		{"other protocol", "GET / HTTP/1.1\r\n"},
		{"lower case", "proxy TCP4 192.0.2.1 203.0.113.9 1 2\r\n"},
		{"v1 108 bytes", "PROXY UNKNOWN " + strings.Repeat("f", 108-16) + "\r\n"},
		{"v1 endless", "PROXY TCP4 " + strings.Repeat("1", 200)},
		{"v1 bare LF", "PROXY UNKNOWN\n"},
		{"v1 unknown family", "PROXY UDP4 192.0.2.1 203.0.113.9 1 2\r\n"},
		{"v1 family and address differ", "PROXY TCP4 ::1 ::1 1 2\r\n"},
		{"v1 IPv4 in TCP6", "PROXY TCP6 192.0.2.1 203.0.113.9 1 2\r\n"},
		{"v1 zone", "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n"},
		{"v1 address with leading zero", "PROXY TCP4 192.0.2.01 203.0.113.9 1 2\r\n"},
		{"v1 port too large", "PROXY TCP4 192.0.2.1 203.0.113.9 65536 2\r\n"},
		{"v1 port with leading zero", "PROXY TCP4 192.0.2.1 203.0.113.9 01 2\r\n"},
		{"v1 signed port", "PROXY TCP4 192.0.2.1 203.0.113.9 +1 2\r\n"},
		{"v1 four fields", "PROXY TCP4 192.0.2.1 203.0.113.9 1\r\n"},
		{"v1 six fields", "PROXY TCP4 192.0.2.1 203.0.113.9 1 2 3\r\n"},
		{"v1 double space", "PROXY TCP4  192.0.2.1 203.0.113.9 1 2\r\n"},
		{"v1 trailing space", "PROXY TCP4 192.0.2.1 203.0.113.9 1 2 \r\n"},
		{"v1 empty", "PROXY \r\n"},
		{"v2 version 1", signature + "\x11\x11\x00\x0c" + v4},
		{"v2 unknown command", signature + "\x22\x11\x00\x0c" + v4},
		{"v2 datagram", signature + "\x21\x12\x00\x0c" + v4},
		{"v2 addresses cut short", signature + "\x21\x11\x00\x0b" + v4},
		{"v2 length 65535", signature + "\x21\x11\xff\xff" + v4},
		{"v2 length one over", signature + "\x21\x00\x0f\xf1"},
		{"v2 TLV cut short", signature + "\x21\x11\x00\x10" + v4 + "\xee\x00\x02a"},
		{"v2 TLV head cut short", signature + "\x21\x11\x00\x0e" + v4 + "\xee\x00"},
		{"v2 wrong checksum", signature + "\x21\x11\x00\x13" + v4 + "\x03\x00\x04abcd"},
		{"v2 short checksum", signature + "\x21\x11\x00\x12" + v4 + "\x03\x00\x03abc"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, n, err := proxyproto.Parse([]byte(tt.in))
			if !errors.Is(err, proxyproto.ErrMalformed) {
				t.Errorf("Parse(%q) = %+v, %d, %v; want ErrMalformed", tt.in, h, n, err)
			}
		})
	}
}

func TestReadTakesTheHeaderAndNotAByteMore(t *testing.T) {
	t.Parallel()
	headers := []string{
		"PROXY UNKNOWN\r\n",
		"PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n",
		"PROXY TCP6 ::1 ::1 1 2\r\n",
		string(proxyproto.Append(nil, 2, ap("192.0.2.1:1"), ap("203.0.113.9:2"))),
		signature + "\x20\x00\x00\x00",
	}
	for _, head := range headers {
		for _, slow := range []bool{false, true} {
			var r io.Reader = strings.NewReader(head + "rest")
			if slow {
				r = iotest.OneByteReader(r)
			}
			_, raw, err := proxyproto.Read(r)
			if err != nil || string(raw) != head {
				t.Errorf("Read(%q) = %q, %v; want the header", head, raw, err)
			}
			if rest, _ := io.ReadAll(r); string(rest) != "rest" {
				t.Errorf("Read(%q) left %q, want %q", head, rest, "rest")
			}
		}
	}
}

func TestReadReportsHowAHeaderEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		want     error
	}{
		{"nothing", "", io.EOF},
		{"cut", "PROXY TCP4 192.0.2.1", io.ErrUnexpectedEOF},
		{"not a header", "SSH-2.0-OpenSSH_9.9\r\n", proxyproto.ErrMalformed},
	}
	for _, tt := range tests {
		if _, _, err := proxyproto.Read(strings.NewReader(tt.in)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got error %v, want %v", tt.name, err, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 203.0.113.9 56324 443\r\n"))
	f.Add([]byte("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\nrest"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add(proxyproto.Append(nil, 2, ap("192.0.2.1:1"), ap("203.0.113.9:2")))
	f.Add(proxyproto.Append(nil, 2, ap("[::1]:1"), ap("203.0.113.9:2")))
	f.Add([]byte(withChecksum(signature + "\x21\x00\x00\x07")))
	f.Add([]byte(signature + "\x20\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := proxyproto.Parse(b)
		if err != nil {
			if n != 0 || h != (proxyproto.Header{}) {
				t.Fatalf("error %v together with %+v, %d", err, h, n)
			}
			if errors.Is(err, proxyproto.ErrNeedMore) && len(b) >= proxyproto.MaxV2 {
				t.Fatalf("asks for more after %d bytes", len(b))
			}
			return
		}
		if n <= 0 || n > len(b) || n > proxyproto.MaxV2 || (h.Version == 1 && n > proxyproto.MaxV1) {
			t.Fatalf("header of %d bytes out of %d", n, len(b))
		}
		_, raw, err := proxyproto.Read(bytes.NewReader(b))
		if err != nil || !bytes.Equal(raw, b[:n]) {
			t.Fatalf("Read = %q, %v; want the %d bytes of Parse", raw, err, n)
		}
		again, _, err := proxyproto.Parse(proxyproto.Append(nil, h.Version, h.Src, h.Dst))
		if err != nil || again != h {
			t.Fatalf("written again and parsed: %+v, %v; want %+v", again, err, h)
		}
	})
}
