package main

import (
	"crypto/sha256"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// sourceFolder is where this program lies in its repository.
const sourceFolder = "./server/cmd/culvertd"

// calledAs is how a person calls this program again from the same folder: as it
// was called, or by "go run" if that has built it for this one run.
func calledAs(arg0 string, exists func(string) bool) string {
	if builtToRun(filepath.ToSlash(arg0)) {
		if exists(sourceFolder) {
			return "go run " + sourceFolder
		}
		return "culvertd"
	}
	if arg0 == "" {
		return "culvertd"
	}
	return shellWord(arg0)
}

// builtToRun tells the places where "go run" puts programs: a folder made for
// the run, or its cache, in a folder named by a hash.
func builtToRun(p string) bool {
	if strings.Contains(p, "/go-build") && strings.Contains(p, "/exe/") {
		return true
	}
	hash, cached := strings.CutSuffix(path.Base(path.Dir(p)), "-d")
	return cached && len(hash) == sha256.Size*2
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// shellWord is s as one word of a shell's command line.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// special tells the characters that a shell may take for something else.
func special(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+=,\\", r))
}
