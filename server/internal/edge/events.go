package edge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// maxEvent is the largest event that a policy sees. A larger one passes as it
// is (traffic-policy.md 6.24).
const maxEvent = 1 << 20

// isEventStream reports whether a policy can read a response's events.
func isEventStream(resp *http.Response) bool {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return media == "text/event-stream" && resp.Body != nil && resp.Header.Get("Content-Encoding") == ""
}

// watchEvents runs the event phase for each event of the body.
func (x *exchange) watchEvents(resp *http.Response) {
	resp.Body = &events{x: x, body: resp.Body, in: bufio.NewReader(resp.Body)}
	resp.ContentLength = -1
	delete(resp.Header, "Content-Length")
}

// events is the body of an event stream whose events go through the policy. A
// Read returns at most one event, so that each leaves at once.
type events struct {
	x    *exchange
	body io.ReadCloser
	in   *bufio.Reader

	out   []byte
	err   error
	large bool // inside an event that is too large
}

// Read returns the rest of an event, or waits for the next.
func (e *events) Read(p []byte) (int, error) {
	for len(e.out) == 0 {
		if e.err != nil {
			return 0, e.err
		}
		e.next()
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

// Close ends the stream.
func (e *events) Close() error { return e.body.Close() }

// next reads an event with the empty line that ends it.
func (e *events) next() {
	var event []byte
	for {
		line, err := e.in.ReadSlice('\n')
		whole := err == nil
		event = append(event, line...)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			e.err = err
			break
		}
		if whole && len(bytes.TrimRight(line, "\r\n")) == 0 && ends(event) {
			break
		}
		if len(event) > maxEvent {
			e.large, e.out = true, event
			return
		}
	}
	if e.large || e.err != nil { // what the end cuts off is no event
		e.large, e.out = false, event
		return
	}
	e.out = e.judge(event)
}

// ends reports whether an empty line at the end is a line of its own.
func ends(event []byte) bool {
	rest := bytes.TrimSuffix(bytes.TrimSuffix(event, []byte("\n")), []byte("\r"))
	return len(rest) == 0 || rest[len(rest)-1] == '\n'
}

// judge runs the policy over an event and returns it as it is to be sent.
func (e *events) judge(event []byte) []byte {
	m := parseEvent(event)
	if !m.any {
		return event
	}
	px := e.x.run.px
	before := m.Message
	px.Message = &m.Message
	v, err := e.x.run.program.Run(e.x.policyContext(), policy.OnEventStreamMessage, px)
	px.Message = nil
	switch {
	case err != nil:
		e.err = e.x.policyFault(err)
		return nil
	case v == policy.Close:
		e.err = e.x.drop()
		return nil
	case m.Message == before:
		return event
	}
	return m.rewrite(event)
}

// message is an event with what is known of its lines.
type message struct {
	policy.Message
	any, data bool
}

// field splits a line of an event; a comment has no name.
func field(line string) (name, value string) {
	name, value, _ = strings.Cut(strings.TrimRight(line, "\r\n"), ":")
	return name, strings.TrimPrefix(value, " ")
}

func parseEvent(event []byte) message {
	var m message
	var data []string
	for line := range strings.Lines(string(event)) {
		switch name, value := field(line); name {
		case "data":
			data, m.any, m.data = append(data, value), true, true
		case "retry":
			m.Retry, m.any = value, true
		case "event", "id":
			m.any = true
		}
	}
	m.Data = strings.Join(data, "\n")
	return m
}

// rewrite returns the event with other data and retry. Everything else stays.
func (m *message) rewrite(event []byte) []byte {
	var out bytes.Buffer
	wrote := false
	data := func() {
		if wrote || !m.data && m.Data == "" {
			return
		}
		wrote = true
		for line := range strings.SplitSeq(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(m.Data), "\n") {
			out.WriteString("data: " + line + "\n")
		}
	}
	for line := range strings.Lines(string(event)) {
		switch name, _ := field(line); {
		case name == "data":
			data()
		case name == "retry":
			if digits(m.Retry) {
				out.WriteString("retry: " + m.Retry + "\n")
			}
		case strings.TrimRight(line, "\r\n") == "":
			data()
			out.WriteString(line)
		default:
			out.WriteString(line)
		}
	}
	return out.Bytes()
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
