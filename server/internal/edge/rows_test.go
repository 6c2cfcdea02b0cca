package edge

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// The rows of reliability-security.md 4, one test each, where decision 21 is
// the last word. Every case is sent over a raw connection to an edge with a
// recording origin behind it, which reads more strictly than any server would.
//
// Rows that concern what a message means are served or refused as they say;
// rows that concern limits of net/http's server state what it does.

// row is one case: bytes of a client, and what they lead to.
type row struct {
	name, raw string
	status    int      // of the first answer, 0 if the connection ends without
	seen      []string // requests at the origin; each has an answer
}

// Pieces of requests.
const (
	rowHost   = "Host: app.example.com\r\n"
	rowPost   = "POST /a HTTP/1.1\r\n" + rowHost
	rowChunks = rowPost + "Transfer-Encoding: chunked\r\n\r\n"
	rowHidden = "GET /hidden HTTP/1.1\r\nHost: app.example.com\r\n\r\n"
)

// get is a request line with a head that is otherwise fine.
func rowGet(target string) string { return "GET " + target + " HTTP/1.1\r\n" + rowHost + "\r\n" }

// checkRows sends each case to an edge of its own.
func checkRows(t *testing.T, rows ...row) {
	t.Helper()
	for _, tt := range rows {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w, r := newWorld(t), &recorder{}
			w.online("http://app.example.com", raw(t, r.serve))
			conn := w.dial(false)
			_, _ = io.WriteString(conn, tt.raw)
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			br := bufio.NewReader(conn)
			for i := range max(1, len(tt.seen)) {
				checkAnswer(t, br, tt, i)
			}
			if len(tt.seen) == 0 {
				if b, err := io.ReadAll(br); errors.Is(err, os.ErrDeadlineExceeded) || len(b) > 0 {
					t.Errorf("after the refusal came %q, %v; want the end", b, err)
				}
			}
			_ = conn.Close()
			r.mu.Lock()
			defer r.mu.Unlock()
			if fmt.Sprint(r.seen) != fmt.Sprint(tt.seen) || len(r.bad) > 0 {
				t.Errorf("origin saw %q and garbage %q, want %q", r.seen, r.bad, tt.seen)
			}
		})
	}
}

func checkAnswer(t *testing.T, br *bufio.Reader, tt row, i int) {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if tt.status == 0 {
		if err == nil {
			t.Errorf("got %d, want no answer", resp.StatusCode)
		}
		return
	}
	if err != nil {
		t.Fatalf("answer %d: %v", i, err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("answer %d: %v", i, err)
	}
	want := tt.status
	if i > 0 {
		want = http.StatusOK
	}
	if resp.StatusCode != want {
		t.Errorf("answer %d: got %d, want %d", i, resp.StatusCode, want)
	}
	// net/http closes behind its 501 and 505 without saying so.
	quiet := want == http.StatusNotImplemented || want == http.StatusHTTPVersionNotSupported
	if want >= 400 && !quiet && !resp.Close {
		t.Errorf("answer %d: does not say that the connection ends", i)
	}
}

// saw is what the origin notes of a request without a body.
func saw(targets ...string) []string {
	all := make([]string, 0, len(targets))
	for _, target := range targets {
		all = append(all, "GET "+target+` "" map[]`)
	}
	return all
}

func TestHTTP_H01_LengthAndCoding(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"length first", rowPost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + rowHidden, 400, nil},
		row{"coding first", rowPost + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\nab\r\n0\r\n\r\n" + rowHidden, 400, nil},
	)
}

// TestHTTP_H01_BehindTheUnusual: a connection that net/http's server has got
// for something else takes no second request, so that none is judged by it.
func TestHTTP_H01_BehindTheUnusual(t *testing.T) {
	t.Parallel()
	checkRows(t, row{
		"absolute form before", rowGet("http://app.example.com/b") + rowPost + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + rowHidden,
		200, saw("/b"),
	})
}

func TestHTTP_H02_DifferentLengths(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"two", rowPost + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + rowHidden, 400, nil},
		row{"list of different ones", rowPost + "Content-Length: 5, 6\r\n\r\nhello", 400, nil},
		row{"list of equal ones", rowPost + "Content-Length: 5, 5\r\n\r\nhello", 400, nil},
	)
}

