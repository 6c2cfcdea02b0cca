package control

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Names knows whose a public name is: reserved names with all below them, and the names under base domains
// (api.md 4.1). It is a store.Projection, and knows of no reservation before it is loaded.
type Names struct {
	bases []string

	mu       sync.RWMutex
	domains  map[string]reservation // by name; guarded by mu, as is all below
	names    map[string]holding     // of reservations, by id
	accounts map[string]bool
	intents  map[string]intent // by the id that the reservation will have
	below    holdings          // of reservations and intents
}

// intent is a name that is about to be reserved.
type intent struct {
	holding

	settled chan struct{} // closed when it is reserved, or will not be
}

// intentPatience bounds how long a bind waits for the reservations under way.
const intentPatience = time.Second

// reservation is a name that is reserved.
type reservation struct{ id, account string }

// NewNames returns the names of a server with these base domains.
func NewNames(bases ...string) *Names {
	return &Names{
		bases: bases, domains: map[string]reservation{}, names: map[string]holding{}, accounts: map[string]bool{},
		intents: map[string]intent{}, below: newHoldings(),
	}
}

// Judge says whether an account may have an endpoint with a public host, which may be a wildcard: nil, or the
// fault that an agent is told. While another account is about to reserve the name it waits for what comes of
// that: an agent takes a refusal for final, and anybody may try to reserve any name.
func (n *Names) Judge(ctx context.Context, account, host string) error {
	ctx, cancel := context.WithTimeout(ctx, intentPatience)
	defer cancel()
	for {
		settled, err := n.judge(account, host)
		if settled == nil {
			return err
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return fault.New(fault.NameForeign, host)
		}
	}
}

// judge is Judge by what is known now. If settled is not nil it is to be repeated once that is closed.
func (n *Names) judge(account, host string) (settled <-chan struct{}, err error) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, i := range n.intents {
		if i.account != account && claims.Covers(i.name, host) {
			return i.settled, nil
		}
	}
	return nil, judgeName(n.bases, account, host, reserved{
		find:    func(name string) (reservation, error) { return n.domains[name], nil },
		several: func() (bool, error) { return len(n.accounts) > 1, nil },
	})
}

// Intend lets nobody else have a name, or one that its reservation covers, from now on: an account is about to
// reserve it. That ends when the reservation with this id is known, or with Withdraw. It does nothing and reports
// false if another account has a name below, or is about to.
func (n *Names) Intend(id, account, name string) (free bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settle(id)
	if n.below.others(account, name) {
		return false
	}
	n.intents[id] = intent{holding{name, account}, make(chan struct{})}
	n.below.add(account, name, 1)
	return true
}

// Withdraw ends what Intend has begun for a reservation that was not made.
func (n *Names) Withdraw(id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settle(id)
}

// settle ends an intent, if there is one. It is called with mu held.
func (n *Names) settle(id string) {
	if i, ok := n.intents[id]; ok {
		close(i.settled)
		delete(n.intents, id)
		n.below.add(i.account, i.name, -1)
	}
}

// Reserved returns the id of the narrowest reservation of an account that covers a host, "" if there is none.
func (n *Names) Reserved(account, host string) string {
	n.mu.RLock()
	defer n.mu.RUnlock()
	for name := range claims.Above(host) {
		if r := n.domains[name]; r.account == account && !strings.HasPrefix(r.id, ingressPrefix) {
			return r.id
		}
	}
	return ""
}

// Load implements store.Projection.
func (n *Names) Load(tx store.Tx) error {
	fresh := NewNames(n.bases...)
	docs, ingresses, accounts := domainCollection(), ingressCollection(), identity.Accounts()
	var bad store.Unreadable
	err := errors.Join(
		loadNames(fresh, n, &docs, tx, &bad, func(d *domainDoc) string { return d.Domain }),
		loadNames(fresh, n, &ingresses, tx, &bad, func(d *ingressDoc) string { return d.Domain }))
	if err != nil {
		return err
	}
	for o, err := range accounts.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			fresh.accounts[u.ID] = true
			continue
		}
		if err != nil {
			return err
		}
		fresh.accounts[o.ID] = true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.domains, n.names, n.accounts, n.below = fresh.domains, fresh.names, fresh.accounts, fresh.below
	for id, i := range n.intents {
		n.below.add(i.account, i.name, 1)
		if _, made := n.names[id]; made {
			n.settle(id)
		}
	}
	return bad.Err()
}

