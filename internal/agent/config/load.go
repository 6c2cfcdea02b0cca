package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// maxFile bounds a configuration file.
const maxFile = 4 << 20

// Lookup finds the value of an environment variable. An empty value counts as
// absent.
type Lookup func(name string) (value string, ok bool)

// Config is what files, environment and flags say together.
type Config struct {
	// Files are the files that were read, in order.
	Files []string
	// Agent holds the section agent, merged.
	Agent Agent
	// Definitions are the endpoints: those of endpoints in order, then older
	// tunnels by name.
	Definitions []Definition
	// Notices are remarks that a user should see once: an older version, a
	// file that others can read.
	Notices []string

	sources []source
	places  map[string]place  // of definitions, by name
	origins map[string]string // flag or variable that set a key of the agent
}

// source is a file that was read.
type source struct {
	path string
	dir  string
	v2   bool
	doc  *strictyaml.Document
}

// place is where a definition stands.
type place struct {
	source int    // index into sources
	prefix string // path of its entry
}

// Empty returns a configuration with defaults alone.
func Empty() *Config {
	return &Config{Agent: Defaults(), places: map[string]place{}, origins: map[string]string{}}
}

// Load reads the files in order and merges them (reference: agent, 4.1). All
// files must exist. Errors are faults: [fault.ConfigUnreadable], or
// [fault.ConfigInvalid] wrapping strictyaml.Problems with every mistake of
// structure. Values are judged later, by Settings and Specs, but mentioned
// beside such mistakes.
func Load(paths []string, env Lookup) (*Config, error) {
	c := Empty()
	var problems strictyaml.Problems
	for _, path := range paths {
		data, err := readFile(path)
		if err != nil {
			return nil, err
		}
		if err := c.add(path, data, env); err != nil {
			ps, ok := errors.AsType[strictyaml.Problems](err)
			if !ok {
				return nil, err
			}
			problems = append(problems, ps...)
		}
		c.warnIfReadable(path)
	}
	if err := c.faulty(problems); err != nil {
		return nil, err
	}
	return c, nil
}

