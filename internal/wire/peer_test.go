package wire_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
)

// sessions returns the agent's and the server's end of a running session.
func sessions(t *testing.T) (agent, server *mux.Session) {
	t.Helper()
	a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
	agent, server = mux.New(a, mux.Config{Role: mux.Client}), mux.New(b, mux.Config{Role: mux.Server})
	done := make(chan struct{}, 2)
	for _, s := range []*mux.Session{agent, server} {
		go func() { _ = s.Run(context.Background()); done <- struct{}{} }()
	}
	t.Cleanup(func() {
		_ = agent.Close()
		_ = server.Close()
		<-done
		<-done
	})
	return agent, server
}

// serve runs Serve until the test ends.
func serve(t *testing.T, s *mux.Session, h wire.Handler) *wire.Peer {
	t.Helper()
	p := wire.NewPeer(s)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Serve(ctx, h) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// open opens a raw stream with a type and a body.
func open(t *testing.T, s *mux.Session, typ wire.ReqType, body string) *mux.Stream {
	t.Helper()
	st, err := s.Open(t.Context(), append(binary.BigEndian.AppendUint32(nil, uint32(typ)), body...))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func resetCode(t *testing.T, st *mux.Stream) frame.ErrorCode {
	t.Helper()
	_, err := st.Read(make([]byte, 1))
	var se *mux.StreamError
	if !errors.As(err, &se) || !se.Remote {
		t.Fatalf("stream ended with %v, want a reset by the peer", err)
	}
	return se.Code
}

func TestCall(t *testing.T) {
	t.Parallel()
	agent, server := sessions(t)
	serve(t, server, wire.Handler{RPC: func(_ context.Context, typ wire.ReqType, body json.RawMessage) (any, error) {
		switch typ {
		case wire.TypeSrvInfo:
			return wire.SrvInfoResp{Region: "here"}, nil
		case wire.TypeBind:
			var b wire.Bind
			if err := json.Unmarshal(body, &b); err != nil {
				return nil, err
			}
			return wire.BindResp{Id: fmt.Sprint(len(b.Opts)), Proto: "tcp", URL: "tcp://h:1"}, nil
		case wire.TypeUnbind:
			return nil, fault.New(fault.URLTaken, "https://x.test")
		default:
			return nil, errors.New("secret")
		}
	}})
	p := wire.NewPeer(agent)

	var info wire.SrvInfoResp
	if err := p.Call(t.Context(), wire.TypeSrvInfo, wire.SrvInfo{}, &info); err != nil || info.Region != "here" {
		t.Errorf("SrvInfo: got %+v, %v", info, err)
	}
	// Larger than the first frame.
	opts := `"` + strings.Repeat("p", 100_000) + `"`
	var bound wire.BindResp
	if err := p.Call(t.Context(), wire.TypeBind, wire.Bind{Opts: json.RawMessage(opts)}, &bound); err != nil || bound.Id != fmt.Sprint(len(opts)) {
		t.Errorf("Bind of 100 kB: got %+v, %v", bound, err)
	}
	var unbound wire.UnbindResp
	err := p.Call(t.Context(), wire.TypeUnbind, wire.Unbind{}, &unbound)
	if f := fault.ParseWire(unbound.Error); err != nil || f == nil || f.Code != fault.URLTaken {
		t.Errorf("Unbind: got %+v, %v, want code %s", unbound, err, fault.URLTaken)
	}
	var other wire.ErrorResp
	err = p.Call(t.Context(), wire.TypePatchTunnelState, wire.PatchTunnelState{}, &other)
	if err != nil || other.Error == "" || strings.Contains(other.Error, "secret") {
		t.Errorf("uncoded error: got %q, %v, want an error without its text", other.Error, err)
	}
}

func TestCallEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		agent, server := sessions(t)
		serve(t, server, wire.Handler{RPC: func(ctx context.Context, _ wire.ReqType, _ json.RawMessage) (any, error) {
			<-ctx.Done()
			return nil, wire.ErrNoAnswer
		}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := wire.NewPeer(agent).Call(ctx, wire.TypeSrvInfo, wire.SrvInfo{}, &wire.SrvInfoResp{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("got %v after %v, want the deadline after 1m", err, time.Since(start))
		}
	})
}

// TestH02_AnswerEndsTheStream: strict clients parse at the end of the stream.
func TestH02_AnswerEndsTheStream(t *testing.T) {
	t.Parallel()
	agent, server := sessions(t)
	serve(t, server, wire.Handler{RPC: func(context.Context, wire.ReqType, json.RawMessage) (any, error) {
		return wire.SrvInfoResp{}, nil
	}})
	st := open(t, agent, wire.TypeSrvInfo, "{}\n") // no end of our half
	if got, err := io.ReadAll(st); err != nil || string(got) != `{"Region":""}` {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestH16_AnsweredCommandLeavesNoStream: agents that answer a command never
// close its stream.
func TestH16_AnsweredCommandLeavesNoStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		agent, server := sessions(t)
		go func() {
			for {
				st, err := agent.Accept(context.Background())
				if err != nil {
					return
				}
				_, _ = io.WriteString(st, `{"Error":""}`)
			}
		}()
		for _, typ := range []wire.ReqType{wire.TypeStop, wire.TypeRestart, wire.TypeUpdate} {
			if err := wire.NewPeer(server).Call(t.Context(), typ, wire.Stop{}, &wire.ErrorResp{}); err != nil {
				t.Errorf("%v: %v", typ, err)
			}
		}
		synctest.Wait()
		if n, m := agent.NumStreams(), server.NumStreams(); n != 0 || m != 0 {
			t.Errorf("the agent is left with %d streams, the server with %d", n, m)
		}
	})
}

func TestRequestsThatAreRefused(t *testing.T) {
	t.Parallel()
	agent, server := sessions(t)
	running := make(chan struct{}, 2)
	serve(t, server, wire.Handler{
		Allowed: func(typ wire.ReqType) bool { return typ != wire.TypeBind },
		RPC: func(ctx context.Context, typ wire.ReqType, _ json.RawMessage) (any, error) {
			if typ == wire.TypeStop {
				return nil, wire.ErrRefuseType
			}
			running <- struct{}{}
			<-ctx.Done()
			return nil, wire.ErrNoAnswer
		},
		MaxRequests: 2,
	})
	big := `{"x":"` + strings.Repeat("x", wire.MaxEarlyMessage) + `"}`
	tests := []struct {
		name string
		typ  wire.ReqType
		body string
		want frame.ErrorCode
	}{
		{"unknown type", 99, "{}", frame.StreamRefused},
		{"metrics", wire.TypeAgentMetrics, "{}", frame.StreamRefused},
		{"forwarded connection without taker", wire.TypeProxy, "", frame.StreamRefused},
		{"not allowed now", wire.TypeBind, "{}", frame.StreamRefused},
		{"refused by the handler", wire.TypeStop, "{}", frame.StreamRefused},
		{"not JSON", wire.TypeUnbind, "GET / HTTP/1.1\r\n", frame.ProtocolError},
		{"larger than allowed before Auth", wire.TypeAuth, big[:8192], frame.ProtocolError},
	}
	for _, tc := range tests {
		st := open(t, agent, tc.typ, tc.body)
		if tc.typ == wire.TypeAuth {
			if _, err := st.Write([]byte(big[8192:])); err != nil {
				t.Fatal(err)
			}
		}
		if got := resetCode(t, st); got != tc.want {
			t.Errorf("%s: reset with %v, want %v", tc.name, got, tc.want)
		}
	}
	for range 2 {
		st := open(t, agent, wire.TypeUnbind, "")
		if _, err := io.WriteString(st, "{}"); err != nil {
			t.Fatal(err)
		}
		<-running
	}
	if got := resetCode(t, open(t, agent, wire.TypeUnbind, "{}")); got != frame.EnhanceYourCalm {
		t.Errorf("third request at once: reset with %v, want %v", got, frame.EnhanceYourCalm)
	}
}

// What the requests of a session hold together is bounded, and given back.
func TestT64_BytesOfRequestsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		agent, server := sessions(t)
		answer := make(chan struct{})
		peer := serve(t, agent, wire.Handler{})
		serve(t, server, wire.Handler{RPC: func(context.Context, wire.ReqType, json.RawMessage) (any, error) {
			<-answer
			return wire.ErrorResp{}, nil
		}})
		body := `{"x":"` + strings.Repeat("x", wire.MaxMessage-10) + `"}`
		const room = 8 << 20 / wire.MaxMessage
		requests := make([]*mux.Stream, room)
		for i := range requests {
			requests[i] = open(t, agent, wire.TypeUnbind, body[:1000])
			if _, err := io.WriteString(requests[i], body[1000:]); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // all are being answered
		more := open(t, agent, wire.TypeUnbind, body[:1000])
		_, _ = io.WriteString(more, body[1000:]) // may meet the reset
		if got := resetCode(t, more); got != frame.EnhanceYourCalm {
			t.Errorf("a request beyond the bound is reset with %v, want %v", got, frame.EnhanceYourCalm)
		}
		close(answer)
		for i, st := range requests {
			if _, err := io.ReadAll(st); err != nil {
				t.Errorf("request %d: %v, want its answer", i, err)
			}
		}
		var resp wire.ErrorResp
		if err := peer.Call(t.Context(), wire.TypeUnbind, json.RawMessage(body), &resp); err != nil {
			t.Errorf("a request after the others: %v, want its answer", err)
		}
	})
}

func TestSlowRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		agent, server := sessions(t)
		serve(t, server, wire.Handler{RPC: func(context.Context, wire.ReqType, json.RawMessage) (any, error) {
			return wire.SrvInfoResp{}, nil
		}})
		st := open(t, agent, wire.TypeSrvInfo, `{"half":`)
		start := time.Now()
		if got := resetCode(t, st); got != frame.ProtocolError || time.Since(start) != 30*time.Second {
			t.Errorf("reset with %v after %v, want %v after 30s", got, time.Since(start), frame.ProtocolError)
		}
	})
}

func TestProxyStreams(t *testing.T) {
	t.Parallel()
	agent, server := sessions(t)
	got := make(chan wire.ProxyHeader, 1)
	serve(t, agent, wire.Handler{Proxy: func(st *mux.Stream) {
		h, err := wire.ReadProxyHeader(st)
		if err != nil {
			t.Error(err)
		}
		got <- h
		_, _ = io.Copy(st, st)
		_ = st.Close()
	}})
	want := wire.ProxyHeader{Id: "b", ClientAddr: "1.2.3.4:5", Proto: "https", EdgeType: "0"}
	st, err := server.Open(t.Context(), want.AppendTo(nil))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(st, "ping")
	_ = st.CloseWrite()
	if b, err := io.ReadAll(st); err != nil || string(b) != "ping" {
		t.Errorf("echo: got %q, %v", b, err)
	}
	if h := <-got; h != want {
		t.Errorf("got %+v, want %+v", h, want)
	}
}

