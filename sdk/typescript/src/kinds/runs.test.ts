import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, outcome, turn } from "../../test/fake_server.js";
import type { Tidewire } from "../client.js";
import { openAgentRun, openUpload, type AgentRun, type Upload } from "./index.js";

let server: FakeServer;
let client: Tidewire;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  server = new FakeServer();
  client = await server.connected({ timeoutMs: 5000 });
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function follow(run: Upload | AgentRun, answer: object): Promise<void> {
  const ready = run.subscribe();
  await turn();
  server.socket.subscribed(answer);
  await ready;
}

async function after(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

function sent(): unknown[] {
  return server.socket.all("publish").map(({ event, data }) => [event, data]);
}

describe("an upload that is watched", () => {
  let upload: Upload;
  const told = (seq: number, event: string, data: unknown, timestamp = seq * 1000): void =>
    server.socket.say({ type: "message", channel: "upload:1", seq, timestamp, event, data });

  beforeEach(async () => {
    upload = openUpload(client, "upload:1");
    const data = { status: "active", bytes: 100, total: 1000, percent: 10, rate_bps: 50, eta_ms: 18_000 };
    await follow(upload, { kind: "upload", seq: 3, snapshot: { seq: 3, data } });
  });

  it("begins with the server's figures and goes on from them", () => {
    expect(upload.value).toEqual({ status: "active", bytes: 100, total: 1000, percent: 10, rateBps: 50, etaMs: 18_000 });
    const before = upload.value;
    told(4, "progress", { bytes: 200, total: 1000 });
    expect(upload.value).toMatchObject({ bytes: 200, percent: 20, rateBps: 50, etaMs: 16_000 });
    expect(upload.value).not.toBe(before);
    told(5, "progress", { bytes: 400 });
    expect(upload.value.rateBps).toBeGreaterThan(50);
    expect(upload.value.rateBps).toBeLessThan(200);
    expect(upload.value).toMatchObject({ bytes: 400, total: 1000, percent: 40 });
    told(6, "complete", {});
    expect(upload.value).toMatchObject({ status: "complete", bytes: 1000, percent: 100, etaMs: 0 });
    expect(upload.ended).toBe(true);
  });

  it("cuts the percentage, so that 100 means all", () => {
    told(4, "progress", { bytes: 999.96 * 1 });
    told(5, "progress", { bytes: 999 });
    expect(upload.value.percent).toBe(99.9);
  });

  it("fails with the reason", () => {
    told(4, "fail", { reason: "orphaned" });
    expect(upload.value).toMatchObject({ status: "failed", bytes: 100, reason: "orphaned", etaMs: null });
  });

  it("is cancelled", () => {
    told(4, "cancel", null);
    expect(upload.value).toMatchObject({ status: "cancelled" });
  });

  it("of unknown length has no percentage", async () => {
    const other = openUpload(client, "upload:2");
    expect(other.value).toEqual({ status: "pending", bytes: 0, total: null, percent: null, rateBps: null, etaMs: null });
    await follow(other, { kind: "upload", seq: 0, snapshot: { seq: 0, data: { status: "pending", bytes: 0, total: null, percent: null, rate_bps: null, eta_ms: null } } });
    server.socket.say({ type: "message", channel: "upload:2", seq: 1, timestamp: 0, event: "progress", data: { bytes: 5 } });
    server.socket.say({ type: "message", channel: "upload:2", seq: 2, timestamp: 500, event: "progress", data: { bytes: 55 } });
    expect(other.value).toEqual({ status: "active", bytes: 55, total: null, percent: null, rateBps: 100, etaMs: null });
    server.socket.say({ type: "message", channel: "upload:2", seq: 3, timestamp: 600, event: "complete", data: {} });
    expect(other.value).toMatchObject({ status: "complete", bytes: 55 });
  });

  it("believes no nonsense", () => {
    told(4, "progress", "fast");
    told(5, "progress", { bytes: "many", total: {} });
    told(6, "custom", { bytes: 7 });
    told(7, "toString", {});
    expect(upload.value).toMatchObject({ status: "active", bytes: 100, total: 1000 });
  });
});

describe("an upload that is made", () => {
  it("sends its progress as often as the server takes it, the last one always", async () => {
    client.close();
    client = await server.connected({}, { limits: { messages_per_minute: 120, burst: 10 } });
    const upload = openUpload(client, "upload:1");
    for (let bytes = 0; bytes <= 50; bytes += 1) void upload.progress(bytes, 100);
    await after(0);
    expect(sent()).toEqual([["progress", { bytes: 50, total: 100 }]]);
    server.socket.published(1);
    await after(500);
    void upload.progress(60);
    void upload.progress(70);
    await after(499);
    expect(sent()).toHaveLength(1);
    await after(1);
    expect(sent().at(-1)).toEqual(["progress", { bytes: 70 }]);
    const last = upload.progress(80);
    const done = upload.complete();
    server.socket.published(2);
    await turn();
    expect(sent().at(-1)).toEqual(["progress", { bytes: 80 }]);
    server.socket.published(3);
    await turn();
    expect(sent().at(-1)).toEqual(["complete", {}]);
    server.socket.published(4);
    expect(await last).toMatchObject({ seq: 3 });
    expect(await done).toMatchObject({ seq: 4 });
  });

  it("tells a refusal to whoever waits, and troubles nobody else", async () => {
    const upload = openUpload(client, "upload:1");
    void upload.progress(5);
    const waits = upload.progress(6);
    await after(0);
    server.socket.refuse("publish", "invalid_event");
    await expect(waits).rejects.toMatchObject({ code: "invalid_event" });
    void upload.progress(7);
    await after(200);
    expect(sent().at(-1)).toEqual(["progress", { bytes: 7 }]);
  });

  it("is failed and cancelled", async () => {
    const upload = openUpload(client, "upload:1");
    void upload.fail("disk full").catch(() => {});
    void openUpload(client, "upload:2").cancel().catch(() => {});
    await turn();
    expect(sent()).toEqual([
      ["fail", { reason: "disk full" }],
      ["cancel", {}],
    ]);
  });

  it.each([[-1], [1.5], ["5"], [5, -1], [5, "10"]])("takes no %j for a progress", (...args) => {
    const upload = openUpload(client, "upload:1");
    expect(() => upload.progress(...(args as [number, number]))).toThrow(/whole numbers of bytes/);
  });
});

describe("an agent's run that is read", () => {
  let run: AgentRun;
  const told = (seq: number, event: string, data: unknown, fields: object = {}): void =>
    server.socket.say({ type: "message", channel: "agent:1", seq, timestamp: seq * 10, event, data, ...fields });

  beforeEach(async () => {
    run = openAgentRun(client, "agent:1");
    const data = { status: "running", text: "Once", tools: [{ id: "t1", name: "search" }], started_at: 5, ended_at: null, usage: null };
    await follow(run, { kind: "agent", seq: 3, snapshot: { seq: 3, data } });
  });

  it("begins with the text so far and goes on with the rest", () => {
    expect(run.value).toEqual({ status: "running", text: "Once", tools: [{ id: "t1", name: "search" }], startedAt: 5, endedAt: null, usage: null });
    told(4, "delta", { text: " upon" });
    told(7, "delta", { text: " a time" }, { first_seq: 5 });
    expect(run.value.text).toBe("Once upon a time");
  });

  it("has no token twice and none left out over a reconnect", async () => {
    told(4, "delta", { text: " upon" });
    server.socket.cut();
    await after(0);
    server.socket.welcome();
    await turn();
    server.socket.subscribed({ kind: "agent", seq: 6, recovered: true, messages: [{ seq: 6, first_seq: 5, timestamp: 1, event: "delta", data: { text: " a time" } }] });
    told(6, "delta", { text: " a time" });
    expect(run.value.text).toBe("Once upon a time");
  });

  it("is fetched anew where a part of the text is missing", async () => {
    told(6, "delta", { text: "…" });
    expect(run.state.name).toBe("subscribing");
    await turn();
    server.socket.subscribed({ kind: "agent", seq: 6, snapshot: { seq: 6, data: { status: "running", text: "Once upon …", tools: [], started_at: 5, ended_at: null, usage: null } } });
    expect(run.value.text).toBe("Once upon …");
  });

  it("brings calls and results of tools together", () => {
    told(4, "tool_call", { id: "t2", name: "read" });
    told(5, "tool_result", { id: "t1", result: [1] });
    told(6, "tool_result", { ok: true });
    told(7, "tool_call", "bare");
    told(8, "tool_result", { id: "t9", result: "nobody's" });
    expect(run.value.tools).toEqual([{ id: "t1", name: "search", result: [1] }, { id: "t2", name: "read", result: { ok: true } }, { data: "bare" }]);
  });

  it("ends", () => {
    told(4, "status", { step: "thinking" });
    told(5, "custom", { text: "not folded" });
    told(6, "complete", { usage: { tokens: 7 } });
    expect(run.value).toMatchObject({ status: "complete", text: "Once", detail: { step: "thinking" }, endedAt: 60, usage: { tokens: 7 } });
    expect(run.ended).toBe(true);
  });

  it("fails for a reason, and is cancelled", async () => {
    told(4, "fail", { reason: "orphaned" });
    expect(run.value).toMatchObject({ status: "failed", reason: "orphaned", endedAt: 40 });
    const other = openAgentRun(client, "agent:2");
    expect(other.value.status).toBe("pending");
    await follow(other, { kind: "agent", seq: 0, snapshot: { seq: 0, data: { status: "pending", text: "", tools: [], started_at: null, ended_at: null, usage: null } } });
    server.socket.say({ type: "message", channel: "agent:2", seq: 1, timestamp: 9, event: "delta", data: { text: "a" } });
    expect(other.value).toMatchObject({ status: "running", startedAt: 9, text: "a" });
    server.socket.say({ type: "message", channel: "agent:2", seq: 2, timestamp: 10, event: "cancel", data: null });
    expect(other.value).toMatchObject({ status: "cancelled" });
  });

  it("believes no nonsense", () => {
    told(4, "delta", { text: 7 });
    told(5, "delta", null);
    told(6, "constructor", {});
    expect(run.value).toMatchObject({ status: "running", text: "Once" });
  });
});

describe("an agent's run that is made", () => {
  it("sends tokens together, and everything else in its place", async () => {
    const run = openAgentRun(client, "agent:1");
    void run.start({ model: "m" }).catch(() => {});
    for (const token of ["Once", " upon", " a", " time"]) void run.delta(token);
    void run.toolCall({ id: 1 }).catch(() => {});
    void run.delta(", there");
    void run.toolResult({ id: 1, result: 2 }).catch(() => {});
    void run.status({ step: 2 }).catch(() => {});
    void run.delta(" was.");
    const done = run.complete({ usage: { tokens: 9 } });
    for (let seq = 1; seq <= 8; seq += 1) {
      await turn();
      server.socket.published(seq);
    }
    await done;
    expect(sent()).toEqual([
      ["start", { model: "m" }],
      ["delta", { text: "Once upon a time" }],
      ["tool_call", { id: 1 }],
      ["delta", { text: ", there" }],
      ["tool_result", { id: 1, result: 2 }],
      ["status", { step: 2 }],
      ["delta", { text: " was." }],
      ["complete", { usage: { tokens: 9 } }],
    ]);
  });

  it("leaves room in the rate limit", async () => {
    client.close();
    client = await server.connected({}, { limits: { messages_per_minute: 100, burst: 10 } });
    const run = openAgentRun(client, "agent:1");
    let seq = 0;
    for (let ms = 0; ms < 12_000; ms += 50) {
      void run.delta("x");
      await after(50);
      if (server.socket.all("publish").length > seq) server.socket.published((seq += 1));
    }
    expect(seq).toBeGreaterThan(8);
    expect(seq).toBeLessThan(12);
    expect(sent().reduce<number>((sum, [, data]: any) => sum + data.text.length, 0)).toBeGreaterThan(200);
  });

  it("takes only text for text", () => {
    expect(() => openAgentRun(client, "agent:1").delta(7 as never)).toThrow(/takes a string/);
  });

  it("fails a token with what the server says", async () => {
    const run = openAgentRun(client, "agent:1");
    const token = run.delta("x");
    await after(0);
    server.socket.refuse("publish", "forbidden");
    expect(await outcome(token)).toMatchObject({ error: { code: "forbidden" } });
  });
});

it("an outbox keeps nothing of a run, since who goes on with it goes by the server's state", async () => {
  const kept = vi.fn(() => new Promise<never>(() => {}));
  const mine = await server.connected({ outbox: { start: () => {}, online: () => {}, publish: kept } });
  const run = openAgentRun(mine, "agent:1");
  void run.delta("a");
  void openUpload(mine, "upload:1").progress(1).catch(() => {});
  await after(200);
  expect(kept).not.toHaveBeenCalled();
  expect(sent()).toMatchObject([["delta", { text: "a" }], ["progress", { bytes: 1 }]]);
  void mine.channel("room:1").publish("b");
  await turn();
  expect(kept).toHaveBeenCalledTimes(1);
  mine.close();
});
