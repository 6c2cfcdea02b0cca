package mux_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
)

func syn(id uint32, payload string) []byte {
	return frame.AppendData(nil, id, frame.SYN, []byte(payload))
}

// TestProtocolErrorsEndTheSession sends one bad frame to a server each.
func TestProtocolErrorsEndTheSession(t *testing.T) {
	t.Parallel()
	header := func(typ frame.Type, flags frame.Flags, length, id uint32) []byte {
		return append(frame.Header{Type: typ, Flags: flags, Length: length, StreamID: id}.Append(nil), make([]byte, length)...)
	}
	tests := []struct {
		name string
		send []byte
		want frame.ErrorCode
	}{
		{"short RST", header(frame.RST, 0, 3, 3), frame.FrameSizeError},
		{"long WNDINC", header(frame.WndInc, 0, 8, 3), frame.FrameSizeError},
		{"zero increment", header(frame.WndInc, 0, 4, 3), frame.ProtocolError},
		{"data on stream 0", header(frame.Data, 0, 1, 0), frame.ProtocolError},
		{"WNDINC on stream 0", header(frame.WndInc, 0, 4, 0), frame.ProtocolError},
		{"short GOAWAY", header(frame.GoAway, 0, 7, 0), frame.FrameSizeError},
		{"GOAWAY on a stream", header(frame.GoAway, 0, 8, 3), frame.ProtocolError},
		{"SYN with our parity", syn(2, "x"), frame.ProtocolError},
		{"SYN on an open id", append(syn(3, "x"), syn(3, "x")...), frame.ProtocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
			s := run(t, a, mux.Server, mux.Config{})
			if _, err := b.Write(tt.send); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(b)
			if err != nil {
				t.Fatal(err)
			}
			h := frame.ParseHeader(got)
			if h.Type != frame.GoAway {
				t.Fatalf("answered % x, want a GOAWAY", got)
			}
			if code := frame.ParseGoAway(got[frame.HeaderSize:]).Code; code != tt.want {
				t.Errorf("GOAWAY with %v, want %v", code, tt.want)
			}
			var se *mux.SessionError
			if err := s.Err(); !errors.As(err, &se) || se.Code != tt.want {
				t.Errorf("session ended with %v, want %v", err, tt.want)
			}
		})
	}
}

func TestUnassignedFramesAreSkipped(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := run(t, a, mux.Server, mux.Config{})
	odd := append(frame.Header{Type: 7, Flags: 15, Length: 100_000, StreamID: 1 << 31}.Append(nil), make([]byte, 100_000)...)
	if _, err := b.Write(append(odd, syn(3, "x")...)); err != nil {
		t.Fatal(err)
	}
	accept(t, s)
}

func TestH08_GarbageBehindGoAwayIsNotRead(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := run(t, a, mux.Server, mux.Config{})
	if _, err := b.Write(append(frame.AppendGoAway(nil, frame.GoAwayMessage{Debug: "no error"}), 0, 0, 3, 0, 0, 0, 0, 3)); err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	var se *mux.SessionError
	if err := s.Err(); !errors.As(err, &se) || !se.Remote || se.Code != frame.NoError {
		t.Fatalf("session ended with %v, want the peer's orderly end", err)
	}
	got, err := io.ReadAll(b)
	if err != nil || len(got) != 0 {
		t.Fatalf("sent % x (%v) behind the peer's GOAWAY, want nothing", got, err)
	}
}

func TestOverrunWindowResetsTheStream(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := run(t, a, mux.Server, mux.Config{})
	go func() {
		_, _ = b.Write(frame.Header{Type: frame.Data, Flags: frame.SYN, Length: mux.Window + 1, StreamID: 3}.Append(nil))
		_, _ = b.Write(make([]byte, mux.Window+1))
	}()
	got := make([]byte, 12)
	if _, err := io.ReadFull(b, got); err != nil {
		t.Fatal(err)
	}
	if h := frame.ParseHeader(got); h.Type != frame.RST || frame.ParseRST(got[8:]) != frame.FlowControlError {
		t.Fatalf("answered % x, want RST 3", got)
	}
	if s.Err() != nil {
		t.Fatalf("the session ended: %v", s.Err())
	}
}

