package mux_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// actor does random things to one end of a stream and checks what it reads:
// both directions carry the pattern of the stream's seed.
type actor struct {
	t          *testing.T
	rnd        *rand.Rand
	st         *mux.Stream
	seed       uint64
	sent, read int
	buf        [40 << 10]byte
}

func pattern(seed uint64, offset int) byte { return byte(seed + uint64(offset)*7 + uint64(offset)>>9) }

func (a *actor) write() bool {
	n := 1 + a.rnd.IntN(1<<a.rnd.IntN(16))
	for i := range n {
		a.buf[i] = pattern(a.seed, a.sent+i)
	}
	n, err := a.st.Write(a.buf[:n])
	a.sent += n
	return a.goesOn(err)
}

func (a *actor) readSome() bool {
	n, err := a.st.Read(a.buf[:1+a.rnd.IntN(len(a.buf))])
	for i := range n {
		if a.buf[i] != pattern(a.seed, a.read+i) {
			a.t.Errorf("stream %d: wrong byte at offset %d", a.st.ID(), a.read+i)
			return false
		}
	}
	a.read += n
	return a.goesOn(err)
}

func (a *actor) goesOn(err error) bool {
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// run does up to 40 things and then ends the stream in some way.
func (a *actor) run() {
	defer a.st.Close()
	for range a.rnd.IntN(40) {
		_ = a.st.SetDeadline(time.Now().Add(time.Duration(a.rnd.IntN(5000)) * time.Microsecond))
		ok := true
		switch a.rnd.IntN(12) {
		case 0, 1, 2, 3, 4:
			ok = a.write()
		case 5, 6, 7, 8:
			ok = a.readSome()
		case 9: // both at once
			var wg sync.WaitGroup
			other := *a
			other.rnd = rand.New(rand.NewPCG(a.rnd.Uint64(), 0)) //nolint:gosec // a test
			wg.Go(func() { other.readSome() })
			ok = a.write()
			wg.Wait()
			a.read = other.read
		case 10:
			if a.rnd.IntN(4) == 0 {
				_ = a.st.CloseWrite()
			}
		case 11:
			_ = a.st.SetReadDeadline(time.Now().Add(-1))
		}
		if !ok {
			return
		}
	}
	a.finish()
}

func (a *actor) finish() {
	switch a.rnd.IntN(6) {
	case 0:
		a.st.Abort()
	case 1:
		a.st.Reset(frame.StreamRefused)
	case 2:
		go a.st.Abort()
	case 3:
		_ = a.st.CloseWrite()
		_ = a.st.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		for a.readSome() && a.rnd.IntN(50) > 0 {
		}
	case 4:
		_ = a.st.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, _ = a.st.WriteTo(io.Discard)
	}
}

// stress lets both sides open streams and do random things to them, then
// checks that nothing is left of any.
func stress(t *testing.T, client, server *mux.Session, streams int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var openers, acceptors sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer acceptors.Wait()
	defer cancel()
	for i, s := range []*mux.Session{client, server} {
		acceptors.Go(func() {
			for n := range uint64(1 << 30) {
				st, err := s.Accept(ctx)
				if err != nil {
					return
				}
				acceptors.Go(func() { serveActor(t, st, rand.New(rand.NewPCG(seed, n<<8+uint64(i)))) }) //nolint:gosec // a test
			}
		})
		for w := range uint64(8) {
			rnd := rand.New(rand.NewPCG(seed, w<<32+uint64(i))) //nolint:gosec // a test
			openers.Go(func() { openActors(t, s, rnd, streams/16) })
		}
	}
	openers.Wait()
	for _, s := range []*mux.Session{client, server} {
		last(t, s, seed)
	}
	for name, s := range map[string]*mux.Session{"client": client, "server": server} {
		eventually(t, name+" has nothing left of any stream", func() bool {
			for _, n := range s.Counters() {
				if n != 0 {
					time.Sleep(10 * time.Millisecond)
					return false
				}
			}
			return true
		})
		if err := s.Err(); err != nil {
			t.Errorf("%s ended: %v", name, err)
		}
	}
}

// last opens a stream that the peer ends, before which it gets all that was
// sent on others.
func last(t *testing.T, s *mux.Session, seed uint64) {
	t.Helper()
	st, err := s.Open(context.Background(), binary.BigEndian.AppendUint64(nil, seed))
	if err != nil {
		t.Errorf("open: %v", err)
		return
	}
	_ = st.CloseWrite()
	_, _ = io.Copy(io.Discard, st)
	_ = st.Close()
}

func openActors(t *testing.T, s *mux.Session, rnd *rand.Rand, streams int) {
	for range streams {
		a := &actor{t: t, rnd: rnd, seed: rnd.Uint64()}
		st, err := s.Open(context.Background(), binary.BigEndian.AppendUint64(nil, a.seed))
		if err != nil {
			t.Errorf("open: %v", err)
			return
		}
		a.st = st
		a.run()
	}
}

func serveActor(t *testing.T, st *mux.Stream, rnd *rand.Rand) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(st, head); err != nil {
		_ = st.Close() // reset already
		return
	}
	(&actor{t: t, rnd: rnd, st: st, seed: binary.BigEndian.Uint64(head)}).run()
}

