package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
)

const (
	// maxAnswer bounds what a [Client] reads of one answer.
	maxAnswer = 64 << 20
	// maxRedirects is how many redirects a [Client] follows, at the same server only.
	maxRedirects = 3
)

// Client asks the REST API of a server. Safe for concurrent use.
type Client struct {
	base *url.URL
	key  string
	user string
	http *http.Client
}

// Answer is what the API has answered.
type Answer struct {
	// Status is that of HTTP.
	Status int
	// Body is the JSON text, nil if there is none.
	Body json.RawMessage
}

// AnswerError is an answer from 400 up.
type AnswerError struct {
	Answer
	// Told is the body, as far as it is one of the API.
	Told Error
}

// Error implements error.
func (e *AnswerError) Error() string {
	message, _, _ := strings.Cut(e.Told.Msg, "\n\n")
	message = strings.ReplaceAll(message, "\n", " ")
	if e.Told.ErrorCode == "" {
		return message
	}
	return strings.TrimSuffix(message, ".") + " (" + e.Told.ErrorCode + ")"
}

// NewClient returns a client of the API at a URL. program is what it calls itself, such as "culvert/1.2". A nil
// transport means [http.DefaultTransport]. Errors are faults.
func NewClient(base, key, program string, transport http.RoundTripper) (*Client, error) {
	u, err := ParseBase(base)
	if err != nil {
		return nil, err
	}
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	c := &Client{base: u, key: key, user: program}
	c.http = &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		switch {
		case !sameOrigin(r.URL, u):
			return fault.New(fault.APIElsewhere, r.URL.Redacted(), u)
		case len(via) > maxRedirects:
			return errors.New("it redirects again and again")
		}
		return nil
	}}
	return c, nil
}

// CheckKey judges an API key by what needs no server: it is one word of ASCII. Errors are faults with the code
// [fault.APIKeyUnusable]; they never show the key.
func CheckKey(key string) error {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return fault.New(fault.APIKeyUnusable)
	}
	return nil
}

// ParseBase reads the address of an API: a URL with a scheme and a host, and nothing else (api.md 1.1).
func ParseBase(text string) (*url.URL, error) {
	refused := func(why string) (*url.URL, error) { return nil, fault.New(fault.APIURLInvalid, text, why) }
	u, err := url.Parse(text)
	switch {
	case !strings.Contains(text, "://"):
		return refused("it has no scheme, https:// or http://")
	case err != nil:
		return refused("it cannot be read")
	case u.Scheme != "https" && u.Scheme != "http":
		return refused("its scheme is neither https nor http")
	case u.Host == "" || u.Hostname() == "":
		return refused("it has no host")
	case u.User != nil:
		return nil, fault.New(fault.APIURLInvalid, u.Redacted(), "it has a user name")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return refused("it has a path or query; the API has its whole host")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) }

// Do sends a request. A nil body means none. Errors are *fault.Error, *[AnswerError] or the end of ctx.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body any) (*Answer, error) {
	u := *c.base
	u.Path, u.RawQuery = path, query.Encode()
	return c.send(ctx, method, &u, body)
}

// Next gets the page that a list's next_page_uri names. It has to be at the same server, which alone may see
// the key.
func (c *Client) Next(ctx context.Context, uri string) (*Answer, error) {
	u, err := url.Parse(uri)
	if err != nil || !sameOrigin(u, c.base) || u.User != nil {
		return nil, fault.New(fault.APIElsewhere, uri, c.base)
	}
	return c.send(ctx, http.MethodGet, u, nil)
}

func (c *Client) send(ctx context.Context, method string, u *url.URL, body any) (*Answer, error) {
	var sent io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		sent = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), sent)
	if err != nil {
		return nil, fault.Wrap(err, fault.APIURLInvalid, u, "it cannot be read")
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Ngrok-Version", "2")
	req.Header.Set("User-Agent", c.user)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failure(ctx, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.failure(ctx, err)
	case len(text) > maxAnswer:
		return nil, fault.New(fault.APIAnswer, c.base, fmt.Sprintf("it is larger than %d MiB", maxAnswer>>20))
	}
	return c.judge(resp.StatusCode, text)
}

// failure is what people are told of a request that got no answer.
func (c *Client) failure(ctx context.Context, err error) error {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return fault.Wrap(err, fault.APIScheme, c.base, "HTTP", "http://"+c.base.Host)
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fault.Wrap(err, fault.APIUntrusted, c.base, strings.TrimPrefix(bad.Err.Error(), "x509: "))
	}
	return fault.Wrap(err, fault.APIUnreachable, c.base, err)
}

// speaksHTTPS is what servers of HTTPS written in Go answer to plain HTTP.
const speaksHTTPS = "Client sent an HTTP request to an HTTPS server"

// judge makes an answer or error of a status and a body.
func (c *Client) judge(status int, text []byte) (*Answer, error) {
	a := Answer{Status: status}
	if len(bytes.TrimSpace(text)) > 0 {
		if status == http.StatusBadRequest && c.base.Scheme == "http" && bytes.HasPrefix(text, []byte(speaksHTTPS)) {
			return nil, fault.New(fault.APIScheme, c.base, "HTTPS", "https://"+c.base.Host)
		}
		if !json.Valid(text) {
			return nil, fault.New(fault.APIAnswer, c.base, fmt.Sprintf("status %d, and the body is no JSON", status))
		}
		a.Body = text
	}
	if status >= http.StatusOK && status < http.StatusMultipleChoices {
		return &a, nil
	}
	e := &AnswerError{Answer: a}
	if err := json.Unmarshal(a.Body, &e.Told); err != nil || e.Told.StatusCode == 0 {
		return nil, fault.New(fault.APIAnswer, c.base, fmt.Sprintf("status %d, and the body tells no error", status))
	}
	return nil, e
}

// maxPages bounds how many pages [Client.Rest] gets.
const maxPages = 10_000

// Rest returns the first page of a list with the objects of all pages behind it added. key is the name of its
// items.
func (c *Client) Rest(ctx context.Context, first *Answer, key string) (*Answer, error) {
	whole := map[string]json.RawMessage{}
	if err := json.Unmarshal(first.Body, &whole); err != nil {
		return nil, fault.Wrap(err, fault.APIAnswer, c.base, "it is no page of a list")
	}
	items := []json.RawMessage{}
	page := whole
	for n := 1; ; n++ {
		var some []json.RawMessage
		var next string
		if json.Unmarshal(page[key], &some) != nil || json.Unmarshal(page["next_page_uri"], &next) != nil {
			return nil, fault.New(fault.APIAnswer, c.base, "it is no page of a list")
		}
		items = append(items, some...)
		if next == "" || len(some) == 0 {
			break
		}
		if n == maxPages {
			return nil, fault.New(fault.APIAnswer, c.base, fmt.Sprintf("the list has more than %d pages", maxPages))
		}
		a, err := c.Next(ctx, next)
		if err != nil {
			return nil, err
		}
		page = map[string]json.RawMessage{}
		if err := json.Unmarshal(a.Body, &page); err != nil {
			return nil, fault.Wrap(err, fault.APIAnswer, c.base, "it is no page of a list")
		}
	}
	text, err := json.Marshal(items)
	if err != nil {
		return nil, fmt.Errorf("encode the list: %w", err)
	}
	whole[key], whole["next_page_uri"] = text, json.RawMessage("null")
	body, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("encode the list: %w", err)
	}
	return &Answer{Status: first.Status, Body: body}, nil
}
