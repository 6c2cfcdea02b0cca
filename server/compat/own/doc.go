// Package own runs the oracle's scenarios with Culvert's own SDK: what holds for other people's clients has to hold for
// ours. It has tests only; the adapter is in adapter_test.go.
package own
