// Package ngrokv2 runs the oracle's scenarios with the official Go SDK, version 2, unmodified. It has tests only: the
// adapter is in adapter_test.go. Version 1 lives in a package of its own, since the two do not share a binary.
package ngrokv2
