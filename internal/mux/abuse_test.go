package mux_test

import (
	"context"
	"flag"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
)

// streams is how many streams one attack opens. By hand: -mux.streams 10000000.
var streams = flag.Int("mux.streams", 100_000, "streams that are opened and reset in the test of T64")

// attack is a peer that means harm, over a socket.
type attack struct {
	t       *testing.T
	session *mux.Session
	net.Conn
	sent int64
	read atomic.Int64
}

// send writes frames and reports whether the session still takes them.
func (a *attack) send(b []byte) bool {
	n, err := a.Write(b)
	a.sent += int64(n)
	return err == nil
}

// taken waits until the session has read all that was sent and sent what it
// answers, or has ended.
func (a *attack) taken() {
	eventually(a.t, "the session reads", func() bool {
		return a.read.Load() == a.sent && a.session.Output() == 0 || a.session.Err() != nil
	})
}

// metered counts what is read.
type metered struct {
	net.Conn
	n *atomic.Int64
}

func (m metered) Read(b []byte) (int, error) {
	n, err := m.Conn.Read(b)
	m.n.Add(int64(n))
	return n, err
}

// drain reads what the session answers, and throws it away.
func (a *attack) drain() { go func() { _, _ = io.Copy(io.Discard, a.Conn) }() }

// heap returns how much memory is in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // empties pools, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) + int64(m.StackInuse) //nolint:gosec // far from the limit
}

// pooled is what the process's pools of large output buffers keep, one of each
// of two kinds for every processor. It is no session's.
func pooled() int64 { return int64(runtime.GOMAXPROCS(0)) * 640 << 10 }

// TestT64_AttacksCostLittle: whatever a peer does, its session takes at most
// 1 MiB more than an idle one, nothing but the session suffers, and nothing is
// left. It measures the process, so it runs alone.
func TestT64_AttacksCostLittle(t *testing.T) {
	var many []byte
	attacks := []struct {
		name string
		ends bool // the session
		do   func(a *attack, check func())
	}{
		{"streams opened and reset", false, func(a *attack, check func()) {
			a.drain()
			for id := uint32(3); id < uint32(2**streams); { //nolint:gosec // a test's number
				many = many[:0]
				for range 1000 {
					many = frame.AppendRST(frame.AppendData(many, id, frame.SYN, []byte("brief")), id, frame.StreamCancelled)
					id += 2
				}
				a.send(many)
				a.taken()                         // else it may be told to calm down
				if id%uint32(*streams/2) < 2000 { //nolint:gosec // a test's number
					check()
				}
			}
		}},
		{"streams opened and left", false, func(a *attack, check func()) {
			a.drain()
			for id := uint32(3); id < 100_000; {
				many = many[:0]
				for range 1000 {
					many = frame.AppendData(many, id, frame.SYN, []byte("left"))
					id += 2
				}
				a.send(many)
				a.taken() // else it may be told to calm down
			}
			check()
		}},
		{"no credit", false, func(a *attack, check func()) {
			a.drain()
			for id := uint32(3); id < 35; id += 2 { // each is answered with more than a window
				a.send(frame.AppendData(nil, id, frame.SYN, []byte("echo")))
			}
			check()
		}},
		{"increments beyond all bounds", false, func(a *attack, check func()) {
			a.drain()
			a.send(frame.AppendData(nil, 3, frame.SYN, []byte("left")))
			for range 100_000 {
				many = frame.AppendWndInc(many, 3, 1<<31-1)
			}
			a.send(many)
			check()
		}},
		{"frames of 16 MiB", false, func(a *attack, check func()) {
			a.drain()
			piece := make([]byte, 1<<16)
			for id := uint32(3); id < 9; id += 2 {
				a.send(frame.AppendData(nil, id, frame.SYN, []byte("left")))
				a.send(frame.Header{Type: frame.Data, StreamID: id, Length: frame.MaxLength}.Append(nil))
				for left := frame.MaxLength; left > 0; left -= min(left, len(piece)) {
					a.send(piece[:min(left, len(piece))])
				}
				check()
			}
		}},
		{"a farewell of 16 MiB", true, func(a *attack, check func()) {
			a.send(frame.Header{Type: frame.GoAway, Length: frame.MaxLength}.Append(nil))
			a.send(make([]byte, 8<<20))
			<-a.session.Done()
			check()
		}},
		{"more than the window", false, func(a *attack, check func()) {
			a.drain()
			for id := uint32(3); id < 23; id += 2 {
				a.send(frame.AppendData(nil, id, frame.SYN, []byte("left")))
				a.send(data(id, 2*mux.Window))
			}
			check()
		}},
		{"resets of everything", false, func(a *attack, check func()) {
			a.drain()
			for i := range uint32(200_000) {
				many = frame.AppendRST(many, 1+i%5000, frame.ErrorCode(i))
			}
			a.send(many)
			check()
		}},
		{"small frames", false, func(a *attack, check func()) {
			a.drain()
			a.send(frame.AppendData(nil, 3, frame.SYN, []byte("left")))
			for i := range 200_000 {
				many = frame.AppendData(many, 3, 0, make([]byte, i%2))
			}
			a.send(many)
			check()
		}},
		{"questions without end, and no eye for answers", true, func(a *attack, check func()) {
			for range 1000 {
				many = frame.AppendData(many, 99, 0, []byte{1}) // each asks for an RST
			}
			for a.send(many) {
				select {
				case <-a.session.Done():
					check()
				default:
				}
			}
		}},
	}
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			bystander, server := sessions(t, mux.Config{})
			go echo(server)
			many = make([]byte, 0, 4<<20)
			near, far := tcpPair(t)
			a := &attack{t: t, Conn: near}
			s := run(t, netx.NewBatch(metered{far, &a.read}), mux.Server, mux.Config{MaxStreams: 1200})
			a.session = s
			go victim(s, make([]byte, 2*mux.Window))
			exchange(t, bystander)
			idle := heap()
			worst := int64(0)
			tt.do(a, func() {
				a.taken()
				// What is under way at the moment, the test's own buffers among it, goes away by itself.
				least := heap() - idle
				for range 20 {
					if least <= 1<<20+pooled() {
						break
					}
					a.taken()
					least = min(least, heap()-idle)
				}
				worst = max(worst, least)
				exchange(t, bystander)
			})
			t.Logf("%d KiB above idle", worst>>10)
			if worst > 1<<20+pooled() {
				t.Errorf("the session takes %d KiB more than an idle one, want 1 MiB at most and what pools keep", worst>>10)
			}
			if tt.ends {
				<-s.Done()
			} else if err := s.Err(); err != nil {
				t.Errorf("the session ended: %v", err)
			}
			_ = near.Close()
			<-s.Done()
			eventually(t, "nothing is left", func() bool {
				for _, n := range s.Counters() {
					if n != 0 {
						return false
					}
				}
				return true
			})
		})
	}
}

