package h1_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/h1"
)

// phases notes what a Server tells about a connection.
type phases struct {
	waiting, serving int
	leaving          bool
}

func (p *phases) Waiting(time.Time) bool { p.waiting++; return true }
func (p *phases) Serving()               { p.serving++ }
func (p *phases) Last() bool             { return p.leaving }

// serve has a Server serve one end of a connection. The channel gets what
// Serve returns.
func serve(t *testing.T, s h1.Server, h http.HandlerFunc) (net.Conn, <-chan []byte) {
	t.Helper()
	client, server := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s.Handler = h
	s.MaxHead, s.MaxFields, s.MaxTrailer, s.MaxTrailerFields = 64<<10, 100, 2<<10, 10
	s.Refuse = func(w http.ResponseWriter, _ *http.Request, why string) { http.Error(w, why, http.StatusBadRequest) }
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	done := make(chan []byte, 1)
	go func() {
		rest := s.Serve(t.Context(), server, &phases{})
		_ = server.Close()
		done <- rest
	}()
	t.Cleanup(func() { _ = client.Close() })
	return client, done
}

// talk sends text and returns all that comes back until the connection ends.
func talk(t *testing.T, text string, h http.HandlerFunc) (answer string, rest []byte) {
	t.Helper()
	c, done := serve(t, h1.Server{}, h)
	go func() {
		_, _ = io.WriteString(c, text)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), <-done
}

func TestServer_ResponsesAreFramed(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name, method string
		h            http.HandlerFunc
		want         string // with big for its like
	}{
		{"nothing", "GET", func(http.ResponseWriter, *http.Request) {}, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"short of unknown length", "GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"known length", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Length"] = []string{"100000"}
			w.WriteHeader(201)
			_, _ = io.WriteString(w, big)
		}, "HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\nbig"},
		{"flushed", "GET", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, "bc")
		}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"},
		{"long of unknown length", "GET", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, big) }, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\nbig\r\n0\r\n\r\n"},
		{"trailers", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Trailer"] = []string{"X-A"}
			w.WriteHeader(200)
			w.Header()["X-A"] = []string{"1"}
			w.Header()[http.TrailerPrefix+"X-B"] = []string{"2"}
		}, "HTTP/1.1 200 OK\r\nTrailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"},
		{"to HEAD", "HEAD", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Length"] = []string{"5"}
			_, _ = io.WriteString(w, "hello")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"},
		{"no content", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Length"] = []string{"5"}
			w.WriteHeader(204)
			if _, err := io.WriteString(w, "hello"); err == nil {
				panic("a body was taken")
			}
		}, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"interim", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Link"] = []string{"a", "b"}
			w.WriteHeader(103)
			clear(w.Header())
			w.WriteHeader(204)
		}, "HTTP/1.1 103 Early Hints\r\nLink: a\r\nLink: b\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"},
		{"a broken length", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Length"] = []string{"1, 2"}
			_, _ = io.WriteString(w, "abc")
		}, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"},
		{"a split response", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["X"] = []string{"a\r\nSet-Cookie: b\x00"}
			w.Header()["Bad name"] = []string{"a"}
			w.Header()["Transfer-Encoding"] = []string{"gzip"}
		}, "HTTP/1.1 200 OK\r\nX: a  Set-Cookie: b \r\nContent-Length: 0\r\n\r\n"},
		{"its last", "GET", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Connection"] = []string{"close"}
		}, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, rest := talk(t, tt.method+" / HTTP/1.1\r\nHost: h\r\n\r\n", tt.h)
			if got = strings.ReplaceAll(got, big, "big"); got != tt.want || rest != nil {
				t.Errorf("got %q and left %q\nwant %q", got, rest, tt.want)
			}
		})
	}
}

