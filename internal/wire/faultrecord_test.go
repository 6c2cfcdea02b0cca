package wire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

func TestFaultRecordRoundTrip(t *testing.T) {
	t.Parallel()
	sent := fault.New(fault.UpstreamUnreachable, "http://localhost:8080", "connection refused")
	b := append(wire.AppendFault(nil, sent), "rest"...)
	got, n, err := wire.ParseFault(b)
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != sent.Code || got.Status != sent.Status || got.Message != sent.Message || got.Remedy != sent.Remedy {
		t.Errorf("got  %+v\nwant %+v", got, sent)
	}
	if string(b[n:]) != "rest" {
		t.Errorf("record takes %d bytes, left %q", n, b[n:])
	}
	for i := range n {
		if _, _, err := wire.ParseFault(b[:i]); !errors.Is(err, wire.ErrNeedMore) {
			t.Fatalf("first %d of %d bytes: got %v, want ErrNeedMore", i, n, err)
		}
	}
}

func TestFaultRecordIsBounded(t *testing.T) {
	t.Parallel()
	for _, text := range []string{strings.Repeat("x", 100_000), strings.Repeat("\x00", 100_000), strings.Repeat("\xff", 100_000)} {
		b := wire.AppendFault(nil, &fault.Error{Code: fault.UpstreamUnreachable, Message: text, Remedy: text})
		if len(b) > wire.MaxFaultRecord {
			t.Errorf("record of %d bytes, want at most %d", len(b), wire.MaxFaultRecord)
		}
		if _, _, err := wire.ParseFault(b); err != nil {
			t.Errorf("parse: %v", err)
		}
	}
}

func TestParseFaultRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		notFault bool
	}{
		{"response", "HTTP/1.1 200 OK", true},
		{"one byte of a response", "H", true},
		{"HTTP/2 settings", "\x00\x00\x12\x04", true},
		{"too long", "\x00CVF\x00\x00\x10\x00", false},
		{"not JSON", "\x00CVF\x00\x00\x00\x02xx", false},
		{"unknown code", "\x00CVF\x00\x00\x00\x0c" + `{"code":"x"}`, false},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := wire.ParseFault([]byte(tc.in))
			if err == nil || errors.Is(err, wire.ErrNeedMore) || errors.Is(err, wire.ErrNotFault) != tc.notFault {
				t.Errorf("ParseFault(%q): got %v, want ErrNotFault %v", tc.in, err, tc.notFault)
			}
		})
	}
}

func FuzzParseFault(f *testing.F) {
	f.Add(wire.AppendFault(nil, fault.New(fault.UpstreamUnreachable, "a", "b")))
	f.Add([]byte("\x00CVF\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, n, err := wire.ParseFault(data)
		if err != nil {
			return
		}
		if n > len(data) || n > wire.MaxFaultRecord {
			t.Fatalf("record takes %d of %d bytes", n, len(data))
		}
		again, _, err := wire.ParseFault(wire.AppendFault(nil, got))
		if err != nil || again.Code != got.Code {
			t.Fatalf("encoded again: %+v, %v", again, err)
		}
	})
}
