package meter

import (
	"math"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/window"
)

// Unlimited is a limit that nothing reaches.
const Unlimited = math.MaxInt64

// Limits bound the traffic of an account.
type Limits struct {
	// RequestsPerMonth, ConnectionsPerMonth and OutPerMonth bound [Counts] of a calendar month.
	RequestsPerMonth, ConnectionsPerMonth, OutPerMonth int64
	// RequestsPerMinute bounds requests, ConnectionsPerMinute connections of clients of all endpoints, in any 60 s.
	RequestsPerMinute, ConnectionsPerMinute int64
}

// NoLimits bound nothing.
func NoLimits() Limits { return Limits{Unlimited, Unlimited, Unlimited, Unlimited, Unlimited} }

// Refusal says that a limit is reached. It unwraps to the fault for the client.
type Refusal struct {
	// Fault says which limit.
	Fault *fault.Error
	// Wait is how long it lasts.
	Wait time.Duration
}

// Error and Unwrap are those of the fault.
func (r *Refusal) Error() string { return r.Fault.Error() }
func (r *Refusal) Unwrap() error { return r.Fault }

// account is an account with what its limits allow.
type account struct {
	id     string
	key    window.Key
	meters *Meters
	quota  atomic.Pointer[quota] // nil without limits
}

// quota is limits and what is used of them in a month.
type quota struct {
	limits                     Limits
	month                      time.Time // its first moment
	requests, connections, out atomic.Int64
}

// SetLimits bounds the traffic of an account from now on, with what it has used in the month so far. NoLimits lift all
// bounds. Rates go on from what they were.
func (m *Meters) SetLimits(accountID string, l Limits, used Counts, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l == NoLimits() {
		if a := m.accounts[accountID]; a != nil {
			a.quota.Store(nil)
		}
		return
	}
	q := &quota{limits: l, month: Month(now)}
	q.requests.Store(used.Requests)
	q.connections.Store(used.Connections)
	q.out.Store(used.Out)
	m.account(accountID).quota.Store(q)
}

// Used tells the limits of an account how much of its month's data is used, as it adds up, and begins a new month when
// now is in one.
func (m *Meters) Used(accountID string, out int64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.accounts[accountID]
	if a == nil {
		return
	}
	old := a.quota.Load()
	switch {
	case old == nil:
	case old.month.Equal(Month(now)):
		old.out.Store(out)
	default:
		q := &quota{limits: old.limits, month: Month(now)}
		q.out.Store(out)
		a.quota.Store(q)
	}
}

// Month returns the beginning of the calendar month, in UTC.
func Month(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
}

// end returns how long the month of q goes on.
func (q *quota) end() time.Duration { return max(time.Until(q.month.AddDate(0, 1, 0)), time.Second) }

// request takes one request.
func (q *quota) request(a *account) error {
	if q.out.Load() >= q.limits.OutPerMonth {
		return q.monthly(fault.DataOutQuota, q.limits.OutPerMonth)
	}
	if q.requests.Load() >= q.limits.RequestsPerMonth {
		return q.monthly(fault.RequestsQuota, q.limits.RequestsPerMonth)
	}
	if err := take(a.meters.requestRate, a.key, q.limits.RequestsPerMinute, fault.RequestRateQuota); err != nil {
		return err
	}
	if q.requests.Add(1) > q.limits.RequestsPerMonth {
		return q.monthly(fault.RequestsQuota, q.limits.RequestsPerMonth)
	}
	return nil
}

// connection takes one connection of tcp or tls.
func (q *quota) connection(a *account) error {
	if q.out.Load() >= q.limits.OutPerMonth {
		return q.monthly(fault.DataOutQuota, q.limits.OutPerMonth)
	}
	if q.connections.Load() >= q.limits.ConnectionsPerMonth {
		return q.monthly(fault.ConnectionsQuota, q.limits.ConnectionsPerMonth)
	}
	if err := q.visitor(a); err != nil {
		return err
	}
	if q.connections.Add(1) > q.limits.ConnectionsPerMonth {
		return q.monthly(fault.ConnectionsQuota, q.limits.ConnectionsPerMonth)
	}
	return nil
}

// visitor takes one connection of the rate.
func (q *quota) visitor(a *account) error {
	return take(a.meters.connectionRate, a.key, q.limits.ConnectionsPerMinute, fault.ConnectionRateQuota)
}

func (q *quota) monthly(code fault.Code, limit int64) error {
	return &Refusal{fault.New(code, strconv.FormatInt(limit, 10)), q.end()}
}

// take counts one in a window unless the limit is reached.
func take(t *window.Table, k window.Key, limit int64, code fault.Code) error {
	if limit == Unlimited {
		return nil
	}
	if ok, wait := t.Take(k, uint32(min(limit, math.MaxUint32))); !ok { //nolint:gosec // bounded
		return &Refusal{fault.New(code, strconv.FormatInt(limit, 10)), max(wait, time.Second)}
	}
	return nil
}