// TestServer_ConnectionsAreKept: requests come one behind the other, with their
// bodies, until something ends the connection.
func TestServer_ConnectionsAreKept(t *testing.T) {
	t.Parallel()
	echo := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/unread" {
			return
		}
		b, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s?%s %d", r.Method, r.URL.Path, r.URL.RawQuery, len(b))
	}
	answer := func(s string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s), s)
	}
	const get = "GET /a?b HTTP/1.1\r\nHost: h\r\n\r\n"
	post := "POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("y", 9000)
	closing := strings.Replace(get, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
	const last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nGET /a?b 0"
	for name, tt := range map[string]struct{ sent, want string }{
		"three":         {get + post + get, answer("GET /a?b 0") + answer("POST /c? 9000") + answer("GET /a?b 0")},
		"close asked":   {get + closing + get, answer("GET /a?b 0") + last},
		"body not read": {strings.Replace(post, "/c", "/unread", 1) + get, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
	} {
		if got, rest := talk(t, tt.sent, echo); got != tt.want || rest != nil {
			t.Errorf("%s: got %.300q and left %.40q\nwant %.300q", name, got, rest, tt.want)
		}
	}
}

// TestServer_BodyThatEnds: a handler whose body breaks off hears of it.
func TestServer_BodyThatEnds(t *testing.T) {
	t.Parallel()
	var got error
	talk(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc", func(_ http.ResponseWriter, r *http.Request) {
		_, got = io.ReadAll(r.Body)
	})
	if got != io.ErrUnexpectedEOF { //nolint:errorlint // the bare value is promised
		t.Errorf("got %v, want %v", got, io.ErrUnexpectedEOF)
	}
}

// TestServer_Chunks: a body in chunks, however they come, with its trailers.
func TestServer_Chunks(t *testing.T) {
	t.Parallel()
	const head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\nTrailer: x-b\r\n\r\n"
	const next = "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
	long := strings.Repeat("z", 0x1fff)
	for _, tt := range []struct{ name, body, want string }{
		{"two", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-A: 1\r\nX-C: 2\r\n\r\n", `"abcde" map[X-A:[1] X-B:[]]`},
		{"none", "0\r\n\r\n", `"" map[X-A:[] X-B:[]]`},
		{"large", "1fff\r\n" + long + "\r\n1\r\na\r\n0\r\n\r\n", fmt.Sprintf("%q map[X-A:[] X-B:[]]", long+"a")},
		{"many", strings.Repeat("1\r\na\r\n", 3000) + "0\r\nX-B: b\r\n\r\n", fmt.Sprintf("%q map[X-A:[] X-B:[b]]", strings.Repeat("a", 3000))},
	} {
		for _, piece := range []int{1 << 20, 7} {
			var got []string
			c, done := serve(t, h1.Server{}, func(_ http.ResponseWriter, r *http.Request) {
				b, err := io.ReadAll(r.Body)
				got = append(got, fmt.Sprintf("%q %v", b, r.Trailer))
				if err != nil {
					got = append(got, err.Error())
				}
			})
			go func() {
				for text := head + tt.body + next; text != ""; {
					n := min(piece, len(text))
					_, _ = io.WriteString(c, text[:n])
					text = text[n:]
				}
				_ = c.(interface{ CloseWrite() error }).CloseWrite()
			}()
			_, _ = io.ReadAll(c)
			<-done
			if want := []string{tt.want, `"" map[]`}; !reflect.DeepEqual(got, want) {
				t.Errorf("%s in pieces of %d: got %.200q\nwant %.200q", tt.name, piece, got, want)
			}
		}
	}
}

// TestServer_BrokenChunks end the connection, and what follows is no request.
func TestServer_BrokenChunks(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"x\r\n", "3\r\nabcd\r\n0\r\n\r\n", "3\nabc\n0\n\n", "0\r\nA: " + strings.Repeat("a", 3000) + "\r\n\r\n",
		"0\r\n" + strings.Repeat("A: b\r\n", 20) + "\r\n", "0\r\nA: b\n\r\n", "1;" + strings.Repeat("a", 5000) + "\r\na\r\n0\r\n\r\n", "5\r\nab",
	} {
		served, failed := 0, false
		talk(t, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+body+"GET /next HTTP/1.1\r\nHost: h\r\n\r\n",
			func(_ http.ResponseWriter, r *http.Request) {
				served++
				_, err := io.ReadAll(r.Body)
				_, again := r.Body.Read(make([]byte, 1))
				failed = err != nil && again != nil
			})
		if served != 1 || !failed {
			t.Errorf("%.40q: %d requests served, the body failed: %v; want 1 and true", body, served, failed)
		}
	}
}

// TestServer_Expect: the client is told to go on when the body is read first,
// and not behind an answer.
func TestServer_Expect(t *testing.T) {
	t.Parallel()
	const post = "POST /%s HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\nabc"
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/answered" {
			w.WriteHeader(403)
		}
		_, _ = io.ReadAll(r.Body)
	}
	for path, want := range map[string]string{
		"read":     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"answered": "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
	} {
		if got, _ := talk(t, fmt.Sprintf(post, path), h); got != want {
			t.Errorf("/%s: got %q, want %q", path, got, want)
		}
	}
}

