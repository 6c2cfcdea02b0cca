package suites_test

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
)

// full says whether the suites run whole.
func full() bool { return os.Getenv("CULVERT_SUITES") == "full" }

// scores is what the tests have reached so far.
var scores board

type board struct {
	mu    sync.Mutex
	lines []string
}

// add notes a score, as a line of the table that ends a full run.
func (b *board) add(t *testing.T, suite, score string) {
	t.Helper()
	line := fmt.Sprintf("%-44s %s", suite, score)
	t.Log(line)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

func TestMain(m *testing.M) {
	quietGRPC()
	code := m.Run()
	if full() {
		slices.Sort(scores.lines)
		for _, l := range scores.lines {
			fmt.Println(l) //nolint:forbidigo // the table is what a full run is for
		}
	}
	os.Exit(code) //nolint:forbidigo // the way for TestMain
}
