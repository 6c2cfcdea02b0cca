package node_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// TestT63_RevocationEndsSessionsAndStreams, which is scenario 35 of api.md 8 too: however a credential is taken
// away, within 5 s its agents are cut off with what runs through them, and their endpoints are gone.
func TestT63_RevocationEndsSessionsAndStreams(t *testing.T) {
	t.Parallel()
	for name, revoke := range map[string]func(t *testing.T, s *nodetest.Server, a *nodetest.Account, user, credential string){
		"credential deleted": func(_ *testing.T, _ *nodetest.Server, a *nodetest.Account, _, credential string) {
			a.Must(204, "DELETE", "/credentials/"+credential, "")
		},
		"owner inactive": func(_ *testing.T, _ *nodetest.Server, a *nodetest.Account, user, _ string) {
			a.Must(200, "PATCH", "/service_users/"+user, `{"active":false}`)
		},
		"owner deleted": func(_ *testing.T, _ *nodetest.Server, a *nodetest.Account, user, _ string) {
			a.Must(204, "DELETE", "/bot_users/bot_"+strings.TrimPrefix(user, "service_"), "")
		},
		"account suspended": func(t *testing.T, s *nodetest.Server, a *nodetest.Account, _, _ string) {
			if err := s.Node.Directory().Suspend(t.Context(), a.ID, false); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := nodetest.Start(t)
				account := s.NewAccount("two")
				user := account.Create("/service_users", map[string]any{"name": "machine"})
				c := account.Must(201, "POST", "/credentials", `{"owner_id":"`+user+`"}`)
				ln := s.ServeEcho(s.Agent(culvert.WithAuthtoken(c["token"].(string))), "here\n", endpointTCP())
				stream := s.Dial(s.HostPort(ln.URL()))
				if got, err := bufio.NewReader(stream).ReadString('\n'); err != nil || got != "here\n" {
					t.Fatalf("got %q, %v before the revocation", got, err)
				}
				revoke(t, s, account, user, c["id"].(string))
				time.Sleep(5 * time.Second)
				if err := stream.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, stream); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the stream goes on")
				}
				if n := s.Node.Tunnels().NumSessions(); n != 0 {
					t.Errorf("%d sessions, want none", n)
				}
				if name != "account suspended" { // nobody may ask for it
					if list := account.List("/endpoints"); len(list) != 0 {
						t.Errorf("endpoints = %v, want none", list)
					}
				}
			})
		})
	}
}

// TestEndpoints42_AuthtokenWithRules: an agent gets what the rules of its authtoken allow, and a code for all
// else.
func TestEndpoints42_AuthtokenWithRules(t *testing.T) {
	t.Parallel()
	s := nodetest.Start(t)
	base := s.Info.Domains[0]
	token, _ := s.API().Must(201, "POST", "/credentials", `{"acl":["bind:*.dev.`+base+`"]}`)["token"].(string)
	a := s.Agent(culvert.WithAuthtoken(token))
	ln := s.ServeHTTP(a, nodetest.Text("served"), culvert.WithURL("https://a.b.dev."+base))
	if resp, body := s.Get(ln.URL().String()); resp.StatusCode != 200 || body != "served" {
		t.Errorf("%s: got %d %q", ln.URL(), resp.StatusCode, body)
	}
	for url, want := range map[string]fault.Code{
		"https://dev." + base: fault.ACLName, "https://other." + base: fault.ACLName, "tcp://": fault.ACLRandomAddress,
	} {
		if _, err := a.Listen(t.Context(), culvert.WithURL(url)); !fault.Has(err, want) {
			t.Errorf("%s: got %v, want %s", url, err, want)
		}
	}
	if ln := s.ServeHTTP(a, nodetest.Text("random")); !strings.HasSuffix(ln.URL().Hostname(), ".dev."+base) {
		t.Errorf("random name = %s, want one under dev.%s", ln.URL(), base)
	}
}
