package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// wanted is a request as the configuration asks for it.
type wanted struct {
	method string
	url    *url.URL
	header http.Header
	body   string
}

// parse reads a URL that may be asked.
func parse(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil:
		return nil, errors.New("this is no URL, such as https://api.internal/check")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("a URL to ask begins with http:// or https://")
	case u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("the URL has no host")
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u, nil
}

// prepare evaluates the configuration.
func (a *httpRequest) prepare(x *policy.Exchange) (*wanted, error) {
	text, err := x.Text(a.URL)
	if err != nil {
		return nil, err
	}
	u, err := parse(text)
	if err != nil {
		return nil, failed(err)
	}
	if err := a.query(x, u); err != nil {
		return nil, err
	}
	w := &wanted{method: a.Method, url: u, header: http.Header{
		"User-Agent":     {"Culvert/" + a.Version + " ngrok/cloud"},
		"Ngrok-Req-Type": {"http-request"},
		"Ngrok-Req-Id":   {a.NewID()},
	}}
	if x.Conn.Client.IsValid() {
		w.header.Set("X-Forwarded-For", x.Conn.Client.Addr().Unmap().String())
	}
	for _, f := range a.Headers {
		v, err := x.HeaderText(f.Value)
		if err != nil {
			return nil, err
		}
		w.header.Set(f.Name, v)
	}
	if u.User != nil {
		if password, _ := u.User.Password(); w.header.Get("Authorization") == "" {
			r := http.Request{Header: w.header}
			r.SetBasicAuth(u.User.Username(), password)
		}
		u.User = nil
	}
	switch a.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		w.body, err = x.Text(a.Body)
	}
	return w, err
}

// query adds the parameters.
func (a *httpRequest) query(x *policy.Exchange, u *url.URL) error {
	for _, p := range a.Query {
		key, err := x.Text(p.Key)
		if err != nil {
			return err
		}
		value, err := x.Text(p.Value)
		if err != nil {
			return err
		}
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += url.QueryEscape(key) + "=" + url.QueryEscape(value)
	}
	return nil
}

// inside reports whether a URL is that of an internal endpoint.
func inside(u *url.URL) bool {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	return strings.HasSuffix(host, endpoint.InternalSuffix) || "."+host == endpoint.InternalSuffix
}

// send makes one request and returns the answer, whose body is open, and the
// address that gave it.
func (a *httpRequest) send(ctx context.Context, x *policy.Exchange, w *wanted) (*http.Response, string, error) {
	var ip string
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		ip, _, _ = net.SplitHostPort(i.Conn.RemoteAddr().String())
	}})
	r, err := http.NewRequestWithContext(ctx, w.method, w.url.String(), nil)
	if err != nil {
		return nil, "", failed(err)
	}
	r.Header = w.header.Clone()
	if w.body != "" {
		r, err = http.NewRequestWithContext(ctx, w.method, w.url.String(), bytes.NewReader([]byte(w.body)))
		if err != nil {
			return nil, "", failed(err)
		}
		r.Header = w.header.Clone()
	}
	if inside(w.url) {
		if a.Internal == nil {
			return nil, "", failed(errors.New("there are no internal endpoints here"))
		}
		resp, err := a.Internal.Call(ctx, x, r)
		return resp, "", explain(err)
	}
	if a.Outside == nil {
		return nil, "", failed(fmt.Errorf("%s is no internal endpoint, and this server asks no others", w.url.Hostname()))
	}
	resp, err := a.Outside.RoundTrip(r)
	return resp, ip, explain(err)
}

// failed is the fault of a request that got no usable answer.
func failed(cause error) error { return fault.Wrap(cause, fault.CallFailed, cause.Error()) }

// explain makes a fault of an error.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		if f.Code == fault.CallLoop {
			return f
		}
		return fault.Wrap(err, fault.CallFailed, strings.TrimSuffix(f.Message, "."))
	}
	return failed(err)
}

// redirect returns the request that an answer leads to, nil if it is none that
// is followed.
func (w *wanted) redirect(resp *http.Response) (*wanted, error) {
	location := resp.Header.Get("Location")
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		location = ""
	}
	if location == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	to, err := w.url.Parse(location)
	if err == nil {
		to, err = parse(to.String())
	}
	if err != nil {
		return nil, failed(fmt.Errorf("the redirect to %q: %w", location, err))
	}
	if inside(to) && !inside(w.url) {
		return nil, failed(fmt.Errorf("a redirect from outside leads to the internal %s", to.Hostname()))
	}
	to.User = nil
	next := &wanted{method: w.method, url: to, header: w.header.Clone(), body: w.body}
	kept := resp.StatusCode == http.StatusTemporaryRedirect || resp.StatusCode == http.StatusPermanentRedirect
	if !kept && (w.method == http.MethodPost || resp.StatusCode == http.StatusSeeOther) {
		next.method, next.body = http.MethodGet, ""
		next.header.Del("Content-Type")
		next.header.Del("Content-Encoding")
	}
	if to.Host != w.url.Host || to.Scheme != w.url.Scheme {
		for _, secret := range [...]string{"Authorization", "Cookie", "Www-Authenticate"} {
			next.header.Del(secret)
		}
	}
	return next, nil
}
