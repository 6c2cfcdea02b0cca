package apisuite

import (
	"fmt"
	"strings"
	"testing"
)

// steps are what a round does with a resource, in this order.
var steps = []string{"create", "get", "list", "filter", "update", "empty", "refuse", "delete"}

// The outcomes of a step besides how often it succeeded.
const (
	passed  = "ok"
	failed  = "FAIL"
	none    = "-"       // neither the client nor the resource has it
	blocked = "blocked" // a step before has failed
)

// board is the table of outcomes: one line for each resource.
type board struct {
	client string
	lines  []string
}

// line adds the outcomes of a resource.
func (b *board) line(resource string, outcomes map[string]string) {
	cells := []string{fmt.Sprintf("%-8s %-18s", b.client, resource)}
	for _, s := range steps {
		cells = append(cells, fmt.Sprintf("%-7s", outcomes[s]))
	}
	b.lines = append(b.lines, strings.TrimRight(strings.Join(cells, " "), " "))
}

// print logs the table.
func (b *board) print(t *testing.T) {
	t.Helper()
	head := []string{fmt.Sprintf("%-8s %-18s", "client", "resource")}
	for _, s := range steps {
		head = append(head, fmt.Sprintf("%-7s", s))
	}
	t.Logf("\n%s\n%s", strings.Join(head, " "), strings.Join(b.lines, "\n"))
}
