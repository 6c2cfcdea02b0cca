package sshd

import (
	"context"
	"errors"
	"net/netip"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/window"
)

const (
	// version is the version of the commands, the only one there is.
	version = "v2"
	// tokenUser is the user that logs in with an authtoken as the password.
	tokenUser = "token"
)

// agentKey is the key under which a login leaves who has logged in.
type agentKey struct{}

// login is one client's way in.
type login struct {
	ctx  context.Context //nolint:containedctx // it lives as long as the login
	srv  *Server
	from netip.AddrPort
	keys int // offered and refused
}

// config returns the configuration for the client's connection.
func (l *login) config() *ssh.ServerConfig {
	c := &ssh.ServerConfig{
		ServerVersion: "SSH-2.0-culvertd", MaxAuthTries: l.srv.limits.Tries,
		PublicKeyCallback: l.key, PasswordCallback: l.password,
	}
	c.AddHostKey(l.srv.cfg.HostKey)
	return c
}

// key judges a public key. The library calls it for keys that are only offered too, so what it returns counts
// for nothing before the login is over.
func (l *login) key(m ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if _, err := parseUser(m.User()); err != nil {
		return nil, refusal(err)
	}
	a, err := l.srv.cfg.Auth.Key(l.ctx, ssh.FingerprintSHA256(key), l.from)
	if err == nil {
		return permissions(a), nil
	}
	if l.keys++; l.keys >= l.srv.limits.Tries && fault.Has(err, fault.SSHKeyUnknown) {
		err = fault.New(fault.SSHKeysTooMany, l.srv.limits.Tries)
	}
	return nil, refusal(err)
}

// password takes an authtoken from the user token; others are told that they have shown no key.
func (l *login) password(m ssh.ConnMetadata, password []byte) (*ssh.Permissions, error) {
	u, err := parseUser(m.User())
	if err != nil {
		return nil, refusal(err)
	}
	if !u.token {
		return nil, refusal(fault.New(fault.SSHKeyMissing))
	}
	var source window.Key
	limited := netx.Source(l.from.Addr()).IsValid()
	if limited {
		source = window.KeyOf([]byte(netx.Source(l.from.Addr()).String()))
		if ok, _ := l.srv.failures.Look(source, uint32(l.srv.limits.Failures)); !ok { //nolint:gosec // a small number
			return nil, refusal(fault.New(fault.SessionRate, l.from.Addr()))
		}
	}
	a, err := l.srv.cfg.Auth.Token(l.ctx, string(password), l.from)
	if err != nil {
		if limited {
			l.srv.failures.Take(source, uint32(l.srv.limits.Failures)) //nolint:gosec // a small number
		}
		return nil, refusal(err)
	}
	return permissions(a), nil
}

func permissions(a wire.Agent) *ssh.Permissions {
	return &ssh.Permissions{ExtraData: map[any]any{agentKey{}: a}}
}

// refusal shows the client why it is refused.
func refusal(err error) error {
	f := fault.From(err)
	return &ssh.BannerError{Err: errors.Join(f, f.Cause), Message: strings.ReplaceAll(shown(f), "\n", "\r\n")}
}

// shown is a fault as the client's user sees it.
func shown(f *fault.Error) string {
	return "culvert: " + f.Message + "\n" + f.Remedy + "\n" + string(f.Code) + "\n"
}

// user is what the name of a user says.
type user struct {
	verb  string // a command given with the name, "" for none
	token bool
}

// parseUser reads the name of a user: the version of the commands or the word token, each with or without +COMMAND.
// All else is the name that clients give where the command line has none.
func parseUser(name string) (user, error) {
	first, verb, _ := strings.Cut(name, "+")
	digits, versioned := strings.CutPrefix(first, "v")
	if versioned && first != version && digits != "" && strings.Trim(digits, "0123456789") == "" {
		return user{}, fault.New(fault.SSHUserUnknown, first)
	}
	if verb != "" {
		if _, err := parse(verb); err != nil {
			return user{}, err
		}
	}
	return user{verb: verb, token: first == tokenUser}, nil
}
