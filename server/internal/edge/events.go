package edge

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/culvert-project/culvert/server/internal/coding"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// maxEvent is the largest event that a policy sees. A larger one passes as it
// is (traffic-policy.md 6.24).
const maxEvent = 1 << 20

// isEventStream reports whether a policy can read a response's events.
func isEventStream(resp *http.Response) bool {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	_, known := coding.Of(resp.Header)
	return media == "text/event-stream" && resp.Body != nil && known
}

// watchEvents runs the event phase for each event of the body, which leaves
// without content coding.
func (x *exchange) watchEvents(resp *http.Response) {
	var in io.Reader = resp.Body
	if codings, _ := coding.Of(resp.Header); len(codings) > 0 {
		in = &decoded{body: resp.Body, codings: codings}
	}
	resp.Body = &events{x: x, body: resp.Body, in: bufio.NewReader(in)}
	resp.ContentLength = -1
	delete(resp.Header, "Content-Length")
	delete(resp.Header, "Content-Encoding")
}

// decoded takes the codings off a body. Nothing is read before somebody reads.
type decoded struct {
	body    io.Reader
	codings []string
	plain   io.Reader
}

func (d *decoded) Read(p []byte) (int, error) {
	if d.plain == nil {
		var err error
		if d.plain, err = coding.NewReader(d.body, d.codings); err != nil {
			return 0, err
		}
	}
	return d.plain.Read(p)
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
	part  bool // inside a line
	bare  bool // lines end with CR alone
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
		start := len(event)
		var whole bool
		event, whole = e.line(event)
		if e.err != nil || whole && !e.part && empty(event[start:]) {
			break
		}
		e.part = !whole
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

// line appends the rest of a line with its end to b, or a part of one that is
// too long. Lines end with CR LF, LF or CR.
func (e *events) line(b []byte) ([]byte, bool) {
	start := len(b)
	for len(b) <= maxEvent {
		if _, e.err = e.in.Peek(1); e.err != nil {
			return b, false
		}
		ahead, _ := e.in.Peek(e.in.Buffered()) // it is there
		i := bytes.IndexAny(ahead, "\r\n")
		if i < 0 {
			b = append(b, ahead...)
			_, _ = e.in.Discard(len(ahead))
			continue
		}
		cr := ahead[i] == '\r'
		b = append(b, ahead[:i+1]...)
		_, _ = e.in.Discard(i + 1)
		if cr && !(e.bare && empty(b[start:])) {
			// Where lines end with CR alone, the one that ends an event must not
			// wait for what comes next.
			after, err := e.in.Peek(1)
			if e.bare = err == nil && after[0] != '\n'; err == nil && !e.bare {
				b = append(b, '\n')
				_, _ = e.in.Discard(1)
			}
		}
		return b, true
	}
	return b, false
}

// empty reports whether a line is nothing but its end.
func empty(line []byte) bool { return len(bytes.Trim(line, "\r\n")) == 0 }

// lines ranges over the lines of an event, with their ends.
func lines(event string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for event != "" {
			n := strings.IndexAny(event, "\r\n") + 1
			switch {
			case n == 0:
				n = len(event)
			case strings.HasPrefix(event[n-1:], "\r\n"):
				n++
			}
			if !yield(event[:n]) {
				return
			}
			event = event[n:]
		}
	}
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
	v, err := e.x.run.program.Run(&e.x.run.ctx, policy.OnEventStreamMessage, px)
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
	for line := range lines(string(event)) {
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
	for line := range lines(string(event)) {
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
