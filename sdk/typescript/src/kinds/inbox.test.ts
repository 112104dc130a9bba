import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { FakeServer, turn } from "../../test/fake_server.js";
import type { Tidewire } from "../client.js";
import type { Inbox } from "./inbox.js";
import { openInbox } from "./index.js";

let server: FakeServer;
let client: Tidewire;
let inbox: Inbox;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  server = new FakeServer();
  client = await server.connected({ timeoutMs: 5000 });
  inbox = openInbox(client);
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function entry(seq: number, priority?: string): object {
  return { seq, timestamp: seq, data: `n${seq}`, ...(priority ? { priority } : {}) };
}

async function follow(seq: number, pending: unknown[], fields: object = {}): Promise<void> {
  const ready = inbox.subscribe();
  await turn();
  server.socket.subscribed({ kind: "inbox", seq, snapshot: { seq, data: { pending, counts: {} } }, ...fields });
  await ready;
}

const seqs = (): number[] => inbox.entries.map((one) => one.seq);

it("is the channel of the token's user", async () => {
  expect(inbox.name).toBe("user:1");
  expect(openInbox(client)).toBe(inbox);
  expect(openInbox(client, 1)).toBe(inbox);
  expect(openInbox(client, "42").name).toBe("user:42");
  expect(() => openInbox(server.client())).toThrow(/whose inbox/);
});

it("holds what waits, the most important first, and gives each out once", async () => {
  const given: number[] = [];
  inbox.on("message", ({ seq }) => given.push(seq!));
  await follow(9, [entry(3, "low"), entry(5), entry(8, "critical"), entry(7, "medium"), "junk", entry(-1)]);
  expect(seqs()).toEqual([8, 5, 7, 3]);
  expect(inbox.counts).toEqual({ critical: 1, high: 0, medium: 2, low: 1 });
  for (const seq of [8, 5, 7, 3]) server.socket.message("user:1", seq, `n${seq}`, { redelivered: true });
  server.socket.message("user:1", 10, "new", { priority: "high" });
  expect(seqs()).toEqual([8, 10, 5, 7, 3]);
  expect(given).toEqual([8, 5, 7, 3, 10]);
});

it("takes new ones in any order", async () => {
  await follow(0, []);
  for (const seq of [3, 1, 2, 3]) server.socket.message("user:1", seq, "x");
  expect(seqs()).toEqual([1, 2, 3]);
});

it("lets go of what another device has acked", async () => {
  await follow(3, [entry(1), entry(2), entry(3)]);
  server.socket.message("user:1", 4, { seqs: [1, 3] }, { event: "ack" });
  expect(seqs()).toEqual([2]);
  server.socket.message("user:1", 5, { seqs: "all" }, { event: "ack" });
  server.socket.message("user:1", 6, null, { event: "ack" });
  expect(seqs()).toEqual([2]);
});

it("acks at once, and its own ack is no news", async () => {
  await follow(3, [entry(1), entry(2), entry(3)]);
  const acked = inbox.ack(inbox.entries[0]!, 3);
  expect(seqs()).toEqual([2]);
  await turn();
  expect(server.socket.last("ack")).toEqual({ type: "ack", channel: "user:1", seqs: [1, 3], id: expect.any(Number) });
  server.socket.say({ type: "acked", id: server.socket.last("ack").id, channel: "user:1", seq: 4, seqs: [1, 3], pending: 1 });
  await acked;
  expect(inbox.position?.seq).toBe(4);
  server.socket.message("user:1", 5, "x");
  expect(seqs()).toEqual([2, 5]);
});

it("acks everything", async () => {
  await follow(3, [entry(1), entry(3, "low")]);
  const acked = inbox.ackAll();
  expect(seqs()).toEqual([]);
  await turn();
  expect(server.socket.last("ack")).toMatchObject({ up_to: 3 });
  server.socket.say({ type: "acked", id: server.socket.last("ack").id, channel: "user:1", seqs: [], pending: 0 });
  await acked;
  await inbox.ackAll();
  await inbox.ack();
  expect(server.socket.all("ack")).toHaveLength(1);
});

it("puts back what the server did not ack", async () => {
  await follow(3, [entry(1), entry(2)]);
  const acked = inbox.ack(1);
  await turn();
  server.socket.refuse("ack", "internal");
  await expect(acked).rejects.toMatchObject({ code: "internal" });
  expect(seqs()).toEqual([1, 2]);
});

it("acks after a reconnect what it could not before, and does not show it meanwhile", async () => {
  await follow(3, [entry(1), entry(2)]);
  const acked = inbox.ack(1);
  await turn();
  server.socket.cut();
  await vi.advanceTimersByTimeAsync(0);
  server.socket.welcome();
  await turn();
  server.socket.subscribed({ kind: "inbox", epoch: "e2", seq: 3, recovered: false, reason: "epoch", snapshot: { seq: 3, data: { pending: [entry(1), entry(2)] } } });
  expect(seqs()).toEqual([2]);
  server.socket.say({ type: "acked", id: server.socket.last("ack").id, channel: "user:1", seq: 4, seqs: [1], pending: 1 });
  await acked;
  expect(seqs()).toEqual([2]);
});

it("gives out after a reconnect only what is new", async () => {
  const given: number[] = [];
  inbox.on("message", ({ seq }) => given.push(seq!));
  await follow(3, [entry(1), entry(2)]);
  server.socket.cut();
  await vi.advanceTimersByTimeAsync(0);
  server.socket.welcome();
  await turn();
  expect(server.socket.last("subscribe").channels).toEqual([{ channel: "user:1", since: { epoch: "e1", seq: 3 } }]);
  server.socket.subscribed({ kind: "inbox", seq: 5, recovered: false, reason: "trimmed", snapshot: { seq: 5, data: { pending: [entry(2), entry(5)] } } });
  expect(given).toEqual([1, 2, 5]);
  expect(seqs()).toEqual([2, 5]);
});

it("resumes with what was missed, acks among it", async () => {
  await follow(3, [entry(1), entry(2)]);
  server.socket.cut();
  await vi.advanceTimersByTimeAsync(0);
  server.socket.welcome();
  await turn();
  server.socket.subscribed({ kind: "inbox", seq: 5, recovered: true, messages: [{ seq: 4, timestamp: 1, event: "ack", data: { seqs: [1] } }, entry(5)] });
  expect(seqs()).toEqual([2, 5]);
});

it("is fetched anew where some are gone", async () => {
  await follow(3, [entry(1)]);
  server.socket.say({ type: "gap", channel: "user:1", epoch: "e1", from: 4, to: 6 });
  expect(inbox.state.name).toBe("subscribing");
});

it("acks only what can be acked", async () => {
  await expect(inbox.ack({} as never)).rejects.toThrow(/entries of this inbox/);
  await expect(inbox.ack("7" as never)).rejects.toThrow(/entries of this inbox/);
});

it("can be read in a loop that handles each entry", async () => {
  const handled: unknown[] = [];
  const loop = (async () => {
    for await (const { data } of inbox) handled.push(data);
  })();
  await turn();
  server.socket.subscribed({ kind: "inbox", seq: 2, snapshot: { seq: 2, data: { pending: [entry(1), entry(2, "high")] } } });
  server.socket.message("user:1", 3, "n3");
  await turn();
  void inbox.unsubscribe();
  await loop;
  expect(handled).toEqual(["n2", "n1", "n3"]);
});

it("makes do with a snapshot that is none", async () => {
  await follow(2, [], { snapshot: { seq: 2, data: "nothing" } });
  expect(seqs()).toEqual([]);
});
