package rest

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/culvert-project/culvert/internal/endpoint"
)

// maxProxies bounds how many proxies may stand in front, one behind the other.
const maxProxies = 16

// client returns where a request comes from, and where its client has found the API: as the connection has it, or
// as the proxies say that are trusted.
func (s *Server) client(r *http.Request) (from netip.Addr, origin string) {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr)
	from = peer.Addr().Unmap()
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if s.trusts(from) {
		if v := strings.ToLower(lastOf(r.Header["X-Forwarded-Proto"])); v == "http" || v == "https" {
			scheme = v
		}
		if v := lastOf(r.Header["X-Forwarded-Host"]); isHost(v) {
			host = v
		}
		from = s.behind(from, r.Header["X-Forwarded-For"])
	}
	return from, scheme + "://" + host
}

// trusts reports whether a peer is a proxy that is believed.
func (s *Server) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// behind returns the address that a trusted proxy names. Each proxy adds its peer's at the end of the list, so what
// stands before the first one that is not trusted may be anything.
func (s *Server) behind(proxy netip.Addr, lists []string) netip.Addr {
	rest := strings.Join(lists, ",")
	for range maxProxies {
		var last string
		if i := strings.LastIndexByte(rest, ','); i >= 0 {
			rest, last = rest[:i], rest[i+1:]
		} else {
			rest, last = "", rest
		}
		a, ok := addressIn(last)
		if !ok {
			return proxy
		}
		if proxy = a; !s.trusts(a) {
			return a
		}
	}
	return proxy
}

// addressIn reads an entry of X-Forwarded-For, to which some proxies add a port.
func addressIn(text string) (netip.Addr, bool) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddrPort(text)
	return a.Addr().Unmap().WithZone(""), err == nil
}

// lastOf returns the last entry of a field's lists, which the nearest proxy has written.
func lastOf(lists []string) string {
	if len(lists) == 0 {
		return ""
	}
	list := lists[len(lists)-1]
	return strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
}

// isHost reports whether a text is the host of a URL, with or without a port.
func isHost(text string) bool {
	u, err := url.Parse("//" + text)
	if err != nil || u.Host != text || u.Hostname() == "" {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err == nil || endpoint.CheckHost(strings.ToLower(u.Hostname())) == nil
}
