package oracle

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// forwardScenarios are endpoints whose connections the library itself forwards.
func forwardScenarios() []scenario {
	httpApp := App{Name: "app", Kind: "http"}
	return []scenario{
		{name: "forward_https", run: func(t *testing.T, st *Stage) {
			up := Upstream(t, httpApp)
			checkRequest(t, st, st.Forward(t, Endpoint{Scheme: "https", Host: st.Host()}, "http://"+up), "https")
		}},
		{name: "forward_http", run: func(t *testing.T, st *Stage) {
			up := Upstream(t, httpApp)
			checkRequest(t, st, st.Forward(t, Endpoint{Scheme: "http", Host: st.Host()}, "http://"+up), "http")
		}},
		{name: "forward_to_https", lacks: func(l Lacks) bool { return l.Trust }, run: func(t *testing.T, st *Stage) {
			up := Upstream(t, App{Name: "app", Kind: "http", TLS: NewPair(t, "localhost")})
			checkRequest(t, st, st.Forward(t, Endpoint{Scheme: "https", Host: st.Host()}, "https://"+up), "https")
		}},
		{name: "forward_http2_upstream", lacks: func(l Lacks) bool { return l.HTTP2 }, run: func(t *testing.T, st *Stage) {
			up := Upstream(t, httpApp)
			o := st.Forward(t, Endpoint{Scheme: "https", Host: st.Host(), HTTP2: true}, "http://"+up)
			if seen := Get(t, st.Client(t), o.URL()+"/"); seen.Proto != "HTTP/2.0" {
				t.Errorf("upstream saw %q, want HTTP/2.0", seen.Proto)
			}
		}},
		{name: "forward_tcp", run: func(t *testing.T, st *Stage) {
			o := st.Forward(t, Endpoint{Scheme: "tcp"}, "tcp://"+Upstream(t, App{Name: "app", Kind: "tcp"}))
			conn := Dial(t, o.URL())
			if name := Talk(t, conn); name != "app" {
				t.Errorf("answered by %q", name)
			}
			if !st.Library.Lacks.HalfClose {
				TalkToTheEnd(t, conn)
			}
		}},
		{name: "forward_tcp_chosen_port", run: forwardChosenPort},
		{name: "forward_websocket", run: forwardWebSocket},
		{name: "forward_events", run: forwardEvents},
		{name: "forward_large_bodies", run: forwardLarge},
		{name: "forward_many_at_once", run: forwardMany},
		{name: "forward_upstream_down", run: func(t *testing.T, st *Stage) {
			o := st.Forward(t, Endpoint{Scheme: "https", Host: st.Host()}, "http://"+Closed(t))
			_, err := get(t.Context(), st.Client(t), o.URL()+"/")
			if se, ok := errors.AsType[*StatusError](err); !ok || se.Status != http.StatusBadGateway {
				t.Errorf("got %v, want the library's own 502", err)
			}
		}},
		{name: "proxy_protocol_v1", run: func(t *testing.T, st *Stage) { proxyProtocol(t, st, 1) }},
		{name: "proxy_protocol_v2", run: func(t *testing.T, st *Stage) { proxyProtocol(t, st, 2) }},
		{name: "proxy_protocol_tls", run: func(t *testing.T, st *Stage) {
			pair := NewPair(t, st.Host())
			up, headers := ProxyUpstream(t, App{Name: "app", TLS: pair})
			o := st.Forward(t, Endpoint{Scheme: "tls", Host: st.Host(), PROXY: 2}, "tcp://"+up)
			conn := MustDialTLS(t, o.URL(), &tls.Config{RootCAs: pair.Pool()})
			Talk(t, conn)
			wantHeader(t, recv(t, headers, "PROXY header"), 2, conn.LocalAddr().String(), conn.RemoteAddr().String())
		}},
	}
}

func proxyProtocol(t *testing.T, st *Stage, version int) {
	up, headers := ProxyUpstream(t, App{Name: "app"})
	o := st.Forward(t, Endpoint{Scheme: "tcp", PROXY: version}, "tcp://"+up)
	conn := Dial(t, o.URL())
	TalkFirst(t, conn) // the Rust family passes the header on with the client's first bytes, not before
	wantHeader(t, recv(t, headers, "PROXY header"), version, conn.LocalAddr().String(), conn.RemoteAddr().String())
}

