package fault_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

// goSDK and rustSDK find a code as the published SDKs of both families do.
func goSDK(text string) string {
	return regexp.MustCompile(`ERR_NGROK_\d+`).FindString(text)
}

func rustSDK(text string) string {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "ERR_NGROK_") {
			return line
		}
	}
	return ""
}

func TestWireIsReadByBothSDKFamilies(t *testing.T) {
	t.Parallel()
	for _, e := range fault.All() {
		t.Run(string(e.Code), func(t *testing.T) {
			t.Parallel()
			evil := "ERR_NGROK_1\r\nERR_NGROK_2 x"
			f := fault.New(e.Code, evil, evil, evil, evil)
			text := f.Wire()
			want := string(e.Code)
			if strings.HasPrefix(want, "ERR_CULVERT") {
				want = ""
			}
			if got := goSDK(text); got != want {
				t.Errorf("Go SDKs find %q in %q, want %q", got, text, want)
			}
			if got := rustSDK(text); got != want {
				t.Errorf("Rust SDKs find %q in %q, want %q", got, text, want)
			}
			if !strings.HasSuffix(text, "\r\n\r\n"+string(e.Code)+"\r\n") {
				t.Errorf("Wire() = %q, want the code alone on the last line", text)
			}
			back := fault.ParseWire(text)
			if back.Code != f.Code || back.Status != f.Status || back.Title != f.Title {
				t.Errorf("ParseWire(Wire()) = %s %d %q, want %s %d %q", back.Code, back.Status, back.Title, f.Code, f.Status, f.Title)
			}
		})
	}
}

func TestParseWire(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in        string
		code            fault.Code
		message, remedy string
	}{
		{name: "our own", in: fault.New(fault.HostUnderscore, "a_b").Wire(), code: fault.HostUnderscore, message: "The host name a_b has an underscore.", remedy: "Use a hyphen instead."},
		{name: "codes of others", in: fault.New(fault.HostUnderscore, "ERR_NGROK_2201 ERR_CULVERT_1 ERR_x").Wire(), code: fault.HostUnderscore, message: "The host name ERR_NGROK_2201 ERR_CULVERT_1 ERR-x has an underscore.", remedy: "Use a hyphen instead."},
		{name: "reference form", in: "it failed\nread this\r\n\r\nERR_NGROK_105\r\n", code: "ERR_NGROK_105", message: "it failed", remedy: "read this"},
		{name: "unknown code", in: "x\r\n\r\nERR_NGROK_99999\r\n", code: "ERR_NGROK_99999", message: "x"},
		{name: "code inside a line", in: "failed: ERR_NGROK_108.", code: "ERR_NGROK_108", message: "failed: ERR_NGROK_108."},
		{name: "own line wins over an earlier mention", in: "see ERR_NGROK_1\r\nERR_NGROK_2", code: "ERR_NGROK_2", message: "see ERR_NGROK_1"},
		{name: "prefix without digits", in: "ERR_NGROK_ is a prefix", message: "ERR_NGROK_ is a prefix"},
		{name: "code alone, known", in: "ERR_NGROK_334", code: "ERR_NGROK_334", message: "The URL is already online"},
		{name: "code alone, unknown", in: "ERR_NGROK_1", code: "ERR_NGROK_1", message: "the server refused without saying why"},
		{name: "no code", in: "plain text", message: "plain text"},
		{name: "control characters", in: "a\x1b[2Jb", message: "a [2Jb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := fault.ParseWire(tt.in)
			if got == nil {
				t.Fatalf("ParseWire(%q) = nil", tt.in)
			}
			if got.Code != tt.code || got.Message != tt.message || got.Remedy != tt.remedy {
				t.Errorf("ParseWire(%q) = %q, %q, %q, want %q, %q, %q", tt.in, got.Code, got.Message, got.Remedy, tt.code, tt.message, tt.remedy)
			}
		})
	}
	for _, blank := range []string{"", " ", "\r\n\r\n"} {
		if got := fault.ParseWire(blank); got != nil {
			t.Errorf("ParseWire(%q) = %v, want nil", blank, got)
		}
	}
}

func FuzzParseWire(f *testing.F) {
	for _, e := range fault.All()[:20] {
		f.Add(fault.New(e.Code, "a", "b").Wire())
	}
	f.Add("")
	f.Add("ERR_NGROK_\r\nERR_CULVERT_1")
	f.Add("x ERR_NGROK_1 y\xff\x00\nERR_NGROK_22z")
	f.Fuzz(func(t *testing.T, in string) {
		got := fault.ParseWire(in)
		if got == nil {
			return
		}
		if got.Message == "" {
			t.Errorf("ParseWire(%q) has no message", in)
		}
		if strings.ContainsAny(got.Error(), "\r\n\x1b\x00") {
			t.Errorf("ParseWire(%q).Error() = %q holds control characters", in, got.Error())
		}
		again := fault.ParseWire(got.Wire())
		if again == nil || again.Code != got.Code {
			t.Errorf("ParseWire(Wire()) = %v, want code %q", again, got.Code)
		}
	})
}
