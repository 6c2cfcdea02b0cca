package viaproxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// Bytes of SOCKS version 5 (RFC 1928, RFC 1929).
const (
	socksVersion  = 5
	noAuth        = 0
	passwordAuth  = 2
	authVersion   = 1
	noneAccepted  = 0xff
	connectCmd    = 1
	addrIPv4      = 1
	addrName      = 3
	addrIPv6      = 4
	maxSocksField = 255
)

// socks5 has a SOCKS5 proxy connect to addr. Exactly the handshake's bytes
// are read.
func (p *Proxy) socks5(conn io.ReadWriter, addr string) error {
	target, err := socksAddr(addr)
	if err != nil {
		return err
	}
	if err := p.socksAuth(conn); err != nil {
		return err
	}
	if _, err := conn.Write(append([]byte{socksVersion, connectCmd, 0}, target...)); err != nil {
		return err
	}
	var head [4]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return fmt.Errorf("read the proxy's answer: %w", err)
	}
	switch {
	case head[0] != socksVersion:
		return errors.New("this is not a SOCKS5 proxy")
	case head[1] != 0:
		return errors.New("the proxy answered: " + socksReply(head[1]))
	}
	// The address that follows is of no use, but has to be read.
	size := 0
	switch head[3] {
	case addrIPv4:
		size = net.IPv4len
	case addrIPv6:
		size = net.IPv6len
	case addrName:
		var n [1]byte
		if _, err := io.ReadFull(conn, n[:]); err != nil {
			return fmt.Errorf("read the proxy's answer: %w", err)
		}
		size = int(n[0])
	default:
		return errors.New("the proxy's answer has an unknown kind of address")
	}
	if _, err := io.CopyN(io.Discard, conn, int64(size)+2); err != nil {
		return fmt.Errorf("read the proxy's answer: %w", err)
	}
	return nil
}

// socksAuth agrees on a method and, where the URL has one, shows the password.
func (p *Proxy) socksAuth(conn io.ReadWriter) error {
	offer := []byte{socksVersion, 1, noAuth}
	if p.url.User != nil {
		offer = []byte{socksVersion, 2, noAuth, passwordAuth}
	}
	if _, err := conn.Write(offer); err != nil {
		return err
	}
	var choice [2]byte
	if _, err := io.ReadFull(conn, choice[:]); err != nil {
		return fmt.Errorf("read the proxy's answer: %w", err)
	}
	switch {
	case choice[0] != socksVersion:
		return errors.New("this is not a SOCKS5 proxy")
	case choice[1] == noAuth:
		return nil
	case choice[1] == noneAccepted && p.url.User == nil:
		return errors.New("the proxy asks for a user name and a password")
	case choice[1] != passwordAuth || p.url.User == nil:
		return errors.New("the proxy wants another way of authentication")
	}
	name := p.url.User.Username()
	password, _ := p.url.User.Password()
	if len(name) == 0 || len(name) > maxSocksField || len(password) > maxSocksField {
		return fmt.Errorf("user name and password may have at most %d characters", maxSocksField)
	}
	login := append([]byte{authVersion, byte(len(name))}, name...)
	login = append(append(login, byte(len(password))), password...)
	if _, err := conn.Write(login); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, choice[:]); err != nil {
		return fmt.Errorf("read the proxy's answer: %w", err)
	}
	if choice[1] != 0 {
		return errors.New("the proxy refuses this user name and password")
	}
	return nil
}

// socksAddr encodes host:port with the kind of address in front.
func socksAddr(addr string) ([]byte, error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q is not a number", text)
	}
	var b []byte
	if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
		kind := byte(addrIPv4)
		if ip.Is6() {
			kind = addrIPv6
		}
		b = append([]byte{kind}, ip.AsSlice()...)
	} else {
		if len(host) == 0 || len(host) > maxSocksField {
			return nil, errors.New("the server's name does not fit a SOCKS request")
		}
		b = append([]byte{addrName, byte(len(host))}, host...)
	}
	return binary.BigEndian.AppendUint16(b, uint16(port)), nil
}

func socksReply(code byte) string {
	replies := [...]string{
		"success", "general failure", "not allowed by its rules", "network unreachable", "host unreachable",
		"connection refused", "time to live expired", "command not supported", "address type not supported",
	}
	if int(code) < len(replies) {
		return replies[code]
	}
	return fmt.Sprintf("error %d", code)
}
