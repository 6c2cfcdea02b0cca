package main

import (
	"os"
	"path/filepath"
	"strings"
)

// sourceFolder is where this program lies in its repository.
const sourceFolder = "./server/cmd/culvertd"

// calledAs is how a person calls this program again from the same folder: as it
// was called, or by "go run" if that has built it for this one run.
func calledAs(arg0 string, exists func(string) bool) string {
	built := filepath.ToSlash(arg0)
	if strings.Contains(built, "/go-build") && strings.Contains(built, "/exe/") {
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
