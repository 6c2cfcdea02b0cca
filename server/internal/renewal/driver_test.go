package renewal_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/renewal"
)

const day = 24 * time.Hour

// world is what a driver has to do with, in one place: an authority whose
// certificates live for 90 days, and what is stored of them.
type world struct {
	t *testing.T

	mu      sync.Mutex
	managed []control.Managed // guarded by mu, as is all below
	own     map[string]control.Issued
	fails   error         // of every order
	takes   time.Duration // each order
	orders  []time.Time
	under   map[string]int // orders under way by name
	most    int            // how many were under way at once
	loud    []time.Time    // errors in the log
	changed chan struct{}
}

func newWorld(t *testing.T, names ...string) *world {
	w := &world{t: t, own: map[string]control.Issued{}, under: map[string]int{}, changed: make(chan struct{}, 1)}
	for _, name := range names {
		w.managed = append(w.managed, control.Managed{ID: "rd_" + name, Name: name, CNAMETarget: "none.invalid", AskedAt: time.Now()})
	}
	return w
}

func (w *world) Obtain(ctx context.Context, o acme.Order) (*acme.Issued, error) {
	w.mu.Lock()
	w.orders = append(w.orders, time.Now())
	if w.under[o.Names[0]]++; w.under[o.Names[0]] > 1 {
		w.t.Errorf("%s is in two orders at once", o.Names[0])
	}
	sum := 0
	for _, n := range w.under {
		sum += n
	}
	w.most = max(w.most, sum)
	takes, fails := w.takes, w.fails
	w.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		fails = ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.under[o.Names[0]]--
	if fails != nil {
		return nil, fails
	}
	return &acme.Issued{Leaf: leaf(w.t, 90*day, o.Names...), CertificatePEM: []byte("chain"), PrivateKeyPEM: []byte("key")}, nil
}

func (w *world) RenewalTime(context.Context, *x509.Certificate) time.Time { return time.Time{} }
func (w *world) Changed() <-chan struct{}                                 { return w.changed }

func (w *world) Managed() []control.Managed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.managed)
}

func (w *world) IssuedName(name string) (control.Issued, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	is, ok := w.own[name]
	return is, ok
}

func (w *world) IssuedNames() (list []control.Issued) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, is := range w.own {
		list = append(list, is)
	}
	return list
}

func (w *world) Forget(_ context.Context, name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.own, name)
	return nil
}

func (w *world) Issued(_ context.Context, is control.Issue) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	stored := control.Issued{Name: is.Name, Leaf: leaf(w.t, 90*day, is.Name), RenewsAt: &is.RenewsAt}
	w.own[is.Name] = stored
	for i := range w.managed {
		if w.managed[i].ID == is.DomainID {
			w.managed[i].Current, w.managed[i].Job, w.managed[i].RenewsAt = &stored, nil, &is.RenewsAt
			return nil
		}
	}
	return nil
}

func (w *world) Report(_ context.Context, id string, job *api.ProvisioningJob, _ *time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.managed {
		if w.managed[i].ID == id {
			w.managed[i].Job = job
		}
	}
	return nil
}

// loudly is a handler that keeps the times of errors.
type loudly struct {
	slog.Handler

	w *world
}

func (loudly) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

func (l loudly) Handle(_ context.Context, r slog.Record) error {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.w.loud = append(l.w.loud, r.Time)
	return nil
}

// run runs a driver for a time.
func (w *world) run(d time.Duration, own ...renewal.Own) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	driver := renewal.New(renewal.Config{
		Authority: w, Certificates: w, Issuance: w, Own: func() []renewal.Own { return own }, Logger: slog.New(loudly{slog.DiscardHandler, w}),
		Resolver: records{},
	})
	if err := driver.Run(ctx); err != nil {
		w.t.Errorf("Run: %v", err)
	}
}

// records knows every name as 127.0.0.1, but for those in .invalid.
type records struct{}

func (records) LookupHost(_ context.Context, host string) ([]string, error) {
	if strings.HasSuffix(host, ".invalid") {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return []string{"127.0.0.1"}, nil
}

func (records) LookupCNAME(_ context.Context, host string) (string, error) { return host + ".", nil }

var key = sync.OnceValue(func() *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
})