func TestHTTP_H03_EqualLengths(t *testing.T) {
	t.Parallel()
	checkRows(t, row{"twice", rowPost + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, []string{`POST /a "hello" map[]`}})
}

func TestHTTP_H04_LengthsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, length := range []string{" +2", " -1", " 0x2", " 1_0", "", " ", " 9223372036854775808", " 2 2", " \x0b2"} {
		checkRows(t, row{fmt.Sprintf("%q", length), rowPost + "Content-Length:" + length + "\r\n\r\nab" + rowHidden, 400, nil})
	}
}

func TestHTTP_H05_SpaceBeforeTheColon(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"length", rowPost + "Content-Length : 2\r\n\r\nab", 400, nil},
		row{"coding", rowPost + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", 400, nil},
		row{"any field", rowPost + "X : 2\r\n\r\n", 400, nil},
	)
}

// TestHTTP_H06_OtherCodings: one coding, named once, on one line.
func TestHTTP_H06_OtherCodings(t *testing.T) {
	t.Parallel()
	for _, coding := range []string{"xchunked", "gzip, chunked", "identity", "chunked, chunked", "chunked;q=1", "\x0bchunked", "\"chunked\""} {
		status := 501
		if coding[0] < ' ' {
			status = 400
		}
		checkRows(t, row{fmt.Sprintf("%q", coding), rowPost + "Transfer-Encoding: " + coding + "\r\n\r\n0\r\n\r\n" + rowHidden, status, nil})
	}
	checkRows(t,
		row{"twice", rowPost + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + rowHidden, 400, nil},
		row{"folded", rowPost + "Transfer-Encoding:\r\n chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + rowHidden, 400, nil},
		row{"beside a folded field", rowPost + "A: b\r\n c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + rowHidden, 400, nil},
	)
}

func TestHTTP_H07_CodingInHTTP10(t *testing.T) {
	t.Parallel()
	checkRows(t, row{"chunked", "POST /a HTTP/1.0\r\n" + rowHost + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n" + rowHidden, 400, nil})
}

func TestHTTP_H08_ChunkSizes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"0x2\r\nab\r\n", "+2\r\nab\r\n", "-2\r\nab\r\n", "0_2\r\nab\r\n", "\r\n", "00000000000000002\r\nab\r\n", "2\r\nabc\r\n", "2 2\r\nab\r\n", "g\r\nab\r\n",
	} {
		checkRows(t, row{fmt.Sprintf("%q", body), rowChunks + body + "0\r\n\r\n" + rowHidden, 400, nil})
	}
}

func TestHTTP_H09_BareLineEndsAroundChunks(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"2\nab\r\n0\r\n\r\n", "2;\nx\r\nab\r\n0\r\n\r\n", "2\r\nab\n0\r\n\r\n", "2\rab\r\n0\r\n\r\n", "2;a\rb\r\nab\r\n0\r\n\r\n"} {
		checkRows(t, row{fmt.Sprintf("%q", body), rowChunks + body + rowHidden, 400, nil})
	}
}

func TestHTTP_H10_ChunkExtensions(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"too long", rowChunks + "2;" + strings.Repeat("x", 5000) + "\r\nab\r\n0\r\n\r\n" + rowHidden, 400, nil},
		row{"too many", rowChunks + strings.Repeat("1;"+strings.Repeat("x", 100)+"\r\na\r\n", 400) + "0\r\n\r\n" + rowHidden, 400, nil},
		row{"not forwarded", rowChunks + "2;x=y\r\nab\r\n0;z\r\n\r\n", 200, []string{`POST /a "ab" map[]`}},
	)
}

func TestHTTP_H11_Trailers(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{
			"forbidden ones are dropped", rowPost + "Trailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nHost: evil\r\nContent-Length: 7\r\n" +
				"Transfer-Encoding: x\r\nAuthorization: x\r\nCookie: x\r\nContent-Type: x\r\n\r\n",
			200,
			[]string{`POST /a "" map[X-A:[1]]`},
		},
		row{"length announced", rowPost + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nil},
		row{"coding announced", rowPost + "Trailer: X-A, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, nil},
		// The other names may be announced (decision 21 leaves it to Go), and go no further.
		row{"cookie announced", rowPost + "Trailer: Cookie, Host\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nCookie: x\r\nHost: x\r\n\r\n", 200, []string{`POST /a "" map[]`}},
	)
}

