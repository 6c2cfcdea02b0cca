package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/internal/fault"
)

func TestK10_SecretsLeaveTheEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "token")
	if err := os.WriteFile(file, []byte("from_the_file_0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, []byte(strings.Repeat("x", maxSecretFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
		code fault.Code
	}{
		"unset":                    {},
		"variable":                 {env: map[string]string{"S": "value"}, want: "value"},
		"file":                     {env: map[string]string{"S_FILE": file}, want: "from_the_file_0123456789"},
		"variable before file":     {env: map[string]string{"S": "value", "S_FILE": file}, want: "value"},
		"missing file":             {env: map[string]string{"S_FILE": file + "x"}, code: fault.SecretUnreadable},
		"file that is no secret":   {env: map[string]string{"S_FILE": large}, code: fault.SecretUnreadable},
		"folder instead of a file": {env: map[string]string{"S_FILE": dir}, code: fault.SecretUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &program{
				getenv:   func(n string) (string, bool) { v, ok := tt.env[n]; return v, ok },
				unsetenv: func(n string) { delete(tt.env, n) },
			}
			got, err := p.secret("S")
			if got != tt.want || (err == nil) != (tt.code == "") || err != nil && !fault.Has(err, tt.code) {
				t.Errorf("got %q, %v, want %q, %s", got, err, tt.want, tt.code)
			}
			if len(tt.env) != 0 {
				t.Errorf("the environment has %v still", tt.env)
			}
		})
	}
}
