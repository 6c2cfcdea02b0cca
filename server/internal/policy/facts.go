package policy

import (
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/mileusna/useragent"

	"github.com/culvert-project/culvert/server/internal/expr"
)

// derived is what was worked out of the request once.
type derived struct {
	query             url.Values
	agent             *useragent.UserAgent
	request, response expr.Headers
}

// LookupText implements expr.TextSource.
func (x *Exchange) LookupText(name string) (string, bool) {
	if c := x.Conn; name == "conn.client_ip" && c.Client.IsValid() {
		if c.ClientIP != "" {
			return c.ClientIP, true
		}
		return c.Client.Addr().Unmap().String(), true
	}
	r := x.Request
	if r == nil {
		return "", false
	}
	switch name {
	case "req.method":
		return r.Method, true
	case "req.version":
		if r.ProtoMajor == 2 {
			return "HTTP/2.0", true
		}
		return r.Proto, true
	case "req.host":
		return r.Host, true
	case "req.user_agent":
		return r.UserAgent(), true
	case "req.url":
		return x.urlText("")
	}
	if part, ok := strings.CutPrefix(name, "req.url."); ok {
		return x.urlText(part)
	}
	return "", false
}

// Lookup implements expr.Source.
func (x *Exchange) Lookup(name string) (any, bool) {
	if s, ok := x.LookupText(name); ok {
		return s, true
	}
	family, rest := cutDot(name)
	switch family {
	case "req":
		if x.Request == nil {
			return nil, false
		}
		return x.requestFact(rest)
	case "res":
		if x.Response == nil {
			return nil, false
		}
		return x.responseFact(rest)
	case "conn":
		return x.connFact(rest)
	case "endpoint":
		return x.endpointFact(rest)
	case "vars":
		return x.vars, x.vars != nil
	case "actions":
		return x.resultFact(strings.TrimPrefix(name, resultPrefix))
	case "time":
		return expr.Now(x.now()), true
	case "attempts", "last_attempt":
		return x.Result("retry." + name)
	}
	return nil, false
}

// resultFact looks a result up. Those of terminate-tls are known only after the
// handshake, which follows the action, and are the facts of the connection.
func (x *Exchange) resultFact(name string) (any, bool) {
	v, ok := x.Result(name)
	if fact, terminated := strings.CutPrefix(name, "terminate_tls."); !ok && terminated && x.Conn.Terminate != nil {
		return x.Conn.tlsFact(fact)
	}
	return v, ok
}

func (x *Exchange) endpointFact(name string) (any, bool) {
	u := x.Endpoint.URL.WithDefaults()
	switch name {
	case "id":
		return x.Endpoint.ID, true
	case "url":
		return x.Endpoint.URL.String(), true
	case "host":
		return u.Host, true
	case "addr":
		return net.JoinHostPort(u.Host, strconv.Itoa(int(u.Port))), true
	case "port":
		return int64(u.Port), true
	case "protocol":
		return string(u.Scheme), true
	}
	return nil, false
}

func (x *Exchange) requestFact(name string) (any, bool) {
	r := x.Request
	switch name {
	case "headers":
		return x.derived.request.OfRequest(r.Header, r.Host), true
	case "cookies":
		return cookies(r.Cookies()), true
	case "trailers":
		return r.Trailer, true
	case "content_length":
		return r.ContentLength, true
	case "url.port":
		n, _ := x.port()
		return int64(n), true
	case "url.query_params":
		if x.derived.query == nil {
			x.derived.query = query(r.URL.RawQuery)
		}
		return map[string][]string(x.derived.query), true
	case "ts.header_received":
		return x.Received, true
	case "ts.body_received":
		if x.BodyReceived == nil {
			return nil, false
		}
		return x.BodyReceived(), true
	}
	if part, ok := strings.CutPrefix(name, "user_agent."); ok {
		return x.agentFact(part)
	}
	return messageFact(r.Header, name)
}

func (x *Exchange) responseFact(name string) (any, bool) {
	r := x.Response
	switch name {
	case "status_code":
		return int64(r.StatusCode), true
	case "headers":
		return x.derived.response.Of(r.Header), true
	case "trailers":
		return r.Trailer, true
	case "cookies":
		return cookies(r.Cookies()), true
	case "content_length":
		return r.ContentLength, true
	}
	return messageFact(r.Header, name)
}

