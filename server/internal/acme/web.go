package acme

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// Bounds of what authorities may cost (reliability-security.md 9).
const (
	dialTime    = 5 * time.Second
	requestTime = 30 * time.Second
	maxAnswer   = 1 << 20
	maxHead     = 64 << 10
	maxHops     = 3
)

// newHTTPClient returns the client that authorities are asked with. It uses no
// proxy of the environment.
func newHTTPClient(roots *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: requestTime,
		Transport: bounded{&http.Transport{
			DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    dialTime,
			MaxResponseHeaderBytes: maxHead,
			IdleConnTimeout:        requestTime,
			MaxIdleConnsPerHost:    2,
			ForceAttemptHTTP2:      true,
		}},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxHops {
				return errors.New("it redirects too often")
			}
			return nil
		},
	}
}

// bounded cuts answers that are too long.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
	}
	return resp, err
}
