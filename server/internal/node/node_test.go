package node_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

func TestNewOpensNothingAndReportsEveryProblem(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	cfg := node.Config{
		DataDir: dir, TLSCert: "c.pem", BootstrapAuthtoken: "short",
		ExtraListeners: []node.ExtraListener{
			{Scheme: endpoint.HTTP, Port: 1}, {Scheme: endpoint.TLS, Port: 1}, {Scheme: endpoint.HTTPS, Port: 443},
		},
		Listen: func(context.Context, string, string) (net.Listener, error) {
			t.Error("New listens")
			return nil, errors.New("no")
		},
	}
	_, err := node.New(cfg)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("got %v, want joined faults", err)
	}
	if n := len(joined.Unwrap()); n != 4 {
		t.Errorf("got %d problems, want 4:\n%v", n, err)
	}
	for _, e := range joined.Unwrap() {
		if f := fault.From(e); f.Code == fault.Internal || f.Remedy == "" {
			t.Errorf("%v has no code or no remedy", e)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New made the data directory: %v", err)
	}
	if _, err := node.New(node.Config{}); !fault.Has(err, fault.SettingInvalid) {
		t.Errorf("no data directory: got %v", err)
	}
	// Fewer than 256 characters in more than 256 bytes: Run would refuse it.
	if _, err := node.New(node.Config{DataDir: dir, BootstrapAuthtoken: strings.Repeat("€", 100)}); !fault.Has(err, fault.BootstrapTokenInvalid) {
		t.Errorf("a token of 300 bytes: got %v", err)
	}
}

func TestSecondServerIsKeptOutOfTheDataDirectory(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	n, err := node.New(node.Config{DataDir: s.Info.DataDir})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); !fault.Has(err, fault.DataDirLocked) {
		t.Errorf("got %v, want 1003", err)
	}
}

func TestUnusableDataDirectory(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.Config{DataDir: filepath.Join(file, "data")})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context()); !fault.Has(err, fault.DataDirUnusable) {
		t.Errorf("got %v, want 1004", err)
	}
}

func TestDataDirectoryOpenToAllIsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode    os.FileMode
		refused bool
	}{{0o700, false}, {0o755, false}, {0o770, false}, {0o702, true}, {0o777, true}, {os.ModeSticky | 0o777, true}} {
		dir := t.TempDir()
		if err := os.Chmod(dir, tt.mode); err != nil {
			t.Fatal(err)
		}
		n, err := node.New(node.Config{DataDir: dir, Listen: memnetListen(memnet.New())})
		if err != nil {
			t.Fatal(err)
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if err := n.Run(stopped); fault.Has(err, fault.DataDirOpen) != tt.refused {
			t.Errorf("mode %v: got %v, want code 1018: %v", tt.mode, err, tt.refused)
		}
		if _, err := os.Stat(filepath.Join(dir, "sealing.key")); tt.refused && err == nil {
			t.Errorf("mode %v: a key was written", tt.mode)
		}
		if kept, err := node.Keeps(dir); !tt.refused && (!kept || err != nil) {
			t.Errorf("mode %v: Keeps = %v, %v", tt.mode, kept, err)
		}
	}
}

// TestOpenedLaterIsNoticed: so that no token is made where others may have put
// keys.
func TestOpenedLaterIsNoticed(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	if err := os.Chmod(s.Info.DataDir, 0o777); err != nil { //nolint:gosec // this is what must be refused
		t.Fatal(err)
	}
	if _, err := node.Keeps(s.Info.DataDir); !fault.Has(err, fault.DataDirOpen) {
		t.Errorf("got %v, want code 1018", err)
	}
}

func memnetListen(n *memnet.Network) func(context.Context, string, string) (net.Listener, error) {
	return func(_ context.Context, network, addr string) (net.Listener, error) { return n.Listen(network, addr) }
}

