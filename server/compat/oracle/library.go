package oracle

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
)

// Library is a client library under test.
type Library struct {
	// Connect opens a session. It returns the refusal of the server as soon as there is one, even where the library
	// would go on trying. The session ends with the test.
	Connect func(t *testing.T, s Settings) (Session, error)
	// Code returns the coded part of an error of the library, "ERR_NGROK_105", or "".
	Code func(err error) string
	// Lacks says what the library cannot be asked for.
	Lacks Lacks
}

// Lacks says what a library has no way to ask for, so that the scenarios for it do not exist.
type Lacks struct {
	EdgeTLS   bool // a tls endpoint that ends at the edge
	AgentTLS  bool // a tls endpoint that ends in the library
	MutualTLS bool // client certificates at the edge
	HTTP2     bool // HTTP/2 to the upstream
	Labels    bool // labelled tunnels
	Policy    bool // a traffic policy
	HalfClose bool // half-close towards an upstream of a forwarder
	Trust     bool // an https upstream whose certificate no public authority signed
	// Heartbeats: that the library beats while the race detector watches it; see Race.
	Heartbeats bool
	URLs       bool // a wanted URL as such, not only its host
}

// Settings say how a session is opened.
type Settings struct {
	Addr  string // host:port of the server's agent listener
	CA    []byte // PEM
	Token string
	// Commands receives "stop" and "restart" as they come in.
	Commands chan<- string
	// Beats receives something for each heartbeat that came back; if it is not nil, the library beats every second.
	Beats chan<- struct{}
}

// Session is an open session of the library.
type Session interface {
	// Listen brings an endpoint online whose connections the library hands to app.
	Listen(ctx context.Context, e Endpoint, app App) (Online, error)
	// Forward brings an endpoint online whose connections the library forwards to upstream, a URL.
	Forward(ctx context.Context, e Endpoint, upstream string) (Online, error)
	// Close ends the session.
	Close() error
}

// Online is an endpoint that the server has accepted.
type Online interface {
	URL() string
	// Close takes the endpoint offline and leaves the session open.
	Close() error
}

// Endpoint is what is asked of a library.
type Endpoint struct {
	Scheme    string // http, https, tcp, tls
	Host      string // wanted name, or host:port for tcp; empty: the server's choice
	URL       string // instead of Host, where the library takes URLs
	Pooling   bool
	PROXY     int         // version of the PROXY protocol, or 0
	EdgeTLS   bool        // tls: end TLS at the edge, with the edge's certificate
	EdgeCert  *Pair       // tls: the same with this certificate
	AgentTLS  *tls.Config // tls: end TLS in the library
	ClientCAs []byte      // PEM; https, and tls with EdgeTLS: clients must present a certificate of these
	HTTP2     bool        // speak HTTP/2 to the upstream
	Labels    map[string]string
	Policy    string // a traffic policy, YAML or JSON
	Binding   string // public, internal, or empty for the server's choice
}

// App is the application that a library serves by itself. Both kinds answer with their name, so that members of a
// pool can be told apart.
type App struct {
	Name string
	// Kind is "http" for [Handler] or "tcp" for [Echo].
	Kind string
	// TLS makes the application end TLS by itself, with this certificate.
	TLS *Pair
}

// Serve runs app on ln until ln is closed. Libraries whose listeners are net.Listeners use it.
func Serve(ln net.Listener, app App) {
	if app.TLS != nil {
		ln = tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{app.TLS.Certificate()}})
	}
	if app.Kind == "http" {
		serveHTTP(ln, app.Name)
		return
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		go Echo(conn, app.Name)
	}
}
