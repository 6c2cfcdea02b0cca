package control

import (
	"iter"

	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/store"
)

// EndpointKind is the kind of the records of stored endpoints.
const EndpointKind = "endpoint"

func standingOf(o *store.Object[endpointDoc]) *claims.Standing {
	return &claims.Standing{
		ID: o.ID, Account: o.Account, Revision: o.Revision, URL: o.Doc.at(), Pooled: o.Doc.PoolingEnabled,
		Policy: o.Doc.TrafficPolicy,
	}
}

// StoredEndpoint returns a stored endpoint, or [ErrNotFound].
func StoredEndpoint(tx store.Tx, id string) (*claims.Standing, error) {
	docs := endpointCollection()
	o, err := docs.Get(tx, id)
	if err != nil {
		return nil, err
	}
	return standingOf(o), nil
}

// StoredEndpoints yields the stored endpoints of an account, or of all if account is "". After a
// [store.UnreadableError] it goes on with the next one.
func StoredEndpoints(tx store.Tx, account string) iter.Seq2[*claims.Standing, error] {
	return func(yield func(*claims.Standing, error) bool) {
		docs := endpointCollection()
		for o, err := range docs.List(tx, store.Query{Account: account}) {
			var s *claims.Standing
			if err == nil {
				s = standingOf(o)
			}
			if !yield(s, err) {
				return
			}
		}
	}
}
