package node_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// sshPatience bounds what a test waits for a program.
const sshPatience = 30 * time.Second

// sshWorld is a server with a real socket for SSH clients, and a client's key.
type sshWorld struct {
	*nodetest.Server
	t   *testing.T
	dir string
	key string // of the client, a file
	pub string // its public line
}

func startSSH(t *testing.T, edit ...func(*node.Config)) *sshWorld {
	t.Helper()
	const addr = "127.0.0.1:0"
	s := nodetest.Start(t, append([]func(*node.Config){func(c *node.Config) {
		below := c.Listen
		c.SSHAddr = addr
		c.Listen = func(ctx context.Context, network, a string) (net.Listener, error) {
			if a == addr {
				return netx.Listen(ctx, network, a)
			}
			return below(ctx, network, a)
		}
	}}, edit...)...)
	w := &sshWorld{Server: s, t: t, dir: t.TempDir()}
	w.key, w.pub = w.newKey("id")
	return w
}

// newKey makes a key pair and returns the file of the private one and the line of the public one.
func (w *sshWorld) newKey(name string) (file, line string) {
	w.t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, name)
	if err != nil {
		w.t.Fatal(err)
	}
	file = filepath.Join(w.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		w.t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(pub)
	if err != nil {
		w.t.Fatal(err)
	}
	return file, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + name + "@test"
}

// signer is the client's key for the library.
func (w *sshWorld) signer() ssh.Signer {
	w.t.Helper()
	text, err := os.ReadFile(w.key)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := ssh.ParsePrivateKey(text)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// register registers the client's key and returns the id of the credential.
func (w *sshWorld) register(fields map[string]any) string {
	w.t.Helper()
	all := map[string]any{"public_key": w.pub}
	for k, v := range fields {
		all[k] = v
	}
	return w.API().Create("/ssh_credentials", all)
}

// sshClient is a running OpenSSH client.
type sshClient struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string
	stderr *bytes.Buffer
	ended  chan struct{}
}

// openSSH starts OpenSSH's client with the world's key.
func (w *sshWorld) openSSH(args ...string) *sshClient {
	w.t.Helper()
	program, err := exec.LookPath("ssh")
	if err != nil {
		if os.Getenv("CULVERT_CI") != "" {
			w.t.Fatal("OpenSSH's client is not installed")
		}
		w.t.Skip("OpenSSH's client is not installed")
	}
	_, port, err := net.SplitHostPort(w.Info.SSH.String())
	if err != nil {
		w.t.Fatal(err)
	}
	all := append([]string{
		"-F", "none", "-i", w.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=" + filepath.Join(w.dir, "known_hosts"), "-p", port,
	}, args...)
	ctx, cancel := context.WithTimeout(context.Background(), 2*sshPatience)
	c := &sshClient{t: w.t, cmd: exec.CommandContext(ctx, program, all...), lines: make(chan string, 64), stderr: new(bytes.Buffer), ended: make(chan struct{})}
	stdout, err := c.cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	c.cmd.Stderr = c.stderr
	if err := c.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(c.lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			c.lines <- scan.Text()
		}
	})
	go func() {
		defer close(c.ended)
		reading.Wait()
		_ = c.cmd.Wait() // its exit status is looked at
	}()
	w.t.Cleanup(func() {
		cancel()
		<-c.ended
	})
	return c
}

// url waits for the URL of a forward.
func (c *sshClient) url() string {
	c.t.Helper()
	over := time.After(sshPatience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				<-c.ended
				c.t.Fatalf("ssh ended without a URL: %s", c.stderr)
			}
			if u, ok := strings.CutPrefix(line, "Forwarding  "); ok {
				return u
			}
		case <-over:
			c.t.Fatal("ssh shows no URL")
		}
	}
}

// end waits until the client has ended, and returns its exit status and what it said.
func (c *sshClient) end() (status int, said string) {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(sshPatience):
		c.t.Fatal("ssh does not end")
	}
	var out []string
	for line := range c.lines {
		out = append(out, line)
	}
	return c.cmd.ProcessState.ExitCode(), strings.Join(out, "\n") + c.stderr.String()
}

// service is a web server on a real port.
func service(t *testing.T, text string) (port string) {
	t.Helper()
	s := httptest.NewServer(nodetest.Text(text))
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// get returns status and body of a URL at the server.
func (w *sshWorld) get(url string) (int, string) {
	w.t.Helper()
	resp, err := w.Client().Get(url) //nolint:noctx // the client has a timeout
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestAgent39_OpenSSH: a stock client puts a web server online, under a random name and under a chosen one.
func TestAgent39_OpenSSH(t *testing.T) {
	t.Parallel()
	w := startSSH(t)
	id := w.register(nil)
	port := service(t, "hello")

	random := w.openSSH("-R", "0:127.0.0.1:"+port, "v2@127.0.0.1", "http").url()
	if status, body := w.get(random); status != http.StatusOK || body != "hello" {
		t.Errorf("GET %s: got %d %q, want 200 hello", random, status, body)
	}
	chosen := w.openSSH("-R", "app.culvert.localhost:443:127.0.0.1:"+port, "v2@127.0.0.1", "http").url()
	if chosen != "https://app.culvert.localhost:9443" {
		t.Errorf("the chosen URL is %s", chosen)
	}
	if status, body := w.get(chosen); status != http.StatusOK || body != "hello" {
		t.Errorf("GET %s: got %d %q, want 200 hello", chosen, status, body)
	}
	if status, said := w.openSSH("-R", "0:127.0.0.1:"+port, "v2@127.0.0.1", "udp").end(); status == 0 || !strings.Contains(said, "ERR_NGROK_1108") {
		t.Errorf("the command udp: got status %d and %q, want ERR_NGROK_1108", status, said)
	}
	w.key, _ = w.newKey("other")
	if status, said := w.openSSH("-R", "0:127.0.0.1:"+port, "v2@127.0.0.1", "http").end(); status == 0 || !strings.Contains(said, "ERR_NGROK_1102") {
		t.Errorf("an unknown key: got status %d and %q, want ERR_NGROK_1102", status, said)
	}
	sessions := w.API().List("/tunnel_sessions")
	if len(sessions) != 2 || sessions[0]["transport"] != "ssh" || sessions[0]["credential"].(map[string]any)["id"] != id {
		t.Errorf("the sessions are %v", sessions)
	}
}
