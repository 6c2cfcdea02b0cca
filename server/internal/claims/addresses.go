package claims

import (
	"errors"
	"fmt"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// Addresses knows whose the ports of TCP endpoints are (api.md 2.3).
type Addresses interface {
	// Holder returns the id and the account of the reservation of a port, "" if there is none.
	Holder(port uint16) (id, account string)
	// Intend makes a port an account's from now on, which is about to reserve it by an id. It does nothing and
	// reports false if it is reserved already.
	Intend(id, account string, port uint16) (free bool)
	// Withdraw ends what Intend has begun for a reservation that was not made.
	Withdraw(id string)
}

// errForeign says that another account has reserved a port.
var errForeign = errors.New("the port is reserved by another account")

// reservedFor judges the reservation of a place for an account that wants it: nil if there is none, or its own. With
// free set a port that the server chooses must not be reserved at all. b.mu is held.
func (b *Binder) reservedFor(p place, account string, free bool) error {
	if b.cfg.Addresses == nil || p.host != "" || p.account != "" {
		return nil
	}
	switch id, holder := b.cfg.Addresses.Holder(p.port); {
	case id == "", holder == account && !free:
		return nil
	case free:
		return errTaken
	}
	return errForeign
}

// reserved reports whether anybody has reserved a port.
func (b *Binder) reserved(port uint16) bool {
	if b.cfg.Addresses == nil {
		return false
	}
	id, _ := b.cfg.Addresses.Holder(port)
	return id != ""
}

// ReservedAddress returns the id of the reserved address of an account that a stored URL is, "" if it is none.
func (b *Binder) ReservedAddress(account string, u endpoint.URL) string {
	if b.cfg.Addresses == nil || u.Scheme != endpoint.TCP || BindingOf(u) != endpoint.Public {
		return ""
	}
	if id, holder := b.cfg.Addresses.Holder(u.Port); holder == account {
		return id
	}
	return ""
}

// TCPRange returns the ports that TCP endpoints get, ends included; zero means none.
func (b *Binder) TCPRange() (first, last uint16) { return b.cfg.TCPFirst, b.cfg.TCPLast }

// TCPAddress returns the address of a port, as clients use it: host:port.
func (b *Binder) TCPAddress(port uint16) string { return fmt.Sprintf("%s:%d", b.tcpHost, port) }

// TCPPort returns the port of an address that the server has to give. It fails with a *fault.Error.
func (b *Binder) TCPPort(address string) (uint16, error) {
	u, err := endpoint.ParseURL(address, endpoint.TCP)
	if err == nil {
		err = u.Check(endpoint.Public)
	}
	if err != nil {
		return 0, err
	}
	if u.Scheme != endpoint.TCP || !b.isTCPHost(u.Host) || !b.inRange(u.Port) {
		return 0, b.unknownAddress(u)
	}
	return u.Port, nil
}

// IntendPort lets no other account begin an endpoint on a port that an account is about to reserve by an id. It does
// nothing and reports false if the port is reserved, or another account has an endpoint there; with idle set, if
// anybody has, or the port is being opened or closed.
func (b *Binder) IntendPort(id, account string, port uint16, idle bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.sites[place{port: port}]; s != nil {
		if idle {
			return false
		}
		for _, m := range s.members {
			if m.account != account {
				return false
			}
		}
	}
	return b.cfg.Addresses == nil || b.cfg.Addresses.Intend(id, account, port)
}

// WithdrawPort ends that for a reservation that is not there.
func (b *Binder) WithdrawPort(id string) {
	if b.cfg.Addresses != nil {
		b.cfg.Addresses.Withdraw(id)
	}
}

// StoredOn returns the URL of a stored endpoint of an account on a port.
func (b *Binder) StoredOn(account string, port uint16) (u endpoint.URL, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.sites[place{port: port}]; s != nil {
		for _, m := range s.members {
			if m.stored && m.account == account {
				return m.url, true
			}
		}
	}
	return u, false
}

// NoPortFree returns the fault for that no port of the range can be had.
func (b *Binder) NoPortFree() error {
	if b.cfg.TCPLast == 0 {
		return fault.New(fault.NoPortFree, rangeText(b.cfg), "it is empty")
	}
	return fault.New(fault.NoPortFree, rangeText(b.cfg), b.portUse())
}
