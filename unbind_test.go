package culvert_test

import (
	"context"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/wire"
	"github.com/culvert-project/culvert/internal/wire/wiretest"
)

// The end of one context ends the session and the endpoint at the same time;
// the server is told of the endpoint before the connection is closed.
func TestUnbindComesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for range 50 {
		w := newWorld(t, wiretest.Script{})
		ctx, cancel := context.WithCancel(t.Context())
		a := w.agent()
		if err := a.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		f, err := a.Forward(ctx, culvert.WithUpstream("8080"), culvert.WithURL("https://app.example"))
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		f.Wait()
		if err := a.Disconnect(); err != nil {
			t.Fatal(err)
		}
		if ids := w.server.Unbound(); len(ids) != 1 {
			t.Fatalf("the server was told to unbind %q, want one endpoint", ids)
		}
	}
}

// A StopTunnel that follows the answer to the bind at once is not lost.
func TestStopTunnelRightAfterBind(t *testing.T) {
	t.Parallel()
	for range 50 {
		w := newWorld(t, wiretest.Script{Bind: func(s *wiretest.Session, _ wire.Bind, resp *wire.BindResp) error {
			return s.Notify(t.Context(), wire.TypeStopTunnel, wire.StopTunnel{Id: resp.Id, Message: "taken back", ErrorCode: "ERR_NGROK_334"})
		}})
		a := w.agent()
		l, err := a.Listen(t.Context(), culvert.WithURL("https://app.example"))
		if err != nil {
			t.Fatal(err)
		}
		<-l.Done()
	}
}
