package coding_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/coding"
)

// TestT72_BombsEndEarly: content out of proportion is refused while most of it
// is still coded, and what is in proportion, or small, is not.
func TestT72_BombsEndEarly(t *testing.T) {
	t.Parallel()
	zeros := strings.Repeat("\x00", 8<<20)
	for _, codings := range [][]string{{"gzip"}, {"deflate"}, {"br"}, {"gzip", "gzip"}, {"br", "gzip", "br"}} {
		body := zeros
		for _, name := range codings {
			body = encode(t, name, body)
		}
		in := strings.NewReader(body)
		got, err := coding.Decode(in, codings, 1<<30)
		if !errors.Is(err, coding.ErrTooLarge) || len(got) > 2<<20 {
			t.Errorf("%q, %d bytes: got %d bytes and %v, want ErrTooLarge", codings, len(body), len(got), err)
		}
		if len(codings) == 1 && len(body) > 6<<10 && in.Len() == 0 {
			t.Errorf("%q: all of its %d bytes were read", codings, len(body))
		}
	}
	small := zeros[:1<<20]
	if got, err := coding.Decode(strings.NewReader(encode(t, "gzip", small)), []string{"gzip"}, 1<<30); err != nil || len(got) != len(small) {
		t.Errorf("1 MiB of zeros: got %d bytes, %v", len(got), err)
	}
	var lines strings.Builder
	for i := range 60_000 {
		_, _ = fmt.Fprintf(&lines, "GET /page/%d 200\n", i*i)
	}
	if got, err := coding.Decode(strings.NewReader(encode(t, "gzip", lines.String())), []string{"gzip"}, 1<<30); err != nil || len(got) != lines.Len() {
		t.Errorf("a log: got %d bytes of %d, %v", len(got), lines.Len(), err)
	}
}
