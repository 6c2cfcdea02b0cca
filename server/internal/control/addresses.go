package control

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/identity"
	"github.com/culvert-project/culvert/server/internal/store"
)

// addressDoc is a reserved TCP address as it is stored. It has its port by itself too: that is what endpoints compete
// for, whatever the server is called.
type addressDoc struct {
	Addr   string `json:"addr"`
	Port   uint16 `json:"port"`
	Region string `json:"region"`
	api.Texts
}

func addressCollection() store.Collection[addressDoc] {
	return store.Collection[addressDoc]{
		Kind: "reserved_addr",
		Keys: func(o *store.Object[addressDoc]) []store.Key { return []store.Key{addressKey(o.Doc.Port)} },
	}
}

func addressKey(port uint16) store.Key {
	return store.Key{Space: "tcp_port", Value: strconv.Itoa(int(port))}
}

// TCPPlaces knows the TCP addresses of the server and who has endpoints there, as a Binder does.
type TCPPlaces interface {
	// TCPRange returns the ports that the server has to give, ends included; zero means none.
	TCPRange() (first, last uint16)
	// TCPAddress returns the address of a port, host:port.
	TCPAddress(port uint16) string
	// TCPPort returns the port of an address of the server, or a fault.
	TCPPort(address string) (uint16, error)
	// IntendPort lets no other account begin an endpoint on a port that an account is about to reserve by an id. It
	// does nothing and reports false if the port is reserved, or another account has an endpoint there; with idle
	// set, if anybody has.
	IntendPort(id, account string, port uint16, idle bool) bool
	// WithdrawPort ends that for a reservation that is not there.
	WithdrawPort(id string)
	// StoredOn returns the URL of a stored endpoint of an account on a port.
	StoredOn(account string, port uint16) (u endpoint.URL, ok bool)
	// NoPortFree is the fault for that none can be had.
	NoPortFree() error
}

// addresses are the reserved TCP addresses.
type addresses struct {
	resource[addressDoc]
	places TCPPlaces
	region string
}

// NewReservedAddresses returns the rules of reserved TCP addresses of a server in a region.
func NewReservedAddresses(s *Shared, places TCPPlaces, region string) Resource {
	a := &addresses{places: places, region: region}
	a.resource = resource[addressDoc]{
		Shared: s, spec: api.ReservedAddresses(), docs: addressCollection(), noun: "tcp_address",
		check: a.judge, remove: a.unused,
		taken: func(o *store.Object[addressDoc], _ *store.KeyTakenError) error {
			return fault.New(fault.AddressTaken, o.Doc.Addr)
		},
		render: func(_ store.Tx, caller *Caller, o *store.Object[addressDoc]) (any, error) {
			d := &o.Doc
			return &api.ReservedAddress{Meta: meta(caller, "/reserved_addrs", o), Texts: d.Texts, Addr: d.Addr, Region: d.Region}, nil
		},
	}
	return a
}

// judge judges a new address, and chooses its port unless one is asked for. Changed are texts alone.
func (a *addresses) judge(c *change, old, o *store.Object[addressDoc]) error {
	if old != nil {
		return nil
	}
	if err := room(c, identity.QuotaTCPAddresses, fault.AddressesTooMany, a.docs, nil); err != nil {
		return err
	}
	d := &o.Doc
	d.Region = cmp.Or(d.Region, a.region)
	if d.Region != a.region && !slices.Contains(points[:], d.Region) {
		return fault.New(fault.AddressRegion, d.Region, a.region)
	}
	c.undo = append(c.undo, func() { a.places.WithdrawPort(o.ID) })
	if d.Addr == "" {
		return a.choose(c, o)
	}
	port, err := a.places.TCPPort(d.Addr)
	if err != nil {
		return fault.Wrap(err, fault.FieldInvalid, "addr", within(err))
	}
	d.Port, d.Addr = port, a.places.TCPAddress(port)
	if !a.places.IntendPort(o.ID, o.Account, port, false) {
		return fault.New(fault.AddressTaken, d.Addr)
	}
	return nil
}

// choose gives an address a port that nobody has, from a random one upwards.
func (a *addresses) choose(c *change, o *store.Object[addressDoc]) error {
	first, last := a.places.TCPRange()
	n := int(last) - int(first) + 1
	if last == 0 {
		n = 0
	}
	start := rand.IntN(max(n, 1))
	for i := range n {
		port := uint16(int(first) + (start+i)%n) //nolint:gosec // within the range
		if port == 0 || !a.places.IntendPort(o.ID, o.Account, port, true) {
			continue
		}
		_, err := a.docs.Find(c.tx, addressKey(port)) // what is not followed yet
		switch {
		case errors.Is(err, store.ErrNotFound):
			o.Doc.Port, o.Doc.Addr = port, a.places.TCPAddress(port)
			return nil
		case err != nil && !unreadable(err):
			return err
		}
		a.places.WithdrawPort(o.ID)
	}
	return a.places.NoPortFree()
}

// unused refuses to give up an address that a stored endpoint has.
func (a *addresses) unused(_ *change, o *store.Object[addressDoc]) error {
	if u, ok := a.places.StoredOn(o.Account, o.Doc.Port); ok && o.Doc.Port != 0 {
		return fault.New(fault.AddressInUse, o.Doc.Addr, u)
	}
	return nil
}

// within returns what a fault says, for the middle of a sentence.
func within(err error) string { return strings.TrimSuffix(fault.From(err).Message, ".") }
