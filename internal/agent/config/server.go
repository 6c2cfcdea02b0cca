package config

import (
	"encoding/hex"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/id"
)

// ParseServer reads the address of a server: host or host:port, also as a URL
// with the scheme tls or https. Without a port it is 443. Errors are faults
// with the code [fault.ServerAddress].
func ParseServer(text string) (string, error) {
	bad := func(why string) (string, error) { return "", fault.New(fault.ServerAddress, text, why) }
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		if !strings.EqualFold(scheme, "tls") && !strings.EqualFold(scheme, "https") {
			return bad("the scheme must be tls or https, or left out")
		}
		rest = strings.TrimSuffix(after, "/")
	}
	if strings.ContainsAny(rest, "/?#@ \t\r\n") || rest == "" {
		return bad("it is not host:port")
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		host, port = strings.Trim(rest, "[]"), "443"
		if _, err := netip.ParseAddr(host); err != nil && strings.ContainsAny(host, ":[]") {
			return bad("it is not host:port")
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return bad("the port must be a number from 1 to 65535")
	}
	if host == "" {
		return bad("the host is missing")
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}

// ParseFingerprint reads the fingerprint of a CA, "sha256:" and 64 hexadecimal
// digits in either case, with or without colons between the bytes. It returns
// the canonical form.
func ParseFingerprint(text string) (string, error) {
	digits, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(text)), "sha256:")
	digits = strings.ReplaceAll(digits, ":", "")
	if b, err := hex.DecodeString(digits); !ok || err != nil || len(b) != 32 {
		return "", fault.New(fault.FingerprintInvalid, text)
	}
	return "sha256:" + digits, nil
}

// CheckAuthtoken judges a token by what needs no server. Errors are faults with
// the code [fault.TokenMalformed]; they never show the token.
func CheckAuthtoken(token string) error {
	if why := id.TokenFlaw(token); why != "" {
		return fault.New(fault.TokenMalformed, "***", why)
	}
	return nil
}

// CheckProxy judges the URL of a proxy. Errors are faults with the code
// [fault.ProxyInvalid]; they never show a password.
func CheckProxy(text string) error {
	bad := func(why string) error {
		shown := text
		if at := strings.LastIndexByte(text, '@'); at >= 0 {
			shown = "***" + text[at:]
		}
		return fault.New(fault.ProxyInvalid, shown, why)
	}
	if !strings.Contains(text, "://") {
		return bad("the scheme is missing; add http:// in front")
	}
	u, err := url.Parse(text)
	if err != nil {
		return bad("it is not a URL")
	}
	switch strings.ToLower(u.Scheme) {
	case "http", "https", "socks5", "socks5h":
	default:
		return bad("the scheme must be http, https or socks5")
	}
	if u.Hostname() == "" {
		return bad("the host is missing")
	}
	return nil
}
