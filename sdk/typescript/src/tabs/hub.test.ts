import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, kHello, turn, type Sent } from "../../test/fake_server.js";
import { Hub } from "./hub.js";

/** A tab's end of the hub. */
class FakeTab {
  readonly heard: any[] = [];
  ended: [number, string] | undefined;
  #nextId = 1;
  constructor(readonly hub: Hub) {}

  message(text: string): void {
    this.heard.push(JSON.parse(text));
  }
  close(code: number, reason: string): void {
    this.ended = [code, reason];
  }
  /** Returns the request's id. */
  send(request: object): number {
    const id = this.#nextId++;
    this.hub.send(this, JSON.stringify({ ...request, id }));
    return id;
  }
  /** What came since the last look. */
  news(): any[] {
    return this.heard.splice(0);
  }
}

let server: FakeServer;
let hub: Hub;
let a: FakeTab;
let b: FakeTab;

beforeEach(async () => {
  vi.useFakeTimers();
  server = new FakeServer();
  hub = new Hub(server, { url: "ws://fake/ws", protocols: async () => ["tidewire.v1"] });
  a = new FakeTab(hub);
  b = new FakeTab(hub);
  hub.openOwn({ url: "ws://fake/ws", protocols: async () => ["tidewire.v1", "tidewire.token.a.b.c"] }, a);
  hub.open(b);
  await turn();
  server.socket.welcome();
  expect(a.news()).toMatchObject([{ type: "connected" }]);
  expect(b.news()).toMatchObject([{ type: "connected" }]);
});
afterEach(() => {
  vi.useRealTimers();
});

function last(type: string): Sent {
  return server.socket.last(type);
}

function subscribed(fields: object = {}): void {
  server.socket.subscribed({ seq: 5, ...fields });
}

async function follow(...tabs: FakeTab[]): Promise<void> {
  for (const tab of tabs) {
    tab.send({ type: "subscribe", channels: [{ channel: "room:1" }] });
    subscribed();
    await turn();
    tab.news();
  }
}

describe("one socket", () => {
  it("serves all tabs, with the token of the leader", () => {
    expect(server.sockets).toHaveLength(1);
    const c = new FakeTab(hub);
    hub.open(c);
    expect(c.news()).toMatchObject([{ type: "connected", connection_id: "c-1" }]);
    expect(server.sockets).toHaveLength(1);
  });

  it("ends for all, and is opened anew by the first who comes back", async () => {
    server.socket.cut(1012, "draining");
    expect(a.ended).toEqual([1012, "draining"]);
    expect(b.ended).toEqual([1012, "draining"]);
    hub.open(b);
    await turn();
    hub.open(a);
    expect(server.sockets).toHaveLength(2);
    server.socket.welcome({ connection_id: "c-2" });
    expect(a.news()).toMatchObject([{ connection_id: "c-2" }]);
  });

  it("ends when the last tab has gone", () => {
    hub.close(a);
    expect(server.socket.ended).toBeUndefined();
    hub.close(b);
    hub.close(b);
    expect(server.socket.ended).toEqual({ code: 1000 });
    expect(b.ended).toBeUndefined();
  });

  it("ends for all when the leader steps down", () => {
    hub.stop();
    expect(server.socket.ended).toBeTruthy();
    expect(a.ended?.[0]).toBe(1012);
    server.socket.ended = undefined;
    server.socket.message("room:1", 1, "late");
    expect(a.news()).toEqual([]);
  });
});

