package sshd

import (
	"sync"
	"time"
)

// deadline is a time that calls under way notice when it comes. Make it with newDeadline.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	gen    int           // counts calls of set; guarded by mu, as is passed
	passed chan struct{} // closed when the time has come
}

func newDeadline() *deadline { return &deadline{passed: make(chan struct{})} }

// set changes the time; zero means never.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.gen++
	select {
	case <-d.passed:
		d.passed = make(chan struct{})
	default:
	}
	if t.IsZero() {
		return
	}
	wait := time.Until(t)
	if wait <= 0 {
		close(d.passed)
		return
	}
	gen := d.gen
	d.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.gen == gen {
			close(d.passed)
		}
	})
}

// wait returns a channel that is closed when the time has come.
func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed
}