// Apply implements store.Projection.
func (n *Names) Apply(tx store.Tx, changes []store.Change) error {
	docs, ingresses, accounts := domainCollection(), ingressCollection(), identity.Accounts()
	var bad store.Unreadable
	for _, c := range changes {
		var err error
		switch c.Kind {
		case docs.Kind:
			err = applyName(n, &docs, tx, c.ID, &bad, func(d *domainDoc) string { return d.Domain })
		case ingresses.Kind:
			err = applyName(n, &ingresses, tx, c.ID, &bad, func(d *ingressDoc) string { return d.Domain })
		case accounts.Kind:
			n.mu.Lock()
			if n.accounts[c.ID] = true; c.Deleted {
				delete(n.accounts, c.ID)
			}
			n.mu.Unlock()
		}
		if err != nil {
			return err
		}
	}
	return bad.Err()
}

// loadNames notes the reservations of one kind in fresh. What cannot be read stays as n has it.
func loadNames[T any](fresh, n *Names, docs *store.Collection[T], tx store.Tx, bad *store.Unreadable, name func(*T) string) error {
	for o, err := range docs.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			if known, ok := n.names[u.ID]; ok { // it never changes
				fresh.set(u.ID, known.account, known.name)
			}
			continue
		}
		if err != nil {
			return err
		}
		fresh.set(o.ID, o.Account, name(&o.Doc))
	}
	return nil
}

// applyName notes what has become of a reservation. A name that is known and cannot be read stays reserved.
func applyName[T any](n *Names, docs *store.Collection[T], tx store.Tx, id string, bad *store.Unreadable, name func(*T) string) error {
	o, err := docs.Get(tx, id)
	if bad.Skip(err) != nil {
		return nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.drop(id)
	} else {
		n.set(o.ID, o.Account, name(&o.Doc))
	}
	return nil
}

// set notes a reservation, whose name never changes. It is called with mu held.
func (n *Names) set(id, account, name string) {
	if _, known := n.names[id]; !known {
		n.names[id] = holding{name, account}
		n.below.add(account, name, 1)
	}
	n.domains[name] = reservation{id, account}
	n.settle(id)
}

// drop forgets a reservation, whose name may have been reserved anew. It is called with mu held.
func (n *Names) drop(id string) {
	if old, known := n.names[id]; known {
		if n.domains[old.name].id == id {
			delete(n.domains, old.name)
		}
		delete(n.names, id)
		n.below.add(old.account, old.name, -1)
	}
	n.settle(id)
}

// reserved is how the reservations are asked, in memory or in a transaction.
type reserved struct {
	// find returns the reservation of exactly a name, the zero value if there is none.
	find func(name string) (reservation, error)
	// several reports whether there is more than one account.
	several func() (bool, error)
}

// judgeName is [Names.Judge].
func judgeName(bases []string, account, host string, r reserved) error {
	for name := range claims.Above(host) {
		switch found, err := r.find(name); {
		case err != nil:
			return err
		case found.account == account:
			return nil
		case found.account != "":
			return fault.New(fault.NameForeign, host)
		}
	}
	base := claims.BaseOf(bases, host)
	if base == "" {
		if strings.HasPrefix(host, "*.") {
			return fault.New(fault.WildcardNotReserved, host)
		}
		return fault.New(fault.NameNotReserved, host, strings.Join(bases, ", "), "app."+bases[0])
	}
	several, err := r.several()
	if err != nil || !several {
		return err // decisions.md 18
	}
	label := strings.TrimSuffix(strings.TrimSuffix(host, base), ".")
	switch { // decisions.md 51
	case label == "" || label == "*":
		if account != identity.DefaultAccount {
			return fault.New(fault.NameOfAdministrator, host)
		}
	case strings.Contains(label, "."):
		return fault.New(fault.NameNested, host, base)
	}
	return nil
}

// JudgeIn is Judge by what a transaction sees, which waits for nobody.
func (n *Names) JudgeIn(tx store.Tx, account, host string) error {
	accounts := identity.Accounts()
	return judgeName(n.bases, account, host, reserved{
		find: func(name string) (reservation, error) { return findDomain(tx, name) },
		several: func() (bool, error) {
			n := 0
			for _, err := range accounts.List(tx, store.Query{Limit: 2}) {
				if err != nil && !unreadable(err) {
					return false, err
				}
				n++
			}
			return n > 1, nil
		},
	})
}
