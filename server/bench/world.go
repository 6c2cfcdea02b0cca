package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Names of the ways to the service.
const (
	direct      = "direct"
	httputil    = "httputil"
	haproxyHTTP = "HAProxy http"
	haproxyTCP  = "HAProxy tcp"
	ours        = "Culvert"
	before      = "before"
)

// host is the name of the service. nginx and the peers do not look at it.
const host = "bench.culvert.localhost"

// way is one way to the service, by the addresses where it begins: plain HTTP,
// HTTPS with HTTP/1.1 and HTTP/2, and bytes. Those it has not are empty.
type way struct {
	http, https, tcp string
	name             string // the host's first label, if it is not host that is served
	pids             []int  // of its processes: for ours edge and agent
}

// host is the name that is asked for.
func (w way) host() string { return w.name + host }

// world is everything that runs.
type world struct {
	dir     string
	running sync.WaitGroup
	ways    map[string]way
}

// wait returns when all processes have ended, which they do with their context.
func (w *world) wait() { w.running.Wait() }

// start brings up the service and all ways to it, and tries each.
func (w *world) start(ctx context.Context, bin string, o options) error {
	w.ways = map[string]way{}
	upstream, err := w.startNginx(ctx, o.bulk)
	if err != nil {
		return err
	}
	pair, err := writeCertificate(w.dir)
	if err != nil {
		return err
	}
	if err := w.startHAProxy(ctx, upstream, pair); err != nil {
		return err
	}
	if err := w.startReverseProxy(ctx, upstream, pair); err != nil {
		return err
	}
	if err := w.startCulvert(ctx, ours, bin, upstream); err != nil {
		return err
	}
	if o.before != "" {
		if err := w.startCulvert(ctx, before, o.before, upstream); err != nil {
			return err
		}
	}
	for name, way := range w.ways {
		if err := way.await(ctx); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (w *world) write(name, text string) (path string, err error) {
	path = filepath.Join(w.dir, name)
	return path, os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // nginx's user reads some of them
}

const nginxConf = `
daemon off;
master_process off;
pid DIR/nginx.pid;
error_log DIR/nginx.log error;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  keepalive_timeout 75s;
  client_body_temp_path DIR/body;
  proxy_temp_path DIR/proxy;
  fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi;
  scgi_temp_path DIR/scgi;
  server {
    listen ADDR backlog=4096;
    default_type text/plain;
    location = / { return 200 "BODY"; }
    location = /bulk { alias DIR/bulk; }
  }
}
`

// keepAwake gives each processor something to do that gives way to all else,
// until ctx ends. With one request at a time they sleep in between, and to wake
// a virtual one takes the hypervisor longer than any of the ways takes for a
// request. Under load they do not sleep, and spinning would take from the other
// thread of a core.
func (w *world) keepAwake(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for range runtime.NumCPU() {
		if _, err := w.spawn(ctx, []string{"GOMAXPROCS=1"}, "chrt", "--idle", "0", self, "spin"); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) startNginx(ctx context.Context, bulk int) (addr string, err error) {
	addrs, err := freePorts(1)
	if err != nil {
		return "", err
	}
	addr = addrs[0]
	if _, err := w.write("bulk", strings.Repeat("0123456789abcdef", bulk<<16)); err != nil {
		return "", err
	}
	conf, err := w.write("nginx.conf", strings.NewReplacer(
		"DIR", w.dir, "ADDR", addr, "BODY", strings.Repeat("x", bodySize)).Replace(nginxConf))
	if err != nil {
		return "", err
	}
	if _, err = w.spawn(ctx, nil, "nginx", "-e", filepath.Join(w.dir, "nginx.log"), "-c", conf); err != nil {
		return "", err
	}
	w.ways[direct] = way{http: addr, tcp: addr}
	return addr, nil
}

const haproxyConf = `
global
  maxconn 4096
defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend web
  mode http
  bind HTTP
  bind TLS ssl crt PEM alpn h2,http/1.1
  default_backend web
backend web
  mode http
  server nginx UPSTREAM
listen bytes
  mode tcp
  bind TCP
  server nginx UPSTREAM
`

func (w *world) startHAProxy(ctx context.Context, upstream string, pair certificate) error {
	addrs, err := freePorts(3)
	if err != nil {
		return err
	}
	conf, err := w.write("haproxy.cfg", strings.NewReplacer(
		"HTTP", addrs[0], "TLS", addrs[1], "TCP", addrs[2], "PEM", pair.both, "UPSTREAM", upstream).Replace(haproxyConf))
	if err != nil {
		return err
	}
	pid, err := w.spawn(ctx, nil, "haproxy", "-db", "-f", conf)
	w.ways[haproxyHTTP] = way{http: addrs[0], https: addrs[1], pids: []int{pid}}
	w.ways[haproxyTCP] = way{http: addrs[2], tcp: addrs[2], pids: []int{pid}}
	return err
}

func (w *world) startReverseProxy(ctx context.Context, upstream string, pair certificate) error {
	addrs, err := freePorts(2)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	pid, err := w.spawn(ctx, nil, self, "reverse-proxy", upstream, addrs[0], addrs[1], pair.cert, pair.key)
	w.ways[httputil] = way{http: addrs[0], https: addrs[1], pids: []int{pid}}
	return err
}

const token = "bench_token_0123456789abcdef"

const agentConf = `
version: 3
agent:
  authtoken: TOKEN
  connect_url: AGENT
  connect_cas: CA
endpoints:
  - name: web
    url: http://HOST
    upstream: {url: "http://UPSTREAM"}
  - name: secure
    url: https://HOST
    upstream: {url: "http://UPSTREAM"}
  - name: bytes
    url: tcp://localhost:PORT
    upstream: {url: "tcp://UPSTREAM"}
`

// startCulvert runs the server and the agent of one build, joined by a real
// session.
func (w *world) startCulvert(ctx context.Context, name, bin, upstream string) error {
	addrs, err := freePorts(5)
	if err != nil {
		return err
	}
	data := filepath.Join(w.dir, name)
	port := portOf(addrs[2])
	edge, err := w.spawn(ctx, []string{"CULVERT_BOOTSTRAP_AUTHTOKEN=" + token, "CULVERTD_SSH_ADDR=127.0.0.1:0"}, filepath.Join(bin, "culvertd"), "serve",
		"--data-dir", data, "--http-addr", addrs[0], "--https-addr", addrs[1], "--tcp-ports", port+"-"+port,
		"--agent-addr", addrs[3], "--api-addr", addrs[4])
	if err != nil {
		return err
	}
	ca := filepath.Join(data, "ca.pem")
	if err := until(ctx, "the server of "+name, func() error { _, err := os.Stat(ca); return err }); err != nil {
		return err
	}
	conf, err := w.write(name+".yml", strings.NewReplacer("TOKEN", token, "AGENT", addrs[3], "CA", ca,
		"HOST", host, "UPSTREAM", upstream, "PORT", port).Replace(agentConf))
	if err != nil {
		return err
	}
	agent, err := w.spawn(ctx, nil, filepath.Join(bin, "culvert"), "start", "--all", "--config", conf, "--log", "stderr", "--log-level", "warn")
	if err != nil {
		return err
	}
	w.ways[name] = way{http: addrs[0], https: addrs[1], tcp: addrs[2], pids: []int{edge, agent}}
	return w.startPolicies(ctx, name, bin, upstream, conf, addrs[0], edge)
}

// until repeats f until it succeeds or half a minute has passed.
func until(ctx context.Context, what string, f func() error) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not there: %w", what, err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
