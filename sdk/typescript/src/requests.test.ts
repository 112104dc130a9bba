import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, outcome, turn } from "../test/fake_server.js";
import type { Tidewire } from "./client.js";

let server: FakeServer;
let client: Tidewire;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  server = new FakeServer();
});
afterEach(() => {
  client?.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function after(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

/** Cuts the connection and brings the next one up. */
async function comeBack(code?: number, reason?: string): Promise<void> {
  server.socket.cut(code, reason);
  await after(15_001);
  server.socket.welcome();
  await turn();
}

function published(): unknown[] {
  return server.socket.all("publish").map(({ data }) => data);
}

describe("a publish", () => {
  beforeEach(async () => {
    client = await server.connected();
  });

  it("is answered with its place in the log", async () => {
    const answer = client.channel("room:1").publish({ text: "hi" }, { event: "greeting", priority: "high", ttlMs: 60_000, key: "k" });
    await turn();
    expect(server.socket.last("publish")).toEqual({
      type: "publish",
      channel: "room:1",
      data: { text: "hi" },
      event: "greeting",
      key: "k",
      priority: "high",
      ttl_ms: 60_000,
      id: expect.any(Number),
    });
    server.socket.published(7);
    expect(await answer).toEqual({ channel: "room:1", epoch: "e1", seq: 7 });
  });

  it("carries a key of its own where none was given", async () => {
    void client.channel("room:1").publish(1).catch(() => {});
    void client.channel("room:2").publish(1).catch(() => {});
    await turn();
    const keys = server.socket.all("publish").map(({ key }) => key as string);
    expect(keys[0]).toMatch(/^[0-9a-z]{16,32}$/);
    expect(keys[1]).not.toBe(keys[0]);
  });

  it("waits for the one before it in the same channel, and for no other", async () => {
    const room = client.channel("room:1");
    void room.publish("a").catch(() => {});
    void room.publish("b").catch(() => {});
    void client.channel("room:2").publish("c").catch(() => {});
    await turn();
    expect(published()).toEqual(["a", "c"]);
    const [a] = server.socket.all("publish");
    server.socket.say({ type: "published", id: a!.id, channel: "room:1", epoch: "e1", seq: 1 });
    await turn();
    expect(published()).toEqual(["a", "c", "b"]);
  });

  it("is sent again on the next connection, with the same key and in the same order", async () => {
    const room = client.channel("room:1");
    const answers = [room.publish("a"), room.publish("b")];
    await turn();
    const { key } = server.socket.last("publish");
    await comeBack();
    expect(published()).toEqual(["a"]);
    expect(server.socket.last("publish").key).toBe(key);
    server.socket.published(3, { duplicate: true });
    await turn();
    expect(published()).toEqual(["a", "b"]);
    server.socket.published(4);
    expect(await Promise.all(answers)).toMatchObject([{ seq: 3, duplicate: true }, { seq: 4 }]);
  });

  it("made while there is no connection is sent with the next", async () => {
    server.socket.cut();
    const answer = client.channel("room:1").publish("a");
    await after(1000);
    server.socket.welcome();
    await turn();
    expect(published()).toEqual(["a"]);
    server.socket.published(1);
    await expect(answer).resolves.toMatchObject({ seq: 1 });
  });

  it("is rejected with what the server says", async () => {
    const refused = client.channel("room:1").publish("a");
    await turn();
    server.socket.refuse("publish", "content_rejected", { rule: "script_tag" });
    await expect(refused).rejects.toMatchObject({ code: "content_rejected", rule: "script_tag", channel: "room:1", request: "publish" });
  });

  it("waits no longer than it was told, and the next one goes", async () => {
    const room = client.channel("room:1");
    const first = outcome(room.publish("a", { timeoutMs: 1000 }));
    const late = room.publish("a", { timeoutMs: 1000 });
    late.catch(() => {});
    void room.publish("b").catch(() => {});
    await first;
    await after(1000);
    await expect(late).rejects.toMatchObject({ code: "timeout", request: "publish" });
    await turn();
    expect(published().at(-1)).toBe("b");
  });

  it("ignores an answer that comes too late, and one that nobody asked for", async () => {
    const late = client.channel("room:1").publish("a", { timeoutMs: 1000 });
    late.catch(() => {});
    await after(1000);
    server.socket.published(1);
    server.socket.say({ type: "published", id: 999, channel: "room:1", epoch: "e1", seq: 1 });
    server.socket.say({ type: "published", id: "x", channel: "room:1", epoch: "e1", seq: 1 });
    await expect(late).rejects.toMatchObject({ code: "timeout" });
  });

  it.each([{ type: "pong" }, { type: "published" }, { type: "published", seq: -1, epoch: "e" }, { type: "published", seq: 1.5, epoch: "e" }, { type: "published", seq: 1 }])(
    "is not taken for done by %j",
    async (answer) => {
      const refused = client.channel("room:1").publish("a");
      await turn();
      server.socket.say({ ...answer, id: server.socket.last("publish").id });
      await expect(refused).rejects.toMatchObject({ code: "protocol_error" });
    },
  );

  it("is not repeated when it has ended the connection", async () => {
    const first = client.channel("room:1").publish("bad");
    first.catch(() => {});
    await turn();
    const unsent = client.channel("room:1").publish("good");
    unsent.catch(() => {});
    await comeBack(1009, "too long");
    await expect(first).rejects.toMatchObject({ code: "connection_lost" });
    expect(published()).toEqual(["good"]);
  });

  it("over the server's limit is refused here", async () => {
    client.close();
    client = await server.connected({}, { limits: { message_bytes: 300 } });
    await expect(client.channel("room:1").publish("é".repeat(150))).rejects.toMatchObject({ code: "too_large" });
    expect(published()).toEqual([]);
    const fits = client.channel("room:1").publish("e".repeat(150));
    fits.catch(() => {});
    await turn();
    expect(published()).toHaveLength(1);
  });

  it("that can't be JSON, or asks for what can't be, fails at once", async () => {
    const room = client.channel<unknown>("room:1");
    await expect(room.publish(() => {})).rejects.toMatchObject({ code: "invalid_argument" });
    await expect(room.publish(1, { event: "" })).rejects.toThrow(/`event` is a string of 1 to 64/);
    await expect(room.publish(1, { key: "k".repeat(129) })).rejects.toThrow(/`key` is a string of 1 to 128/);
    await expect(room.publish(1, { ttlMs: 0.5 })).rejects.toThrow(/`ttlMs` is a whole number/);
    await expect(room.publish(1, { timeoutMs: -1 })).rejects.toThrow(/number of milliseconds/);
    await expect(room.publish(1, { ephemeral: true, key: "k" } as never)).rejects.toThrow(/leave out `key`/);
    expect(server.socket.sent).toEqual([]);
  });

  it("is what it was when the call was made", async () => {
    const data = { text: "before" };
    server.socket.cut();
    void client.channel("room:1").publish(data).catch(() => {});
    data.text = "after";
    await after(1000);
    server.socket.welcome();
    await turn();
    expect(published()).toEqual([{ text: "before" }]);
  });
});

describe("an ephemeral message", () => {
  beforeEach(async () => {
    client = await server.connected();
  });

  it("has no key and does not wait for others", async () => {
    const room = client.channel("room:1");
    void room.publish("a").catch(() => {});
    const typing = room.publish("typing", { ephemeral: true, echo: false });
    await turn();
    expect(server.socket.last("publish")).toEqual({ type: "publish", channel: "room:1", data: "typing", ephemeral: true, echo: false, id: expect.any(Number) });
    server.socket.say({ type: "published", id: server.socket.last("publish").id, channel: "room:1", ephemeral: true });
    expect(await typing).toEqual({ channel: "room:1", ephemeral: true });
  });

  it("is not sent twice", async () => {
    const typing = client.channel("room:1").publish("typing", { ephemeral: true });
    typing.catch(() => {});
    await turn();
    await comeBack();
    await expect(typing).rejects.toMatchObject({ code: "connection_lost" });
    expect(published()).toEqual([]);
  });

  it("is refused while there is no connection", async () => {
    server.socket.cut();
    await expect(client.channel("room:1").publish("typing", { ephemeral: true })).rejects.toMatchObject({ code: "not_connected" });
  });
});

describe("the rate limit", () => {
  it("is kept here, so that nothing is refused there", async () => {
    client = await server.connected({}, { limits: { messages_per_minute: 60, burst: 2 } });
    for (let i = 0; i < 5; i += 1) client.channel(`room:${i}`).publish(i).catch(() => {});
    await turn();
    expect(published()).toEqual([0, 1]);
    await after(1000);
    expect(published()).toEqual([0, 1, 2]);
    await after(2000);
    expect(published()).toEqual([0, 1, 2, 3, 4]);
  });

  it("does not hold up what does not count", async () => {
    client = await server.connected({}, { limits: { messages_per_minute: 60, burst: 1 } });
    for (let i = 0; i < 3; i += 1) client.channel(`room:${i}`).publish(i).catch(() => {});
    void client.call("ping").catch(() => {});
    await turn();
    expect(server.socket.all("ping")).toHaveLength(1);
  });

  it("as the server tells it is waited for, and the order stays", async () => {
    client = await server.connected();
    const room = client.channel("room:1");
    const answers = [room.publish("a"), room.publish("b")];
    await turn();
    server.socket.refuse("publish", "rate_limited", { retry_after_ms: 700 });
    await after(699);
    expect(published()).toEqual(["a"]);
    await after(1);
    expect(published()).toEqual(["a", "a"]);
    server.socket.published(1);
    await after(10);
    expect(published()).toEqual(["a", "a", "b"]);
    server.socket.published(2);
    await expect(Promise.all(answers)).resolves.toMatchObject([{ seq: 1 }, { seq: 2 }]);
  });

  it("that lasts longer than the call may is what the call fails with", async () => {
    client = await server.connected();
    const refused = client.channel("room:1").publish("a", { timeoutMs: 1000 });
    refused.catch(() => {});
    await turn();
    server.socket.refuse("publish", "rate_limited", { retry_after_ms: 60_000 });
    await after(1000);
    await expect(refused).rejects.toMatchObject({ code: "rate_limited", retryAfterMs: 60_000 });
  });

  it("may be told without a time", async () => {
    client = await server.connected();
    void client.channel("room:1").publish("a").catch(() => {});
    await turn();
    server.socket.refuse("publish", "rate_limited", { retry_after_ms: "soon" });
    await after(1000);
    expect(published()).toEqual(["a", "a"]);
  });
});

describe("a server that is not available", () => {
  it("is asked again when it said", async () => {
    client = await server.connected();
    const answer = client.channel("room:1").publish("a");
    await turn();
    server.socket.refuse("publish", "unavailable", { retry_after_ms: 500 });
    await after(499);
    expect(published()).toEqual(["a"]);
    await after(1);
    expect(published()).toEqual(["a", "a"]);
    server.socket.published(1);
    await answer;
  });

  it("holds up only the channel that it is about", async () => {
    client = await server.connected();
    void client.channel("room:1").publish("a").catch(() => {});
    await turn();
    server.socket.refuse("publish", "unavailable", { retry_after_ms: 500 });
    void client.channel("room:1").publish("b").catch(() => {});
    void client.channel("room:2").publish("c").catch(() => {});
    await turn();
    expect(published()).toEqual(["a", "c"]);
  });
});

describe("other requests", () => {
  beforeEach(async () => {
    client = await server.connected({ timeoutMs: 5000 });
  });

  it("are repeated over connections, and end in time", async () => {
    const history = client.channel("room:1").history({ limit: 5 });
    history.catch(() => {});
    await turn();
    expect(server.socket.last("history")).toMatchObject({ channel: "room:1", limit: 5 });
    server.socket.cut();
    await after(1000);
    server.socket.welcome();
    await turn();
    expect(server.socket.all("history")).toHaveLength(1);
    await after(4000);
    await expect(history).rejects.toMatchObject({ code: "timeout" });
  });

  it("give a page of the log", async () => {
    const history = client.channel("room:1").history({ after: 3 });
    await turn();
    const { id } = server.socket.last("history");
    server.socket.say({ type: "history", id, channel: "room:1", epoch: "e1", first: 2, last: 9, messages: [{ seq: 4, timestamp: 1, data: "x", event: "e" }, "junk", { seq: -4 }] });
    expect(await history).toEqual({ epoch: "e1", first: 2, last: 9, messages: [{ channel: "room:1", seq: 4, timestamp: 1, data: "x", event: "e" }] });
  });

  it("fail where the answer is none", async () => {
    const history = client.channel("room:1").history();
    await turn();
    server.socket.say({ type: "history", id: server.socket.last("history").id, messages: "none" });
    await expect(history).rejects.toMatchObject({ code: "protocol_error" });
  });

  it("that this client does not know go by their name", async () => {
    const answer = client.call("future", { a: 1 });
    await turn();
    expect(server.socket.last("future")).toEqual({ type: "future", a: 1, id: expect.any(Number) });
    server.socket.say({ type: "futured", id: server.socket.last("future").id, b: 2 });
    expect(await answer).toMatchObject({ type: "futured", b: 2 });
  });
});

describe("a server that misbehaves", () => {
  beforeEach(async () => {
    client = await server.connected({ timeoutMs: 5000 });
  });

  it.each(["", "garbage", "[]", "7", "null", "{}", '{"type":7}', '{"type":"message"}', '{"type":"message","channel":"room:1","seq":"x"}', "\u0000"])(
    "by sending %j does no harm",
    async (text) => {
      const errors = vi.fn();
      client.on("error", errors);
      const room = client.channel("room:1");
      room.on("error", errors);
      const ready = room.subscribe();
      await turn();
      server.socket.subscribed();
      await ready;
      server.socket.say(text);
      expect(client.state.name).toBe("connected");
      server.socket.message("room:1", 1, "fine");
      expect(room.position?.seq).toBe(1);
    },
  );

  it("is told about where no call is", () => {
    const errors = vi.fn();
    client.on("error", errors);
    server.socket.say("garbage");
    expect(errors).toHaveBeenCalledWith(expect.objectContaining({ code: "protocol_error", message: expect.stringContaining("garbage") }));
    server.socket.say({ type: "error", code: "internal", message: "the server failed" });
    expect(errors).toHaveBeenLastCalledWith(expect.objectContaining({ code: "internal" }));
    server.socket.say({ type: "invented_later", channel: "room:1" });
    expect(errors).toHaveBeenCalledTimes(2);
  });

  it("by being silent leaves no promise hanging", async () => {
    const room = client.channel("room:1");
    const calls = [room.subscribe(), room.publish(1), room.publish(2), room.history(), room.presence.enter(), room.presence.get(), client.call("ping"), client.renew(), room.publish(3, { ephemeral: true })];
    const settled = Promise.allSettled(calls);
    for (let i = 0; i < 40; i += 1) await after(1000);
    for (const result of await settled) expect(result).toMatchObject({ status: "rejected", reason: { name: "TidewireError" } });
  });

  it("leaves no promise hanging when the client is closed", async () => {
    const room = client.channel("room:1");
    const calls = [room.subscribe(), room.publish(1), room.publish(2), room.history(), client.call("ping")];
    const settled = Promise.allSettled(calls);
    await turn();
    client.close();
    for (const result of await settled) expect(result).toMatchObject({ status: "rejected", reason: { code: "closed" } });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("does not get through with an answer to another connection's request", async () => {
    const answer = client.channel("room:1").publish("a");
    answer.catch(() => {});
    await turn();
    const old = server.socket;
    const { id } = old.last("publish");
    old.cut();
    await after(1000);
    server.socket.welcome();
    old.ended = undefined;
    old.say({ type: "published", id, channel: "room:1", epoch: "e1", seq: 1 });
    expect(await outcome(answer)).toBe("pending");
  });
});

it("sends what waits to a new connection only after the subscriptions that it resumes", async () => {
  client = await server.connected();
  const ready = client.channel("room:1").subscribe();
  await turn();
  server.socket.subscribed({ seq: 5 });
  await ready;
  server.socket.cut();
  void client.channel("room:1").publish("a").catch(() => {});
  await after(1000);
  server.socket.welcome();
  await turn();
  expect(server.socket.sent.map(({ type }) => type)).toEqual(["subscribe", "publish"]);
});

it("sends nothing twice over many cuts", async () => {
  client = await server.connected({ timeoutMs: 10_000_000 });
  const room = client.channel("room:1");
  const settled = Promise.allSettled(Array.from({ length: 20 }, (_, i) => room.publish(i)));
  const log: unknown[] = [];
  const keys = new Set<string>();
  for (let i = 0; i < 200 && log.length < 20; i += 1) {
    await turn();
    const waiting = server.socket.sent.filter(({ type }) => type === "publish").at(-1);
    // Every third one is taken, but its answer is lost.
    if (waiting && !keys.has(waiting.key)) {
      keys.add(waiting.key);
      log.push(waiting.data);
    }
    if (i % 3 === 0) {
      server.socket.cut();
      await after(15_000);
      server.socket.welcome();
    } else if (waiting) {
      server.socket.published(log.length);
    }
  }
  expect(log).toEqual(Array.from({ length: 20 }, (_, i) => i));
  client.close();
  await settled;
});
