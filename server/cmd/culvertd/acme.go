package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/culvert-project/culvert/server/internal/acme"
	"github.com/culvert-project/culvert/server/internal/node"
)

// acmeSettings are those of certificates from authorities.
func acmeSettings() []setting {
	return []setting{
		{
			name: "acme-email", arg: "ADDRESS", set: (*options).setACMEEmail,
			usage: "get certificates from authorities, whose terms this accepts; they write to the address (default not at all)",
		},
		{
			name: "acme-directory", arg: "URL", list: true, set: (*options).addACMEDirectory,
			usage: "directory of an authority; the next one is asked where one fails; repeatable (default Let's Encrypt)",
		},
		{
			name: "acme-ca", arg: "FILE", set: text(func(c *node.Config) *string { return &c.ACME.CAFile }),
			usage: "PEM certificates to trust authorities by (default those of the system)",
		},
		{
			name: "acme-eab-kid", arg: "ID", set: text(func(c *node.Config) *string { return &c.ACME.BindingID }),
			usage: "id of the key that binds the account at an authority to an external one",
		},
		{
			name: "acme-eab-hmac-file", arg: "FILE", set: text(func(c *node.Config) *string { return &c.ACME.BindingFile }),
			usage: "file with that key, in base64url",
		},
		{
			name: "acme-dns", arg: "HOW", set: (*options).setACMEDNS,
			usage: "write records that prove names, wildcards too: exec:PATH or rfc2136:HOST:PORT?key=NAME&secret-file=FILE",
		},
	}
}

func (o *options) setACMEEmail(v string) error {
	a, err := mail.ParseAddress(v)
	if err != nil || a.Address != v {
		return errors.New("it is not an address such as admin@example.com")
	}
	o.node.ACME.Email = v
	return nil
}

func (o *options) addACMEDirectory(v string) error {
	u, err := url.Parse(v)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" {
		return errors.New("it is not a URL such as " + acme.LetsEncrypt)
	}
	o.node.ACME.Directories = append(o.node.ACME.Directories, v)
	return nil
}

func (o *options) setACMEDNS(v string) (err error) {
	kind, rest, _ := strings.Cut(v, ":")
	switch {
	case kind == "exec" && rest != "":
		path, err := filepath.Abs(rest)
		o.node.ACME.DNS = acme.Program{Path: path, Env: environment()}
		return err
	case kind == "rfc2136" && rest != "":
		o.node.ACME.DNS, err = parseUpdate(rest)
		return err
	}
	return errors.New("it is not of the form exec:PATH or rfc2136:HOST:PORT?key=NAME&secret-file=FILE")
}

// environment is what programs get of the server's: nothing that is the
// server's own.
func environment() []string {
	var all []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, envPrefix) && !strings.HasPrefix(pair, "CULVERT_") {
			all = append(all, pair)
		}
	}
	return all
}

// parseUpdate reads the server of dynamic updates, and how they are signed.
func parseUpdate(v string) (acme.Update, error) {
	server, query, _ := strings.Cut(v, "?")
	u := acme.Update{Server: server}
	if _, _, err := net.SplitHostPort(server); err != nil {
		u.Server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return u, errors.New("what follows the question mark is not of the form name=value&name=value")
	}
	file := ""
	for name, given := range values {
		field, known := map[string]*string{"key": &u.Key, "zone": &u.Zone, "algorithm": &u.Algorithm, "secret-file": &file}[name]
		if !known {
			return u, fmt.Errorf("%q is not one of key, secret-file, algorithm, zone", name)
		}
		*field = given[len(given)-1]
	}
	if (u.Key == "") != (file == "") {
		return u, errors.New("key and secret-file go together")
	}
	if file == "" {
		return u, nil
	}
	secret, err := os.ReadFile(file)
	if err != nil {
		return u, err
	}
	u.Secret = strings.TrimSpace(string(secret))
	if _, err := base64.StdEncoding.DecodeString(u.Secret); err != nil {
		return u, fmt.Errorf("%s does not hold a key in base64", file)
	}
	return u, nil
}
