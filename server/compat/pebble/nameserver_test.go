package pebble_test

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The key that dynamic updates are signed with.
const (
	keyName   = "update."
	keySecret = "c2VjcmV0LW9mLXRoZS10ZXN0LW5hbWVzZXJ2ZXI="
)

// nameserver knows every name as 127.0.0.1, but for those that it is told
// otherwise. It is the primary server of zone, for signed updates.
type nameserver struct {
	addr, zone string

	mu    sync.Mutex
	txt   map[string][]string // guarded by mu, as are the next
	gone  map[string]bool     // names that there are not
	seen  map[string]int      // changes by name
	alias map[string]string
}

func newNameserver(t *testing.T, zone string) *nameserver {
	t.Helper()
	n := &nameserver{
		zone: dns.Fqdn(zone), txt: make(map[string][]string), gone: make(map[string]bool), seen: make(map[string]int), alias: make(map[string]string),
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.addr = ln.Addr().String()
	packets, err := net.ListenPacket("udp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{Listener: ln}, {PacketConn: packets}} {
		started := make(chan struct{})
		s.Handler, s.TsigSecret, s.NotifyStartedFunc = dns.HandlerFunc(n.serve), map[string]string{keyName: keySecret}, func() { close(started) }
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		go func() { _ = s.ActivateAndServe() }() // ends with Shutdown
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return n
}

func (n *nameserver) serve(w dns.ResponseWriter, m *dns.Msg) {
	n.mu.Lock()
	defer n.mu.Unlock()
	answer := new(dns.Msg).SetReply(m)
	if m.Opcode == dns.OpcodeUpdate {
		answer.Rcode = n.update(w, m)
	} else {
		n.answer(m.Question[0], answer)
	}
	if sig := m.IsTsig(); sig != nil && w.TsigStatus() == nil {
		answer.SetTsig(sig.Hdr.Name, sig.Algorithm, 300, time.Now().Unix())
	}
	_ = w.WriteMsg(answer) // whoever asked may be gone
}

func (n *nameserver) update(w dns.ResponseWriter, m *dns.Msg) int {
	if m.IsTsig() == nil || w.TsigStatus() != nil {
		return dns.RcodeNotAuth
	}
	if m.Question[0].Name != n.zone {
		return dns.RcodeNotZone
	}
	for _, r := range m.Ns {
		t, ok := r.(*dns.TXT)
		if !ok || !dns.IsSubDomain(n.zone, t.Hdr.Name) {
			return dns.RcodeRefused
		}
		n.change(t.Hdr.Name, t.Txt[0], t.Hdr.Class == dns.ClassINET)
	}
	return dns.RcodeSuccess
}

// set adds or removes a record.
func (n *nameserver) set(name, value string, there bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.change(dns.Fqdn(name), value, there)
}

func (n *nameserver) change(name, value string, there bool) {
	name = strings.ToLower(name)
	n.seen[name]++
	var rest []string
	for _, v := range n.txt[name] {
		if v != value {
			rest = append(rest, v)
		}
	}
	if there {
		rest = append(rest, value)
	}
	n.txt[name] = rest
}

// drop makes a name unknown, or known again.
func (n *nameserver) drop(name string, gone bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone[dns.Fqdn(name)] = gone
}

// left is what has not been removed.
func (n *nameserver) left() (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, values := range n.txt {
		for range values {
			all = append(all, name)
		}
	}
	return all
}

func (n *nameserver) answer(q dns.Question, m *dns.Msg) {
	name := strings.ToLower(q.Name)
	head := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: q.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: 1}
	}
	if to, ok := n.alias[name]; ok {
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: head(dns.TypeCNAME), Target: to})
		if q.Qtype == dns.TypeTXT {
			for _, v := range n.txt[to] {
				m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: to, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}, Txt: []string{v}})
			}
		}
		return
	}
	switch {
	case n.gone[name]:
		m.Rcode = dns.RcodeNameError
	case q.Qtype == dns.TypeA:
		m.Answer = append(m.Answer, &dns.A{Hdr: head(dns.TypeA), A: net.IPv4(127, 0, 0, 1)})
	case q.Qtype == dns.TypeTXT:
		for _, v := range n.txt[name] {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: head(dns.TypeTXT), Txt: []string{v}})
		}
	case q.Qtype == dns.TypeSOA && name == n.zone:
		m.Answer = append(m.Answer, &dns.SOA{Hdr: head(dns.TypeSOA), Ns: "ns." + n.zone, Mbox: "admin." + n.zone, Serial: 1})
	}
}
