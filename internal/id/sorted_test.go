package id

import (
	"regexp"
	"testing"
	"time"
)

func TestNewSorted(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^ep_[0-9A-Za-z]{27}$`)
	last, at := "", time.Unix(1_700_000_000, 0)
	for range 2000 {
		got := sortedAt("ep", at)
		if !form.MatchString(got) || !IsSorted("ep", got) || IsSorted("tn", got) {
			t.Fatalf("sortedAt = %q, want the form %s", got, form)
		}
		if made := TimeOf(got); !made.Equal(at.Truncate(time.Second)) {
			t.Fatalf("TimeOf(%q) = %v, want %v", got, made, at.Truncate(time.Second))
		}
		if got <= last {
			t.Fatalf("%q comes after %q, want a greater one", got, last)
		}
		last, at = got, at.Add(700*time.Microsecond)
	}
	for _, bad := range []string{"", "ep_", "ep_short", last + "x", "ep-" + last[3:], last[:29] + "!"} {
		if bad != last+"x" && !TimeOf(bad).IsZero() {
			t.Errorf("TimeOf(%q) = %v", bad, TimeOf(bad))
		}
		if IsSorted("ep", bad) {
			t.Errorf("IsSorted(%q) = true", bad)
		}
	}
}

func TestNewSorted_KnownValues(t *testing.T) {
	t.Parallel()
	var none, all [20]byte
	for i := range all {
		all[i] = 0xff
	}
	if got, want := encode62(none[:]), "000000000000000000000000000"; got != want {
		t.Errorf("of zeros: %q, want %q", got, want)
	}
	if got, want := encode62(all[:]), "aWgEPTl1tmebfsQzFP4bxwgy80V"; got != want { // the greatest KSUID
		t.Errorf("of ones: %q, want %q", got, want)
	}
}
