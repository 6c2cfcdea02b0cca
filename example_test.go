package culvert_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
	"github.com/culvert-project/culvert/rpc"
)

// exampleServer starts a stub server on loopback, so that the examples run. It
// stands for a real one: culvertd serve.
func exampleServer() (addr, fingerprint string, s *wiretest.Server, stop func()) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s = wiretest.New(testCA(), wiretest.Script{Region: "here", Bind: func(_ *wiretest.Session, _ wire.Bind, resp *wire.BindResp) error {
		if resp.URL == "https://taken.example.com" {
			return fault.New(fault.URLTaken, resp.URL)
		}
		return nil
	}})
	go s.Serve(ln)
	return ln.Addr().String(), testCA().Fingerprint(), s, func() { ln.Close(); s.Close() }
}

// visit plays a client of an endpoint: it sends one request and returns the
// body of the response.
func visit(s *wiretest.Server, e culvert.Endpoint) string {
	st, err := s.Dial(context.Background(), e.URL().String(), wire.ProxyHeader{})
	if err != nil {
		return err.Error()
	}
	defer st.Close()
	_, _ = io.WriteString(st, "GET / HTTP/1.1\r\nHost: "+e.URL().Host+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(st), nil)
	if err != nil {
		return err.Error()
	}
	body, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(body))
}

// The server, its fingerprint and the token come from the environment:
// CULVERT_CONNECT_URL, CULVERT_CA_FINGERPRINT and CULVERT_AUTHTOKEN.
func ExampleListen() {
	addr, fingerprint, server, stop := exampleServer()
	defer stop()
	os.Setenv("CULVERT_CONNECT_URL", addr)
	os.Setenv("CULVERT_CA_FINGERPRINT", fingerprint)
	defer culvert.DefaultAgent.Disconnect()

	ln, err := culvert.Listen(context.Background(), culvert.WithURL("https://app.example.com"))
	if err != nil {
		fmt.Println(err)
		return
	}
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "hello from", r.Host)
	}))
	fmt.Println("online at", ln.URL())
	fmt.Println(visit(server, ln))
	// Output:
	// online at https://app.example.com
	// hello from app.example.com
}

func ExampleForward() {
	addr, fingerprint, server, stop := exampleServer()
	defer stop()
	os.Setenv("CULVERT_CONNECT_URL", addr)
	os.Setenv("CULVERT_CA_FINGERPRINT", fingerprint)
	defer culvert.DefaultAgent.Disconnect()

	local := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "hello from the local service")
	}))
	defer local.Close()

	fwd, err := culvert.Forward(context.Background(), culvert.WithUpstream(local.URL), culvert.WithURL("https://web.example.com"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(visit(server, fwd))
	// Output: hello from the local service
}

func ExampleNewAgent() {
	addr, fingerprint, _, stop := exampleServer()
	defer stop()

	agent, err := culvert.NewAgent(
		culvert.WithAgentConnectURL(addr),
		culvert.WithCAFingerprint(fingerprint),
		culvert.WithAuthtoken("token_0123456789abcdef"),
		culvert.WithEventHandler(func(e culvert.Event) {
			if _, ok := e.(*culvert.EventAgentConnectSucceeded); ok {
				fmt.Println("connected")
			}
		}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer agent.Disconnect()
	if err := agent.Connect(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	session, _ := agent.Session()
	fmt.Println("region", session.(culvert.AgentSessionDetails).Region())
	// Output:
	// connected
	// region here
}

// exampleAgent is an agent of a stub server.
func exampleAgent(opts ...culvert.AgentOption) (culvert.Agent, *wiretest.Server, func()) {
	addr, fingerprint, server, stop := exampleServer()
	agent, err := culvert.NewAgent(append(opts, culvert.WithAgentConnectURL(addr), culvert.WithCAFingerprint(fingerprint))...)
	if err != nil {
		panic(err)
	}
	return agent, server, func() { _ = agent.Disconnect(); stop() }
}

// Refusals have codes.
func ExampleError() {
	agent, _, stop := exampleAgent()
	defer stop()

	_, err := agent.Listen(context.Background(), culvert.WithURL("https://taken.example.com"))
	var coded culvert.Error
	if errors.As(err, &coded) {
		fmt.Println(coded.Code())
	}
	// Output: ERR_NGROK_334
}

// A tcp endpoint hands every connection to the application as it is.
func ExampleAgent_listen() {
	agent, server, stop := exampleAgent()
	defer stop()

	ln, err := agent.Listen(context.Background(), culvert.WithURL("tcp://"))
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, conn)
	}()

	client, err := server.Dial(context.Background(), ln.URL().String(), wire.ProxyHeader{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.WriteString(client, "echo")
	_ = client.CloseWrite()
	answer, _ := io.ReadAll(client)
	fmt.Println(string(answer))
	// Output: echo
}

// Connections can end where TLS begins again, with the host header changed on
// the way.
func ExampleWithUpstream() {
	agent, server, stop := exampleAgent()
	defer stop()
	local := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "asked for", r.Host)
	}))
	defer local.Close()

	fwd, err := agent.Forward(context.Background(),
		culvert.WithUpstream(local.URL,
			culvert.WithUpstreamTLSClientConfig(local.Client().Transport.(*http.Transport).TLSClientConfig),
			culvert.WithUpstreamHostHeader("internal.example.com"),
		),
		culvert.WithURL("https://app.example.com"),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(visit(server, fwd))
	// Output: asked for internal.example.com
}

// The server may tell the agent to stop.
func ExampleWithRPCHandler() {
	agent, server, stop := exampleAgent(culvert.WithRPCHandler(
		func(_ context.Context, _ culvert.AgentSession, req rpc.Request) ([]byte, error) {
			fmt.Println("the server sent", req.Method())
			return nil, nil
		}))
	defer stop()
	ln, err := agent.Listen(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}

	var answer wire.ErrorResp
	_ = server.Sessions()[0].Call(context.Background(), wire.TypeStop, wire.Stop{}, &answer)
	<-ln.Done()
	fmt.Println("stopped")
	// Output:
	// the server sent StopAgent
	// stopped
}

func ExampleDiagnoser() {
	agent, _, stop := exampleAgent()
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	result, err := agent.(culvert.Diagnoser).Diagnose(ctx, "")
	switch {
	case culvert.IsTCPDiagnoseFailure(err):
		fmt.Println("not reachable")
	case culvert.IsTLSDiagnoseFailure(err):
		fmt.Println("not trusted")
	default:
		fmt.Println(result.Region, err)
	}
	// Output: here <nil>
}

func ExampleAgentStatus() {
	agent, _, stop := exampleAgent()
	defer stop()
	if err := agent.Connect(context.Background()); err != nil {
		fmt.Println(err)
		return
	}
	for _, leg := range agent.(culvert.AgentStatus).Legs() {
		fmt.Println(leg.Number, leg.State, leg.Region)
	}
	// Output: 0 online here
}
