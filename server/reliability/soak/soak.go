package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/server/reliability"
)

// rig is everything that runs.
type rig struct {
	s             settings
	up            *reliability.Upstream
	link          *reliability.Link
	server, agent *child
	cas           *x509.CertPool
	load          *reliability.Load

	faults               map[string]int
	expected, unexpected reliability.Counts
	histories            map[*child]*history
	before, after        map[*child]sample // without load
}

func soak(ctx context.Context, s settings) (err error) {
	r := &rig{s: s, faults: map[string]int{}, expected: reliability.Counts{}, unexpected: reliability.Counts{}}
	if err := r.start(ctx); err != nil {
		return err
	}
	defer r.stop()
	r.histories = map[*child]*history{r.server: {}, r.agent: {}}

	load := r.config()
	capacity, err := r.measure(ctx, load)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d processors; capacity with %d clients: %.0f requests/s; load: %.0f requests/s for %v\n",
		time.Now().UTC().Format("2006-01-02 15:04 UTC"), runtime.NumCPU(), s.clients, capacity, s.share*capacity, s.total)
	if r.before, err = r.atRest(ctx, nil); err != nil {
		return err
	}
	load.Pace = reliability.Pace(s.share * capacity)
	r.load = reliability.StartLoad(ctx, load)
	began := time.Now()
	err = r.rotate(ctx, began)
	took := time.Since(began)
	counts := r.load.Stop()
	if err == nil {
		r.after, err = r.atRest(ctx, r.before)
	}
	r.table(counts, took)
	if err != nil {
		return err
	}
	problems := r.problems()
	bodies, err := r.bodies(ctx)
	if err != nil {
		return err
	}
	if problems = append(problems, bodies...); len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	fmt.Println("passed")
	return nil
}

func (r *rig) start(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	var loopback reliability.Loopback
	if r.up, err = reliability.NewUpstream(loopback, "soak"); err != nil {
		return err
	}
	if r.server, err = spawn(ctx, "server", roleServer); err != nil {
		return err
	}
	if r.link, err = reliability.NewLink(loopback, r.server.Agent); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(r.link.Addr())
	if err != nil {
		return err
	}
	if r.agent, err = spawn(ctx, "agent", roleAgent, "localhost:"+port, r.server.Pin, r.up.Addr()); err != nil {
		return err
	}
	pem, err := os.ReadFile(r.server.CAFile)
	if err != nil {
		return err
	}
	r.cas = x509.NewCertPool()
	r.cas.AppendCertsFromPEM(pem)
	return nil
}

func (r *rig) stop() {
	if r.agent != nil {
		r.agent.stop()
	}
	if r.server != nil {
		r.server.stop()
	}
	if r.link != nil {
		r.link.Close()
	}
	if r.up != nil {
		r.up.Close()
	}
}

func (r *rig) config() reliability.LoadConfig {
	return reliability.LoadConfig{
		Net: reliability.Loopback{}, CAs: r.cas, URL: r.agent.URL,
		H1: r.s.clients / 2, H2: r.s.clients - r.s.clients/2, WebSockets: 10,
	}
}

// measure returns how many requests a second there are when every client asks
// as soon as it is answered.
func (r *rig) measure(ctx context.Context, cfg reliability.LoadConfig) (float64, error) {
	l := reliability.StartLoad(ctx, cfg)
	if !rest(ctx, 3*time.Second) { // connections come up
		return 0, ctx.Err()
	}
	before, start := l.Counts(), time.Now()
	rest(ctx, 7*time.Second)
	counts, took := l.Counts().Since(before), time.Since(start)
	l.Stop()
	if n := counts.Failed(); n > 0 {
		return 0, fmt.Errorf("%d requests failed without a fault: %v", n, counts)
	}
	return float64(counts.Sum(every)) / took.Seconds(), ctx.Err()
}

func every(string, reliability.Outcome) bool { return true }

// rest waits, and reports false if ctx has ended.
func rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// settled is how many seconds after the load nothing of it may be left.
const settled = 10

// calm is how long nothing goes wrong between two faults.
const calm = 10 * time.Second

