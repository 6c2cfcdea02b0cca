package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// writers is how many fill the server at once.
const writers = 32

// client keeps a connection for each of those who write at once.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * writers}}

// call asks the API and decodes its answer into out, if that is not nil.
func (s *server) call(ctx context.Context, method, path string, body, out any) error {
	var text io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		text = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+s.api+path, text)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Ngrok-Version", "2")
	r.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it is read to its end
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

// says is a policy that answers with a text.
func says(text string) string {
	return fmt.Sprintf(`{"on_http_request":[{"actions":[{"type":"custom-response","config":{"status_code":200,"body":%q}}]}]}`, text)
}

func cloud(host, text string) map[string]any {
	return map[string]any{"url": "https://" + host, "type": "cloud", "bindings": []string{"public"}, "traffic_policy": says(text)}
}

// seen asks the edge until host answers with text.
func (s *server) seen(ctx context.Context, host, text string) error {
	for begin := time.Now(); ; {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+"/", http.NoBody)
		if err != nil {
			return err
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return err
		}
		if string(answer) == text {
			return nil
		}
		if time.Since(begin) > 10*time.Second {
			return fmt.Errorf("%s answers %d %q, want %q", host, resp.StatusCode, answer, text)
		}
	}
}

// changes makes, changes and deletes endpoints one by one.
func (s *server) changes(ctx context.Context, samples int) error {
	var create, createSeen, update, updateSeen, remove times
	for i := range samples {
		host := fmt.Sprintf("new-%d-%d.culvert.localhost", time.Now().UnixNano(), i)
		ep := cloud(host, "first")
		ep["url"] = "http://" + host
		var made struct{ ID string }
		begin := time.Now()
		if err := s.call(ctx, http.MethodPost, "/endpoints", ep, &made); err != nil {
			return err
		}
		create = append(create, time.Since(begin))
		if err := s.seen(ctx, host, "first"); err != nil {
			return err
		}
		createSeen = append(createSeen, time.Since(begin))
		begin = time.Now()
		if err := s.call(ctx, http.MethodPatch, "/endpoints/"+made.ID, map[string]any{"traffic_policy": says("second")}, nil); err != nil {
			return err
		}
		update = append(update, time.Since(begin))
		if err := s.seen(ctx, host, "second"); err != nil {
			return err
		}
		updateSeen = append(updateSeen, time.Since(begin))
		begin = time.Now()
		if err := s.call(ctx, http.MethodDelete, "/endpoints/"+made.ID, nil, nil); err != nil {
			return err
		}
		remove = append(remove, time.Since(begin))
	}
	fmt.Printf("  create: answered %s, visible %s\n", create, createSeen)
	fmt.Printf("  update: answered %s, visible %s\n", update, updateSeen)
	fmt.Printf("  delete: answered %s\n", remove)
	return nil
}

// tenant is the name of the i-th endpoint.
func tenant(i int) string { return fmt.Sprintf("tenant-%06d.culvert.localhost", i) }

// fill makes all endpoints and domains, 32 at once.
func (s *server) fill(ctx context.Context, o options) error {
	if err := atOnce(ctx, o.domains, func(ctx context.Context, i int) error {
		return s.call(ctx, http.MethodPost, "/reserved_domains", map[string]any{"domain": fmt.Sprintf("shop-%06d.example.com", i)}, nil)
	}, "domains"); err != nil {
		return err
	}
	s.stormy = make([]string, min(o.endpoints, stormEndpoints))
	return atOnce(ctx, o.endpoints, func(ctx context.Context, i int) error {
		ep := cloud(tenant(i), fmt.Sprint("answer ", i%100))
		ep["url"] = "http://" + tenant(i)
		var made struct{ ID string }
		if err := s.call(ctx, http.MethodPost, "/endpoints", ep, &made); err != nil {
			return err
		}
		if i < len(s.stormy) {
			s.stormy[i] = made.ID
		}
		return nil
	}, "endpoints")
}

// atOnce does n things, 32 at once, and prints how many a second.
func atOnce(ctx context.Context, n int, do func(ctx context.Context, i int) error, what string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range writers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	fmt.Printf("  %d %s made, %d at once: %.0f a second\n", n, what, writers, float64(n)/time.Since(begin).Seconds())
	return nil
}

// lists reads pages, and lists that a filter has narrowed.
func (s *server) lists(ctx context.Context, o options) error {
	for name, query := range map[string]string{
		"a page of 100 endpoints":     "/endpoints?limit=100",
		"a page of 100 domains":       "/reserved_domains?limit=100",
		"one of all by a filter":      "/endpoints?limit=100&filter=" + url.QueryEscape(fmt.Sprintf(`obj.url == "http://%s"`, tenant(o.endpoints/2))),
		"the first 100 of a filter's": "/endpoints?limit=100&filter=" + url.QueryEscape(`obj.url.contains("tenant")`),
	} {
		var took times
		for range max(o.samples/10, 3) {
			begin := time.Now()
			if err := s.call(ctx, http.MethodGet, query, nil, nil); err != nil {
				return err
			}
			took = append(took, time.Since(begin))
		}
		fmt.Printf("  %s: %s\n", name, took)
	}
	return nil
}
