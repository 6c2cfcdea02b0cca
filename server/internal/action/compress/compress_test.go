package compress_test

import (
	"bytes"
	stdgzip "compress/gzip"
	stdzlib "compress/zlib"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/action/compress"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policytest"
)

func registry(t testing.TB) *policy.Registry {
	t.Helper()
	r, err := policy.NewRegistry(compress.Definitions()...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCases(t *testing.T) {
	t.Parallel()
	policytest.Run(t, registry(t), "testdata/*.txtar")
}

// program is compiled once for all tests.
var program = sync.OnceValue(func() *policy.Program {
	r, err := policy.NewRegistry(compress.Definitions()...)
	if err != nil {
		panic(err)
	}
	c, err := policy.NewCompiler(r)
	if err != nil {
		panic(err)
	}
	d, _ := policy.Parse("", []byte("on_http_response: [{actions: [{type: compress-response}]}]"))
	p, found := c.Compile(d, policy.Target{Scheme: endpoint.HTTPS})
	if found.Failed() {
		panic(found)
	}
	return p
})

// answer runs the action over a response to a request that accepts codings.
func answer(t testing.TB, accept string, resp *http.Response) *policy.Exchange {
	t.Helper()
	p := program()
	x := policy.NewExchange(p.Env(), &policy.Conn{})
	x.Request = httptest.NewRequest(http.MethodGet, "/", nil)
	if accept != "" {
		x.Request.Header.Set("Accept-Encoding", accept)
	}
	x.Response = resp
	if _, err := p.Run(t.Context(), policy.OnHTTPResponse, x); err != nil {
		t.Fatal(err)
	}
	return x
}

func response(body io.Reader) *http.Response {
	return &http.Response{StatusCode: 200, Header: make(http.Header), ContentLength: -1, Body: io.NopCloser(body)}
}

func TestPolicy50_Negotiation(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"gzip;q=0.5, br;q=0.9, *;q=0": "br", "zstd, foo": "", "": "", "gzip": "gzip", "GZip": "gzip", "*": "gzip", "x-gzip": "gzip",
		"x-compress": "compress", "identity": "", "identity, gzip;q=0.5": "", "identity;q=0.5, gzip": "gzip", "identity;q=1, gzip": "gzip",
		"br, gzip": "gzip", "gzip;q=0, *": "deflate", "gzip;q=0": "", "*;q=0": "", "deflate;q=0.001": "deflate", "gzip;q=x": "",
		"gzip; Q=0.2 , br ; q=0.3": "br", "gzip;q=2, br;q=0.1": "br", ", ,br": "br",
	} {
		x := answer(t, accept, response(strings.NewReader("hello")))
		if got := x.Response.Header.Get("Content-Encoding"); got != want {
			t.Errorf("%q: got %q, want %q", accept, got, want)
		}
		if got, _ := x.Result("compress.negotiated_algorithm"); got != want {
			t.Errorf("%q: got the result %q, want %q", accept, got, want)
		}
		if got := x.Response.Header.Get("Vary") != ""; got != (accept != "") {
			t.Errorf("%q: got Vary %v", accept, got)
		}
	}
}

// decode reads a body back with somebody else's decoder.
func decode(t testing.TB, coding string, r io.Reader) ([]byte, error) {
	switch coding {
	case "gzip":
		z, err := stdgzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case "deflate":
		z, err := stdzlib.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case "br":
		return io.ReadAll(brotli.NewReader(r))
	}
	program, err := exec.LookPath("gzip")
	if err != nil {
		if os.Getenv("CULVERT_CI") != "" {
			t.Fatal("no gzip here to read the format of compress")
		}
		t.Skip("no gzip here to read the format of compress")
	}
	cmd := exec.CommandContext(t.Context(), program, "-dc")
	cmd.Stdin, cmd.Stderr = r, os.Stderr
	return cmd.Output()
}

// bodies are what compressors find easy and hard, among them bodies that fill
// the table of compress.
func bodies() map[string][]byte {
	random := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 80_000)
	_, _ = random.Read(noise)
	words := make([]byte, 0, 300_000)
	for rng := rand.New(random); len(words) < 300_000; { //nolint:gosec // not secret
		words = append(words, "the quick brown fox jumps over lazy dogs"[rng.IntN(30):][:5]...)
	}
	return map[string][]byte{
		"one byte": {'x'}, "short": []byte("hello, hello, hello"), "zeros": make([]byte, 100_000), "noise": noise, "words": words,
	}
}

