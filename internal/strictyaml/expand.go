package strictyaml

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

const envOpen = "${env:"

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand returns the text of a scalar with its ${env:NAME} replaced (agent.md 4.2). What a variable holds is
// not expanded again. It reports a problem and returns false where a variable is unset or malformed.
func (d *decoder) expand(n *yaml.Node, path string) (string, bool) {
	text := n.Value
	if d.doc.env == nil || !strings.Contains(text, envOpen) {
		return text, true
	}
	var b strings.Builder
	ok := true
	for {
		i := strings.Index(text, envOpen)
		if i < 0 {
			b.WriteString(text)
			return b.String(), ok
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + envOpen)
			text = text[i+len(envOpen):]
			continue
		}
		b.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+len(envOpen):], "}")
		if !closed || !envName.MatchString(name) {
			d.report(n, path, "${env:...} without a variable's name", "write ${env:NAME}, or $${env: for the text itself")
			return "", false
		}
		value, set := d.doc.env(name)
		if !set {
			d.report(n, path, "the environment variable "+name+" is not set", "set it, or remove ${env:"+name+"}")
			ok = false
		}
		b.WriteString(value)
		text = rest
	}
}
