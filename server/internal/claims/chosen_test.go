package claims_test

import (
	"slices"
	"testing"
)

// TestT17_ChosenNames are those that somebody has asked for, of endpoints with TLS, and are told as they come.
func TestT17_ChosenNames(t *testing.T) {
	t.Parallel()
	b := newBinder(t, config(t))
	for _, tt := range []struct {
		proto, url string
		told       bool
	}{
		{"https", "", false},
		{"http", "http://plain.example.com", false},
		{"tcp", "tcp://localhost:20003", false},
		{"https", "https://api.internal", false},
		{"https", "https://app.example.com", true},
		{"tls", "tls://db.example.com", true},
	} {
		reserve(t, b, agent("a"), bind(tt.proto, tt.url))
		told := false
		select {
		case <-b.ChosenChanged():
			told = true
		default:
		}
		if told != tt.told {
			t.Errorf("after %s %q: told %t, want %t", tt.proto, tt.url, told, tt.told)
		}
	}
	if got, want := b.Chosen(), []string{"app.example.com", "db.example.com"}; !slices.Equal(got, want) {
		t.Errorf("Chosen() = %v, want %v", got, want)
	}
}
