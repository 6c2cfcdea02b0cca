package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestAgent07_WrongUsage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args string
		want string // on standard error
	}{
		{"http 80 -host-header=x", "needs two hyphens: --host-header=x"},
		{"http 80 -url https://x", "needs two hyphens: --url"},
		{"http 80 -ulr=x", "needs two hyphens: --url=x"},
		{"-log=stdout http 80", "needs two hyphens: --log=stdout"},
		{"htp 80", `Unknown command "htp" for "culvert"; the nearest one is "http"`},
		{"zzz", `Unknown command "zzz" for "culvert".`},
		{"http 80 --ulr x", "Unknown flag --ulr; the nearest one is --url"},
		{"http 80 --zzzzzz", "Unknown flag --zzzzzz."},
		{"http 80 --pooling", "the nearest one is --pooling-enabled"},
		{"config chek", `Unknown command "chek" for "culvert config"; the nearest one is "check"`},
		{"api vaults lst", `the nearest one is "list"`},
		{"api vaults list --limit x", `--limit takes a whole number, and not "x"`},
		{"api vaults list more", `takes no arguments, and got "more"`},
		{"http 80 81", "at most one upstream"},
		{"http 80 --url", "flag needs an argument: --url"},
		{"http 80 --pooling-enabled=perhaps", `--pooling-enabled takes true or false, and not "perhaps"`},
		{"config add-authtoken", "needs one token"},
		{"config add-connect-url", "needs one address"},
		{"completion tcsh", "bash, zsh, fish and powershell"},
		{"tunnel --label a=b 80", "ERR_CULVERT_1102"},
		{"start --all web", "only one of them"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			i := newHome(t).run(t, strings.Fields(tt.args)...)
			i.check(t, 1, "ERROR:  ", tt.want)
			if i.out.String() != "" {
				t.Errorf("stdout %q, want nothing", i.out)
			}
		})
	}
}

// A value that looks like a flag is no flag.
func TestValuesMayBeginWithAHyphen(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"http", "80", "--metadata", "-looks-like-a-flag"},
		{"http", "--metadata=-x", "80"},
		{"http", "80", "--description", "--", "--name", "x"},
	} {
		i := newHome(t).run(t, args...)
		i.check(t, 1, "ERR_CULVERT_1204") // gets as far as the missing server
	}
}

