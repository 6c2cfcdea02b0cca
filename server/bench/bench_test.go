package main

import (
	"maps"
	"strings"
	"testing"
)

const wrkOutput = `Running 2s test @ http://127.0.0.1:8000/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   474.07us  351.66us   8.02ms   92.61%
    Req/Sec    70.50k     5.92k   78.50k    75.00%
  Latency Distribution
     50%  402.00us
     75%  531.00us
     90%  801.00us
     99%    1.87ms
  140221 requests in 2.00s, 158.99MB read
Requests/sec:  70054.77
Transfer/sec:     79.43MB
`

const h2loadOutput = `finished in 2.00s, 8747.50 req/s, 9.75MB/s
requests: 17495 total, 17527 started, 17495 done, 17495 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 17495 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 19.49MB (20437556) total, 1.64MB (1714510) headers (space savings 29.50%), 17.08MB (17914880) data
`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parseWrk(wrkOutput)
	want := load{perSecond: 70054.77, p50: 402, p99: 1.87, amount: 140221}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("wrk: got %v, %v, want %v", got, err, want)
	}
	got, err = parseH2load(h2loadOutput)
	want = load{perSecond: 8747.5, amount: 17495}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("h2load: got %v, %v, want %v", got, err, want)
	}
}

func TestFailedRequestsAreNoFigures(t *testing.T) {
	t.Parallel()
	if l, err := parseWrk(wrkOutput + "  Non-2xx or 3xx responses: 7\n"); err == nil {
		t.Errorf("wrk: got %v, want an error", l)
	}
	if l, err := parseH2load(strings.Replace(h2loadOutput, "0 errored", "3 errored", 1)); err == nil {
		t.Errorf("h2load: got %v, want an error", l)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	s := samples{}
	for _, v := range []float64{90, 100, 110} {
		s.add(http32, httputil, load{perSecond: v})
		s.add(http32, ours, load{perSecond: 1.5 * v})
	}
	got := table([]row{{http32, perSecond, httputil, 1.6, false}, {http1, p50, httputil, 0.95, true}}, s, false)
	want := "| HTTP, 32 connections, per second | - | 100 | - | - | 150 | 1.50 (1.50-1.50) × httputil | ≥ 1.60 |\n"
	if !strings.HasSuffix(got, "|\n"+want) {
		t.Errorf("got\n%s\nwant it to end with\n%s", got, want)
	}
}
