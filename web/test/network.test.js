import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { load } from "./load.js";

const { Network } = await load("demo/network.ts");

const setNow = (now) => Object.defineProperty(performance, "now", { value: now, configurable: true, writable: true });

let sockets;
let timers;
let nowMs;
const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout, now: performance.now.bind(performance), WebSocket: globalThis.WebSocket };

class FakeSocket {
  sent = [];
  readyState = 1;
  constructor() {
    sockets.push(this);
  }
  send(text) {
    this.sent.push(text);
  }
  close() {
    this.isClosed = true;
  }
  says(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

beforeEach(() => {
  sockets = [];
  timers = [];
  nowMs = 0;
  globalThis.setTimeout = (run, ms = 0) => timers.push({ run, atMs: nowMs + ms }) && timers.at(-1);
  globalThis.clearTimeout = (timer) => (timers = timers.filter((other) => other !== timer));
  setNow(() => nowMs);
  globalThis.WebSocket = FakeSocket;
});

afterEach(() => {
  Object.assign(globalThis, { setTimeout: real.setTimeout, clearTimeout: real.clearTimeout, WebSocket: real.WebSocket });
  setNow(real.now);
});

/** Time goes by. */
async function pass(ms) {
  const endMs = nowMs + ms;
  for (;;) {
    for (let i = 0; i < 30; i++) await Promise.resolve();
    const [next] = timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
    if (!next) break;
    timers = timers.filter((timer) => timer !== next);
    nowMs = next.atMs;
    next.run();
  }
  nowMs = endMs;
}

async function connected(network = new Network()) {
  const got = [];
  const closes = [];
  const link = network.transport.connect(
    { url: "ws://test/ws", protocols: async () => ["tidewire.v1"] },
    { message: (text) => got.push(JSON.parse(text)), close: (...close) => closes.push(close) },
  );
  await pass(0);
  return { network, link, got, closes, socket: sockets.at(-1) };
}

test("passes everything on, counts it and measures round trips", async () => {
  const { network, link, got, socket } = await connected();
  link.send('{"type":"ping","id":1}');
  nowMs += 12;
  socket.says({ type: "pong", id: 1 });
  assert.deepEqual(socket.sent, ['{"type":"ping","id":1}']);
  assert.deepEqual(got, [{ type: "pong", id: 1 }]);
  assert.deepEqual(network.traffic.get(), { sent: 1, received: 1, tripsMs: [12] });
});

test("a token is not among the remembered messages", async () => {
  const { network, link, socket } = await connected();
  link.send('{"type":"auth","token":"a.b.c"}');
  assert.deepEqual(socket.sent, ['{"type":"auth","token":"a.b.c"}']);
  assert.doesNotMatch(JSON.stringify(network.frames.get()), /a\.b\.c/);
});

test("slow is late both ways and in order, also when it is switched back", async () => {
  const { network, link, got, socket } = await connected();
  network.set("slow");
  link.send('{"type":"a"}');
  socket.says({ type: "x" });
  await pass(449);
  assert.deepEqual([socket.sent, got], [[], []]);
  network.set("online");
  link.send('{"type":"b"}');
  socket.says({ type: "y" });
  await pass(1);
  assert.deepEqual(socket.sent, ['{"type":"a"}', '{"type":"b"}']);
  assert.deepEqual(got.map(({ type }) => type), ["x", "y"]);
});

test("slow shows in the round trip", async () => {
  const { network, link, socket } = await connected();
  network.set("slow");
  link.send('{"type":"ping","id":1}');
  await pass(450);
  assert.equal(socket.sent.length, 1);
  nowMs += 3;
  socket.says({ type: "pong", id: 1 });
  await pass(450);
  assert.deepEqual(network.traffic.get().tripsMs, [903]);
});

test("stalled passes nothing, says nothing, and loses nothing", async () => {
  const { network, link, got, closes, socket } = await connected();
  network.set("stalled");
  link.send('{"type":"a"}');
  socket.says({ type: "x" });
  await pass(60_000);
  assert.deepEqual([socket.sent, got], [[], []]);
  network.set("online");
  assert.deepEqual([socket.sent.length, got.length], [1, 1]);
  network.set("stalled");
  socket.onclose({ code: 1001, reason: "gone" });
  await pass(60_000);
  assert.deepEqual(closes, []);
  network.set("slow");
  assert.deepEqual(closes, [[1001, "gone"]]);
});

test("off ends a connection once, as a lost network does, and lets none begin", async () => {
  const { network, link, got, closes, socket } = await connected();
  network.set("offline");
  assert.deepEqual(closes, [[1006, "the network is off"]]);
  assert.equal(socket.isClosed, true);
  link.send('{"type":"a"}');
  socket.says({ type: "x" });
  network.set("online");
  await pass(0);
  assert.deepEqual([socket.sent, got, closes.length], [[], [], 1]);

  network.set("offline");
  const another = await connected(network);
  assert.equal(sockets.length, 1);
  assert.deepEqual(another.closes, [[1006, "the network is off"]]);
});

test("who closes hears nothing more", async () => {
  const { link, got, closes, socket } = await connected();
  link.close(1000);
  socket.says({ type: "x" });
  assert.deepEqual([got, closes, socket.isClosed], [[], [], true]);
});
