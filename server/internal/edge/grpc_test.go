package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/server/internal/route"
)

// echoService has one method of each kind, without generated code: it sends
// back what it gets.
var echoService = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := dec(in); err != nil {
			return nil, err
		}
		md, _ := metadata.FromIncomingContext(ctx)
		if in.Value == "fail" {
			return nil, status.Error(codes.NotFound, "nothing here")
		}
		_ = grpc.SetTrailer(ctx, metadata.Pairs("x-trailer", "t", "x-forwarded-for", md.Get("x-forwarded-for")[0]))
		return in, nil
	}}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Server", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			in := new(wrapperspb.StringValue)
			if err := s.RecvMsg(in); err != nil {
				return err
			}
			for i := range 100 {
				if err := s.SendMsg(wrapperspb.String(fmt.Sprint(in.Value, i))); err != nil {
					return err
				}
			}
			return nil
		}},
		{StreamName: "Both", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			for {
				in := new(wrapperspb.StringValue)
				if err := s.RecvMsg(in); errors.Is(err, io.EOF) {
					return status.Error(codes.Aborted, "that was all")
				} else if err != nil {
					return err
				}
				if err := s.SendMsg(in); err != nil {
					return err
				}
			}
		}},
	},
}

// grpcUpstream is a gRPC server of prior-knowledge HTTP/2.
func (w *world) grpcUpstream() dialer {
	l, err := w.net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	srv := grpc.NewServer()
	srv.RegisterService(&echoService, nil)
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(l) })
	w.t.Cleanup(func() { srv.Stop(); wg.Wait() })
	return func(ctx context.Context, _ wire.ProxyHeader) (net.Conn, error) {
		return w.net.Dial(ctx, "tcp", l.Addr().String())
	}
}

func (w *world) grpcClient() *grpc.ClientConn {
	c, err := grpc.NewClient("passthrough:///app.example.com:443",
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: w.roots})),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return w.net.DialFrom(ctx, "tcp", clientIP, tlsAddr)
		}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestEndpoints21_GRPC(t *testing.T) { //nolint:tparallel // the calls share a connection and its context
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.grpcUpstream(), func(e *route.Endpoint) { e.HTTP2 = true })
	c := w.grpcClient()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	t.Run("unary", func(t *testing.T) {
		var trailer metadata.MD
		out := new(wrapperspb.StringValue)
		if err := c.Invoke(ctx, "/test.Echo/Unary", wrapperspb.String("x"), out, grpc.Trailer(&trailer)); err != nil {
			t.Fatal(err)
		}
		// A trailer may not claim what only the edge says.
		if out.Value != "x" || !slices.Equal(trailer.Get("x-trailer"), []string{"t"}) || len(trailer.Get("x-forwarded-for")) != 0 {
			t.Errorf("got %q, trailer %v", out.Value, trailer)
		}
	})
	t.Run("error without a message", func(t *testing.T) {
		err := c.Invoke(ctx, "/test.Echo/Unary", wrapperspb.String("fail"), new(wrapperspb.StringValue))
		if s := status.Convert(err); s.Code() != codes.NotFound || s.Message() != "nothing here" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("server stream", func(t *testing.T) {
		s, err := c.NewStream(ctx, &echoService.Streams[0], "/test.Echo/Server")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SendMsg(wrapperspb.String("n")); err != nil {
			t.Fatal(err)
		}
		_ = s.CloseSend()
		for i := range 100 {
			out := new(wrapperspb.StringValue)
			if err := s.RecvMsg(out); err != nil || out.Value != fmt.Sprint("n", i) {
				t.Fatalf("message %d: %q, %v", i, out.Value, err)
			}
		}
		if err := s.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
			t.Errorf("got %v at the end", err)
		}
	})
	t.Run("both ways", func(t *testing.T) {
		s, err := c.NewStream(ctx, &echoService.Streams[1], "/test.Echo/Both")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 { // each answer comes before the next question
			out := new(wrapperspb.StringValue)
			if err := s.SendMsg(wrapperspb.String(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			if err := s.RecvMsg(out); err != nil || out.Value != fmt.Sprint(i) {
				t.Fatalf("message %d: %q, %v", i, out.Value, err)
			}
		}
		_ = s.CloseSend()
		if err := s.RecvMsg(new(wrapperspb.StringValue)); status.Code(err) != codes.Aborted {
			t.Errorf("got %v at the end, want the server's status", err)
		}
	})
}

// TestEndpoints27_GRPCClientsGetAStatus from the edge itself.
func TestEndpoints27_GRPCClientsGetAStatus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.online("https://app.example.com", w.serve(http.NotFound))
	e := w.online("https://gone.example.com", nil)
	w.offline(e)
	c, err := grpc.NewClient("passthrough:///gone.example.com:443",
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: w.roots})),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return w.net.DialFrom(ctx, "tcp", clientIP, tlsAddr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	err = c.Invoke(t.Context(), "/test.Echo/Unary", wrapperspb.String("x"), new(wrapperspb.StringValue))
	if s := status.Convert(err); s.Code() != codes.Unavailable || len(s.Message()) < 14 || s.Message()[:14] != "ERR_NGROK_3200" {
		t.Errorf("got %v, want unavailable with the code", err)
	}
}
