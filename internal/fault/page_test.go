package fault_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md")

const pageHead = `# Error codes

This page is generated from the catalogue in ` + "`internal/fault`" + `; do not edit it. To write it anew, run
` + "`go test ./internal/fault -run TestErrorsPage -update`" + `.

Every error that Culvert shows carries one of these codes: in the agent's output, in the ` + "`Ngrok-Error-Code`" + ` header and the
body of an error answer, in the errors of the SDKs and in the logs. Codes that begin with ` + "`ERR_NGROK_`" + ` mean what
ngrok-compatible clients expect of them; codes that begin with ` + "`ERR_CULVERT_`" + ` are Culvert's own. The HTTP status is the one of
an answer that reports the error; a dash means that there is no such answer. In the texts, ‹…› stands for what the case fills in.
`

// page prints the catalogue as Markdown.
func page() []byte {
	var b bytes.Buffer
	b.WriteString(pageHead)
	section := ""
	for _, e := range fault.All() {
		s := "Reference codes"
		if strings.HasPrefix(string(e.Code), "ERR_CULVERT_") {
			s = "Codes of our own"
		}
		if s != section {
			section = s
			fmt.Fprintf(&b, "\n## %s\n", section)
		}
		status := "–"
		if e.Status != 0 {
			status = fmt.Sprint(e.Status)
		}
		fmt.Fprintf(&b, "\n### %s\n\n**%s** · HTTP status %s\n\n%s\n\n*What to do:* %s\n", e.Code, e.Title, status, blanks(e.Message), blanks(e.Remedy))
	}
	return b.Bytes()
}

var verbs = regexp.MustCompile(`%(\[\d\])?[sdq]`)

func blanks(format string) string {
	s := verbs.ReplaceAllString(format, "‹…›")
	return strings.NewReplacer("%%", "%", "*", `\*`, "<", "&lt;").Replace(s)
}

func TestErrorsPageMatchesCatalogue(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "errors.md")
	want := page()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/errors.md differs from the catalogue; run: go test ./internal/fault -run TestErrorsPage -update")
	}
}
