package policy

import (
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
)

// Bounds of a header that a policy sets (traffic-policy.md 1.7), in bytes.
const (
	maxHeaderName  = 256
	maxHeaderValue = 8192
)

// reserved headers belong to the connection or to the server: no policy sets
// them.
var reserved = []string{
	"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Ngrok-Error-Code",
}

// Reserved reports whether a header belongs to the connection or to the server,
// so that no policy sets or removes it.
func Reserved(name string) bool {
	return slices.Contains(reserved, textproto.CanonicalMIMEHeaderKey(name))
}

// CheckHeaders reports what is wrong with headers to be set: names that are no
// tokens, too long, there twice, reserved or among those that the action
// refuses, and values that are too long or have control characters. The names
// become canonical.
func (b *Build) CheckHeaders(field string, list Fields, refused ...string) {
	seen := make(map[string]bool)
	for i := range list {
		written := list[i].Name
		at := field + "." + written
		name := textproto.CanonicalMIMEHeaderKey(written)
		list[i].Name = name
		if !b.CheckHeaderName(at, written) {
			continue
		}
		switch {
		case Reserved(name), slices.Contains(refused, name):
			b.NameProblem(at, fault.HeaderReserved, "a policy may not set the header %s", strings.ToLower(written))
		case seen[name]:
			b.NameProblem(at, fault.PolicyDuplicate, "the header %s stands here twice", strings.ToLower(written))
		}
		seen[name] = true
		list[i].Value.Parts(func(literal string, _ bool) {
			switch {
			case len(literal) > maxHeaderValue:
				b.Problem(at, fault.HeaderValueTooLong, "the value has %d bytes, and at most %d are allowed", len(literal), maxHeaderValue)
			case strings.ContainsFunc(literal, control):
				b.Problem(at, fault.HeaderValueInvalid, "the value has a control character, such as a line break")
			}
		})
	}
}

// CheckHeaderName reports a name that no header can have.
func (b *Build) CheckHeaderName(field, name string) bool {
	switch {
	case len(name) > maxHeaderName:
		b.NameProblem(field, fault.HeaderNameTooLong, "the name has %d bytes, and at most %d are allowed", len(name), maxHeaderName)
	case name == "" || strings.ContainsFunc(name, func(c rune) bool { return !token(c) }):
		b.NameProblem(field, fault.HeaderNameInvalid, "%q is no name of a header, which has letters, digits and characters such as - and _", name)
	default:
		return true
	}
	return false
}

// token reports whether a character may stand in a name (RFC 9110 5.6.2).
func token(c rune) bool {
	return c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", c))
}

// control reports whether a character may not stand in a header's value.
func control(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// HeaderText evaluates the value of a header. Control characters are taken out
// of it, so that no input of an expression can begin another header
// (traffic-policy.md 5), and it is cut at 8192 bytes.
func (x *Exchange) HeaderText(t *expr.Template) (string, error) {
	s, err := x.Text(t)
	if err != nil {
		return "", err
	}
	return HeaderValue(s), nil
}

// HeaderValue returns a text without control characters and white space around
// it, at most 8192 bytes of it.
func HeaderValue(s string) string {
	if strings.ContainsFunc(s, control) {
		s = strings.Map(func(c rune) rune {
			if control(c) {
				return -1
			}
			return c
		}, s)
	}
	return strings.Trim(s[:min(len(s), maxHeaderValue)], " \t")
}

// dropListed removes the fields that Connection lists, and leaves in it what no
// policy may set. It goes before the rules, so that nobody can list away what they
// set, and so that they do not judge what the other side never gets (T21).
func dropListed(h http.Header) {
	lists := h["Connection"]
	listed := false
	for _, list := range lists {
		for token := range strings.SplitSeq(list, ",") {
			listed = listed || !staysListed(textproto.TrimString(token))
		}
	}
	if !listed {
		return
	}
	var kept []string
	for _, list := range lists {
		for token := range strings.SplitSeq(list, ",") {
			if token = textproto.TrimString(token); staysListed(token) {
				kept = append(kept, token)
			} else {
				delete(h, textproto.CanonicalMIMEHeaderKey(token))
			}
		}
	}
	h["Connection"] = []string{strings.Join(kept, ", ")}
}

// staysListed reports whether Connection goes on listing a field, or option.
func staysListed(token string) bool {
	return token == "" || strings.EqualFold(token, "close") ||
		slices.ContainsFunc(reserved, func(name string) bool { return strings.EqualFold(token, name) })
}
