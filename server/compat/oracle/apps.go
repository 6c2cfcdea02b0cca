package oracle

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Seen is what the http application answers: the request as it arrived.
type Seen struct {
	Name   string            `json:"name"`
	Method string            `json:"method"`
	URI    string            `json:"uri"`
	Host   string            `json:"host"`
	Proto  string            `json:"proto"`
	Header map[string]string `json:"header"` // names in lower case
	Body   string            `json:"body"`
	TLS    bool              `json:"tls"`
}

// Handler is the http application. Besides echoing the request it serves /ws (a WebSocket that echoes), /events (three
// server-sent events, the next one only once the client has asked for it at /more) and /bytes?n= (so many bytes), and
// counts what is sent to /sink.
func Handler(name string) http.Handler {
	more := make(chan struct{}, 16)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", webSocket)
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) { events(w, r, more) })
	mux.HandleFunc("/more", func(http.ResponseWriter, *http.Request) { more <- struct{}{} })
	mux.HandleFunc("/bytes", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.ParseInt(r.URL.Query().Get("n"), 10, 64)
		io.CopyN(w, Pattern{}, n)
	})
	mux.HandleFunc("/sink", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, n, err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen := Seen{
			Name: name, Method: r.Method, URI: r.RequestURI, Host: r.Host, Proto: r.Proto, Body: string(body), TLS: r.TLS != nil,
			Header: map[string]string{},
		}
		for k, v := range r.Header {
			seen.Header[strings.ToLower(k)] = strings.Join(v, ", ")
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(seen)
	})
	return mux
}

// events sends three events, each only when the client has proved that the one before reached it.
func events(w http.ResponseWriter, r *http.Request, more <-chan struct{}) {
	w.Header().Set("Content-Type", "text/event-stream")
	for i := range 3 {
		fmt.Fprintf(w, "data: %d\n\n", i)
		w.(http.Flusher).Flush()
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

func webSocket(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, msg, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if c.Write(r.Context(), kind, append([]byte("echo "), msg...)) != nil {
			return
		}
	}
}

func serveHTTP(ln net.Listener, name string) {
	srv := &http.Server{Handler: Handler(name), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	srv.Serve(ln)
}

// Echo is the tcp application. It speaks first ("hello NAME"), echoes lines, and after the end of input says "bye".
func Echo(conn net.Conn, name string) {
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "hello %s\n", name); err != nil {
		return
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		if _, err := io.WriteString(conn, line); err != nil {
			return
		}
	}
	fmt.Fprintln(conn, "bye")
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
		io.Copy(io.Discard, in)
	}
}

// Pattern is an endless reader of the same kilobyte.
type Pattern struct{}

// Read fills b.
func (Pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a' + byte(i%26)
	}
	return len(b), nil
}
