package claims

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// bound describes a claim to the tunnel layer.
func (b *Binder) bound(c *claim, agent wire.Agent, bind wire.Bind, r request, program any, token string) (*wire.Bound, error) {
	shown := b.Show(c.url)
	opts, err := echo(bind, c.url, shown)
	if err != nil {
		return nil, err
	}
	forwardsTo := bind.ForwardsTo
	if len(forwardsTo) > maxForwardsTo {
		forwardsTo = strings.ToValidUTF8(forwardsTo[:maxForwardsTo], "")
	}
	return &wire.Bound{
		ID: bind.Id, TunnelID: c.id, URL: shown, Proto: bind.Proto, Opts: opts, Token: token,
		Account: agent.Account, Binding: string(BindingOf(c.url)),
		Scheme: string(c.url.Scheme), Host: c.url.Host, Port: c.url.Port,
		Pooled: r.pooled, HTTP2: r.http2, ProxyProto: r.proxyProto, TLS: r.tls,
		Policy: program,
		Name:   bind.Extra.Name, Description: bind.Extra.Description, Metadata: bind.Extra.Metadata,
		ForwardsTo: forwardsTo,
	}, nil
}

// echo returns the options to answer with: the request's, with the address that was given in every key that
// names one. An agent that loses all but its options then asks for the same address again.
func echo(bind wire.Bind, u endpoint.URL, shown string) (json.RawMessage, error) {
	name := u.Host
	if u.Scheme == endpoint.TCP || u.Port != u.Scheme.DefaultPort() {
		name += ":" + strconv.Itoa(int(u.Port))
	}
	opts, err := wire.CompleteOpts(bind.Proto, bind.Opts, name)
	if err != nil {
		return nil, fault.Wrap(err, fault.BindInvalid, "the options are not an object")
	}
	var m map[string]json.RawMessage
	if err := json.Unmarshal(opts, &m); err != nil {
		return nil, err
	}
	changed := false
	for key, value := range map[string]string{"URL": shown, "Domain": name} {
		var old string
		if raw, ok := m[key]; !ok || json.Unmarshal(raw, &old) != nil || old == "" || old == value {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		m[key], changed = text, true
	}
	if !changed {
		return opts, nil
	}
	return json.Marshal(m)
}
