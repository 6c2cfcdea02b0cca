package sniff_test

import (
	"crypto/tls"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/sniff"
)

// helloWith makes a ClientHello of the given parts, in records of n bytes.
func helloWith(version uint16, ciphers []uint16, exts []extension, n int) []byte {
	body := binary.BigEndian.AppendUint16(nil, version)
	body = append(body, make([]byte, 32)...)
	body = append(body, 0)
	body = append(body, list16(ciphers...)...)
	body = append(body, 1, 0)
	if exts != nil {
		var all []byte
		for _, e := range exts {
			all = binary.BigEndian.AppendUint16(all, e.kind)
			all = append(all, sized16(e.body)...)
		}
		body = append(body, sized16(all)...)
	}
	m := append([]byte{1, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
	return records(m, n)
}

type extension struct {
	kind uint16
	body []byte
}

func sized16(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

func list16(ns ...uint16) []byte {
	var b []byte
	for _, n := range ns {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return sized16(b)
}

func alpn(names ...string) extension {
	var b []byte
	for _, n := range names {
		b = append(append(b, byte(len(n))), n...)
	}
	return extension{16, sized16(b)}
}

// chrome is the ClientHello that the description of JA4 has as its example.
func chrome() (ciphers []uint16, exts []extension) {
	ciphers = []uint16{0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035}
	exts = []extension{{0x2a2a, nil}, {0, []byte("name")}}
	for _, kind := range []uint16{0x0017, 0xff01, 0x000a, 0x000b, 0x0023} {
		exts = append(exts, extension{kind, []byte{1, 2}})
	}
	exts = append(exts, alpn("h2", "http/1.1"), extension{5, nil},
		extension{13, list16(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)}, extension{0x12, nil}, extension{0x33, nil},
		extension{0x2d, nil}, extension{43, append([]byte{6}, 0x7a, 0x7a, 3, 4, 3, 3)}, extension{0x1b, nil}, extension{0x4469, nil},
		extension{0xfafa, nil}, extension{0x15, nil})
	return ciphers, exts
}

func TestJA4(t *testing.T) {
	t.Parallel()
	ciphers, exts := chrome()
	const empty = "000000000000"
	for _, tt := range []struct {
		name  string
		hello []byte
		want  string
	}{
		{"the example", helloWith(0x0303, ciphers, exts, 1<<14), "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"in records of seven bytes", helloWith(0x0303, ciphers, exts, 7), "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		{"nothing", helloWith(0x0303, nil, nil, 1<<14), "t12i000000_" + empty + "_" + empty},
		{"unknown version", helloWith(0x0305, nil, nil, 1<<14), "t00i000000_" + empty + "_" + empty},
		{"SSL 3", helloWith(0x0300, nil, nil, 1<<14), "ts3i000000_" + empty + "_" + empty},
		{"ALPN of one character", helloWith(0x0303, nil, []extension{alpn("h")}, 1<<14), "t12i0001hh_" + empty + "_" + empty},
		{"ALPN in hexadecimal", helloWith(0x0303, nil, []extension{alpn("\xab\xcd")}, 1<<14), "t12i0001ad_" + empty + "_" + empty},
		{"ALPN half in hexadecimal", helloWith(0x0303, nil, []extension{alpn("0\xab")}, 1<<14), "t12i00013b_" + empty + "_" + empty},
		{"only a server name", helloWith(0x0301, nil, []extension{{0, nil}}, 1<<14), "t10d000100_" + empty + "_" + empty},
		{"no TLS", []byte("GET / HTTP/1.1\r\n\r\n"), ""},
		{"cut short", helloWith(0x0303, ciphers, exts, 1<<14)[:100], ""},
		{"none", nil, ""},
	} {
		if got := sniff.JA4(tt.hello); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	many := make([]uint16, 5000)
	for i := range many {
		many[i] = uint16(5000 - i)
	}
	if got := sniff.JA4(helloWith(0x0303, many, nil, 1<<14)); !strings.HasPrefix(got, "t12i990000_") {
		t.Errorf("many ciphers: got %q", got)
	}
	own := sniff.JA4(helloOf(t, &tls.Config{ServerName: "h.example", NextProtos: []string{"h2"}}))
	if !strings.HasPrefix(own, "t13d") || len(own) != 36 || sniff.JA4(helloOf(t, &tls.Config{ServerName: "other.example", NextProtos: []string{"h2"}})) != own {
		t.Errorf("crypto/tls: got %q, and another one for another name", own)
	}
}

func FuzzJA4(f *testing.F) {
	ciphers, exts := chrome()
	f.Add(helloWith(0x0303, ciphers, exts, 1<<14))
	f.Add(helloWith(0x0303, ciphers, exts, 9))
	f.Add(helloWith(0x0303, nil, []extension{alpn("\xab")}, 1<<14))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := sniff.JA4(b); got != "" && len(got) != 36 {
			t.Errorf("got %q", got)
		}
	})
}

// BenchmarkJA4 is the cost of one fingerprint.
func BenchmarkJA4(b *testing.B) {
	ciphers, exts := chrome()
	hello := helloWith(0x0303, ciphers, exts, 1<<14)
	b.ReportAllocs()
	for b.Loop() {
		_ = sniff.JA4(hello)
	}
}
