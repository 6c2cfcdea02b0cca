package compress_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// page is text that compresses as pages do.
func page(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "<li class=\"item\"><a href=\"/items/%d\">Item number %d</a> <span>%x</span></li>\n", i*7, i, i*2654435761)
	}
	return b.Bytes()[:size]
}

// metered runs f over size bytes, and reports what it costs on a machine that
// others use too.
func metered(b *testing.B, size int, f func()) {
	b.Helper()
	cpu := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	start := cpu()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64(cpu()-start)/float64(b.N), "cpu-ns/op")
}

// BenchmarkGzip is compress-response beside the library that it uses.
func BenchmarkGzip(b *testing.B) {
	for _, size := range []int{16 << 10, 1 << 20} {
		text := page(size)
		b.Run(fmt.Sprintf("action %d", size), func(b *testing.B) {
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.Header.Set("Accept-Encoding", "gzip")
			metered(b, size, func() {
				x := policy.NewExchange(program().Env(), &policy.Conn{})
				x.Request, x.Response = req, response(bytes.NewReader(text))
				x.Response.ContentLength = int64(size)
				if _, err := program().Run(b.Context(), policy.OnHTTPResponse, x); err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, x.Response.Body); err != nil {
					b.Fatal(err)
				}
				_ = x.Response.Body.Close()
			})
		})
		b.Run(fmt.Sprintf("library %d", size), func(b *testing.B) {
			z := gzip.NewWriter(io.Discard)
			metered(b, size, func() {
				z.Reset(io.Discard)
				if _, err := z.Write(text); err != nil {
					b.Fatal(err)
				}
				if err := z.Close(); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}
