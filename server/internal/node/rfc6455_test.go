package node_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/netx"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// wsCase is what a client sends over a WebSocket, in pieces that are written
// one by one. Behind them comes a close frame.
type wsCase struct {
	name    string
	deflate bool // permessage-deflate is agreed on
	pieces  [][]byte
}

// TestRFC6455_SameVerdictAsTheOrigin holds what a client sees of a WebSocket
// through edge, tunnel and agent to what it sees of the origin alone: every
// message, control frame and close status.
func TestRFC6455_SameVerdictAsTheOrigin(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	l, err := s.Net.Listen("tcp", "127.0.0.1:7777")
	if err != nil {
		t.Fatal(err)
	}
	origin := &http.Server{Handler: http.HandlerFunc(wsEcho), ReadHeaderTimeout: time.Minute}
	var wg sync.WaitGroup
	wg.Go(func() { _ = origin.Serve(patient{l}) })
	t.Cleanup(func() { _ = origin.Close(); wg.Wait() })
	a := s.Agent()
	for _, url := range []string{"http://ws.culvert.localhost", "https://ws.culvert.localhost"} {
		up := culvert.WithUpstream("http://127.0.0.1:7777", culvert.WithUpstreamDialer(s.Dialer()))
		if _, err := a.Forward(t.Context(), up, culvert.WithURL(url)); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range slices.Concat(wsFraming(), wsFragments(), wsText(), wsClosing(), wsLimits(), wsDeflate()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := wsRun(t, s.Dial("127.0.0.1:7777"), c)
			conn := s.Dial(s.Info.HTTP.String())
			if i%2 == 1 {
				secure, err := s.DialTLS("ws.culvert.localhost", func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} })
				if err != nil {
					t.Fatal(err)
				}
				conn = secure
			}
			if got := wsRun(t, conn, c); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// patient is a listener whose connections are closed only when the client has
// ended: what it still sends would else break off the answer, with a tunnel in
// between and without one.
type patient struct{ net.Listener }

func (p patient) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	return patientConn{c}, err
}

type patientConn struct{ net.Conn }

func (c patientConn) Close() error {
	_ = netx.CloseWrite(c.Conn)
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	_, _ = io.Copy(io.Discard, c.Conn)
	return c.Conn.Close()
}

// wsEcho sends back every message.
func wsEcho(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(32 << 20)
	for {
		kind, b, err := c.Read(r.Context())
		if err != nil {
			return
		}
		if err := c.Write(r.Context(), kind, b); err != nil {
			return
		}
	}
}

// wsRun opens a WebSocket on a connection, sends what the case says, and tells
// what came back until the end.
func wsRun(t *testing.T, c net.Conn, tc wsCase) []string {
	t.Helper()
	defer c.Close() //nolint:errcheck // everything was read
	extension := ""
	if tc.deflate {
		extension = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
	}
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: ws.culvert.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+extension+"\r\n")
	br := bufio.NewReader(c)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	seen := []string{fmt.Sprint(resp.StatusCode, resp.Header["Sec-Websocket-Accept"], resp.Header["Sec-Websocket-Extensions"])}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for _, piece := range append(tc.pieces, wsFrame(0x88, []byte{3, 232})) {
			if _, err := c.Write(piece); err != nil {
				return // it was refused
			}
		}
	})
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	var message []byte
	var first byte
	for {
		head, payload, err := wsRead(br)
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() { //nolint:errorlint // straight from the connection
				seen = append(seen, "still open")
			}
			return append(seen, "end")
		}
		if head&8 != 0 {
			seen = append(seen, fmt.Sprintf("%x %q", head, payload))
			continue
		}
		if head&0xf != 0 {
			first, message = head, nil
		}
		message = append(message, payload...)
		if head&0x80 != 0 {
			if first&0x40 != 0 {
				message = wsInflate(message)
			}
			seen = append(seen, fmt.Sprintf("message %x of %d bytes, %x", first&0x7f, len(message), sha256.Sum256(message)))
		}
	}
}

