package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/culvert-project/culvert/internal/agent/config"
	"github.com/culvert-project/culvert/internal/endpoint"
	"github.com/culvert-project/culvert/internal/fault"
)

// A policy in the file keeps the order of its keys, and what it interpolates.
func TestPolicyOfAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const file = "on_http_request:\n  - actions: [{type: deny}]\n"
	if err := os.WriteFile(filepath.Join(dir, "policy.yml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `version: 3
endpoints:
  - name: object
    upstream: {url: 80}
    traffic_policy:
      on_http_request:
        - name: 404
          actions:
            - type: add-headers
              config: {headers: {z: "${req.method}", a: "1", secret: "${env:SECRET}"}}
  - name: text
    upstream: {url: 80}
    traffic_policy: '{"on_http_request": []}'
  - name: file
    upstream: {url: 80}
    traffic_policy_file: policy.yml
  - name: url
    upstream: {url: 80}
    traffic_policy_url: https://policies.example/p.yml
  - name: none
    upstream: {url: 80}
tunnels:
  older: {proto: tcp, addr: 22, policy: {inbound: [{actions: [{type: deny}]}]}}
`
	cfg, err := config.Parse(filepath.Join(dir, "culvert.yml"), []byte(text), env("SECRET", "s3"))
	if err != nil {
		t.Fatal(err)
	}
	specs, err := cfg.Specs()
	if err != nil {
		t.Fatal(err)
	}
	type want struct{ policy, url, from string }
	wants := map[string]want{
		"object": {policy: "on_http_request:\n    - name: 404\n      actions:\n        - type: add-headers\n" +
			"          config: {headers: {z: \"${req.method}\", a: \"1\", secret: \"s3\"}}\n", from: "traffic_policy of object"},
		"text":  {policy: `{"on_http_request": []}`, from: "traffic_policy of text"},
		"file":  {policy: file, from: "policy.yml"},
		"url":   {url: "https://policies.example/p.yml", from: "https://policies.example/p.yml"},
		"none":  {},
		"older": {policy: "{inbound: [{actions: [{type: deny}]}]}\n", from: "policy of older"},
	}
	for _, s := range specs {
		if got := (want{s.Policy, s.PolicyURL, s.PolicyFrom}); got != wants[s.Name] {
			t.Errorf("%s: got %+v, want %+v", s.Name, got, wants[s.Name])
		}
	}
	if len(specs) != len(wants) {
		t.Errorf("got %d specs, want %d", len(specs), len(wants))
	}
}

func TestPolicyURLs(t *testing.T) {
	t.Parallel()
	for url, good := range map[string]bool{
		"https://x.example/p.yml": true, "http://localhost:8000/p": true, "http://127.0.0.1/p": true, "http://[::1]:1/p": true,
		"http://x.example/p": false, "ftp://localhost/p": false, "p.yml": false, "https:///p": false, "://": false, "http://localhost.example/p": false,
	} {
		d := base(endpoint.HTTP, "80")
		d.PolicyURL = url
		_, issues := d.Compile()
		if refused := len(issues) > 0 && fault.Has(issues[0].Err, fault.PolicyUnreadable); refused == good || good && len(issues) > 0 {
			t.Errorf("%s: issues %v, want it accepted: %v", url, issues, good)
		}
	}
}

func TestPolicyFileTooLarge(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "p.yml")
	if err := os.WriteFile(path, make([]byte, config.MaxPolicy+1), 0o600); err != nil {
		t.Fatal(err)
	}
	d := base(endpoint.HTTP, "80")
	d.PolicyFile = path
	if _, issues := d.Compile(); len(issues) != 1 || !fault.Has(issues[0].Err, fault.PolicyUnreadable) {
		t.Errorf("issues %v, want %s", issues, fault.PolicyUnreadable)
	}
}
