package snapshot

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

type nowhere struct{}

func (nowhere) Dial(context.Context, wire.ProxyHeader) (net.Conn, error) {
	return nil, errors.New("nowhere")
}

// pair returns a certificate that signs itself, with its key.
func pair(t *testing.T, name string) (*tls.Certificate, *x509.Certificate) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k, Leaf: leaf}, leaf
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_800_000_000, 0)
	agent := wire.Agent{SessionID: "ts_1", Features: wire.Features{FaultRecord: true}}
	for name, tt := range map[string]struct {
		bound wire.Bound
		want  *route.Endpoint
	}{
		"https": {
			bound: wire.Bound{
				TunnelID: "ep_1", Account: "ac_1", Binding: "public", Scheme: "https", Host: "a.example.com", Port: 443,
				HTTP2: true, Pooled: true, ForwardsTo: "http://localhost:80",
			},
			want: &route.Endpoint{
				ID: "ep_1", Account: "ac_1", Session: "ts_1", BoundAt: at, FaultRecord: true,
				HTTP2: true, Pooled: true, ForwardsTo: "http://localhost:80",
				Key: endpoint.Key{
					Account: "ac_1", Binding: endpoint.Public,
					URL: endpoint.URL{Scheme: endpoint.HTTPS, Host: "a.example.com", Port: 443},
				},
			},
		},
		"tcp has no fault records": {
			bound: wire.Bound{TunnelID: "ep_2", Binding: "public", Scheme: "tcp", Host: "localhost", Port: 20000, ProxyProto: 2},
			want: &route.Endpoint{
				ID: "ep_2", Session: "ts_1", BoundAt: at, ProxyProto: 2,
				Key: endpoint.Key{Binding: endpoint.Public, URL: endpoint.URL{Scheme: endpoint.TCP, Host: "localhost", Port: 20000}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Endpoint(&tt.bound, agent, at, nowhere{}, nil)
			tt.want.Upstream = nowhere{}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreUnexported(route.TLSSettings{}, route.Endpoint{})); diff != "" {
				t.Errorf("endpoint differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTLSSettingsIdentity(t *testing.T) {
	t.Parallel()
	certA, a := pair(t, "a")
	certB, b := pair(t, "b")
	all := map[string]*wire.BoundTLS{
		"terminated":             {Terminate: true},
		"mutual, a":              {Terminate: true, ClientCAs: []*x509.Certificate{a}},
		"mutual, b":              {Terminate: true, ClientCAs: []*x509.Certificate{b}},
		"mutual, a, at no tls":   {ClientCAs: []*x509.Certificate{a}},
		"own certificate a":      {Terminate: true, Certificate: certA},
		"own certificate b":      {Terminate: true, Certificate: certB},
		"own certificate and ca": {Terminate: true, Certificate: certA, ClientCAs: []*x509.Certificate{a}},
	}
	seen := map[string]string{}
	for name, bound := range all {
		one, two := tlsSettings(bound), tlsSettings(bound)
		if one.ID != two.ID || one.ID == "" {
			t.Errorf("%s: ids %q and %q, want the same", name, one.ID, two.ID)
		}
		if other, taken := seen[one.ID]; taken {
			t.Errorf("%s and %s have the same id", name, other)
		}
		seen[one.ID] = name
		if (one.ClientCAs != nil) != (bound.ClientCAs != nil) || one.Certificate != bound.Certificate {
			t.Errorf("%s: got %+v", name, one)
		}
	}
	if s := tlsSettings(nil); s != nil {
		t.Errorf("no settings: got %v", s)
	}
}
