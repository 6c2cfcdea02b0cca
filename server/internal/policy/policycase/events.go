package policycase

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// isEvents reports whether the response is an event stream.
func isEvents(x *policy.Exchange) bool {
	return strings.HasPrefix(x.Response.Header.Get("Content-Type"), "text/event-stream")
}

// events runs the event phase over the events of the response and writes what
// becomes of each. How they are cut out of a stream of bytes is the edge's
// business.
func (r *caseRun) events(ctx context.Context, x *policy.Exchange) error {
	content, err := io.ReadAll(x.Response.Body)
	if err != nil {
		return err
	}
	for event := range strings.SplitSeq(strings.TrimRight(string(content), "\n"), "\n\n") {
		x.Message = parseEvent(event)
		if _, err := r.program.Run(ctx, policy.OnEventStreamMessage, x); err != nil {
			fmt.Fprintf(&r.out, "stream ends: %s\n", err)
			return nil //nolint:nilerr // it is what came out
		}
		fmt.Fprintf(&r.out, "event: data %s retry %s\n", inJSON(x.Message.Data), inJSON(x.Message.Retry))
		r.left(x)
	}
	x.Message = nil
	return nil
}

func parseEvent(event string) *policy.Message {
	var data []string
	m := &policy.Message{}
	for line := range strings.SplitSeq(event, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "data":
			data = append(data, value)
		case "retry":
			m.Retry = value
		}
	}
	m.Data = strings.Join(data, "\n")
	return m
}
