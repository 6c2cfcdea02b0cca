package substitute

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

const (
	// maxURL is the longest URL that is made, in bytes.
	maxURL = 64 << 10
	// maxMatches is how many matches are reported.
	maxMatches = 100
)

// URL is a replacement in the URL of the request.
type URL struct {
	// From is what to replace, the whole URL if nil; To what with.
	From *policy.Pattern
	To   *expr.Template
}

// Replaced is the outcome of a replacement in a URL.
type Replaced struct {
	// URL is the new URL, nil if it is the old one.
	URL *url.URL
	// Text is it as a text.
	Text string
	// Host is its host and port, empty if they are those of the old one.
	Host string
	// Matches are the first matched texts.
	Matches []string
}

var whole = regexp.MustCompile(`(?s)^.*$`)

// Apply finds and replaces in the URL of the exchange's request. It changes
// nothing. Its errors are faults.
func (u URL) Apply(x *policy.Exchange) (Replaced, error) {
	from := whole
	if u.From != nil {
		var err error
		if from, err = u.From.Regexp(x); err != nil {
			return Replaced{}, fault.Wrap(err, fault.RewrittenURLInvalid, "from is not a regular expression")
		}
	}
	to, err := x.Text(u.To)
	if err != nil {
		return Replaced{}, err
	}
	text := fact(x, "")
	old, err := url.Parse(encode(text))
	if err != nil {
		return Replaced{}, fault.Wrap(err, fault.RewrittenURLInvalid, "the URL of the request does not parse")
	}
	to = words(to, from, func(w string) (string, bool) { return older(x, w) })
	done, err := Replace(from, []byte(text), to, maxURL, maxMatches)
	if err != nil {
		return Replaced{}, fault.Wrap(err, fault.RewrittenURLInvalid, fmt.Sprintf("the result has more than %d bytes", maxURL))
	}
	if len(done.Matches) == 0 {
		return Replaced{}, nil
	}
	made, err := u.repair(encode(string(done.Text)), old)
	if err == nil {
		err = settle(made)
	}
	if err != nil {
		return Replaced{}, fault.Wrap(err, fault.RewrittenURLInvalid, "the result is no URL")
	}
	r := Replaced{Matches: done.Matches, Text: made.String()}
	if normal(made) != normal(old) {
		r.URL = made
		if !strings.EqualFold(made.Host, old.Host) {
			r.Host = made.Host
		}
	}
	return r, nil
}

// repair parses a result and takes scheme and host from the request's URL where
// it lacks them.
func (u URL) repair(text string, old *url.URL) (*url.URL, error) {
	if strings.HasPrefix(text, "//") && !u.namesHost() {
		// The slashes come from the request. The result would lead to a host
		// that whoever wrote the request has chosen.
		text = "/" + strings.TrimLeft(text, "/")
	}
	made, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	switch {
	case made.Opaque != "":
		return nil, errors.New("it has no slash behind its scheme")
	case made.Scheme == "":
		made = old.ResolveReference(made)
	case made.Host == "":
		made.Host, made.User = old.Host, old.User
		made.OmitHost = false
	}
	if made.Hostname() == "" {
		return nil, errors.New("it names no host")
	}
	return made, nil
}

// settle gives a URL the path that rules see: what follows it, rules and
// upstream, judges the same one.
func settle(u *url.URL) error {
	path := policy.NormalPath(u.EscapedPath())
	if path == "" {
		path = "/"
	}
	plain, err := url.PathUnescape(path)
	u.Path, u.RawPath = plain, path
	return err
}

// namesHost reports whether the replacement begins with // as it was written,
// for a host and the request's scheme.
func (u URL) namesHost() bool { return strings.HasPrefix(u.To.String(), "//") }

// normal is a URL in the form that is compared.
func normal(u *url.URL) string {
	n := *u
	host, port := strings.ToLower(n.Hostname()), n.Port()
	if port == "" || n.Scheme == "https" && port == "443" || n.Scheme == "http" && port == "80" {
		port = ""
	}
	user := ""
	if n.User != nil {
		user = n.User.String() + "@"
	}
	path := policy.NormalPath(n.EscapedPath())
	if path == "" {
		path = "/"
	}
	return n.Scheme + "://" + user + host + ":" + port + path + "?" + n.RawQuery + "#" + n.EscapedFragment()
}

// encode percent-encodes what may not stand in a URL (RFC 3986 2).
func encode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '%' && !(i+2 < len(s) && hex(s[i+1]) && hex(s[i+2])), c <= ' ', c >= 0x7f, strings.IndexByte("\"<>\\^`{|}", c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func hex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// fact returns a part of the request's URL as a text; "" is the whole.
func fact(x *policy.Exchange, part string) string {
	name := "req.url"
	if part != "" {
		name += "." + part
	}
	v, _ := x.Lookup(name)
	return fmt.Sprint(v)
}

// older returns the value of a $ word of older documents (traffic-policy.md
// 7.8).
func older(x *policy.Exchange, word string) (string, bool) {
	switch word {
	case "scheme", "host", "uri":
		return fact(x, word), true
	case "port":
		if p := fact(x, "port"); p != "0" {
			return p, true
		}
		return "", true
	case "authority":
		host := fact(x, "authority")
		return host[strings.LastIndexByte(host, '@')+1:], true
	case "args", "query_string":
		return fact(x, "query"), true
	case "is_args":
		return ifAny(fact(x, "query"), "?"), true
	case "user":
		return fact(x, "user_password"), true
	case "is_user":
		return ifAny(fact(x, "user_password"), "@"), true
	}
	if arg, ok := strings.CutPrefix(word, "arg_"); ok {
		params, _ := x.Lookup("req.url.query_params")
		if all, ok := params.(map[string][]string); ok && len(all[arg]) > 0 {
			return all[arg][0], true
		}
		return "", true
	}
	return "", false
}

func ifAny(s, mark string) string {
	if s == "" {
		return ""
	}
	return mark
}
