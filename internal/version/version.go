package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// module is the path that all our modules begin with.
const module = "github.com/culvert-project/culvert"

// Unreleased is the version of whatever was built from a working copy.
const Unreleased = "0.1.0-dev"

// Build says what a program was built from. Commit and Date are those of the
// program, whoever's it is.
type Build struct {
	Version  string `json:"version"`          // without "v", Unreleased for a working copy
	Commit   string `json:"commit,omitempty"` // revision, empty if unknown
	Date     string `json:"date,omitempty"`   // of the commit, RFC 3339
	Go       string `json:"go"`               // version of the compiler
	Platform string `json:"platform"`         // "linux/amd64"
}

// Read returns what the running program was built from.
func Read() Build {
	b := Build{Version: Unreleased, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := moduleVersion(info); len(v) > 1 && v[0] == 'v' {
		b.Version = v[1:]
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		}
	}
	return b
}

// moduleVersion finds our version: that of the program itself, or of the
// library that somebody else's program uses.
func moduleVersion(info *debug.BuildInfo) string {
	if strings.HasPrefix(info.Main.Path, module) {
		return info.Main.Version
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return ""
}
