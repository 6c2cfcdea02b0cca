package mux_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

// Peers that number a stream when it is made and open it with the first write
// send SYNs out of order.
func TestStreamsMayOpenOutOfOrder(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	peer.send(syn(5, "five"), syn(3, "three"))
	for _, want := range []uint32{5, 3} {
		if got := accept(t, s).ID(); got != want {
			t.Fatalf("accepted stream %d, want %d", got, want)
		}
	}
}

func TestUnsentStreamEndsWithTheSession(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		use  func(*testing.T, *mux.Stream) error
	}{
		{"read", func(_ *testing.T, st *mux.Stream) error {
			_, err := st.Read(make([]byte, 1))
			return err
		}},
		{"write", func(_ *testing.T, st *mux.Stream) error {
			_, err := st.Write(make([]byte, 1))
			return err
		}},
		{"write to", func(_ *testing.T, st *mux.Stream) error {
			_, err := st.WriteTo(io.Discard)
			return err
		}},
		{"splice a socket", func(t *testing.T, st *mux.Stream) error {
			_, far := tcpPair(t)
			return mux.Splice(st, far, mux.SpliceOptions{}).Err
		}},
		{"splice", func(t *testing.T, st *mux.Stream) error {
			_, far := memPair(t)
			return mux.Splice(st, far, mux.SpliceOptions{}).Err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, _ := sessions(t, mux.Config{})
			st := open(t, client, "x")
			cause := errors.New("over")
			client.CloseWith(frame.NoError, cause)
			if err := tt.use(t, st); !errors.Is(err, cause) {
				t.Fatalf("got %v, want the session's cause", err)
			}
			_ = st.Close()
			if n := client.NumOpened(); n != 0 {
				t.Fatalf("%d streams count as open", n)
			}
		})
	}
}

func TestReadOfAStreamClosedUnsent(t *testing.T) {
	t.Parallel()
	client, _ := sessions(t, mux.Config{})
	st := open(t, client, "x")
	_ = st.Close()
	if _, err := st.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("read: %v, want a closed stream", err)
	}
}

// An Abort that overtakes a Close must not reset stream 0, which would end the
// session.
func TestAbortWithinCloseOfAnUnsentStream(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	st := open(t, s, "x")
	st.Discard()
	st.Abort()
	_ = s.Close()
	if h, _ := peer.next(); h.Type != frame.GoAway {
		t.Fatalf("sent %+v, want nothing but the GOAWAY", h)
	}
}

func TestCloseWriteOpensALazyStream(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	st := open(t, s, "head")
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if h, payload := peer.next(); h.Flags != frame.SYN || string(payload) != "head" {
		t.Fatalf("first frame %+v %q, want the SYN with the head alone", h, payload)
	}
	if h, _ := peer.next(); h.Flags != frame.FIN || h.Length != 0 {
		t.Fatalf("second frame %+v, want a bare FIN", h)
	}
	if _, err := st.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("write behind the FIN: %v, want a closed stream", err)
	}
	peer.send(frame.AppendData(nil, 2, frame.FIN, []byte("answer")))
	if got, err := io.ReadAll(st); err != nil || string(got) != "answer" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func TestPeerOpensAndFinishesInOneFrame(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	peer.send(frame.AppendData(nil, 3, frame.SYN|frame.FIN, []byte("all")))
	st := accept(t, s)
	if got, err := io.ReadAll(st); err != nil || string(got) != "all" {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := st.Write([]byte("answer")); err != nil {
		t.Fatalf("write on the half that is open: %v", err)
	}
	if _, payload := peer.next(); string(payload) != "answer" {
		t.Fatalf("peer got %q", payload)
	}
}

func TestDataBehindFINIsRefused(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	peer.send(syn(3, "x"), frame.AppendData(nil, 3, frame.FIN, nil), frame.AppendData(nil, 3, 0, []byte("late")))
	peer.wantRST(3, frame.StreamClosed)
	st := accept(t, s)
	_, err := st.Write([]byte("y"))
	wantReset(t, err, frame.StreamClosed)
}

func TestResetLeavesWhatCameBefore(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	peer.send(syn(3, "before"), frame.AppendRST(nil, 3, frame.StreamCancelled))
	st := accept(t, s)
	got, err := io.ReadAll(st)
	if string(got) != "before" {
		t.Fatalf("read %q, want what came before the reset", got)
	}
	wantReset(t, err, frame.StreamCancelled)
	_ = st.Close()
	if n := s.Unread(); n != 0 {
		t.Fatalf("%d bytes are still held", n)
	}
}

// An edge that reads until the end must not take a stream that was cut off for
// a complete one.
func TestAbortOfAnAgentIsNoFIN(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Client, mux.Config{})
	peer.send(syn(2, "x"))
	accept(t, s).Abort()
	peer.wantRST(2, frame.StreamCancelled)
}

