// Control measures the control plane from outside: a culvertd of its own, SQLite or PostgreSQL, asked over its API and its edge, without
// and with many endpoints that stand on it.
//
//	make bench-control
//	make bench-control ARGS="--database postgres://… --endpoints 1000"
//
// Times are medians with the 99th percentile behind them. A change counts as visible when a request to the edge, on a kept
// connection, is answered by it.
package main
