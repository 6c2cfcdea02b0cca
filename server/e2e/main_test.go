package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// bin is the folder with the programs under test, built once.
var bin string //nolint:gochecknoglobals // TestMain has no other way to hand it over

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "culvert-e2e-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover of a test
	bin = dir
	args := []string{"build"}
	if raceEnabled {
		args = append(args, "-race")
	}
	args = append(args, "-o", dir+string(filepath.Separator),
		"github.com/culvert-project/culvert/cmd/culvert", "github.com/culvert-project/culvert/server/cmd/culvertd")
	build := exec.Command("go", args...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		panic(fmt.Errorf("build the programs: %w", err))
	}
	m.Run()
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"start":    cmdStart,
			"await":    cmdAwait,
			"signal":   cmdSignal,
			"finish":   cmdFinish,
			"fetch":    cmdFetch,
			"ask":      cmdAsk,
			"answered": cmdAnswered,
			"unready":  cmdUnready,
			"web":      cmdWeb,
			"exits":    cmdExits,
		},
	})
}

// setup gives a script its own home and the programs on its path.
func setup(env *testscript.Env) error {
	env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
	home := filepath.Join(env.WorkDir, "home")
	for _, dir := range []string{home, filepath.Join(env.WorkDir, "tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	env.Setenv("HOME", home)
	env.Setenv("XDG_STATE_HOME", filepath.Join(home, "state"))
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	env.Setenv("CULVERTD_DATA_DIR", filepath.Join(home, "data"))
	env.Setenv("CULVERTD_SSH_ADDR", "127.0.0.1:0") // scripts run at the same time
	env.Values[keyPrograms] = map[string]*program{}
	env.Values[keyAnswers] = map[string]chan error{}
	return nil
}
