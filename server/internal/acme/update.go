package acme

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Update is a [DNS] that changes a zone at its primary server (RFC 2136), over
// TCP.
type Update struct {
	// Server is host:port.
	Server string
	// Zone is what is changed. Default: that in which the server has the name.
	Zone string
	// Key is the name of the key that signs (RFC 8945), Secret the key in base64,
	// and Algorithm its use, such as "hmac-sha256", the default. Without Key
	// nothing is signed.
	Key, Secret, Algorithm string
}

// recordTTL is the time to live of records, in seconds.
const recordTTL = 60

// Present adds the record.
func (u Update) Present(ctx context.Context, name, value string) error {
	return u.change(ctx, name, value, (*dns.Msg).Insert)
}

// CleanUp removes the record.
func (u Update) CleanUp(ctx context.Context, name, value string) error {
	return u.change(ctx, name, value, (*dns.Msg).Remove)
}

func (u Update) change(ctx context.Context, name, value string, apply func(*dns.Msg, []dns.RR)) error {
	zone := dns.Fqdn(u.Zone)
	if u.Zone == "" {
		var err error
		if zone, err = u.zoneOf(ctx, name); err != nil {
			return err
		}
	}
	record := &dns.TXT{
		Hdr: dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: recordTTL},
		Txt: []string{value},
	}
	m := new(dns.Msg)
	m.SetUpdate(zone)
	apply(m, []dns.RR{record})
	answer, err := u.ask(ctx, m)
	if err != nil {
		return fmt.Errorf("change %s at %s: %w", name, u.Server, err)
	}
	if answer.Rcode != dns.RcodeSuccess {
		return fmt.Errorf("change %s at %s: the server answers %s", name, u.Server, dns.RcodeToString[answer.Rcode])
	}
	return nil
}

// zoneOf asks the server for the zone of a name.
func (u Update) zoneOf(ctx context.Context, name string) (string, error) {
	for rest := dns.Fqdn(name); rest != "." && rest != ""; _, rest, _ = strings.Cut(rest, ".") {
		m := new(dns.Msg)
		m.SetQuestion(rest, dns.TypeSOA)
		answer, err := u.ask(ctx, m)
		if err != nil {
			return "", fmt.Errorf("ask %s for the zone of %s: %w", u.Server, name, err)
		}
		for _, r := range answer.Answer {
			if soa, ok := r.(*dns.SOA); ok && strings.EqualFold(soa.Hdr.Name, rest) {
				return rest, nil
			}
		}
	}
	return "", fmt.Errorf("%s has no zone for %s", u.Server, name)
}

func (u Update) ask(ctx context.Context, m *dns.Msg) (*dns.Msg, error) {
	c := &dns.Client{Net: "tcp", Timeout: requestTime}
	if u.Key != "" {
		key, algorithm := dns.Fqdn(u.Key), dns.HmacSHA256
		if u.Algorithm != "" {
			algorithm = dns.Fqdn(u.Algorithm)
		}
		c.TsigSecret = map[string]string{key: u.Secret}
		const fudge = 300
		m.SetTsig(key, algorithm, fudge, time.Now().Unix())
	}
	answer, _, err := c.ExchangeContext(ctx, m, u.Server)
	return answer, err
}
