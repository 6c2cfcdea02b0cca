package edge

import (
	"net/http"
	"strings"
	"testing"
)

// TestT22_TrailersWithUnderscores: a trailer that an application may take for a
// field which only the edge sets, or which frames the message, is not passed on.
func TestT22_TrailersWithUnderscores(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"X_forwarded_for": false, "X-Forwarded_proto": false, "Content_length": false, "Transfer_encoding": false,
		"Ngrok_error_code": false, "If_match": false, "X_checksum": true, "X-Checksum": true,
	} {
		if got := trailerAllowed(name); got != want {
			t.Errorf("trailerAllowed(%q) is %v, want %v", name, got, want)
		}
	}
}

// TestT04_SwitchingHasNoLength: what a service says about a length in its 101
// does not reach the client, nor anything in between that could frame by it.
func TestT04_SwitchingHasNoLength(t *testing.T) {
	t.Parallel()
	head := string(switchHead(&http.Response{Header: http.Header{
		"Upgrade": {"websocket"}, "Connection": {"Upgrade"}, "Content-Length": {"10"}, "Transfer-Encoding": {"chunked"}, "X-Kept": {"1"},
	}}))
	if strings.Contains(head, "Content-Length") || strings.Contains(head, "Transfer-Encoding") || !strings.Contains(head, "X-Kept: 1\r\n") {
		t.Errorf("got %q, want no framing and the rest", head)
	}
}
