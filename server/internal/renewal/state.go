package renewal

import (
	"crypto/x509"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/control"
)

// target is a certificate that is wanted.
type target struct {
	// key tells targets apart.
	key   string
	names []string
	// account owns what is issued, and rsa says that its key is to be one of RSA.
	account string
	rsa     bool
	// managed is the custom domain, nil for a name of the server's own.
	managed *control.Managed
	// leaf is the certificate that there is, nil if there is none, and renewsAt
	// when it is to be renewed.
	leaf     *x509.Certificate
	renewsAt time.Time
}

func (t target) name() string { return t.names[0] }

// targets returns what is wanted now.
func (d *Driver) targets() []target {
	var all []target
	for _, m := range d.cfg.Certificates.Managed() {
		t := target{key: m.ID, names: []string{m.Name}, account: m.Account, rsa: m.Policy.PrivateKeyType == "rsa", managed: &m}
		if m.Current != nil {
			t.leaf = m.Current.Leaf
			t.renewsAt = renewal(t.leaf, m.RenewsAt)
		}
		all = append(all, t)
	}
	for _, o := range d.cfg.Own() {
		t := target{key: o.Name, names: o.Names, account: o.Account, rsa: o.RSA}
		if have, ok := d.cfg.Certificates.IssuedName(o.Name); ok && covers(have.Leaf, o.Names) {
			t.leaf = have.Leaf
			t.renewsAt = renewal(t.leaf, have.RenewsAt)
		}
		all = append(all, t)
	}
	return all
}

// covers reports whether a certificate has all names.
func covers(leaf *x509.Certificate, names []string) bool {
	have := make(map[string]bool, len(leaf.DNSNames))
	for _, name := range leaf.DNSNames {
		have[name] = true
	}
	for _, name := range names {
		if !have[name] {
			return false
		}
	}
	return true
}

// renewal returns when a certificate is to be renewed: at the time that was
// stored, and else at two thirds of its life.
func renewal(leaf *x509.Certificate, stored *time.Time) time.Time {
	if stored != nil {
		return *stored
	}
	return twoThirds(leaf)
}

// hint returns when a certificate is to be renewed if an authority says so: not
// so late that no time is left for another try.
func hint(leaf *x509.Certificate, said time.Time) time.Time {
	if last := leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 6); said.After(last) {
		return last
	}
	return said
}

func twoThirds(leaf *x509.Certificate) time.Time {
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// state is what the driver remembers of a target.
type state struct {
	busy bool
	// started is when the job began that has failed failures times, retriesAt
	// when it goes on, and reason why it failed.
	started, retriesAt time.Time
	failures           int
	reason             error
	// asksAt is when the authority is asked again for its time of renewal, and
	// hinted what it said last.
	asksAt, hinted time.Time
	warned         time.Time
}

// retries are the pauses after failures; the last one repeats (api.md 4.3).
var retries = [...]time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour}

// settled is how long after an order nothing is done about a name: by then what
// was stored is seen.
const settled = 10 * time.Second

// resume returns the state of a target that an earlier process, or another
// server, may have begun.
func resume(t target, now time.Time) *state {
	s := &state{asksAt: now.Add(ask)}
	if t.managed == nil || t.managed.Job == nil || t.managed.Job.RetriesAt == nil {
		return s
	}
	job := t.managed.Job
	s.started, s.retriesAt, s.failures = job.StartedAt.Add(time.Second), *job.RetriesAt, 1 // it is stored in whole seconds
	for at := time.Duration(0); s.failures < len(retries); s.failures++ {
		if at += retries[s.failures-1]; job.StartedAt.Add(at).After(s.retriesAt.Add(-retries[0] / 2)) {
			break
		}
	}
	return s
}

// see takes notice of what the owner has asked for since (api.md 4.3).
func (s *state) see(t target) {
	if t.managed != nil && s.failures > 0 && t.managed.AskedAt.After(s.started) {
		s.failures, s.retriesAt, s.started = 0, time.Time{}, time.Time{}
	}
}

// due reports whether a certificate is to be ordered.
func (s *state) due(t target, now time.Time) bool {
	if now.Before(s.retriesAt) {
		return false
	}
	if t.leaf == nil {
		return true
	}
	if (t.leaf.PublicKeyAlgorithm == x509.RSA) != t.rsa {
		return true // the owner wants another kind of key
	}
	return !now.Before(s.next(t))
}

// next returns when a certificate that there is is to be renewed, or one that
// there is not may be ordered.
func (s *state) next(t target) time.Time {
	at := s.retriesAt
	switch {
	case t.leaf == nil:
		return at
	case !s.hinted.IsZero():
		return later(at, s.hinted)
	}
	return later(at, t.renewsAt)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// result is what a piece of work came to.
type result struct {
	key      string
	started  time.Time
	err      error
	ordered  bool      // or else the authority was asked when to renew
	renewsAt time.Time // what it said, zero for nothing
}

// take brings the state up to date.
func (s *state) take(r result) {
	now := time.Now()
	switch {
	case r.err != nil:
		s.started, s.reason = r.started, r.err
		s.retriesAt = now.Add(pause(s.failures))
		s.failures++
	case r.ordered:
		*s = state{asksAt: now.Add(ask), retriesAt: now.Add(settled)}
	default:
		s.hinted, s.asksAt = r.renewsAt, now.Add(ask)
	}
}

// pause is how long to wait after a number of failures before.
func pause(before int) time.Duration { return retries[min(before, len(retries)-1)] }

// job is what the domain says of a failure.
func job(code, msg string, started, retriesAt time.Time) *api.ProvisioningJob {
	return &api.ProvisioningJob{ErrorCode: &code, Msg: msg, StartedAt: started, RetriesAt: &retriesAt}
}
