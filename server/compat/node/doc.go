// Package node runs the oracle's scenarios with the official JavaScript SDK, unmodified, in a node process for each
// session. It has tests only: adapter_test.go speaks with driver.mjs in lines of JSON.
//
// It needs node and `npm ci` in this folder, and is skipped without them; where CULVERT_CI is set it fails instead.
package node
