package tunnel

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/mux/frame"
	"github.com/culvert-project/culvert/internal/netx/memnet"
	"github.com/culvert-project/culvert/internal/wire"
)

// FuzzConnection feeds a server what a stranger could send after TLS. Nothing
// may fail but the connection, and nothing may be left of it.
func FuzzConnection(f *testing.F) {
	auth, err := json.Marshal(goodAuth())
	if err != nil {
		f.Fatal(err)
	}
	data := func(id uint32, flags frame.Flags, payload []byte) []byte {
		return frame.AppendData(nil, id, flags, payload)
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(data(3, frame.SYN, append([]byte{0, 0, 0, 0}, auth...)))
	f.Add(append(data(3, frame.SYN, append([]byte{0, 0, 0, 0}, auth...)),
		data(5, frame.SYN, []byte("\x00\x00\x00\x01{\"Proto\":\"https\"}"))...))
	f.Add(data(3, frame.SYN|frame.FIN, []byte{0, 0, 0, 8, '{', '}'}))
	f.Add(data(3, frame.SYN, []byte{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}))
	f.Add(frame.AppendGoAway(nil, frame.GoAwayMessage{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newWorld(t)
		defer w.srv.Close()
		near, far := memnet.Pipe(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		w.srv.ServeConn(context.Background(), far)
		go func() {
			_, _ = near.Write(b) // the server may hang up at any byte
			near.Close()
		}()
		_, _ = io.Copy(io.Discard, near)
		w.srv.Close()
		if len(w.srv.conns) != 0 || len(w.srv.tunnels) != 0 || w.srv.admission.pending != 0 {
			t.Errorf("left: %d connections, %d tunnels, %d pending", len(w.srv.conns), len(w.srv.tunnels), w.srv.admission.pending)
		}
	})
}

// FuzzRequest gives an authenticated session any request body. It has to be
// answered or refused.
func FuzzRequest(f *testing.F) {
	for typ, body := range map[wire.ReqType]string{
		wire.TypeBind:                 `{"Proto":"https","Opts":{"Domain":"x"},"Extra":{"Bindings":null}}`,
		wire.TypeUnbind:               `{"Id":"b","Extra":null}`,
		wire.TypePatchTunnelState:     `{"TunnelId":"ep_1","Description":"d"}`,
		wire.TypeStartTunnelWithLabel: `{"Labels":{"a":"b"}}`,
		wire.TypeAuth:                 `{"Version":["3"]}`,
		wire.TypeSrvInfo:              `{}`,
	} {
		f.Add(uint32(typ), body)
	}
	f.Fuzz(func(t *testing.T, typ uint32, body string) {
		if !json.Valid([]byte(body)) {
			t.Skip("the wire layer passes JSON only")
		}
		w := newWorld(t)
		defer w.srv.Close()
		a := w.online()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var raw json.RawMessage
		err := a.peer.Call(ctx, wire.ReqType(typ), json.RawMessage(body), &raw)
		if ctx.Err() != nil {
			t.Fatalf("no answer: %v", err)
		}
		if bytes.Contains(raw, []byte(fault.Internal)) {
			t.Errorf("an internal error: %s", raw)
		}
	})
}
