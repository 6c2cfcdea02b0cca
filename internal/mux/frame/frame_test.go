package frame_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/mux/frame"
)

// TestBytes compares frames with captures of agent-protocol.md 3.
func TestBytes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"SYN of stream 3 with type 0", frame.AppendData(nil, 3, frame.SYN, []byte{0, 0, 0, 0}), "00000412 00000003 00000000"},
		{"SYN of a heartbeat stream", frame.AppendData(nil, 5, frame.SYN, []byte{255, 255, 255, 255}), "00000412 00000005 ffffffff"},
		{"FIN without data", frame.AppendData(nil, 3, frame.FIN, nil), "00000011 00000003"},
		{"credit of 243 bytes", frame.AppendWndInc(nil, 3, 0xf3), "00000420 00000003 000000f3"},
		{"reset", frame.AppendRST(nil, 4, frame.StreamCancelled), "00000400 00000004 00000006"},
		{"GOAWAY", frame.AppendGoAway(nil, frame.GoAwayMessage{LastStream: 2, Debug: "no error"}), "00001030 00000000 00000002 00000000 " + hex.EncodeToString([]byte("no error"))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want, err := hex.DecodeString(strings.ReplaceAll(tt.want, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(tt.got, want) {
				t.Fatalf("got  %x\nwant %x", tt.got, want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		h    frame.Header
		want frame.ErrorCode // NoError: accepted
	}{
		{"data", frame.Header{Type: frame.Data, StreamID: 3}, frame.NoError},
		{"data on the session", frame.Header{Type: frame.Data}, frame.ProtocolError},
		{"id with the top bit", frame.Header{Type: frame.Data, StreamID: 1 << 31}, frame.ProtocolError},
		{"short RST", frame.Header{Type: frame.RST, StreamID: 3, Length: 3}, frame.FrameSizeError},
		{"long WNDINC", frame.Header{Type: frame.WndInc, StreamID: 3, Length: 5}, frame.FrameSizeError},
		{"WNDINC on the session", frame.Header{Type: frame.WndInc, Length: 4}, frame.ProtocolError},
		{"short GOAWAY", frame.Header{Type: frame.GoAway, Length: 7}, frame.FrameSizeError},
		{"GOAWAY on a stream", frame.Header{Type: frame.GoAway, Length: 8, StreamID: 2}, frame.ProtocolError},
		{"unassigned type", frame.Header{Type: 9, Flags: 15, StreamID: 1 << 31}, frame.NoError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.h.Check()
			var fe *frame.Error
			switch {
			case tt.want == frame.NoError && err != nil:
				t.Fatalf("refused: %v", err)
			case tt.want != frame.NoError && !errors.As(err, &fe):
				t.Fatalf("got %v, want code %v", err, tt.want)
			case tt.want != frame.NoError && fe.Code != tt.want:
				t.Fatalf("got code %v, want %v", fe.Code, tt.want)
			}
		})
	}
}

func TestGoAwayTextIsBounded(t *testing.T) {
	t.Parallel()
	b := frame.AppendGoAway(nil, frame.GoAwayMessage{Debug: strings.Repeat("x", 5000)})
	h := frame.ParseHeader(b)
	if h.Length != 8+1024 || len(b) != frame.HeaderSize+int(h.Length) {
		t.Fatalf("frame of %d bytes announces %d, want a text of 1024", len(b), h.Length)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte{0, 0, 4, 0x12, 0, 0, 0, 3})
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < frame.HeaderSize {
			return
		}
		h := frame.ParseHeader(b)
		if got := h.Append(nil); !bytes.Equal(got, b[:frame.HeaderSize]) {
			t.Fatalf("%x parsed to %+v, which encodes to %x", b[:8], h, got)
		}
		_ = h.Check()
	})
}
