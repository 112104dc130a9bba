// The demo's client without a browser: the paths that a well-behaved server rarely takes.

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { afterClose, backoffMs, Client, PermanentError } from "../../web/demo/client.js";

// The clock that these tests turn needs Node.js 20; Debian 12 has 18, where the browser tests alone run.
const skip = Number.parseInt(process.versions.node, 10) < 20 && "needs Node.js 20";
const check = (name, body) => test(name, { skip }, body);

let sockets;

class FakeSocket {
  sent = [];
  readyState = 1;

  constructor(url, protocols) {
    Object.assign(this, { url, protocols });
    sockets.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.isClosed = true;
  }

  says(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  ends(code, reason = "") {
    this.onclose?.({ code, reason });
  }

  last(type) {
    return this.sent.findLast((message) => message.type === type);
  }
}

/** Lets every promise that can go on do so. */
async function settle() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

beforeEach(() => {
  sockets = [];
  globalThis.WebSocket = FakeSocket;
  mock.timers.enable({ apis: ["setTimeout"] });
  mock.method(Math, "random", () => 0.5);
});

afterEach(() => mock.reset());

async function started(fetchToken = async () => "t1") {
  const client = new Client({ url: "ws://example.test/ws", fetchToken });
  client.start();
  await settle();
  return client;
}

async function welcome(socket) {
  socket.says({ type: "connected", authenticated: true });
  await settle();
}

async function subscribed(socket, fields = {}) {
  const { id, channel } = socket.last("subscribe");
  socket.says({ type: "subscribed", id, channel, epoch: "e1", seq: 0, messages: [], ...fields });
  await settle();
}

check("backoff doubles, is bounded and takes the whole range", () => {
  assert.equal(backoffMs(0, () => 0), 0);
  assert.equal(backoffMs(0, () => 0.999) < 500, true);
  assert.equal(backoffMs(3, () => 0.5), 2_000);
  assert.equal(backoffMs(60, () => 1), 10_000);
});

check("a close code decides whether to come back", () => {
  for (const code of [1000, 1002, 1003, 1007, 1009]) assert.equal(afterClose(code).retry, false, String(code));
  for (const code of [1001, 1005, 1006, 1011, 1012, 1013]) assert.equal(afterClose(code).retry, true, String(code));
  assert.equal(afterClose(1008, "invalid_message").retry, false);
  assert.deepEqual(afterClose(1008, "token_expired"), { retry: true, freshToken: true });
  assert.deepEqual(afterClose(1008, "", "token_expired"), { retry: true, freshToken: true });
  assert.equal(afterClose(1008, "Too many failed connection attempts").leastMs, 30_000);
  assert.equal(afterClose(1008, "rate_limited").leastMs, 30_000);
});

check("the token goes into the subprotocol and never into the log", async () => {
  const frames = [];
  const client = await started(async () => "a.b.c");
  client.on("frame", (frame) => frames.push(frame));
  assert.deepEqual(sockets[0].protocols, ["tidewire.v1", "tidewire.token.a.b.c"]);
  await welcome(sockets[0]);
  sockets[0].says({ type: "auth_expiring", expires_at: 1 });
  await settle();
  assert.equal(sockets[0].last("auth").token, "a.b.c");
  assert.doesNotMatch(JSON.stringify(frames), /a\.b\.c/);
});

check("an expired token is replaced once, and a new one that is refused too ends it", async () => {
  let fetched = 0;
  const client = await started(async () => `t${++fetched}`);
  await welcome(sockets[0]);
  sockets[0].says({ type: "auth_error", code: "token_expired" });
  sockets[0].ends(1008, "token_expired");
  assert.equal(client.state.name, "reconnecting");
  await pass(500);
  assert.equal(sockets[1].protocols[1], "tidewire.token.t2");
  sockets[1].ends(1008, "token_expired");
  assert.deepEqual([client.state.name, client.state.reason], ["closed", "token_expired"]);
});

check("no token for good is an end, no answer is not", async () => {
  const refused = await started(async () => {
    throw new PermanentError("no token, HTTP 404");
  });
  assert.equal(refused.state.name, "closed");
  const away = await started(async () => {
    throw new TypeError("fetch failed");
  });
  assert.equal(away.state.name, "reconnecting");
});

check("a refused message goes first again, before those behind it", async () => {
  const client = await started();
  await welcome(sockets[0]);
  client.publish("room:a", 1, "k1");
  client.publish("room:a", 2, "k2");
  const published = () => sockets[0].sent.filter(({ type }) => type === "publish").map(({ key }) => key);
  assert.deepEqual(published(), ["k1"]);
  sockets[0].says({ type: "error", id: sockets[0].last("publish").id, code: "rate_limited", retry_after_ms: 700 });
  await settle();
  await pass(699);
  assert.deepEqual(published(), ["k1"]);
  await pass(1);
  sockets[0].says({ type: "published", id: sockets[0].last("publish").id, channel: "room:a", epoch: "e1", seq: 1 });
  await settle();
  assert.deepEqual(published(), ["k1", "k1", "k2"]);
  assert.equal(client.queued, 1);
});

check("an unanswered message is sent again with its key, after the positions, unless it was delivered", async () => {
  const client = await started();
  client.on("message", ({ message }) => client.settle(message.data));
  client.follow("room:a");
  await welcome(sockets[0]);
  await subscribed(sockets[0]);
  client.publish("room:a", "k1", "k1");
  client.publish("room:a", "k2", "k2");
  sockets[0].ends(1006);
  await pass(500);
  await welcome(sockets[1]);
  assert.equal(sockets[1].last("publish"), undefined);
  assert.deepEqual(sockets[1].last("subscribe").since, { epoch: "e1", seq: 0 });
  await subscribed(sockets[1], { recovered: true, seq: 1, messages: [{ seq: 1, data: "k1" }] });
  assert.equal(sockets[1].last("publish").key, "k2");
});

check("a half-open connection is left when a ping stays unanswered", async () => {
  const client = await started();
  await welcome(sockets[0]);
  await pass(3_999);
  assert.equal(client.state.name, "open");
  await pass(1);
  assert.deepEqual([client.state.name, client.state.reason], ["reconnecting", "no heartbeat"]);
  assert.equal(sockets[0].isClosed, true);
});

check("after a drain it waits as long as the server said", async () => {
  const client = await started();
  await welcome(sockets[0]);
  sockets[0].says({ type: "reconnect", after_ms: 3_000, reason: "draining" });
  sockets[0].ends(1012, "draining");
  const wait = client.state.retryAt - performance.now();
  assert.ok(wait > 2_000 && wait <= 3_250, `${wait} ms`);
});

check("repeated messages are dropped, holes are counted, gaps are not holes", async () => {
  const client = await started();
  const seen = [];
  client.on("message", ({ message }) => seen.push(message.seq));
  client.follow("room:a", { history: 5 });
  await welcome(sockets[0]);
  await subscribed(sockets[0], { seq: 4, messages: [{ seq: 3 }, { seq: 4 }] });
  const deliver = (seq) => sockets[0].says({ type: "message", channel: "room:a", seq });
  deliver(4);
  deliver(5);
  sockets[0].says({ type: "gap", channel: "room:a", epoch: "e1", from: 6, to: 9 });
  deliver(10);
  deliver(12);
  assert.deepEqual(seen, [3, 4, 5, 10, 12]);
  assert.equal(client.counters.repeated, 1);
  assert.equal(client.counters.missed, 1);
  assert.deepEqual(client.position("room:a"), { epoch: "e1", seq: 12, latest: 12 });
});

check("much history that follows the reply is taken, though it is older than the reply's number", async () => {
  const client = await started();
  const seen = [];
  client.on("message", ({ message }) => seen.push(message.seq));
  client.follow("room:a", { history: 50 });
  await welcome(sockets[0]);
  await subscribed(sockets[0], { seq: 20 });
  for (const seq of [18, 19, 20, 21]) sockets[0].says({ type: "message", channel: "room:a", seq });
  assert.deepEqual(seen, [18, 19, 20, 21]);
  assert.equal(client.counters.missed, 0);
});

check("a new epoch starts from what comes, not from the old position", async () => {
  const client = await started();
  const starts = [];
  client.on("subscribed", ({ started: fresh, resumedFrom }) => starts.push([fresh, resumedFrom?.seq ?? null]));
  client.follow("room:a");
  await welcome(sockets[0]);
  await subscribed(sockets[0], { seq: 40 });
  sockets[0].ends(1006);
  await pass(500);
  await welcome(sockets[1]);
  await subscribed(sockets[1], { epoch: "e2", recovered: false, reason: "epoch", seq: 1, messages: [{ seq: 1 }] });
  assert.deepEqual(starts, [
    [true, null],
    [true, 40],
  ]);
  assert.deepEqual(client.position("room:a"), { epoch: "e2", seq: 1, latest: 1 });
  assert.equal(client.counters.repeated, 0);
});