// messageFact is what requests and responses have in common.
func messageFact(h http.Header, name string) (any, bool) {
	switch name {
	case "content_type.raw":
		return h.Get("Content-Type"), true
	case "content_type", "content_type.parameters":
		media, params, _ := mime.ParseMediaType(h.Get("Content-Type"))
		if name == "content_type" {
			return media, true
		}
		out := make(map[string]any, len(params))
		for k, v := range params {
			out[k] = v
		}
		return out, true
	case "content_encoding":
		var list []string
		for _, v := range h.Values("Content-Encoding") {
			for c := range strings.SplitSeq(v, ",") {
				if c = strings.TrimSpace(c); c != "" {
					list = append(list, c)
				}
			}
		}
		return list, true
	case "location":
		return h.Get("Location"), true
	}
	return nil, false
}

// cookies groups them by name; of equal names the longest path comes first.
func cookies(list []*http.Cookie) map[string]any {
	out := make(map[string]any)
	for _, c := range list {
		unparsed := make(map[string]any)
		for _, a := range c.Unparsed {
			k, v, _ := strings.Cut(a, "=")
			unparsed[k] = v
		}
		entry := map[string]any{
			"name": c.Name, "value": c.Value, "domain": c.Domain, "path": c.Path, "same_site": sameSite(c.SameSite),
			"expires": c.Expires, "max_age": durationSeconds(c.MaxAge), "http_only": c.HttpOnly, "secure": c.Secure,
			"unparsed_attributes": unparsed,
		}
		have, _ := out[c.Name].([]any)
		at := len(have)
		for at > 0 && len(have[at-1].(map[string]any)["path"].(string)) < len(c.Path) { //nolint:forcetypeassert // made here
			at--
		}
		out[c.Name] = append(have[:at:at], append([]any{entry}, have[at:]...)...)
	}
	return out
}

func sameSite(s http.SameSite) string {
	switch s {
	case http.SameSiteLaxMode:
		return "Lax"
	case http.SameSiteStrictMode:
		return "Strict"
	case http.SameSiteNoneMode:
		return "None"
	case http.SameSiteDefaultMode:
	}
	return ""
}

func (x *Exchange) agentFact(name string) (any, bool) {
	if x.derived.agent == nil {
		a := useragent.Parse(x.Request.UserAgent())
		x.derived.agent = &a
	}
	a := x.derived.agent
	switch name {
	case "name":
		return a.Name, true
	case "version":
		return a.Version, true
	case "os":
		return a.OS, true
	case "os_version":
		return a.OSVersion, true
	case "device":
		return a.Device, true
	case "url":
		return a.URL, true
	case "is_mobile":
		return a.Mobile, true
	case "is_tablet":
		return a.Tablet, true
	case "is_desktop":
		return a.Desktop, true
	case "is_bot":
		return a.Bot, true
	}
	return nil, false
}

func (x *Exchange) connFact(name string) (any, bool) {
	c := x.Conn
	switch name {
	case "client_port":
		return int64(c.Client.Port()), true
	case "server_ip":
		return c.Server.Addr().Unmap().String(), c.Server.IsValid()
	case "server_port":
		return int64(c.Server.Port()), true
	case "server_region":
		return c.Region, true
	case "ts.start":
		return c.Start, true
	case "bytes_in", "bytes_out":
		if c.Bytes == nil {
			return nil, false
		}
		in, out := c.Bytes()
		if name == "bytes_in" {
			return in, true
		}
		return out, true
	}
	if fact, ok := strings.CutPrefix(name, "client_ip."); ok {
		return x.address(c.Client, fact)
	}
	if fact, ok := strings.CutPrefix(name, "server_ip."); ok {
		return x.address(c.Server, fact)
	}
	if fact, ok := strings.CutPrefix(name, "geo."); ok {
		return x.address(c.Client, "geo.location."+fact)
	}
	if fact, ok := strings.CutPrefix(name, "tls."); ok {
		return c.tlsFact(fact)
	}
	return nil, false
}

func (x *Exchange) address(a netip.AddrPort, fact string) (any, bool) {
	if x.Services.Address == nil || !a.IsValid() {
		return nil, false
	}
	return x.Services.Address(a.Addr().Unmap(), fact)
}