func TestNotify(t *testing.T) {
	t.Parallel()
	agent, server := sessions(t)
	got := make(chan string, 1)
	serve(t, agent, wire.Handler{RPC: func(_ context.Context, typ wire.ReqType, body json.RawMessage) (any, error) {
		got <- fmt.Sprint(typ, string(body))
		return nil, wire.ErrNoAnswer
	}})
	err := wire.NewPeer(server).Notify(t.Context(), wire.TypeStopTunnel, wire.StopTunnel{Id: "b", Message: "m", ErrorCode: "c"})
	if err != nil {
		t.Fatal(err)
	}
	if g, want := <-got, `StopTunnel{"Id":"b","Message":"m","ErrorCode":"c"}`; g != want {
		t.Errorf("got %s, want %s", g, want)
	}
}

func TestHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		agent, server := sessions(t)
		var beats atomic.Int32
		serve(t, server, wire.Handler{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- wire.NewPeer(agent).Heartbeat(ctx, 10*time.Second, 15*time.Second, func(time.Duration) { beats.Add(1) })
		}()
		synctest.Wait()
		if beats.Load() != 1 {
			t.Errorf("%d beats at once, want 1", beats.Load())
		}
		time.Sleep(35 * time.Second)
		synctest.Wait()
		if beats.Load() != 4 {
			t.Errorf("%d beats after 35s, want 4", beats.Load())
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want the context's end", err)
		}
	})
}

// TestAgent31_SilenceIsNoticed: with the defaults death is known 25 s after
// the last echo.
func TestAgent31_SilenceIsNoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		agent, server := sessions(t)
		var last time.Time
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			st, err := server.Accept(ctx)
			if err != nil {
				return
			}
			var b [4]byte
			_, _ = io.ReadFull(st, b[:])
			for range 3 { // then fall silent
				_, _ = io.ReadFull(st, b[:])
				_, _ = st.Write(b[:])
			}
		}()
		defer cancel()
		err := wire.NewPeer(agent).Heartbeat(t.Context(), 0, 0, func(time.Duration) { last = time.Now() })
		if got := time.Since(last); !errors.Is(err, wire.ErrHeartbeatLost) || got != 25*time.Second {
			t.Errorf("got %v %v after the last echo, want %v after 25s", err, got, wire.ErrHeartbeatLost)
		}
	})
}

// TestH06_HalfClosedHeartbeat: the responder neither spins nor leaves a
// half-closed stream behind.
func TestH06_HalfClosedHeartbeat(t *testing.T) {
	t.Parallel()
	agent, server := sessions(t)
	serve(t, server, wire.Handler{})
	st := open(t, agent, wire.TypeHeartbeat, "abcd")
	var b [4]byte
	if _, err := io.ReadFull(st, b[:]); err != nil || string(b[:]) != "abcd" {
		t.Fatalf("echo %q, %v", b, err)
	}
	_ = st.CloseWrite()
	if n, err := io.Copy(io.Discard, st); n != 0 || err == nil {
		t.Errorf("read %d bytes and %v after the end of the beats, want a reset", n, err)
	}
}

