package fetch

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/backoff"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/coding"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// httpRequest is http-request.
type httpRequest struct {
	Services
	*config
	retry   *expr.Bool
	flights *flights
}

// answer is what became of one attempt, redirects included.
type answer struct {
	req    *wanted // the last one that was sent
	status int
	header http.Header
	body   string
	ip     string
	took   time.Duration
	err    *fault.Error // nil if it succeeded
}

// Do implements policy.Action.
func (a *httpRequest) Do(ctx context.Context, x *policy.Exchange) (policy.Verdict, error) {
	first, err := a.prepare(x)
	if err != nil {
		x.SetResult(namespace, nil)
		return 0, err
	}
	if !a.flights.begin(x.Endpoint.Account) {
		x.SetResult(namespace, nil)
		return 0, failed(errors.New("too many requests of policies are under way"))
	}
	defer a.flights.end(x.Endpoint.Account)
	limited, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	var attempts []any
	var last *answer
	for {
		last = a.attempt(limited, x, first)
		attempts = append(attempts, last.entry())
		if limited.Err() != nil || len(attempts) > maxRetries || !a.again(x, len(attempts), last) ||
			!backoff.Sleep(limited, firstWait<<(len(attempts)-1)) {
			break
		}
	}
	if limited.Err() != nil && ctx.Err() == nil && last.err == nil {
		last.err = fault.New(fault.CallTimeout, a.Timeout.String()) // between two attempts
	}
	x.SetResult(namespace, last.results(attempts))
	if last.err != nil {
		return 0, last.err
	}
	return policy.Continue, nil
}

// again evaluates retry_condition.
func (a *httpRequest) again(x *policy.Exchange, attempts int, last *answer) bool {
	if a.retry == nil {
		return false
	}
	code, message := last.fault()
	x.SetResult("retry", map[string]any{
		"attempts":         int64(attempts),
		"last_attempt.req": map[string]any{"method": last.req.method, "url": last.req.url.String(), "header": last.req.header, "body": last.req.body},
		"last_attempt.res": map[string]any{
			"status_code": int64(last.status), "statusCode": int64(last.status), "header": last.headers(), "body": last.body,
			"time_ms": last.time(), "resolved_ip": last.ip,
		},
		"last_attempt.error": map[string]any{"code": code, "message": message},
	})
	defer x.SetResult("retry", nil)
	return x.Holds(a.retry)
}

// attempt makes a request and follows its redirects.
func (a *httpRequest) attempt(ctx context.Context, x *policy.Exchange, w *wanted) *answer {
	now := x.Services.Now
	if now == nil {
		now = time.Now
	}
	start := now()
	out := &answer{req: w}
	err := a.follow(ctx, x, out)
	out.took = now().Sub(start)
	switch {
	case err == nil:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		out.err = fault.Wrap(err, fault.CallTimeout, a.Timeout.String())
	default:
		out.err = fault.From(err)
	}
	return out
}

func (a *httpRequest) follow(ctx context.Context, x *policy.Exchange, out *answer) error {
	for redirects := 0; ; redirects++ {
		resp, ip, err := a.send(ctx, x, out.req)
		if err != nil {
			return err
		}
		next, err := out.req.redirect(resp)
		if a.Redirects == 0 {
			next, err = nil, nil // it is the answer
		}
		if next == nil && err == nil {
			out.status, out.header, out.ip = resp.StatusCode, resp.Header, ip
			out.body, err = content(resp)
		}
		_ = resp.Body.Close() // it was read, or is not wanted
		switch {
		case err != nil || next == nil:
			return err
		case redirects == a.Redirects:
			return fault.New(fault.CallRedirects, a.Redirects)
		}
		out.req = next
	}
}

// content reads the body of an answer.
func content(resp *http.Response) (string, error) {
	codings, known := coding.Of(resp.Header)
	if !known || resp.ContentLength == 0 {
		codings = nil
	}
	body, err := coding.Decode(resp.Body, codings, maxBody)
	if errors.Is(err, coding.ErrTooLarge) {
		return "", failed(errors.New("the body of the answer has more than " + strconv.Itoa(maxBody) + " bytes"))
	}
	if err != nil {
		return "", explain(err)
	}
	return string(body), nil
}

func (r *answer) time() string { return strconv.FormatInt(r.took.Milliseconds(), 10) }

func (r *answer) headers() http.Header {
	if r.header == nil {
		return http.Header{}
	}
	return r.header
}

func (r *answer) fault() (code, message string) {
	if r.err == nil {
		return "", ""
	}
	return string(r.err.Code), r.err.Message
}

// entry is the attempt as the results list it.
func (r *answer) entry() any {
	return map[string]any{
		"resolved_ip": r.ip, "response_header": r.headers(), "response_status_code": int64(r.status), "response_time_ms": r.time(),
	}
}

func (r *answer) results(attempts []any) map[string]any {
	code, message := r.fault()
	return map[string]any{
		"error.code": code, "error.message": message, "attempts": attempts,
		"req.method": r.req.method, "req.header": r.req.header, "req.url": r.req.url.String(), "req.body": r.req.body,
		"res.resolved_ip": r.ip, "res.header": r.headers(), "res.status_code": int64(r.status), "res.time_ms": r.time(), "res.body": r.body,
	}
}

// flights counts the requests under way, by account.
type flights struct {
	mu    sync.Mutex
	count map[string]int
}

func (f *flights) begin(account string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count[account] >= maxCalls {
		return false
	}
	f.count[account]++
	return true
}

func (f *flights) end(account string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count[account]--; f.count[account] == 0 {
		delete(f.count, account)
	}
}