// TestServer_RefusesTheAmbiguous, and what follows is no request.
func TestServer_RefusesTheAmbiguous(t *testing.T) {
	t.Parallel()
	const chunked = "Transfer-Encoding: chunked\r\n"
	for _, head := range []string{
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n" + chunked, "POST / HTTP/1.0\r\nHost: h\r\n" + chunked,
		"POST / HTTP/1.1\r\nHost: h\r\n" + chunked + chunked, "POST / HTTP/1.1\r\n" + chunked + " \r\nHost: h\r\n",
		"GET http://a/ HTTP/1.1\r\nHost: b\r\n", "GET http://a:80 HTTP/1.1\r\nHost: a:81\r\n",
		"POST / HTTP/1.1\nHost: h\r\nContent-Length: 3\n" + chunked, "POST / HTTP/1.0\r\nHost: h\n" + chunked + "\nX: y",
	} {
		got, rest := talk(t, head+"\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", func(http.ResponseWriter, *http.Request) { t.Errorf("%q was served", head) })
		if !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n") || strings.Count(got, "HTTP/1.1") != 1 || rest != nil {
			t.Errorf("%q: got %q and left %q, want one 400", head, got, rest)
		}
	}
}

// TestServer_UnusualIsHandedBack: with every byte that was not served.
func TestServer_UnusualIsHandedBack(t *testing.T) {
	t.Parallel()
	const get = "GET / HTTP/1.1\r\nHost: h\r\n"
	for _, text := range []string{
		"GET / HTTP/1.0\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\nHost: h\n\n", "\r\n" + get + "\r\n",
		"get / HTTP/1.1\r\nHost: h\r\n\r\n", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
		"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "GET http://h@h/ HTTP/1.1\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n",
		"GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /#a HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", get + "Host: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h/i\r\n\r\n", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: b\xc3\xbccher.example\r\n\r\n",
		get + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", get + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
		get + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n", get + "Trailer: A\r\n\r\n",
		get + "Upgrade: h2c, WebSocket\r\nConnection: Upgrade\r\n\r\n", get + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n",
		get + "Content-Length: +1\r\n\r\na", get + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", get + "Content-Length: 99999999999999999999\r\n\r\n",
		get + "Connection: close, x\r\n\r\n", get + "A : b\r\n\r\n", get + "A: b\r\n c\r\n\r\n", get + "A: b\x00\r\n\r\n", get + "A: b\rc\r\n\r\n", get + "A\r\n\r\n",
		get + "A: " + strings.Repeat("a", 70_000) + "\r\n\r\n", get + strings.Repeat("A: b\r\n", 200) + "\r\n", strings.Repeat("a", 70_000), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		served := 0
		ok := "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"
		got, rest := talk(t, ok+text, func(http.ResponseWriter, *http.Request) { served++ })
		if served != 1 || !strings.HasPrefix(ok+text, ok+string(rest)) || len(rest) == 0 || len(rest) < min(len(text), 4000) {
			t.Errorf("%.60q: served %d, answered %q and left %.60q; want one answer and the text back", text, served, got, rest)
		}
	}
}

// TestServer_ClientGoes: the context of a request ends soon after its client,
// and a byte that was read to find out is not lost.
func TestServer_ClientGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan struct{})
		c, done := serve(t, h1.Server{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/gone" {
				<-r.Context().Done()
				close(ended)
				return
			}
			time.Sleep(time.Second)
		})
		_, _ = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
		time.Sleep(500 * time.Millisecond)
		_, _ = io.WriteString(c, "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
			t.Fatalf("got %v, %v; want 200", resp, err)
		}
		_ = c.Close()
		start := time.Now()
		<-ended
		<-done
		if d := time.Since(start); d > time.Second {
			t.Errorf("noticed after %v", d)
		}
	})
}

// TestServer_HalfCloseBehindTheNextRequest: what came before the end is served,
// however long it takes.
func TestServer_HalfCloseBehindTheNextRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		wait := time.Second
		got, rest := talk(t, strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 3), func(http.ResponseWriter, *http.Request) {
			time.Sleep(wait)
			wait /= 100 // the last one ends before anybody looks
		})
		if n := strings.Count(got, "HTTP/1.1 200 OK"); n != 3 || rest != nil {
			t.Errorf("got %d answers and left %q, want 3", n, rest)
		}
	})
}