func TestStress(t *testing.T) {
	t.Parallel()
	transports := map[string]func() (client, server *mux.Session){
		"memory": func() (client, server *mux.Session) { return sessions(t, mux.Config{}) },
		"TCP": func() (client, server *mux.Session) {
			near, far := tcpPair(t)
			return run(t, near, mux.Client, mux.Config{}), run(t, far, mux.Server, mux.Config{})
		},
		"TLS": func() (client, server *mux.Session) { return overTLS(t) },
	}
	for name, connect := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := connect()
			client.SetOpenLimits(20, 10)
			stress(t, client, server, 480)
		})
	}
}

// The same in a bubble, which ends only when no goroutine is left, with a small
// bound on unread data, so that streams are aborted for it too.
func TestStressLeavesNoGoroutine(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				budget := mux.NewBudget(400 << 10)
				client, server := sessions(t, mux.Config{MaxUnread: 200 << 10, Budget: budget})
				stress(t, client, server, 160)
				eventually(t, "the budget is free again", func() bool {
					time.Sleep(time.Millisecond)
					return budget.Used() == 0
				})
			})
		})
	}
}

// Sessions that end in the middle of everything leave nothing either.
func TestStressEndOfSession(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				budget := mux.NewBudget(1 << 30)
				a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
				client := run(t, a, mux.Client, mux.Config{Budget: budget})
				server := run(t, b, mux.Server, mux.Config{Budget: budget})
				var wg sync.WaitGroup
				for j, s := range []*mux.Session{client, server} {
					wg.Go(func() {
						for n := range uint64(1 << 30) {
							st, err := s.Accept(context.Background())
							if err != nil {
								return
							}
							wg.Go(func() { serveActor(t, st, rand.New(rand.NewPCG(n, uint64(j)))) }) //nolint:gosec // a test
						}
					})
					for w := range uint64(8) {
						rnd := rand.New(rand.NewPCG(w, uint64(j))) //nolint:gosec // a test
						wg.Go(func() {
							for {
								st, err := s.Open(context.Background(), make([]byte, 8))
								if err != nil {
									return
								}
								(&actor{t: t, rnd: rnd, st: st}).run()
							}
						})
					}
				}
				time.Sleep(time.Duration(10+20*i) * time.Millisecond) // of the bubble
				switch i % 4 {
				case 0:
					_ = client.Close()
				case 1:
					server.CloseWith(frame.InternalError, errors.New("test"))
				case 2:
					_ = a.Close()
				case 3:
					_ = b.Close()
				}
				wg.Wait()
				for name, s := range map[string]*mux.Session{"client": client, "server": server} {
					if s.Err() == nil {
						t.Errorf("%s has not ended", name)
					}
					for what, n := range s.Counters() {
						if n != 0 {
							t.Errorf("%s: %s is %d, want 0", name, what, n)
						}
					}
				}
				if used := budget.Used(); used != 0 {
					t.Errorf("%d bytes of the budget are used", used)
				}
			})
		})
	}
}