// victim leaves streams alone, or answers them at length where they say so.
func victim(s *mux.Session, answer []byte) {
	var left []*mux.Stream
	for {
		st, err := s.Accept(context.Background())
		if err != nil {
			for _, st := range left {
				_ = st.Close()
			}
			return
		}
		var first [5]byte
		n, err := st.Read(first[:])
		if err != nil { // reset already
			_ = st.Close()
			continue
		}
		switch string(first[:n]) {
		case "brief":
			_ = st.Close()
			continue
		case "left":
			left = append(left, st)
			continue
		}
		go func() {
			_, _ = st.Write(answer)
			_ = st.Close()
		}()
	}
}

// exchange fails unless a session that nobody attacks works.
func exchange(t *testing.T, s *mux.Session) {
	t.Helper()
	st := open(t, s, "h")
	defer st.Close()
	if _, err := st.Write([]byte("ello")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(st, got); err != nil || string(got) != "hello" {
		t.Fatalf("another session: read %q, %v", got, err)
	}
}

// TestT64_WindowThatPeersCannotMean: credit beyond 31 bits is kept there, and
// does not wrap round.
func TestT64_WindowThatPeersCannotMean(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	go func() { _, _ = io.Copy(io.Discard, peer) }()
	peer.send(syn(3, "x"))
	st := accept(t, s)
	var b []byte
	for range 10_000 {
		b = frame.AppendWndInc(b, 3, 1<<31-1)
	}
	peer.send(b)
	if _, err := st.Write(make([]byte, 4<<20)); err != nil {
		t.Fatal(err)
	}
	if n := st.Credit(); n < 1<<30 || n > 1<<31-1 {
		t.Errorf("credit of %d bytes, want what fits 31 bits less 4 MiB", n)
	}
}
