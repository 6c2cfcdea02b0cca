package main

import (
	"reflect"

	"github.com/culvert-project/culvert/internal/strictyaml"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/tunnel"
)

// limits are the keys under limits: in the file. Each part of the server names
// its own.
type limits struct {
	Edge   edge.Limits   `yaml:",inline"`
	Agents tunnel.Limits `yaml:",inline"`
}

// check refuses values that would switch a part of the server off. For public
// clients a negative value means no limit; agents always have one.
func (l *limits) check(doc *strictyaml.Document) strictyaml.Problems {
	var ps strictyaml.Problems
	v := reflect.ValueOf(l.Agents)
	for i := range v.NumField() {
		key := "limits." + v.Type().Field(i).Tag.Get("yaml")
		if doc.Has(key) && v.Field(i).Int() <= 0 {
			ps = append(ps, doc.Problem(key, "must be above zero", ""))
		}
	}
	v = reflect.ValueOf(l.Edge)
	for i := range v.NumField() {
		key := "limits." + v.Type().Field(i).Tag.Get("yaml")
		if doc.Has(key) && v.Field(i).Int() == 0 {
			ps = append(ps, doc.Problem(key, "must not be zero", "a negative value means no limit"))
		}
	}
	return ps
}
