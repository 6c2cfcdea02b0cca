package substitute_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/policy/substitute"
)

func TestReplace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ from, text, to, want string }{
		{"b+", "abbc", "x", "axc"},
		{"b+", "abbc", "", "ac"},
		{"(a)(?P<n>b)", "abab", "$n$1-", "ba-ba-"},
		{"(a)", "a", "$1x", ""},
		{"(a)", "a", "$2$none", ""},
		{"(a)", "a", "$$1$", "$1$"},
		{"(a)", "a", "${1}", "${1}"},
		{"^", "ab", "x", "xab"},
		{"", "ab", "-", "-a-b-"},
		{`\bb`, "ab b", "x", "ab x"},
		{"none", "ab", "x", "ab"},
	} {
		got, err := substitute.Replace(regexp.MustCompile(tt.from), []byte(tt.text), tt.to, 100, 1)
		if err != nil || string(got.Text) != tt.want {
			t.Errorf("%s in %q by %q: got %q, %v, want %q", tt.from, tt.text, tt.to, got.Text, err, tt.want)
		}
		if matched := len(got.Matches) == 1; matched == (tt.from == "none") {
			t.Errorf("%s in %q: got matches %q", tt.from, tt.text, got.Matches)
		}
	}
}

func TestReplaceIsBounded(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("a", 1000))
	for _, tt := range []struct {
		from, to string
		limit    int
		fails    bool
	}{
		{"a", "xx", 2000, false},
		{"a", "xx", 1999, true},
		{"(a)", "$1$1", 2000, false},
		{"(a)", "$1$1", 1999, true},
		{"(a+)", strings.Repeat("$1", 1<<20), 1 << 20, true},
		{"", strings.Repeat("x", 1<<20), 1 << 20, true},
	} {
		got, err := substitute.Replace(regexp.MustCompile(tt.from), text, tt.to, tt.limit, 0)
		if fails := errors.Is(err, substitute.ErrTooLarge); fails != tt.fails {
			t.Errorf("%s by %.9q, limit %d: got %d bytes and %v", tt.from, tt.to, tt.limit, len(got.Text), err)
		}
	}
}

// FuzzReplace holds the bound, and what is not bounded to what the standard
// library gives.
func FuzzReplace(f *testing.F) {
	f.Add("(a)", "banana", "$1$$x")
	f.Add("", "x", "$")
	f.Fuzz(func(t *testing.T, from, text, to string) {
		re, err := regexp.Compile(from)
		if err != nil || len(text) > 1000 || len(to) > 1000 || strings.Contains(to, "{") {
			return
		}
		const limit = 10_000
		got, err := substitute.Replace(re, []byte(text), to, limit, 3)
		if err != nil {
			return
		}
		if want := re.ReplaceAllString(text, to); string(got.Text) != want || len(want) > limit {
			t.Errorf("got %q, want %q", got.Text, want)
		}
	})
}
