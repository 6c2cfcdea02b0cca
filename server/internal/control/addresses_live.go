package control

import (
	"errors"
	"sync"

	"github.com/culvert-project/culvert/server/internal/store"
)

// Addresses knows whose the TCP ports of the server are: reserved addresses, and those that are about to be reserved.
// It is a store.Projection, and knows of no reservation before it is loaded.
type Addresses struct {
	mu      sync.RWMutex
	ports   map[uint16]reservation // guarded by mu, as is all below
	ids     map[string]uint16      // the ports by the ids of reservations
	intents map[string]bool        // ids of those that are about to be made
}

// NewAddresses returns Addresses without reservations.
func NewAddresses() *Addresses {
	return &Addresses{ports: map[uint16]reservation{}, ids: map[string]uint16{}, intents: map[string]bool{}}
}

// Holder returns the id and the account of the reservation of a port, "" if there is none.
func (a *Addresses) Holder(port uint16) (id, account string) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r := a.ports[port]
	return r.id, r.account
}

// Intend makes a port an account's, which is about to reserve it by an id. That ends with Withdraw, unless the
// reservation with this id is known by then. It does nothing and reports false if the port is reserved.
func (a *Addresses) Intend(id, account string, port uint16) (free bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ports[port].id != "" {
		return false
	}
	a.ports[port], a.ids[id], a.intents[id] = reservation{id, account}, port, true
	return true
}

// Withdraw ends what Intend has begun for a reservation that was not made.
func (a *Addresses) Withdraw(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.intents[id] {
		a.drop(id)
	}
}

// set notes a reservation, whose port never changes. It is called with mu held.
func (a *Addresses) set(id, account string, port uint16) {
	a.ports[port], a.ids[id] = reservation{id, account}, port
	delete(a.intents, id)
}

// drop forgets a reservation, whose port may have been reserved anew. It is called with mu held.
func (a *Addresses) drop(id string) {
	if port, known := a.ids[id]; known && a.ports[port].id == id {
		delete(a.ports, port)
	}
	delete(a.ids, id)
	delete(a.intents, id)
}

// Load implements store.Projection.
func (a *Addresses) Load(tx store.Tx) error {
	fresh := NewAddresses()
	docs := addressCollection()
	a.mu.Lock()
	defer a.mu.Unlock()
	var bad store.Unreadable
	for o, err := range docs.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			if port, known := a.ids[u.ID]; known { // it never changes
				fresh.set(u.ID, u.Account, port)
			}
			continue
		}
		if err != nil {
			return err
		}
		fresh.set(o.ID, o.Account, o.Doc.Port)
	}
	for id := range a.intents {
		port := a.ids[id]
		if _, made := fresh.ids[id]; !made && fresh.ports[port].id == "" {
			fresh.ports[port], fresh.ids[id], fresh.intents[id] = a.ports[port], port, true
		}
	}
	a.ports, a.ids, a.intents = fresh.ports, fresh.ids, fresh.intents
	return bad.Err()
}

// Apply implements store.Projection.
func (a *Addresses) Apply(tx store.Tx, changes []store.Change) error {
	docs := addressCollection()
	var bad store.Unreadable
	for _, c := range changes {
		if c.Kind != docs.Kind {
			continue
		}
		o, err := docs.Get(tx, c.ID)
		if bad.Skip(err) != nil {
			continue // an address that is known stays reserved
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		a.mu.Lock()
		if err != nil {
			a.drop(c.ID)
		} else {
			a.set(o.ID, o.Account, o.Doc.Port)
		}
		a.mu.Unlock()
	}
	return bad.Err()
}
