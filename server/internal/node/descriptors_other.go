//go:build !unix

package node

// descriptors returns how many connections are taken for possible where the
// system has no limit that could be asked for.
func descriptors() int { return 32 << 10 }
