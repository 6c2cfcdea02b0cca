package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/culvert-project/culvert/server/internal/policy"
)

func TestRedactor(t *testing.T) {
	t.Parallel()
	x := policy.NewExchange(nil, &policy.Conn{Disclosed: []string{"of the connection"}})
	values := map[string]string{"a": `qu"ote<d>`, "b": "abcd", "c": "abcdefgh", "d": "12345", "short": "abc"}
	x.Services.Secret = func(_, _, name string) (string, error) { return values[name], nil }
	if err := x.Log(map[string]any{"before": `a qu"ote<d>`, "abcdX": []any{"abcdefghi", 12345, 1, true, nil}}); err != nil {
		t.Fatal(err)
	}
	for name := range values {
		if _, err := x.Secret("v", name); err != nil {
			t.Fatal(err)
		}
	}
	r := x.Redactor()
	for text, want := range map[string]string{
		"of the connection, abcdefgh, abcd": "***, ***, ***",
		"abc stays":                         "abc stays",
		`in "qu\"ote<d>"`:                   `in "***"`,
		"/p?x=qu%22ote%3Cd%3E":              "/p?x=***",
	} {
		if got := r.Text(text); got != want {
			t.Errorf("Text(%q) = %q, want %q", text, got, want)
		}
	}
	for path, want := range map[string]string{"/%61bcd/x%20": "/***/x ", "/other%20": "/other%20", "/abcd%zz": "/***%zz"} {
		if got := r.Path(path); got != want {
			t.Errorf("Path(%q) = %q, want %q", path, got, want)
		}
	}
	text, err := json.Marshal(r.Logs(x.Logs))
	if want := `[{"metadata":{"***X":["***i","***",1,true,null],"before":"a ***"}}]`; err != nil || string(text) != want {
		t.Errorf("Logs: got %s, %v, want %s", text, err, want)
	}
}

// Policies that use no secret pay nothing.
func TestRedactorOfNothing(t *testing.T) {
	t.Parallel()
	x := policy.NewExchange(nil, &policy.Conn{})
	r := x.Redactor()
	logs := []map[string]any{{"metadata": json.RawMessage(`{"a":1}`)}}
	if got := r.Logs(logs); r != nil || r.Text("a") != "a" || r.Path("/%61") != "/%61" || len(got) != 1 || &got[0] != &logs[0] {
		t.Errorf("got %v, %v, want nothing changed", r, got)
	}
}
