package reliability

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

// ErrCorrupt is a body that differs from what was sent.
var ErrCorrupt = errors.New("corrupt body")

// period is the length after which patterns repeat. It is prime, so that no
// buffer size divides it and bytes in the wrong place are seen.
const period = 65521

// block is one period of the pattern, twice: any period of it can be cut out.
var block = sync.OnceValue(func() []byte { //nolint:gochecknoglobals // a constant that Go cannot write
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 2*period)
	for i := range period {
		b[i] = byte(r.Uint32())
		b[i+period] = b[i]
	}
	return b
})

// pattern reads n bytes of the pattern.
type pattern struct{ at, n int64 }

// Pattern returns a reader of n bytes that [CheckPattern] knows.
func Pattern(n int64) io.Reader { return &pattern{n: n} }

// Read reads the next bytes.
func (p *pattern) Read(b []byte) (int, error) {
	if p.at >= p.n {
		return 0, io.EOF
	}
	off := int(p.at % period)
	n := copy(b, block()[off:off+period])
	n = int(min(int64(n), p.n-p.at))
	p.at += int64(n)
	return n, nil
}

// CheckPattern reads r to its end. It returns how many bytes came, and
// [ErrCorrupt] if they are not n bytes of the pattern, or the error of r.
func CheckPattern(r io.Reader, n int64) (int64, error) {
	buf := make([]byte, 32<<10)
	var at int64
	for {
		m, err := r.Read(buf)
		off := int(at % period)
		if string(buf[:m]) != string(block()[off:off+m]) {
			return at, fmt.Errorf("%w: differs within %d bytes behind byte %d", ErrCorrupt, m, at)
		}
		at += int64(m)
		switch {
		case err == io.EOF && at != n:
			return at, fmt.Errorf("%w: got %d bytes, want %d, and a clean end", ErrCorrupt, at, n)
		case err == io.EOF:
			return at, nil
		case err != nil:
			return at, err
		}
	}
}

// jitter is a random duration between -d and d.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(2*d) - d
}
