//go:build !race

package edge

// transfer is the size of large bodies in tests.
const transfer = 256 << 20
