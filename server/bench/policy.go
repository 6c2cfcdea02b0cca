package main

import (
	"context"
	"path/filepath"
	"strings"
)

// Names of the ways through an endpoint of an agent of its own, by its policy.
const (
	noPolicy   = ours + ", no policy"
	missing    = ours + ", ten rules that miss"
	onRequest  = ours + ", a header on the request"
	onResponse = ours + ", a header on the response"
)

// documents are the policies of these ways. The rules that miss ask what rules
// ask for most.
var documents = map[string]string{
	noPolicy: "",
	missing: "on_http_request:\n" + rules(
		`req.method == 'POST'`,
		`req.url.path.startsWith('/api/v1/')`,
		`'x-api-key' in req.headers && req.headers['x-api-key'][0] == 'secret'`,
		`req.host == 'admin.example.com'`,
		`inCidrRanges(conn.client_ip, ['10.0.0.0/8', '192.168.0.0/16'])`,
		`req.url.path.matches('^/users/[0-9]+/orders$')`,
		`req.method in ['PUT', 'DELETE'] && req.url.path.startsWith('/files/')`,
		`req.headers['user-agent'].exists(a, a.contains('bot'))`,
		`req.url.query_params['debug'][0] == '1'`,
		`req.url.path.endsWith('.php') || req.url.path.startsWith('/wp-')`,
	),
	onRequest:  "on_http_request:\n" + rules(`req.method == 'GET'`),
	onResponse: "on_http_response:\n" + rules(`res.status_code == 200`),
}

// rules are rules that add a header.
func rules(expressions ...string) string {
	var b strings.Builder
	for _, e := range expressions {
		b.WriteString("  - expressions: [\"" + e + "\"]\n    actions: [{type: add-headers, config: {headers: {x-client: \"${conn.client_ip}\"}}}]\n")
	}
	return b.String()
}

// startPolicies starts an agent for each policy at the server of one build,
// which serves HTTP at an address.
func (w *world) startPolicies(ctx context.Context, name, bin, upstream, conf, addr string, edge int) error {
	for policy, document := range documents {
		of := strings.TrimPrefix(policy, ours)
		label := strings.NewReplacer(", ", "", " ", "-").Replace(of)
		args := []string{"http", upstream, "--url", "http://" + label + "." + host, "--config", conf, "--log", "stderr", "--log-level", "warn"}
		if document != "" {
			file, err := w.write(name+"-"+label+".yml", document)
			if err != nil {
				return err
			}
			args = append(args, "--traffic-policy-file", file)
		}
		agent, err := w.spawn(ctx, nil, filepath.Join(bin, "culvert"), args...)
		if err != nil {
			return err
		}
		w.ways[name+of] = way{http: addr, name: label + ".", pids: []int{edge, agent}}
	}
	return nil
}
