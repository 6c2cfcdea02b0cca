package control

import (
	"iter"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
)

// AuditQuery selects entries of the record of changes.
type AuditQuery struct {
	// Account, if not "", selects one account's.
	Account string
	// Since, if not zero, selects those from then on.
	Since time.Time
	// Limit is the greatest number of entries, the newest ones; at least 1.
	Limit int
}

// auditSkew is how far the times of entries may be out of order: they are taken when a request begins, and the
// order is that in which updates were applied.
const auditSkew = time.Minute

// AuditTrail yields entries of the record of changes, newest first.
func AuditTrail(tx store.Tx, q AuditQuery) iter.Seq2[*store.Object[AuditEvent], error] {
	return func(yield func(*store.Object[AuditEvent], error) bool) {
		n := 0
		for o, err := range audits().List(tx, store.Query{Account: q.Account}) {
			if unreadable(err) {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if o.CreatedAt.Before(q.Since.Add(-auditSkew)) {
				return
			}
			if o.CreatedAt.Before(q.Since) {
				continue
			}
			if !yield(o, nil) {
				return
			}
			if n++; n == q.Limit {
				return
			}
		}
	}
}
