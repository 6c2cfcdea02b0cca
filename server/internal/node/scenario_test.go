package node_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

func endpointTCP() culvert.EndpointOption { return culvert.WithURL("tcp://") }

func TestEndpoints01_EmptyURLComesOnline(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("hello"))
	if u := ln.URL().String(); !regexp.MustCompile(`^https://[0-9a-f]{12}\.culvert\.localhost:9443$`).MatchString(u) {
		t.Errorf("got URL %s", u)
	}
	resp, body := s.Get(ln.URL().String()) // verifies the certificate
	if resp.StatusCode != 200 || body != "hello" {
		t.Errorf("got %d %q", resp.StatusCode, body)
	}
}

func TestEndpoints02_ReconnectKeepsTheURL(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	links := &breaker{Dialer: s.Dialer()}
	a := s.Agent(culvert.WithDialer(links))
	web := s.ServeHTTP(a, nodetest.Text("hello"))
	port := s.ServeEcho(a, "hi", endpointTCP())
	webURL, portURL := web.URL().String(), port.URL().String()
	for range 3 {
		links.cut()
		// What comes before the server has seen the end of the connection fails, as
		// all do that are under way then. What comes after it waits for the agent.
		if !within(100, func() bool {
			resp, body := s.Get(webURL)
			if resp.StatusCode != http.StatusBadGateway && body != "hello" {
				t.Errorf("HTTP after the loss: got %d %q", resp.StatusCode, body)
			}
			return body == "hello"
		}) {
			t.Error("HTTP after the loss: no answer")
		}
		if !within(100, func() bool {
			b := make([]byte, 2)
			_, err := io.ReadFull(s.Dial(s.HostPort(port.URL())), b)
			return err == nil && string(b) == "hi"
		}) {
			t.Error("TCP after the loss: no answer")
		}
	}
	if web.URL().String() != webURL || port.URL().String() != portURL {
		t.Errorf("got URLs %s and %s, want %s and %s", web.URL(), port.URL(), webURL, portURL)
	}
}

// within reports whether one of so many tries does.
func within(tries int, try func() bool) bool {
	for range tries {
		if try() {
			return true
		}
	}
	return false
}

func TestRestartedServerGetsItsEndpointsBack(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("hello"))
	u := ln.URL().String()
	s.Restart()
	if resp, body := s.Get(u); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("after the restart: got %d %q", resp.StatusCode, body)
	}
}

func TestEndpoints04_RefusedURLs(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	for u, want := range map[string]fault.Code{
		"http://h.culvert.localhost:81":    fault.PortRefused,
		"https://h.culvert.localhost:8443": fault.PortRefused,
		"tcp://h.culvert.localhost":        fault.PortMissing,
		"https://h.culvert.localhost/":     fault.URLTrailingSlash,
	} {
		_, err := a.Listen(t.Context(), culvert.WithURL(u))
		f := fault.From(err)
		if err == nil || f.Code != want || f.Remedy == "" {
			t.Errorf("%s: got %v, remedy %q, want %s", u, err, f.Remedy, want)
		}
	}
}

func TestEndpoints05_ExtraListener(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t, func(c *node.Config) {
		c.ExtraListeners = []node.ExtraListener{{Scheme: endpoint.HTTPS, Port: 8443}}
	})
	ln := s.ServeHTTP(s.Agent(), nodetest.Text("extra"), culvert.WithURL("https://h.culvert.localhost:8443"))
	if u := ln.URL().String(); u != "https://h.culvert.localhost:8443" {
		t.Errorf("got URL %s", u)
	}
	if _, body := s.Get("https://h.culvert.localhost:8443/"); body != "extra" {
		t.Errorf("on 8443: got %q", body)
	}
	if resp, err := s.Client().Get("https://h.culvert.localhost:9443/"); err == nil && resp.StatusCode == 200 {
		t.Error("it is served on the standard port too")
	}
}

