package mux_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

// Peers return credit in ways of their own: for each read, by halves of the
// window, or only once all of it is used up. A splice sends everything to each
// of them, and does not chop it up for those that return much.
func TestSpliceWithAnyGrantOfCredit(t *testing.T) {
	t.Parallel()
	const total = 1 << 20
	grants := []struct {
		name   string
		grant  func(window, taken int) int // given what is left of the window and what was taken since
		frames int                         // at most
	}{
		{"for every read", func(_, taken int) int { return taken }, 100},
		{"by halves of a window", func(_, taken int) int {
			if taken < mux.Window/2 {
				return 0
			}
			return taken
		}, 100},
		{"when the window is used up", func(window, taken int) int {
			if window > 0 {
				return 0
			}
			return taken
		}, 100},
		{"small windows from then on", func(window, _ int) int {
			if window > 0 {
				return 0
			}
			return 5000
		}, 300},
	}
	for _, tt := range grants {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, peer := against(t, mux.Server, mux.Config{})
				client, public := memPair(t)
				done := make(chan mux.SpliceResult, 1)
				st := open(t, s, "h")
				go func() { done <- mux.Splice(st, public, mux.SpliceOptions{}) }()
				want := make([]byte, total)
				for i := range want {
					want[i] = byte(i >> 8)
				}
				go func() {
					_, _ = client.Write(want)
					_ = netx.CloseWrite(client)
				}()
				var got bytes.Buffer
				window, taken, frames := mux.Window, 0, 0
				for {
					h, payload := peer.next()
					if h.Type != frame.Data {
						t.Fatalf("got %+v", h)
					}
					got.Write(payload)
					window, taken, frames = window-len(payload), taken+len(payload), frames+1
					if window < 0 {
						t.Fatalf("%d bytes beyond the window", -window)
					}
					if h.Flags&frame.FIN != 0 {
						break
					}
					if n := tt.grant(window, taken); n > 0 {
						peer.send(frame.AppendWndInc(nil, h.StreamID, uint32(n)))
						window, taken = window+n, 0
					}
				}
				if !bytes.Equal(got.Bytes()[1:], want) {
					t.Errorf("got %d bytes, want the %d sent", got.Len()-1, total)
				}
				if frames > tt.frames {
					t.Errorf("got %d frames, want %d at most", frames, tt.frames)
				}
				peer.send(frame.AppendData(nil, st.ID(), frame.FIN, nil))
				if r := <-done; r.Err != nil || r.ToStream != total {
					t.Errorf("result %+v", r)
				}
				_, _ = io.Copy(io.Discard, client)
			})
		})
	}
}
