package version_test

import (
	"runtime"
	"testing"

	"github.com/culvert-project/culvert/internal/version"
)

func TestWorkingCopyIsUnreleased(t *testing.T) {
	t.Parallel()
	b := version.Read()
	if b.Version != version.Unreleased || b.Go != runtime.Version() || b.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Fatalf("got %+v, want %s built here", b, version.Unreleased)
	}
}
