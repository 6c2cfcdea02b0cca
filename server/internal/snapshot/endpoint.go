package snapshot

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"strconv"
	"time"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// Endpoint returns the endpoint of the table for what an agent has bound. It
// fails with fault.OptionInvalid if certificates in it cannot be read.
func Endpoint(b *wire.Bound, agent wire.Agent, at time.Time, up route.Upstream) (*route.Endpoint, error) {
	scheme := endpoint.Scheme(b.Scheme)
	settings, err := tlsSettings(b.TLS)
	if err != nil {
		return nil, err
	}
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
		TLS:         settings,
		FaultRecord: agent.Features.FaultRecord && scheme.IsHTTP(),
		Pooled:      b.Pooled,
		BoundAt:     at,
		ForwardsTo:  b.ForwardsTo,
	}, nil
}

// tlsSettings reads the PEM texts of a bind.
func tlsSettings(b *wire.BoundTLS) (*route.TLSSettings, error) {
	if b == nil {
		return nil, nil
	}
	s := &route.TLSSettings{Terminate: b.Terminate}
	id := sha256.New()
	id.Write(strconv.AppendBool(nil, b.Terminate))
	if len(b.Certificate) > 0 || len(b.Key) > 0 {
		cert, err := tls.X509KeyPair(b.Certificate, b.Key)
		if err != nil {
			return nil, fault.Wrap(err, fault.OptionInvalid, "TLSTermination", err)
		}
		s.Certificate = &cert
		for _, der := range cert.Certificate {
			id.Write([]byte("|certificate|"))
			id.Write(der)
		}
	}
	if len(b.ClientCAs) > 0 {
		cas, err := parseCAs(b.ClientCAs)
		if err != nil {
			return nil, fault.Wrap(err, fault.OptionInvalid, "mutual TLS", err)
		}
		s.ClientCAs = x509.NewCertPool()
		for _, ca := range cas {
			s.ClientCAs.AddCert(ca)
			id.Write([]byte("|client ca|"))
			id.Write(ca.Raw)
		}
	}
	s.ID = hex.EncodeToString(id.Sum(nil))
	return s, nil
}

// parseCAs reads certificates and refuses everything else: whoever lists client
// CAs wants a check, and a list that is half understood is not that check.
func parseCAs(text []byte) ([]*x509.Certificate, error) {
	var cas []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("it has a PEM block that is not a certificate")
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		cas, text = append(cas, ca), rest
	}
	if len(cas) == 0 {
		return nil, errors.New("it has no PEM certificate")
	}
	return cas, nil
}
