package claims

import (
	"context"
	"iter"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/server/internal/store"
)

// Names knows whose public names are.
type Names interface {
	// Judge says whether an account may have an endpoint with a host, which may be a wildcard: nil, or a fault for
	// its agent. It may wait for reservations under way.
	Judge(ctx context.Context, account, host string) error
	// JudgeIn is Judge by what a transaction sees. Errors that are no *fault.Error are the transaction's.
	JudgeIn(tx store.Tx, account, host string) error
	// Reserved returns the id of the reserved name that covers a host for an account, "" if none does.
	Reserved(account, host string) string
	// Intend lets nobody else have a name, or one that its reservation covers, from now on: an account is about to
	// reserve it by an id. It does nothing and reports false if another account has a name below.
	Intend(id, account, name string) (free bool)
	// Withdraw ends what Intend has begun for a reservation that was not made.
	Withdraw(id string)
}

// KeptNames returns the names under the base domains that the server keeps for itself (decisions.md 51). No
// endpoint may be called so, and no wildcard may serve them.
func KeptNames(domains []string) []string {
	labels := [...]string{"connect", "api", "idp", "console"}
	names := make([]string, 0, len(labels)*len(domains))
	for _, d := range domains {
		for _, label := range labels {
			names = append(names, label+"."+d)
		}
	}
	return names
}

// BindingOf returns the binding of a stored URL, which its name tells.
func BindingOf(u endpoint.URL) endpoint.Binding {
	if strings.HasSuffix(u.Host, endpoint.InternalSuffix) {
		return endpoint.Internal
	}
	return endpoint.Public
}

// Above yields the names whose reservation covers a host: itself, and what stands above it.
func Above(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(host) {
			return
		}
		rest, wild := strings.CutPrefix(host, "*.")
		if wild && !yield(rest) {
			return
		}
		for {
			_, parent, ok := strings.Cut(rest, ".")
			if !ok {
				return
			}
			if !yield("*."+parent) || !yield(parent) {
				return
			}
			rest = parent
		}
	}
}

// Covers reports whether the reservation of a name covers a host.
func Covers(name, host string) bool {
	if suffix, wild := strings.CutPrefix(name, "*."); wild {
		return host != suffix && endpoint.Under(host, suffix)
	}
	return endpoint.Under(host, name)
}

// BaseOf returns the longest base domain that a host is, or stands under; "" if there is none.
func BaseOf(bases []string, host string) string {
	longest := ""
	for _, b := range bases {
		if endpoint.Under(host, b) && len(b) > len(longest) {
			longest = b
		}
	}
	return longest
}
