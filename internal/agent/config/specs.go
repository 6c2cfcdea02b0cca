package config

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// Specs compiles the named definitions, or all of them when no names are given.
// An unknown name is a fault with the code [fault.EndpointNameUnknown]; other
// mistakes come as [fault.ConfigInvalid] with all problems.
func (c *Config) Specs(names ...string) ([]Spec, error) {
	chosen := c.Definitions
	if len(names) > 0 {
		chosen = nil
		for _, name := range names {
			at := slices.IndexFunc(c.Definitions, func(d Definition) bool { return d.Name == name })
			if at < 0 {
				f := fault.New(fault.EndpointNameUnknown, name, c.NameList())
				if len(c.Definitions) == 0 {
					f.Remedy = "Add it under \"endpoints:\"; \"culvert config edit\" opens the file. Without a file, \"culvert http 8080\" does."
				}
				return nil, f
			}
			if !slices.ContainsFunc(chosen, func(d Definition) bool { return d.Name == name }) {
				chosen = append(chosen, c.Definitions[at])
			}
		}
	}
	var specs []Spec
	var problems strictyaml.Problems
	for _, d := range chosen {
		got, issues := d.Compile()
		specs = append(specs, got...)
		at := c.places[d.Name]
		for _, i := range issues {
			message, hint := describe(i.Err)
			problems = append(problems, c.sources[at.source].doc.Problem(at.prefix+"."+i.Key, message, hint))
		}
	}
	return specs, invalid(problems)
}

// NameList returns the names of all definitions in order, for a message.
func (c *Config) NameList() string {
	if len(c.Definitions) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(c.places)), ", ")
}

// Check judges everything at once, as config check does.
func (c *Config) Check() error {
	_, settingsErr := c.Settings()
	_, specsErr := c.Specs()
	a, okA := errors.AsType[strictyaml.Problems](settingsErr)
	b, okB := errors.AsType[strictyaml.Problems](specsErr)
	if okA && okB {
		return invalid(append(slices.Clone(a), b...))
	}
	if settingsErr != nil {
		return settingsErr
	}
	return specsErr
}
