package acme

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mholt/acmez/v3/acme"
)

// TestT17_ProofsOfOneHost: a proof is given for its own host and token, and as
// long as the order is under way.
func TestT17_ProofsOfOneHost(t *testing.T) {
	t.Parallel()
	var c Challenges
	proof := acme.Challenge{Token: "tok", KeyAuthorization: "tok.thumb", Identifier: acme.Identifier{Type: "dns", Value: "a.example.com"}}
	ways := []interface {
		Present(ctx context.Context, p acme.Challenge) error
		CleanUp(ctx context.Context, p acme.Challenge) error
	}{overHTTP{&c}, overTLS{&c}}
	for _, w := range ways {
		if err := w.Present(t.Context(), proof); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := c.Answer("a.example.com", "tok"); got != "tok.thumb" || !ok {
		t.Errorf("Answer = %q, %v", got, ok)
	}
	for _, other := range [][2]string{{"b.example.com", "tok"}, {"a.example.com", "other"}, {"a.example.com", ""}} {
		if got, ok := c.Answer(other[0], other[1]); ok {
			t.Errorf("Answer(%q, %q) = %q", other[0], other[1], got)
		}
	}
	if c.Certificate("a.example.com") == nil || c.Certificate("b.example.com") != nil {
		t.Error("certificates: want one for the name under proof alone")
	}
	for _, w := range ways {
		if err := w.CleanUp(t.Context(), proof); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := c.Answer("a.example.com", "tok"); ok || c.Certificate("a.example.com") != nil {
		t.Error("proofs are left after the order")
	}
}

// TestPrograms: what a program says when it fails is told, within bounds.
func TestPrograms(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "dns")
	script := "#!/bin/sh\n[ \"$1\" = present ] && exit 0\ni=0; while [ $i -lt 500 ]; do echo 'filler filler'; i=$((i+1)); done\necho \"no zone for $2\" >&2\nexit 3\n"
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	p := Program{Path: path, Env: []string{"PATH=/usr/bin:/bin"}}
	if err := p.Present(t.Context(), "_acme-challenge.a.example", "v"); err != nil {
		t.Errorf("Present: %v", err)
	}
	err := p.CleanUp(t.Context(), "_acme-challenge.a.example", "v")
	if err == nil || !strings.HasSuffix(err.Error(), "no zone for _acme-challenge.a.example") || len(err.Error()) > 2*maxSaid {
		t.Errorf("CleanUp: %v; want what the program said last", err)
	}
}
