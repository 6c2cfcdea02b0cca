package suites_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// slowPage is larger than what the buffers between an upstream and a client hold.
const slowPage = 64 << 20

// slowUpstream answers with a large page under /-X and with a small one elsewhere, once it has read what was sent.
type slowUpstream struct {
	page         []byte
	begun, ended atomic.Int64 // large pages
}

func (u *slowUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/-X" {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "ok\n")
		return
	}
	u.begun.Add(1)
	defer u.ended.Add(1)
	_, _ = w.Write(u.page)
}

// wait waits until as many pages as given have begun, and all of them have ended. It returns false if ctx ends first.
func (u *slowUpstream) wait(ctx context.Context, pages int) bool {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if n := u.begun.Load(); n >= int64(pages) && u.ended.Load() == n {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}
