// One session of the official JavaScript SDK, driven by lines of JSON on standard input:
//   {"id":1,"do":"connect","addr":…,"ca":…,"token":…,"commands":true}
//   {"id":2,"do":"listen","endpoint":{…},"app":{…}}   {"id":3,"do":"forward","endpoint":{…},"upstream":…}
//   {"id":4,"do":"short","config":{…}}   {"id":5,"do":"close","key":…}
// Each is answered by {"id":…, …} or {"id":…,"error":…,"code":…}. A command of the server is {"command":"stop"}.
// The end of standard input ends the process, and with it the session.
import http from "node:http";
import net from "node:net";
import tls from "node:tls";
import readline from "node:readline";
import ngrok from "@ngrok/ngrok";

let session;
const online = new Map();

const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

function httpApp(name, pair) {
  const answer = (req, res) => {
    const chunks = [];
    req.on("data", (c) => chunks.push(c));
    req.on("end", () => {
      const header = {};
      for (const [k, v] of Object.entries(req.headers)) header[k] = String(v);
      res.setHeader("Content-Type", "application/json");
      res.end(JSON.stringify({
        name, method: req.method, uri: req.url, host: req.headers.host ?? "", proto: "HTTP/" + req.httpVersion,
        header, body: Buffer.concat(chunks).toString(), tls: Boolean(req.socket.encrypted),
      }));
    });
  };
  if (pair) throw new Error("no scenario has an http application that ends TLS in the driver");
  return http.createServer(answer);
}

function tcpApp(name, pair) {
  const serve = (conn) => {
    let rest = "";
    conn.on("error", () => {});
    conn.write(`hello ${name}\n`);
    conn.on("data", (chunk) => {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop();
      for (const l of lines) conn.write(l + "\n");
    });
    conn.on("end", () => conn.end("bye\n"));
  };
  if (!pair) return net.createServer({ allowHalfOpen: true }, serve);
  return tls.createServer({ cert: pair.cert, key: pair.key, allowHalfOpen: true }, serve);
}

function builder(e) {
  let b;
  if (e.labels) {
    b = session.labeledListener();
    for (const [k, v] of Object.entries(e.labels)) b.label(k, v);
    return b;
  }
  if (e.scheme === "tcp") {
    b = session.tcpEndpoint();
    if (e.host) b.remoteAddr(e.host);
  } else if (e.scheme === "tls") {
    b = session.tlsEndpoint();
    if (e.host) b.domain(e.host);
    if (e.edgeTLS) b.termination(Buffer.alloc(0), Buffer.alloc(0));
    if (e.cert) b.termination(Buffer.from(e.cert), Buffer.from(e.key));
  } else {
    b = session.httpEndpoint().scheme(e.scheme);
    if (e.host) b.domain(e.host);
    if (e.http2) b.appProtocol("http2");
  }
  b.metadata("oracle").poolingEnabled(Boolean(e.pooling)).verifyUpstreamTls(false);
  if (e.proxy) b.proxyProto(String(e.proxy));
  if (e.clientCAs) b.mutualTlsca(Buffer.from(e.clientCAs));
  if (e.binding) b.binding(e.binding);
  if (e.policy) b.trafficPolicy(e.policy);
  return b;
}

function brought(listener) {
  const key = listener.id();
  online.set(key, listener);
  return { key, url: listener.url() ?? "" };
}

const actions = {
  async connect(m) {
    const b = new ngrok.SessionBuilder().authtoken(m.token).serverAddr(m.addr).caCert(Buffer.from(m.ca));
    if (m.commands) {
      b.handleStopCommand(() => say({ command: "stop" }));
      b.handleRestartCommand(() => say({ command: "restart" }));
    }
    if (m.beats) {
      b.heartbeatInterval(1).heartbeatTolerance(1).handleHeartbeat(() => say({ command: "beat" }));
    }
    session = await b.connect();
    return {};
  },
  async listen(m) {
    const make = m.app.kind === "http" ? httpApp : tcpApp;
    const listener = await builder(m.endpoint).listen(false);
    await ngrok.listen(make(m.app.name, m.app.tls), listener);
    return brought(listener);
  },
  async forward(m) {
    return brought(await builder(m.endpoint).listenAndForward(m.upstream));
  },
  // The SDK's short form makes a session of its own.
  async short(m) {
    return brought(await ngrok.forward(m.config));
  },
  async close(m) {
    await session.closeListener(m.key);
    online.delete(m.key);
    return {};
  },
};

const lines = readline.createInterface({ input: process.stdin });
lines.on("line", async (text) => {
  const m = JSON.parse(text);
  try {
    say({ id: m.id, ...(await actions[m.do](m)) });
  } catch (e) {
    say({ id: m.id, error: String(e.message ?? e), code: e.errorCode ?? "" });
  }
});
lines.on("close", () => process.exit(0));
