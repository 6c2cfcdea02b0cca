package rest

import (
	"cmp"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
)

// Limits bound what the API answers at once. A zero field means its default.
type Limits struct {
	// Concurrent is how many requests are answered at once, in all. Default: 256.
	Concurrent int `yaml:"api_requests"`
	// PerAccount is how many of them may be one account's. Default: 64.
	PerAccount int `yaml:"api_account_requests"`
	// Rate is how many requests an account may make within 60 seconds. Default: any number (decisions.md 57).
	Rate int `yaml:"api_rate"`
}

// withDefaults returns l with every zero replaced.
func (l Limits) withDefaults() Limits {
	l.Concurrent = cmp.Or(l.Concurrent, 256)
	l.PerAccount = cmp.Or(l.PerAccount, 64)
	return l
}

// rateWindow is the time within which [Limits.Rate] counts.
const rateWindow = time.Minute

// limits counts requests. Safe for concurrent use.
type limits struct {
	now func() time.Time

	mu       sync.Mutex
	Limits   // guarded by mu, as is all below
	running  int
	accounts map[string]*account // those with requests running or, with a rate, ever
}

// account is what one account does.
type account struct {
	running int
	// recent are the times of its latest requests, at most Rate of them: a ring, whose oldest is at next.
	recent []time.Time
	next   int
}

// busyError is a fault that passes after a while.
type busyError struct {
	fault *fault.Error
	wait  time.Duration
}

// Error and Unwrap are those of the fault.
func (e *busyError) Error() string { return e.fault.Error() }
func (e *busyError) Unwrap() error { return e.fault }

func newLimits(l Limits, now func() time.Time) *limits {
	return &limits{Limits: l.withDefaults(), now: now, accounts: map[string]*account{}}
}

// set changes the limits. Requests that are under way go on; with another rate the counting begins anew.
func (l *limits) set(limits Limits) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limits = limits.withDefaults()
	if limits.Rate != l.Rate {
		for id, a := range l.accounts {
			a.recent, a.next = nil, 0
			if a.running == 0 {
				delete(l.accounts, id)
			}
		}
	}
	l.Limits = limits
}

// enter counts a request, whoever makes it. leave has to be called at its end.
func (l *limits) enter() (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running >= l.Concurrent {
		return nil, fault.New(fault.APIBusy, l.Concurrent)
	}
	l.running++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running--
	}, nil
}

// enterAccount counts a request of an account. leave has to be called at its end.
func (l *limits) enterAccount(id string) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[id]
	if a == nil {
		a = &account{}
		l.accounts[id] = a
	}
	if a.running >= l.PerAccount {
		return nil, fault.New(fault.APIBusy, l.PerAccount)
	}
	if wait := a.wait(l.now(), l.Rate); wait > 0 {
		return nil, &busyError{fault.New(fault.APIRate, l.Rate), wait}
	}
	a.running++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if a.running--; a.running == 0 && l.Rate == 0 {
			delete(l.accounts, id)
		}
	}, nil
}

// wait counts a request if the rate allows it, else it returns how long it does not. A rate of 0 always does.
func (a *account) wait(now time.Time, rate int) time.Duration {
	switch {
	case rate == 0:
	case len(a.recent) < rate:
		a.recent = append(a.recent, now)
	default:
		if passed := now.Sub(a.recent[a.next]); passed < rateWindow {
			return rateWindow - passed
		}
		a.recent[a.next] = now
		a.next = (a.next + 1) % rate
	}
	return 0
}
