package renewal

import (
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// OwnNames says what a server wants for itself (decisions.md 56).
type OwnNames struct {
	// Domains are the base domains, canonical.
	Domains []string
	// Private says that the authorities are not those of the internet, and may
	// know names that are not its.
	Private bool
	// API says that the API is served as api.<domain>.
	API bool
	// Wildcards says that wildcards can be had.
	Wildcards bool
	// Chosen returns the names of endpoints that somebody has chosen.
	Chosen func() []string
}

// List returns the certificates that are wanted now: with wildcards one for each
// base domain and what is right below it, without them those for agents and the
// API; and one for each chosen name that none of these covers. Names that the server has chosen are never among them.
func (o OwnNames) List() []Own {
	var all []Own
	var bases []string
	for _, base := range o.Domains {
		if !o.known(base) {
			continue
		}
		bases = append(bases, base)
		switch {
		case o.Wildcards:
			all = append(all, Own{Name: "*." + base, Names: []string{"*." + base, base}})
		default:
			all = append(all, Own{Name: "connect." + base, Names: []string{"connect." + base}})
			if o.API {
				all = append(all, Own{Name: "api." + base, Names: []string{"api." + base}})
			}
		}
	}
	if len(bases) == 0 {
		return nil
	}
	for _, name := range o.Chosen() {
		_, parent, _ := strings.Cut(name, ".")
		under := func(base string) bool { return name == base || strings.HasSuffix(name, "."+base) }
		switch {
		case !slices.ContainsFunc(bases, under):
		case o.Wildcards && (slices.Contains(bases, name) || slices.Contains(bases, parent)):
		case !o.Wildcards && strings.HasPrefix(name, "*."):
		default:
			all = append(all, Own{Name: name, Names: []string{name}})
		}
	}
	return all
}

// known reports whether an authority can know a base domain.
func (o OwnNames) known(base string) bool {
	for _, own := range [...]string{"localhost", "internal"} {
		if base == own || strings.HasSuffix(base, "."+own) {
			return false
		}
	}
	if o.Private {
		return true
	}
	suffix, listed := publicsuffix.PublicSuffix(base)
	return listed && suffix != base
}
