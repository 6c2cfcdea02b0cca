package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience bounds every single wait of a scenario.
const patience = 60 * time.Second

// poll is how often a file or a process is looked at.
const poll = 20 * time.Millisecond

type scriptKey int

const (
	keyPrograms scriptKey = iota
	keyAnswers
)

// program is a process in the background of a script.
type program struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
}

func programs(ts *testscript.TestScript) map[string]*program {
	return ts.Value(keyPrograms).(map[string]*program)
}

func running(ts *testscript.TestScript, name string) *program {
	p := programs(ts)[name]
	if p == nil {
		ts.Fatalf("no program is called %s", name)
	}
	return p
}

func cmdStart(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME CMD...")
	}
	name := args[0]
	path, err := exec.LookPath(bin + "/" + args[1])
	ts.Check(err)
	cmd := exec.Command(path, args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{
		"PATH", "HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "CULVERTD_DATA_DIR", "CULVERTD_SSH_ADDR", "CULVERT_BOOTSTRAP_AUTHTOKEN",
		"CULVERT_CONNECT_URL", "CULVERT_AUTHTOKEN", "CULVERT_CA_FINGERPRINT", "CULVERT_WEB",
	} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	stdout, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	stderr, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	ts.Check(cmd.Start())
	p := &program{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // the state tells the same
		stdout.Close()
		stderr.Close()
	}()
	programs(ts)[name] = p
	ts.Defer(func() {
		_ = cmd.Process.Kill() // may have ended
		<-p.ended
		for _, ext := range []string{".out", ".err"} {
			if text := ts.ReadFile(name + ext); text != "" {
				ts.Logf("[%s%s]\n%s", name, ext, text)
			}
		}
	})
}

func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: await FILE REGEXP")
	}
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Check(err)
		}
		if m := re.FindSubmatch(text); m != nil {
			for i, name := range re.SubexpNames() {
				if name != "" {
					ts.Setenv(name, string(m[i]))
				}
			}
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has no match for %s:\n%s", args[0], args[1], text)
		}
	}
}

func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{
		"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "HUP": syscall.SIGHUP, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT,
	}
	if neg || len(args) != 2 || signals[args[1]] == nil {
		ts.Fatalf("usage: signal NAME TERM|INT|KILL|HUP|STOP|CONT")
	}
	ts.Check(running(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

func cmdFinish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: finish NAME CODE")
	}
	p := running(ts, args[0])
	select {
	case <-p.ended:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended", args[0])
	}
	if got := p.cmd.ProcessState.ExitCode(); strconv.Itoa(got) != args[1] {
		ts.Fatalf("%s ended with exit code %d (%s), want %s", args[0], got, p.cmd.ProcessState, args[1])
	}
}

// client finds every name at loopback and trusts the CA in a file, if one is
// given.
func client(caFile string) (*http.Client, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", caFile)
		}
	}
	dial := loopback
	return &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{DialContext: dial, TLSClientConfig: cfg, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: fetch FILE URL [BODY]")
	}
	method, body := http.MethodGet, ""
	if len(args) == 3 {
		method, body = http.MethodPost, args[2]
	}
	ts.Check(fetch(ts.MkAbs(args[0]), ts.Getenv("CA"), method, args[1], body))
}

// fetch makes a request and writes the answer to a file.
func fetch(file, ca, method, url, body string) error {
	c, err := client(ca)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s\n", resp.Proto, resp.Status)
	if err := resp.Header.Write(&b); err != nil {
		return err
	}
	b.WriteString("\n")
	if _, err := b.ReadFrom(resp.Body); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o600)
}

func cmdAsk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ask FILE URL")
	}
	answers := ts.Value(keyAnswers).(map[string]chan error)
	file, ca, url := ts.MkAbs(args[0]), ts.Getenv("CA"), args[1]
	got := make(chan error, 1)
	answers[args[0]] = got
	done := make(chan struct{})
	go func() { defer close(done); got <- fetch(file, ca, http.MethodGet, url, "") }()
	ts.Defer(func() { <-done })
}

func cmdAnswered(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: answered FILE TEXT...")
	}
	select {
	case err := <-ts.Value(keyAnswers).(map[string]chan error)[args[0]]:
		ts.Check(err)
	case <-time.After(patience):
		ts.Fatalf("%s: no answer", args[0])
	}
	text := ts.ReadFile(args[0])
	for _, want := range args[1:] {
		if !strings.Contains(text, want) {
			ts.Fatalf("%s has no %q:\n%s", args[0], want, text)
		}
	}
}

func cmdUnready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unready URL")
	}
	c, err := client("")
	ts.Check(err)
	tick := time.NewTicker(poll)
	defer tick.Stop()
	// Long enough for the next signal to be another one.
	for since := time.Now(); time.Since(since) < 300*time.Millisecond; <-tick.C {
		resp, err := c.Get(args[0])
		ts.Check(err)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			since = time.Now()
		}
	}
}

func cmdWeb(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: web NAME")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	log, err := os.Create(ts.MkAbs("web.log"))
	ts.Check(err)
	srv := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(log, "%s %s\n", r.Method, r.URL.Path)
		if d, err := time.ParseDuration(strings.TrimPrefix(r.URL.Path, "/hold/")); err == nil {
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
		}
		fmt.Fprintf(w, "%s %s says %s to %s\n", r.Method, r.URL.Path, body, r.Host)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	ts.Defer(func() { srv.Close(); <-done; log.Close() })
	ts.Setenv(args[0], strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
}

// cmdExits runs a program of ours and wants an exit code: exits CODE CMD...
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if ended, ok := errors.AsType[*exec.ExitError](err); ok {
		got = ended.ExitCode()
	} else if err != nil {
		ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}