func TestHeartbeatStreamsAreBounded(t *testing.T) {
	t.Parallel()
	agent, server := sessions(t)
	serve(t, server, wire.Handler{})
	var b [4]byte
	for range 4 {
		if _, err := io.ReadFull(open(t, agent, wire.TypeHeartbeat, "abcd"), b[:]); err != nil {
			t.Fatal(err)
		}
	}
	if got := resetCode(t, open(t, agent, wire.TypeHeartbeat, "abcd")); got != frame.EnhanceYourCalm {
		t.Errorf("fifth heartbeat stream: reset with %v", got)
	}
}

func TestSilenceLimit(t *testing.T) {
	t.Parallel()
	tests := []struct{ interval, tolerance, want time.Duration }{
		{0, 0, 26 * time.Second},
		{time.Second, time.Second, 3 * time.Second},
		{time.Nanosecond, 1 << 62, 1*time.Second + 10*time.Minute + time.Second},
	}
	for _, tc := range tests {
		if got := wire.SilenceLimit(tc.interval, tc.tolerance); got != tc.want {
			t.Errorf("SilenceLimit(%v, %v) = %v, want %v", tc.interval, tc.tolerance, got, tc.want)
		}
	}
}

func TestServeEndsWithTheSession(t *testing.T) {
	t.Parallel()
	_, server := sessions(t)
	ended := make(chan error, 1)
	go func() { ended <- wire.NewPeer(server).Serve(context.Background(), wire.Handler{}) }()
	_ = server.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v, want a closed session", err)
	}
}

// TestHandle: requests are answered and their context ends with the session,
// which an idle one has no goroutine for.
func TestHandle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
		agent, server := mux.New(a, mux.Config{Role: mux.Client}), mux.New(b, mux.Config{Role: mux.Server})
		held := make(chan error, 1)
		wait := wire.NewPeer(server).Handle(wire.Handler{RPC: func(ctx context.Context, typ wire.ReqType, _ json.RawMessage) (any, error) {
			if typ == wire.TypeSrvInfo {
				return wire.SrvInfoResp{Region: "here"}, nil
			}
			<-ctx.Done()
			held <- ctx.Err()
			return nil, wire.ErrNoAnswer
		}})
		ended := make(chan struct{})
		go func() { _ = agent.Run(context.Background()) }()
		go func() { defer close(ended); _ = server.Run(context.Background()); wait() }()
		var resp wire.SrvInfoResp
		if err := wire.NewPeer(agent).Call(t.Context(), wire.TypeSrvInfo, wire.SrvInfo{}, &resp); err != nil || resp.Region != "here" {
			t.Errorf("got %+v, %v; want the region", resp, err)
		}
		go func() {
			_ = wire.NewPeer(agent).Call(context.Background(), wire.TypeBind, wire.Bind{}, &wire.BindResp{})
		}()
		synctest.Wait()
		_ = server.Close()
		<-ended
		if err := <-held; !errors.Is(err, context.Canceled) {
			t.Errorf("the context of a request ended with %v, want %v", err, context.Canceled)
		}
	})
}

// TestT64_HandlersAreBounded: streams that are reset at once make room for
// others, but their handlers count until they have run.
func TestT64_HandlersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe(&net.TCPAddr{Port: 1}, &net.TCPAddr{Port: 2})
		agent, server := mux.New(a, mux.Config{Role: mux.Client}), mux.New(b, mux.Config{Role: mux.Server})
		held := make(chan struct{})
		wait := wire.NewPeer(server).Handle(wire.Handler{MaxRequests: 5, RPC: func(context.Context, wire.ReqType, json.RawMessage) (any, error) {
			<-held
			return nil, wire.ErrNoAnswer
		}})
		ended := make(chan struct{})
		go func() { _ = agent.Run(context.Background()) }()
		go func() { defer close(ended); _ = server.Run(context.Background()); wait() }()
		for range 5 {
			_, _ = open(t, agent, wire.TypeBind, "{").Write([]byte("}"))
		}
		for range 5 { // which say only half of what they want
			st, err := agent.Open(t.Context(), []byte{0, 0})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = st.Write([]byte{0})
		}
		if got := resetCode(t, open(t, agent, wire.TypeSrvInfo, "{}")); got != frame.EnhanceYourCalm {
			t.Errorf("the eleventh stream is reset with %v, want %v", got, frame.EnhanceYourCalm)
		}
		close(held)
		_ = agent.Close()
		<-ended
	})
}