func TestTakenAddressIsNamedAndNothingStaysOpen(t *testing.T) {
	t.Parallel()
	net1 := memnet.New()
	taken, err := net1.Listen("tcp", node.DefaultAPIAddr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := node.New(node.Config{DataDir: t.TempDir(), Listen: memnetListen(net1)})
	if err != nil {
		t.Fatal(err)
	}
	err = n.Run(t.Context())
	if !fault.Has(err, fault.ListenFailed) || !strings.Contains(err.Error(), node.DefaultAPIAddr) ||
		!strings.Contains(fault.From(err).Remedy, "--api-addr") {
		t.Errorf("got %v, remedy %q", err, fault.From(err).Remedy)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{node.DefaultHTTPAddr, node.DefaultHTTPSAddr, node.DefaultAgentAddr, node.DefaultAPIAddr} {
		ln, err := net1.Listen("tcp", addr)
		if err != nil {
			t.Errorf("%s is still open: %v", addr, err)
			continue
		}
		ln.Close()
	}
}

func TestK08_FilesOfTheDataDirectoryArePrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	nodetest.Start(t, func(c *node.Config) { c.DataDir = dir })
	fi, err := os.Stat(dir)
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("data directory: got %v, %v", fi.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("got %d files, %v", len(files), err)
	}
	for _, f := range files {
		fi, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "ca.pem" {
			continue // a certificate, made to be given away
		}
		if fi.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", f.Name(), fi.Mode())
		}
	}
}

func TestFirstStartMakesOneToken(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.BootstrapAuthtoken = "" })
	token := s.Info.Authtoken
	if len(token) < 20 {
		t.Fatalf("got token %q", token)
	}
	s.Restart()
	if s.Info.Authtoken != "" {
		t.Error("the second start made another token")
	}
	files, err := filepath.Glob(filepath.Join(s.Info.DataDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), token) {
			t.Errorf("%s has the token in the clear", f)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		edit func(*node.Config)
		want string
	}{
		"default":    {func(*node.Config) {}, "localhost:9444"},
		"every host": {func(c *node.Config) { c.AgentAddr, c.Domains = ":9444", []string{"t.example.com"} }, "t.example.com:9444"},
		"every host, localhost": {
			func(c *node.Config) { c.AgentAddr = "0.0.0.0:9444" }, "localhost:9444",
		},
		"one host":   {func(c *node.Config) { c.AgentAddr = "192.0.2.1:9444" }, "192.0.2.1:9444"},
		"advertised": {func(c *node.Config) { c.AdvertiseAgent = "gw.example.com:443" }, "gw.example.com:443"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := nodetest.Start(t, tt.edit)
			if s.Info.ConnectURL != tt.want {
				t.Errorf("got connect URL %s, want %s", s.Info.ConnectURL, tt.want)
			}
			if s.Info.HTTPPort != 9080 || s.Info.HTTPSPort != 9443 || !strings.HasPrefix(s.Info.CAFingerprint, "sha256:") {
				t.Errorf("got %+v", s.Info)
			}
		})
	}
}

func TestStopBeforeTheStart(t *testing.T) {
	t.Parallel()
	n, err := node.New(node.Config{DataDir: t.TempDir(), HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", AgentAddr: "127.0.0.1:0", APIAddr: "127.0.0.1:0", SSHAddr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Run(ctx); err != nil {
		t.Errorf("got %v", err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/": 400, "/metrics": 400} {
		resp, body := s.Get("http://api.test:9400" + path)
		if resp.StatusCode != want {
			t.Errorf("%s: got %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
}

func TestNotReadyWhileDraining(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	hold, began := make(chan struct{}), make(chan struct{})
	a := s.Agent()
	ln := s.ServeHTTP(a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-hold
		w.Write([]byte("finished")) //nolint:errcheck // the client checks it
	}))
	got := make(chan string, 1)
	go func() {
		_, body := s.Get(ln.URL().String())
		got <- body
	}()
	<-began
	client := s.Client()
	if resp, _ := s.Do(client, http.MethodGet, "http://api.test:9400/readyz", nil); resp.StatusCode != 200 {
		t.Errorf("before: got %d", resp.StatusCode)
	}
	s.Shutdown()
	for { // until the signal has arrived
		resp, _ := s.Do(client, http.MethodGet, "http://api.test:9400/readyz", nil)
		if resp.StatusCode == http.StatusServiceUnavailable {
			break
		}
	}
	close(hold)
	if body := <-got; body != "finished" {
		t.Errorf("the request under way got %q", body)
	}
	s.Wait()
}

func TestGraceEndsEarlyWhenKilled(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.ShutdownGrace = time.Hour })
	a := s.Agent()
	echo := s.ServeEcho(a, "hi", endpointTCP())
	c := s.Dial(s.HostPort(echo.URL()))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.Stop()
}

func TestGraceIsOverInTime(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) { c.ShutdownGrace = 50 * time.Millisecond })
	a := s.Agent()
	echo := s.ServeEcho(a, "hi", endpointTCP())
	c := s.Dial(s.HostPort(echo.URL()))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	s.Shutdown()
	s.Wait()
}
