package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/expr"
	"github.com/culvert-project/culvert/server/internal/policy"
)

// Bounds of credentials (traffic-policy.md 1.7).
const (
	maxCredentials = 10
	maxUser        = 128
	minPassword    = 8
	maxPassword    = 128
)

// digest stands for a user name and password. Passwords are compared by it, so
// that neither length nor content shows in the time that takes.
type digest [sha256.Size]byte

var digestKey = func() (key [32]byte) { _, _ = rand.Read(key[:]); return key }() //nolint:errcheck // never fails

func digestOf(user, password string) (d digest) {
	h := hmac.New(sha256.New, digestKey[:])
	h.Write(binary.AppendUvarint(nil, uint64(len(user))))
	h.Write([]byte(user))
	h.Write([]byte(password))
	h.Sum(d[:0])
	return d
}

// credential is an entry of the list.
type credential struct {
	fixed digest // if neither of the others is set
	// whole is a text "user:password"; colons is how many of them it holds
	// outside of expressions, and 0 if one expression is all of it.
	whole  *expr.Template
	colons int
	// user and password are the two sides of a mapping.
	user, password *expr.Template
}

// digest returns the credential's for an exchange, false if it can match
// nobody.
func (c *credential) digest(x *policy.Exchange) (digest, bool) {
	var user, password string
	switch {
	case c.whole != nil:
		text, err := x.Text(c.whole)
		if err != nil || c.colons > 0 && strings.Count(text, ":") != c.colons {
			return digest{}, false // an expression must not move the colon
		}
		user, password, _ = strings.Cut(text, ":")
	case c.user != nil:
		var err, err2 error
		user, err = x.Text(c.user)
		password, err2 = x.Text(c.password)
		if err != nil || err2 != nil {
			return digest{}, false
		}
	default:
		return c.fixed, true
	}
	_, message := check(user, password)
	return digestOf(user, password), message == ""
}

// check says what is wrong with a pair. It repeats none of it.
func check(user, password string) (fault.Code, string) {
	switch {
	case user == "":
		return fault.PolicyValueEmpty, "the user name is empty"
	case utf8.RuneCountInString(user) > maxUser:
		return fault.TextTooLong, fmt.Sprintf("a user name has at most %d characters", maxUser)
	case strings.Contains(user, ":") || control(user):
		return fault.UsernameInvalid, "a user name has no colon and no control characters"
	case utf8.RuneCountInString(password) < minPassword:
		return fault.TextTooShort, fmt.Sprintf("a password has %d characters at least", minPassword)
	case utf8.RuneCountInString(password) > maxPassword:
		return fault.TextTooLong, fmt.Sprintf("a password has at most %d characters", maxPassword)
	case control(password):
		return fault.PasswordInvalid, "a password has no control characters"
	}
	return "", ""
}

func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// buildCredential reads an entry: a text, or a mapping of username and password.
func buildCredential(field string, t *policy.Tree, b *policy.Build) credential {
	if whole := t.Template(); whole != nil {
		return buildWhole(field, whole, b)
	}
	var user, password *expr.Template
	names, values := t.Entries()
	for i, name := range names {
		switch name {
		case "username":
			user = values[i].Template()
		case "password":
			password = values[i].Template()
		default:
			b.Problem(field+"."+name, fault.ActionConfigInvalid, "there is no setting %s; credentials are texts user:password", name)
		}
	}
	if user == nil || password == nil {
		b.Problem(field, fault.ActionConfigInvalid, "credentials are texts user:password")
		return credential{}
	}
	b.Warn(field, fault.ActionConfigInvalid, "credentials are texts; write user:password")
	u, fixed := user.Static()
	p, alsoFixed := password.Static()
	if !fixed || !alsoFixed {
		return credential{user: user, password: password}
	}
	if code, message := check(u, p); message != "" {
		b.Problem(field, code, "%s", message)
	}
	return credential{fixed: digestOf(u, p)}
}

func buildWhole(field string, t *expr.Template, b *policy.Build) credential {
	if text, fixed := t.Static(); fixed {
		user, password, ok := strings.Cut(text, ":")
		code, message := check(user, password)
		if !ok {
			code, message = fault.PolicyValueInvalid, "credentials are written user:password"
		}
		if message != "" {
			b.Problem(field, code, "%s", message)
		}
		return credential{fixed: digestOf(user, password)}
	}
	parts, colons := 0, 0
	t.Parts(func(literal string, _ bool) {
		parts++
		colons += strings.Count(literal, ":")
	})
	if parts > 1 && colons == 0 {
		b.Problem(field, fault.PolicyValueInvalid, "between the user name and the password a colon has to be written, unless one expression gives both")
	}
	return credential{whole: t, colons: colons}
}
