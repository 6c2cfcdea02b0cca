package mux_test

import (
	"io"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
)

// bulk keeps a stream of s writing for as long as the session lives.
func bulk(t *testing.T, s *mux.Session, size int) {
	t.Helper()
	st := open(t, s, "x")
	go func() {
		for buf := make([]byte, size); ; {
			if _, err := st.Write(buf); err != nil {
				return
			}
		}
	}()
}

// unlimited reads one frame, and gives each stream that opens more credit than
// a test uses.
func (p *rawPeer) unlimited() (frame.Header, []byte) {
	p.t.Helper()
	h, payload := p.next()
	if h.Type == frame.Data && h.Flags&frame.SYN != 0 {
		p.send(frame.AppendWndInc(nil, h.StreamID, 1<<31-1-mux.Window))
	}
	return h, payload
}

func TestT80_BulkStreamsShareEqually(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		sizes []int // of the writes of each stream
	}{
		{"two", []int{64 << 10, 64 << 10}},
		{"eight", []int{64 << 10, 64 << 10, 64 << 10, 64 << 10, 64 << 10, 64 << 10, 64 << 10, 64 << 10}},
		{"writes of several sizes", []int{33 << 10, 64 << 10, 256 << 10, 1 << 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, peer := against(t, mux.Server, mux.Config{})
				for _, size := range tt.sizes {
					bulk(t, s, size)
				}
				got := map[uint32]int{}
				for len(got) < len(tt.sizes) { // until all write
					h, _ := peer.unlimited()
					got[h.StreamID] = 0
				}
				const total = 32 << 20
				for n := 0; n < total; {
					synctest.Wait() // the transport is slower than the writers
					h, _ := peer.unlimited()
					got[h.StreamID] += int(h.Length)
					n += int(h.Length)
				}
				fair := total / len(tt.sizes)
				for id, n := range got {
					if n < fair*8/10 || n > fair*12/10 {
						t.Errorf("stream %d sent %d bytes, want %d within a fifth", id, n, fair)
					}
				}
				_ = s.Close()
			})
		})
	}
}

// latency is how many bytes may pass before some that are written now: those of
// a flush under way, of the next one, and of the connection. It does not depend
// on the number of streams.
const latency = 2*(mux.HighWater+2*frame.MaxSend) + 256<<10

func TestT80_ShortWritesGoAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, peer := against(t, mux.Server, mux.Config{})
		for range 64 {
			bulk(t, s, 256<<10)
		}
		for range 64 * 4 { // all write
			peer.unlimited()
		}
		beat := open(t, s, "beat")
		for i := range 100 {
			synctest.Wait() // the output is full and everybody waits
			go func() { _, _ = beat.Write([]byte("beat")) }()
			synctest.Wait()
			passed := 0
			for h, _ := peer.unlimited(); h.StreamID != beat.ID(); h, _ = peer.unlimited() {
				passed += frame.HeaderSize + int(h.Length)
			}
			if passed > latency {
				t.Fatalf("beat %d waited for %d bytes, want %d at most", i, passed, latency)
			}
		}
		_ = s.Close()
	})
}

// Short writes are no way to get a larger share.
func TestT80_ShortWritesDoNotStarveBulk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, peer := against(t, mux.Server, mux.Config{})
		for range 200 {
			bulk(t, s, 2<<10)
		}
		bulk(t, s, 1<<20)
		bulk(t, s, 1<<20)
		for range 2000 { // all write
			peer.unlimited()
		}
		short, long := 0, 0
		for short+long < 8<<20 {
			synctest.Wait() // the transport is slower than the writers
			h, _ := peer.unlimited()
			if h.Length <= 2<<10 {
				short += int(h.Length)
			} else {
				long += int(h.Length)
			}
		}
		if long < short*8/10 { // 64 KiB of each in a flush
			t.Fatalf("two bulk streams sent %d bytes while 200 short ones sent %d", long, short)
		}
		_ = s.Close()
	})
}

func TestCreditGoesAheadOfData(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, peer := against(t, mux.Server, mux.Config{})
		for range 64 {
			bulk(t, s, 256<<10)
		}
		for range 64 * 4 {
			peer.unlimited()
		}
		peer.send(syn(3, "x"))
		st := accept(t, s)
		_, _ = st.Read(make([]byte, 1))
		for i := range 50 {
			go func() {
				_, _ = peer.Write(data(3, mux.Window/2)) // a failure shows in the read
			}()
			_, _ = io.ReadFull(st, make([]byte, mux.Window/2))
			synctest.Wait()
			passed := 0
			for h, _ := peer.unlimited(); h.Type != frame.WndInc; h, _ = peer.unlimited() {
				passed += frame.HeaderSize + int(h.Length)
			}
			if passed > latency {
				t.Fatalf("credit %d waited for %d bytes, want %d at most", i, passed, latency)
			}
		}
		_ = s.Close()
	})
}
