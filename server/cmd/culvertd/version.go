package main

import "runtime/debug"

// unreleased is the version of a program that was built from a working copy.
const unreleased = "0.1.0-dev"

// version returns the version that the program was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unreleased
	}
	if v := info.Main.Version; len(v) > 1 && v[0] == 'v' {
		return v[1:]
	}
	return unreleased
}

// commit returns the start of the revision that the program was built from, ""
// if it is not known.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(len(s.Value), 12)]
		}
	}
	return ""
}
