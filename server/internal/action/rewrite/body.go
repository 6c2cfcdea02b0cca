package rewrite

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/coding"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// requestBody is request-body-find-replace.
type requestBody struct {
	Replacements []replacement `field:"replacements,required" count:"1,100" doc:"what to replace, in order"`

	limit int
}

// responseBody is response-body-find-replace.
type responseBody struct {
	Replacements []replacement `field:"replacements,required" count:"1,100" doc:"what to replace, in order"`

	limit int
}

// Do implements policy.Action.
func (c *requestBody) Do(ctx context.Context, x *policy.Exchange) (policy.Verdict, error) {
	r := x.Request
	b := body{header: r.Header, content: r.Body, length: r.ContentLength}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		b.content = nil
	}
	found, err := b.replace(ctx, x, c.Replacements, c.limit)
	x.SetResult("request_body_find_replace", map[string]any{"replacements": found})
	if b.content != nil {
		r.Body, r.ContentLength = b.content, b.length
	}
	return policy.Continue, err
}

// Do implements policy.Action.
func (c *responseBody) Do(ctx context.Context, x *policy.Exchange) (policy.Verdict, error) {
	r := x.Response
	b := body{header: r.Header, content: r.Body, length: r.ContentLength}
	if !changeable(x) {
		b.content = nil
	}
	found, err := b.replace(ctx, x, c.Replacements, c.limit)
	x.SetResult("response_body_find_replace", map[string]any{"replacements": found})
	if b.content != nil {
		r.Body, r.ContentLength = b.content, b.length
	}
	return policy.Continue, err
}

// changeable reports whether the response has a body that is whole and ends.
func changeable(x *policy.Exchange) bool {
	r := x.Response
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Body != nil && policy.BodyAllowed(r.StatusCode) && r.StatusCode != http.StatusPartialContent &&
		(x.Request == nil || x.Request.Method != http.MethodHead) && media != "text/event-stream"
}

// body is the body of a message and what belongs to it.
type body struct {
	header  http.Header
	content io.ReadCloser // nil if there is nothing to change
	length  int64         // -1 if unknown
}

// replace reads the body and finds and replaces in it. What did not match
// leaves it as it came, coding and all.
func (b *body) replace(ctx context.Context, x *policy.Exchange, list []replacement, limit int) (found []any, err error) {
	found = []any{}
	codings, known := coding.Of(b.header)
	if b.content == nil || !known {
		return found, nil
	}
	if b.length > int64(limit) {
		return found, fault.New(fault.BodyTooLarge, strconv.Itoa(limit))
	}
	raw, err := io.ReadAll(io.LimitReader(b.content, int64(limit)+1))
	if err != nil {
		return found, fault.Wrap(err, fault.BodyUnreadable, "it broke off")
	}
	if len(raw) > limit {
		return found, fault.New(fault.BodyTooLarge, strconv.Itoa(limit))
	}
	// The old body has ended, so that its trailer is known; closing it later
	// lets go of what it came from.
	b.content = kept{bytes.NewReader(raw), b.content}
	content, err := decode(raw, codings, limit)
	if err != nil {
		return found, err
	}
	for i := range list {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		if content, found, err = list[i].apply(x, content, i, limit, found); err != nil {
			return []any{}, err
		}
	}
	if len(found) > 0 {
		b.set(content)
	}
	return found, nil
}

func decode(raw []byte, codings []string, limit int) ([]byte, error) {
	if len(codings) == 0 {
		return raw, nil
	}
	content, err := coding.Decode(bytes.NewReader(raw), codings, limit)
	switch {
	case errors.Is(err, coding.ErrTooLarge):
		return nil, fault.Wrap(err, fault.BodyTooLarge, strconv.Itoa(limit))
	case err != nil:
		return nil, fault.Wrap(err, fault.BodyUnreadable, strings.Join(codings, ", ")+" does not decode")
	}
	return content, nil
}

// set gives the message its new content. Only what had a length gets one.
func (b *body) set(content []byte) {
	if old, ok := b.content.(kept); ok {
		b.content = kept{bytes.NewReader(content), old.Closer}
	}
	if b.length >= 0 {
		b.length = int64(len(content))
		b.header["Content-Length"] = []string{strconv.Itoa(len(content))}
	}
	for _, name := range [...]string{"Content-Encoding", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		delete(b.header, name) // they are about the old bytes
	}
	if tag := b.header["Etag"]; len(tag) > 0 && strings.HasPrefix(tag[0], `"`) {
		b.header["Etag"] = []string{"W/" + tag[0]}
	}
}

// kept is a body in memory with the closer of the one that it was read from.
type kept struct {
	io.Reader
	io.Closer
}
