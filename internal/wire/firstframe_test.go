package wire_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
)

// TestH03_HeaderInTheFirstFrame: agents die of streams whose type and header
// are not all in the frame that opens them.
func TestH03_HeaderInTheFirstFrame(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		send func(ctx context.Context, s *mux.Session)
		want string
	}{
		{"command", func(ctx context.Context, s *mux.Session) {
			_ = wire.NewPeer(s).Call(ctx, wire.TypeStop, wire.Stop{}, &wire.ErrorResp{})
		}, "\x00\x00\x00\x05{}"},
		{"notice", func(ctx context.Context, s *mux.Session) {
			_ = wire.NewPeer(s).Notify(ctx, wire.TypeStopTunnel, wire.StopTunnel{Id: "b"})
		}, "\x00\x00\x00\x09" + `{"Id":"b","Message":"","ErrorCode":""}`},
		{"forwarded connection", func(ctx context.Context, s *mux.Session) {
			st, err := s.Open(ctx, wire.ProxyHeader{Id: "b", Proto: "tcp"}.AppendTo(nil))
			if err == nil {
				_, _ = io.WriteString(st, "data")
			}
		}, string(wire.ProxyHeader{Id: "b", Proto: "tcp"}.AppendTo(nil)) + "data"},
		{"heartbeat", func(ctx context.Context, s *mux.Session) {
			_ = wire.NewPeer(s).Heartbeat(ctx, time.Hour, time.Hour, nil)
		}, "\xff\xff\xff\xff????"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			near, far := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
			defer far.Close()
			s := mux.New(near, mux.Config{Role: mux.Server})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{}, 2)
			go func() { _ = s.Run(ctx); ended <- struct{}{} }()
			go func() { tc.send(ctx, s); ended <- struct{}{} }()
			defer func() { cancel(); <-ended; <-ended }()

			var head [8]byte
			if _, err := io.ReadFull(far, head[:]); err != nil {
				t.Fatal(err)
			}
			payload := make([]byte, binary.BigEndian.Uint32(head[:])>>8)
			if _, err := io.ReadFull(far, payload); err != nil {
				t.Fatal(err)
			}
			if head[3] != 0x12 {
				t.Errorf("first frame has type and flags %#x, want DATA with SYN alone", head[3])
			}
			want := tc.want
			if rest, random := strings.CutSuffix(want, "????"); random && len(payload) == len(want) {
				payload, want = payload[:len(rest)], rest
			}
			if string(payload) != want {
				t.Errorf("first frame carries %q, want %q", payload, want)
			}
		})
	}
}
