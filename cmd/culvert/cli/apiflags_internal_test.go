package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/culvert-project/culvert/internal/api"
	"github.com/culvert-project/culvert/internal/fault"
)

// Flags of every type of field become the body that they mean.
func TestBodyFlags(t *testing.T) {
	t.Parallel()
	fields := []api.Field{
		{Name: "name", Create: api.Required, Update: api.Optional},
		{Name: "only_created", Create: api.Optional},
		{Name: "answered"},
		{Name: "old", Create: api.Ignored, Update: api.Ignored},
		{Name: "on", Type: api.Bool, Create: api.Optional, Update: api.Optional},
		{Name: "count", Type: api.Number, Create: api.Optional},
		{Name: "valid_until", Type: api.Time, Create: api.Optional},
		{Name: "acl", Type: api.Strings, Create: api.Optional, Update: api.Optional},
		{Name: "resolves_to", Type: api.Objects, Create: api.Optional, Fields: []api.Field{{Name: "value", Create: api.Required}}},
		{Name: "sources", Type: api.Objects, Create: api.Optional, Fields: []api.Field{{Name: "type"}, {Name: "filter"}}},
		{Name: "extensions", Type: api.Map, Create: api.Optional},
		{Name: "certificate_management_policy", Type: api.Object, Create: api.Optional, Fields: []api.Field{{Name: "authority", Create: api.Optional}, {Name: "private_key_type", Create: api.Optional}}},
	}
	for _, tt := range []struct {
		args string
		want string
	}{
		{"", "null"},
		{"--name x --only-created y", `{"name":"x","only_created":"y"}`},
		{"--on", `{"on":true}`},
		{"--on=false", `{"on":false}`},
		{"--count -3", `{"count":-3}`},
		{"--valid-until 2026-05-01T12:00:00Z", `{"valid_until":"2026-05-01T12:00:00Z"}`},
		{"--acl a --acl b,c", `{"acl":["a","b","c"]}`},
		{"--acl=", `{"acl":[]}`},
		{"--resolves-to us --resolves-to {\"value\":\"eu\"}", `{"resolves_to":[{"value":"us"},{"value":"eu"}]}`},
		{"--resolves-to=", `{"resolves_to":[]}`},
		{"--sources {\"type\":\"x\"}", `{"sources":[{"type":"x"}]}`},
		{"--sources x", ""},
		{"--extensions a=b --extensions c=d", `{"extensions":{"a":"b","c":"d"}}`},
		{"--certificate-management-policy.authority letsencrypt --certificate-management-policy.private-key-type rsa", `{"certificate_management_policy":{"authority":"letsencrypt","private_key_type":"rsa"}}`},
	} {
		cmd := &cobra.Command{Use: "x"}
		flags := newBodyFlags(cmd, fields, true)
		if err := cmd.ParseFlags(strings.Fields(tt.args)); err != nil {
			t.Errorf("%s: %v", tt.args, err)
			continue
		}
		body, err := flags.read(strings.NewReader(""))
		if tt.want == "" {
			if !fault.Has(err, fault.ValueInvalid) {
				t.Errorf("%s: %v, want %s", tt.args, err, fault.ValueInvalid)
			}
			continue
		}
		text, encodeErr := json.Marshal(body)
		if err != nil || encodeErr != nil || string(text) != tt.want {
			t.Errorf("%s = %s, %v, want %s", tt.args, text, err, tt.want)
		}
	}
	cmd := &cobra.Command{Use: "x"}
	newBodyFlags(cmd, fields, false)
	for _, name := range []string{"only-created", "answered", "old"} {
		if cmd.Flags().Lookup(name) != nil {
			t.Errorf("an update has the flag --%s", name)
		}
	}
}