// Parse is Load for one file whose text is at hand; path is its name in
// messages and the start of its relative paths.
func Parse(path string, data []byte, env Lookup) (*Config, error) {
	c := Empty()
	err := c.add(path, data, env)
	if ps, ok := errors.AsType[strictyaml.Problems](err); ok {
		return nil, c.faulty(ps)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

func readFile(path string) ([]byte, error) {
	data, err := readBounded(path, maxFile)
	if err != nil {
		return nil, fault.Wrap(err, fault.ConfigUnreadable, path, err)
	}
	return data, nil
}

// add decodes one more file over what is there. A mistake is reported as
// strictyaml.Problems.
func (c *Config) add(path string, data []byte, env Lookup) error {
	doc, err := strictyaml.Parse(path, data, strictyaml.Options{Env: env})
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("config %s: %w", path, err)
	}
	s := source{path: path, dir: dir, doc: doc}
	version, _ := doc.Scalar("version")
	switch version {
	case "3":
		err = c.add3(s)
	case "2":
		s.v2 = true
		err = c.add2(s)
	case "":
		err = strictyaml.Problems{doc.Problem("version", "the key is missing", "begin the file with \"version: 3\"")}
	default:
		err = strictyaml.Problems{doc.Problem("version", fmt.Sprintf("version %q is not known", version), "write 3, or 2 for older files")}
	}
	c.Files = append(c.Files, path)
	return err
}

// add3 merges a file of version 3.
func (c *Config) add3(s source) error {
	f := version3{Agent: c.Agent}
	problems, _ := errors.AsType[strictyaml.Problems](s.doc.Decode(&f)) // what can be read goes on
	c.Agent = f.Agent
	c.sources = append(c.sources, s)
	if f.Merge != "" && f.Merge != "replace" && f.Merge != "name" {
		problems = append(problems, s.doc.Problem("merge", strconv.Quote(f.Merge)+" is not known", `write "replace" or "name"`))
	}
	if len(f.Endpoints) > 0 {
		problems = append(problems, c.addEndpoints(s, f)...)
	}
	problems = append(problems, c.addTunnels(s, f.Tunnels)...)
	return problems.Err()
}

// addEndpoints merges the list by name where every entry of both lists has
// one, and replaces it otherwise or on request.
func (c *Config) addEndpoints(s source, f version3) strictyaml.Problems {
	var problems strictyaml.Problems
	n := len(c.sources) - 1
	old := slices.DeleteFunc(slices.Clone(c.Definitions), func(d Definition) bool { return d.older })
	older := slices.DeleteFunc(slices.Clone(c.Definitions), func(d Definition) bool { return !d.older })
	if f.Merge == "replace" || slices.ContainsFunc(f.Endpoints, func(e Endpoint) bool { return e.Name == "" }) {
		for _, d := range old {
			delete(c.places, d.Name)
		}
		old = nil
	}
	seen := map[string]int{}
	for i, e := range f.Endpoints {
		prefix := fmt.Sprintf("endpoints[%d]", i)
		if e.Name == "" {
			problems = append(problems, s.doc.Problem(prefix+".name", "the key is missing", "every endpoint needs a name of its own"))
			continue
		}
		if first, twice := seen[e.Name]; twice {
			problems = append(problems, s.doc.Problem(prefix+".name", strconv.Quote(e.Name)+" is used twice", fmt.Sprintf("endpoints[%d] has this name already", first)))
			continue
		}
		seen[e.Name] = i
		d := e.definition(s.dir)
		if at := slices.IndexFunc(old, func(o Definition) bool { return o.Name == e.Name }); at >= 0 {
			old[at] = d
		} else {
			old = append(old, d)
		}
		if slices.ContainsFunc(older, func(o Definition) bool { return o.Name == e.Name }) {
			problems = append(problems, s.doc.Problem(prefix+".name", strconv.Quote(e.Name)+" is the name of a tunnel too", "names across endpoints and tunnels must differ"))
		}
		c.places[e.Name] = place{n, prefix}
	}
	c.Definitions = append(old, older...)
	return problems
}

// addTunnels merges the older map by key.
func (c *Config) addTunnels(s source, tunnels map[string]Tunnel) strictyaml.Problems {
	var problems strictyaml.Problems
	n := len(c.sources) - 1
	for _, name := range slices.Sorted(maps.Keys(tunnels)) {
		prefix := entryPath("tunnels", name)
		d := tunnels[name].definition(name, s.dir)
		d.older = true
		at := slices.IndexFunc(c.Definitions, func(o Definition) bool { return o.Name == name })
		switch {
		case at < 0:
			c.Definitions = append(c.Definitions, d)
		case !c.Definitions[at].older:
			problems = append(problems, s.doc.Problem(prefix, strconv.Quote(name)+" is the name of an endpoint too", "names across endpoints and tunnels must differ"))
			continue
		default:
			c.Definitions[at] = d
		}
		c.places[name] = place{n, prefix}
	}
	return problems
}

// add2 merges a file of version 2, whose keys have other names.
func (c *Config) add2(s source) error {
	f := version2{Agent: c.Agent}
	problems, _ := errors.AsType[strictyaml.Problems](s.doc.Decode(&f)) // what can be read goes on
	c.Agent = f.Agent
	if f.RootCAs != "" {
		c.Agent.ConnectCAs = f.RootCAs
	}
	if f.ServerAddr != "" {
		c.Agent.ConnectURL = f.ServerAddr
	}
	switch {
	case f.HTTPProxy != "":
		c.Agent.ProxyURL = f.HTTPProxy
	case f.SOCKS5Proxy != "":
		c.Agent.ProxyURL = f.SOCKS5Proxy
	}
	c.sources = append(c.sources, s)
	c.Notices = append(c.Notices, fmt.Sprintf("%s has the older version 2; it still works. Version 3 nests the agent's keys under \"agent:\".", s.path))
	return append(problems, c.addTunnels(s, f.Tunnels)...).Err()
}

// idle are the keys of the agent that files may carry and that have no effect
// yet. None of them protects anything while its part is missing.
var idle = []string{
	"inspect_db_size", "local_storage", "web_addr", "web_allow_hosts", "web_auth", "update_check", "update_channel",
	"crl_noverify", "console_ui_color",
}

// Idle tells of every key in the files that has no effect yet, with its place.
func (c *Config) Idle() []string {
	var notes []string
	note := func(s source, path string) {
		if s.doc.Has(path) {
			notes = append(notes, s.doc.Problem(path, "the key has no effect yet", "").String())
		}
	}
	for _, s := range c.sources {
		for _, key := range idle {
			if s.v2 {
				note(s, key)
			} else {
				note(s, "agent."+key)
			}
		}
		note(s, "update")
	}
	for _, d := range c.Definitions {
		if p, ok := c.places[d.Name]; ok {
			note(c.sources[p.source], p.prefix+".inspect")
		}
	}
	return notes
}

// warnIfReadable notes a file that holds a secret and that other users can read.
func (c *Config) warnIfReadable(path string) {
	if runtime.GOOS == "windows" || len(c.sources) == 0 {
		return
	}
	doc := c.sources[len(c.sources)-1].doc
	if !doc.Has("agent.authtoken") && !doc.Has("authtoken") && !doc.Has("agent.api_key") && !doc.Has("api_key") {
		return
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o044 == 0 {
		return
	}
	f := fault.New(fault.PermissionWide, path)
	c.Notices = append(c.Notices, f.Message+" "+f.Remedy)
}

// entryPath is the path of an entry of a map, as strictyaml spells it.
func entryPath(parent, name string) string {
	plain := strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}) < 0
	if plain && name != "" {
		return parent + "." + name
	}
	return parent + "[" + strconv.Quote(name) + "]"
}
