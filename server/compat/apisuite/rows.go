package apisuite

import (
	"fmt"
	"slices"
	"testing"
)

// row is what a round needs to know of a resource. It has one line in the table of outcomes.
type row struct {
	// pkg is the client's package, prefix that of ids.
	pkg, prefix string
	// make returns the fields of the n-th object, counted from 0.
	make func(t *testing.T, w *World, n int) Fields
	// there returns what agents have made, oldest first, instead of make.
	there func(t *testing.T, w *World) []Object
	// count is how many objects a round makes, five unless it says otherwise.
	count int
	// change are the fields of updates, one by one and all at once.
	change func(t *testing.T, w *World) Fields
	// texts are what an update may set to the empty text.
	texts []string
	// list is what an update may set to the empty list. emptyList is the code that refuses it, 0 for none.
	list      string
	emptyList int
	// nothing is the code of an update that names no field, 0 if that changes nothing.
	nothing int
	// filter are the fields that filters know.
	filter []string
	// refuse are bodies of creations and the codes that refuse them.
	refuse func(t *testing.T, w *World) []refused
	// token says that a creation answers with a token, which is never shown again.
	token bool
}

// refused is a creation that is refused.
type refused struct {
	set  Fields
	code int
}

// texts are the fields that owners note.
var texts = []string{"description", "metadata"}

// usual are the fields that all filters know.
var usual = []string{"id", "created_at", "description", "metadata"}

func noted(n int, more Fields) Fields {
	f := Fields{"description": fmt.Sprintf("number %d", n), "metadata": fmt.Sprintf(`{"n": "%d"}`, n)}
	for name, v := range more {
		f[name] = v
	}
	return f
}

var changed = Fields{"description": "changed", "metadata": "ünïcode & <tags> \"quoted\"\n\ttabbed"}

func with(more Fields) func(*testing.T, *World) Fields {
	return func(*testing.T, *World) Fields {
		f := Fields{}
		for _, set := range []Fields{changed, more} {
			for name, v := range set {
				f[name] = v
			}
		}
		return f
	}
}

// rows are the resources that are made and changed by their owner.
func rows() []row {
	return slices.Concat(endpoints(), certificates(), addresses(), vaults(), identities(), live())
}

// absent is the id of nothing.
func absent(prefix string) string { return prefix + "_2aaaaaaaaaaaaaaaaaaaaaaaaaa" }

// one returns the id of an object that the resources under test need, made when it is first asked for.
func (w *World) one(t *testing.T, pkg string, set Fields) string {
	t.Helper()
	key := fmt.Sprint(pkg, set)
	if w.made[key] == "" {
		w.made[key] = w.Client.Must(t, pkg, "Create", set).Text("id")
	}
	return w.made[key]
}
