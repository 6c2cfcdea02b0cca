package cli_test

import "testing"

// TestPolicyNeedsTheServersProgram names the fix when culvertd is nowhere; its
// exit code is not the one of a policy that was refused. What happens with
// culvertd is in server/e2e.
func TestPolicyNeedsTheServersProgram(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	i := h.program("policy", "check", "-o", "json", "policy.yml")
	i.program.Env = []string{"HOME=" + h.dir, "PATH=" + t.TempDir()}
	i.start(t)
	i.wait(t)
	i.check(t, 2, "culvert policy is done by the program culvertd", "Install culvertd beside culvert", "ERR_CULVERT_1234")
	if out := i.out.String(); out != "" {
		t.Errorf("got %q on standard output", out)
	}
}
