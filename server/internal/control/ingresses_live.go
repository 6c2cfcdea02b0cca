package control

import (
	"cmp"
	"errors"
	"slices"
	"sync"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Ingresses knows the names under which only the agents of one account connect. It is a store.Projection, and knows
// of none before it is loaded.
type Ingresses struct {
	mu    sync.RWMutex
	names map[string]*store.Object[ingressDoc] // by name; guarded by mu, as is the next
	ids   map[string]string                    // names by id
}

// ManagedIngress is a name of an agent ingress whose certificates the server has to get.
type ManagedIngress struct {
	Account, Name string
	Policy        api.CertificatePolicy
}

// NewIngresses returns Ingresses without names.
func NewIngresses() *Ingresses {
	return &Ingresses{names: map[string]*store.Object[ingressDoc]{}, ids: map[string]string{}}
}

// Account returns the account whose agents alone may connect to a canonical name, if it is an ingress.
func (i *Ingresses) Account(name string) (account string, ok bool) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	o := i.names[name]
	if o == nil {
		return "", false
	}
	return o.Account, true
}

// Managed returns the names with an automatic policy, by name.
func (i *Ingresses) Managed() []ManagedIngress {
	i.mu.RLock()
	defer i.mu.RUnlock()
	var all []ManagedIngress
	for name, o := range i.names {
		if o.Doc.Policy != nil {
			all = append(all, ManagedIngress{Account: o.Account, Name: name, Policy: *o.Doc.Policy})
		}
	}
	slices.SortFunc(all, func(a, b ManagedIngress) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// set notes an ingress, whose name never changes. It is called with mu held.
func (i *Ingresses) set(o *store.Object[ingressDoc]) {
	i.names[o.Doc.Domain], i.ids[o.ID] = o, o.Doc.Domain
}

// Load implements store.Projection.
func (i *Ingresses) Load(tx store.Tx) error {
	fresh := NewIngresses()
	docs := ingressCollection()
	i.mu.Lock()
	defer i.mu.Unlock()
	var bad store.Unreadable
	for o, err := range docs.List(tx, store.Query{}) {
		if u := bad.Skip(err); u != nil {
			o = i.names[i.ids[u.ID]] // as it was
		} else if err != nil {
			return err
		}
		if o != nil {
			fresh.set(o)
		}
	}
	i.names, i.ids = fresh.names, fresh.ids
	return bad.Err()
}

// Apply implements store.Projection.
func (i *Ingresses) Apply(tx store.Tx, changes []store.Change) error {
	docs := ingressCollection()
	var bad store.Unreadable
	for _, c := range changes {
		if c.Kind != docs.Kind {
			continue
		}
		o, err := docs.Get(tx, c.ID)
		if bad.Skip(err) != nil {
			continue
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		i.mu.Lock()
		if err == nil {
			i.set(o)
		} else if name := i.ids[c.ID]; i.names[name] != nil && i.names[name].ID == c.ID {
			delete(i.names, name) // nobody has it anew
		}
		if err != nil {
			delete(i.ids, c.ID)
		}
		i.mu.Unlock()
	}
	return bad.Err()
}
