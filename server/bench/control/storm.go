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
	calm := tenant(len(s.stormy)) // the first one that stays
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
	tick := time.NewTicker(time.Second / stormRate)
	defer tick.Stop()
	for i, begin := 0, time.Now(); time.Since(begin) < limit && ctx.Err() == nil; i++ {
		wg.Go(func() {
			at, text := i%len(s.stormy), fmt.Sprint("storm ", i)
			start := time.Now()
			err := s.call(ctx, http.MethodPatch, "/endpoints/"+s.stormy[at], map[string]any{"traffic_policy": says(text)}, nil)
			if err == nil {
				err = s.seen(ctx, tenant(at), text)
			}
			if err != nil {
				cancel(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, time.Since(start))
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	fmt.Printf("  %d new policies a second: visible %s; requests for another endpoint meanwhile %s, without them %s\n", stormRate, seen, meanwhile, before)
	return nil
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
