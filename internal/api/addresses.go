package api

import "github.com/culvert-project/culvert/internal/fault"

// ReservedAddress is a TCP address that an account has for itself (api.md 2.3).
type ReservedAddress struct {
	Meta
	Texts
	// Addr is host:port. It never changes.
	Addr   string `json:"addr"`
	Region string `json:"region"`
}

// ReservedAddresses is the table of reserved TCP addresses.
func ReservedAddresses() *Resource {
	return &Resource{
		Name: "reserved address", Path: "/reserved_addrs", ListKey: "reserved_addrs", Prefix: "ra", Verbs: crud(),
		Fields: append([]Field{
			{Name: "addr", Create: Optional, Max: 1024, Doc: "the address, host:port; chosen by the server unless one is asked for"},
			{Name: "region", Create: Optional, Max: 64, Doc: "the place where its traffic comes in; the server's own"},
		}, texts(fault.AddressDescription, fault.AddressMetadata)...),
		Filter:      []string{"id", "created_at", "description", "metadata", "addr", "region"},
		EmptyUpdate: fault.AddressUpdateEmpty, Aliases: []string{"reserved-addresses", "tcp-addresses"}, Answer: ReservedAddress{},
		Doc: "A reserved address is a host and port that only tcp endpoints of your account may have.",
	}
}
