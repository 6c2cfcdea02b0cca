package config

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
)

// Place is where a program keeps its configuration on this system.
type Place struct {
	// GOOS is the operating system, as runtime.GOOS.
	GOOS string
	// Env looks variables up.
	Env Lookup
}

// Path returns the default configuration file of the named program, "culvert"
// or "ngrok" (reference: agent, 4.1). It need not exist.
func (p Place) Path(program string) (string, error) {
	file := program + ".yml"
	if p.GOOS == "windows" {
		if dir, ok := p.get("LocalAppData"); ok {
			return filepath.Join(dir, program, file), nil
		}
	}
	if p.GOOS != "windows" && p.GOOS != "darwin" {
		if dir, ok := p.get("XDG_CONFIG_HOME"); ok && filepath.IsAbs(dir) {
			return filepath.Join(dir, program, file), nil
		}
	}
	home, err := p.home()
	if err != nil {
		return "", err
	}
	switch p.GOOS {
	case "windows":
		return filepath.Join(home, "AppData", "Local", program, file), nil
	case "darwin":
		return filepath.Join(home, "Library", "Application Support", program, file), nil
	}
	return filepath.Join(home, ".config", program, file), nil
}

func (p Place) home() (string, error) {
	name := "HOME"
	if p.GOOS == "windows" {
		name = "USERPROFILE"
	}
	if dir, ok := p.get(name); ok {
		return dir, nil
	}
	u, err := user.Current()
	if err != nil || u.HomeDir == "" {
		return "", fmt.Errorf("find the home directory: %s is not set", name)
	}
	return u.HomeDir, nil
}

func (p Place) get(name string) (string, bool) {
	if p.Env == nil {
		return "", false
	}
	v, ok := p.Env(name)
	return v, ok && v != ""
}

// Selection says which configuration files a command uses.
type Selection struct {
	// Paths are the files, in order; none if no file exists.
	Paths []string
	// Default is the program's own default file, existing or not.
	Default string
	// Notices are remarks that a user should see once.
	Notices []string
}

// Select decides which files are used: those of the flag --config, else those
// of CULVERT_CONFIG, else the default file if there is one, else the file of the
// reference agent if there is one. Paths are lists joined by commas. With reference set,
// the program was started under the name ngrok and its default file is that of
// the reference agent.
func (p Place) Select(flag []string, reference bool) (Selection, error) {
	program, other := "culvert", "ngrok"
	if reference {
		program, other = other, program
	}
	var s Selection
	own, err := p.Path(program)
	if err == nil {
		s.Default = own
	}
	if s.Paths = split(flag); len(s.Paths) > 0 {
		return s, nil
	}
	for _, name := range []string{"CULVERT_CONFIG", "NGROK_CONFIG"} {
		v, ok := p.get(name)
		if !ok {
			continue
		}
		if s.Paths = split([]string{v}); len(s.Paths) > 0 {
			if name == "NGROK_CONFIG" {
				s.Notices = append(s.Notices, fallbackNotice(name, "CULVERT_CONFIG"))
			}
			return s, nil
		}
	}
	if err != nil {
		return s, nil //nolint:nilerr // a machine without home directory has no default file, and needs none
	}
	if exists(own) {
		s.Paths = []string{own}
		return s, nil
	}
	if theirs, err := p.Path(other); err == nil && exists(theirs) && !reference {
		s.Paths = []string{theirs}
		s.Notices = append(s.Notices, fmt.Sprintf("%s does not exist, so %s is used.", own, theirs))
	}
	return s, nil
}

func fallbackNotice(used, preferred string) string {
	return fmt.Sprintf("%s is used because %s is not set.", used, preferred)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// split breaks comma lists of paths up.
func split(lists []string) []string {
	var out []string
	for _, list := range lists {
		for part := range strings.SplitSeq(list, ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}
