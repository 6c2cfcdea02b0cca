package policy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/ipset"
)

// Exchange is one passage through an endpoint: a connection, or a request and
// its response. It belongs to one goroutine.
type Exchange struct {
	// Conn is the connection that carries it.
	Conn *Conn
	// Endpoint is the one whose policy runs.
	Endpoint Endpoint
	// Request is the request, which actions change in place; nil in the
	// connect phase. Its URL has the scheme and host that the client used.
	Request *http.Request
	// Received is when the head of the request had arrived.
	Received time.Time
	// BodyReceived returns when all of its body had arrived, the zero time
	// before; nil if it has none.
	BodyReceived func() time.Time
	// OriginalURL is the URL as received, before normalising and rewriting.
	OriginalURL string
	// Response is the answer, whoever made it; nil until there is one.
	Response *http.Response
	// Message is the event in the event phase.
	Message *Message
	// Services answer what expressions ask of the world outside.
	Services Services
	// Logs are what log actions have recorded, in order; see Log.
	Logs []map[string]any
	// Disclosed are the values of secrets that expressions have got; see Redactor.
	Disclosed []string
	// Trace, if not nil, is told what happens.
	Trace *Trace
	// Headers of the request that the edge adds and that are not to be sent,
	// because an action removed them.
	Removed []string

	env        *expr.Env
	frame      *expr.Frame // space
	space      expr.Frame
	vars       map[string]any
	varsWeight int // of vars, see MaxVars
	results    []result
	few        [2]result // for results
	derived    derived
	waiting    []func(status int, err error) // see OnUpstream
	logged     int                           // bytes of Logs
}

// result is what an action has to say, under the names that begin with
// actions.ngrok.NAMESPACE.
type result struct {
	namespace string
	values    map[string]any        // by the rest of the name
	work      func() map[string]any // works values out; nil once it has
}

// Endpoint is what a policy may know of its endpoint.
type Endpoint struct {
	ID      string
	Account string
	URL     endpoint.URL
	// Name is what state such as counters belongs to besides the ID; the same
	// endpoint bound again has the same one.
	Name string
}

// Conn is what is known of a connection.
type Conn struct {
	// ID names the connection.
	ID string
	// Client and Server are its ends.
	Client, Server netip.AddrPort
	// ClientIP is the text of the client's address. If it is empty it is worked
	// out each time.
	ClientIP string
	// Start is when it began.
	Start time.Time
	// Region is the server's.
	Region string
	// SNI is the server name of the ClientHello, JA4 its fingerprint; JA4 is
	// called when somebody asks.
	SNI string
	JA4 func() string
	// TLS is the state after the handshake, nil before and without TLS.
	TLS *tls.ConnectionState
	// ServerCertificate is the leaf that was served, nil if none.
	ServerCertificate *tls.Certificate
	// Bytes returns how much came from and went to the client; may be nil.
	Bytes func() (in, out int64)
	// Terminate is what terminate-tls has asked for; nil if it did not run.
	Terminate *Terminate
	// Target is where forward-internal sends a connection of tcp or tls.
	Target any
	// Logs are what log actions have recorded in the connect phase, and Disclosed
	// the values of secrets that its expressions have got.
	Logs      []map[string]any
	Disclosed []string

	// results are those of the connect phase, which every request sees.
	results map[string]map[string]any
}

// Terminate is how TLS is to end at the edge.
type Terminate struct {
	MinVersion, MaxVersion uint16
	// Certificate is nil for that of the domain.
	Certificate *tls.Certificate
	// ClientAuth and ClientCAs are as in tls.Config; CAs are PEM.
	ClientAuth tls.ClientAuthType
	ClientCAs  []byte
}

// Message is one event of an event stream.
type Message struct {
	// Data is its data, lines joined with a newline; Retry its retry field,
	// empty if it has none.
	Data, Retry string
}

// Services answer what expressions ask of the world outside. Any may be nil.
type Services struct {
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Address returns a fact about an address, such as geo.location.city,
	// as.number or categories (traffic-policy.md 8.3).
	Address func(a netip.Addr, fact string) (any, bool)
	// Secret returns a secret of an account.
	Secret func(account, vault, name string) (string, error)
	// IPPolicy returns the rules of an IP policy of an account, nil if there is
	// none with the id. They do not change.
	IPPolicy func(account, id string) *ipset.Rules
	// Authority returns the certificate of an authority of an account, in PEM,
	// and whether there is one with the id.
	Authority func(account, id string) (string, bool)
}

// NewExchange returns an exchange for programs of an environment.
func NewExchange(env *expr.Env, c *Conn) *Exchange {
	x := &Exchange{Conn: c, env: env}
	x.frame, x.results = &x.space, x.few[:0]
	x.frame.Begin(env, x)
	return x
}

func (x *Exchange) now() time.Time {
	if x.Services.Now != nil {
		return x.Services.Now()
	}
	return time.Now()
}

