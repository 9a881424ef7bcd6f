// A small load balancer to start one's own from, and all that lbcheck asks of one that it starts as a command:
//   LBCHECK_SPEC  names the spec, a JSON file with every default filled in and every duration in seconds;
//   SIGHUP        the file was replaced: the listeners are the same, everything else may be new;
//   SIGTERM       finish what you have, and exit.
// `pytest` in this folder judges it; what it cannot do stands in pytest.ini.
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const STATUSES = { none_usable: 503, refused: 502, broken: 502, timeout: 504 };
const HOP_BY_HOP = ["connection", "expect", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
let spec;
let members = new Map(); // "pool address" -> the backend as the file has it, and what is known of it

function read() {
  spec = JSON.parse(readFileSync(process.env.LBCHECK_SPEC));
  const before = members;
  members = new Map();
  for (const [pool, { backends, health_check: check }] of Object.entries(spec.pools)) {
    for (const backend of backends) {
      const key = `${pool} ${backend.address}`;
      const [, host, port] = backend.address.match(/^\[?(.+?)\]?:(\d+)$/);
      const up = { healthy: true, unhealthy: false, unknown: null }[check?.initial ?? "healthy"];
      const member = before.get(key) ?? { up, last: up, streak: 0 };
      members.set(key, Object.assign(member, backend, { pool, host, port, credit: 0 }));
      if (!before.has(key)) watch(key, member);
    }
  }
}

// One probe an interval, for as long as the backend is in the file.
async function watch(key, member) {
  for (let due = Date.now(); members.get(key) === member; await sleep(due - Date.now())) {
    const check = spec.pools[member.pool].health_check;
    due = Math.max(due + (check?.interval ?? 1) * 1000, Date.now());
    if (check) learn(member, check, await probe(member, check));
  }
}

// Results count in a row; of a backend that nothing is known of the first one decides.
function learn(member, check, good) {
  member.streak = good === member.last ? member.streak + 1 : 1;
  member.last = good;
  const needed = member.up === null ? 1 : good ? check.healthy_threshold : check.unhealthy_threshold;
  if (good === member.up || member.streak < needed) return;
  member.up = good;
  for (const each of members.values()) each.credit = 0; // turns begin anew
}

function probe({ host, port, address }, check) {
  return new Promise((resolve) => {
    const done = (good) => {
      clearTimeout(late);
      asked.destroy();
      resolve(good);
    };
    const late = setTimeout(() => done(false), check.timeout * 1000);
    const to = { host, port: check.port ?? port };
    const question = { ...to, method: check.method, path: check.path, headers: { host: check.host ?? address } };
    const answered = (answer) => answer.resume().on("close", () => done(answer.complete && accepts(check, answer)));
    const asked =
      check.protocol === "TCP"
        ? net.connect(to, () => done(true))
        : http.request({ ...question, agent: false }, answered).end();
    asked.on("error", () => done(false));
  });
}

function accepts(check, { statusCode }) {
  const ranges = check.success_codes.split(",").map((range) => range.split("-").map(Number));
  return ranges.some(([low, high = low]) => low <= statusCode && statusCode <= high);
}

// Smooth weighted round robin, as nginx has it.
function pick(pool) {
  const usable = [...members.values()].filter((m) => m.pool === pool && m.up && m.state === "active" && m.weight > 0);
  for (const member of usable) member.credit += member.weight;
  const best = usable.reduce((a, b) => (b.credit > a.credit ? b : a), usable[0]);
  if (best) best.credit -= usable.reduce((sum, { weight }) => sum + weight, 0);
  return best;
}

function endToEnd(raw) {
  const fields = raw.flatMap((name, at) => (at % 2 ? [] : [[name, raw[at + 1]]]));
  const connection = fields.filter(([name]) => /^connection$/i.test(name)).map(([, value]) => value.toLowerCase());
  const named = connection.join(",").split(/[, ]+/).filter((name) => name !== "content-length" && name !== "host");
  const dropped = new Set([...HOP_BY_HOP, ...named]);
  return fields.filter(([name]) => !dropped.has(name.toLowerCase())).flat();
}

// The target in origin form; where it was absolute its own authority is the Host (RFC 9112, section 3.2.2).
function ahead({ method, url, rawHeaders, headers }) {
  const [, authority, rest] = url.match(/^https?:\/\/([^/?]*)(.*)$/i) ?? [];
  const fields = endToEnd(rawHeaders);
  if (authority) fields[fields.findIndex((field, at) => at % 2 === 0 && /^host$/i.test(field)) + 1] = authority;
  if ("transfer-encoding" in headers) fields.push("Transfer-Encoding", "chunked");
  const path = authority ? rest.replace(/^(?!\/)/, "/") : url;
  return { method, path, headers: [...fields, "Connection", "close"], agent: false };
}

function forward(request, response, pool) {
  const { timeouts, statuses } = spec.pools[pool];
  const fail = (why) => response.writeHead(statuses[why] ?? STATUSES[why]).end();
  const member = pick(pool);
  if (!member) return fail("none_usable");
  let why = "refused";
  const onward = http.request({ ...ahead(request), host: member.host, port: member.port });
  const expire = () => {
    why = "timeout";
    onward.destroy(new Error("too late"));
  };
  let late = setTimeout(expire, timeouts.connect * 1000);
  const connected = () => {
    clearTimeout(late);
    why = "broken";
    request.pipe(onward);
  };
  onward.on("socket", (socket) => socket.on("connect", connected));
  onward.on("finish", () => {
    if (!onward.res) late = setTimeout(expire, timeouts.response * 1000);
  });
  onward.on("response", (answer) => {
    clearTimeout(late);
    response.writeHead(answer.statusCode, answer.statusMessage, endToEnd(answer.rawHeaders));
    answer.pipe(response);
    answer.on("close", () => answer.complete || cut(response));
  });
  onward.on("error", () => {
    if (!response.headersSent) fail(why);
    else if (!onward.res?.complete) cut(response);
  });
  onward.on("close", () => clearTimeout(late));
  response.on("close", () => onward.destroy());
}

// Nobody shall take what came for the whole of it, not even a client that reads until the connection closes.
function cut(response) {
  response.socket?.resetAndDestroy();
}

const latest = new WeakMap(); // connection -> its last answer
read();
const servers = spec.listeners.map(({ name, address, port, idle_timeout }) => {
  const options = { keepAliveTimeout: idle_timeout * 1000, requestTimeout: 0 };
  const server = http.createServer(options, (request, response) => {
    response.sendDate = false; // the backend's goes on
    latest.set(request.socket, response);
    const listener = spec.listeners.find((each) => each.name === name);
    forward(request, response, Object.keys(listener.default.forward)[0]);
  });
  server.on("clientError", (_, socket) => {
    const refuse = () => socket.writable && socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    const ahead = latest.get(socket);
    if (ahead && !ahead.writableFinished) ahead.on("close", refuse); // whoever came first has its answer first
    else refuse();
  });
  return server.listen(port, address);
});
process.on("SIGHUP", read);
process.on("SIGTERM", async () => {
  setInterval(() => servers.forEach((server) => server.closeIdleConnections()), 20);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  process.exit();
});
