package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/acme"
)

func TestDynamicUpdatesAsSetting(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("c2VjcmV0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]acme.Update{
		"rfc2136:ns.test:5353":                                        {Server: "ns.test:5353"},
		"rfc2136:ns.test?zone=a.test":                                 {Server: "ns.test:53", Zone: "a.test"},
		"rfc2136:[::1]?key=k&secret-file=" + file:                     {Server: "[::1]:53", Key: "k", Secret: "c2VjcmV0"},
		"rfc2136:x:1?algorithm=hmac-sha512&key=k&secret-file=" + file: {Server: "x:1", Algorithm: "hmac-sha512", Key: "k", Secret: "c2VjcmV0"},
	} {
		var o options
		if err := o.setACMEDNS(text); err != nil || o.node.ACME.DNS != want {
			t.Errorf("%s: got %+v, %v; want %+v", text, o.node.ACME.DNS, err, want)
		}
	}
	for _, bad := range []string{"", "exec:", "rfc2136:", "dns:x", "rfc2136:x?key=k", "rfc2136:x?secret=abc", "rfc2136:x?key=k&secret-file=/none"} {
		var o options
		if err := o.setACMEDNS(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestProgramsGetNoSecretsOfTheServer: a program for records gets the environment but for what is the server's own.
func TestProgramsGetNoSecretsOfTheServer(t *testing.T) {
	t.Setenv("CULVERTD_DATABASE_URL", "postgres://u:secret@h/d")
	t.Setenv("CULVERT_BOOTSTRAP_API_KEY", "secret")
	t.Setenv("DNS_TOKEN", "theirs")
	all := environment()
	if !slices.Contains(all, "DNS_TOKEN=theirs") || strings.Contains(strings.Join(all, "\n"), "secret") {
		t.Errorf("environment of programs: %v", all)
	}
}
