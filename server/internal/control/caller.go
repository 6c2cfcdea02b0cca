package control

import (
	"net/netip"

	"github.com/culvert-project/culvert/internal/api"
)

// Caller is who asks for something by the API or the server's own commands.
type Caller struct {
	// Account is the account that the caller acts in, Principal the user or service user.
	Account, Principal string
	// Credential is the id of the API key, "" for the server's own commands.
	Credential string
	// Command says that one of the server's own commands acts in the name of the principal, whom the record does not
	// name for it.
	Command bool
	// Admin says that the caller may do everything in the account, Write that it may change resources.
	Admin, Write bool
	// Force says that the caller wants it although the server warns of it (?force=true).
	Force bool
	// Address is where the request comes from.
	Address netip.Addr
	// Origin is the beginning of URIs in answers, such as "https://api.example.com".
	Origin string
}

// uri returns the URI of an object.
func (c *Caller) uri(path, id string) string { return c.Origin + path + "/" + id }

// ref returns a reference to an object at a path, nil if there is none.
func (c *Caller) ref(path, id string) *api.Ref {
	if id == "" {
		return nil
	}
	return &api.Ref{ID: id, URI: c.uri(path, id)}
}

// principal returns a reference to a user or service user. Users have no URI (api.md 1.4).
func principal(id string) api.Ref { return api.Ref{ID: id} }
