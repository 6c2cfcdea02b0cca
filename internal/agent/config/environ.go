package config

import (
	"net/url"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"github.com/culvert-project/culvert/internal/fault"
)

// variables are the environment variables that set keys of the agent, by the
// part of their name behind CULVERT_ or NGROK_ (reference: agent, 4.3).
var variables = []struct {
	name   string
	key    string
	secret bool // may come from a file named by …_FILE
}{
	{"AUTHTOKEN", "authtoken", true},
	{"API_KEY", "api_key", true},
	{"API_URL", "api_url", false},
	{"API_CAS", "api_cas", false},
	{"CONNECT_URL", "connect_url", false},
	{"CONNECT_CAS", "connect_cas", false},
	{"CA_FINGERPRINT", "connect_ca_fingerprint", false},
	{"WEB_ADDR", "web_addr", false},
	{"LOG", "log", false},
	{"LOG_FORMAT", "log_format", false},
	{"LOG_LEVEL", "log_level", false},
	{"METADATA", "metadata", false},
	{"REGION", "region", false},
}

// maxSecret bounds a file that holds a secret.
const maxSecret = 16 << 10

// SetFromEnviron overrides keys by environment variables. A CULVERT_ variable
// beats its NGROK_ twin, which is used with a notice; a value beats a file named
// by …_FILE.
func (c *Config) SetFromEnviron(env Lookup) error {
	var used []string
	for _, v := range variables {
		value, name := "", ""
		for _, prefix := range []string{"CULVERT_", "NGROK_"} {
			if got, ok := env(prefix + v.name); ok && got != "" {
				value, name = got, prefix+v.name
				break
			}
			file, ok := env(prefix + v.name + "_FILE")
			if !v.secret || !ok || file == "" || prefix != "CULVERT_" {
				continue
			}
			b, err := readBounded(file, maxSecret)
			if err != nil {
				return fault.Wrap(err, fault.ValueInvalid, file, prefix+v.name+"_FILE", "it cannot be read: "+err.Error())
			}
			if value = strings.TrimSpace(string(b)); value != "" {
				name = prefix + v.name + "_FILE"
				break
			}
			return fault.New(fault.ValueInvalid, file, prefix+v.name+"_FILE", "the file is empty")
		}
		if name == "" {
			continue
		}
		if strings.HasPrefix(name, "NGROK_") {
			used = append(used, name)
		}
		c.Set(v.key, value, name)
	}
	if len(used) > 0 {
		c.Notices = append(c.Notices, fallbackNotice(strings.Join(used, ", "), "the CULVERT_ variable"))
	}
	return nil
}

// ProxyFor returns the proxy on the way to the server, or "" for none. Variables
// beat proxy_url; a variable that excludes the server (no_proxy, or a loopback
// address) means none. Errors are faults with the code [fault.ProxyInvalid].
func ProxyFor(server, configured string, env Lookup) (string, error) {
	get := func(name string) string {
		if v, ok := env(name); ok && v != "" {
			return v
		}
		v, _ := env(strings.ToUpper(name))
		return v
	}
	var chosen string
	for _, name := range []string{"https_proxy", "http_proxy", "all_proxy"} {
		if chosen = get(name); chosen != "" {
			break
		}
	}
	if chosen == "" {
		return configured, nil
	}
	if err := CheckProxy(chosen); err != nil {
		return "", err
	}
	rules := httpproxy.Config{HTTPSProxy: chosen, NoProxy: get("no_proxy")}
	u, err := rules.ProxyFunc()(&url.URL{Scheme: "https", Host: server})
	if err != nil {
		return "", fault.Wrap(err, fault.ProxyInvalid, "in the environment", err)
	}
	if u == nil {
		return "", nil
	}
	return chosen, nil
}
