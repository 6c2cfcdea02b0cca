package agent

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	culvert "github.com/culvert-project/culvert"
)

// lines writes one object of JSON for each change of state, for programs that
// start the agent with --json. A nil *lines writes nothing.
type lines struct {
	mu sync.Mutex
	w  io.Writer // guarded by mu
}

// stateLine is one line. Fields that do not apply are left out.
type stateLine struct {
	T        time.Time `json:"t"`
	Event    string    `json:"event"` // session, endpoint or stopped
	State    string    `json:"state,omitempty"`
	Session  string    `json:"session,omitempty"`
	Account  string    `json:"account,omitempty"`
	Region   string    `json:"region,omitempty"`
	Name     string    `json:"name,omitempty"`
	URL      string    `json:"url,omitempty"`
	Previous string    `json:"previous_url,omitempty"`
	Upstream string    `json:"upstream,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Err      string    `json:"err,omitempty"`
	Code     string    `json:"code,omitempty"`
}

func (l *lines) session(e *culvert.EventAgentStateChanged) {
	s := stateLine{T: e.Timestamp(), Event: "session", State: string(e.Leg.State)}
	if e.Session != nil {
		s.Session = e.Session.ID()
		if d, ok := e.Session.(culvert.AgentSessionDetails); ok {
			s.Account, s.Region = d.AccountName(), d.Region()
		}
	}
	s.explain(e.Leg.Err)
	l.write(s)
}

func (l *lines) endpoint(e *culvert.EventEndpointStateChanged, upstream string) {
	s := stateLine{
		T: e.Timestamp(), Event: "endpoint", State: string(e.State), Name: e.Endpoint.Name(),
		URL: e.Endpoint.URL().String(), Previous: e.PreviousURL, Upstream: upstream,
	}
	s.explain(e.Err)
	l.write(s)
}

func (l *lines) refused(e *refused, upstream string) {
	s := stateLine{T: e.at, Event: "endpoint", State: string(culvert.EndpointFailed), Name: e.name, Upstream: upstream}
	s.explain(e.err)
	l.write(s)
}

func (l *lines) stopped(reason string) {
	l.write(stateLine{T: time.Now(), Event: "stopped", Reason: reason})
}

// explain notes an error, unless it only says that the agent is stopping.
func (s *stateLine) explain(err error) {
	if err == nil || isStopping(err) {
		return
	}
	s.Err, s.Code = text(err), code(err)
}

func (l *lines) write(s stateLine) {
	if l == nil {
		return
	}
	b, err := json.Marshal(s)
	if err != nil { // strings and times always encode
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.w.Write(append(b, '\n'))
}

// joinID numbers connections as log readers expect it: short and hexadecimal.
func joinID(n uint64) string { return fmt.Sprintf("%012x", n) }
