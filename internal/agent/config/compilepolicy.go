package config

import (
	"errors"
	"net/netip"
	"net/url"

	"github.com/culvert-project/culvert/internal/fault"
)

// MaxPolicy bounds the text of a policy from a file, in bytes.
const MaxPolicy = 256 << 10

// Keys of an endpoint's policy.
const (
	keyPolicy     = "traffic_policy"
	keyPolicyFile = "traffic_policy_file"
	keyPolicyURL  = "traffic_policy_url"
)

// policy takes the text of the policy, or from where to get it. What it says
// is judged by the server, which knows the actions.
func (c *compiler) policy(s *Spec) {
	given := 0
	for _, p := range []struct{ key, value string }{
		{keyPolicy, c.d.Policy}, {keyPolicyFile, c.d.PolicyFile}, {keyPolicyURL, c.d.PolicyURL},
	} {
		if p.value == "" {
			continue
		}
		if given++; given > 1 {
			c.report(p.key, fault.New(fault.PolicyTwice))
		}
	}
	switch {
	case c.d.PolicyFile != "":
		s.PolicyFrom = c.d.PolicyFile
		text, err := readBounded(resolve(c.d.Dir, c.d.PolicyFile), MaxPolicy)
		if err != nil {
			c.report(keyPolicyFile, fault.Wrap(err, fault.PolicyUnreadable, c.d.PolicyFile, err))
		}
		s.Policy = string(text)
	case c.d.PolicyURL != "":
		s.PolicyFrom, s.PolicyURL = c.d.PolicyURL, c.d.PolicyURL
		u, err := url.Parse(c.d.PolicyURL)
		if err == nil {
			err = CheckPolicyURL(u)
		}
		if err != nil {
			c.report(keyPolicyURL, fault.Wrap(err, fault.PolicyUnreadable, c.d.PolicyURL, err))
		}
	case c.d.Policy != "":
		s.PolicyFrom, s.Policy = c.d.label(keyPolicy)+" of "+c.d.Name, c.d.Policy
	}
}

// CheckPolicyURL judges from where a policy may come: over https, or over http
// from this machine.
func CheckPolicyURL(u *url.URL) error {
	switch {
	case u.Host == "":
		return errors.New("it is not a URL with a host")
	case u.Scheme == "https":
		return nil
	case u.Scheme != "http":
		return errors.New("it is neither an https nor an http URL")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Hostname() == "localhost" || err == nil && ip.IsLoopback() {
		return nil
	}
	return errors.New("http is for this machine only; use https")
}
