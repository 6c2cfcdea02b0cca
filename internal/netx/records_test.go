package netx_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/culvert-project/culvert/internal/netx"
)

// record returns a TLS record of data with n bytes of payload.
func record(n int) []byte {
	b := append([]byte{23, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
	for i := range n {
		b[5+i] = byte(i)
	}
	return b
}

// TLS must get one record at a time: what it reads beyond, the Batch could not
// count as buffered.
func TestBatchReadsEndWithRecords(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(netx.Prefixed(far, []byte{23, 3}))
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	stream, ends := []byte{}, map[int]bool{}
	for len(stream) < 4<<20 {
		stream = append(stream, record(rnd.IntN(1<<rnd.IntN(15)))...)
		ends[len(stream)] = true
	}
	go func() {
		for rest := stream[2:]; len(rest) > 0; {
			n := min(1+rnd.IntN(40_000), len(rest))
			_, _ = near.Write(rest[:n])
			rest = rest[n:]
		}
		_ = near.Close()
	}()
	buf, at, whole := make([]byte, 64<<10), 0, 0
	for {
		buffered := b.RecordBuffered()
		n, err := b.Read(buf)
		if err == io.EOF {
			break
		}
		if err != nil || !bytes.Equal(buf[:n], stream[at:at+n]) {
			t.Fatalf("at %d: read %d bytes, %v; want those sent", at, n, err)
		}
		for i := at + 1; i < at+n; i++ {
			if ends[i] {
				t.Fatalf("one read goes from %d to %d, across the end of a record at %d", at, at+n, i)
			}
		}
		at += n
		if buffered && !ends[at] {
			t.Fatalf("a record from %d was buffered, and the read ended at %d", at-n, at)
		}
		if buffered {
			whole++
		}
	}
	if at != len(stream) || whole == 0 {
		t.Fatalf("read %d bytes of %d, %d whole records", at, len(stream), whole)
	}
}

// A record of TLS's own, such as a key update, is no data to wait for.
func TestShortRecordsDoNotCount(t *testing.T) {
	t.Parallel()
	near, far := pair(t)
	b := netx.NewBatch(far)
	if _, err := near.Write(append(record(2000), record(22)...)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(b, make([]byte, 2005)); err != nil {
		t.Fatal(err)
	}
	if b.RecordBuffered() {
		t.Fatal("a record of 22 bytes counts as data")
	}
}