func TestPolicy50_BodiesComeBack(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"gzip", "deflate", "br", "compress"} {
		for name, body := range bodies() {
			for how, r := range map[string]io.Reader{"whole": bytes.NewReader(body), "pieces": &pieces{body: body}} {
				x := answer(t, coding, response(r))
				got, err := decode(t, coding, x.Response.Body)
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%s, %s, %s: got %d bytes, %v, want %d", coding, name, how, len(got), err, len(body))
				}
				_ = x.Response.Body.Close()
			}
		}
	}
}

// pieces is a body that comes in pieces of all sizes.
type pieces struct {
	body []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	p.n = (p.n*5 + 1) % 4093
	n := copy(b, p.body[:min(p.n, len(p.body))])
	p.body = p.body[n:]
	if len(p.body) == 0 {
		return n, io.EOF
	}
	return n, nil
}

// TestPolicy50_Streams writes a message at a time, and reads each before the
// next is written.
func TestPolicy50_Streams(t *testing.T) {
	t.Parallel()
	for coding, open := range map[string]func(io.Reader) (io.Reader, error){
		"gzip":    func(r io.Reader) (io.Reader, error) { return stdgzip.NewReader(r) },
		"deflate": func(r io.Reader) (io.Reader, error) { return stdzlib.NewReader(r) },
		"br":      func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"compress": func(r io.Reader) (io.Reader, error) {
			if _, err := exec.LookPath("gzip"); err != nil {
				return nil, err
			}
			return nil, nil //nolint:nilnil // its decoder buffers
		},
	} {
		upstream, w := io.Pipe()
		x := answer(t, coding, response(upstream))
		if coding == "compress" { // whole groups of codes have to leave with each message
			go func() { _, _ = w.Write([]byte("data: one\n\n")) }()
			b := make([]byte, 1000)
			if n, err := x.Response.Body.Read(b); err != nil || n < len("data: one")*9/8 {
				t.Errorf("%s: got %d bytes, %v", coding, n, err)
			}
			_ = x.Response.Body.Close()
			continue
		}
		go func() { _, _ = w.Write([]byte("data: 0\n\n")) }()
		r, err := open(x.Response.Body)
		if err != nil {
			t.Fatalf("%s: %v", coding, err)
		}
		for i := range 5 {
			want := "data: " + string(rune('0'+i)) + "\n\n"
			if i > 0 {
				go func() { _, _ = w.Write([]byte(want)) }()
			}
			got := make([]byte, len(want))
			if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
				t.Errorf("%s: got %q, %v, want %q", coding, got, err, want)
			}
		}
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
		if _, err := io.ReadAll(r); err == nil {
			t.Errorf("%s: a body that was cut off ends like a whole one", coding)
		}
		_ = x.Response.Body.Close()
	}
}

// FuzzCompress holds the format of compress to a decoder of our own.
func FuzzCompress(f *testing.F) {
	for _, body := range bodies() {
		f.Add(body[:min(len(body), 20_000)], uint16(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, step uint16) {
		x := answer(t, "compress", response(&pieces{body: body, n: int(step)}))
		packed, err := io.ReadAll(x.Response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if got := unpack(t, packed); !bytes.Equal(got, body) {
			t.Errorf("got %d bytes, want %d", len(got), len(body))
		}
	})
}

// unpack reads the format of compress as its decoder is described: it widens
// its codes when the next entry needs it, and skips to the end of a group then
// and after a clear code.
func unpack(t *testing.T, in []byte) (out []byte) {
	if len(in) < 3 || in[0] != 0x1f || in[1] != 0x9d || in[2] != 0x90 {
		t.Fatalf("begins with %x", in[:min(3, len(in))])
	}
	in = in[3:]
	entries := make([][]byte, 257, 1<<16)
	width, at, from := 9, 0, 0 // at counts bits, from is where the groups began
	align := func() {
		if over := (at - from) % (8 * width); over > 0 {
			at += 8*width - over
		}
		from = at
	}
	var last []byte
	for {
		if len(entries) > 1<<width-1 && width < 16 {
			align()
			width++
			from = at
		}
		if at+width > 8*len(in) {
			return out
		}
		code := 0
		for i := range width {
			code |= int(in[(at+i)/8]>>((at+i)%8)&1) << i
		}
		at += width
		if code == 256 {
			align()
			width, from, entries, last = 9, at, entries[:257], nil
			continue
		}
		var entry []byte
		switch {
		case code < 256:
			entry = []byte{byte(code)}
		case code < len(entries):
			entry = entries[code]
		case code == len(entries) && last != nil:
			entry = append(last[:len(last):len(last)], last[0])
		default:
			t.Fatalf("code %d with %d entries", code, len(entries))
		}
		if last != nil && len(entries) < 1<<16 {
			entries = append(entries, append(last[:len(last):len(last)], entry[0]))
		}
		out, last = append(out, entry...), entry
	}
}
