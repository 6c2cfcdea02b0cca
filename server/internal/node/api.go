package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/rest"
)

// Paths of the health checks.
const (
	healthPath = "/healthz"
	readyPath  = "/readyz"
)

const (
	// apiShutdown bounds how long calls of the API may take to finish at the end.
	apiShutdown = time.Second
	// apiStreams is how many requests one connection of HTTP/2 may have at once.
	apiStreams = 100
)

// front answers what comes to the API listener: the health checks by itself, all
// else by the API as soon as there is one.
type front struct {
	health *health
	api    atomic.Pointer[rest.Server]
}

// newFront returns a front whose API refuses everything until open is called.
func newFront(h *health, log *slog.Logger) *front {
	f := &front{health: h}
	f.api.Store(rest.New(rest.Config{Auth: nobody{}, Logger: log}))
	return f
}

// open puts the API online.
func (f *front) open(api *rest.Server) { f.api.Store(api) }

// ServeHTTP answers one request.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.Path; (p == healthPath || p == readyPath) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		f.health.serve(w, r)
		return
	}
	f.api.Load().ServeHTTP(w, r)
}

// prover is an authenticator that notes which connections have shown a valid key.
type prover struct{ rest.Authenticator }

// APIKey returns the caller that a key stands for.
func (p prover) APIKey(ctx context.Context, key string, from netip.Addr) (*control.Caller, error) {
	c, err := p.Authenticator.APIKey(ctx, key, from)
	if err == nil {
		proven(ctx)
	}
	return c, err
}

// nobody knows no key yet: the database that has them is not open.
type nobody struct{}

// APIKey refuses.
func (nobody) APIKey(context.Context, string, netip.Addr) (*control.Caller, error) {
	return nil, fault.New(fault.DatabaseUnavailable)
}

// apiTLS reports whether the API is served over HTTPS (api.md 1.1).
func (c Config) apiTLS() bool {
	return c.APITLS == TLSOn || c.APITLS == TLSAuto && !onLoopback(c.APIAddr)
}

// apiURL is where clients find the API.
func (c Config) apiURL(ln net.Listener) string {
	if c.APIURL != "" {
		return c.APIURL
	}
	scheme := "http://"
	if c.apiTLS() {
		scheme = "https://"
	}
	host, _, _ := net.SplitHostPort(c.APIAddr) // valid, as the field says
	if !onLoopback(c.APIAddr) {
		host = connectHost(host, c.Domains[0])
	}
	return scheme + net.JoinHostPort(cmp.Or(host, "localhost"), strconv.Itoa(int(portOf(ln))))
}

// background is a part that runs from early on.
type background struct {
	end   context.CancelFunc
	ended chan struct{}
	err   error // set before ended is closed
}

// failure waits until the part ends by itself, or until ctx ends.
func (b *background) failure(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-b.ended:
		return b.err
	}
}

// stop ends the part and waits for it.
func (b *background) stop() error {
	b.end()
	<-b.ended
	return b.err
}

// startAPI serves the API listener. The context is that of the server's
// acceptance: the listener outlives it.
func (n *Node) startAPI(ctx context.Context, lns *listeners, f *files) (*background, error) {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	ln, err := lns.take(ctx, "tcp", lns.api.Addr().String())
	if err != nil {
		end()
		return nil, err
	}
	var secure *tls.Config
	if n.cfg.apiTLS() {
		secure = f.certs.APITLS()
	}
	b := &background{end: end, ended: make(chan struct{})}
	places := newAPIPlaces(n.cfg.apiConns)
	var onHTTPS sync.WaitGroup
	if n.handover != nil {
		onHTTPS.Go(func() {
			err := serveAPI(life, n.handover, places, f.certs.APITLS(), publicFront{n.front, n.cfg.Domains}, n.log)
			if err != nil {
				n.log.Error("the API on the HTTPS port ended", "err", err)
			}
		})
	}
	go func() {
		defer close(b.ended)
		b.err = serveAPI(life, ln, places, secure, n.front, n.log)
		end()
		onHTTPS.Wait()
	}()
	return b, nil
}

// serveAPI serves the API on ln until ctx ends, to as many connections at once
// as there are places. With a secure configuration it speaks HTTPS.
func serveAPI(ctx context.Context, ln net.Listener, places *apiPlaces, secure *tls.Config, h http.Handler, logger *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		TLSConfig:         secure,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: apiStreams},
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	ln = &apiListener{Listener: ln, places: places}
	srv.ConnState, srv.ConnContext = places.state, withAPIConn
	ended := make(chan error, 1)
	go func() {
		if secure != nil {
			ended <- srv.ServeTLS(ln, "", "")
			return
		}
		ended <- srv.Serve(ln)
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiShutdown)
	defer cancel()
	err := srv.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = srv.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
