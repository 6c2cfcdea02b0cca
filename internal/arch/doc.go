// Package arch holds the house rules of the tree as tests: which package may import which, what each may be called,
// how long a file may grow, and what must not be written anywhere. The rules themselves are data, in floors.txt; this
// package reads them, reads the tree, and names each place where the two disagree together with the rule it breaks.
//
// A package that floors.txt does not list is a violation, so that a new package is placed on purpose. A listed package
// that does not exist yet is none.
//
// The package works on an fs.FS, so that its own tests judge small made-up trees; the tests that judge the real tree are
// in arch_test.go and docs_test.go. Everything is a pure function of its arguments and safe for concurrent use.
//
// It is not a linter: what a linter can say with the context of types (golangci-lint does, see .golangci.yml) is not
// repeated here.
package arch
