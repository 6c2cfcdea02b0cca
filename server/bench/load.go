package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// bodySize is the size of the service's short answer.
const bodySize = 1 << 10

// load is what a run found, by unit.
type load map[string]float64

// Units of what is measured.
const (
	perSecond = "per second"
	p50       = "p50, µs"
	p99       = "p99, ms"
	megabytes = "MB/s"
	cpu       = "CPU"  // µs of the way's processes for each request, or MB
	amount    = "done" // requests, or MB
)

// wrk loads addr with plain HTTP for a host.
func wrk(ctx context.Context, addr, host string, connections int, d time.Duration, header ...string) (load, error) {
	args := []string{"--threads", "1", "--connections", strconv.Itoa(connections), "--duration", seconds(d), "--latency", "-H", "Host: " + host}
	for _, h := range header {
		args = append(args, "-H", h)
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, "http://"+addr+"/")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	return parseWrk(string(out))
}

// seconds is a duration as wrk and h2load take it: whole seconds.
func seconds(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Second)/time.Second)))
}

var (
	wrkRate    = regexp.MustCompile(`Requests/sec: +([\d.]+)`)
	wrkDone    = regexp.MustCompile(`(\d+) requests in `)
	wrkLatency = regexp.MustCompile(`(?m)^ +(50|99)% +([\d.]+)(us|ms|s)$`)
	wrkFailed  = regexp.MustCompile(`Non-2xx or 3xx responses: \d+|Socket errors: .*`)
)

func parseWrk(out string) (load, error) {
	if failed := wrkFailed.FindString(out); failed != "" {
		return nil, errors.New("wrk: " + failed)
	}
	rate, done := wrkRate.FindStringSubmatch(out), wrkDone.FindStringSubmatch(out)
	if rate == nil || done == nil {
		return nil, fmt.Errorf("wrk said: %s", out)
	}
	l := load{perSecond: parse(rate[1]), amount: parse(done[1])}
	for _, m := range wrkLatency.FindAllStringSubmatch(out, -1) {
		d, err := time.ParseDuration(m[2] + m[3])
		if err != nil {
			return nil, err
		}
		if m[1] == "50" {
			l[p50] = float64(d) / float64(time.Microsecond)
		} else {
			l[p99] = float64(d) / float64(time.Millisecond)
		}
	}
	return l, nil
}

// parse reads a number that a pattern has found.
func parse(s string) float64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(err)
	}
	return v
}

// h2load loads addr with HTTPS: HTTP/1.1, or HTTP/2 with so many streams.
func h2load(ctx context.Context, addr string, connections, streams int, d time.Duration, flags ...string) (load, error) {
	args := append([]string{
		"--clients", strconv.Itoa(connections), "--max-concurrent-streams", strconv.Itoa(streams),
		"--duration", seconds(d), "--connect-to", addr,
	}, flags...)
	out, err := exec.CommandContext(ctx, "h2load", append(args, "https://"+net.JoinHostPort(host, portOf(addr))+"/")...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("h2load: %w\n%s", err, out)
	}
	return parseH2load(string(out))
}

var (
	h2loadRate   = regexp.MustCompile(`finished in [^,]+, ([\d.]+) req/s`)
	h2loadDone   = regexp.MustCompile(`, (\d+) succeeded, `)
	h2loadFailed = regexp.MustCompile(` ([\d]+) failed, ([\d]+) errored, ([\d]+) timeout`)
	h2loadStatus = regexp.MustCompile(`status codes: \d+ 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
)

func parseH2load(out string) (load, error) {
	rate, failed, status := h2loadRate.FindStringSubmatch(out), h2loadFailed.FindStringSubmatch(out), h2loadStatus.FindStringSubmatch(out)
	done := h2loadDone.FindStringSubmatch(out)
	if rate == nil || done == nil || failed == nil || status == nil {
		return nil, fmt.Errorf("h2load said: %s", out)
	}
	for _, n := range append(failed[1:], status[1:]...) {
		if n != "0" {
			return nil, fmt.Errorf("h2load: %s; %s", failed[0], status[0])
		}
	}
	return load{perSecond: parse(rate[1]), amount: parse(done[1])}, nil
}

// answer is the answer to a request made by get: its body has size bytes, of
// which those in ahead were read with the head.
type answer struct {
	net.Conn
	ahead *bufio.Reader
	size  int64
}

// get asks for a path over a connection of its own.
func get(ctx context.Context, addr, host, path string, secure bool) (answer, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return answer{}, err
	}
	if secure {
		c = tls.Client(c, &tls.Config{ServerName: host, InsecureSkipVerify: true}) //nolint:gosec // loopback, and only to see that it answers
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute)) // a failure shows in the exchange
	a := answer{Conn: c, ahead: bufio.NewReaderSize(c, 16<<10)}
	if _, err = io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n"); err == nil {
		var resp *http.Response
		resp, err = http.ReadResponse(a.ahead, nil) //nolint:bodyclose // closing would read it to its end
		if err == nil && resp.StatusCode == http.StatusOK {
			a.size = resp.ContentLength
			return a, nil
		} else if err == nil {
			err = errors.New(resp.Status)
		}
	}
	_ = c.Close()
	return answer{}, err
}

// download reads /bulk once and returns how fast it came.
func download(ctx context.Context, addr string) (load, error) {
	start := time.Now()
	a, err := get(ctx, addr, host, "/bulk", false)
	if err != nil {
		return nil, err
	}
	defer a.Close() //nolint:errcheck // it was only read
	buf := make([]byte, 256<<10)
	for left := a.size - int64(a.ahead.Buffered()); left > 0; {
		n, err := a.Read(buf)
		if left -= int64(n); err != nil && left > 0 {
			return nil, err
		}
	}
	size := float64(a.size) / 1e6
	return load{megabytes: size / time.Since(start).Seconds(), amount: size}, nil
}

// await waits until every beginning of the way gives the service's answer.
func (w way) await(ctx context.Context) error {
	for _, begin := range []struct {
		addr   string
		secure bool
	}{{w.http, false}, {w.https, true}, {w.tcp, false}} {
		if begin.addr == "" {
			continue
		}
		err := until(ctx, begin.addr, func() error {
			a, err := get(ctx, begin.addr, w.host(), "/", begin.secure)
			if err != nil {
				return err
			}
			defer a.Close() //nolint:errcheck // it was only read
			if a.size != bodySize {
				return fmt.Errorf("an answer of %d bytes", a.size)
			}
			_, err = a.ahead.Discard(bodySize)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