// Text evaluates a template to a text. A nil template is empty.
func (x *Exchange) Text(t *expr.Template) (string, error) {
	if t == nil {
		return "", nil
	}
	s, err := t.Text(x.frame)
	if err != nil {
		return "", fault.Wrap(err, fault.InterpolationFailed, err.Error())
	}
	return s, nil
}

// Value evaluates a template to a value of any type.
func (x *Exchange) Value(t *expr.Template) (any, error) {
	v, err := t.Value(x.frame)
	if err != nil {
		return nil, fault.Wrap(err, fault.InterpolationFailed, err.Error())
	}
	return v, nil
}

// Eval evaluates an expression. Its errors are those of the expression.
func (x *Exchange) Eval(v *expr.Value) (any, error) { return v.Eval(x.frame) }

// EvalText evaluates an expression to a text.
func (x *Exchange) EvalText(v *expr.Value) (string, error) { return v.Text(x.frame) }

// Changed drops what was derived from the request or response. The engine
// calls it after every action; an action that evaluates after it has changed
// something calls it too.
func (x *Exchange) Changed() {
	x.frame.Forget()
	x.derived = derived{}
}

// SetResult replaces the results of an action: all variables that begin with
// actions.ngrok.NAMESPACE, by the rest of their names.
func (x *Exchange) SetResult(namespace string, values map[string]any) {
	x.set(result{namespace: namespace, values: values})
	if x.Request == nil {
		if x.Conn.results == nil {
			x.Conn.results = make(map[string]map[string]any)
		}
		x.Conn.results[namespace] = values
	}
}

// SetResultLater is SetResult for an action on requests or responses whose
// results are worked out when something asks for them, which mostly nothing
// does.
func (x *Exchange) SetResultLater(namespace string, work func() map[string]any) {
	x.set(result{namespace: namespace, work: work})
}

func (x *Exchange) set(r result) {
	for i := range x.results {
		if x.results[i].namespace == r.namespace {
			x.results[i] = r
			return
		}
	}
	x.results = append(x.results, r)
}

// resultsOf returns the results of an action of this exchange, and whether it
// has any.
func (x *Exchange) resultsOf(namespace string) (map[string]any, bool) {
	for i := range x.results {
		if r := &x.results[i]; r.namespace == namespace {
			if r.work != nil {
				r.values, r.work = r.work(), nil
			}
			return r.values, true
		}
	}
	return nil, false
}

// Result returns a result by its name, such as rate_limit.limited.
func (x *Exchange) Result(name string) (any, bool) {
	namespace, rest := cutDot(name)
	if m, ok := x.resultsOf(namespace); ok {
		v, ok := m[rest]
		return v, ok
	}
	v, ok := x.Conn.results[namespace][rest]
	return v, ok
}

// Secret implements expr.Source.
func (x *Exchange) Secret(vault, name string) (string, error) {
	if x.Services.Secret == nil {
		return "", fmt.Errorf("this server keeps no secrets")
	}
	v, err := x.Services.Secret(x.Endpoint.Account, vault, name)
	x.disclose(v)
	return v, err
}

// IPPolicy returns the rules of an IP policy of the endpoint's account as they
// are now, nil if it has none with the id.
func (x *Exchange) IPPolicy(id string) *ipset.Rules {
	if x.Services.IPPolicy == nil {
		return nil
	}
	return x.Services.IPPolicy(x.Endpoint.Account, id)
}

// Authority returns the certificate of an authority of the endpoint's account,
// in PEM, as it is now, and whether there is one with the id.
func (x *Exchange) Authority(id string) (string, bool) {
	if x.Services.Authority == nil {
		return "", false
	}
	return x.Services.Authority(x.Endpoint.Account, id)
}

// Respond sets the response to a new one with a body, and returns it. One that
// was there is closed.
func (x *Exchange) Respond(status int, body string) *http.Response {
	if x.Response != nil && x.Response.Body != nil {
		_ = x.Response.Body.Close() // it is not wanted any more
	}
	x.Response = NewResponse(x.Request, status, body)
	return x.Response
}

// Trace is told what a program does. All functions may be nil.
type Trace struct {
	// Expression is called for each expression that was evaluated, with what
	// its parts came to.
	Expression func(rule RuleInfo, source string, held bool, parts []expr.Part, err error)
	// Rule is called when it is known whether the expressions of a rule hold,
	// before its actions run.
	Rule func(rule RuleInfo, held bool)
	// Action is called after each action that ran.
	Action func(rule RuleInfo, action string, v Verdict, err error, took time.Duration)
}

// RuleInfo names a rule.
type RuleInfo struct {
	Phase Phase
	Index int
	Name  string
	// Path is such as on_http_request[0].
	Path string
	// Line is where the rule begins in its document.
	Line int
}

// Forwarder hands an exchange on to an internal endpoint. The edge implements
// it; forward-internal uses it.
type Forwarder interface {
	// Forward finds the endpoint in the account of x. For HTTP it sets
	// x.Response to the answer, for connections x.Conn.Target. It fails with a
	// fault if nothing answers.
	Forward(ctx context.Context, x *Exchange, to endpoint.URL) error
}
