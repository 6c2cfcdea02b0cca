package expr

import "slices"

// Scope says where an expression stands, and with that which variables it has
// (traffic-policy.md 7.5).
type Scope uint8

// The scopes. Connect, Request, Response and Event are the phases of a policy;
// Retry is the retry_condition of http-request, which is otherwise like
// Response.
const (
	Connect Scope = iota
	Request
	Response
	Event
	Retry
	scopes
)

// Kind is the type of a variable.
type Kind uint8

// The kinds of variables.
const (
	KindText      Kind = iota // string
	KindInt                   // int
	KindBool                  // bool
	KindFloat                 // double
	KindTime                  // timestamp
	KindPeriod                // duration
	KindTextList              // list of string
	KindHeaderMap             // name to list of string, in any case (7.6)
	KindParamMap              // name to list of string; an absent name gives an empty list
	KindTextMap               // string to string
	KindList                  // list of anything
	KindMap                   // string to anything
	KindAny                   // anything
)

var kindNames = map[Kind]string{
	KindText: "string", KindInt: "int", KindBool: "bool", KindFloat: "double", KindTime: "timestamp", KindPeriod: "duration", KindTextList: "list(string)",
	KindHeaderMap: "map(string, list(string))", KindParamMap: "map(string, list(string))", KindTextMap: "map(string, string)",
	KindList: "list", KindMap: "map", KindAny: "any",
}

// String returns the kind as the manual prints it.
func (k Kind) String() string { return kindNames[k] }

// Variable is a name that expressions may use.
type Variable struct {
	// Name is dotted, such as req.url.path.
	Name string
	Kind Kind
	// Doc is what it holds, for the manual.
	Doc string
	// Alias is the name that takes this one's place, for older spellings (7.8).
	Alias string
	// Live values are looked up anew at each use (7.4).
	Live bool

	scopes []Scope // nil: all
}

// In reports whether expressions of a scope may use the variable.
func (v Variable) In(s Scope) bool { return v.scopes == nil || slices.Contains(v.scopes, s) }

var (
	onRequest  = []Scope{Request, Response, Event, Retry}
	onResponse = []Scope{Response, Event, Retry}
)

// Variables returns the variables that every policy has, in the manual's order.
// Results of actions are added by the definitions of these.
func Variables() []Variable {
	var all []Variable
	add := func(where []Scope, vs ...Variable) {
		for _, v := range vs {
			v.scopes = where
			all = append(all, v)
		}
	}
	add(nil, connVariables()...)
	add(nil, endpointVariables()...)
	add(onRequest, reqVariables()...)
	add(onResponse, resVariables()...)
	add(nil,
		Variable{Name: "time.now", Kind: KindText, Live: true, Doc: "the current time in UTC, RFC 3339; `timestamp(time.now)` computes with it"},
		Variable{Name: "vars", Kind: KindMap, Live: true, Doc: "what `set-vars` has set"},
	)
	add([]Scope{Retry},
		Variable{Name: "attempts", Kind: KindInt, Doc: "attempts made so far"},
		Variable{Name: "last_attempt.req", Kind: KindMap, Doc: "the request of the last attempt"},
		Variable{Name: "last_attempt.res", Kind: KindMap, Doc: "its answer: `status_code`, `header`, `body`, `time_ms`, `resolved_ip`"},
		Variable{Name: "last_attempt.error", Kind: KindMap, Doc: "why it failed: `code`, `message`; empty texts if it did not"},
	)
	add(nil, olderVariables()...)
	for i, v := range all {
		if v.Alias != "" {
			at := slices.IndexFunc(all, func(o Variable) bool { return o.Name == v.Alias })
			all[i].Kind, all[i].Live, all[i].scopes = all[at].Kind, all[at].Live, all[at].scopes
		}
	}
	return all
}