func TestEndpoints11_RedirectToHTTPS(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ set, want int }{"default": {0, 307}, "308": {308, 308}, "off": {-1, 404}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := nodetest.Start(t, func(c *node.Config) { c.RedirectHTTP = tt.set })
			s.ServeHTTP(s.Agent(), nodetest.Text("secure"), culvert.WithURL("https://h.culvert.localhost"))
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				resp, _ := s.Do(s.Client(), method, "http://h.culvert.localhost:9080/p?q=1", strings.NewReader("body"))
				if resp.StatusCode != tt.want {
					t.Errorf("%s: got %d, want %d", method, resp.StatusCode, tt.want)
				}
				location, code := "https://h.culvert.localhost:9443/p?q=1", ""
				if tt.want == 404 {
					location, code = "", string(fault.EndpointOffline)
				}
				if got := resp.Header.Get("Location"); got != location {
					t.Errorf("%s: got location %q, want %q", method, got, location)
				}
				if got := resp.Header.Get("Ngrok-Error-Code"); got != code {
					t.Errorf("%s: got code %q, want %q", method, got, code)
				}
			}
		})
	}
}

func TestEndpoints12_HTTPEndpointServesItself(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent()
	s.ServeHTTP(a, nodetest.Text("secure"), culvert.WithURL("https://h.culvert.localhost"))
	s.ServeHTTP(a, nodetest.Text("plain"), culvert.WithURL("http://h.culvert.localhost"))
	if resp, body := s.Get("http://h.culvert.localhost:9080/"); resp.StatusCode != 200 || body != "plain" {
		t.Errorf("http: got %d %q", resp.StatusCode, body)
	}
	if _, body := s.Get("https://h.culvert.localhost:9443/"); body != "secure" {
		t.Errorf("https: got %q", body)
	}
}

func TestAdvertisedPortStandsForTheStandardOne(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	for i, u := range []string{"https://h.culvert.localhost", "https://h.culvert.localhost:9443", "https://h.culvert.localhost:443"} {
		ln := s.ServeHTTP(s.Agent(), nodetest.Text("x"), culvert.WithURL(u), culvert.WithPoolingEnabled(true))
		if got := ln.URL().String(); got != "https://h.culvert.localhost:9443" {
			t.Errorf("bind %d of %s: got URL %s", i, u, got)
		}
	}
	behind := nodetest.Start(t, func(c *node.Config) { c.AdvertiseHTTPPort, c.AdvertiseHTTPSPort = 80, 443 })
	ln := behind.ServeHTTP(behind.Agent(), nodetest.Text("x"), culvert.WithURL("https://h.culvert.localhost"))
	if got := ln.URL().String(); got != "https://h.culvert.localhost" {
		t.Errorf("behind a balancer: got URL %s", got)
	}
	resp, _ := behind.Get("http://h.culvert.localhost:9080/p")
	if got := resp.Header.Get("Location"); got != "https://h.culvert.localhost/p" {
		t.Errorf("behind a balancer: got location %s", got)
	}
}

func TestEndpoints31_PoolSharesTraffic(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	const u = "https://pool.culvert.localhost"
	one := s.Agent()
	s.ServeHTTP(one, nodetest.Text("1"), culvert.WithURL(u), culvert.WithPoolingEnabled(true))
	if _, err := s.Agent().Listen(t.Context(), culvert.WithURL(u)); !fault.Has(err, fault.URLTaken) {
		t.Errorf("without pooling: got %v, want 334", err)
	}
	s.ServeHTTP(s.Agent(), nodetest.Text("2"), culvert.WithURL(u), culvert.WithPoolingEnabled(true))
	got := map[string]int{}
	client := s.Client()
	for range 1000 {
		_, body := s.Do(client, http.MethodGet, u+":9443/", nil)
		got[body]++
	}
	if got["1"] < 400 || got["2"] < 400 || got["1"]+got["2"] != 1000 {
		t.Errorf("requests went %v, want about 500 each", got)
	}

	got = map[string]int{}
	for range 40 { // a connection for each request has a handshake for each
		_, body := s.Get(u + ":9443/")
		got[body]++
	}
	if got["1"] != 20 || got["2"] != 20 {
		t.Errorf("requests on connections of their own went %v, want 20 each", got)
	}

	first := s.ServeEcho(one, "1", endpointTCP(), culvert.WithPoolingEnabled(true))
	s.ServeEcho(s.Agent(), "2", culvert.WithURL(first.URL().String()), culvert.WithPoolingEnabled(true))
	got = map[string]int{}
	for range 100 {
		c := s.Dial(s.HostPort(first.URL()))
		b := make([]byte, 2)
		fmt.Fprint(c, "x")
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		got[string(b)]++
		c.Close()
	}
	if got["1x"] != 50 || got["2x"] != 50 {
		t.Errorf("connections went %v, want 50 each", got)
	}
}

