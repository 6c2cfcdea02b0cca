package reliability

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

// Client returns an HTTP client that finds every name on the network and trusts
// the given authorities. It follows no redirects. It speaks HTTP/2 or HTTP/1.1,
// as told. Its connections end with CloseIdleConnections.
func Client(n Network, cas *x509.CertPool, h2 bool) *http.Client {
	var p http.Protocols
	p.SetHTTP1(!h2)
	p.SetHTTP2(h2)
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         n.DialContext,
			TLSClientConfig:     &tls.Config{RootCAs: cas, MinVersion: tls.VersionTLS12},
			Protocols:           &p,
			MaxIdleConnsPerHost: 256,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Outcome is what came of one request, in words that can be counted: [OK], the
// status and code of an answer ("502 ERR_NGROK_8012"), or what happened to the
// connection.
type Outcome string

// Outcomes of requests that got no answer in full.
const (
	OK        Outcome = "ok"
	Corrupt   Outcome = "corrupt"         // the answer is wrong
	Truncated Outcome = "truncated"       // the answer ended early, and that was seen
	Refused   Outcome = "refused"         // nobody listens
	Lost      Outcome = "connection lost" // before an answer
	Late      Outcome = "no answer in time"
)

// Answered is the outcome for an answer with a status other than 200.
func Answered(resp *http.Response) Outcome {
	return Outcome(strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, resp.Header.Get("Ngrok-Error-Code"))))
}

// failure is the outcome for the error of a client.
func failure(err error) Outcome {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Late
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe), strings.Contains(err.Error(), "server closed"),
		strings.Contains(err.Error(), "client connection lost"), strings.Contains(err.Error(), "GOAWAY"), strings.Contains(err.Error(), "stream error"):
		return Lost
	}
	return Outcome("failed: " + err.Error())
}

// Get fetches n bytes of the pattern from an [Upstream] at base, with or
// without a length, and checks them. It returns the upstream's name, too.
func Get(ctx context.Context, c *http.Client, base string, chunked bool, n int64) (Outcome, string) {
	path := "bytes"
	if chunked {
		path = "chunked"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/%s/%d", base, path, n), nil)
	if err != nil {
		return failure(err), ""
	}
	return do(c, req, func(body io.Reader) error {
		_, err := CheckPattern(body, n)
		return err
	})
}

// Echo posts a body of n bytes to an [Upstream] at base and checks what comes
// back.
func Echo(ctx context.Context, c *http.Client, base string, n int64) (Outcome, string) {
	body, err := io.ReadAll(Pattern(n))
	if err != nil {
		return failure(err), ""
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/echo", bytes.NewReader(body))
	if err != nil {
		return failure(err), ""
	}
	return do(c, req, func(r io.Reader) error {
		_, err := CheckPattern(r, n)
		return err
	})
}

// Upload posts n bytes to an [Upstream] at base, which checks them.
func Upload(ctx context.Context, c *http.Client, base string, n int64) (Outcome, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/sink?n=%d", base, n), Pattern(n))
	if err != nil {
		return failure(err), ""
	}
	req.ContentLength = n
	return do(c, req, func(r io.Reader) error {
		text, err := io.ReadAll(r)
		if err == nil && string(text) != fmt.Sprint(n) {
			err = ErrCorrupt
		}
		return err
	})
}

// Fetch gets a URL whose body is not checked: one that ends cleanly is [OK].
func Fetch(ctx context.Context, c *http.Client, url string) Outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return failure(err)
	}
	o, _ := do(c, req, func(r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	return o
}

func do(c *http.Client, req *http.Request, check func(io.Reader) error) (Outcome, string) {
	resp, err := c.Do(req)
	if err != nil {
		return failure(err), ""
	}
	defer resp.Body.Close()
	member := resp.Header.Get(MemberField)
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // for the next request's sake
		return Answered(resp), member
	}
	switch err := check(resp.Body); {
	case err == nil:
		return OK, member
	case errors.Is(err, ErrCorrupt):
		return Corrupt, member
	case errors.Is(err, context.DeadlineExceeded):
		return Late, member
	default:
		return Truncated, member
	}
}

// pause waits, and reports false if ctx ends meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
