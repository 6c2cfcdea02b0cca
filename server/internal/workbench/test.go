package workbench

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/policy/policycase"
)

// Suite is which cases to run.
type Suite struct {
	// Paths are archives, and folders in which every file that ends in .txtar
	// is one, at any depth.
	Paths []string
	// Only, if not nil, picks the cases whose names match.
	Only *regexp.Regexp
	// Update writes what comes out into the cases in place of judging it.
	Update bool
	// Services are those of each exchange.
	Services policy.Services
}

// CaseResult is how a case went.
type CaseResult struct {
	// Name is the archive's path, and for a case in a folder of it that
	// folder: policies/login.txtar/bots.
	Name string `json:"name"`
	// Outcome is "ok", "failed", "broken" (not well formed) or "updated".
	Outcome string `json:"outcome"`
	// Diff leads from what the case wants to what came out.
	Diff string `json:"diff,omitempty"`
	// Error is why the case is broken.
	Error string `json:"error,omitempty"`
}

// Outcomes of a case.
const (
	caseOK      = "ok"
	caseFailed  = "failed"
	caseBroken  = "broken"
	caseUpdated = "updated"
)

const (
	// maxArchives bounds how many archives a suite has.
	maxArchives = 10_000
	// maxArchive is the largest archive, in bytes.
	maxArchive = 16 << 20
	// policyFile is the file of a case that names a policy elsewhere.
	policyFile = "policy"
)

// Test runs cases and reports whether all are as they should be. It fails if
// there is none.
func (b *Bench) Test(ctx context.Context, o Output, s Suite) (passed bool, err error) {
	archives, err := s.archives()
	if err != nil {
		return false, err
	}
	var all []CaseResult
	for _, name := range archives {
		results, err := b.archive(ctx, s, name)
		if err != nil {
			return false, err
		}
		all = append(all, results...)
	}
	if len(all) == 0 {
		return false, fmt.Errorf("no case is in %s", strings.Join(s.Paths, ", "))
	}
	return o.results(all)
}

// archives finds the archives.
func (s Suite) archives() ([]string, error) {
	var all []string
	for _, p := range s.Paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			all = append(all, p)
			continue
		}
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, ".txtar") {
				all = append(all, path)
			}
			if len(all) > maxArchives {
				return fmt.Errorf("%s has more than %d archives", p, maxArchives)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// archive runs the cases of an archive.
func (b *Bench) archive(ctx context.Context, s Suite, name string) ([]CaseResult, error) {
	if info, err := os.Stat(name); err == nil && info.Size() > maxArchive {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxArchive)
	}
	a, err := txtar.ParseFile(name)
	if err != nil {
		return nil, err
	}
	runner := policycase.Runner{Registry: b.registry, Services: s.Services}
	dirs, cases := policycase.Split(a)
	var all []CaseResult
	updated := false
	for _, dir := range dirs {
		r := CaseResult{Name: filepath.ToSlash(filepath.Join(name, dir))}
		if s.Only != nil && !s.Only.MatchString(r.Name) {
			continue
		}
		got, err := b.runCase(ctx, runner, filepath.Dir(name), cases[dir])
		want, has := cases[dir][policycase.Want]
		switch {
		case err != nil:
			r.Outcome, r.Error = caseBroken, err.Error()
		case bytes.Equal(got, want) && has:
			r.Outcome = caseOK
		case s.Update:
			r.Outcome, updated = caseUpdated, true
			policycase.SetWant(a, dir, got)
		default:
			r.Outcome, r.Diff = caseFailed, string(diff.Diff("want", want, "got", got))
		}
		all = append(all, r)
	}
	if updated {
		if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil { //nolint:gosec // the user's own file, with the mode of such
			return nil, err
		}
	}
	return all, nil
}

// runCase runs a case whose policy may be a file of its own.
func (b *Bench) runCase(ctx context.Context, r policycase.Runner, dir string, c policycase.Files) ([]byte, error) {
	if name, ok := c[policyFile]; ok {
		path := strings.TrimSpace(string(name))
		text, err := os.ReadFile(filepath.Join(dir, path)) //nolint:gosec // the user's own files
		if err != nil {
			return nil, err
		}
		if delete(c, "policy.yml"); strings.HasSuffix(path, ".json") {
			c["policy.json"] = text
		} else {
			c["policy.yml"] = text
		}
	}
	if c["policy.yml"] == nil && c["policy.json"] == nil {
		return nil, fmt.Errorf("the case has no policy: add a file policy.yml, or a file %s that names one", policyFile)
	}
	return r.Case(ctx, b.compiler, c)
}

// results writes how the cases went.
func (o Output) results(all []CaseResult) (passed bool, err error) {
	counts := make(map[string]int)
	for _, r := range all {
		counts[r.Outcome]++
	}
	bad := counts[caseFailed] + counts[caseBroken]
	if o.JSON {
		return bad == 0, o.json(struct {
			Passed bool         `json:"passed"`
			Cases  []CaseResult `json:"cases"`
		}{bad == 0, all})
	}
	var w strings.Builder
	colours := map[string]string{caseOK: green, caseUpdated: yellow, caseFailed: red, caseBroken: red}
	for _, r := range all {
		fmt.Fprintf(&w, "%s %s\n", o.paint(colours[r.Outcome], fmt.Sprintf("%-7s", r.Outcome)), visible(r.Name))
		if r.Error != "" {
			fmt.Fprint(&w, indent(r.Error))
		}
		if r.Diff != "" {
			fmt.Fprint(&w, indent(r.Diff))
		}
	}
	fmt.Fprintf(&w, "%s: %s", count(len(all), "case"), o.paint(green, fmt.Sprint(len(all)-bad, " ok")))
	if bad > 0 {
		fmt.Fprintf(&w, ", %s (--update writes what came out, for you to look at)", o.paint(red, fmt.Sprint(bad, " failed")))
	}
	fmt.Fprintln(&w)
	return bad == 0, o.write(w.String())
}
