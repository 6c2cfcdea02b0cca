package suites_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/grpclog"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/server/internal/edge"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// interopPatience bounds one case of gRPC interop.
const interopPatience = 2 * time.Minute

// interopCases are the cases that need no credentials, and the two soaks.
var interopCases = []struct {
	name string
	run  func(context.Context, channel)
}{
	{"empty_unary", func(ctx context.Context, c channel) { interop.DoEmptyUnaryCall(ctx, c.test) }},
	{"large_unary", func(ctx context.Context, c channel) { interop.DoLargeUnaryCall(ctx, c.test) }},
	{"client_streaming", func(ctx context.Context, c channel) { interop.DoClientStreaming(ctx, c.test) }},
	{"server_streaming", func(ctx context.Context, c channel) { interop.DoServerStreaming(ctx, c.test) }},
	{"ping_pong", func(ctx context.Context, c channel) { interop.DoPingPong(ctx, c.test) }},
	{"empty_stream", func(ctx context.Context, c channel) { interop.DoEmptyStream(ctx, c.test) }},
	{"timeout_on_sleeping_server", func(ctx context.Context, c channel) { interop.DoTimeoutOnSleepingServer(ctx, c.test) }},
	{"cancel_after_begin", func(ctx context.Context, c channel) { interop.DoCancelAfterBegin(ctx, c.test) }},
	{"cancel_after_first_response", func(ctx context.Context, c channel) { interop.DoCancelAfterFirstResponse(ctx, c.test) }},
	{"status_code_and_message", func(ctx context.Context, c channel) { interop.DoStatusCodeAndMessage(ctx, c.test) }},
	{"special_status_message", func(ctx context.Context, c channel) { interop.DoSpecialStatusMessage(ctx, c.test) }},
	{"custom_metadata", func(ctx context.Context, c channel) { interop.DoCustomMetadata(ctx, c.test) }},
	{"unimplemented_method", func(ctx context.Context, c channel) { interop.DoUnimplementedMethod(ctx, c.conn) }},
	{"unimplemented_service", func(ctx context.Context, c channel) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(c.conn))
	}},
	{"rpc_soak", func(ctx context.Context, c channel) {
		interop.DoSoakTest(ctx, soak(func() (*grpc.ClientConn, func()) { return c.conn, func() {} }))
	}},
	{"channel_soak", func(ctx context.Context, c channel) {
		interop.DoSoakTest(ctx, soak(func() (*grpc.ClientConn, func()) {
			conn := c.another()
			return conn, func() { _ = conn.Close() }
		}))
	}},
}

// soak is the soak of the interop client's defaults, but for latency, which says little on a loaded machine. Whole it
// is a hundred times as long.
func soak(channel func() (*grpc.ClientConn, func())) interop.SoakTestConfig {
	iterations := 10
	if full() {
		iterations = 1000
	}
	return interop.SoakTestConfig{
		RequestSize: 271828, ResponseSize: 314159, NumWorkers: 1, Iterations: iterations,
		PerIterationMaxAcceptableLatency: interopPatience, OverallTimeout: interopPatience, ChannelForTest: channel,
	}
}

// TestGRPCInterop runs the cases of the interop client of grpc-go against its server.
func TestGRPCInterop(t *testing.T) {
	t.Parallel()
	cert := nodetest.Certificate(t, name)
	for _, tt := range []struct {
		upstream string
		creds    credentials.TransportCredentials
	}{
		{"http", nil},
		{"https", credentials.NewServerTLSFromCert(&cert)},
	} {
		t.Run(tt.upstream, func(t *testing.T) {
			t.Parallel()
			w := start(t, edge.Limits{})
			w.forward(t, "https://"+name, tt.upstream+"://"+interopServer(t, tt.creds), culvert.WithUpstreamProtocol("http2"),
				culvert.WithUpstreamTLSClientConfig(&tls.Config{RootCAs: nodetest.Pool(t, cert), ServerName: name, MinVersion: tls.VersionTLS12}))
			passed := 0
			for _, c := range interopCases {
				if t.Run(c.name, func(t *testing.T) { interopCase(t, w, c.run) }) {
					passed++
				}
			}
			scores.add(t, "gRPC interop 1.85.0, "+tt.upstream+" upstream", fmt.Sprintf("%d of %d", passed, len(interopCases)))
		})
	}
}

// interopServer starts the interop server and returns its address.
func interopServer(t *testing.T, creds credentials.TransportCredentials) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var opts []grpc.ServerOption
	if creds != nil {
		opts = append(opts, grpc.Creds(creds))
	}
	srv := grpc.NewServer(opts...)
	testgrpc.RegisterTestServiceServer(srv, interop.NewTestServer())
	go func() { _ = srv.Serve(ln) }() // ends with the server
	t.Cleanup(srv.Stop)
	return ln.Addr().String()
}

// channel is what a case talks through.
type channel struct {
	conn *grpc.ClientConn
	test testgrpc.TestServiceClient
	// another opens a connection of its own, which is the caller's to close.
	another func() *grpc.ClientConn
}

func interopCase(t *testing.T, w *world, run func(context.Context, channel)) {
	t.Helper()
	another := func() *grpc.ClientConn { return dialGRPC(w.hostPort(w.Info.HTTPS), w.CAs) }
	conn := another()
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), interopPatience)
	defer cancel()
	defer func() {
		if failed := recover(); failed != nil {
			t.Errorf("the interop client gave up: %v", failed)
		}
	}()
	run(ctx, channel{conn, testgrpc.NewTestServiceClient(conn), another})
}

// dialGRPC panics like the interop client itself, see [fatalPanics]: a soak opens connections where no test is at hand.
func dialGRPC(addr string, roots *x509.CertPool) *grpc.ClientConn {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(roots, name)))
	if err != nil {
		panic(err)
	}
	return conn
}

// fatalPanics makes the interop client's way to fail, a fatal line of the log, a panic of the case, which would else end
// the process without a word about the test.
type fatalPanics struct{ grpclog.LoggerV2 }

func (fatalPanics) Fatal(args ...any)                 { panic(fmt.Sprint(args...)) }
func (fatalPanics) Fatalln(args ...any)               { panic(strings.TrimSuffix(fmt.Sprintln(args...), "\n")) }
func (fatalPanics) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// quietGRPC has to come before anything else of gRPC.
func quietGRPC() {
	grpclog.SetLoggerV2(fatalPanics{grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard)})
}