// TestServer_Waits: for the first request and the rest of its head HeadTimeout,
// for the next one KeepAlive, each from its beginning.
func TestServer_Waits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		say  func(c net.Conn)
		want time.Duration
	}{
		{"silence", func(net.Conn) {}, 10 * time.Second},
		{"half a head", func(c net.Conn) { time.Sleep(4 * time.Second); _, _ = io.WriteString(c, "GET / HT") }, 10 * time.Second},
		{"one request", func(c net.Conn) {
			time.Sleep(4 * time.Second)
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		}, 64 * time.Second},
		{"then half a head", func(c net.Conn) {
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			time.Sleep(30 * time.Second)
			_, _ = io.WriteString(c, "GET / HT")
		}, 40 * time.Second},
		{"slow exchange between", func(c net.Conn) {
			_, _ = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
		}, 160 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, done := serve(t, h1.Server{HeadTimeout: 10 * time.Second, KeepAlive: time.Minute}, func(_ http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						time.Sleep(100 * time.Second)
					}
				})
				start := time.Now()
				go func() { _, _ = io.Copy(io.Discard, c) }()
				tt.say(c)
				<-done
				if d := time.Since(start).Round(time.Millisecond); d != tt.want {
					t.Errorf("ended after %v, want %v", d, tt.want)
				}
				_ = c.Close()
			})
		})
	}
}

// TestServer_PanicEndsTheConnection: and nothing that was not flushed leaves.
func TestServer_PanicEndsTheConnection(t *testing.T) {
	t.Parallel()
	for _, v := range []any{http.ErrAbortHandler, "other"} {
		var log bytes.Buffer
		c, done := serve(t, h1.Server{Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "lost")
			panic(v)
		})
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		b, _ := io.ReadAll(c)
		<-done
		if len(b) > 0 || (log.Len() > 0) != (v == "other") {
			t.Errorf("panic(%v): the client got %q, the log %q", v, b, log.String())
		}
	}
}

// FuzzServer: whatever the loop takes as a request net/http takes too, and it
// means the same to both, body and what follows included.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /a/b;c=d?e=%20&f HTTP/1.1\r\nHost: h:80\r\nAccept: */*\r\nx-lower: a\r\nX-Lower:\tb \r\n\r\nGET /? HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		"POST //%2F%41 HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n\r\nabcPUT /{} HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: A, b\r\nConnection: TE\r\nTE: trailers\r\n\r\n2;a=b\r\nab\r\n0\r\nA: c\r\nD: e\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
		"DELETE /@:[x] HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nPragma: no-cache\r\nA: \xff\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 16<<10 {
			return
		}
		reader := bufio.NewReader(bytes.NewReader(raw))
		n := 0
		_, rest := talk(t, string(raw), func(_ http.ResponseWriter, r *http.Request) {
			n++
			want, err := http.ReadRequest(reader)
			if err != nil {
				t.Errorf("request %d of %q: net/http refuses it: %v", n, raw, err)
				return
			}
			same(t, r, want)
		})
		if left, _ := io.ReadAll(reader); len(rest) > 0 && !bytes.HasPrefix(left, rest) && !t.Failed() {
			t.Errorf("%q: left %q, want %q", raw, rest, left)
		}
	})
}

// same compares a request with what net/http makes of it.
func same(t *testing.T, got, want *http.Request) {
	t.Helper()
	body, err := io.ReadAll(got.Body)
	wantBody, wantErr := io.ReadAll(want.Body)
	if err == nil && (!bytes.Equal(body, wantBody) || wantErr != nil) {
		t.Errorf("body %q; want %q, %v", body, wantBody, wantErr) // what is no body to us may be one to net/http
	}
	for name, values := range got.Trailer {
		if err == nil && !reflect.DeepEqual(values, want.Trailer[name]) {
			t.Errorf("trailer %s is %q, want %q", name, values, want.Trailer[name])
		}
	}
	if want.Header["Cache-Control"] != nil && got.Header["Cache-Control"] == nil && want.Header["Pragma"] != nil {
		delete(want.Header, "Cache-Control") // net/http adds one to Pragma
	}
	if !reflect.DeepEqual(got.Header, want.Header) {
		t.Errorf("header %q, want %q", got.Header, want.Header)
	}
	type line struct {
		Method, Host, Target, Proto, Path, RawPath, Query, Text string
		Force, Close                                            bool
		Length                                                  int64
	}
	of := func(r *http.Request) line {
		return line{
			r.Method, r.Host, r.RequestURI, r.Proto, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.String(),
			r.URL.ForceQuery, r.Close, r.ContentLength,
		}
	}
	if g, w := of(got), of(want); g != w {
		t.Errorf("got %+v\nwant %+v", g, w)
	}
	if got.Context() == context.Background() {
		t.Error("the request has no context of its connection")
	}
}