// wsRead reads one frame of a server.
func wsRead(br *bufio.Reader) (head byte, payload []byte, err error) {
	var b [8]byte
	if _, err = io.ReadFull(br, b[:2]); err != nil {
		return 0, nil, err
	}
	head, n := b[0], uint64(b[1])
	switch n {
	case 126:
		_, err = io.ReadFull(br, b[:2])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		_, err = io.ReadFull(br, b[:8])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil || n > 64<<20 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(br, payload)
	return head, payload, err
}

// wsFrame is a masked frame that begins with the byte head.
func wsFrame(head byte, payload []byte) []byte {
	b := []byte{head}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{0x5a, 0xc3, 0x17, 0xe8}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// chop cuts what is sent into pieces of n bytes.
func chop(b []byte, n int) [][]byte { return slices.Collect(slices.Chunk(b, n)) }

func wsText1(text string) []byte { return wsFrame(0x81, []byte(text)) }

// one is a case whose frames are written together.
func one(name string, frames ...[]byte) wsCase {
	return wsCase{name: name, pieces: [][]byte{slices.Concat(frames...)}}
}

// each is a case whose frames are written one by one.
func each(name string, frames ...[]byte) wsCase { return wsCase{name: name, pieces: frames} }

// bytewise is a case that is written byte by byte.
func bytewise(name string, frames ...[]byte) wsCase {
	return wsCase{name: name, pieces: chop(slices.Concat(frames...), 1)}
}

// wsFraming has the sizes of frames, pings, reserved bits and opcodes.
func wsFraming() (cases []wsCase) {
	for kind, head := range map[string]byte{"1.1 text": 0x81, "1.2 binary": 0x82} {
		for _, n := range []int{0, 1, 125, 126, 127, 128, 65535, 65536} {
			cases = append(cases, one(fmt.Sprintf("%s of %d", kind, n), wsFrame(head, bytes.Repeat([]byte("*"), n))))
		}
		cases = append(cases, wsCase{name: kind + " of 65536 in chops", pieces: chop(wsFrame(head, bytes.Repeat([]byte("*"), 65536)), 997)})
	}
	ping, pong := func(s string) []byte { return wsFrame(0x89, []byte(s)) }, func(s string) []byte { return wsFrame(0x8a, []byte(s)) }
	long := strings.Repeat("\xfe", 125)
	cases = append(cases,
		one("2.1 empty ping", ping("")), one("2.2 ping", ping("hello")), one("2.3 binary ping", ping("\x00\xff\xfe\xfd")),
		one("2.4 long ping", ping(long)), one("2.5 ping too long", ping(long+"x")), bytewise("2.6 ping bytewise", ping(long)),
		one("2.7 unasked pong", pong("")), one("2.8 unasked pong with payload", pong("unasked")),
		one("2.9 unasked pong and ping", pong("unasked"), ping("asked")))
	var ten [][]byte
	for i := range 10 {
		ten = append(ten, ping(fmt.Sprint("payload ", i)))
	}
	cases = append(cases, one("2.10 ten pings", ten...), bytewise("2.11 ten pings bytewise", ten...))
	for rsv := byte(0x10); rsv < 0x80; rsv += 0x10 {
		bits := fmt.Sprintf("3 reserved bits %x", rsv>>4)
		cases = append(cases,
			one(bits+" of text", wsFrame(0x81|rsv, []byte("x"))),
			each(bits+" behind text", wsText1("good"), wsFrame(0x81|rsv, []byte("x")), ping("")),
			bytewise(bits+" behind text, bytewise", wsText1("good"), wsFrame(0x81|rsv, []byte("x")), ping("")),
			one(bits+" of binary", wsFrame(0x82|rsv, []byte("\x00\xff"))),
			one(bits+" of a ping", wsFrame(0x89|rsv, []byte("x"))), one(bits+" of a close", wsFrame(0x88|rsv, nil)))
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		code := fmt.Sprintf("4 opcode %d", op)
		cases = append(cases, one(code, wsFrame(0x80|op, nil)), one(code+" with payload", wsFrame(0x80|op, []byte("x"))),
			each(code+" behind text", wsText1("good"), wsFrame(0x80|op, []byte("x")), ping("")),
			bytewise(code+" bytewise", wsText1("good"), wsFrame(0x80|op, nil), ping("")))
	}
	return append(cases, one("4 without a mask", []byte("\x81\x02hi")), one("4 size in more bytes than it takes", []byte("\x81\xfe\x00\x02\x00\x00\x00\x00hi")),
		one("4 size with the highest bit", []byte("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00x")))
}

// wsFragments has messages in several frames, and what comes between them.
func wsFragments() (cases []wsCase) {
	f := func(head byte, text string) []byte { return wsFrame(head, []byte(text)) }
	const text, more, last, ping, pong, lone = 0x01, 0x00, 0x80, 0x89, 0x8a, 0x81
	all := map[string][][]byte{
		"5.1 ping in fragments":              {f(0x09, "a"), f(last, "b")},
		"5.2 pong in fragments":              {f(0x0a, "a"), f(last, "b")},
		"5.3 two fragments":                  {f(text, "a"), f(last, "b")},
		"5.6 ping between":                   {f(text, "a"), f(ping, "p"), f(last, "b")},
		"5.7 pong between":                   {f(text, "a"), f(pong, "p"), f(last, "b")},
		"5.9 lone continuation":              {f(more, "a"), f(lone, "b")},
		"5.10 lone last continuation":        {f(last, "a"), f(lone, "b")},
		"5.13 lone continuation behind text": {f(lone, "x"), f(more, "a"), f(last, "b")},
		"5.15 continuation behind the last":  {f(text, "a"), f(last, "b"), f(more, "c"), f(text, "d"), f(last, "e")},
		"5.16 empty fragments":               {f(text, ""), f(more, ""), f(last, "")},
		"5.17 empty fragments around":        {f(text, ""), f(more, "middle"), f(last, "")},
		"5.18 text inside text":              {f(text, "a"), f(lone, "b")},
		"5.18 binary inside text":            {f(text, "a"), f(0x82, "b")},
		"5.19 five fragments and pings":      {f(text, "a"), f(more, "b"), f(ping, "p"), f(more, "c"), f(more, "d"), f(ping, "q"), f(last, "e")},
		"5.20 close between":                 {f(text, "a"), f(0x88, "\x03\xe8"), f(last, "b")},
		"5.21 binary fragments":              {f(0x02, "\x00"), f(more, "\xff"), f(last, "\x01")},
	}
	for name, frames := range all {
		cases = append(cases, one(name, frames...), each(name+", one by one", frames...), bytewise(name+", bytewise", frames...))
	}
	return cases
}

// wsText has valid and invalid UTF-8.
func wsText() (cases []wsCase) {
	valid := []string{
		"", "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!", "\u03ba\u03cc\u03c3\u03bc\u03b5", "\x00", "\u0080", "\u0800", "\U00010000",
		"\x7f", "\u07ff", "\ud7ff", "\ue000", "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\U0001fffe", "\ufdd0",
	}
	invalid := []string{
		"\xce\xba\xe1", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80", "\x80", "\xbf",
		"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xc1\xbf", "\xfe", "\xff", "\xc0", "\xe0\x80", "\xf7\xbf\xbf", "a\xcez", "\xed\xad\xbf\xed\xb0\x80",
	}
	for i, list := range [][]string{valid, invalid} {
		for _, text := range list {
			name := fmt.Sprintf("6 %s UTF-8 %x", []string{"valid", "invalid"}[i], text)
			cut := len(text) / 2
			cases = append(cases, one(name, wsText1(text)), bytewise(name+" bytewise", wsText1("good "+text)),
				each(name+" in fragments", wsFrame(0x01, []byte(text[:cut])), wsFrame(0x80, []byte(text[cut:]))))
		}
	}
	return cases
}

// wsClosing has ways to end.
func wsClosing() (cases []wsCase) {
	closing := func(code int, reason string) []byte {
		return wsFrame(0x88, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...))
	}
	cases = append(cases,
		one("7.1 close behind text", wsText1("x"), closing(1000, "")), one("7.1 two closes", closing(1000, ""), closing(1000, "")),
		one("7.1 ping behind close", closing(1000, ""), wsFrame(0x89, nil)), one("7.1 text behind close", closing(1000, ""), wsText1("late")),
		one("7.1 close inside a message", wsFrame(0x01, []byte("a")), closing(1000, ""), wsFrame(0x80, []byte("b"))),
		each("7.1 close behind much", wsFrame(0x82, make([]byte, 256<<10)), closing(1000, ""), wsFrame(0x89, nil)),
		one("7.3 empty close", wsFrame(0x88, nil)), one("7.3 close of one byte", wsFrame(0x88, []byte("a"))),
		one("7.3 close with reason", closing(1000, "Hello World!")), one("7.3 longest reason", closing(1000, strings.Repeat("*", 123))),
		one("7.3 reason too long", closing(1000, strings.Repeat("*", 124))), one("7.5 reason of no UTF-8", closing(1000, "\xce\xba\xe1\xbd\xed\xa0\x80")),
		bytewise("7.3 close bytewise", closing(1001, "bye")))
	for _, code := range []int{
		1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
		0, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
	} {
		cases = append(cases, one(fmt.Sprintf("7.7 close with %d", code), closing(code, "")))
	}
	return cases
}

// wsLimits has large messages; those above 1 MiB only in the long version.
func wsLimits() (cases []wsCase) {
	sizes := []int{64 << 10, 256 << 10, 1 << 20}
	if !testing.Short() {
		sizes = append(sizes, 4<<20, 16<<20)
	}
	for _, n := range sizes {
		payload := bytes.Repeat([]byte("0123456789abcdef"), n/16)
		cases = append(cases, one(fmt.Sprintf("9.1 text of %d", n), wsFrame(0x81, payload)), one(fmt.Sprintf("9.2 binary of %d", n), wsFrame(0x82, payload)))
		for _, size := range []int{n / 256, n / 16, n} {
			cases = append(cases, each(fmt.Sprintf("9.3 %d in fragments of %d", n, size), fragments(payload, size)...))
		}
	}
	payload := make([]byte, 256<<10)
	for _, size := range []int{64, 1 << 10, 64 << 10} {
		cases = append(cases, wsCase{name: fmt.Sprintf("9.5 256 KiB in chops of %d", size), pieces: chop(wsFrame(0x82, payload), size)})
	}
	var many [][]byte
	for i := range 500 {
		many = append(many, wsText1(strings.Repeat("m", i)))
	}
	return append(cases, one("9.7 many messages", many...), each("9.8 many messages, one by one", many...),
		each("10.1 fragments of 1300", fragments(bytes.Repeat([]byte("*"), 65536), 1300)...))
}

// fragments are the frames of a binary message cut into payloads of size bytes.
func fragments(payload []byte, size int) (frames [][]byte) {
	head := byte(0x02)
	for rest := payload; len(rest) > 0; head = 0 {
		n := min(size, len(rest))
		if n == len(rest) {
			head |= 0x80
		}
		frames = append(frames, wsFrame(head, rest[:n]))
		rest = rest[n:]
	}
	return frames
}

// wsDeflate has compressed messages (RFC 7692).
func wsDeflate() (cases []wsCase) {
	add := func(c wsCase) {
		c.deflate = true
		cases = append(cases, c)
	}
	prose := strings.Repeat(`{"id":1,"text":"the quick brown fox","list":[1,2,3]},`, 20_000)
	for _, n := range []int{0, 1, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072, 1 << 20} {
		compressed := wsCompress([]byte(prose[:n]))
		add(one(fmt.Sprintf("12 text of %d", n), wsFrame(0xc1, compressed), wsFrame(0xc1, compressed)))
		add(one(fmt.Sprintf("12 binary of %d", n), wsFrame(0xc2, compressed)))
		add(wsCase{name: fmt.Sprintf("12 text of %d in chops", n), pieces: chop(wsFrame(0xc1, compressed), 101)})
	}
	compressed := wsCompress([]byte(prose[:1000]))
	cut := len(compressed) / 2
	add(each("13 fragments", wsFrame(0x41, compressed[:cut]), wsFrame(0x89, nil), wsFrame(0x80, compressed[cut:])))
	add(one("13 bit on a continuation", wsFrame(0x41, compressed[:cut]), wsFrame(0xc0, compressed[cut:])))
	add(one("13 not compressed", wsText1("plain")))
	add(one("13 between", wsFrame(0xc1, compressed), wsText1("plain"), wsFrame(0xc1, compressed)))
	add(one("13 bit on a ping", wsFrame(0xc9, nil)))
	add(one("13 garbage", wsFrame(0xc1, []byte("\xff\xff\xff\xff garbage"))))
	add(one("13 invalid UTF-8 inside", wsFrame(0xc1, wsCompress([]byte("\xce\xba\xe1")))))
	return cases
}

func wsCompress(b []byte) []byte {
	var out bytes.Buffer
	w, _ := flate.NewWriter(&out, flate.BestSpeed) // the level is valid
	_, _ = w.Write(b)                              // into memory
	_ = w.Flush()
	return bytes.TrimSuffix(out.Bytes(), []byte("\x00\x00\xff\xff"))
}

func wsInflate(b []byte) []byte {
	r := flate.NewReader(io.MultiReader(bytes.NewReader(b), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	out, err := io.ReadAll(r)
	if err != nil {
		return []byte("does not inflate")
	}
	return out
}