func TestHTTP_H12_BareLFEndsHeadLines(t *testing.T) {
	t.Parallel()
	checkRows(t, row{"rewritten", "GET /a HTTP/1.1\nHost: app.example.com\n\n", 200, saw("/a")})
}

func TestHTTP_H13_ControlsInValues(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"\r", "\x00", "\x01", "\x0b", "\x1f", "\x7f"} {
		checkRows(t, row{fmt.Sprintf("%q", c), "GET /a HTTP/1.1\r\n" + rowHost + "X: a" + c + "b\r\n\r\n" + rowHidden, 400, nil})
	}
}

// TestHTTP_H14_FoldedValue meets the floor (decision 21): one space.
func TestHTTP_H14_FoldedValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan string, 1)
	w.online("http://app.example.com", w.serve(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("X") }))
	conn := w.dial(false)
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\n"+rowHost+"X: a\r\n \t b\r\n\r\n")
	wantRead(t, conn, "HTTP/1.1 200")
	if v := <-got; v != "a b" {
		t.Errorf("the origin got %q, want %q", v, "a b")
	}
}

func TestHTTP_H15_HeaderLines(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"X\r\n", ": x\r\n", "a b: x\r\n", "a\x00b: x\r\n", "(x): y\r\n", "x\xc3\xa4: y\r\n", "\"x\": y\r\n"} {
		checkRows(t, row{fmt.Sprintf("%q", line), "GET /a HTTP/1.1\r\n" + rowHost + line + "\r\n" + rowHidden, 400, nil})
	}
	checkRows(t, row{"first line begins with a space", "GET /a HTTP/1.1\r\n " + rowHost + "\r\n", 400, nil})
}

func TestHTTP_H16_Host(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"", "Host: \r\n", rowHost + rowHost, "Host: app.example.com, app.example.com\r\n", "Host: u@app.example.com\r\n",
		"Host: app.example.com/x\r\n", "Host: app.example.com:x\r\n", "Host: app.example.com:\r\n", "Host: app.example.com:65536\r\n",
		rowHost + "Host: other.example.com\r\n",
	} {
		checkRows(t, row{fmt.Sprintf("%q", host), "GET /a HTTP/1.1\r\n" + host + "\r\n" + rowHidden, 400, nil})
	}
}

// TestHTTP_H17_AbsoluteForm: a Host field that differs from the target's host is
// refused.
func TestHTTP_H17_AbsoluteForm(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"path", rowGet("http://app.example.com/a%2fb?c"), 200, saw("/a%2fb?c")},
		row{"no path", rowGet("http://app.example.com"), 200, saw("/")},
		row{"query only", rowGet("http://app.example.com?q"), 200, saw("/?q")},
		row{"spelling", rowGet("HTTP://APP.example.com:80/a"), 200, saw("/a")},
		row{"other Host", "GET http://app.example.com/a HTTP/1.1\r\nHost: other.example.com\r\n\r\n" + rowHidden, 400, nil},
		row{"other port", "GET http://app.example.com:81/a HTTP/1.1\r\nHost: app.example.com\r\n\r\n" + rowHidden, 400, nil},
		row{"userinfo", rowGet("http://u@app.example.com/") + rowHidden, 400, nil},
		row{"no host", rowGet("http:///a") + rowHidden, 400, nil},
		row{"other scheme", rowGet("ftp://app.example.com/a") + rowHidden, 400, nil},
		row{"scheme of another listener", rowGet("https://app.example.com/a") + rowHidden, 400, nil},
		row{"scheme without authority", rowGet("http:app.example.com/a") + rowHidden, 400, nil},
	)
}

func TestHTTP_H18_Targets(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"a", "/a b", "/a\tb", "/a#b", "/a?b#c", "/a\x7fb", "app.example.com/a", "?a", "\\a"} {
		checkRows(t, row{fmt.Sprintf("%q", target), rowGet(target) + rowHidden, 400, nil})
	}
}

func TestHTTP_H19_Escapes(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/a%00", "/a%zz", "/a?%z", "/a?%4", "/a%", "/a?b=%00"} {
		checkRows(t, row{target, rowGet(target) + rowHidden, 400, nil})
	}
}