func TestCompletionKnowsNamesAndValues(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	h.write(t, "version: 3\nendpoints:\n  - {name: web, upstream: {url: 80}}\n  - {name: api, upstream: {url: 81}}\n")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"start", ""}, "web\napi\n"},
		{[]string{"start", "web", ""}, "api\n"},
		{[]string{"http", "--log-format", ""}, "term\nlogfmt\njson\n"},
		{[]string{"http", "--ur"}, "--url\twanted URL, such as"},
	} {
		i := h.run(t, append([]string{"__complete"}, tt.args...)...)
		if !strings.HasPrefix(i.out.String(), tt.want) {
			t.Errorf("%q completes to %q, want %q", tt.args, i.out, tt.want)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	for _, arg := range []string{"version", "--version"} {
		i := h.run(t, arg)
		i.check(t, 0)
		if !strings.HasPrefix(i.out.String(), "culvert version ") {
			t.Errorf("%s printed %q", arg, i.out)
		}
	}
	i := h.run(t, "version", "--json")
	var b struct{ Version, Go, Platform string }
	if err := json.Unmarshal([]byte(i.out.String()), &b); err != nil || b.Version == "" || b.Go == "" || b.Platform == "" {
		t.Errorf("version --json printed %q, %v", i.out, err)
	}
	i = h.program("version")
	i.program.Args[0] = "/usr/local/bin/ngrok"
	i.start(t)
	i.wait(t)
	if !strings.HasPrefix(i.out.String(), "ngrok version ") {
		t.Errorf("under the name ngrok: %q", i.out)
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	for shell, want := range map[string]string{"bash": "__start_culvert", "zsh": "#compdef culvert", "fish": "complete -c culvert", "powershell": "Register-ArgumentCompleter"} {
		i := newHome(t).run(t, "completion", shell)
		i.check(t, 0)
		if !strings.Contains(i.out.String(), want) {
			t.Errorf("%s: script lacks %q", shell, want)
		}
	}
}

// What protects and is not built yet is refused; nothing is started, which
// shows in that no server is asked for.
func TestRefusedOptions(t *testing.T) {
	t.Parallel()
	tests := []struct{ args, code string }{
		{"http 80 --traffic-policy-file none.yml", "ERR_CULVERT_1233"},
		{"http 80 --traffic-policy-url http://x.example/p.yml", "ERR_CULVERT_1233"},
		{"http 80 --traffic-policy-url p.yml", "ERR_CULVERT_1233"},
		{"tcp 22 --policy-file none.yml", "ERR_CULVERT_1233"},
		{"tcp 22 --policy-file a --traffic-policy-file b", "ERR_NGROK_9025"},
		{"http 80 --traffic-policy-file p --traffic-policy-url https://x", "ERR_NGROK_9025"},
		{"http 80 --cidr-allow=", "--cidr-allow"},
		{"http 80 --basic-auth u:short", "ERR_NGROK_360"},
		{"http 80 --basic-auth=", "ERR_NGROK_359"},
		{"http 80 --compression --oauth google", "ERR_CULVERT_1103"},
		{"http 80 --oauth google", "ERR_CULVERT_1103"},
		{"http 80 --oidc https://issuer", "ERR_CULVERT_1103"},
		{"http 80 --verify-webhook github", "ERR_CULVERT_1103"},
		{"http 80 --websocket-tcp-converter", "ERR_CULVERT_1103"},
		{"http 80 --circuit-breaker 1.5", "ERR_NGROK_361"},
		{"http 80 --binding internal --url https://a.example", "ERR_NGROK_9029"},
		{"http 80 --binding kubernetes --url http://a.b", "ERR_CULVERT_1101"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			newHome(t).run(t, strings.Fields(tt.args)...).check(t, 1, tt.code)
		})
	}
}

func TestAgent10_DenyWithoutAllow(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"http", "tcp", "tls"} {
		newHome(t).run(t, verb, "22", "--cidr-deny", "10.0.0.0/8").check(t, 1, "ERR_NGROK_393", "--cidr-allow")
	}
}

func TestFaultsOfEndpointFlags(t *testing.T) {
	t.Parallel()
	tests := []struct{ args, want string }{
		{"http 80 --url tcp://x:1", "ERR_NGROK_9036"},
		{"tcp 22 --url https://x", "ERR_NGROK_9036"},
		{"http 80 --url https://x/", "ERR_NGROK_9038"},
		{"http 80 --upstream-protocol spdy", "ERR_NGROK_15003"},
		{"http 80 --upstream-proxy-protocol 3", "--upstream-proxy-protocol"},
		{"http 80 --upstream-tls-verify", "--upstream-tls-verify"},
		{"tls 80 --crt none.pem", "--key"},
		{"http 70000", "ERR_CULVERT_1213"},
		{"http file://relative/dir", "absolute"},
		{"http 80 --domain a.example --url https://b.example", "ERR_CULVERT_1216"},
		{"http 80 --subdomain a --url https://b.example", "--subdomain"},
		{"tls 80 --terminate-at moon", "--terminate-at"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			newHome(t).run(t, strings.Fields(tt.args)...).check(t, 1, tt.want)
		})
	}
}

func TestErrorsAsJSON(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"http 80 --json", "http 80 --log-format json", "start --all --log-format=json", "tcp 99999 --json"} {
		i := newHome(t).run(t, strings.Fields(args)...)
		var line struct{ Lvl, Msg, Err, Code string }
		if err := json.Unmarshal([]byte(i.err.String()), &line); err != nil {
			t.Errorf("%s: %v in %q", args, err, i.err)
			continue
		}
		if i.code != 1 || line.Lvl != "crit" || line.Msg == "" || line.Err == "" || !strings.HasPrefix(line.Code, "ERR_") {
			t.Errorf("%s: code %d, %+v", args, i.code, line)
		}
	}
}
