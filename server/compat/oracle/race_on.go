//go:build race

package oracle

// Race tells whether the race detector watches this binary, and with it the client library. The Go SDKs race with
// themselves over their logger at each heartbeat, so that under the detector they are kept from beating.
const Race = true
