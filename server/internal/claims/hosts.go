package claims

import (
	"iter"
	"slices"
	"strings"
)

// hostDepth is how many labels of a host its place is found by. It bounds what a long name costs.
const hostDepth = 8

// hostTree finds places by the names above their hosts. It has a node for each label, the last one first.
type hostTree struct {
	nodes  map[string]*hostTree
	places []place
}

// labels yields the last labels of a host, from the right.
func labels(host string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for range hostDepth {
			dot := strings.LastIndexByte(host, '.')
			if !yield(host[dot+1:]) || dot < 0 {
				return
			}
			host = host[:dot]
		}
	}
}

func (t *hostTree) add(p place) {
	for label := range labels(p.host) {
		next := t.nodes[label]
		if next == nil {
			if t.nodes == nil {
				t.nodes = map[string]*hostTree{}
			}
			next = &hostTree{}
			t.nodes[label] = next
		}
		t = next
	}
	t.places = append(t.places, p)
}

func (t *hostTree) remove(p place) {
	type step struct {
		from  *hostTree
		label string
	}
	steps := make([]step, 0, hostDepth)
	for label := range labels(p.host) {
		steps = append(steps, step{t, label})
		if t = t.nodes[label]; t == nil {
			return
		}
	}
	t.places = slices.DeleteFunc(t.places, func(q place) bool { return q == p })
	for _, s := range slices.Backward(steps) {
		if n := s.from.nodes[s.label]; len(n.places)+len(n.nodes) > 0 {
			return
		}
		delete(s.from.nodes, s.label)
	}
}

// at yields the places of a host.
func (t *hostTree) at(host string) iter.Seq[place] {
	return func(yield func(place) bool) {
		for label := range labels(host) {
			if t = t.nodes[label]; t == nil {
				return
			}
		}
		for _, p := range t.places {
			if p.host == host && !yield(p) {
				return
			}
		}
	}
}

// below yields the places whose hosts the reservation of a name covers.
func (t *hostTree) below(name string) iter.Seq[place] {
	return func(yield func(place) bool) {
		for label := range labels(strings.TrimPrefix(name, "*.")) {
			if t = t.nodes[label]; t == nil {
				return
			}
		}
		t.each(func(p place) bool { return !Covers(name, p.host) || yield(p) })
	}
}

func (t *hostTree) each(yield func(place) bool) bool {
	for _, p := range t.places {
		if !yield(p) {
			return false
		}
	}
	for _, n := range t.nodes {
		if !n.each(yield) {
			return false
		}
	}
	return true
}