func connVariables() []Variable {
	vs := []Variable{
		{Name: "conn.client_ip", Kind: KindText, Doc: "source address of the connection"},
		{Name: "conn.client_port", Kind: KindInt, Doc: "source port of the connection"},
		{Name: "conn.server_ip", Kind: KindText, Doc: "address on which the connection arrived"},
		{Name: "conn.server_port", Kind: KindInt, Doc: "port on which the connection arrived"},
		{Name: "conn.server_region", Kind: KindText, Doc: "region of the server that took the connection"},
		{Name: "conn.ts.start", Kind: KindTime, Doc: "when the connection started"},
		{Name: "conn.ts.end", Kind: KindTime, Doc: "when it ended; the zero time until then"},
		{Name: "conn.bytes_in", Kind: KindInt, Live: true, Doc: "bytes from the client so far"},
		{Name: "conn.bytes_out", Kind: KindInt, Live: true, Doc: "bytes to the client so far"},
	}
	for name, doc := range pairs(
		"city", "city, in English", "country", "country, in English", "country_code", "country, two letters (ISO 3166)",
		"subdivision", "subdivision, in English", "latitude", "latitude", "longitude", "longitude", "radius", "radius of the estimate in kilometres",
	) {
		vs = append(vs, Variable{Name: "conn.geo." + name, Kind: KindText, Doc: "the client's " + doc})
	}
	for _, side := range []string{"client", "server"} {
		vs = append(vs, ipVariables("conn."+side+"_ip.", side)...)
	}
	vs = append(
		vs,
		Variable{Name: "conn.tls.version", Kind: KindText, Doc: "TLS version, `1.2` or `1.3`"},
		Variable{Name: "conn.tls.cipher_suite", Kind: KindText, Doc: "cipher suite, by its IANA name"},
		Variable{Name: "conn.tls.sni", Kind: KindText, Doc: "server name that the client asked for"},
		Variable{Name: "conn.tls.negotiated_alpn", Kind: KindText, Doc: "protocol agreed on: `h2`, `http/1.1` or empty"},
		Variable{Name: "conn.tls.session_resumed", Kind: KindBool, Doc: "whether the session was resumed"},
		Variable{Name: "conn.tls.ja4_fingerprint", Kind: KindText, Doc: "JA4 fingerprint of the ClientHello"},
	)
	vs = append(vs, CertificateVariables("conn.tls.client.", "the client's certificate")...)
	vs = append(vs, Variable{Name: "conn.tls.client.pem", Kind: KindText, Doc: "the client's certificate, PEM"})
	vs = append(vs, CertificateVariables("conn.tls.server.", "the certificate served")...)
	return append(
		vs,
		Variable{Name: "conn.k8s.pod.id", Kind: KindText, Doc: "id of the pod, on endpoints with the kubernetes binding"},
		Variable{Name: "conn.k8s.pod.metadata.name", Kind: KindText, Doc: "name of the pod"},
		Variable{Name: "conn.k8s.pod.metadata.namespace", Kind: KindText, Doc: "namespace of the pod"},
		Variable{Name: "conn.k8s.pod.metadata.annotations", Kind: KindTextMap, Doc: "annotations of the pod that begin with `k8s.ngrok.com/` or `culvert.io/`"},
		Variable{Name: "conn.k8s.pod.metadata.error_code", Kind: KindText, Doc: "code, if the pod's identity is incomplete"},
		Variable{Name: "conn.k8s.pod.metadata.error_message", Kind: KindText, Doc: "its message"},
	)
}

func ipVariables(prefix, side string) []Variable {
	vs := []Variable{
		{Name: prefix + "categories", Kind: KindTextList, Doc: "categories of the " + side + "'s address, every prefix of a name included"},
		{Name: prefix + "is_on_blocklist", Kind: KindBool, Doc: "whether a trusted block list has the address"},
		{Name: prefix + "is_tor_node", Kind: KindBool, Doc: "whether the address is a Tor node"},
		{Name: prefix + "as.number", Kind: KindInt, Doc: "autonomous system of the address"},
		{Name: prefix + "as.organization", Kind: KindText, Doc: "who runs the autonomous system"}, //nolint:misspell // as the reference spells it
	}
	at := []string{"city", "continent", "country", "country_code", "latitude", "longitude", "metro_code", "postal_code", "radius", "subdivision", "timezone"}
	for _, name := range at {
		vs = append(vs, Variable{Name: prefix + "geo.location." + name, Kind: KindText, Doc: "where the address is: " + name})
	}
	vs = append(vs, Variable{Name: prefix + "geo.location.is_eu", Kind: KindBool, Doc: "whether it is in the European Union"})
	for _, name := range at {
		if name != "latitude" && name != "longitude" && name != "postal_code" && name != "radius" {
			vs = append(vs, Variable{Name: prefix + "geo.registered_location." + name, Kind: KindText, Doc: "where the address is registered: " + name})
		}
	}
	return append(vs, Variable{Name: prefix + "geo.registered_location.is_eu", Kind: KindBool, Doc: "whether that is in the European Union"})
}

