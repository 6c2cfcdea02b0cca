package access

import (
	"net/netip"
	"time"

	"github.com/culvert-project/culvert/server/internal/window"
)

// maxFailures is how many wrong passwords a client may try in a minute
// (reliability-security.md T47).
const maxFailures = 10

// throttle counts wrong passwords by the client's address, of IPv6 its /64.
// Loopback is exempt.
type throttle struct{ failures *window.Table }

func newThrottle() *throttle { return &throttle{window.New(time.Minute, 0)} }

// check reports whether a client has to wait before it may try again.
func (t *throttle) check(client netip.AddrPort) (wait time.Duration, throttled bool) {
	if client.Addr().Unmap().IsLoopback() {
		return 0, false
	}
	ok, wait := t.failures.Look(network(client), maxFailures)
	return wait, !ok
}

// failed counts a wrong password.
func (t *throttle) failed(client netip.AddrPort) {
	if !client.Addr().Unmap().IsLoopback() {
		t.failures.Take(network(client), maxFailures)
	}
}

func network(client netip.AddrPort) window.Key {
	a := client.Addr().Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) //nolint:errcheck // fits
		a = p.Addr()
	}
	return window.KeyOf(a.AsSlice())
}
