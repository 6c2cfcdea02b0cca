package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// invalid turns problems into a fault, or nil if there are none.
func invalid(ps strictyaml.Problems) error {
	if len(ps) == 0 {
		return nil
	}
	err := ps.Err()
	return fault.Wrap(err, fault.ConfigInvalid, ps[0].String())
}

// faulty is the error of files with mistakes of structure, or nil if there are
// none. It tells of impossible values as well, so that one look at the files is
// enough.
func (c *Config) faulty(structure strictyaml.Problems) error {
	if len(structure) == 0 {
		return nil
	}
	all := slices.Clone(structure)
	values, _ := errors.AsType[strictyaml.Problems](c.Check())
	for _, v := range values {
		if !slices.ContainsFunc(structure, func(s strictyaml.Problem) bool { return c.follows(v, s) }) {
			all = append(all, v)
		}
	}
	return invalid(all)
}

// follows reports whether a value may be wrong only because of a mistake of
// structure: because its key could not be read, or because the one that is
// missing was written in another way.
func (c *Config) follows(value, mistake strictyaml.Problem) bool {
	if value.File != mistake.File {
		return false
	}
	if within(value.Key, mistake.Key) || within(mistake.Key, value.Key) {
		return true
	}
	written := slices.ContainsFunc(c.sources, func(s source) bool { return s.path == value.File && s.doc.Has(value.Key) })
	return !written && within(value.Key, around(mistake.Key))
}

// within reports whether a path is another one, or leads into it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (rest == "" || outer == "" || rest[0] == '.' || rest[0] == '[')
}

// around is the path of what holds a key.
func around(path string) string {
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}