describe("requests", () => {
  it("are answered to who asked, under the id that it gave", () => {
    const one = a.send({ type: "publish", channel: "room:1", data: 1, key: "k" });
    const two = b.send({ type: "publish", channel: "room:2", data: 2, key: "l" });
    expect(one).toBe(two);
    const [first, second] = server.socket.all("publish");
    expect(first!.id).not.toBe(second!.id);
    server.socket.say({ type: "published", id: second!.id, channel: "room:2", epoch: "e", seq: 2 });
    server.socket.say({ type: "error", id: first!.id, request: "publish", channel: "room:1", code: "forbidden", message: "no" });
    server.socket.say({ type: "published", id: first!.id, channel: "room:1", epoch: "e", seq: 2 });
    expect(a.news()).toMatchObject([{ type: "error", id: one, code: "forbidden" }]);
    expect(b.news()).toMatchObject([{ type: "published", id: two, seq: 2 }]);
  });

  it("without an id, and answers without one, are everybody's", () => {
    hub.send(b, '{"type":"ping"}');
    expect(server.socket.sent).toEqual([{ type: "ping" }]);
    server.socket.say({ type: "pong", timestamp: 1 });
    server.socket.say({ type: "reconnect", after_ms: 5, reason: "draining" });
    server.socket.message("$all", undefined as never, "hello");
    expect(a.news()).toMatchObject([{ type: "pong" }, { type: "reconnect" }, { type: "message", channel: "$all" }]);
    expect(b.news()).toHaveLength(3);
  });

  it("of a tab that is gone are answered to nobody", () => {
    b.send({ type: "history", channel: "room:1" });
    hub.close(b);
    server.socket.say({ type: "history", id: last("history").id, channel: "room:1", messages: [] });
    expect(b.news()).toEqual([]);
    b.send({ type: "history", channel: "room:1" });
    expect(server.socket.all("history")).toHaveLength(1);
  });

  it("that are none are left out", () => {
    hub.send(a, "garbage");
    hub.send(a, "[]");
    expect(server.socket.sent).toEqual([]);
    server.socket.say("garbage");
    server.socket.say({ type: "published", id: 999 });
    expect(a.news()).toEqual([]);
  });

  it("share one rate limit", async () => {
    server.socket.cut();
    hub.open(a);
    hub.open(b);
    await turn();
    server.socket.say({ ...kHello, limits: { messages_per_minute: 60, burst: 2 } });
    for (const tab of [a, b, a, b]) tab.send({ type: "publish", channel: "room:1", data: 1 });
    b.send({ type: "ack", channel: "user:1", seqs: [1] });
    expect(server.socket.sent.map(({ type }) => type)).toEqual(["publish", "publish", "ack"]);
    vi.advanceTimersByTime(1000);
    expect(server.socket.all("publish")).toHaveLength(3);
    server.socket.say({ type: "error", id: last("publish").id, request: "publish", code: "rate_limited", message: "no", retry_after_ms: 5000 });
    vi.advanceTimersByTime(4999);
    expect(server.socket.all("publish")).toHaveLength(3);
    vi.advanceTimersByTime(1);
    expect(server.socket.all("publish")).toHaveLength(4);
    b.send({ type: "publish", channel: "room:1", data: 1 });
    server.socket.cut();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("for a new token are the leader's alone", () => {
    server.socket.say({ type: "auth_expiring", expires_at: 5 });
    expect(a.news()).toMatchObject([{ type: "auth_expiring" }]);
    expect(b.news()).toEqual([]);
    server.socket.say({ type: "auth_error", code: "token_expired", message: "over" });
    expect(a.news()).toHaveLength(1);
    expect(b.news()).toHaveLength(1);
  });
});

describe("a channel", () => {
  it("of one tab is that tab's", () => {
    const id = a.send({ type: "subscribe", channels: [{ channel: "room:1", since: { epoch: "e1", seq: 3 } }] });
    expect(last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 3 } }]);
    subscribed({ recovered: true });
    server.socket.message("room:1", 6, "x");
    expect(a.news()).toMatchObject([{ type: "subscribed", id, recovered: true }, { type: "message", seq: 6 }]);
    expect(b.news()).toEqual([]);
  });

  it("of two tabs is subscribed once, and ends with the second", async () => {
    await follow(a, b);
    for (const type of ["message", "gap", "snapshot", "presence_event", "presence"]) server.socket.say({ type, channel: "room:1", seq: 6 });
    expect(a.news().map(({ type }) => type)).toEqual(["message", "gap", "snapshot", "presence_event", "presence"]);
    expect(b.news()).toHaveLength(5);
    const id = a.send({ type: "unsubscribe", channel: "room:1" });
    expect(a.news()).toEqual([{ type: "unsubscribed", channel: "room:1", id }]);
    expect(server.socket.all("unsubscribe")).toEqual([]);
    server.socket.message("room:1", 7, "x");
    expect(a.news()).toEqual([]);
    expect(b.news()).toHaveLength(1);
    b.send({ type: "unsubscribe", channel: "room:1" });
    expect(server.socket.all("unsubscribe")).toHaveLength(1);
    server.socket.say({ type: "unsubscribed", channel: "room:1", id: last("unsubscribe").id });
    expect(b.news()).toMatchObject([{ type: "unsubscribed" }]);
    a.send({ type: "subscribe", channels: [{ channel: "room:1" }] });
    expect(last("subscribe").channels).toEqual([{ channel: "room:1" }]);
  });

  it("is let go when a tab is", async () => {
    await follow(a, b);
    hub.close(a);
    expect(server.socket.all("unsubscribe")).toEqual([]);
    const c = new FakeTab(hub);
    hub.open(c);
    hub.close(b);
    expect(server.socket.all("unsubscribe")).toMatchObject([{ channel: "room:1" }]);
  });

  it("that the server ends, ends for all", async () => {
    await follow(a, b);
    server.socket.say({ type: "unsubscribed", channel: "room:1", code: "revoked" });
    expect(a.news()).toMatchObject([{ type: "unsubscribed", code: "revoked" }]);
    expect(b.news()).toHaveLength(1);
    a.send({ type: "subscribe", channels: [{ channel: "room:1", history: 5 }] });
    expect(last("subscribe").channels).toEqual([{ channel: "room:1", history: 5 }]);
  });

  it("that is refused is nobody's", () => {
    a.send({ type: "subscribe", channels: [{ channel: "room:1" }, { channel: "room:2" }] });
    const { id } = last("subscribe");
    server.socket.say({ type: "error", id, request: "subscribe", channel: "room:1", code: "forbidden", message: "no" });
    server.socket.say({ type: "subscribed", id, channel: "room:2", kind: "stream", epoch: "e1", seq: 0, messages: [] });
    expect(a.news()).toMatchObject([{ type: "error", channel: "room:1" }, { type: "subscribed", channel: "room:2" }]);
    b.send({ type: "subscribe", channels: [{ channel: "room:1", history: 3 }] });
    expect(last("subscribe").channels).toEqual([{ channel: "room:1", history: 3 }]);
    server.socket.say({ type: "error", id: last("subscribe").id, request: "subscribe", code: "rate_limited", message: "no", retry_after_ms: 1 });
    a.send({ type: "subscribe", channels: [{ channel: "room:1", history: 4 }] });
    vi.advanceTimersByTime(100);
    expect(last("subscribe").channels).toEqual([{ channel: "room:1", history: 4 }]);
  });
});

