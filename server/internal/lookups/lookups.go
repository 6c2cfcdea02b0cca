package lookups

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/ipset"
	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/vault"
)

// Opener opens envelopes of values.
type Opener interface {
	// OpenValue returns the value of an envelope, which opens only in its place.
	OpenValue(place, envelope string) (vault.Secret, error)
}

// Lookups is the copy in memory of what traffic asks for by account: IP policies, IP restrictions and vault
// secrets. It is a store.Projection, and empty before it is loaded. Questions never wait. Make one with [New].
type Lookups struct {
	keys Opener
	log  *slog.Logger
	now  func() time.Time
	// accounts has what each account has; neither the map nor what it leads to changes.
	accounts atomic.Pointer[map[string]*accountLookups]

	// owners are the IP policies of rules and the vaults of secrets by their ids. Only the follower uses it.
	owners map[string]string
	// warned is when a restriction that is not enforced was last reported, by account and type.
	warned sync.Map
}

// accountLookups is what one account has.
type accountLookups struct {
	policies     map[string]*ipset.Rules        // by id
	restrictions map[string]*accountRestriction // by type
	unreadable   map[string]string              // restrictions that cannot be read: their types by id, "" for all
	vaults       map[string]*vaultLookup        // by id
	byName       map[string]*vaultLookup
}

// accountRestriction is an IP restriction in force.
type accountRestriction struct {
	id       string
	enforced bool
	policies []string // ids
}

// vaultLookup is a vault with its secrets by their names.
type vaultLookup struct {
	name    string
	secrets map[string]*secretLookup
}

// secretLookup is a secret that is opened when somebody asks for it.
type secretLookup struct {
	envelope string
	open     func() (string, error)
}

// New returns lookups that open secrets with keys. What restrictions that are not enforced would
// refuse is logged.
func New(keys Opener, log *slog.Logger) *Lookups {
	l := &Lookups{keys: keys, log: log, now: time.Now, owners: map[string]string{}}
	l.accounts.Store(&map[string]*accountLookups{})
	return l
}

// IPPolicy returns the rules of an IP policy of an account, nil if it has none with the id. They do not change:
// a change makes new ones.
func (l *Lookups) IPPolicy(account, id string) *ipset.Rules {
	if a := (*l.accounts.Load())[account]; a != nil {
		return a.policies[id]
	}
	return nil
}

// Secret returns the value of a secret of an account. Its errors hold no value.
func (l *Lookups) Secret(account, vault, name string) (string, error) {
	if a := (*l.accounts.Load())[account]; a != nil {
		if v := a.byName[vault]; v != nil {
			if s := v.secrets[name]; s != nil {
				return s.open()
			}
			return "", fmt.Errorf("the vault has no such secret")
		}
	}
	return "", fmt.Errorf("the account has no such vault")
}

// AdmitClient says whether an address may use the public endpoints of an account: nil or
// fault.ClientSourceRefused.
func (l *Lookups) AdmitClient(account string, from netip.Addr) error {
	if l.admits(account, api.RestrictEndpoints, from) {
		return nil
	}
	return fault.New(fault.ClientSourceRefused)
}

// AdmitAgent says whether agents of an account may come from an address: nil or fault.SourceRefused.
func (l *Lookups) AdmitAgent(account string, from netip.Addr) error {
	if l.admits(account, api.RestrictAgent, from) {
		return nil
	}
	return fault.New(fault.SourceRefused, ipset.Client(from))
}

// AdmitAPI says whether requests to the API for an account may come from an address: nil or
// fault.APISourceRefused.
func (l *Lookups) AdmitAPI(account string, from netip.Addr) error {
	if l.admits(account, api.RestrictAPI, from) {
		return nil
	}
	return fault.New(fault.APISourceRefused, ipset.Client(from))
}

// admits asks the restriction of a type.
func (l *Lookups) admits(account, what string, from netip.Addr) bool {
	a := (*l.accounts.Load())[account]
	if a == nil {
		return true
	}
	for _, of := range a.unreadable {
		if of == "" || of == what {
			return false
		}
	}
	r := a.restrictions[what]
	if r == nil {
		return true
	}
	rules := make([]*ipset.Rules, 0, 8)
	for _, id := range r.policies {
		if p := a.policies[id]; p != nil {
			rules = append(rules, p)
		}
	}
	if ipset.Admits(from, rules...) {
		return true
	}
	if !r.enforced {
		l.warn(account, what, from)
	}
	return !r.enforced
}

