package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/wire"
)

func TestProxyHeaderBytes(t *testing.T) {
	t.Parallel()
	got := wire.ProxyHeader{Id: "b1", ClientAddr: "[::1]:80", Proto: "tls", PassthroughTLS: true}.AppendTo([]byte("x"))
	text := `{"Id":"b1","ClientAddr":"[::1]:80","Proto":"tls","EdgeType":"0","PassthroughTLS":true}`
	want := "x\x00\x00\x00\x03" + string(rune(len(text))) + "\x00\x00\x00\x00\x00\x00\x00" + text
	if string(got) != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestReadProxyHeader(t *testing.T) {
	t.Parallel()
	frame := func(text string) string {
		n := len(text)
		return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), 0, 0, 0, 0, 0}) + text
	}
	tests := []struct {
		name, in string
		want     wire.ProxyHeader
		rest     string
		err      error
	}{
		{name: "any case and unknown keys", in: frame(`{"id":"a","proto":"http","edgetype":"","New":1}`) + "GET", want: wire.ProxyHeader{Id: "a", Proto: "http"}, rest: "GET"},
		{name: "number as edge type", in: frame(`{"Id":"a","EdgeType":0}`), err: wire.ErrProxyHeader},
		{name: "no length", in: "\x01", err: io.ErrUnexpectedEOF},
		{name: "zero length", in: frame(""), err: wire.ErrProxyHeader},
		{name: "too long", in: "\x01\x00\x01\x00\x00\x00\x00\x00", err: wire.ErrProxyHeader},
		{name: "negative", in: "\xff\xff\xff\xff\xff\xff\xff\xff", err: wire.ErrProxyHeader},
		{name: "cut", in: frame(`{"Id":"a"}`)[:12], err: io.ErrUnexpectedEOF},
		{name: "cut after length", in: frame(`{"Id":"a"}`)[:8], err: io.ErrUnexpectedEOF},
		{name: "not JSON", in: frame("GET / HTTP/1.1"), err: wire.ErrProxyHeader},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := strings.NewReader(tc.in)
			got, err := wire.ReadProxyHeader(r)
			if !errors.Is(err, tc.err) || got != tc.want {
				t.Fatalf("ReadProxyHeader(%q) = %+v, %v, want %+v, %v", tc.in, got, err, tc.want, tc.err)
			}
			if rest, _ := io.ReadAll(r); tc.err == nil && string(rest) != tc.rest {
				t.Errorf("left unread %q, want %q", rest, tc.rest)
			}
		})
	}
}

// Every header comes back as encoding/json would read it, whether or not there
// is something to escape in it.
func TestProxyHeaderIsReadAsJSON(t *testing.T) {
	t.Parallel()
	for _, h := range []wire.ProxyHeader{
		{Id: "a", ClientAddr: "[2001:db8::1]:80", Proto: "tls", PassthroughTLS: true},
		{},
		{Id: "quote \" and \\", Proto: "tcp", EdgeType: wire.EdgeTLS},
		{Id: "\x00\n\x7f", ClientAddr: "é \u2028", Proto: "\xff"},
		{Id: `,"ClientAddr":"`, Proto: `"}`},
	} {
		text := h.AppendTo(nil)[4:]
		cut := bytes.Clone(text)
		cut[len(cut)-1] = ' '
		for _, text := range [][]byte{text, cut} {
			var want wire.ProxyHeader
			wantErr := json.Unmarshal(text[8:], &want)
			got, err := wire.ReadProxyHeader(bytes.NewReader(text))
			if got != want || (err != nil) != (wantErr != nil) {
				t.Errorf("%q: got %+v, %v, want %+v, %v", text, got, err, want, wantErr)
			}
		}
	}
}

func TestProxyHeaderAllocations(t *testing.T) {
	h := wire.ProxyHeader{Id: "ep-abcdef", ClientAddr: "198.51.100.7:50000", Proto: "https"}
	buf := make([]byte, 0, 512)
	if n := testing.AllocsPerRun(100, func() { buf = h.AppendTo(buf[:0]) }); n != 0 {
		t.Errorf("AppendTo allocates %v times, want 0", n)
	}
}

func BenchmarkProxyHeaderAppendTo(b *testing.B) {
	h := wire.ProxyHeader{Id: "ep-abcdef", ClientAddr: "198.51.100.7:50000", Proto: "https"}
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		buf = h.AppendTo(buf[:0])
	}
}

// FuzzProxyHeaderEncode compares the hand-written encoder with encoding/json.
func FuzzProxyHeaderEncode(f *testing.F) {
	f.Add("b", "1.2.3.4:5", "https", "0", false)
	f.Add("\"\\\x00\xff\u2028", "a\nb", "", "", true)
	f.Fuzz(func(t *testing.T, id, addr, proto, edge string, pass bool) {
		h := wire.ProxyHeader{Id: id, ClientAddr: addr, Proto: proto, EdgeType: edge, PassthroughTLS: pass}
		out := h.AppendTo(nil)
		if h.EdgeType == "" {
			h.EdgeType = wire.EdgeUndefined
		}
		text, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		var want wire.ProxyHeader
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatal(err)
		}
		if len(out)-12 > wire.MaxProxyHeader {
			t.Skip("larger than a reader accepts")
		}
		got, err := wire.ReadProxyHeader(bytes.NewReader(out[4:]))
		if err != nil || got != want {
			t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
		}
	})
}

func FuzzReadProxyHeader(f *testing.F) {
	f.Add(wire.ProxyHeader{Id: "b", Proto: "tcp"}.AppendTo(nil)[4:])
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		if _, err := wire.ReadProxyHeader(r); err == nil && r.Len() > len(data)-9 {
			t.Errorf("header read from %d bytes left %d", len(data), r.Len())
		}
	})
}