func TestHTTP_H20_Methods(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"CONNECT", "CONNECT app.example.com:80 HTTP/1.1\r\n" + rowHost + "\r\n" + rowHidden, 405, nil},
		row{"CONNECT with a path", "CONNECT /a HTTP/1.1\r\n" + rowHost + "\r\n" + rowHidden, 405, nil},
		row{"TRACE", "TRACE / HTTP/1.1\r\n" + rowHost + "\r\n" + rowHidden, 405, nil},
		row{"GET *", rowGet("*") + rowHidden, 400, nil},
		row{"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" + rowHost + "\r\n", 200, []string{`OPTIONS * "" map[]`}},
	)
}

// TestHTTP_H21_TwoSlashes are a path. See TestH21_TwoSlashesOverHTTP2 too.
func TestHTTP_H21_TwoSlashes(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"routing", rowGet("//b/x"), 200, saw("//b/x")},
		row{"absolute form", rowGet("http://app.example.com//b/x"), 200, saw("//b/x")},
	)
	t.Run("Location", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.online("https://app.example.com", refused(t))
		conn := w.dial(false)
		_, _ = io.WriteString(conn, rowGet("//b/x"))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if to := resp.Header.Get("Location"); to != "https://app.example.com//b/x" {
			t.Errorf("redirected to %q", to)
		}
	})
}

func TestHTTP_H22_Versions(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"HTTP/0.9", "GET /a\r\n\r\n" + rowHidden, 400, nil},
		row{"HTTP/2.0 as text", "GET /a HTTP/2.0\r\n" + rowHost + "\r\n" + rowHidden, 505, nil},
		row{"HTTP/3.0", "GET /a HTTP/3.0\r\n" + rowHost + "\r\n", 505, nil},
		row{"HTTP/1.1x", "GET /a HTTP/1.1x\r\n" + rowHost + "\r\n", 400, nil},
		row{"HTTP/1.10", "GET /a HTTP/1.10\r\n" + rowHost + "\r\n", 400, nil},
		row{"http/1.1", "GET /a http/1.1\r\n" + rowHost + "\r\n", 400, nil},
		row{"preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, nil},
	)
}

func TestHTTP_H23_OtherExpectations(t *testing.T) {
	t.Parallel()
	checkRows(t, row{"unknown", rowPost + "Expect: x\r\nContent-Length: 2\r\n\r\nab" + rowHidden, 417, nil})
}

// TestHTTP_H24_SizeOfHeads: an over-long target is part of an over-long head
// for net/http, which says 431 where the row has 414.
func TestHTTP_H24_SizeOfHeads(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"501 fields", "GET /a HTTP/1.1\r\n" + rowHost + strings.Repeat("X: y\r\n", 501) + "\r\n", 431, nil},
		row{"500 fields", "GET /a HTTP/1.1\r\n" + rowHost + strings.Repeat("X: y\r\n", 500) + "\r\n", 200, saw("/a")},
		row{"head of more than 1 MiB", "GET /a HTTP/1.1\r\n" + rowHost + strings.Repeat("X: "+strings.Repeat("y", 60_000)+"\r\n", 20) + "\r\n" + rowHidden, 431, nil},
		row{"target of more than 1 MiB", rowGet("/" + strings.Repeat("a", 1<<20+8<<10)), 431, nil},
		row{"name of 257 bytes", "GET /a HTTP/1.1\r\n" + rowHost + strings.Repeat("x", 257) + ": y\r\n\r\n", 431, nil},
		row{"value of more than 64 KiB", "GET /a HTTP/1.1\r\n" + rowHost + "X: " + strings.Repeat("y", 64<<10+1) + "\r\n\r\n", 431, nil},
	)
}

func TestHTTP_H25_Pipelining(t *testing.T) {
	t.Parallel()
	checkRows(t,
		row{"in order", rowGet("/a") + rowGet("/b") + rowGet("/c"), 200, saw("/a", "/b", "/c")},
		row{"behind a 400", rowGet("/a#b") + rowHidden, 400, nil},
		row{"behind a 400 with a body", "POST /a#b HTTP/1.1\r\n" + rowHost + "Content-Length: 2\r\n\r\nab" + rowHidden, 400, nil},
		row{"behind HTTP/1.0", "GET /a HTTP/1.0\r\n" + rowHost + "\r\n" + rowHidden, 200, saw("/a")},
		row{"behind close", "GET /a HTTP/1.1\r\nConnection: close\r\n" + rowHost + "\r\n" + rowHidden, 200, saw("/a")},
	)
}