func TestH18_GiantFrameIsNotBuffered(t *testing.T) {
	t.Parallel()
	a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
	s := run(t, a, mux.Server, mux.Config{})
	go func() {
		_, _ = b.Write(frame.Header{Type: frame.Data, Length: frame.MaxLength, StreamID: 9}.Append(nil))
		_, _ = b.Write(make([]byte, frame.MaxLength))
		_, _ = b.Write(syn(11, "x"))
	}()
	accept(t, s)
	if s.Unread() > mux.Window {
		t.Fatalf("%d bytes of an unknown stream are kept", s.Unread())
	}
}

func TestT64_PeerThatNeverReadsIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		s := run(t, a, mux.Server, mux.Config{})
		frames := make([]byte, 0, 64<<10)
		for len(frames) < 60<<10 {
			frames = frame.AppendData(frames, 99, 0, []byte{1}) // each asks for an RST
		}
		_ = b.SetWriteDeadline(time.Now().Add(time.Hour))
		for {
			if _, err := b.Write(frames); err != nil {
				break
			}
			if n := s.Output(); n > 1<<20 {
				t.Fatalf("%d bytes of answers wait", n)
			}
		}
		<-s.Done()
		var se *mux.SessionError
		if err := s.Err(); !errors.As(err, &se) || (se.Code != frame.EnhanceYourCalm && se.Code != frame.WriteTimeout) {
			t.Fatalf("session ended with %v, want a bound on answers", err)
		}
	})
}

func TestStalledTransportEndsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		s := run(t, a, mux.Server, mux.Config{})
		start := time.Now()
		for i := range 4 {
			go func() {
				st, err := s.Open(context.Background(), []byte{byte(i)})
				if err == nil {
					_, _ = st.Write(make([]byte, mux.Window))
				}
			}()
		}
		<-s.Done()
		var se *mux.SessionError
		if err := s.Err(); !errors.As(err, &se) || se.Code != frame.WriteTimeout {
			t.Fatalf("session ended with %v, want a write timeout", err)
		}
		if d := time.Since(start); d > time.Minute {
			t.Fatalf("ended after %v, want under a minute", d)
		}
	})
}

// FuzzSession feeds a stranger's bytes to both roles: no panic, no leak, an
// end when the bytes end.
func FuzzSession(f *testing.F) {
	f.Add(false, syn(3, "\x00\x00\x00\x00"))
	f.Add(true, frame.AppendGoAway(syn(2, "x"), frame.GoAwayMessage{Debug: "bye"}))
	f.Add(false, frame.AppendRST(syn(3, "x"), 3, 0))
	f.Add(true, binary.BigEndian.AppendUint64(nil, 1<<63))
	f.Fuzz(func(t *testing.T, client bool, b []byte) {
		a, peer := memnet.Pipe(&net.TCPAddr{}, &net.TCPAddr{})
		conf := mux.Config{Role: mux.Server}
		if client {
			conf.Role = mux.Client
		}
		s := mux.New(a, conf)
		go func() { _, _ = io.Copy(io.Discard, peer) }()
		go func() {
			for {
				st, err := s.Accept(context.Background())
				if err != nil {
					return
				}
				_, _ = io.Copy(st, io.LimitReader(st, 64))
				_ = st.Close()
			}
		}()
		go func() {
			_, _ = peer.Write(b)
			_ = peer.(interface{ CloseWrite() error }).CloseWrite()
		}()
		_ = s.Run(context.Background())
		_ = peer.Close()
		if n := s.NumStreams(); n != 0 {
			t.Fatalf("%d streams outlive the session", n)
		}
	})
}
