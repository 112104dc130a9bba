import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { load, settle } from "./load.js";

const { Feeder, kPoints } = await load("demo/feeder.ts");

let turn;
let nowMs;
let received;
let metricsStatus;
const real = { setInterval: globalThis.setInterval, clearInterval: globalThis.clearInterval, fetch: globalThis.fetch, now: Date.now };

beforeEach(() => {
  nowMs = 1_000_000;
  received = 100;
  metricsStatus = 200;
  Date.now = () => nowMs;
  globalThis.setInterval = (run) => (turn = run);
  globalThis.clearInterval = () => {};
  globalThis.fetch = async () =>
    new Response(`# TYPE tidewire_connections gauge\ntidewire_connections 3\ntidewire_loop_lag_seconds 8.1e-05\ntidewire_messages_received_total ${received}\ntidewire_requests_total{type="ping"} 9\n`, { status: metricsStatus });
});

afterEach(() => {
  Object.assign(globalThis, { setInterval: real.setInterval, clearInterval: real.clearInterval, fetch: real.fetch });
  Date.now = real.now;
});

class FakeDocument {
  state = { name: "subscribed" };
  value = null;
  seq = 0;
  calls = [];
  set = async (value, options) => this.calls.push(["set", value, options]);
  patch = async (operations, options) => this.calls.push(["patch", operations, options]);
}

async function second() {
  nowMs += 1000;
  received += 20;
  turn();
  for (let i = 0; i < 10; i++) await new Promise((done) => setImmediate(done));
  await settle();
}

test("takes over an empty document only if nobody else was faster", async () => {
  const document = new FakeDocument();
  new Feeder(document, "ann/1");
  await second();
  assert.deepEqual(document.calls, [], "rates need two looks");
  await second();
  const [[what, value, options]] = document.calls;
  assert.deepEqual([what, options.ifSeq, value.by, value.now.connections], ["set", 0, "ann/1", 3]);
  assert.deepEqual(value.points.map((point) => point.slice(1)), [[20, 0, 0, 0, 3, 0.08]]);
});

test("patches what it feeds, and keeps a minute of it", async () => {
  const document = new FakeDocument();
  const point = [1, 0, 0, 0, 0, 0, 0];
  document.value = { by: "ann/1", points: Array(kPoints - 1).fill(point), now: {}, atMs: 0 };
  document.seq = 7;
  new Feeder(document, "ann/1");
  await second();
  await second();
  document.value = { ...document.value, points: Array(kPoints).fill(point) };
  await second();
  const paths = document.calls.map(([, operations]) => operations.map(({ op, path }) => `${op} ${path}`));
  assert.deepEqual(paths, [
    ["add /points/-", "replace /now", "replace /atMs"],
    ["remove /points/0", "add /points/-", "replace /now", "replace /atMs"],
  ]);
});

test("leaves the work to another until that one has been silent for a while", async () => {
  const document = new FakeDocument();
  document.value = { by: "bob/2", points: [], now: {}, atMs: 0 };
  new Feeder(document, "ann/1");
  for (let i = 0; i < 5; i++) {
    document.seq += 1;
    await second();
  }
  assert.deepEqual(document.calls, []);
  for (let i = 0; i < 5; i++) await second();
  assert.deepEqual([document.calls[0][0], document.calls[0][2].ifSeq], ["set", 5]);
});

test("does nothing while it is not subscribed, or where the metrics are not public", async () => {
  const document = new FakeDocument();
  document.state = { name: "subscribing" };
  new Feeder(document, "ann/1");
  for (let i = 0; i < 4; i++) await second();
  document.state = { name: "subscribed" };
  metricsStatus = 403;
  for (let i = 0; i < 4; i++) await second();
  assert.deepEqual(document.calls, []);
});
