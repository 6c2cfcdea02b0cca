package h1_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/culvert-project/culvert/server/internal/h1"
)

// FuzzResponse feeds any bytes as the server's answer. Whatever is accepted
// has to be accepted by net/http too, and mean the same to it.
func FuzzResponse(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
		"HTTP/1.1 200\nset-cookie: a=b\nset-cookie: c=d\n\nrest",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 \nTransfer-Encoding:Chunked\n\n0\r\n\n\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: \"\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 \nTransfer-Encoding:Chunked\n \n\r\n",
		"\x00CVF\x00\x00\x00\x02{}", "\x15\x03\x01\x00\x02\x02\x46",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, head bool) {
		if len(raw) > 100<<10 {
			return
		}
		compare(t, raw, head)
	})
}

// compare reads raw with this package and with net/http.
func compare(t *testing.T, raw []byte, head bool) {
	t.Helper()
	method := http.MethodGet
	if head {
		method = http.MethodHead
	}
	c, srv := pair(t, h1.Config{})
	if _, err := srv.Write(raw); err != nil {
		t.Fatal(err)
	}
	_ = srv.(interface{ CloseWrite() error }).CloseWrite()
	resp, err := c.RoundTrip(context.Background(), &h1.Request{Method: method, Target: "/", Host: "h"})
	if err != nil {
		if h1.KindOf(err) == 0 {
			t.Errorf("error %v has no kind", err)
		}
		return
	}
	body, bodyErr := io.ReadAll(resp.Body)
	_ = resp.Body.Close()

	br := bufio.NewReader(bytes.NewReader(raw))
	var want *http.Response
	for {
		want, err = http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			t.Fatalf("accepted, but net/http says: %v\n%q", err, raw)
		}
		if want.StatusCode >= 200 {
			break
		}
	}
	wantBody, wantErr := io.ReadAll(want.Body)
	if resp.StatusCode != want.StatusCode {
		t.Errorf("status %d, net/http %d", resp.StatusCode, want.StatusCode)
	}
	if bodyErr == nil && wantErr != nil {
		t.Errorf("body accepted, net/http says: %v\n%q", wantErr, raw)
	}
	if bodyErr != nil {
		return // stricter is fine
	}
	if !bytes.Equal(body, wantBody) {
		t.Errorf("body %q, net/http %q", body, wantBody)
	}
	if head || resp.StatusCode == http.StatusNoContent || resp.StatusCode == http.StatusNotModified {
		return // without a body, framing fields are told to the client as they are
	}
	if resp.ContentLength != want.ContentLength {
		t.Errorf("length %d, net/http %d", resp.ContentLength, want.ContentLength)
	}
	equalFields(t, "header", resp.Header, want.Header)
	equalFields(t, "trailer", sent(resp.Trailer), sent(want.Trailer))
}

// sent returns the trailer fields that came, without those only announced.
func sent(h http.Header) http.Header {
	h = maps.Clone(h)
	maps.DeleteFunc(h, func(_ string, v []string) bool { return len(v) == 0 })
	return h
}

func equalFields(t *testing.T, what string, got, want http.Header) {
	t.Helper()
	norm := func(vs []string) []string {
		out := slices.Clone(vs)
		for i := range out {
			out[i] = strings.Join(strings.Fields(out[i]), " ") // folds
		}
		return out
	}
	if !maps.EqualFunc(got, want, func(a, b []string) bool { return slices.Equal(norm(a), norm(b)) }) {
		t.Errorf("%s %q, net/http %q", what, got, want)
	}
}

func readNetHTTP(r io.Reader) error {
	resp, err := http.ReadResponse(bufio.NewReader(r), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
