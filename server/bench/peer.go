package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	stdproxy "net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// reverseProxy is the peer in Go: one hop, as a careful user of the standard
// library writes it. Its arguments are the upstream, the addresses for HTTP and
// HTTPS, and the files of certificate and key.
func reverseProxy(args []string) error {
	if len(args) != 5 {
		return errors.New("reverse-proxy UPSTREAM HTTP HTTPS CERT KEY")
	}
	to := &url.URL{Scheme: "http", Host: args[0]}
	proxy := &stdproxy.ReverseProxy{
		Rewrite: func(r *stdproxy.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		// The default keeps two connections, which would measure dialling.
		Transport: &http.Transport{MaxIdleConnsPerHost: 256},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	ended := make(chan error, 2)
	serve := func(addr string) *http.Server {
		return &http.Server{Addr: addr, Handler: proxy, ReadHeaderTimeout: time.Minute}
	}
	go func() { ended <- serve(args[1]).ListenAndServe() }()
	go func() { ended <- serve(args[2]).ListenAndServeTLS(args[3], args[4]) }()
	return <-ended
}

// certificate names the files of a certificate for the peers: apart, and in one
// as HAProxy wants it.
type certificate struct{ cert, key, both string }

// writeCertificate makes a certificate of the kind that culvertd makes for
// itself.
func writeCertificate(dir string) (certificate, error) {
	c := certificate{filepath.Join(dir, "peer.crt"), filepath.Join(dir, "peer.key"), filepath.Join(dir, "peer.pem")}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, NotAfter: time.Now().Add(24 * time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		return c, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return c, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	return c, errors.Join(
		os.WriteFile(c.cert, cert, 0o600),
		os.WriteFile(c.key, private, 0o600),
		os.WriteFile(c.both, append(cert, private...), 0o600),
	)
}