describe("a tab that comes later", () => {
  async function join(entry: object, reply: object = {}): Promise<number> {
    const id = b.send({ type: "subscribe", channels: [{ channel: "room:1", ...entry }] });
    subscribed({ seq: 9, ...reply });
    await turn();
    return id;
  }
  const entries = (from: number, to: number): object[] => Array.from({ length: to - from + 1 }, (_, i) => ({ seq: from + i, timestamp: 1, data: from + i }));
  async function page(messages: object[], first: number): Promise<void> {
    const { id } = last("history");
    server.socket.say({ type: "history", id, channel: "room:1", epoch: "e1", first, last: 9, messages });
    await turn();
  }

  beforeEach(() => follow(a));

  it("gets the present", async () => {
    const id = await join({ presence: true }, { snapshot: { seq: 9, data: 1 }, members: [] });
    expect(last("subscribe").channels).toEqual([{ channel: "room:1", presence: true }]);
    expect(b.news()).toMatchObject([{ type: "subscribed", id, seq: 9, snapshot: { seq: 9, data: 1 }, members: [] }]);
    expect(a.news()).toEqual([]);
    expect(server.socket.all("history")).toEqual([]);
  });

  it("nothing is missing for is told so", async () => {
    await join({ since: { epoch: "e1", seq: 9 } }, { snapshot: { seq: 9, data: 1 } });
    const [answer] = b.news();
    expect(answer).toMatchObject({ type: "subscribed", recovered: true, messages: [] });
    expect(answer.snapshot).toBeUndefined();
  });

  it("gets what it has missed from the log, before anything newer", async () => {
    await join({ since: { epoch: "e1", seq: 6 } });
    expect(last("history")).toMatchObject({ channel: "room:1", after: 6, limit: 1000 });
    server.socket.message("room:1", 10, "live");
    expect(a.news()).toMatchObject([{ seq: 10 }]);
    expect(b.news()).toEqual([]);
    await page(entries(7, 9), 1);
    expect(b.news()).toMatchObject([{ type: "subscribed", recovered: true, messages: [{ seq: 7 }, { seq: 8 }, { seq: 9 }] }, { seq: 10 }]);
    server.socket.message("room:1", 11, "live");
    expect(b.news()).toMatchObject([{ seq: 11 }]);
  });

  it("gets it page by page", async () => {
    await join({ since: { epoch: "e1", seq: 6 } });
    await page(entries(7, 8), 1);
    expect(last("history")).toMatchObject({ after: 8 });
    await page(entries(9, 9), 1);
    expect(b.news()).toMatchObject([{ recovered: true, messages: [{ seq: 7 }, { seq: 8 }, { seq: 9 }] }]);
  });

  it("is told when the log does not reach back so far", async () => {
    await join({ since: { epoch: "e1", seq: 2 } });
    await page(entries(7, 9), 7);
    expect(b.news()).toMatchObject([{ recovered: false, reason: "trimmed", messages: [{ seq: 7 }, { seq: 8 }, { seq: 9 }] }]);
  });

  it.each([
    ["epoch", { epoch: "e0", seq: 9 }],
    ["ahead", { epoch: "e1", seq: 10 }],
  ])("is told when its position is of no use: %s", async (reason, since) => {
    await join({ since });
    expect(last("history")).toMatchObject({ after: 0 });
    await page(entries(1, 9), 1);
    expect(b.news()).toMatchObject([{ recovered: false, reason, messages: expect.objectContaining({ length: 9 }) }]);
  });

  it("is told when the log can't be read", async () => {
    await join({ since: { epoch: "e1", seq: 2 } });
    server.socket.say({ type: "error", id: last("history").id, request: "history", channel: "room:1", code: "unavailable", message: "no" });
    await turn();
    expect(b.news()).toMatchObject([{ recovered: false, reason: "trimmed", messages: [] }]);
  });

  it("begins anew when it has missed too much", async () => {
    await join({ since: { epoch: "e1", seq: 1 } }, { seq: 100_000 });
    for (let i = 0; i < 50 && !b.heard.length; i += 1) await page(entries(2 + i, 2 + i), 1);
    expect(b.news()).toMatchObject([{ recovered: false, reason: "trimmed" }]);
  });

  it("gets the history that it asks for", async () => {
    await join({ history: 2 });
    expect(last("history")).toMatchObject({ before: 10, limit: 2 });
    await page(entries(8, 9), 1);
    const [answer] = b.news();
    expect(answer).toMatchObject({ type: "subscribed", messages: [{ seq: 8 }, { seq: 9 }] });
    expect(answer.recovered).toBeUndefined();
  });

  it("may go while it waits", async () => {
    await join({ history: 2 });
    hub.close(b);
    await page(entries(8, 9), 1);
    expect(b.news()).toEqual([]);
    expect(server.socket.all("unsubscribe")).toEqual([]);
  });
});