func TestTimedOutWriteKeepsItsCredit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, peer := against(t, mux.Server, mux.Config{})
		for range 4 { // fill the transport, which nobody reads, and the output
			st := open(t, s, "x")
			_ = st.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = st.Write(make([]byte, mux.Window-1))
		}
		st := open(t, s, "x")
		for range 16 {
			_ = st.SetWriteDeadline(time.Now().Add(time.Second))
			n, err := st.Write(make([]byte, 32<<10))
			if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("wrote %d bytes, %v; want none in time", n, err)
			}
		}
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		_ = st.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := st.Write(make([]byte, mux.Window-1)); err != nil {
			t.Fatalf("wrote %d bytes, %v; want a whole window", n, err)
		}
	})
}

// fill writes until the transport takes four bytes and no more.
func fill(t *testing.T, s *mux.Session) {
	t.Helper()
	const room = 256<<10 - 4 // of a memnet connection
	st := open(t, s, "x")
	if _, err := st.Write(make([]byte, room-1-8*frame.HeaderSize)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func TestOnlyWritesWaitForTheTransport(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		call func(*mux.Stream)
	}{
		{"read", func(st *mux.Stream) { _, _ = io.ReadFull(st, make([]byte, 200<<10)) }},
		{"write", func(st *mux.Stream) { _, _ = st.Write([]byte("x")) }}, // there is room in memory
		{"close write", func(st *mux.Stream) { _ = st.CloseWrite() }},
		{"close", func(st *mux.Stream) { _ = st.Close() }},
		{"abort", (*mux.Stream).Abort},
		{"reset", func(st *mux.Stream) { st.Reset(frame.StreamRefused) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, peer := against(t, mux.Server, mux.Config{})
				peer.send(syn(3, "x"), data(3, 200<<10))
				st := accept(t, s)
				fill(t, s)
				start := time.Now()
				tt.call(st)
				if d := time.Since(start); d != 0 {
					t.Fatalf("waited %v for a transport that takes nothing", d)
				}
			})
		})
	}
}

// The peer may send the rest of a frame late. What we owe it must not wait.
func TestAnswersDoNotWaitForAFrameUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, peer := against(t, mux.Server, mux.Config{})
		half := frame.Header{Type: frame.Data, Flags: frame.SYN, Length: 100, StreamID: 3}.Append(nil)
		peer.send(data(99, 1), half, make([]byte, 50))
		peer.wantRST(99, frame.StreamClosed)
	})
}

func TestUsedUpIDsEndTheSession(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	s.SetNextID(frame.MaxStreamID - 1)
	if _, err := open(t, s, "last").Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if h, _ := peer.next(); h.StreamID != frame.MaxStreamID-1 {
		t.Fatalf("opened stream %d", h.StreamID)
	}
	if _, err := open(t, s, "none").Write([]byte("x")); !errors.Is(err, mux.ErrStreamsExhausted) {
		t.Fatalf("write: %v, want exhausted ids", err)
	}
	<-s.Done()
	if err := s.Err(); !errors.Is(err, mux.ErrStreamsExhausted) {
		t.Fatalf("session ended with %v, want exhausted ids", err)
	}
}

