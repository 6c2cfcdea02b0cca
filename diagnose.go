package culvert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/internal/wire"
)

// DiagnoseResult is what [Diagnoser] found out.
type DiagnoseResult struct {
	// Addr is the address that was tried.
	Addr string
	// Region is where the server says it runs.
	Region string
	// Latency is the round trip time of one request.
	Latency time.Duration
	// PeerCertificates is the chain that the server presented, its own
	// certificate first. It is set even if a later step failed.
	PeerCertificates []*x509.Certificate
}

// Diagnoser is implemented by every [Agent] of this package; use a type
// assertion to reach it.
type Diagnoser interface {
	Agent
	// Diagnose tries TCP, TLS and the agent protocol with the server at addr,
	// or with the configured one if addr is empty. The certificate has to be
	// that of the configured server either way. It opens no session and does
	// not disturb one.
	Diagnose(ctx context.Context, addr string) (DiagnoseResult, error)
}

// The steps of a diagnosis.
type diagnoseStep string

const (
	stepTCP diagnoseStep = "tcp"
	stepTLS diagnoseStep = "tls"
	stepMux diagnoseStep = "mux"
)

type diagnoseError struct {
	step diagnoseStep
	err  error
}

func (e *diagnoseError) Error() string { return fmt.Sprintf("diagnose %s: %v", e.step, e.err) }
func (e *diagnoseError) Unwrap() error { return e.err }

func failedAt(err error, step diagnoseStep) bool {
	var d *diagnoseError
	return errors.As(err, &d) && d.step == step
}

// IsTCPDiagnoseFailure reports whether no TCP connection could be made.
func IsTCPDiagnoseFailure(err error) bool { return failedAt(err, stepTCP) }

// IsTLSDiagnoseFailure reports whether TLS with the server failed.
func IsTLSDiagnoseFailure(err error) bool { return failedAt(err, stepTLS) }

// IsMuxadoDiagnoseFailure reports whether the server does not speak the agent
// protocol. The name is that of the ngrok SDK.
func IsMuxadoDiagnoseFailure(err error) bool { return failedAt(err, stepMux) }

// Diagnose implements Diagnoser.
func (a *agent) Diagnose(ctx context.Context, addr string) (DiagnoseResult, error) {
	result, err := a.diagnose(ctx, addr)
	return result, coded(err)
}

func (a *agent) diagnose(ctx context.Context, addr string) (DiagnoseResult, error) {
	o := a.opts
	if o.fromEnvironment {
		if err := o.environment(); err != nil {
			return DiagnoseResult{Addr: addr}, err
		}
	}
	if o.connectURL == "" {
		o.connectURL = defaultServer
	}
	server, err := parseServer(o.connectURL)
	if err != nil {
		return DiagnoseResult{Addr: addr}, err
	}
	if addr == "" {
		addr = server
	}
	result := DiagnoseResult{Addr: addr}
	conn, err := o.dialTransport(ctx, addr)
	if err != nil {
		return result, &diagnoseError{stepTCP, err}
	}
	defer conn.Close()
	host, _, _ := net.SplitHostPort(server) // parseServer made it
	config, err := o.serverTLS(host)
	if err != nil {
		return result, err
	}
	// The chain is worth seeing above all when it is refused.
	client := tls.Client(netx.NewBatch(conn), config)
	err = client.HandshakeContext(ctx)
	result.PeerCertificates = client.ConnectionState().PeerCertificates
	if err != nil {
		var verify *tls.CertificateVerificationError
		if errors.As(err, &verify) {
			result.PeerCertificates = verify.UnverifiedCertificates
		}
		return result, &diagnoseError{stepTLS, handshakeFault(addr, err)}
	}
	if err := probe(ctx, client, &result); err != nil {
		return result, &diagnoseError{stepMux, err}
	}
	return result, nil
}

// probe asks the server for its region, which needs no authentication.
func probe(ctx context.Context, conn net.Conn, result *DiagnoseResult) error {
	ctx, cancel := context.WithCancel(ctx)
	session := mux.New(conn, mux.Config{Role: mux.Client})
	var wg sync.WaitGroup
	wg.Go(func() { _ = session.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	defer session.Close() //nolint:errcheck // it never fails
	start := time.Now()
	var info wire.SrvInfoResp
	if err := wire.NewPeer(session).Call(ctx, wire.TypeSrvInfo, wire.SrvInfo{}, &info); err != nil {
		return err
	}
	result.Region, result.Latency = info.Region, time.Since(start)
	return nil
}