describe("presence", () => {
  const enter = (tab: FakeTab, data: unknown): number => tab.send({ type: "presence", channel: "room:1", action: "enter", data });
  const leave = (tab: FakeTab): number => tab.send({ type: "presence", channel: "room:1", action: "leave" });

  it("is one place for all tabs, which the last one leaves", () => {
    enter(a, "a");
    enter(b, "b");
    const id = leave(b);
    expect(last("presence")).toMatchObject({ action: "update", data: "a" });
    server.socket.say({ type: "presence", id: last("presence").id, channel: "room:1", members: [] });
    expect(b.news()).toMatchObject([{ type: "presence", id }]);
    leave(a);
    expect(last("presence")).toMatchObject({ action: "leave" });
  });

  it("is left when its tab goes", () => {
    enter(a, "a");
    enter(b, "b");
    hub.close(b);
    expect(last("presence")).toMatchObject({ action: "update", data: "a" });
    const c = new FakeTab(hub);
    hub.open(c);
    hub.close(a);
    expect(last("presence")).toMatchObject({ action: "leave" });
  });

  it("can be asked by all", () => {
    a.send({ type: "presence", channel: "room:1", action: "get" });
    expect(last("presence")).toMatchObject({ action: "get" });
    leave(a);
    expect(last("presence")).toMatchObject({ action: "leave" });
  });
});

describe("a message that is not to come back", () => {
  const own = { from: { user: { id: 1, type: "user" }, connection: "c-1" } };
  beforeEach(() => follow(a, b));

  it("comes to the other tabs", () => {
    a.send({ type: "publish", channel: "room:1", data: { x: 1 }, event: "e", echo: false });
    expect(last("publish").echo).toBeUndefined();
    server.socket.message("room:1", 6, { x: 1 }, { event: "e", ...own });
    server.socket.published(6);
    expect(a.news()).toMatchObject([{ type: "published" }]);
    expect(b.news()).toMatchObject([{ type: "message", seq: 6 }]);
    server.socket.message("room:1", 7, { x: 1 }, { event: "e", ...own });
    expect(a.news()).toMatchObject([{ type: "message", seq: 7 }]);
  });

  it("is not confused with another's", () => {
    a.send({ type: "publish", channel: "room:1", data: { x: 1 }, echo: false });
    server.socket.message("room:1", 6, { x: 2 }, own);
    server.socket.message("room:1", 7, { x: 1 }, { from: { user: { id: 2, type: "user" }, connection: "c-9" } });
    server.socket.refuse("publish", "forbidden");
    server.socket.message("room:1", 8, { x: 1 }, own);
    expect(a.news().map(({ type, seq }) => seq ?? type)).toEqual([6, 7, "error", 8]);
  });
});
