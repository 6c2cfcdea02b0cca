package main

import (
	"fmt"
	"strings"

	"github.com/culvert-project/culvert/internal/logs"
	"github.com/culvert-project/culvert/internal/version"
	"github.com/culvert-project/culvert/server/internal/node"
)

// welcome says what the server has opened and what to do next. The authtoken and
// the API key of a first start are shown whatever the log looks like, because they
// are shown only once; the rest is for people, and logs in another format have it
// as records.
func (p *program) welcome(o *options, i node.Info) {
	if o.logFormat == logs.Logfmt || o.logFormat == logs.JSON {
		o.node.Logger.Info("server ready", "http", i.HTTP, "https", i.HTTPS, "agents", i.Agent, "api", i.API,
			"ssh", i.SSH,
			"ssh_fingerprint", i.SSHFingerprint, "connect_url", i.ConnectURL, "api_url", i.APIURL, "ca_fingerprint", i.CAFingerprint, "data_dir", i.DataDir)
		if i.Authtoken == "" && i.APIKey == "" {
			return
		}
	}
	var b strings.Builder
	row := func(name, value, note string) {
		fmt.Fprintf(&b, "  %-8s %-28s %s\n", name, value, note)
	}
	domain := i.Domains[0]
	fmt.Fprintf(&b, "culvertd %s is ready.\n\n", version.Read().Version)
	row("http", i.HTTP.String(), "http://NAME."+domain+portText(i.HTTPPort, 80))
	row("https", i.HTTPS.String(), "https://NAME."+domain+portText(i.HTTPSPort, 443))
	row("tcp", fmt.Sprintf("%s:%s", i.TCPHost, i.TCPPorts), "ports for tcp endpoints")
	row("agents", i.Agent.String(), "connect to "+i.ConnectURL)
	row("api", i.API.String(), i.APIURL)
	row("ssh", i.SSH.String(), "ssh -R, host key "+i.SSHFingerprint)
	row("data", i.DataDir, "")
	if i.CAFile != "" {
		row("ca", i.CAFile, "")
	}
	b.WriteString("\nOn a machine whose services are to go online, once:\n\n")
	fmt.Fprintf(&b, "  culvert config add-connect-url %s%s\n", i.ConnectURL, pin(i))
	if i.Authtoken != "" {
		fmt.Fprintf(&b, "  culvert config add-authtoken %s\n", i.Authtoken)
		fmt.Fprintf(&b, "\nThe authtoken is shown only this once; \"%s authtoken new\" makes another.\n", p.called)
	} else {
		b.WriteString("  culvert config add-authtoken TOKEN\n")
		fmt.Fprintf(&b, "\n\"%s authtoken new\" makes a new token.\n", p.called)
	}
	b.WriteString("\nThen:\n\n  culvert http 8080\n\n")
	if i.APIKey != "" {
		fmt.Fprintf(&b, "To govern the server by its API:\n\n  export CULVERT_API_URL=%s\n  export CULVERT_API_KEY=%s\n  culvert api vaults list\n\n", i.APIURL, i.APIKey)
		fmt.Fprintf(&b, "The API key is shown only this once; \"%s api-key new\" makes another.\n\n", p.called)
	}
	if i.CAFile != "" {
		b.WriteString(trust(i))
	}
	fmt.Fprint(p.stdout, b.String())
}

// trust says how clients of https URLs come to trust the server's own CA.
func trust(i node.Info) string {
	who, public := "Clients", "A public server needs certificates that everybody trusts: --acme-email, or --tls-cert and --tls-key."
	if i.ACME {
		who, public = "Chosen names get certificates of an authority. For random ones, clients", "With --acme-dns all names get certificates of an authority."
	}
	return fmt.Sprintf("%s trust the https URLs by the CA's certificate:\n\n  curl --cacert %s https://NAME.%s%s\n\n%s\n\n",
		who, shellWord(i.CAFile), i.Domains[0], portText(i.HTTPSPort, 443), public)
}

// pin is the flag that makes an agent trust the server's own CA, where it has to.
func pin(i node.Info) string {
	if i.CAFingerprint == "" || i.Authorised {
		return ""
	}
	return " --ca-fingerprint " + i.CAFingerprint
}

func portText(port, standard uint16) string {
	if port == standard {
		return ""
	}
	return fmt.Sprintf(":%d", port)
}
