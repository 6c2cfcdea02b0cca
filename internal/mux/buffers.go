package mux

import (
	"slices"
	"sync"

	"github.com/culvert-project/culvert/internal/mux/frame"
)

// Sizes of pooled buffers. Output starts small, since most flushes are one
// short frame, and moves to a large one that holds everything up to the high
// water mark. Received data waits in chunks of three sizes, each eight times
// the one before.
const (
	smallOutput = 4 << 10
	largeOutput = highWater + 2*frame.MaxSend
	smallChunk  = 512
	middleChunk = 4 << 10
	largeChunk  = 32 << 10
	readSize    = 64 << 10
)

var (
	smallOutputs = sync.Pool{New: func() any { return new([smallOutput]byte) }}
	largeOutputs = sync.Pool{New: func() any { return new([largeOutput]byte) }}
	smallChunks  = sync.Pool{New: func() any { return new([smallChunk]byte) }}
	middleChunks = sync.Pool{New: func() any { return new([middleChunk]byte) }}
	largeChunks  = sync.Pool{New: func() any { return new([largeChunk]byte) }}
	readBuffers  = sync.Pool{New: func() any { return new([readSize]byte) }}
)

// grow returns b with room for n more bytes, from the pools where possible.
func grow(b []byte, n int) []byte {
	need := len(b) + n
	switch {
	case need <= cap(b):
		return b
	case need <= smallOutput:
		b = append(smallOutputs.Get().(*[smallOutput]byte)[:0], b...)
		return b
	case need <= largeOutput:
		g := append(largeOutputs.Get().(*[largeOutput]byte)[:0], b...)
		putBuffer(b)
		return g
	}
	g := slices.Grow(b, n)
	return g
}

// putBuffer gives an output buffer back.
func putBuffer(b []byte) {
	switch cap(b) {
	case smallOutput:
		smallOutputs.Put((*[smallOutput]byte)(b[:smallOutput]))
	case largeOutput:
		largeOutputs.Put((*[largeOutput]byte)(b[:largeOutput]))
	}
}

// chunk is a piece of received data that waits for its reader.
type chunk struct {
	buf  []byte // pooled, full capacity
	r, w int
}

func newChunk(n int) chunk {
	switch {
	case n <= smallChunk:
		return chunk{buf: smallChunks.Get().(*[smallChunk]byte)[:]}
	case n <= middleChunk:
		return chunk{buf: middleChunks.Get().(*[middleChunk]byte)[:]}
	}
	return chunk{buf: largeChunks.Get().(*[largeChunk]byte)[:]}
}

// free gives the chunk's memory back and returns how much that is.
func (c *chunk) free() int {
	n := len(c.buf)
	switch n {
	case smallChunk:
		smallChunks.Put((*[smallChunk]byte)(c.buf))
	case middleChunk:
		middleChunks.Put((*[middleChunk]byte)(c.buf))
	case largeChunk:
		largeChunks.Put((*[largeChunk]byte)(c.buf))
	}
	c.buf = nil
	return n
}
