package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/culvert-project/culvert/internal/fault"
	"github.com/culvert-project/culvert/internal/logs"
	"github.com/culvert-project/culvert/internal/strictyaml"
)

// maxMetadata bounds the metadata of a session, in characters (reference:
// agent, 4.5).
const maxMetadata = 4096

// Settings are the agent's options, checked.
type Settings struct {
	Authtoken string // empty: none is set
	Server    string // host:port; empty: none is set
	// CAs verifies the server; nil: the host's store, unless Fingerprint is set.
	CAs         *x509.CertPool
	Fingerprint string // "sha256:…" of the server's CA; empty: none
	// CustomCAs reports whether CAs or Fingerprint is set.
	CustomCAs          bool
	Proxy              string // proxy_url of the file; empty: none
	ConnectTimeout     time.Duration
	HeartbeatInterval  time.Duration
	HeartbeatTolerance time.Duration
	KeepAlive          time.Duration
	TLSMin, TLSMax     uint16
	Interface          string
	Resolvers          []netip.AddrPort
	Metadata           string
	RemoteManagement   bool
	// ConsoleUI is "true", "false" or "iftty".
	ConsoleUI string
	// LogTarget is "" when nobody chose one.
	LogTarget string
	LogFormat logs.Format
	LogLevel  slog.Level
}

// overlays are the keys that variables and flags may set.
var overlays = map[string]func(*Agent, string){
	"authtoken":              func(a *Agent, v string) { a.Authtoken = v },
	"api_key":                func(a *Agent, v string) { a.APIKey = v },
	"api_url":                func(a *Agent, v string) { a.APIURL = v },
	"api_cas":                func(a *Agent, v string) { a.APICAs = v },
	"connect_url":            func(a *Agent, v string) { a.ConnectURL = v },
	"connect_cas":            func(a *Agent, v string) { a.ConnectCAs = v },
	"connect_ca_fingerprint": func(a *Agent, v string) { a.ConnectCAFingerprint = v },
	"log":                    func(a *Agent, v string) { a.Log = Text(v) },
	"log_format":             func(a *Agent, v string) { a.LogFormat = v },
	"log_level":              func(a *Agent, v string) { a.LogLevel = v },
	"metadata":               func(a *Agent, v string) { a.Metadata = v },
	"region":                 func(a *Agent, v string) { a.Region = v },
	"web_addr":               func(a *Agent, v string) { a.WebAddr = Text(v) },
}

// Set overrides a key of the section agent; origin is the flag or variable that
// does it, as it appears in messages. It panics for a key that cannot be
// overridden, which is a mistake in the program.
func (c *Config) Set(key, value, origin string) {
	set, ok := overlays[key]
	if !ok {
		panic("config: key " + key + " cannot be overridden")
	}
	set(&c.Agent, value)
	c.origins[key] = origin
	// A new trust anchor replaces the other kind, which would contradict it.
	switch key {
	case "connect_ca_fingerprint":
		if c.origins["connect_cas"] == "" {
			c.Agent.ConnectCAs = ""
		}
	case "connect_cas":
		if c.origins["connect_ca_fingerprint"] == "" {
			c.Agent.ConnectCAFingerprint = ""
		}
	}
}

// Settings checks the section agent. Errors are faults; mistakes of a file come
// as [fault.ConfigInvalid] wrapping strictyaml.Problems.
func (c *Config) Settings() (Settings, error) {
	k := checker{c: c}
	s := k.settings()
	return s, c.failure(k.issues, func(i Issue) strictyaml.Problem { return c.agentProblem(i) })
}

// failure turns issues into one error: the first one where a flag or variable
// is to blame, else all of them as problems.
func (c *Config) failure(issues []Issue, locate func(Issue) strictyaml.Problem) error {
	var problems strictyaml.Problems
	for _, i := range issues {
		if c.origins[i.Key] != "" || len(c.sources) == 0 {
			return i.Err
		}
		problems = append(problems, locate(i))
	}
	return invalid(problems)
}

// describe splits an issue's error into what a Problem shows.
func describe(err error) (message, hint string) {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Error(), f.Remedy
	}
	return err.Error(), ""
}

// oldNames are the keys of version 2 that were renamed.
var oldNames = map[string][]string{
	"connect_cas": {"root_cas", "connect_cas"},
	"connect_url": {"server_addr", "connect_url"},
	"proxy_url":   {"http_proxy", "socks5_proxy", "proxy_url"},
}

// keyIn returns the path under which a file sets a key of the agent, if it does.
func (s source) keyIn(key string) (path string, ok bool) {
	if !s.v2 {
		return "agent." + key, s.doc.Has("agent." + key)
	}
	names := oldNames[key]
	if names == nil {
		names = []string{key}
	}
	for _, n := range names {
		if s.doc.Has(n) {
			return n, true
		}
	}
	return names[0], false
}

// setter returns the last file that sets a key of the agent.
func (c *Config) setter(key string) (s source, path string, ok bool) {
	for _, s := range slices.Backward(c.sources) {
		if path, ok := s.keyIn(key); ok {
			return s, path, true
		}
	}
	return source{}, "", false
}

func (c *Config) agentProblem(i Issue) strictyaml.Problem {
	message, hint := describe(i.Err)
	s, path, ok := c.setter(i.Key)
	if !ok {
		s = c.sources[len(c.sources)-1]
		path, _ = s.keyIn(i.Key)
	}
	return s.doc.Problem(path, message, hint)
}

// dirOf returns the folder that a path under a key is relative to.
func (c *Config) dirOf(key string) string {
	if c.origins[key] != "" {
		return ""
	}
	s, _, _ := c.setter(key)
	return s.dir
}

