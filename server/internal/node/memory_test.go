package node

import "testing"

func TestMemoryIsGivenBackWhenCalm(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for name, tt := range map[string]struct {
		before, now memory
		calm, worth bool
	}{
		"an empty server":   {memory{allocated: 10 * mib}, memory{allocated: 11 * mib, resident: 8 * mib, live: 4 * mib}, true, false},
		"after a burst":     {memory{allocated: 900 * mib}, memory{allocated: 902 * mib, resident: 250 * mib, live: 130 * mib}, true, true},
		"under load":        {memory{allocated: 900 * mib}, memory{allocated: 990 * mib, resident: 250 * mib, live: 130 * mib}, false, true},
		"large, idle":       {memory{}, memory{allocated: 60 * mib, resident: 1300 * mib, live: 1000 * mib}, true, true},
		"nothing to return": {memory{}, memory{allocated: 1 * mib, resident: 160 * mib, live: 130 * mib}, true, false},
	} {
		if got := tt.now.calmSince(tt.before); got != tt.calm {
			t.Errorf("%s: calm = %v, want %v", name, got, tt.calm)
		}
		if got := tt.now.worth(); got != tt.worth {
			t.Errorf("%s: worth = %v, want %v", name, got, tt.worth)
		}
	}
}