// CertificateVariables returns the members that a certificate has
// (traffic-policy.md 8.4), except its PEM.
func CertificateVariables(prefix, whose string) []Variable {
	var vs []Variable
	for _, name := range []string{"subject", "issuer"} {
		vs = append(
			vs,
			Variable{Name: prefix + name, Kind: KindText, Doc: name + " of " + whose},
			Variable{Name: prefix + name + ".common_name", Kind: KindText, Doc: "its common name"},
		)
		for _, part := range []string{"country", "locality", "organization", "organizational_unit", "postal_code", "province", "street_address"} { //nolint:misspell // as the reference spells them
			vs = append(vs, Variable{Name: prefix + name + "." + part, Kind: KindTextList, Doc: "its values of " + part})
		}
	}
	return append(
		vs,
		Variable{Name: prefix + "san", Kind: KindText, Doc: "all subject alternative names of " + whose + ", joined with `, `"},
		Variable{Name: prefix + "san.dns_names", Kind: KindTextList, Doc: "host names among them"},
		Variable{Name: prefix + "san.email_addresses", Kind: KindTextList, Doc: "e-mail addresses among them"},
		Variable{Name: prefix + "san.ip_addresses", Kind: KindTextList, Doc: "IP addresses among them"},
		Variable{Name: prefix + "san.uris", Kind: KindTextList, Doc: "URIs among them"},
		Variable{Name: prefix + "serial_number", Kind: KindText, Doc: "serial number, decimal"},
		Variable{Name: prefix + "signature_algorithm", Kind: KindText, Doc: "signature algorithm, such as `SHA256-RSA`"},
		Variable{Name: prefix + "validity.not_before", Kind: KindTime, Doc: "start of its validity"},
		Variable{Name: prefix + "validity.not_after", Kind: KindTime, Doc: "end of its validity"},
		Variable{Name: prefix + "extensions", Kind: KindList, Doc: "its extensions, each with `id`, `critical` and `value`"},
	)
}

func endpointVariables() []Variable {
	return []Variable{
		{Name: "endpoint.id", Kind: KindText, Doc: "id of the endpoint whose policy runs"},
		{Name: "endpoint.url", Kind: KindText, Doc: "its URL"},
		{Name: "endpoint.host", Kind: KindText, Doc: "host of its URL"},
		{Name: "endpoint.addr", Kind: KindText, Doc: "host and port of its URL"},
		{Name: "endpoint.port", Kind: KindInt, Doc: "port of its URL"},
		{Name: "endpoint.protocol", Kind: KindText, Doc: "scheme of its URL: `http`, `https`, `tcp` or `tls`"},
	}
}

// messageVariables are those that requests and responses share.
func messageVariables(prefix, which string) []Variable {
	return []Variable{
		{Name: prefix + "headers", Kind: KindHeaderMap, Doc: "header fields of the " + which},
		{Name: prefix + "trailers", Kind: KindHeaderMap, Live: true, Doc: "trailer fields of the " + which},
		{Name: prefix + "cookies", Kind: KindMap, Doc: "cookies of the " + which + ", by name, each a list"},
		{Name: prefix + "content_type", Kind: KindText, Doc: "media type, lower case"},
		{Name: prefix + "content_type.parameters", Kind: KindTextMap, Doc: "parameters of the media type"},
		{Name: prefix + "content_type.raw", Kind: KindText, Doc: "Content-Type as received"},
		{Name: prefix + "content_encoding", Kind: KindTextList, Doc: "content codings"},
		{Name: prefix + "content_length", Kind: KindInt, Doc: "length of the body, -1 if unknown"},
		{Name: prefix + "location", Kind: KindText, Doc: "Location header"},
	}
}

