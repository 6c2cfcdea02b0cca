package tunnel

import (
	"net/netip"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/netx"
)

const (
	// failureWindow is the time that failures are counted over.
	failureWindow = time.Minute
	// maxFailureKeys bounds the memory of a failures value: beyond it the whole
	// window is forgotten, which an attacker from that many addresses gains
	// nothing by.
	maxFailureKeys = 10_000
	// tokenPrefix is how much of a token tells what kind it is and begins to be
	// its own: enough to find someone who tries one token from many places.
	tokenPrefix = 16
)

// failures counts refused tokens by address and by beginning of the token, in
// windows of one minute (agent-protocol.md 13, H14).
type failures struct {
	perSource, perToken int

	mu      sync.Mutex
	since   time.Time // guarded by mu, as is all below
	sources map[netip.Prefix]int
	tokens  map[string]int
}

func newFailures(l Limits) *failures {
	return &failures{
		perSource: l.AuthFailures, perToken: l.TokenFailures,
		sources: map[netip.Prefix]int{}, tokens: map[string]int{},
	}
}

// exceeded reports whether another attempt from addr with token is one too many.
func (f *failures) exceeded(addr netip.Addr, token string) bool {
	src := netx.Source(addr)
	if !src.IsValid() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn()
	return f.sources[src] >= f.perSource || f.tokens[prefix(token)] >= f.perToken
}

// add counts one refused token.
func (f *failures) add(addr netip.Addr, token string) {
	src := netx.Source(addr)
	if !src.IsValid() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn()
	f.sources[src]++
	f.tokens[prefix(token)]++
}

// turn starts a new window if the old one is over or full. f.mu is held.
func (f *failures) turn() {
	now := time.Now()
	full := len(f.sources) >= maxFailureKeys || len(f.tokens) >= maxFailureKeys
	if full || now.Sub(f.since) >= failureWindow {
		f.since = now
		clear(f.sources)
		clear(f.tokens)
	}
}

func prefix(token string) string { return token[:min(len(token), tokenPrefix)] }