// leaf is a certificate from now on.
func leaf(t *testing.T, life time.Duration, names ...string) *x509.Certificate {
	t.Helper()
	k := key()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(life), DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// since are times as distances from the first one.
func since(start time.Time, all []time.Time) (list []time.Duration) {
	for _, at := range all {
		list = append(list, at.Sub(start).Round(time.Second))
	}
	return list
}

// TestF42_Schedule: a certificate is renewed at two thirds of its life. When that
// fails it is tried again after 1, 5, 15 and 60 minutes and then every 6 hours,
// and every day is loud from 14 days before the end on. What there is stays.
func TestF42_Schedule(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "shop.example.com")
		start := time.Now()
		w.run(61 * day)
		if got, want := since(start, w.orders), []time.Duration{0, 60 * day}; !slices.Equal(got, want) {
			t.Fatalf("orders at %v, want %v", got, want)
		}
		had := w.managed[0].Current
		w.orders, w.fails = nil, errors.New("closed")
		start = time.Now()
		w.run(90 * day)
		if w.managed[0].Current != had {
			t.Error("the certificate is another one")
		}
		due := had.RenewsAt.Sub(start)
		want := []time.Duration{due, due + time.Minute, due + 6*time.Minute, due + 21*time.Minute, due + 81*time.Minute, due + 81*time.Minute + 6*time.Hour}
		for i := range want {
			want[i] = want[i].Round(time.Second)
		}
		got := since(start, w.orders)
		if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Fatalf("tries at %v, want them to begin with %v", got[:min(len(got), 7)], want)
		}
		ends := had.Leaf.NotAfter
		if len(w.loud) < 14 || ends.Sub(w.loud[0]).Round(time.Hour) != 14*day {
			t.Errorf("%d loud warnings, the first %v before the end; want one a day from 14 days on", len(w.loud), ends.Sub(w.loud[0]))
		}
		w.fails = nil
		w.run(7 * time.Hour)
		if w.managed[0].Current == had {
			t.Error("the authority is back, and there is no new certificate")
		}
	})
}

// TestF42_ScheduleAfterRestart: a restart neither forgets a failure nor begins
// anew, but the owner can ask for that.
func TestF42_ScheduleAfterRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "shop.example.com")
		w.fails = &acme.Error{DNS: true, Err: errors.New("no record")}
		start := time.Now()
		w.run(7 * time.Minute) // at 0, 1 and 6 minutes
		if job := w.managed[0].Job; job == nil || *job.ErrorCode != "DNS_ERROR" || job.Msg != "no record" {
			t.Fatalf("job: %+v", job)
		}
		w.run(20 * time.Minute)
		want := []time.Duration{0, time.Minute, 6 * time.Minute, 21 * time.Minute}
		if got := since(start, w.orders); !slices.Equal(got, want) {
			t.Errorf("orders at %v, want %v", got, want)
		}
		w.managed[0].AskedAt = time.Now()
		w.run(time.Second)
		if got := len(w.orders); got != len(want)+1 {
			t.Errorf("%d orders after the owner has asked, want %d", got, len(want)+1)
		}
	})
}

// TestT17_FewOrdersAtOnce: many names mean few orders at once, and names of the
// server's own few in an hour.
func TestT17_FewOrdersAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var names []string
		var own []renewal.Own
		for i := range 30 {
			names = append(names, fmt.Sprintf("a%d.example.com", i))
			name := fmt.Sprintf("b%d.example.org", i)
			own = append(own, renewal.Own{Name: name, Names: []string{name}})
		}
		w := newWorld(t, names...)
		w.takes = 20 * time.Second
		w.run(time.Hour-time.Minute, own...)
		if w.most > 4 {
			t.Errorf("%d orders at once, want 4 at most", w.most)
		}
		if got := len(w.own); got != 30+10 {
			t.Errorf("%d certificates within an hour, want 30 of domains and 10 of the server's own names", got)
		}
		w.run(3*time.Hour, own...)
		if got := len(w.own); got != 60 {
			t.Errorf("%d certificates in the end, want 60", got)
		}
	})
}

// TestT17_OldOnesGo: a certificate of a name that is not wanted any more stays
// until it ends, and is then removed.
func TestT17_OldOnesGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.run(time.Minute, renewal.Own{Name: "a.example.org", Names: []string{"a.example.org"}})
		w.run(89 * day)
		if len(w.own) != 1 {
			t.Fatal("the certificate went before its end")
		}
		w.run(2 * day)
		if len(w.own) != 0 || len(w.orders) != 1 {
			t.Errorf("%d certificates after %d orders, want none after 1", len(w.own), len(w.orders))
		}
	})
}