// A session is closed most often because its peer is gone: saying goodbye must
// not take long then.
func TestCloseDoesNotWaitForASilentPeer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		client := tls.Client(netx.NewBatch(a), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // the peer is this test
		server := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
		go func() { _ = server.Handshake() }()
		if err := client.Handshake(); err != nil {
			t.Fatal(err)
		}
		s := run(t, client, mux.Client, mux.Config{})
		for range 4 {
			st := open(t, s, "x")
			go func() { _, _ = st.Write(make([]byte, mux.Window-1)) }()
		}
		synctest.Wait()
		start := time.Now()
		_ = s.Close()
		if d := time.Since(start); d > 500*time.Millisecond {
			t.Fatalf("close took %v", d)
		}
	})
}

// What the peer says before it goes counts for more than our failing writes.
func TestPeersGoodbyeIsTheCause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, peer := against(t, mux.Client, mux.Config{})
		st := open(t, s, "x")
		_, _ = st.Write(make([]byte, mux.Window-1)) // fills the transport
		peer.send(frame.AppendGoAway(nil, frame.GoAwayMessage{Code: frame.EnhanceYourCalm, Debug: "superseded"}))
		_ = peer.Close()
		<-s.Done()
		var se *mux.SessionError
		if err := s.Err(); !errors.As(err, &se) || !se.Remote || se.Code != frame.EnhanceYourCalm {
			t.Fatalf("ended with %v, want the peer's reason", err)
		}
	})
}

func TestClosedStreamLeavesNoTimer(t *testing.T) {
	t.Parallel()
	client, server := sessions(t, mux.Config{})
	go echo(server)
	used := func() weak.Pointer[mux.Stream] {
		st := open(t, client, "x")
		_ = st.SetDeadline(time.Now().Add(time.Hour))
		_, _ = st.Read(make([]byte, 1))
		_ = st.Close()
		return weak.Make(st)
	}()
	eventually(t, "the stream is collected although its deadline lies ahead", func() bool {
		// A further exchange displaces what the session remembers.
		st := open(t, client, "y")
		_, _ = st.Read(make([]byte, 1))
		_ = st.Close()
		runtime.GC()
		return used.Value() == nil
	})
}

// eventually waits until ok says so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("did not happen: %s", what)
		}
		runtime.Gosched()
	}
}

func TestWriteToAfterRead(t *testing.T) {
	t.Parallel()
	s, peer := against(t, mux.Server, mux.Config{})
	peer.send(syn(3, "abc"), frame.AppendData(nil, 3, frame.FIN, []byte("def")))
	st := accept(t, s)
	first := make([]byte, 2)
	if _, err := io.ReadFull(st, first); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if _, err := st.WriteTo(&rest); err != nil || string(first)+rest.String() != "abcdef" {
		t.Fatalf("read %q and then %q, %v", first, rest.String(), err)
	}
}

// WriteClose sends what Write and Close send, a short text and the end in one
// flush, and fails where Write does.
func TestWriteClose(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"empty": 0, "short": 100, "long": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, server := sessions(t, mux.Config{})
			text := bytes.Repeat([]byte("x"), size)
			st := open(t, client, "head")
			ended := make(chan error, 1)
			go func() { ended <- st.WriteClose(text) }()
			got, err := io.ReadAll(accept(t, server))
			if head := []byte("head"); err != nil || !bytes.Equal(got, append(head, text...)) {
				t.Errorf("got %d bytes, error %v, want %d", len(got), err, len(head)+size)
			}
			if err := <-ended; err != nil {
				t.Errorf("WriteClose = %v, want no error", err)
			}
			if _, err := st.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write behind it = %v, want %v", err, net.ErrClosed)
			}
			if err := st.WriteClose([]byte("more")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("WriteClose behind it = %v, want %v", err, net.ErrClosed)
			}
		})
	}
}