// forwardChosenPort asks for a port that the server has handed out before.
func forwardChosenPort(t *testing.T, st *Stage) {
	up := "tcp://" + Upstream(t, App{Name: "app", Kind: "tcp"})
	s := st.Session(t)
	first, err := s.Forward(t.Context(), Endpoint{Scheme: "tcp"}, up)
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(first.URL(), "tcp://")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := s.Forward(t.Context(), Endpoint{Scheme: "tcp", Host: addr}, up)
	if err != nil {
		t.Fatalf("ask for %s: %v", addr, err)
	}
	if again.URL() != first.URL() {
		t.Errorf("URL %q, want %q", again.URL(), first.URL())
	}
	Talk(t, Dial(t, again.URL()))
}

func forwardWebSocket(t *testing.T, st *Stage) {
	o := st.Forward(t, Endpoint{Scheme: "https", Host: st.Host()}, "http://"+Upstream(t, App{Name: "app", Kind: "http"}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, o.URL()+"/ws", &websocket.DialOptions{HTTPClient: st.Client(t)})
	if err != nil {
		t.Fatalf("dial: %v (%+v)", err, resp)
	}
	defer conn.CloseNow()
	for i := range 3 {
		msg := fmt.Sprintf("message %d %s", i, strings.Repeat("x", i*10_000))
		if err := conn.Write(ctx, websocket.MessageText, []byte(msg)); err != nil {
			t.Fatal(err)
		}
		_, got, err := conn.Read(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != "echo "+msg {
			t.Errorf("message %d: got %d bytes, want %d", i, len(got), len(msg)+5)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}

// forwardEvents wants each event before it allows the next: nothing on the way may wait for more.
func forwardEvents(t *testing.T, st *Stage) {
	o := st.Forward(t, Endpoint{Scheme: "https", Host: st.Host()}, "http://"+Upstream(t, App{Name: "app", Kind: "http"}))
	client := st.Client(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.URL()+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for i := range 3 {
		if got, want := line(t, in), fmt.Sprintf("data: %d", i); got != want {
			t.Fatalf("event %q, want %q", got, want)
		}
		line(t, in)
		more, err := http.NewRequestWithContext(t.Context(), http.MethodGet, o.URL()+"/more", nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Do(more)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
}

// forwardLarge moves bodies that are far larger than any window, in both directions.
func forwardLarge(t *testing.T, st *Stage) {
	const size = 24 << 20
	o := st.Forward(t, Endpoint{Scheme: "https", Host: st.Host()}, "http://"+Upstream(t, App{Name: "app", Kind: "http"}))
	client := st.Client(t)
	client.Timeout = 0
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	fetch := func(method, path string, body io.Reader) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, o.URL()+path, body)
		if err != nil {
			return nil, err
		}
		return client.Do(req)
	}
	resp, err := fetch("GET", fmt.Sprintf("/bytes?n=%d", size), nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil || n != size {
		t.Errorf("download: %d bytes, %v; want %d", n, err, size)
	}
	resp, err = fetch("POST", "/sink", io.LimitReader(Pattern{}, size))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if want := fmt.Sprintf("%d <nil>\n", size); err != nil || !bytes.Equal(text, []byte(want)) {
		t.Errorf("upload: %q, %v; want %q", text, err, want)
	}
}

// forwardMany has more requests under way than the smallest agent takes streams at once, from many public clients.
func forwardMany(t *testing.T, st *Stage) {
	o := st.Forward(t, Endpoint{Scheme: "https", Host: st.Host()}, "http://"+Upstream(t, App{Name: "app", Kind: "http"}))
	var wg sync.WaitGroup
	for i := range 60 {
		client := st.Client(t) // a public connection of its own
		wg.Go(func() {
			for j := range 10 {
				want := fmt.Sprintf("/%d/%d", i, j)
				seen, err := get(t.Context(), client, o.URL()+want)
				if err != nil || seen.URI != want {
					t.Errorf("%s: got %q, %v", want, seen.URI, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
