package claims

import (
	"fmt"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// limitOf returns the limit of an account, nil for none.
func limitOf(of func(account string) (int64, bool), account string) *int64 {
	if of == nil {
		return nil
	}
	if limit, ok := of(account); ok {
		return &limit
	}
	return nil
}

// count counts the claims of an account that are not held. b.mu is held.
func (b *Binder) count(account string, n int64) {
	if b.online[account] += n; b.online[account] == 0 {
		delete(b.online, account)
	}
}

// quotaError says that an account has as many endpoints as it may.
type quotaError struct{ limit int64 }

func (q *quotaError) Error() string {
	return fmt.Sprintf("the account has %d endpoints, its limit", q.limit)
}

// fault is what is told of it, with one of the codes of the server's own limit.
func (q *quotaError) fault(code fault.Code) *fault.Error {
	f := fault.New(code, q.limit)
	f.Message = fmt.Sprintf("The account has %d endpoints, which is its limit.", q.limit)
	f.Remedy = "Stop or delete one of them. The administrator of the server can raise the limit."
	return f
}

// judgeRules says whether a policy has no more rules than its account may have in one.
func (b *Binder) judgeRules(account string, d *policy.Document) error {
	most := limitOf(b.cfg.MostRules, account)
	if n := int64(d.Rules()); most != nil && n > *most {
		return fault.New(fault.PolicyRulesTooMany, n, *most)
	}
	return nil
}
