package sqlstore_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/culvert-project/culvert/server/internal/store"
	"github.com/culvert-project/culvert/server/internal/store/sqlstore"
	"github.com/culvert-project/culvert/server/internal/store/storetest"
)

// relay stands between a store and PostgreSQL, and can be cut.
type relay struct {
	target   string
	listener net.Listener

	mu    sync.Mutex
	cut   bool // guarded by mu, as is all below
	left  int  // how many chunks the store may still send, if it is above 0
	conns map[net.Conn]bool
}

// throughRelay returns a relay and the URL of the database through it.
func throughRelay(t *testing.T, base string) (*relay, string) {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{target: u.Host, listener: l, conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.set(true)
		wg.Wait()
	})
	u.Host = l.Addr().String()
	return r, u.String()
}

// set cuts all connections and refuses new ones, or lets them through again.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	if cut {
		for c := range r.conns {
			_ = c.Close()
		}
		clear(r.conns)
	}
}

// add reports whether a connection may stand.
func (r *relay) add(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		_ = c.Close()
		return false
	}
	r.conns[c] = true
	return true
}

func (r *relay) serve(c net.Conn) {
	if !r.add(c) {
		return
	}
	defer c.Close()
	up, err := net.Dial("tcp", r.target)
	if err != nil || !r.add(up) {
		return
	}
	go func() {
		_, _ = io.Copy(c, up)
		_ = c.Close()
	}()
	defer up.Close()
	b := make([]byte, 16<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if r.spent() {
			r.set(true)
			return
		}
		if _, err := up.Write(b[:n]); err != nil {
			return
		}
	}
}

// spent reports whether the store has sent all that it may.
func (r *relay) spent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left > 0 {
		r.left--
		return r.left == 0
	}
	return false
}

// copyOf is a projection that has the bodies of all things.
type copyOf struct {
	mu     sync.Mutex
	bodies map[string]string
	loads  int
}

func (c *copyOf) Load(tx store.Tx) error {
	bodies := map[string]string{}
	for r, err := range tx.List(store.Query{Kind: "thing"}) {
		if err != nil {
			return err
		}
		bodies[r.ID] = string(r.Body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies = bodies
	c.loads++
	return nil
}

func (c *copyOf) Apply(tx store.Tx, changes []store.Change) error {
	for _, change := range changes {
		r, err := tx.Get(change.Kind, change.ID)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		c.mu.Lock()
		if err == nil {
			c.bodies[change.ID] = string(r.Body)
		} else {
			delete(c.bodies, change.ID)
		}
		c.mu.Unlock()
	}
	return nil
}

func (c *copyOf) get() (bodies map[string]string, loads int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.bodies), c.loads
}

// follow runs a follower until the test ends.
func follow(t *testing.T, s store.Store) (*store.Follower, *copyOf) {
	t.Helper()
	c := &copyOf{}
	f := store.NewFollower(s, slog.New(slog.DiscardHandler), c)
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return f, c
}

// reach waits until a follower has reached a revision, however often that fails meanwhile.
func reach(t *testing.T, f *store.Follower, r store.Revision) {
	t.Helper()
	for {
		err := f.Wait(t.Context(), r)
		switch {
		case err == nil:
			return
		case !errors.Is(err, store.ErrUnavailable):
			t.Fatalf("Wait = %v", err)
		}
		select { // as often as a caller would ask again
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestF21_DatabaseGone: while PostgreSQL cannot be reached everything fails soon and in the same way, what is in force
// stays, and all goes on by itself afterwards.
func TestF21_DatabaseGone(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	r, through := throughRelay(t, base)
	s := openPostgres(t, through)
	elsewhere := openPostgres(t, base) // another server of the same database
	f, copied := follow(t, s)
	reach(t, f, put(t, s, thing("before", "1")))
	for range 2 {
		r.set(true)
		if _, err := try(t, s, "lost"); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("Update = %v, want %v", err, store.ErrUnavailable)
		}
		if _, err := s.View(t.Context(), func(store.Tx) error { return nil }); !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("View = %v, want %v", err, store.ErrUnavailable)
		}
		if got, _ := copied.get(); got["before"] != "1" {
			t.Errorf("the copy has %v, want what was there before", got)
		}
		missed := put(t, elsewhere, thing("missed", "2"))
		r.set(false)
		back := time.Now()
		reach(t, f, missed)
		t.Logf("caught up %v after the database was back", time.Since(back).Round(time.Millisecond))
		if got, _ := copied.get(); got["missed"] != "2" {
			t.Errorf("the copy has %v, want what was written meanwhile", got)
		}
		if _, err := elsewhere.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("thing", "missed") }); err != nil {
			t.Fatal(err)
		}
		reach(t, f, put(t, s, thing("after", "3")))
		if _, err := s.Update(t.Context(), func(tx store.Tx) error { return tx.Delete("thing", "after") }); err != nil {
			t.Fatal(err)
		}
	}
	sound(t, s)
}

// TestF21_ConnectionsEnd ends the connections of a store at any moment: what it has answered is there, once.
func TestF21_ConnectionsEnd(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	s := openPostgres(t, base)
	raw := database{url: base}.raw(t)
	const writers, each = 6, 20
	var mu sync.Mutex
	answered := map[string]store.Revision{}
	failures := 0
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				id := string(rune('a'+w)) + string(rune('A'+n%26)) + string(rune('A'+n/26))
				for {
					r, err := try(t, s, id)
					if errors.Is(err, store.ErrConflict) || isTaken(err) {
						break // an update whose answer was lost has been applied
					}
					mu.Lock()
					if err == nil {
						answered[id] = r
					} else {
						failures++
					}
					mu.Unlock()
					if err == nil {
						break
					}
					if !errors.Is(err, store.ErrUnavailable) {
						t.Errorf("Update = %v, want %v", err, store.ErrUnavailable)
						return
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	ends := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			if ends++; ends > 15 {
				tick.Stop()
				continue
			}
			execute(t, raw, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'culvertd'")
		}
	}
	t.Logf("connections ended %d times, %d updates failed, %d were answered", ends, failures, len(answered))
	checkPairs(t, openPostgres(t, base), answered)
}

func isTaken(err error) bool {
	_, ok := errors.AsType[*store.KeyTakenError](err)
	return ok
}

// TestS8_InterruptedStartPostgres cuts the connection after each message by which a start makes the tables. The next
// start makes them, all of them.
func TestS8_InterruptedStartPostgres(t *testing.T) {
	t.Parallel()
	base := storetest.Postgres(t)
	for n := 1; ; n++ {
		r, through := throughRelay(t, base)
		r.mu.Lock()
		r.left = n
		r.mu.Unlock()
		s, err := sqlstore.OpenPostgres(t.Context(), through)
		if err == nil {
			_ = s.Close()
			t.Logf("cut after %d messages", n-1)
			break
		}
		if !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("cut after %d messages: %v", n, err)
		}
	}
	s := openPostgres(t, base)
	if r := put(t, s, thing("a", "1")); r != 1 {
		t.Errorf("the first update is %d, want 1", r)
	}
	sound(t, s)
}
