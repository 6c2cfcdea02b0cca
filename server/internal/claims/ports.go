package claims

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"syscall"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// openFailure tells a port that another program has from one that the server cannot open.
func openFailure(err error) error {
	if noDescriptor(err) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EADDRNOTAVAIL) {
		return errors.Join(errFails, err)
	}
	return errors.Join(errBusy, err)
}

// noDescriptor reports whether there is none left to open a socket with: no other port would do.
func noDescriptor(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// why is what kept a port from being opened, without its address, which the message names already.
func why(err error) error {
	if both, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // made by openFailure
		err = both.Unwrap()[1]
	}
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		return oe.Err
	}
	return err
}

// claimRandomPort claims a port of the range that nobody has, from a random one upwards. If there is none, or
// nothing left to open it with, one that is held for a lost agent of the same account is given up and taken,
// the oldest first.
func (b *Binder) claimRandomPort(ctx context.Context, agent wire.Agent, r request, id string) (*claim, error) {
	if b.cfg.TCPLast == 0 {
		return nil, b.NoPortFree()
	}
	want := claim{id: id, account: agent.Account, url: endpoint.URL{Scheme: endpoint.TCP, Host: b.tcpHost}, random: true}
	var failed error
	first, n := int(b.cfg.TCPFirst), int(b.cfg.TCPLast)-int(b.cfg.TCPFirst)+1
	start := rand.IntN(n)
	for i := range n {
		want.url.Port = uint16(first + (start+i)%n) //nolint:gosec // within the range
		if want.url.Port == 0 {
			continue
		}
		c, err := b.place(ctx, agent, r, want, true)
		if !portRefused(err) {
			return c, b.refusal(err, want.url)
		}
		if failed = err; noDescriptor(err) {
			break // as it would be for any other
		}
	}
	for b.evictPort(agent.Account, &want.url.Port) {
		c, err := b.place(ctx, agent, r, want, true)
		if !portRefused(err) {
			return c, b.refusal(err, want.url)
		}
		failed = err
	}
	if noDescriptor(failed) {
		return nil, b.refusal(failed, want.url)
	}
	return nil, fault.Wrap(failed, fault.NoPortFree, rangeText(b.cfg), b.portUse())
}

// portRefused reports whether another port might be had.
func portRefused(err error) bool {
	return errors.Is(err, errTaken) || errors.Is(err, errBusy) || errors.Is(err, errFails)
}

// evictPort gives up the oldest port of the range that is held for an agent of account alone. It stores the
// port and reports whether there was one.
func (b *Binder) evictPort(account string, port *uint16) bool {
	b.mu.Lock()
	for e := b.held.Front(); e != nil; e = e.Next() {
		c := e.Value.(*claim) //nolint:forcetypeassert // of claims only
		if c.account != account || c.url.Scheme != endpoint.TCP || BindingOf(c.url) != endpoint.Public || !b.inRange(c.url.Port) {
			continue
		}
		if s := b.sites[placeOf(c.account, c.url)]; s.busy == nil && len(s.members) == 1 {
			closing := b.drop(c)
			b.mu.Unlock()
			b.close(closing)
			*port = c.url.Port
			return true
		}
	}
	b.mu.Unlock()
	return false
}

// inRange reports whether a port is one that the server gives to endpoints.
func (b *Binder) inRange(port uint16) bool {
	return port != 0 && port >= b.cfg.TCPFirst && port <= b.cfg.TCPLast
}

// portUse tells what has the ports of the range.
func (b *Binder) portUse() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	total, online, held, reserved := 0, 0, 0, 0
	for p := int(b.cfg.TCPFirst); p <= int(b.cfg.TCPLast); p++ {
		if p == 0 {
			continue
		}
		total++
		s := b.sites[place{port: uint16(p)}] //nolint:gosec // within the range
		switch {
		case s == nil || len(s.members) == 0:
			if b.reserved(uint16(p)) { //nolint:gosec // as above
				reserved++
			}
		case s.online():
			online++
		default:
			held++
		}
	}
	kept := ""
	if reserved > 0 {
		kept = fmt.Sprintf("%d are reserved, ", reserved)
	}
	return fmt.Sprintf("of %d ports %d are online, %s%d are held for agents that were lost, and %d cannot be opened",
		total, online, kept, held, total-online-held-reserved)
}

// online reports whether an agent has the site, rather than only being awaited.
func (s *site) online() bool {
	for _, m := range s.members {
		if m.elem == nil {
			return true
		}
	}
	return false
}
