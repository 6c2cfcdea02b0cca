package id_test

import (
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/id"
)

func TestTokenFlaw(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"usual", "cvat_abcdefghijklmnop", ""},
		{"no underscore", "abcdefghij0123456789", ""},
		{"with blanks", "any text of twenty characters", ""},
		{"short", "short", "it has 5 characters, and a token has 20 to 256"},
		{"long", strings.Repeat("x", 257), "it has 257 characters, and a token has 20 to 256"},
		{"two lines", "abcdefghij0123456789\nx", "it holds a character that cannot be printed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := id.TokenFlaw(tt.text); got != tt.want {
				t.Errorf("TokenFlaw = %q, want %q", got, tt.want)
			}
		})
	}
}
