package coding_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/culvert-project/culvert/server/internal/coding"
)

func encode(t testing.TB, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch name {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, flate.DefaultCompression)
	case "br":
		w = brotli.NewWriter(&b)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDecode(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("hello ", 1000)
	for _, name := range []string{"gzip", "deflate", "br"} {
		body := encode(t, name, text)
		got, err := coding.Decode(strings.NewReader(body), []string{name}, len(text))
		if err != nil || string(got) != text {
			t.Errorf("%s: got %.20q, %v", name, got, err)
		}
		if _, err := coding.Decode(strings.NewReader(body), []string{name}, len(text)-1); !errors.Is(err, coding.ErrTooLarge) {
			t.Errorf("%s over the limit: got %v", name, err)
		}
		if got, err := coding.Decode(strings.NewReader(body[:len(body)-2]), []string{name}, len(text)); err == nil {
			t.Errorf("%s cut off: got %d bytes and no error", name, len(got))
		}
	}
	if got, err := coding.Decode(strings.NewReader(encode(t, "raw", text)), []string{"deflate"}, len(text)); err != nil || string(got) != text {
		t.Errorf("raw deflate: got %.20q, %v", got, err)
	}
	twice := encode(t, "br", encode(t, "gzip", text))
	if got, err := coding.Decode(strings.NewReader(twice), []string{"gzip", "br"}, len(text)); err != nil || string(got) != text {
		t.Errorf("two codings: got %.20q, %v", got, err)
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header []string
		want   []string
		known  bool
	}{
		{nil, nil, true},
		{[]string{"identity"}, nil, true},
		{[]string{"GZIP, x-gzip", "br"}, []string{"gzip", "gzip", "br"}, true},
		{[]string{"gzip, gzip, gzip, gzip"}, []string{"gzip", "gzip", "gzip", "gzip"}, false},
		{[]string{"zstd"}, []string{"zstd"}, false},
	} {
		got, known := coding.Of(http.Header{"Content-Encoding": tt.header})
		if !slices.Equal(got, tt.want) || known != tt.known {
			t.Errorf("%q: got %q, %v", tt.header, got, known)
		}
	}
}

// FuzzDecode reads any bytes: no panic, and never more than the limit.
func FuzzDecode(f *testing.F) {
	for _, name := range []string{"gzip", "deflate", "raw", "br"} {
		f.Add(strings.TrimPrefix(name, "raw"), []byte(encode(f, name, "hello hello hello")))
	}
	f.Fuzz(func(t *testing.T, name string, body []byte) {
		if got, err := coding.Decode(bytes.NewReader(body), []string{name}, 1<<16); err == nil && len(got) > 1<<16 {
			t.Errorf("got %d bytes", len(got))
		}
	})
}
