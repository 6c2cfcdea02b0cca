package wire

import (
	"fmt"
	"slices"
)

// Versions returns the protocol versions that Culvert speaks, best first.
// Version 3 added [StopTunnel].
func Versions() []string { return []string{"3", "2"} }

// ChooseVersion picks the best version that both sides speak. It fails if
// there is none; a client that offers nothing is taken to speak "2".
func ChooseVersion(offered []string) (string, error) {
	if len(offered) == 0 {
		return "2", nil
	}
	for _, v := range Versions() {
		if slices.Contains(offered, v) {
			return v, nil
		}
	}
	return "", fmt.Errorf("choose protocol version: none of %.100q is supported, want one of %q", offered, Versions())
}
