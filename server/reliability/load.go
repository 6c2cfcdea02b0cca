package reliability

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// LoadConfig says what a [Load] consists of.
type LoadConfig struct {
	Net Network
	CAs *x509.CertPool
	// URL is an endpoint in front of an [Upstream].
	URL string
	// H1, H2 and WebSockets are how many clients of each kind there are. The
	// clients of a kind share their connections as browsers do: HTTP/2 has one.
	H1, H2, WebSockets int
	// Upload is the size of uploads, of which there is one at a time; 0 for
	// none.
	Upload int64
	// GetOnly leaves out requests that clients do not repeat by themselves when
	// a kept connection ends under them.
	GetOnly bool
	// Rest is how long each client rests between two requests.
	Rest time.Duration
	// Pace, if set, is called before each request and says when it may begin. It
	// reports false if there is to be none.
	Pace func(context.Context) bool
}

// Pace returns a [LoadConfig.Pace] that lets so many requests begin a second.
// What was missed for more than a moment is not made up for.
func Pace(perSecond float64) func(context.Context) bool {
	step := time.Duration(float64(time.Second) / perSecond)
	var mu sync.Mutex
	next := time.Now()
	return func(ctx context.Context) bool {
		mu.Lock()
		if late := time.Now().Add(-100 * time.Millisecond); next.Before(late) {
			next = late
		}
		next = next.Add(step)
		at := next
		mu.Unlock()
		return pause(ctx, time.Until(at))
	}
}

// Load is traffic through an endpoint. Start one with [StartLoad].
type Load struct {
	cfg     LoadConfig
	clients []*http.Client
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu     sync.Mutex
	counts Counts // guarded by mu, as is all below
	turn   chan struct{}
}

// Counts are outcomes of requests by kind and outcome: "h1 ok", "h2 502
// ERR_NGROK_3004".
type Counts map[string]int64

// kinds of traffic, as they stand in counts.
const (
	kindH1     = "h1"
	kindH2     = "h2"
	kindWS     = "ws"
	kindUpload = "upload"
)

// StartLoad starts traffic that goes on until Stop.
func StartLoad(ctx context.Context, cfg LoadConfig) *Load {
	ctx, cancel := context.WithCancel(ctx)
	l := &Load{cfg: cfg, cancel: cancel, counts: Counts{}, turn: make(chan struct{})}
	h1, h2 := Client(cfg.Net, cfg.CAs, false), Client(cfg.Net, cfg.CAs, true)
	// A request that waits for a new connection may be given one that is free
	// first, and then both are kept: without a bound here they become ever more.
	h1.Transport.(*http.Transport).MaxIdleConnsPerHost = max(1, cfg.H1+cfg.WebSockets)
	l.clients = []*http.Client{h1, h2}
	for i := range cfg.H1 {
		l.wg.Go(func() { l.requests(ctx, kindH1, h1, i) })
	}
	for i := range cfg.H2 {
		l.wg.Go(func() { l.requests(ctx, kindH2, h2, i) })
	}
	for range cfg.WebSockets {
		l.wg.Go(func() { l.webSockets(ctx, h1) })
	}
	if cfg.Upload > 0 {
		l.wg.Go(func() { l.uploads(ctx, h2) })
	}
	return l
}

// Stop ends the load and returns what came of it. What is under way then is
// not counted.
func (l *Load) Stop() Counts {
	l.cancel()
	l.wg.Wait()
	for _, c := range l.clients {
		c.CloseIdleConnections()
	}
	return l.Counts()
}

// Counts returns what came of the load so far.
func (l *Load) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.counts)
}

// Await waits until every kind of client has had n more requests answered. It
// fails if ctx ends first.
func (l *Load) Await(ctx context.Context, n int64) error {
	from := l.Counts()
	for {
		l.mu.Lock()
		missing, turn := l.missing(from, n), l.turn
		l.mu.Unlock()
		if missing == "" {
			return nil
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return fmt.Errorf("%s: no %d more answers; so far: %v", missing, n, l.Counts())
		}
	}
}

// missing is called with mu held.
func (l *Load) missing(from Counts, n int64) string {
	for kind, clients := range map[string]int{kindH1: l.cfg.H1, kindH2: l.cfg.H2, kindWS: l.cfg.WebSockets} {
		if key := kind + " " + string(OK); clients > 0 && l.counts[key]-from[key] < n {
			return kind
		}
	}
	return ""
}

