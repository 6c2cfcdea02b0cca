package oracle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// scenario is one thing that a library and the server must do together.
type scenario struct {
	name string
	// lacks tells that a library cannot be asked for it.
	lacks func(Lacks) bool
	// alone gives the scenario a server of its own, because it stops it or counts its sessions.
	alone bool
	// process gives it a server in a process of its own, because it kills it.
	process bool
	run     func(*testing.T, *Stage)
}

// Stage is where a scenario plays: one server, one library, a host name that nobody else uses.
type Stage struct {
	*Server
	Library Library
	// Name is unlike that of any other scenario of the server, and good as a label of a host name.
	Name string

	process *Process // if the scenario asked for one
}

// scenarios is the suite, in the order of its output.
func scenarios() []scenario {
	var all []scenario
	all = append(all, listenScenarios()...)
	all = append(all, forwardScenarios()...)
	all = append(all, tlsScenarios()...)
	all = append(all, poolScenarios()...)
	all = append(all, policyScenarios()...)
	all = append(all, refusalScenarios()...)
	all = append(all, lifeScenarios()...)
	return all
}

// Run plays every scenario that lib can take part in.
func Run(t *testing.T, lib Library) {
	shared := Start(t)
	culvertd := program(t.TempDir())
	for _, sc := range scenarios() {
		if sc.lacks != nil && sc.lacks(lib.Lacks) {
			continue
		}
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			st := &Stage{Server: shared, Library: lib, Name: strings.ReplaceAll(sc.name, "_", "-")}
			switch {
			case sc.process:
				path, err := culvertd()
				if err != nil {
					t.Fatal(err)
				}
				st.process = startProcess(t, path)
				st.Server = &st.process.Server
			case sc.alone:
				st.Server = Start(t)
			}
			sc.run(t, st)
		})
	}
}

// Host is a host name of this scenario alone.
func (st *Stage) Host(parts ...string) string {
	return strings.Join(append(parts, st.Name, st.Domain), ".")
}

// Session opens a session that nothing should keep from opening.
func (st *Stage) Session(t *testing.T) Session {
	t.Helper()
	s, err := st.Library.Connect(t, Settings{Addr: st.AgentAddr, CA: st.CA, Token: st.Token})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// Listen brings an endpoint online in a session of its own.
func (st *Stage) Listen(t *testing.T, e Endpoint, app App) Online {
	t.Helper()
	return MustListen(t, st.Session(t), e, app)
}

// MustListen brings an endpoint online that nothing should keep from it.
func MustListen(t *testing.T, s Session, e Endpoint, app App) Online {
	t.Helper()
	o, err := s.Listen(t.Context(), e, app)
	if err != nil {
		t.Fatalf("listen %+v: %v", e, err)
	}
	return o
}

// Forward does the same with an upstream.
func (st *Stage) Forward(t *testing.T, e Endpoint, upstream string) Online {
	t.Helper()
	o, err := st.Session(t).Forward(t.Context(), e, upstream)
	if err != nil {
		t.Fatalf("forward %+v to %s: %v", e, upstream, err)
	}
	return o
}

// WantCode fails unless err is a refusal with this code.
func (st *Stage) WantCode(t *testing.T, err error, code string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", code)
	}
	if got := st.Library.Code(err); got != code {
		t.Errorf("code %q (%v), want %q", got, err, code)
	}
}

// WantStatus fails unless err is an answer with this status and code.
func WantStatus(err error, status int, code string) error {
	if se, ok := errors.AsType[*StatusError](err); ok && se.Status == status && se.Code == code {
		return nil
	}
	return fmt.Errorf("got something else than status %d and code %s: %w", status, code, err)
}
