package report_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/report"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	problems := strictyaml.Problems{{File: "a.yml", Line: 2, Key: "b", Message: "unknown key"}, {File: "a.yml", Line: 3, Key: "c", Message: "unknown key"}}
	twoLines := fault.New(fault.TokenMissing)
	twoLines.Remedy = "Do this.\nOr that."
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"no fault", errors.New("odd"), "ERROR:  odd\n"},
		{
			"fault inside an error", fmt.Errorf("start: %w", fault.New(fault.ServerUsage, "Unknown flag --x")),
			"ERROR:  Unknown flag --x.\nERROR:  Run the command with --help to see how it is used.\nERROR:\nERROR:  ERR_CULVERT_1017\n" +
				"ERROR:  https://github.com/culvert-project/culvert/blob/main/docs/errors.md#err_culvert_1017\n",
		},
		{
			"problems of a file", fault.Wrap(problems, fault.ConfigInvalid, problems[0].String()),
			"ERROR:  a.yml:2: b: unknown key\nERROR:  a.yml:3: c: unknown key\nERROR:  Correct the file; \"culvert config check\" names every problem with its line.\n" +
				"ERROR:\nERROR:  ERR_CULVERT_1202\nERROR:  https://github.com/culvert-project/culvert/blob/main/docs/errors.md#err_culvert_1202\n",
		},
		{
			"remedy of two lines", twoLines,
			"ERROR:  The agent has no authtoken, and the server asks for one.\nERROR:  Do this.\nERROR:  Or that.\n" +
				"ERROR:\nERROR:  ERR_NGROK_4018\nERROR:  https://github.com/culvert-project/culvert/blob/main/docs/errors.md#err_ngrok_4018\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			report.Of(tt.err).Write(&b)
			if b.String() != tt.want {
				t.Errorf("got\n%swant\n%s", b.String(), tt.want)
			}
		})
	}
}