// note counts an outcome, unless the load has been stopped, and reports whether
// it was fine.
func (l *Load) note(ctx context.Context, kind string, o Outcome) bool {
	if ctx.Err() != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[kind+" "+string(o)]++
	close(l.turn)
	l.turn = make(chan struct{})
	return o == OK
}

// retryPause is how long a client rests after a failure.
const retryPause = 10 * time.Millisecond

// next waits until the next request may begin.
func (l *Load) next(ctx context.Context, ok bool) bool {
	if !ok && !pause(ctx, retryPause) {
		return false
	}
	if l.cfg.Rest > 0 && !pause(ctx, l.cfg.Rest) {
		return false
	}
	if l.cfg.Pace != nil && !l.cfg.Pace(ctx) {
		return false
	}
	return ctx.Err() == nil
}

// requests asks for bodies of many sizes, in turn.
func (l *Load) requests(ctx context.Context, kind string, c *http.Client, i int) {
	sizes := []int64{0, 1, 1500, 16 << 10, 100_000}
	for ok := true; l.next(ctx, ok); i++ {
		var o Outcome
		switch n := sizes[i%len(sizes)]; i % 3 {
		case 0:
			o, _ = Get(ctx, c, l.cfg.URL, false, n)
		case 1:
			o, _ = Get(ctx, c, l.cfg.URL, true, n)
		default:
			if l.cfg.GetOnly {
				continue
			}
			o, _ = Echo(ctx, c, l.cfg.URL, n)
		}
		ok = l.note(ctx, kind, o)
	}
}

func (l *Load) uploads(ctx context.Context, c *http.Client) {
	for ok := true; l.next(ctx, ok); {
		o, _ := Upload(ctx, c, l.cfg.URL, l.cfg.Upload)
		ok = l.note(ctx, kindUpload, o)
	}
}

func (l *Load) webSockets(ctx context.Context, c *http.Client) {
	for ok := true; l.next(ctx, ok); {
		ok = l.webSocket(ctx, c)
	}
}

// webSocket opens one and sends messages until it fails.
func (l *Load) webSocket(ctx context.Context, c *http.Client) bool {
	ws, resp, err := websocket.Dial(ctx, l.cfg.URL+"/ws", &websocket.DialOptions{HTTPClient: c}) //nolint:bodyclose // Dial has read it
	switch {
	case err != nil && resp != nil && resp.StatusCode != http.StatusOK:
		return l.note(ctx, kindWS, Answered(resp))
	case err != nil:
		return l.note(ctx, kindWS, failure(err))
	}
	defer ws.CloseNow() //nolint:errcheck // it has failed, or is over
	for i := range 1 << 30 {
		msg, err := io.ReadAll(Pattern(int64(i % 3000)))
		if err == nil {
			err = ws.Write(ctx, websocket.MessageBinary, msg)
		}
		var got []byte
		if err == nil {
			_, got, err = ws.Read(ctx)
		}
		switch {
		case err != nil:
			return l.note(ctx, kindWS, Lost)
		case !bytes.Equal(got, msg):
			return l.note(ctx, kindWS, Corrupt)
		}
		l.note(ctx, kindWS, OK)
		if !l.next(ctx, true) {
			break
		}
	}
	_ = ws.Close(websocket.StatusNormalClosure, "") // the load is over
	return true
}

// Since returns what came after earlier counts of the same load.
func (c Counts) Since(earlier Counts) Counts {
	d := Counts{}
	for k, v := range c {
		if v -= earlier[k]; v != 0 {
			d[k] = v
		}
	}
	return d
}

// Sum returns the outcomes that f picks.
func (c Counts) Sum(f func(kind string, o Outcome) bool) int64 {
	var n int64
	for k, v := range c {
		kind, o, _ := strings.Cut(k, " ")
		if f(kind, Outcome(o)) {
			n += v
		}
	}
	return n
}

// Failed returns how many were not fine.
func (c Counts) Failed() int64 { return c.Sum(func(_ string, o Outcome) bool { return o != OK }) }

// String lists the outcomes in order.
func (c Counts) String() string {
	var parts []string
	for _, k := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, fmt.Sprintf("%s: %d", k, c[k]))
	}
	return strings.Join(parts, ", ")
}
