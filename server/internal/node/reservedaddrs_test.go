package node_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/culvert-project/culvert"
	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/server/internal/node"
	"github.com/culvert-project/culvert/server/internal/node/nodetest"
)

// ports starts a server with so many ports for TCP endpoints, from 20000 on.
func ports(t *testing.T, n uint16) *nodetest.Server {
	t.Helper()
	return nodetest.Start(t, func(c *node.Config) { c.TCPPorts = node.PortRange{First: 20000, Last: 20000 + n - 1} })
}

// TestAPI29_ReservedAddressIsKept: an address stays what it is over restarts, an endpoint on it refers to it, and
// when it is deleted behind somebody's back they get another one.
func TestAPI29_ReservedAddressIsKept(t *testing.T) {
	t.Parallel()
	s := ports(t, 100)
	made := s.API().Must(http.StatusCreated, "POST", "/reserved_addrs", `{"description":"a service"}`)
	id, addr := made["id"].(string), made["addr"].(string)
	if !strings.HasPrefix(addr, "localhost:200") || made["region"] != "local" {
		t.Fatalf("made = %v, want an address of the range", made)
	}
	s.Restart()
	if got := s.API().Must(http.StatusOK, "GET", "/reserved_addrs/"+id, ""); got["addr"] != addr {
		t.Errorf("after a restart the address is %v, want %s", got["addr"], addr)
	}
	a := s.Agent()
	ln := s.ServeEcho(a, "here", culvert.WithURL("tcp://"+addr))
	e := s.API().List("/endpoints")[0]
	if ref, _ := e["tcp_addr"].(map[string]any); ref == nil || ref["id"] != id || ref["uri"] != s.Info.APIURL+"/reserved_addrs/"+id {
		t.Errorf("tcp_addr = %v, want %s", e["tcp_addr"], id)
	}
	if got := ln.URL().String(); got != "tcp://"+addr {
		t.Errorf("the endpoint is at %s, want %s", got, addr)
	}
	s.API().Must(http.StatusNoContent, "DELETE", "/reserved_addrs/"+id, "")
	s.API().Must(http.StatusNotFound, "GET", "/reserved_addrs/"+id, "")
	again := s.API().Must(http.StatusCreated, "POST", "/reserved_addrs", "")
	if again["addr"] == addr {
		t.Errorf("the address %s has an endpoint, and is given as a new one", addr)
	}
}

// TestReservedAddressOfAnother: agents and cloud endpoints of other accounts are refused, random ones pass it by.
func TestReservedAddressOfAnother(t *testing.T) {
	t.Parallel()
	s := ports(t, 3)
	one, two := s.API(), s.NewAccount("two")
	one.Create("/reserved_addrs", map[string]any{"addr": "localhost:20001"})
	if _, err := two.Agent().Listen(t.Context(), culvert.WithURL("tcp://localhost:20001")); !fault.Has(err, fault.AddressForeign) {
		t.Errorf("bind of another account: got %v, want %s", err, fault.AddressForeign)
	}
	cloud := `{"url":"tcp://localhost:20001","traffic_policy":"on_tcp_connect: [{actions: [{type: deny}]}]"}`
	if status, _, answer := two.Do("POST", "/endpoints", cloud); status != 400 || answer["error_code"] != "ERR_NGROK_18006" {
		t.Errorf("cloud endpoint of another account: got %d %v, want 18006", status, answer)
	}
	for _, a := range []culvert.Agent{two.Agent(), s.Agent()} {
		if ln := s.ServeEcho(a, "x", culvert.WithURL("tcp://")); strings.HasSuffix(ln.URL().String(), ":20001") {
			t.Errorf("a random address is %s, which is reserved", ln.URL())
		}
	}
	if _, err := s.Agent().Listen(t.Context(), culvert.WithURL("tcp://")); !fault.Has(err, fault.NoPortFree) {
		t.Errorf("with one port left, which is reserved: got %v, want %s", err, fault.NoPortFree)
	}
	if status, _, answer := one.Do("POST", "/reserved_addrs", ""); status != 503 || answer["error_code"] != "ERR_NGROK_503" {
		t.Errorf("with no port free: got %d %v, want 503", status, answer)
	}
	s.ServeEcho(s.Agent(), "x", culvert.WithURL("tcp://localhost:20001"))
}

