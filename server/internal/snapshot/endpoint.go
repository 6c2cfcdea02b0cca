package snapshot

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/meter"
	"github.com/culvert-project/culvert/server/internal/policy"
	"github.com/culvert-project/culvert/server/internal/route"
)

// Endpoint returns the endpoint of the table for what an agent has bound. Its
// meters may be nil.
func Endpoint(b *wire.Bound, agent wire.Agent, at time.Time, up route.Upstream, meters *meter.Meters) *route.Endpoint {
	scheme := endpoint.Scheme(b.Scheme)
	program, _ := b.Policy.(*policy.Program)
	return &route.Endpoint{
		ID:      b.TunnelID,
		Account: b.Account,
		Session: agent.SessionID,
		Key: endpoint.Key{
			Account: b.Account,
			Binding: endpoint.Binding(b.Binding),
			URL:     endpoint.URL{Scheme: scheme, Host: b.Host, Port: b.Port},
		},
		Upstream:    up,
		HTTP2:       b.HTTP2,
		ProxyProto:  b.ProxyProto,
		TLS:         tlsSettings(b.TLS),
		FaultRecord: agent.Features.FaultRecord && scheme.IsHTTP(),
		Pooled:      b.Pooled,
		BoundAt:     at,
		ForwardsTo:  b.ForwardsTo,
		Policy:      program,
		Meters:      meters,
	}
}

// tlsSettings gives the settings of a bind the identity by which endpoints may
// serve each other's connections.
func tlsSettings(b *wire.BoundTLS) *route.TLSSettings {
	if b == nil {
		return nil
	}
	s := &route.TLSSettings{Terminate: b.Terminate, Certificate: b.Certificate}
	id := sha256.New()
	id.Write(strconv.AppendBool(nil, b.Terminate))
	if b.Certificate != nil {
		for _, der := range b.Certificate.Certificate {
			id.Write([]byte("|certificate|"))
			id.Write(der)
		}
	}
	if len(b.ClientCAs) > 0 {
		s.ClientCAs = x509.NewCertPool()
		for _, ca := range b.ClientCAs {
			s.ClientCAs.AddCert(ca)
			id.Write([]byte("|client ca|"))
			id.Write(ca.Raw)
		}
	}
	s.ID = hex.EncodeToString(id.Sum(nil))
	return s
}