func TestEndpoints33_LostMemberGetsNothing(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	const u = "https://pool.culvert.localhost"
	links := &breaker{Dialer: s.Dialer()}
	began := make(chan struct{})
	lost := s.Agent(culvert.WithDialer(links))
	asked := 0
	s.ServeHTTP(lost, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; r.URL.Path == "/slow" {
			close(began)
			<-r.Context().Done()
			return
		}
		io.WriteString(w, "lost") //nolint:errcheck // the client checks it
	}), culvert.WithURL(u), culvert.WithPoolingEnabled(true))
	slow := make(chan int, 1)
	go func() {
		resp, _ := s.Get(u + ":9443/slow")
		slow <- resp.StatusCode
	}()
	<-began
	s.ServeHTTP(s.Agent(), nodetest.Text("alive"), culvert.WithURL(u), culvert.WithPoolingEnabled(true))
	before := asked
	links.forever()
	// Requests in flight fail and are not sent to the other member.
	if status := <-slow; status != http.StatusBadGateway {
		t.Errorf("request in flight: got %d, want 502", status)
	}
	client := s.Client()
	for range 50 {
		if resp, body := s.Do(client, http.MethodGet, u+":9443/", nil); body != "alive" {
			t.Errorf("got %d %q", resp.StatusCode, body)
		}
	}
	if asked != before {
		t.Errorf("the lost member was asked %d times", asked-before)
	}
}

func TestAgentsOnTheHTTPSPort(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	a := s.Agent(culvert.WithAgentConnectURL("connect.culvert.localhost:9443"))
	ln := s.ServeHTTP(a, nodetest.Text("by 443"))
	if _, body := s.Get(ln.URL().String()); body != "by 443" {
		t.Errorf("got %q", body)
	}
	if _, err := s.DialTLS(""); err == nil {
		t.Error("a client without server name is let in")
	}
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	for token, want := range map[string]fault.Code{"short": fault.TokenMalformed, "unknown_0123456789abcdef": fault.TokenUnknown} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := s.Agent(culvert.WithAuthtoken(token)).Connect(ctx)
		if !fault.Has(err, want) {
			t.Errorf("%s: got %v, want %s", token, err, want)
		}
	}
}

func TestTLSPassthroughAndTermination(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	cert := nodetest.Certificate(t, "own.culvert.localhost")
	s.ServeEcho(s.Agent(), "agent:", culvert.WithURL("tls://own.culvert.localhost"),
		culvert.WithAgentTLSTermination(&tls.Config{Certificates: []tls.Certificate{cert}}))
	c, err := s.DialTLS("own.culvert.localhost", func(c *tls.Config) { c.RootCAs = nodetest.Pool(t, cert) })
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(c, "x")
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "agent:x\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestNothingIsLeftOfANode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := nodetest.Start(t)
		a := s.Agent()
		web := s.ServeHTTP(a, nodetest.Text("hello"))
		tcp := s.ServeEcho(a, "hi", endpointTCP())
		for range 3 {
			if _, body := s.Get(web.URL().String()); body != "hello" {
				t.Errorf("got %q", body)
			}
			c := s.Dial(s.HostPort(tcp.URL()))
			if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
				t.Error(err)
			}
			c.Close()
		}
		s.Agent().Listen(t.Context(), culvert.WithURL("https://a.example.com")) //nolint:errcheck // refused
		s.Restart()
		if _, body := s.Get(web.URL().String()); body != "hello" {
			t.Errorf("after the restart: got %q", body)
		}
		// The bubble ends only when every goroutine in it has.
	})
}
