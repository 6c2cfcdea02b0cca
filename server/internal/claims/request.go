package claims

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
)

// Bounds of a bind request.
const (
	maxOpts        = 256 << 10 // bytes; room for certificates and a policy
	maxProto       = 64
	maxMetadata    = 4096 // bytes
	maxDescription = 255
	maxName        = 255
	maxForwardsTo  = 1024
)

// request is a bind request that was understood.
type request struct {
	scheme             endpoint.Scheme
	address, subdomain string // what was asked for, as it was written
	bindings           []string
	pooled, http2      bool
	proxyProto         int
	tls                *wire.BoundTLS
	modules            []module
	policy             string // the document; empty for none
	acl                acl    // of the agent's authtoken
	most               *int64 // endpoints of the account; nil for any number
}

// read understands a bind request and refuses options that cannot be, or are not built (decisions.md 27).
func read(bind wire.Bind) (request, error) {
	r := request{
		scheme: endpoint.Scheme(bind.Proto), bindings: bind.Extra.Bindings, pooled: bind.Extra.PoolingEnabled,
	}
	if len(bind.Proto) > maxProto || len(bind.ForwardsProto) > maxProto {
		return r, fault.New(fault.BindInvalid, "a protocol's name is too long")
	}
	if !r.scheme.Known() {
		return r, fault.New(fault.ProtoUnknown, bind.Proto)
	}
	switch bind.ForwardsProto {
	case "", "http1":
	case "http2":
		r.http2 = r.scheme.IsHTTP()
	default:
		return r, fault.New(fault.UpstreamProtocol, bind.ForwardsProto)
	}
	if err := checkTexts(bind.Extra.Name, bind.Extra.Description, bind.Extra.Metadata); err != nil {
		return r, err
	}
	if bind.Extra.IPPolicyRef != "" {
		return r, fault.New(fault.OptionNotBuilt, "IPPolicyRef")
	}
	if len(bind.Opts) > maxOpts {
		return r, fault.New(fault.OptionInvalid, "Opts", "the options are larger than 256 KiB")
	}
	set, err := checkOptions(r.scheme, bind.Opts)
	if err != nil {
		return r, err
	}
	if r.modules, err = modules(set); err != nil {
		return r, err
	}
	switch r.scheme {
	case endpoint.HTTP, endpoint.HTTPS:
		err = r.readHTTP(bind.Opts)
	case endpoint.TCP:
		err = r.readTCP(bind.Opts)
	case endpoint.TLS:
		err = r.readTLS(bind.Opts)
	}
	if err != nil {
		return r, err
	}
	if r.policy, err = PolicyOf(bind.Opts); err != nil {
		return r, err
	}
	if r.proxyProto < 0 || r.proxyProto > 2 {
		return r, fault.New(fault.OptionInvalid, "ProxyProto", "the version "+strconv.Itoa(r.proxyProto)+" is not 1 or 2")
	}
	return r, nil
}

// checkTexts bounds the texts that people give.
func checkTexts(name, description, metadata string) error {
	if n := len(metadata); n > maxMetadata {
		return fault.New(fault.MetadataTooLong, n)
	}
	if n := utf8.RuneCountInString(description); n > maxDescription {
		return fault.New(fault.DescriptionTooLong, n)
	}
	if utf8.RuneCountInString(name) > maxName {
		return fault.New(fault.OptionInvalid, "Name", "it is longer than 255 bytes")
	}
	return nil
}

func decodeOpts(raw json.RawMessage, into any) error {
	if !wire.IsSet(raw) {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		why := "the options are not an object"
		if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok && te.Field != "" {
			why = "the option " + te.Field + " is a " + te.Value
		}
		return fault.Wrap(err, fault.BindInvalid, why)
	}
	return nil
}

func (r *request) readHTTP(raw json.RawMessage) error {
	var o wire.HTTPOptions
	if err := decodeOpts(raw, &o); err != nil {
		return err
	}
	r.address, r.subdomain = o.Wanted()
	r.proxyProto = o.ProxyProto
	if o.MutualTLSCA == nil {
		return nil
	}
	cas, err := clientCAs("MutualTLSCA", o.MutualTLSCA)
	r.tls = &wire.BoundTLS{Terminate: true, ClientCAs: cas}
	return err
}

func (r *request) readTCP(raw json.RawMessage) error {
	var o wire.TCPOptions
	if err := decodeOpts(raw, &o); err != nil {
		return err
	}
	r.address, r.proxyProto = o.Wanted(), o.ProxyProto
	return nil
}

func (r *request) readTLS(raw json.RawMessage) error {
	var o wire.TLSOptions
	if err := decodeOpts(raw, &o); err != nil {
		return err
	}
	r.address, r.subdomain = o.Wanted()
	r.proxyProto = o.ProxyProto
	if o.TLSTermination == nil {
		if o.MutualTLSAtEdge != nil {
			return fault.New(fault.OptionInvalid, "MutualTLSAtEdge", "the server can ask for client certificates only where it terminates TLS; set TLSTermination too")
		}
		return nil
	}
	t := &wire.BoundTLS{Terminate: true}
	switch cert, key := o.TLSTermination.Cert, o.TLSTermination.Key; {
	case len(o.TLSTermination.SealedKey) > 0:
		return fault.New(fault.OptionInvalid, "TLSTermination", "this server cannot open sealed keys")
	case (len(cert) > 0) != (len(key) > 0):
		return fault.New(fault.OptionInvalid, "TLSTermination", "certificate and key belong together")
	case len(cert) > 0:
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return fault.Wrap(err, fault.OptionInvalid, "TLSTermination", err)
		}
		t.Certificate = &pair
	}
	if o.MutualTLSAtEdge != nil {
		cas, err := clientCAs("MutualTLSAtEdge", o.MutualTLSAtEdge)
		if err != nil {
			return err
		}
		t.ClientCAs = cas
	}
	r.tls = t
	return nil
}

// clientCAs reads the authorities of client certificates. None at all, or one that cannot be read, is
// refused: it would let everybody in, or nobody (decisions.md 52).
func clientCAs(option string, m *wire.MutualTLS) ([]*x509.Certificate, error) {
	var cas []*x509.Certificate
	rest := m.CA
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.OptionInvalid, option, "it holds something else than certificates")
		}
		ca, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fault.Wrap(err, fault.OptionInvalid, option, err)
		}
		cas = append(cas, ca)
	}
	if len(cas) == 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fault.New(fault.OptionInvalid, option, "it is not a list of PEM certificates")
	}
	return cas, nil
}
