package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// sample is what a process has at one moment.
type sample struct {
	at                  time.Time
	rss                 int64 // bytes, without pages of files, which are the program's own
	heap                int64 // bytes that are alive, with the goroutines' stacks
	goroutines, handles int
}

// calmest looks several times and returns the look at which the least memory was
// in use: what requests under way take comes and goes.
func (c *child) calmest(ctx context.Context) (least sample, err error) {
	for i := range 5 {
		if i > 0 {
			rest(ctx, 200*time.Millisecond)
		}
		s, err := c.look(ctx)
		if err != nil {
			return s, err
		}
		if i == 0 || s.rss < least.rss {
			least = s
		}
	}
	return least, nil
}

// look takes a sample. It makes the process give back what it does not use.
func (c *child) look(ctx context.Context) (s sample, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.Stats, http.NoBody)
	if err != nil {
		return s, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return s, err
	}
	s.at = time.Now()
	if _, err = fmt.Sscan(string(text), &s.goroutines, &s.heap); err != nil {
		return s, err
	}
	s.rss = resident(c.pid)
	if files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.pid)); err == nil {
		s.handles = len(files)
	}
	return s, nil
}

// resident is the memory of a process in bytes, 0 where the system does not say.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if kb, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.ParseInt(strings.Fields(kb)[0], 10, 64) // 0 says as much
			return n << 10
		}
	}
	return 0
}

// history are samples of one process under the same load.
type history []sample

// slope is the growth of what pick takes in percent of its mean an hour, by least
// squares, and how far it may be off: two standard errors.
func (h history) slope(pick func(sample) int64) (percent, off float64) {
	n := float64(len(h))
	if n < 3 {
		return 0, 0
	}
	var mx, my float64
	for _, s := range h {
		mx += h.hours(s) / n
		my += float64(pick(s)) / n
	}
	var sxx, sxy, syy float64
	for _, s := range h {
		x, y := h.hours(s)-mx, float64(pick(s))-my
		sxx, sxy, syy = sxx+x*x, sxy+x*y, syy+y*y
	}
	if sxx == 0 || my == 0 {
		return 0, 0
	}
	rise := sxy / sxx
	left := max(0, syy-rise*sxy) / (n - 2)
	return 100 * rise / my, 2 * 100 * math.Sqrt(left/sxx) / my
}

// hours is how long after the first sample another one was taken.
func (h history) hours(s sample) float64 { return s.at.Sub(h[0].at).Hours() }

// spread is the range of what f picks.
func (h history) spread(f func(sample) int64) (low, high int64) {
	for i, s := range h {
		v := f(s)
		if i == 0 || v < low {
			low = v
		}
		high = max(high, v)
	}
	return low, high
}

// thirds are the means of what f picks in the first and in the last third.
func (h history) thirds(f func(sample) int64) (first, last float64) {
	n := max(1, len(h)/3)
	if len(h) < n {
		return 0, 0
	}
	for _, s := range h[:n] {
		first += float64(f(s)) / float64(n)
	}
	for _, s := range h[len(h)-n:] {
		last += float64(f(s)) / float64(n)
	}
	return first, last
}
