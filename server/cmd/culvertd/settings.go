package main

import (
	"log/slog"
	"slices"

	"github.com/culvert-project/culvert/internal/logs"
	"github.com/culvert-project/culvert/server/internal/node"
)

// options are the settings of a run.
type options struct {
	node      node.Config
	logFormat logs.Format
	logLevel  slog.Level
	// logLevelSet tells a level that was asked for from the default.
	logLevelSet bool
	// accessLog is where each request is logged: stdout, stderr, a file's path,
	// or "" for nowhere.
	accessLog string
	// file is the YAML file that was read, "" if there is none.
	file string

	// level and access are those of a running server, whose level may change
	// and whose file may be opened again.
	level  *slog.LevelVar
	access *logs.Log
}

// boolArg is the arg of settings that are on or off: their flags need no value.
const boolArg = "bool"

// setting is one thing that a server can be told. Its flag is --name, its
// variable CULVERTD_NAME and its key in the file name, each spelt the usual way.
type setting struct {
	name  string
	arg   string // what the value looks like, for --help
	usage string
	// values are all that it can be, if they are few.
	values []string
	// list settings may be given several times, or with commas between.
	list bool
	// file settings have no flag and no variable.
	file bool
	// set applies one value. Its error says what is wrong with it.
	set func(o *options, v string) error
}

// settings returns all settings but the limits, in the order in which help shows
// them.
func settings() []setting {
	return slices.Concat(plainSettings(), acmeSettings(), fileSettings())
}

// plainSettings are those that every source may have.
func plainSettings() []setting {
	return []setting{
		{
			name: "data-dir", arg: "DIR", set: (*options).setDataDir,
			usage: "where keys, tokens and certificates lie",
		},
		{
			name: "domain", arg: "NAME", list: true, set: (*options).addDomain,
			usage: "base domain of endpoint names; repeatable, the first is for random names (default " + node.DefaultDomain + ")",
		},
		{
			name: "http-addr", arg: "HOST:PORT", set: address(func(c *node.Config) *string { return &c.HTTPAddr }),
			usage: "listen for http (default " + node.DefaultHTTPAddr + ")",
		},
		{
			name: "https-addr", arg: "HOST:PORT", set: address(func(c *node.Config) *string { return &c.HTTPSAddr }),
			usage: "listen for https and tls (default " + node.DefaultHTTPSAddr + ")",
		},
		{
			name: "agent-addr", arg: "HOST:PORT", set: address(func(c *node.Config) *string { return &c.AgentAddr }),
			usage: "listen for agents (default " + node.DefaultAgentAddr + ")",
		},
		{
			name: "api-addr", arg: "HOST:PORT", set: address(func(c *node.Config) *string { return &c.APIAddr }),
			usage: "listen for the API and health checks (default " + node.DefaultAPIAddr + ")",
		},
		{
			name: "ssh-addr", arg: "HOST:PORT", set: address(func(c *node.Config) *string { return &c.SSHAddr }),
			usage: "listen for plain SSH clients, ssh -R (default " + node.DefaultSSHAddr + ")",
		},
		{
			name: "api-tls", arg: "auto|on|off", set: (*options).setAPITLS, values: []string{"auto", "on", "off"},
			usage: "serve the API over HTTPS; auto: unless it listens on loopback (default auto)",
		},
		{
			name: "api-on-https", arg: boolArg, set: (*options).setAPIOnHTTPS,
			usage: "serve the API on the HTTPS listener too, as api.NAME of every --domain (default false)",
		},
		{
			name: "api-origins", arg: "ORIGIN", list: true, set: (*options).addOrigin,
			usage: "origin of web pages that may call the API, such as https://console.example.com; repeatable (default none)",
		},
		{
			name: "tcp-addr", arg: "HOST", set: (*options).setTCPAddr,
			usage: "host that TCP endpoints listen on (default that of https)",
		},
		{
			name: "tcp-ports", arg: "FIRST-LAST", set: (*options).setTCPPorts,
			usage: "ports for TCP endpoints; busy ones are skipped (default 20000-20999)",
		},
		{
			name: "tls-cert", arg: "FILE", set: text(func(c *node.Config) *string { return &c.TLSCert }),
			usage: "PEM certificate chain to use instead of the development CA",
		},
		{
			name: "tls-key", arg: "FILE", set: text(func(c *node.Config) *string { return &c.TLSKey }),
			usage: "PEM private key of --tls-cert",
		},
		{
			name: "advertise-http-port", arg: "PORT", set: port(func(c *node.Config) *uint16 { return &c.AdvertiseHTTPPort }),
			usage: "port of http in URLs (default that of --http-addr)",
		},
		{
			name: "advertise-https-port", arg: "PORT", set: port(func(c *node.Config) *uint16 { return &c.AdvertiseHTTPSPort }),
			usage: "port of https and tls in URLs (default that of --https-addr)",
		},
		{
			name: "advertise-agent", arg: "HOST:PORT", set: address(func(c *node.Config) *string { return &c.AdvertiseAgent }),
			usage: "address that agents connect to (default derived from --agent-addr)",
		},
		{
			name: "advertise-api", arg: "URL", set: (*options).setAPIURL,
			usage: "where clients find the API, for the URIs in its answers (default as each request came)",
		},
		{
			name: "master-key-file", arg: "FILE", set: (*options).setMasterKeyFile,
			usage: "keys that seal secrets (default sealing.key in --data-dir)",
		},
		{
			name: "log-format", arg: "term|logfmt|json", set: (*options).setLogFormat, values: []string{"term", "logfmt", "json"},
			usage: "format of the log on standard error (default term on a terminal, else logfmt)",
		},
		{
			name: "log-level", arg: "LEVEL", set: (*options).setLogLevel, values: []string{"debug", "info", "warn", "error"},
			usage: "debug, info, warn or error (default info)",
		},
		{
			name: "access-log", arg: "WHERE", set: (*options).setAccessLog,
			usage: "log every request to stdout, stderr or a file (default not at all)",
		},
		{
			name: "shutdown-grace", arg: "DURATION", set: (*options).setGrace,
			usage: "how long open exchanges may take to finish when the server stops (default 30s)",
		},
		{
			name: "geoip-db", arg: "FILE", list: true, set: (*options).addGeoIP,
			usage: "database of places or networks in MaxMind's format, for policies; repeatable",
		},
		{
			name: "ip-categories", arg: "DIR", set: text(func(c *node.Config) *string { return &c.IPCategories }),
			usage: "folder of address lists, for policies; a file's name is the category",
		},
		{
			name: "policy-egress", arg: "none|public", set: (*options).setEgress, values: []string{"none", "public"},
			usage: "whom http-request in policies may ask besides internal endpoints (default none)",
		},
		{
			name: "outbound-allow", arg: "CIDR", list: true, set: (*options).addOutbound,
			usage: "addresses, private ones too, that the server may ask for policies; repeatable",
		},
	}
}

// fileSettings are those of the file alone.
func fileSettings() []setting {
	return []setting{
		{name: "region", file: true, set: text(func(c *node.Config) *string { return &c.Region })},
		{name: "trusted-proxies", list: true, file: true, set: (*options).addProxy},
		{name: "extra-listeners", list: true, file: true, set: (*options).addListener},
		{name: "redirect-http", file: true, set: (*options).setRedirect},
		{name: "forwarded-headers", file: true, set: (*options).setForwarded},
	}
}
