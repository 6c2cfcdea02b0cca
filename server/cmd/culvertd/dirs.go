package main

import (
	"path/filepath"
	"runtime"

	"github.com/culvert-project/culvert/internal/fault"
)

// rootDir holds the data of a server that runs as the system's administrator.
const rootDir = "/var/lib/culvert"

// stateDir returns the directory for what a user's programs keep between runs,
// below which kind names one of ours (XDG base directory specification).
func (p *program) stateDir(kind string) (string, error) {
	if dir, _ := p.getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "culvert", kind), nil
	}
	if runtime.GOOS == "windows" {
		if dir, _ := p.getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, "culvert", kind), nil
		}
	}
	home, err := p.home()
	if err != nil {
		return "", fault.Wrap(err, fault.SettingInvalid, "", "--data-dir", "there is neither a home directory nor XDG_STATE_HOME")
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "culvert", kind), nil
	}
	return filepath.Join(home, ".local", "state", "culvert", kind), nil
}

// serverDir returns the data directory of culvertd serve.
func (p *program) serverDir() (string, error) {
	if p.root && runtime.GOOS != "windows" {
		return rootDir, nil
	}
	return p.stateDir("server")
}
