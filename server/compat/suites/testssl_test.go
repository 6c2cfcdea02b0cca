//go:build !race

package suites_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// testsslFinding is one line of what testssl.sh reports.
type testsslFinding struct {
	ID       string `json:"id"`
	Severity string `json:"severity"`
	Finding  string `json:"finding"`
}

// testsslFine are the severities of what is no problem.
var testsslFine = map[string]bool{"OK": true, "INFO": true, "DEBUG": true}

// testsslKnown are findings that stand, and why.
var testsslKnown = map[string]string{
	"engine_problem": "about the openssl that testssl.sh calls",
	"TLS_session_ticket": "a resumed session of TLS 1.3 agrees on keys anew, and that of TLS 1.2 there is none; " +
		"crypto/tls says seven days by itself, and has a new ticket key every day",
	"cert_revocation": "about the certificate: those of the development CA live for 90 days and cannot be revoked",
}

// TestTestSSL runs testssl.sh against the listeners for https and for agents: protocols and ciphers; whole, forward
// secrecy, server defaults and the named attacks too.
func TestTestSSL(t *testing.T) {
	t.Parallel()
	path := program(t, "testssl")
	w := start(t, edge.Limits{})
	w.forward(t, "https://"+name, web(t, nodetest.Text("testssl")))
	for _, tt := range []struct {
		name  string
		addr  net.Addr
		known map[string]string
	}{
		{"https", w.Info.HTTPS, map[string]string{
			"secure_renego": "asked for without a server name, which this listener refuses; that for agents shows it",
		}},
		{"agents", w.Info.Agent, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			report := filepath.Join(t.TempDir(), "report.json")
			args := []string{
				"--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--ip", "127.0.0.1", "--add-ca", w.Info.CAFile,
				"--jsonfile", report, "-p", "-s",
			}
			least := 15 // findings
			if full() {
				args, least = append(args, "-f", "-S", "-U"), 60
			}
			out, err := exec.CommandContext(t.Context(), path, append(args, w.hostPort(tt.addr))...).CombinedOutput()
			if err != nil {
				t.Logf("testssl.sh ends with %v", err) // its exit code counts findings
			}
			above, all := 0, testsslFindings(t, report)
			for _, f := range all {
				switch {
				case testsslFine[f.Severity]:
				case testsslKnown[f.ID] != "":
					t.Logf("%s: %s: %s: known: %s", f.Severity, f.ID, f.Finding, testsslKnown[f.ID])
				case tt.known[f.ID] != "":
					t.Logf("%s: %s: %s: known: %s", f.Severity, f.ID, f.Finding, tt.known[f.ID])
				default:
					above++
					t.Errorf("%s: %s: %s", f.Severity, f.ID, f.Finding)
				}
			}
			scores.add(t, "testssl.sh 3.0.8, listener for "+tt.name, fmt.Sprintf("%d of %d findings above OK", above, len(all)))
			if len(all) < least {
				t.Errorf("got %d findings, want %d or more; it says\n%s", len(all), least, tail(out))
			}
		})
	}
}

func testsslFindings(t *testing.T, file string) []testsslFinding {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all []testsslFinding
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return all
}