func reqVariables() []Variable {
	vs := []Variable{
		{Name: "req.method", Kind: KindText, Doc: "method"},
		{Name: "req.version", Kind: KindText, Doc: "`HTTP/1.1` or `HTTP/2.0`"},
		{Name: "req.host", Kind: KindText, Doc: "Host header"},
	}
	vs = append(vs, messageVariables("req.", "request")...)
	return append(
		vs,
		Variable{Name: "req.url", Kind: KindText, Doc: "whole URL, normalised"},
		Variable{Name: "req.url.raw", Kind: KindText, Doc: "whole URL as received"},
		Variable{Name: "req.url.scheme", Kind: KindText, Doc: "scheme"},
		Variable{Name: "req.url.host", Kind: KindText, Doc: "host without port"},
		Variable{Name: "req.url.port", Kind: KindInt, Doc: "port, 0 if the URL has none"},
		Variable{Name: "req.url.authority", Kind: KindText, Doc: "user information, host and port"},
		Variable{Name: "req.url.path", Kind: KindText, Doc: "path, normalised"},
		Variable{Name: "req.url.raw_path", Kind: KindText, Doc: "path as received"},
		Variable{Name: "req.url.query", Kind: KindText, Doc: "query without `?`"},
		Variable{Name: "req.url.uri", Kind: KindText, Doc: "path and query"},
		Variable{Name: "req.url.user_password", Kind: KindText, Doc: "user information"},
		Variable{Name: "req.url.query_params", Kind: KindParamMap, Doc: "query parameters, decoded"},
		Variable{Name: "req.user_agent", Kind: KindText, Doc: "User-Agent header"},
		Variable{Name: "req.user_agent.name", Kind: KindText, Doc: "name of the program"},
		Variable{Name: "req.user_agent.version", Kind: KindText, Doc: "its version"},
		Variable{Name: "req.user_agent.os", Kind: KindText, Doc: "operating system"},
		Variable{Name: "req.user_agent.os_version", Kind: KindText, Doc: "its version"},
		Variable{Name: "req.user_agent.device", Kind: KindText, Doc: "device"},
		Variable{Name: "req.user_agent.url", Kind: KindText, Doc: "URL that a bot names"},
		Variable{Name: "req.user_agent.is_mobile", Kind: KindBool, Doc: "whether it is a phone"},
		Variable{Name: "req.user_agent.is_tablet", Kind: KindBool, Doc: "whether it is a tablet"},
		Variable{Name: "req.user_agent.is_desktop", Kind: KindBool, Doc: "whether it is a desktop"},
		Variable{Name: "req.user_agent.is_bot", Kind: KindBool, Doc: "whether it is a bot"},
		Variable{Name: "req.ts.header_received", Kind: KindTime, Doc: "when the head of the request had arrived"},
		Variable{Name: "req.ts.body_received", Kind: KindTime, Live: true, Doc: "when its body had arrived; the zero time until then"},
	)
}

func resVariables() []Variable {
	return append([]Variable{{Name: "res.status_code", Kind: KindInt, Doc: "status"}}, messageVariables("res.", "response")...)
}

// olderVariables are spellings that still occur (traffic-policy.md 7.8).
func olderVariables() []Variable {
	var vs []Variable
	for older, now := range pairs(
		"req.Method", "req.method", "req.Headers", "req.headers", "req.URL", "req.url", "req.Host", "req.host",
		"req.Params", "req.url.query_params", "req.path", "req.url.path", "res.StatusCode", "res.status_code",
		"res.Headers", "res.headers", "conn.ClientIP", "conn.client_ip",
		"conn.Geo.City", "conn.geo.city", "conn.Geo.Country", "conn.geo.country", "conn.Geo.CountryCode", "conn.geo.country_code",
		"conn.Geo.Subdivision", "conn.geo.subdivision", "conn.Geo.Latitude", "conn.geo.latitude",
		"conn.Geo.Longitude", "conn.geo.longitude", "conn.Geo.Radius", "conn.geo.radius",
	) {
		vs = append(vs, Variable{Name: older, Alias: now})
	}
	return vs
}

// pairs ranges over a flat list two by two.
func pairs(list ...string) func(yield func(a, b string) bool) {
	return func(yield func(a, b string) bool) {
		for i := 0; i < len(list); i += 2 {
			if !yield(list[i], list[i+1]) {
				return
			}
		}
	}
}
