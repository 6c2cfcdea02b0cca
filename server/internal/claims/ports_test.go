package claims_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// A port that cannot be opened for the lack of descriptors is not called taken.
func TestT73_LackOfDescriptorsIsNamed(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	p := newPorts(20001)
	p.FDs = 2
	cfg.Ports = p
	b := newBinder(t, cfg)
	one := reserve(t, b, agent("a"), bind("tcp", "tcp://localhost:20002"))
	two := reserve(t, b, agent("a"), bind("tcp", "tcp://localhost:20003"))
	for _, url := range []string{"tcp://", "tcp://localhost:20005"} {
		_, err := b.Reserve(t.Context(), agent("a"), bind("tcp", url))
		f := fault.From(err)
		if f.Code != fault.TCPPortFailed || !strings.Contains(f.Message, "too many open files") || !strings.Contains(f.Remedy, "ulimit") {
			t.Errorf("%s: got %v, remedy %q, want the lack of descriptors named", url, err, f.Remedy)
		}
	}
	refused(t, b, agent("a"), bind("tcp", "tcp://localhost:20001"), fault.TCPPortBusy)

	// What is held for a lost agent makes way, for its own account only.
	release(b, agent("a"), two, false)
	refused(t, b, agentOf("other", "b"), bind("tcp", "tcp://"), fault.TCPPortFailed)
	if got := reserve(t, b, agent("b"), bind("tcp", "tcp://")); got.Port != two.Port {
		t.Errorf("got the port %d, want %d, which was held", got.Port, two.Port)
	}
	release(b, agent("a"), one, true)
	reserve(t, b, agent("b"), bind("tcp", "tcp://localhost:20005"))
	p.Opened(t)
}

// In a range that is used up the port that has waited longest for an agent of the same account is given anew.
func TestT73_OldestHeldPortMakesWay(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.TCPFirst, cfg.TCPLast = 20000, 20004
	p := newPorts(20004)
	cfg.Ports = p
	b := newBinder(t, cfg)
	var all []*wire.Bound
	for range 4 {
		all = append(all, reserve(t, b, agent("a"), bind("tcp", "tcp://")))
	}
	foreign := all[2]
	_, err := b.Reserve(t.Context(), agent("b"), bind("tcp", "tcp://"))
	if f := fault.From(err); f.Code != fault.NoPortFree || !strings.Contains(f.Message, "of 5 ports 4 are online, 0 are held for agents that were lost, and 1 cannot be opened") {
		t.Errorf("with all ports online: got %v", err)
	}
	for _, i := range []int{1, 3, 0} {
		release(b, agent("a"), all[i], false)
	}
	_, err = b.Reserve(t.Context(), agentOf("other", "b"), bind("tcp", "tcp://"))
	if f := fault.From(err); f.Code != fault.NoPortFree || !strings.Contains(f.Message, "1 are online, 3 are held") {
		t.Errorf("another account: got %v, want nothing of another's evicted", err)
	}
	var got []uint16
	for range 3 {
		got = append(got, reserve(t, b, agent("b"), bind("tcp", "tcp://")).Port)
	}
	if want := []uint16{all[1].Port, all[3].Port, all[0].Port}; !slices.Equal(got, want) {
		t.Errorf("got ports %v, want those held, the oldest first: %v", got, want)
	}
	refused(t, b, agent("b"), bind("tcp", "tcp://"), fault.NoPortFree)
	// Who comes back for an evicted port gets none of another's.
	refused(t, b, agent("c"), again(bind("tcp", "tcp://"), all[1]), fault.URLTaken)
	if open := p.Opened(t); len(open) != 4 || !slices.Contains(open, foreign.Port) {
		t.Errorf("open ports = %v, want four, %d among them", open, foreign.Port)
	}
}