// rotate lets one fault follow the other until time is up.
func (r *rig) rotate(ctx context.Context, began time.Time) error {
	faults := []struct {
		id  string
		run func(context.Context) error
	}{{"F01", r.cut}, {"F09", r.failUpstreams}, {"F05", r.flap}}
	for i := 0; time.Since(began) < r.s.total; i++ {
		before := r.load.Counts()
		if !rest(ctx, calm) {
			return ctx.Err()
		}
		if err := r.sample(ctx, began); err != nil {
			return err
		}
		r.judge("calm", before, nil)
		f := faults[i%len(faults)]
		before = r.load.Counts()
		if err := f.run(ctx); err != nil {
			return fmt.Errorf("%s: %w", f.id, err)
		}
		r.faults[f.id]++
		var allowed []string
		if f.id != "F09" { // other requests do not notice failing upstreams
			allowed = []string{
				"502 ERR_NGROK_3004", "502 ERR_NGROK_3007", "502 ERR_NGROK_3210", "404 ERR_NGROK_3200",
				string(reliability.Truncated), "ws " + string(reliability.Lost),
			}
		}
		r.judge(f.id, before, allowed)
	}
	return nil
}

// judge sorts the failures since before into those that a fault explains and
// the rest.
func (r *rig) judge(during string, before reliability.Counts, allowed []string) {
	for k, n := range r.load.Counts().Since(before) {
		if strings.HasSuffix(k, " "+string(reliability.OK)) {
			continue
		}
		if slices.ContainsFunc(allowed, func(a string) bool { return strings.Contains(k, a) }) {
			r.expected[during+": "+k] += n
			continue
		}
		r.unexpected[during+": "+k] += n
		fmt.Printf("unexpected during %s: %s, %d times\n", during, k, n)
	}
}

// sample looks at both processes.
func (r *rig) sample(ctx context.Context, began time.Time) error {
	for _, c := range []*child{r.server, r.agent} {
		s, err := c.calmest(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if time.Since(began) >= r.s.warmup {
			h := r.histories[c]
			*h = append(*h, s)
		}
		fmt.Printf("%6.0f s  %-6s  %5.1f MiB  %5d goroutines  %4d descriptors\n",
			time.Since(began).Seconds(), c.name, float64(s.rss)/(1<<20), s.goroutines, s.handles)
	}
	return nil
}

// atRest looks at both processes when the load has stopped. It waits for them to
// have no more than before, as long as they may take for that.
func (r *rig) atRest(ctx context.Context, before map[*child]sample) (map[*child]sample, error) {
	all := map[*child]sample{}
	for range settled {
		rest(ctx, time.Second)
		more := before == nil
		for _, c := range []*child{r.server, r.agent} {
			s, err := c.look(ctx)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			all[c] = s
			more = more || len(grown(before[c], s)) > 0
		}
		if !more {
			break
		}
	}
	return all, ctx.Err()
}

// back waits until every kind of client gets through again.
func (r *rig) back(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := r.load.Await(ctx, 5); err != nil {
		return err
	}
	rest(ctx, time.Second) // what began before may still fail
	return nil
}

// cut is F01.
func (r *rig) cut(ctx context.Context) error {
	r.link.Cut()
	return r.back(ctx)
}

// flap is F05, ten times.
func (r *rig) flap(ctx context.Context) error {
	for range 10 {
		r.link.Cut()
		if !rest(ctx, time.Second) {
			return ctx.Err()
		}
	}
	return r.back(ctx)
}

// failUpstreams is F09: requests whose upstream fails are answered as promised.
func (r *rig) failUpstreams(ctx context.Context) error {
	for _, h2 := range []bool{false, true} {
		c := reliability.Client(reliability.Loopback{}, r.cas, h2)
		for range 20 {
			for url, want := range map[string]reliability.Outcome{
				r.agent.Refusing + "/":       "502 ERR_NGROK_8012",
				r.agent.URL + "/reset/head":  "502 ERR_NGROK_3004",
				r.agent.URL + "/cut/head":    "502 ERR_NGROK_3004",
				r.agent.URL + "/garbage":     "502 ERR_NGROK_3004",
				r.agent.URL + "/reset/bytes": reliability.Truncated, r.agent.URL + "/reset/chunked": reliability.Truncated,
				r.agent.URL + "/cut/bytes": reliability.Truncated, r.agent.URL + "/cut/chunked": reliability.Truncated,
			} {
				got := reliability.Fetch(ctx, c, url)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				into := r.expected
				if got != want {
					into = r.unexpected
					fmt.Printf("unexpected: %s got %q, want %q\n", url, got, want)
				}
				into["F09: "+string(got)]++
			}
		}
		c.CloseIdleConnections()
	}
	return nil
}
