// Bench measures the way of requests and bytes through edge, tunnel and agent
// against other ways to the same service, and prints a Markdown table of
// medians and ratios. docs/performance.md keeps the last one.
//
// Everything is a process of its own on loopback: nginx as the service, wrk and
// h2load as the load, culvertd and culvert, and the peers: HAProxy and a Go
// program with net/http/httputil. The runs of one row follow each other
// directly, round after round, so that what else the machine does hits all of
// them; a ratio is taken within a round, and the table has the median over
// rounds.
//
// Programs of the lowest priority keep the processors awake while latency at
// one connection is measured.
//
// It installs nothing. With --before DIR the programs of another build run
// along, to compare a change with what was before it. With --profile DIR, perf
// records edge and agent.
package main
