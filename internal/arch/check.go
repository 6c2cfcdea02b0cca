package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Violation is one place that breaks one rule.
type Violation struct {
	Where string // file:line, or the package
	What  string // what stands there
	Rule  string // the rule, in words that say what to do
}

// String is one line for a test's output.
func (v Violation) String() string { return v.Where + ": " + v.What + "\n\trule: " + v.Rule }

// Check holds packages against the rules and returns every violation, in the order of the tree.
func Check(r *Rules, pkgs []*Package) []Violation {
	var out []Violation
	for _, p := range pkgs {
		out = append(out, r.checkListed(p)...)
		for _, f := range p.Files {
			if f.Test {
				out = append(out, checkSleep(f)...)
				continue
			}
			for _, im := range f.Imports {
				out = append(out, r.checkImport(p, f, im)...)
			}
			out = append(out, r.checkCalls(p, f)...)
			out = append(out, r.checkSize(f)...)
		}
	}
	return out
}

// checkListed wants every package on a floor, with a doc.go and a telling name. A folder of tests alone needs only a floor.
func (r *Rules) checkListed(p *Package) []Violation {
	if r.freePrefix(p.Path) != "" {
		return nil
	}
	var out []Violation
	if _, ok := r.Floors[p.Path]; !ok {
		out = append(out, Violation{p.Path, "package is on no floor", "list it in internal/arch/floors.txt"})
	}
	if p.name() == "" {
		return out
	}
	if slices.Contains(r.Names, p.name()) || slices.Contains(r.Names, path.Base(p.Path)) {
		out = append(out, Violation{p.Path, "package is called " + p.name(), "name a package for what it provides"})
	}
	if !slices.ContainsFunc(p.Files, func(f *File) bool { return path.Base(f.Name) == "doc.go" }) {
		out = append(out, Violation{p.Path, "package has no doc.go", "say in doc.go what the package is for, its invariants, its concurrency, and what it is not for"})
	}
	return out
}

// checkImport judges one import by the floors and by the rule `only`.
func (r *Rules) checkImport(p *Package, f *File, im Import) []Violation {
	where := fmt.Sprintf("%s:%d", f.Name, im.Line)
	if to, ok := inTree(im.Path); ok {
		if why := r.floorRule(p.Path, to); why != "" {
			return []Violation{{where, "imports " + im.Path, why}}
		}
		return nil
	}
	for only, users := range r.Only {
		if under(im.Path, only) && !allowed(users, p.Path) {
			return []Violation{{where, "imports " + im.Path, only + " only in " + strings.Join(users, ", ")}}
		}
	}
	return nil
}

// floorRule returns the rule that an import of to by from breaks, or "".
func (r *Rules) floorRule(from, to string) string {
	if prefix := r.freePrefix(from); prefix != "" {
		if slices.Contains(r.Free[prefix], to) || under(to, prefix) {
			return ""
		}
		return prefix + " imports only " + strings.Join(r.Free[prefix], ", ")
	}
	a, okA := r.Floors[from]
	b, okB := r.Floors[to]
	if !okA || !okB {
		return "" // reported as unlisted
	}
	if a.Plane != "" && b.Plane != "" && a.Plane != b.Plane {
		return fmt.Sprintf("the data plane and the control plane never import each other (%s is %s, %s is %s): declare an interface, join in node", from, a.Plane, to, b.Plane)
	}
	if a.Module != b.Module {
		for _, x := range r.Reach {
			if x.From == a.Module && x.To == b.Module && a.Floor >= x.Above && b.Floor <= x.Highest {
				return ""
			}
		}
		return fmt.Sprintf("floor %d of module %s does not see floor %d of module %s", a.Floor, a.Module, b.Floor, b.Module)
	}
	if b.Floor < a.Floor || slices.Contains(r.May[from], to) {
		return ""
	}
	return fmt.Sprintf("floor %d imports only lower floors (%s is on floor %d)", a.Floor, to, b.Floor)
}

// checkCalls judges mentions of functions that have their place.
func (r *Rules) checkCalls(p *Package, f *File) []Violation {
	var out []Violation
	for _, c := range f.Calls {
		if users, ok := r.Call[c.Name]; ok && !allowed(users, p.Path) {
			out = append(out, Violation{fmt.Sprintf("%s:%d", f.Name, c.Line), "mentions " + c.Name, c.Name + " only in " + strings.Join(users, ", ")})
		}
	}
	return out
}

// checkSleep wants tests that wait for what they need. Where the clock is the test's own, sleeping only moves it.
func checkSleep(f *File) []Violation {
	if slices.ContainsFunc(f.Imports, func(im Import) bool { return im.Path == "testing/synctest" }) {
		return nil
	}
	var out []Violation
	for _, c := range f.Calls {
		if c.Name == "time.Sleep" {
			out = append(out, Violation{fmt.Sprintf("%s:%d", f.Name, c.Line), "sleeps", "a test waits for what it needs, or has the clock of testing/synctest"})
		}
	}
	return out
}

// checkSize enforces the ceiling; Aims reports the aims.
func (r *Rules) checkSize(f *File) []Violation {
	if f.Generated || r.Size.FileCeiling == 0 || f.Lines <= r.Size.FileCeiling {
		return nil
	}
	return []Violation{{f.Name, fmt.Sprintf("has %d lines", f.Lines), fmt.Sprintf("no file over %d lines: split it by topic", r.Size.FileCeiling)}}
}

// Aims lists what is larger than one aims for. It is advice: a test logs it and passes.
func Aims(r *Rules, pkgs []*Package) []string {
	var out []string
	for _, p := range pkgs {
		files := 0
		for _, f := range p.Files {
			if f.Test || f.Generated {
				continue
			}
			files++
			if f.Lines > r.Size.FileAim {
				out = append(out, fmt.Sprintf("%s has %d lines (aim: %d)", f.Name, f.Lines, r.Size.FileAim))
			}
			for _, fn := range f.Funcs {
				if fn.Lines > r.Size.FuncAim {
					out = append(out, fmt.Sprintf("%s:%d: %s has %d lines (aim: %d)", f.Name, fn.Line, fn.Name, fn.Lines, r.Size.FuncAim))
				}
			}
		}
		if files > r.Size.PackageFiles {
			out = append(out, fmt.Sprintf("%s has %d files (aim: %d)", p.Path, files, r.Size.PackageFiles))
		}
	}
	return out
}

// freePrefix returns the prefix of a `free` rule that covers the package, or "".
func (r *Rules) freePrefix(pkg string) string {
	for prefix := range r.Free {
		if under(pkg, prefix) {
			return prefix
		}
	}
	return ""
}

// inTree turns an import path into a package path of the tree.
func inTree(imp string) (string, bool) {
	if imp == Module {
		return ".", true
	}
	return strings.CutPrefix(imp, Module+"/")
}

// under reports whether p is prefix or lies below it.
func under(p, prefix string) bool { return p == prefix || strings.HasPrefix(p, prefix+"/") }

// allowed reports whether the package is one of the users or lies below one of them; "." stands for the root package alone.
func allowed(users []string, pkg string) bool {
	return slices.ContainsFunc(users, func(u string) bool { return u == pkg || (u != "." && under(pkg, u)) })
}