// TestReservedAddressAskedFor: an address may be asked for, if nobody has reserved it and no other account has an
// endpoint there.
func TestReservedAddressAskedFor(t *testing.T) {
	t.Parallel()
	s := ports(t, 10)
	two := s.NewAccount("two")
	s.ServeEcho(two.Agent(), "x", culvert.WithURL("tcp://localhost:20002"))
	s.ServeEcho(s.Agent(), "x", culvert.WithURL("tcp://localhost:20003"))
	if got := s.API().Must(http.StatusCreated, "POST", "/reserved_addrs", `{"addr":"culvert.localhost:20001"}`); got["addr"] != "localhost:20001" {
		t.Errorf("addr = %v, want localhost:20001", got["addr"])
	}
	s.API().Must(http.StatusCreated, "POST", "/reserved_addrs", `{"addr":"localhost:20003"}`) // its own endpoint is there
	for addr, want := range map[string]string{
		"localhost:20001": "ERR_CULVERT_1670", "localhost:20002": "ERR_CULVERT_1670", "localhost:30000": "ERR_NGROK_215",
		"example.com:20004": "ERR_NGROK_215", "20004": "ERR_NGROK_215", "localhost:x": "ERR_NGROK_215",
	} {
		status, _, answer := s.API().Do("POST", "/reserved_addrs", `{"addr":"`+addr+`"}`)
		if status != 400 || answer["error_code"] != want {
			t.Errorf("%s: got %d %v, want %s", addr, status, answer, want)
		}
	}
	if status, _, answer := s.API().Do("PATCH", "/reserved_addrs/"+s.API().List("/reserved_addrs")[0]["id"].(string), `{"addr":"localhost:20009"}`); status != 400 {
		t.Errorf("another address in an update: got %d %v, want 400", status, answer)
	}
}

// TestReservedAddressInUse: it is not deleted under a cloud endpoint.
func TestReservedAddressInUse(t *testing.T) {
	t.Parallel()
	s := ports(t, 10)
	made := s.API().Must(http.StatusCreated, "POST", "/reserved_addrs", "")
	endpoint := s.API().Create("/endpoints", map[string]any{
		"url": "tcp://" + made["addr"].(string), "traffic_policy": "on_tcp_connect: [{actions: [{type: deny}]}]",
	})
	path := "/reserved_addrs/" + made["id"].(string)
	if status, _, answer := s.API().Do("DELETE", path, ""); status != 400 || answer["error_code"] != "ERR_CULVERT_1671" {
		t.Errorf("under a cloud endpoint: got %d %v, want 1671", status, answer)
	}
	s.API().Must(http.StatusNoContent, "DELETE", "/endpoints/"+endpoint, "")
	s.API().Must(http.StatusNoContent, "DELETE", path, "")
}

// TestReservedAddressesAtOnce: accounts that ask at the same moment, while agents take random ones, all get addresses of
// their own.
func TestReservedAddressesAtOnce(t *testing.T) {
	t.Parallel()
	s := ports(t, 60)
	apis := []*nodetest.API{s.API(), s.NewAccount("two").API}
	agent := s.Agent()
	var mu sync.Mutex
	seen := map[string]string{}
	note := func(addr, who string) {
		mu.Lock()
		defer mu.Unlock()
		if seen[addr] != "" {
			t.Errorf("%s is that of %s and of %s", addr, seen[addr], who)
		}
		seen[addr] = who
	}
	var wg sync.WaitGroup
	for i := range 10 {
		for n, api := range apis {
			wg.Go(func() {
				_, _, made := api.Do("POST", "/reserved_addrs", "")
				addr, _ := made["addr"].(string)
				note(addr, fmt.Sprintf("reservation %d of account %d", i, n))
			})
		}
		wg.Go(func() {
			ln, err := agent.Listen(t.Context(), culvert.WithURL("tcp://"))
			if err != nil {
				t.Errorf("random address: %v", err)
				return
			}
			note(ln.URL().Host, fmt.Sprint("agent ", i))
		})
	}
	wg.Wait()
	if len(seen) != 30 {
		t.Errorf("%d addresses, want 30", len(seen))
	}
}