// warnEvery is how often it is logged that a restriction of an account would refuse somebody.
const warnEvery = time.Minute

// warn logs that a restriction would refuse an address if it were enforced.
func (l *Lookups) warn(account, what string, from netip.Addr) {
	v, _ := l.warned.LoadOrStore(account+"/"+what, new(atomic.Int64))
	last, _ := v.(*atomic.Int64) // nothing else is stored
	now := l.now().UnixNano()
	if was := last.Load(); was != 0 && now-was < int64(warnEvery) || !last.CompareAndSwap(was, now) {
		return
	}
	l.log.Warn("an IP restriction that is not enforced would refuse an address", "account", account, "restriction", what, "address", ipset.Client(from).String())
}

// KnowsIPPolicy reports whether an account has an IP policy.
func (l *Lookups) KnowsIPPolicy(account, id string) bool { return l.IPPolicy(account, id) != nil }

// KnowsSecret reports whether an account has a vault, and a secret in it, by their names.
func (l *Lookups) KnowsSecret(account, vault, name string) (hasVault, hasSecret bool) {
	if a := (*l.accounts.Load())[account]; a != nil && a.byName[vault] != nil {
		return true, a.byName[vault].secrets[name] != nil
	}
	return false, false
}

// clone returns a copy whose maps may be changed.
func (a *accountLookups) clone() *accountLookups {
	if a == nil {
		return &accountLookups{
			policies: map[string]*ipset.Rules{}, restrictions: map[string]*accountRestriction{}, unreadable: map[string]string{},
			vaults: map[string]*vaultLookup{}, byName: map[string]*vaultLookup{},
		}
	}
	return &accountLookups{
		policies: maps.Clone(a.policies), restrictions: maps.Clone(a.restrictions), unreadable: maps.Clone(a.unreadable),
		vaults: maps.Clone(a.vaults), byName: maps.Clone(a.byName),
	}
}

// setVault puts a vault in the place of the one with its id; nil removes it.
func (a *accountLookups) setVault(id string, v *vaultLookup) {
	if old := a.vaults[id]; old != nil && a.byName[old.name] == old {
		delete(a.byName, old.name)
	}
	delete(a.vaults, id)
	if v != nil {
		a.vaults[id], a.byName[v.name] = v, v
	}
}

func (a *accountLookups) setRestriction(id string, d *Restriction) {
	delete(a.unreadable, id)
	maps.DeleteFunc(a.restrictions, func(_ string, r *accountRestriction) bool { return r.id == id })
	if d != nil {
		a.restrictions[d.Type] = &accountRestriction{id: id, enforced: d.Enforced, policies: d.IPPolicyIDs}
	}
}

// shut has a restriction that cannot be read let nobody in: of the type that it had, or of each.
func (a *accountLookups) shut(id string) {
	a.unreadable[id] = ""
	for what, r := range a.restrictions {
		if r.id == id {
			a.unreadable[id] = what
		}
	}
}

func (a *accountLookups) empty() bool {
	return len(a.policies)+len(a.restrictions)+len(a.unreadable)+len(a.vaults) == 0
}

// lookup returns the copy of a secret that is opened once, when it is asked for. known, if it is the same
// envelope, goes on.
func (l *Lookups) lookup(o *store.Object[Secret], known *secretLookup) *secretLookup {
	if known != nil && known.envelope == o.Doc.Sealed {
		return known
	}
	place, envelope := SecretPlace(o), o.Doc.Sealed
	var opened atomic.Pointer[string]
	return &secretLookup{envelope: envelope, open: func() (string, error) {
		if text := opened.Load(); text != nil {
			return *text, nil
		}
		v, err := l.keys.OpenValue(place, envelope)
		if err != nil { // the keys may be others the next time
			return "", fmt.Errorf("the secret cannot be opened with the server's keys")
		}
		text := string(v)
		opened.Store(&text)
		return text, nil
	}}
}
