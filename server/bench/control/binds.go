package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/culvert-project/culvert"
)

// Agents, and how many endpoints each asks for at once.
const (
	agents       = 8
	bindsAtAgent = 8
)

// binds has agents bind and unbind names for a while, and prints how many a second. Agents take part of the same processors.
func (s *server) binds(ctx context.Context, limit time.Duration) error {
	text, err := os.ReadFile(filepath.Join(s.dir, "data", "ca.pem"))
	if err != nil {
		return err
	}
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(text)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var made atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range agents {
		a, err := culvert.NewAgent(culvert.WithAuthtoken(token), culvert.WithAgentConnectURL(s.agent), culvert.WithAgentConnectCAs(ca))
		if err != nil {
			return err
		}
		defer a.Disconnect() //nolint:errcheck // the server ends after it
		for j := range bindsAtAgent {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					ln, err := a.Listen(ctx, culvert.WithURL(fmt.Sprintf("https://bind-%d-%d-%d.culvert.localhost", i, j, n)))
					if err != nil {
						if !errors.Is(err, context.DeadlineExceeded) {
							failed.Store(&err)
						}
						return
					}
					made.Add(1)
					_ = ln.Close()
				}
			})
		}
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	fmt.Printf("  binds by %d agents, each with its unbind: %.0f a second\n", agents, float64(made.Load())/time.Since(begin).Seconds())
	return nil
}
