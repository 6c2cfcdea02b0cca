package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/control"
	"github.com/culvert-project/culvert/server/internal/outbound"
	"github.com/culvert-project/culvert/server/internal/snapshot"
	"github.com/culvert-project/culvert/server/internal/sshd"
)

// newSSH makes the server for plain SSH clients.
func (n *Node) newSSH(ctx context.Context, p *parts, shared *control.Shared, files *files, auth sshd.Authenticator, publisher *snapshot.Publisher) error {
	var key ssh.Signer
	err := n.awaitDatabase(ctx, func() (err error) {
		key, err = control.SSHHostKey(ctx, shared, files.keys)
		return err
	})
	if err != nil {
		return err
	}
	n.info.SSHFingerprint = ssh.FingerprintSHA256(key.PublicKey())
	p.ssh = sshd.New(sshd.Config{
		HostKey: key, Auth: auth, Binder: p.binder, Publisher: snapshot.Of[*sshd.Forward]{Publisher: publisher},
		FetchPolicy: policyFetcher(n.cfg.OutboundAllow), TCPHost: n.cfg.Domains[0],
		Limits: n.cfg.SSH, Region: n.cfg.Region, Logger: n.log,
	})
	return nil
}

// sshAuthenticator lets in whoever has a registered key, or an authtoken.
type sshAuthenticator struct{ authenticator }

// Key returns who has registered a key.
func (a sshAuthenticator) Key(_ context.Context, fingerprint string, from netip.AddrPort) (wire.Agent, error) {
	h, err := a.gate.SSHKey(fingerprint)
	if err == nil {
		err = a.lookups.AdmitAgent(h.Account, from.Addr().Unmap())
	}
	if err != nil {
		return wire.Agent{}, err
	}
	return wire.Agent{Account: h.Account, TokenID: h.ID, Principal: h.Principal}, nil
}

// Token returns who holds an authtoken.
func (a sshAuthenticator) Token(ctx context.Context, authtoken string, from netip.AddrPort) (wire.Agent, error) {
	return a.Authenticate(ctx, wire.Auth{Extra: wire.AuthExtra{Authtoken: authtoken}}, from)
}

// fetchTime bounds the fetching of a policy.
const fetchTime = 10 * time.Second

// policyFetcher returns what reads the policies of SSH clients: from https addresses of the internet, and from all
// that are allowed besides (decisions.md 43).
func policyFetcher(allow []netip.Prefix) func(ctx context.Context, address string) (string, error) {
	client := func(public bool) *http.Client {
		return &http.Client{
			Transport: (&outbound.Guard{Public: public, Allow: allow}).Transport(), Timeout: fetchTime,
			CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it leads to another address") },
		}
	}
	secure, plain := client(true), client(false)
	return func(ctx context.Context, address string) (string, error) {
		u, err := url.Parse(address)
		if err != nil {
			return "", errors.New("it is no URL")
		}
		by := secure
		switch u.Scheme {
		case "https":
		case "http":
			by = plain
		default:
			return "", fmt.Errorf("its scheme is %q, and only https can be fetched", u.Scheme)
		}
		return getText(ctx, by, u)
	}
}

func getText(ctx context.Context, client *http.Client, u *url.URL) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err // the message names the URL already
		}
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it has been read
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, api.MaxPolicy+1))
	if err == nil && len(text) > api.MaxPolicy {
		err = errors.New("it is larger than 256 KiB")
	}
	return string(text), err
}

// clients are the sessions of agents and of plain SSH clients.
type clients struct {
	agents control.Sessions
	ssh    *sshd.Server
}

// Agents returns all of them.
func (c clients) Agents() []wire.Agent { return append(c.agents.Agents(), c.ssh.Agents()...) }

// StopSession ends one.
func (c clients) StopSession(ctx context.Context, id string) error {
	if err := c.ssh.StopSession(ctx, id); !errors.Is(err, sshd.ErrUnknown) {
		return err
	}
	return c.agents.StopSession(ctx, id)
}

// RestartSession has one start itself again.
func (c clients) RestartSession(ctx context.Context, id string) error {
	if err := c.ssh.RestartSession(ctx, id); !errors.Is(err, sshd.ErrUnknown) {
		return err
	}
	return c.agents.RestartSession(ctx, id)
}

// UpdateSession has one replace itself.
func (c clients) UpdateSession(ctx context.Context, id, version string, major bool) error {
	if err := c.ssh.UpdateSession(ctx, id, version, major); !errors.Is(err, sshd.ErrUnknown) {
		return err
	}
	return c.agents.UpdateSession(ctx, id, version, major)
}

// acceptSSH serves the listener for SSH clients until it is closed.
func (p *parts) acceptSSH(ctx context.Context) error {
	ln, err := p.lns.take(ctx, "tcp", p.lns.ssh.Addr().String())
	if err != nil {
		return err
	}
	defer ln.Close() //nolint:errcheck // closed already, or about to be lost with the process
	p.ssh.Serve(ctx, ln)
	return nil
}

// streams returns how many public connections are being carried to clients.
func (p *parts) streams() int { return p.tunnels.NumStreams() + p.ssh.NumStreams() }

// revoke ends the sessions whose credential is not valid any more.
func (p *parts) revoke(valid func(credentialID string) bool) {
	p.tunnels.Revoke(valid)
	p.ssh.Revoke(valid)
}
