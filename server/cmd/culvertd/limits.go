package main

import (
	"reflect"
	"slices"

	"github.com/culvert-project/culvert/internal/strictyaml"
	"github.com/culvert-project/culvert/server/internal/claims"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/rest"
	"github.com/culvert-project/culvert/server/internal/sshd"
	"github.com/culvert-project/culvert/server/internal/tunnel"
)

// limits are the keys under limits: in the file. Each part of the server names
// its own.
type limits struct {
	Edge      edge.Limits   `yaml:",inline"`
	Agents    tunnel.Limits `yaml:",inline"`
	SSH       sshd.Limits   `yaml:",inline"`
	Endpoints claims.Limits `yaml:",inline"`
	API       rest.Limits   `yaml:",inline"`
}

// check refuses values that would switch a part of the server off, in limits
// that were decoded without the given problems. For public clients a negative
// value means no limit; agents always have one.
func (l *limits) check(doc *strictyaml.Document, found strictyaml.Problems) strictyaml.Problems {
	var ps strictyaml.Problems
	each := func(part any, bad func(int64) bool, message, hint string) {
		v := reflect.ValueOf(part)
		for i := range v.NumField() {
			key := "limits." + v.Type().Field(i).Tag.Get("yaml")
			unread := slices.ContainsFunc(found, func(p strictyaml.Problem) bool { return p.Key == key })
			if doc.Has(key) && !unread && bad(v.Field(i).Int()) {
				ps = append(ps, doc.Problem(key, message, hint))
			}
		}
	}
	each(l.Agents, func(n int64) bool { return n <= 0 }, "must be above zero", "")
	each(l.SSH, func(n int64) bool { return n <= 0 }, "must be above zero", "")
	each(l.Endpoints, func(n int64) bool { return n <= 0 }, "must be above zero", "")
	each(l.API, func(n int64) bool { return n <= 0 }, "must be above zero", "")
	each(l.Edge, func(n int64) bool { return n == 0 }, "must not be zero", "a negative value means no limit")
	return ps
}
