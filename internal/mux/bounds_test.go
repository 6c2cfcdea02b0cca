package mux_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
)

// Thousands of streams with a little unread data each take more memory than
// they hold bytes; what counts is the memory.
func TestT64_UnreadMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 600, 5 << 10, 40 << 10} {
		const bound = 1 << 20
		budget := mux.NewBudget(1 << 30)
		s, peer := against(t, mux.Server, mux.Config{MaxUnread: bound, Backlog: 10_000, Budget: budget})
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		for i := range uint32(3000) {
			peer.send(syn(2*i+3, "x"), data(2*i+3, size))
			if n := s.Unread(); n > bound+mux.Window {
				t.Fatalf("size %d: %d bytes are held after %d streams", size, n, i)
			}
		}
		if s.Err() != nil {
			t.Fatalf("the session ended: %v", s.Err())
		}
		_ = s.Close()
		<-s.Done()
		eventually(t, "everything is freed", func() bool { return s.Unread() == 0 && budget.Used() == 0 })
	}
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := against(t, mux.Server, mux.Config{})
		for range 2000 {
			st := open(t, s, "x")
			go func() { _, _ = st.Write(make([]byte, 2<<10)) }()
		}
		synctest.Wait()
		if n := s.Output(); n > 512<<10 {
			t.Fatalf("%d bytes of output wait for a peer that reads nothing", n)
		}
		_ = s.Close()
	})
}

// While memory is short, streams whose readers are slow get less credit. None
// of them stalls, and none is aborted, although their windows exceed the bound.
func TestSlowReadersGetLessCredit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const streams, size = 40, 1 << 20
		client, server := sessions(t, mux.Config{MaxUnread: 6 << 20})
		var readers []*mux.Stream
		for range streams {
			st := open(t, client, "x")
			go func() {
				_, _ = st.Write(make([]byte, size))
				_ = st.CloseWrite()
			}()
			peer := accept(t, server)
			if _, err := io.ReadFull(peer, make([]byte, size/2)); err != nil {
				t.Fatal(err)
			}
			readers = append(readers, peer)
			synctest.Wait() // the rest of the window fills
		}
		if held := server.Unread(); held < 6<<20/4 {
			t.Fatalf("%d bytes wait at readers, too little for this test", held)
		}
		buf := make([]byte, 10<<10)
		for total := streams * size / 2; len(readers) > 0; {
			synctest.Wait() // writers send all they may
			var left []*mux.Stream
			for _, st := range readers {
				n, err := st.Read(buf)
				total += n
				if err == nil {
					left = append(left, st)
				} else if err != io.EOF {
					t.Fatalf("read: %v", err)
				}
			}
			if readers = left; len(readers) == 0 && total != streams*(size+1) {
				t.Fatalf("read %d bytes, want %d", total, streams*(size+1))
			}
		}
	})
}

// A reader that takes everything at once is not slowed down by others.
func TestFastReaderKeepsItsWindow(t *testing.T) {
	t.Parallel()
	client, server := sessions(t, mux.Config{MaxUnread: 1 << 20})
	slow := open(t, client, "slow")
	_, _ = slow.Write(make([]byte, mux.Window-5))
	fast := open(t, client, "fast")
	go func() {
		_, _ = fast.Write(make([]byte, 8<<20))
		_ = fast.CloseWrite()
	}()
	for range 2 {
		st, err := server.Accept(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if st.ID() == 3 {
			continue
		}
		if n, err := io.Copy(io.Discard, st); err != nil || n != 8<<20+4 {
			t.Fatalf("read %d bytes, %v", n, err)
		}
	}
}

// Credit for a stream that was reset on our side is not sent: nothing follows
// an RST.
func TestNothingFollowsAReset(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, peer := against(t, mux.Server, mux.Config{})
		peer.send(syn(3, "x"), data(3, 200<<10))
		st := accept(t, s)
		synctest.Wait()
		go func() { _, _ = io.Copy(io.Discard, st) }()
		st.Reset(frame.StreamRefused)
		_ = st.CloseWrite()
		_, _ = st.Write([]byte("x"))
		_ = st.Close()
		synctest.Wait()
		_ = s.Close()
		cut := false
		for {
			h, _ := peer.next()
			if h.Type == frame.GoAway {
				return
			}
			if cut {
				t.Fatalf("%v follows the RST", h.Type)
			}
			cut = h.Type == frame.RST
		}
	})
}