// checker collects the issues of the section agent.
type checker struct {
	c      *Config
	issues []Issue
}

func (k *checker) report(key string, err error) {
	if err != nil {
		k.issues = append(k.issues, Issue{key, err})
	}
}

func (k *checker) invalid(key, value, why string) {
	name := k.c.origins[key]
	if name == "" {
		name = key
	}
	k.report(key, fault.New(fault.ValueInvalid, value, name, why))
}

func (k *checker) settings() Settings {
	a := &k.c.Agent
	s := Settings{
		Authtoken: strings.TrimSpace(a.Authtoken), Metadata: a.Metadata, RemoteManagement: a.RemoteManagement,
		Interface: a.ConnectInterface,
	}
	if s.Authtoken != "" {
		k.report("authtoken", CheckAuthtoken(s.Authtoken))
	}
	k.server(&s)
	k.trust(&s)
	s.ConnectTimeout = k.duration("connect_timeout", a.ConnectTimeout, time.Second, 10*time.Minute)
	s.HeartbeatInterval = k.duration("heartbeat_interval", a.HeartbeatInterval, time.Second, time.Hour)
	s.HeartbeatTolerance = k.duration("heartbeat_tolerance", a.HeartbeatTolerance, time.Second, time.Hour)
	s.KeepAlive = a.TCPKeepAlive
	if a.ProxyURL != "" {
		s.Proxy = a.ProxyURL
		k.report("proxy_url", CheckProxy(a.ProxyURL))
	}
	for i, text := range a.DNSResolverIPs {
		s.Resolvers = append(s.Resolvers, k.resolver(fmt.Sprintf("dns_resolver_ips[%d]", i), text))
	}
	if len([]rune(a.Metadata)) > maxMetadata {
		k.report("metadata", fault.New(fault.MetadataTooLong))
	}
	switch ui := string(a.ConsoleUI); ui {
	case "true", "false", "iftty":
		s.ConsoleUI = ui
	default:
		k.invalid("console_ui", ui, "it must be true, false or iftty")
	}
	k.logging(&s)
	k.notBuilt()
	return s
}

// server checks connect_url: host:port, with or without tls:// or https://.
func (k *checker) server(s *Settings) {
	text := k.c.Agent.ConnectURL
	if text == "" {
		return
	}
	addr, err := ParseServer(text)
	k.report("connect_url", err)
	s.Server = addr
}

// trust checks by what the server is recognised.
func (k *checker) trust(s *Settings) {
	a := &k.c.Agent
	if a.ConnectCAFingerprint != "" {
		fp, err := ParseFingerprint(a.ConnectCAFingerprint)
		k.report("connect_ca_fingerprint", err)
		s.Fingerprint, s.CustomCAs = fp, true
	}
	switch a.ConnectCAs {
	case "", "host", "trusted":
	default:
		_, pool, err := LoadCAs(k.c.dirOf("connect_cas"), a.ConnectCAs)
		k.report("connect_cas", err)
		s.CAs, s.CustomCAs = pool, true
	}
	var ok bool
	if s.TLSMin, ok = tlsVersion(string(a.ConnectTLSMin), tls.VersionTLS12); !ok {
		k.invalid("connect_tls_min", string(a.ConnectTLSMin), `it must be "1.2" or "1.3"`)
	}
	if s.TLSMax, ok = tlsVersion(string(a.ConnectTLSMax), tls.VersionTLS13); !ok {
		k.invalid("connect_tls_max", string(a.ConnectTLSMax), `it must be "1.2" or "1.3"`)
	}
	if s.TLSMin > s.TLSMax {
		k.invalid("connect_tls_min", string(a.ConnectTLSMin), "it is above connect_tls_max")
	}
}

func (k *checker) duration(key string, d, low, high time.Duration) time.Duration {
	if d < low || d > high {
		k.invalid(key, d.String(), fmt.Sprintf("it must be from %v to %v", low, high))
	}
	return d
}

func (k *checker) resolver(key, text string) netip.AddrPort {
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.AddrPortFrom(ip, 53)
	}
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		k.invalid(key, text, "it must be an IP address, with a port if it is not 53")
	}
	return ap
}

// logging checks the keys of the log; a path is relative to its file.
func (k *checker) logging(s *Settings) {
	a := &k.c.Agent
	switch s.LogTarget = string(a.Log); s.LogTarget {
	case "", "stdout", "stderr", "false":
	case "true":
		k.invalid("log", "true", "it must be stdout, stderr, false or the path of a file")
	default:
		s.LogTarget = filepath.Clean(resolve(k.c.dirOf("log"), s.LogTarget))
	}
	var err error
	if s.LogFormat, err = logs.ParseFormat(a.LogFormat); err != nil {
		k.invalid("log_format", a.LogFormat, "it must be term, logfmt or json")
	}
	if s.LogLevel, err = logs.ParseLevel(a.LogLevel); err != nil {
		k.invalid("log_level", a.LogLevel, "it must be debug, info, warn, error or crit")
	}
}

// notBuilt refuses what would change security or reachability and has no effect
// yet.
func (k *checker) notBuilt() {
	a := &k.c.Agent
	if a.CRLURL != "" {
		k.report("crl_url", fault.New(fault.NotBuilt, "crl_url"))
	}
	if a.ConnectLegs != "" && a.ConnectLegs != "auto" && a.ConnectLegs != "1" {
		k.report("connect_legs", fault.New(fault.NotBuilt, "connect_legs"))
	}
}
