package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// A storm changes so many endpoints in turn, so often a second (reliability-security.md 6, F33).
const (
	stormEndpoints = 100
	stormRate      = 100
)

// storm changes policies for a while and prints how soon the edge follows, and what requests for an endpoint that stays
// take meanwhile and without it.
func (s *server) storm(ctx context.Context, limit time.Duration) error {
	const calm = "calm.culvert.localhost"
	ep := cloud(calm, "calm")
	ep["url"] = "http://" + calm
	if err := s.call(ctx, http.MethodPost, "/endpoints", ep, nil); err != nil {
		return err
	}
	before, err := s.requests(ctx, calm, limit/2)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var seen, meanwhile times
	var wg sync.WaitGroup
	wg.Go(func() {
		took, err := s.requests(ctx, calm, limit)
		if err != nil {
			cancel(err)
		}
		meanwhile = took
	})
	// Each endpoint has a writer, and they begin one after the other.
	pause := time.Second / stormRate
	for i, id := range s.stormy {
		wg.Go(func() {
			begin := time.Now()
			for n, at := 0, time.Duration(i)*pause; at < limit; n, at = n+1, at+time.Duration(len(s.stormy))*pause {
				select {
				case <-time.After(time.Until(begin.Add(at))):
				case <-ctx.Done():
					return
				}
				took, err := s.change(ctx, id, tenant(i), fmt.Sprint("storm ", n))
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				seen = append(seen, took)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	fmt.Printf("  %d new policies a second: visible %s; requests for another endpoint meanwhile %s, without them %s\n", stormRate, seen, meanwhile, before)
	return nil
}

// change gives an endpoint a policy and returns how long it took until the edge answered by it.
func (s *server) change(ctx context.Context, id, host, text string) (time.Duration, error) {
	start := time.Now()
	if err := s.call(ctx, http.MethodPatch, "/endpoints/"+id, map[string]any{"traffic_policy": says(text)}, nil); err != nil {
		return 0, err
	}
	err := s.seen(ctx, host, text)
	return time.Since(start), err
}

// requests asks for a host again and again, one request at a time.
func (s *server) requests(ctx context.Context, host string, limit time.Duration) (took times, err error) {
	for begin := time.Now(); time.Since(begin) < limit; {
		start := time.Now()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+"/", http.NoBody)
		if err != nil {
			return nil, err
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s answers %d", host, resp.StatusCode)
		}
		took = append(took, time.Since(start))
	}
	return took, nil
}
