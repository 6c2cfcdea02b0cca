package policycase

import (
	"context"
	"io"
	"strings"

	"github.com/culvert-project/culvert/server/internal/policy"
)

// Events runs the event phase over the events of the response, if it is a
// stream of them and the program has that phase, and calls each with what
// became of an event: fail ends the stream. How events are cut out of a stream
// of bytes is the edge's business.
func Events(ctx context.Context, p *policy.Program, x *policy.Exchange, each func(fail error)) (bool, error) {
	if !strings.HasPrefix(x.Response.Header.Get("Content-Type"), "text/event-stream") || !p.Has(policy.OnEventStreamMessage) {
		return false, nil
	}
	content, err := io.ReadAll(x.Response.Body)
	if err != nil {
		return false, err
	}
	defer func() { x.Message = nil }()
	for event := range strings.SplitSeq(strings.TrimRight(string(content), "\n"), "\n\n") {
		x.Message = parseEvent(event)
		_, fail := p.Run(ctx, policy.OnEventStreamMessage, x)
		each(fail)
		if fail != nil {
			break
		}
	}
	return true, nil
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
