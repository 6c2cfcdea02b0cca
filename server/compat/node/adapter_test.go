package node_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/culvert-project/culvert/server/compat/oracle"
)

// library adapts the SDK. It has no agent termination, and asks for names, not for URLs.
func library() oracle.Library {
	return oracle.Library{
		Connect: connect,
		Code: func(err error) string {
			if e, ok := errors.AsType[*scriptError](err); ok {
				return e.Code
			}
			return ""
		},
		Lacks: oracle.Lacks{AgentTLS: true, URLs: true},
	}
}

// scriptError is an error that the SDK has thrown.
type scriptError struct{ Message, Code string }

func (e *scriptError) Error() string { return e.Message }

// session is one node process.
type session struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	commands chan<- string
	beats    chan<- struct{}
	ended    chan struct{} // closed when the process has said its last word

	mu      sync.Mutex
	next    int
	waiting map[int]chan reply
}

// reply is one line of the driver.
type reply struct {
	ID      int    `json:"id"`
	Error   string `json:"error"`
	Code    string `json:"code"`
	Key     string `json:"key"`
	URL     string `json:"url"`
	Command string `json:"command"`
}

func connect(t *testing.T, set oracle.Settings) (oracle.Session, error) {
	driver, err := filepath.Abs("driver.mjs")
	if err != nil {
		return nil, err
	}
	s := &session{
		cmd:      exec.CommandContext(context.Background(), "node", driver),
		commands: set.Commands, beats: set.Beats, ended: make(chan struct{}), waiting: map[int]chan reply{},
	}
	s.cmd.Dir = t.TempDir() // the SDK keeps its sockets where it runs
	var stderr bytes.Buffer
	s.cmd.Stderr = &stderr
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.stdin = stdin
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go s.read(stdout)
	t.Cleanup(func() {
		s.Close()
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("node said:\n%s", stderr.String())
		}
	})
	_, err = s.do(t.Context(), map[string]any{
		"do": "connect", "addr": set.Addr, "ca": string(set.CA), "token": set.Token, "commands": set.Commands != nil, "beats": set.Beats != nil,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// read hands each line of the driver to whoever waits for it.
func (s *session) read(stdout io.Reader) {
	defer close(s.ended)
	for in := bufio.NewScanner(stdout); in.Scan(); {
		var r reply
		if json.Unmarshal(in.Bytes(), &r) != nil {
			continue // the SDK's own chatter
		}
		switch r.Command {
		case "":
		case "beat":
			select {
			case s.beats <- struct{}{}:
			default:
			}
			continue
		default:
			s.commands <- r.Command
			continue
		}
		s.mu.Lock()
		c := s.waiting[r.ID]
		delete(s.waiting, r.ID)
		s.mu.Unlock()
		if c != nil {
			c <- r
		}
	}
}

// do sends one request to the driver and waits for its answer.
func (s *session) do(ctx context.Context, m map[string]any) (reply, error) {
	c := make(chan reply, 1)
	s.mu.Lock()
	s.next++
	m["id"] = s.next
	s.waiting[s.next] = c
	line, err := json.Marshal(m)
	if err == nil {
		_, err = s.stdin.Write(append(line, '\n'))
	}
	s.mu.Unlock()
	if err != nil {
		return reply{}, err
	}
	select {
	case r := <-c:
		if r.Error != "" {
			return r, &scriptError{r.Error, r.Code}
		}
		return r, nil
	case <-s.ended:
		return reply{}, fmt.Errorf("%s: the node process has ended", m["do"])
	case <-ctx.Done():
		return reply{}, fmt.Errorf("%s: %w", m["do"], context.Cause(ctx))
	}
}

// Close ends the process, which is how this SDK ends a session for good.
func (s *session) Close() error {
	s.stdin.Close()
	<-s.ended
	s.cmd.Wait()
	return nil
}

func endpoint(e oracle.Endpoint) map[string]any {
	m := map[string]any{"scheme": e.Scheme, "host": e.Host, "pooling": e.Pooling, "proxy": e.PROXY, "edgeTLS": e.EdgeTLS, "http2": e.HTTP2, "policy": e.Policy, "binding": e.Binding}
	if e.EdgeCert != nil {
		m["cert"], m["key"] = string(e.EdgeCert.Cert), string(e.EdgeCert.Key)
	}
	if e.ClientCAs != nil {
		m["clientCAs"] = string(e.ClientCAs)
	}
	if e.Labels != nil {
		m["labels"] = e.Labels
	}
	return m
}

func (s *session) Listen(ctx context.Context, e oracle.Endpoint, app oracle.App) (oracle.Online, error) {
	a := map[string]any{"name": app.Name, "kind": app.Kind}
	if app.TLS != nil {
		a["tls"] = map[string]string{"cert": string(app.TLS.Cert), "key": string(app.TLS.Key)}
	}
	return s.online(ctx, map[string]any{"do": "listen", "endpoint": endpoint(e), "app": a})
}

func (s *session) Forward(ctx context.Context, e oracle.Endpoint, upstream string) (oracle.Online, error) {
	return s.online(ctx, map[string]any{"do": "forward", "endpoint": endpoint(e), "upstream": upstream})
}

func (s *session) online(ctx context.Context, m map[string]any) (oracle.Online, error) {
	r, err := s.do(ctx, m)
	if err != nil {
		return nil, err
	}
	return &online{s, r.Key, r.URL}, nil
}

type online struct {
	s        *session
	key, url string
}

func (o *online) URL() string { return o.url }

func (o *online) Close() error {
	_, err := o.s.do(context.Background(), map[string]any{"do": "close", "key": o.key})
	return err
}

// needNode skips the test where the SDK cannot run.
func needNode(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("node_modules/@ngrok/ngrok")
	}
	if err != nil {
		if os.Getenv("CULVERT_CI") != "" {
			t.Fatalf("%v; run: npm ci --prefix server/compat/node", err)
		}
		t.Skipf("%v; run: npm ci --prefix server/compat/node", err)
	}
}

func TestOracle(t *testing.T) {
	needNode(t)
	oracle.Run(t, library())
}
