import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, outcome, turn } from "../test/fake_server.js";
import type { Channel, ChannelOptions } from "./channel.js";
import type { Tidewire } from "./client.js";

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

async function after(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

async function comeBack(): Promise<void> {
  server.socket.cut();
  await after(0);
  server.socket.welcome();
  await turn();
}

/** Everything that a channel tells, in its order. */
function record(channel: Channel<any>): unknown[] {
  const seen: unknown[] = [];
  for (const name of ["subscribed", "message", "gap", "snapshot", "unsubscribed", "error"] as const) {
    channel.on(name, (event: any) => {
      if (name === "message") seen.push(event.seq ?? `ephemeral ${event.data}`);
      else if (name === "gap") seen.push(`gap ${event.from}-${event.to}${event.declared ? "" : "?"}`);
      else if (name === "subscribed") seen.push(`subscribed ${event.seq} ${event.recovered ?? ""} ${event.reason ?? ""}`.trim());
      else if (name === "snapshot") seen.push(`snapshot ${event.seq}`);
      else seen.push(`${name} ${event.code}`);
    });
  }
  return seen;
}

async function follow(options: ChannelOptions = {}, answer: object = {}, name = "room:1"): Promise<{ room: Channel<any>; seen: unknown[] }> {
  const room = client.channel<any>(name, options);
  const seen = record(room);
  const ready = room.subscribe();
  await turn();
  server.socket.subscribed(answer);
  await ready;
  return { room, seen };
}

describe("subscribing", () => {
  it("goes through its states", async () => {
    const room = client.channel("room:1");
    const states: string[] = [];
    room.on("state", ({ name }) => states.push(name));
    expect(room.state).toEqual({ name: "idle" });
    const ready = room.subscribe();
    await turn();
    expect(server.socket.last("subscribe")).toEqual({ type: "subscribe", channels: [{ channel: "room:1" }], id: expect.any(Number) });
    server.socket.subscribed({ seq: 4 });
    expect(await ready).toEqual({ kind: "stream", epoch: "e1", seq: 4 });
    expect(room.position).toEqual({ epoch: "e1", seq: 4 });
    expect(await room.subscribe()).toEqual({ kind: "stream", epoch: "e1", seq: 4 });
    void room.unsubscribe();
    expect(states).toEqual(["subscribing", "subscribed", "idle"]);
    expect(room.position).toBeNull();
  });

  it("connects by itself", async () => {
    const lazy = server.client();
    lazy.channel("room:1").subscribe().catch(() => {});
    expect(lazy.state.name).toBe("connecting");
    lazy.close();
  });

  it("puts all that is asked in one turn into one request", async () => {
    for (let i = 0; i < 5; i += 1) client.channel(`room:${i}`).subscribe().catch(() => {});
    await turn();
    expect(server.socket.all("subscribe").map(({ channels }) => channels)).toEqual([["room:0", "room:1", "room:2", "room:3", "room:4"].map((channel) => ({ channel }))]);
  });

  it("asks for a hundred at a time", async () => {
    const ready = Array.from({ length: 250 }, (_, i) => client.channel(`room:${i}`).subscribe());
    await turn();
    for (const { id, channels } of server.socket.all("subscribe")) {
      for (const { channel } of channels) server.socket.say({ type: "subscribed", id, channel, kind: "stream", epoch: "e1", seq: 0, messages: [] });
    }
    await Promise.all(ready);
    expect(server.socket.all("subscribe").map(({ channels }) => channels.length).sort()).toEqual([100, 100, 50]);
  });

  it("passes the listener's messages on", async () => {
    const listener = vi.fn();
    const ready = client.channel("room:1").subscribe(listener);
    await turn();
    server.socket.subscribed();
    await ready;
    server.socket.message("room:1", 1, { a: 1 }, { event: "e", from: { user: { id: 2, type: "user" }, connection: "c-2" }, priority: "high" });
    expect(listener).toHaveBeenCalledWith({
      channel: "room:1",
      seq: 1,
      timestamp: expect.any(Number),
      data: { a: 1 },
      event: "e",
      from: { user: { id: 2, type: "user" }, connection: "c-2" },
      priority: "high",
    });
  });

  it("is refused for good where the server says so", async () => {
    const room = client.channel("room:1");
    const ready = room.subscribe();
    const iterator = room[Symbol.asyncIterator]();
    await turn();
    const { id } = server.socket.last("subscribe");
    server.socket.say({ type: "error", id, request: "subscribe", channel: "room:1", code: "forbidden", message: "no" });
    await expect(ready).rejects.toMatchObject({ code: "forbidden" });
    expect(room.state).toMatchObject({ name: "failed", error: { code: "forbidden" } });
    await expect(iterator.next()).rejects.toMatchObject({ code: "forbidden" });
    await comeBack();
    expect(server.socket.all("subscribe")).toEqual([]);
    void room.subscribe().catch(() => {});
    await turn();
    expect(server.socket.all("subscribe")).toHaveLength(1);
  });

  it("tells the refusal of one from the others of its request", async () => {
    const ready = ["room:1", "room:2", "room:3"].map((name) => client.channel(name).subscribe());
    await turn();
    const { id } = server.socket.last("subscribe");
    const answer = { type: "subscribed", id, kind: "stream", epoch: "e1", seq: 0, messages: [] };
    server.socket.say({ ...answer, channel: "room:1" });
    server.socket.say({ type: "error", id, request: "subscribe", channel: "room:2", code: "channel_limit", message: "no" });
    server.socket.say({ ...answer, channel: "room:3" });
    expect((await Promise.allSettled(ready)).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  it("is refused as a whole where the server names no channel", async () => {
    const ready = ["room:1", "room:2"].map((name) => client.channel(name).subscribe());
    const settled = Promise.allSettled(ready);
    await turn();
    server.socket.say({ type: "error", id: server.socket.last("subscribe").id, request: "subscribe", code: "unauthorized", message: "no" });
    expect(await settled).toMatchObject([{ reason: { code: "unauthorized" } }, { reason: { code: "unauthorized" } }]);
  });

  it("tries again where time may help", async () => {
    const { room, seen } = { room: client.channel("room:1"), seen: record(client.channel("room:1")) };
    const ready = room.subscribe();
    await turn();
    const { id } = server.socket.last("subscribe");
    server.socket.say({ type: "error", id, request: "subscribe", channel: "room:1", code: "unavailable", message: "no", retry_after_ms: 2000 });
    expect(room.state).toMatchObject({ name: "subscribing", error: { code: "unavailable" } });
    await after(1999);
    expect(server.socket.all("subscribe")).toHaveLength(1);
    await after(1);
    server.socket.subscribed();
    await ready;
    expect(seen).toEqual(["error unavailable", "subscribed 0"]);
  });

  it("waits for the rate limit with the whole request", async () => {
    const ready = ["room:1", "room:2"].map((name) => client.channel(name).subscribe());
    await turn();
    server.socket.say({ type: "error", id: server.socket.last("subscribe").id, request: "subscribe", code: "rate_limited", message: "slow", retry_after_ms: 800 });
    await after(800);
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1" }, { channel: "room:2" }]);
    expect(server.socket.all("subscribe")).toHaveLength(2);
    server.socket.subscribed();
    await Promise.all(ready);
  });

  it("does not ask again for what was given up while it waited", async () => {
    const gone = client.channel("room:1").subscribe();
    gone.catch(() => {});
    const ready = client.channel("room:2").subscribe();
    await turn();
    server.socket.say({ type: "error", id: server.socket.last("subscribe").id, request: "subscribe", code: "rate_limited", message: "slow", retry_after_ms: 800 });
    void client.channel("room:1").unsubscribe();
    await after(800);
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:2" }]);
    server.socket.subscribed();
    await ready;
  });

  it("gives up waiting in time, but not trying", async () => {
    server.socket.cut();
    await after(0);
    const room = client.channel("room:1");
    const ready = room.subscribe();
    ready.catch(() => {});
    await after(5000);
    await expect(ready).rejects.toMatchObject({ code: "timeout", channel: "room:1" });
    expect(room.state.name).toBe("subscribing");
    server.socket.welcome();
    await turn();
    server.socket.subscribed();
    expect(room.state.name).toBe("subscribed");
  });

  it("makes a new connection where the server answers pings but no subscription", async () => {
    client.channel("room:1").subscribe().catch(() => {});
    await turn();
    await after(4999);
    expect(server.sockets).toHaveLength(1);
    await after(1);
    expect(server.socket.ended ?? server.sockets.length > 1).toBeTruthy();
    await after(1000);
    server.socket.welcome();
    await turn();
    server.socket.subscribed();
    expect(client.channel("room:1").state.name).toBe("subscribed");
  });

  it("takes no answer that makes no sense", async () => {
    const room = client.channel("room:1");
    const seen = record(room);
    room.subscribe().catch(() => {});
    for (const answer of [{ epoch: 7 }, { seq: "many" }, { epoch: "" }]) {
      await turn();
      server.socket.subscribed(answer);
      expect(room.state).toMatchObject({ name: "subscribing", error: { code: "protocol_error" } });
      await after(1000);
    }
    server.socket.subscribed({ messages: "none", members: 7, snapshot: [] });
    expect(room.state.name).toBe("subscribed");
    expect(seen).toEqual(["error protocol_error", "error protocol_error", "error protocol_error", "subscribed 0"]);
  });
});

describe("unsubscribing", () => {
  it("tells the server and ends what waits", async () => {
    const { room } = await follow();
    const iterator = room[Symbol.asyncIterator]();
    const gone = room.unsubscribe();
    await turn();
    expect(server.socket.last("unsubscribe")).toMatchObject({ channel: "room:1" });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    server.socket.say({ type: "unsubscribed", id: server.socket.last("unsubscribe").id, channel: "room:1" });
    await gone;
    server.socket.message("room:1", 1, "late");
    await comeBack();
    expect(server.socket.all("subscribe")).toEqual([]);
  });

  it("does not fail where the server knows of nothing, or says nothing", async () => {
    const { room } = await follow();
    const gone = room.unsubscribe();
    await turn();
    server.socket.refuse("unsubscribe", "not_subscribed");
    await gone;
    await room.unsubscribe();
    await follow();
    const never = client.channel("room:1").unsubscribe();
    await after(5000);
    await never;
  });

  it("before the server was asked leaves it alone", async () => {
    const room = client.channel("room:1");
    const ready = room.subscribe();
    const gone = room.unsubscribe();
    await expect(ready).rejects.toMatchObject({ code: "unsubscribed" });
    await gone;
    await turn();
    expect(server.socket.sent).toEqual([]);
  });

  it("and subscribing at once is a new beginning", async () => {
    const { room, seen } = await follow({}, { seq: 5 });
    void room.unsubscribe();
    const ready = room.subscribe();
    server.socket.message("room:1", 6, "old");
    await turn();
    expect(server.socket.sent.slice(-2).map(({ type }) => type)).toEqual(["unsubscribe", "subscribe"]);
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1" }]);
    server.socket.subscribed({ seq: 6 });
    await ready;
    server.socket.message("room:1", 7, "new");
    expect(seen).toEqual(["subscribed 5", "subscribed 6", 7]);
  });

  it("and subscribing again leaves the first answer out", async () => {
    const room = client.channel("room:1");
    const seen = record(room);
    room.subscribe().catch(() => {});
    await turn();
    void room.unsubscribe();
    const ready = room.subscribe();
    await turn();
    const [first, second] = server.socket.all("subscribe");
    const answer = { type: "subscribed", channel: "room:1", kind: "stream", epoch: "e1", messages: [] };
    server.socket.say({ ...answer, id: first!.id, seq: 3 });
    expect(room.state.name).toBe("subscribing");
    server.socket.say({ ...answer, id: second!.id, seq: 5 });
    await ready;
    server.socket.message("room:1", 6, "x");
    expect(seen).toEqual(["subscribed 5", 6]);
  });

  it("by a listener ends what the answer still holds", async () => {
    const room = client.channel("room:1", { history: 3 });
    const seen: unknown[] = [];
    room.on("message", ({ seq }) => {
      seen.push(seq);
      void room.unsubscribe();
    });
    room.subscribe().catch(() => {});
    await turn();
    server.socket.subscribed({ seq: 3, messages: [1, 2, 3].map((seq) => ({ seq, timestamp: 1, data: seq })) });
    expect(seen).toEqual([1]);
    expect(room.position).toBeNull();
  });

  it("while a subscription is on its way undoes that", async () => {
    const room = client.channel("room:1");
    const ready = room.subscribe();
    ready.catch(() => {});
    await turn();
    void room.unsubscribe();
    await turn();
    expect(server.socket.sent.map(({ type }) => type)).toEqual(["subscribe", "unsubscribe"]);
    server.socket.subscribed();
    expect(room.state.name).toBe("idle");
  });
});

describe("resuming", () => {
  it("asks for everything in one request, each from its position", async () => {
    await follow({}, { seq: 5 });
    await follow({}, { seq: 8, epoch: "e2" }, "room:2");
    server.socket.message("room:1", 6, "x");
    await comeBack();
    expect(server.socket.all("subscribe").map(({ channels }) => channels)).toEqual([
      [
        { channel: "room:1", since: { epoch: "e1", seq: 6 } },
        { channel: "room:2", since: { epoch: "e2", seq: 8 } },
      ],
    ]);
  });

  it("takes what was missed as if it had never been away", async () => {
    const { room, seen } = await follow({}, { seq: 5 });
    await comeBack();
    expect(room.state.name).toBe("subscribing");
    server.socket.subscribed({ seq: 7, recovered: true, messages: [{ seq: 6, timestamp: 1, data: "a" }, { seq: 7, timestamp: 2, data: "b" }] });
    server.socket.message("room:1", 8, "c");
    expect(seen).toEqual(["subscribed 5", "subscribed 7 true", 6, 7, 8]);
    expect(room.position).toEqual({ epoch: "e1", seq: 8 });
  });

  it("takes it as messages too, and a hole in it as a gap", async () => {
    const { room, seen } = await follow({}, { seq: 5 });
    await comeBack();
    server.socket.subscribed({ seq: 9, recovered: true });
    expect(room.position?.seq).toBe(5);
    server.socket.message("room:1", 6, "a");
    server.socket.say({ type: "gap", channel: "room:1", epoch: "e1", from: 7, to: 8 });
    server.socket.message("room:1", 9, "b");
    expect(seen).toEqual(["subscribed 5", "subscribed 9 true", 6, "gap 7-8", 9]);
  });

  it("goes on from where it was cut off in the middle of that", async () => {
    const { seen } = await follow({}, { seq: 5 });
    await comeBack();
    server.socket.subscribed({ seq: 900, recovered: true });
    server.socket.message("room:1", 6, "a");
    await comeBack();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 6 } }]);
    server.socket.subscribed({ seq: 900, recovered: true });
    server.socket.message("room:1", 7, "b");
    expect(seen).toEqual(["subscribed 5", "subscribed 900 true", 6, "subscribed 900 true", 7]);
  });

  it.each(["trimmed", "epoch", "ahead"])("says what was lost: %s", async (reason) => {
    const { room, seen } = await follow({}, { seq: 5 });
    await comeBack();
    const epoch = reason === "trimmed" ? "e1" : "e2";
    server.socket.subscribed({ epoch, seq: 20, recovered: false, reason, messages: [{ seq: 19, timestamp: 1, data: "a" }, { seq: 20, timestamp: 2, data: "b" }] });
    expect(seen).toEqual(["subscribed 5", `subscribed 20 false ${reason}`, 19, 20]);
    expect(room.position).toEqual({ epoch, seq: 20 });
  });

  it("after a loss takes the retained history as messages, from wherever it begins", async () => {
    const { room, seen } = await follow({}, { seq: 5 });
    await comeBack();
    server.socket.subscribed({ epoch: "e2", seq: 900, recovered: false, reason: "epoch" });
    server.socket.message("room:1", 301, "a");
    server.socket.message("room:1", 302, "b");
    expect(seen).toEqual(["subscribed 5", "subscribed 900 false epoch", 301, 302]);
    await comeBack();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e2", seq: 302 } }]);
    expect(room.position?.seq).toBe(302);
  });

  it("does not speak of a loss twice when it is cut off before the history came", async () => {
    const { seen } = await follow({}, { seq: 5 });
    await comeBack();
    server.socket.subscribed({ epoch: "e2", seq: 900, recovered: false, reason: "epoch" });
    await comeBack();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e2", seq: 0 } }]);
    server.socket.subscribed({ epoch: "e2", seq: 905, recovered: false, reason: "trimmed" });
    server.socket.message("room:1", 903, "a");
    expect(seen).toEqual(["subscribed 5", "subscribed 900 false epoch", "subscribed 905", "gap 901-902?", 903]);
  });

  it("believes no server that leaves the verdict out", async () => {
    const { seen } = await follow({}, { seq: 5 });
    await comeBack();
    server.socket.subscribed({ seq: 9 });
    expect(seen).toEqual(["subscribed 5", "subscribed 9 false"]);
    await comeBack();
    server.socket.subscribed({ epoch: "e9", seq: 3, recovered: true });
    expect(seen.at(-1)).toBe("subscribed 3 false");
  });

  it("keeps what is refused for a while, and gives up what is refused", async () => {
    const { room } = await follow({}, { seq: 5 });
    await comeBack();
    const { id } = server.socket.last("subscribe");
    server.socket.say({ type: "error", id, request: "subscribe", channel: "room:1", code: "unavailable", message: "no" });
    await after(1000);
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 5 } }]);
    server.socket.say({ type: "error", id: server.socket.last("subscribe").id, request: "subscribe", channel: "room:1", code: "forbidden", message: "no" });
    expect(room.state).toMatchObject({ name: "failed" });
  });

  it("begins where an earlier page left off", async () => {
    const { seen, room } = await follow({ since: { epoch: "e1", seq: 41 } }, { seq: 42, recovered: true, messages: [{ seq: 42, timestamp: 1, data: "a" }] });
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 41 } }]);
    expect(seen).toEqual(["subscribed 42 true", 42]);
    expect(room.position).toEqual({ epoch: "e1", seq: 42 });
  });

  it("of a first subscription keeps its place behind what was sent before", async () => {
    server.socket.cut();
    const session = client.channel("session:1");
    void session.publish({}, { event: "join" }).catch(() => {});
    void session.subscribe().catch(() => {});
    await after(0);
    server.socket.welcome();
    await turn();
    expect(server.socket.sent.map(({ type }) => type)).toEqual(["publish", "subscribe"]);
  });
});

describe("history", () => {
  it("comes with the answer", async () => {
    const { room, seen } = await follow({ history: 2 }, { seq: 9, messages: [{ seq: 8, timestamp: 1, data: "a" }, { seq: 9, timestamp: 2, data: "b" }] });
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", history: 2 }]);
    expect(seen).toEqual(["subscribed 9", 8, 9]);
    expect(room.position?.seq).toBe(9);
    await comeBack();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 9 } }]);
  });

  it("or after it, and is asked for again when that was cut off", async () => {
    const { seen } = await follow({ history: 600 }, { seq: 900 });
    await comeBack();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", history: 600 }]);
    server.socket.subscribed({ seq: 902 });
    server.socket.message("room:1", 303, "a");
    server.socket.message("room:1", 304, "b");
    expect(seen).toEqual(["subscribed 900", "subscribed 902", 303, 304]);
    await comeBack();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 304 } }]);
  });

  it("that has expired leaves nothing out in silence", async () => {
    const { seen } = await follow({ history: 10 }, { seq: 50 });
    server.socket.message("room:1", 51, "a");
    expect(seen).toEqual(["subscribed 50", 51]);
  });

  it("asked for again says what is missing between", async () => {
    const { seen } = await follow({ history: 2 }, { seq: 50 });
    await comeBack();
    server.socket.subscribed({ seq: 60, messages: [{ seq: 59, timestamp: 1, data: "a" }, { seq: 60, timestamp: 2, data: "b" }] });
    expect(seen).toEqual(["subscribed 50", "subscribed 60", "gap 51-58?", 59, 60]);
  });

  it.each([-1, 1.5, NaN, "5"])("of %j messages is refused", (history) => {
    expect(() => client.channel("room:x", { history: history as number })).toThrow(/`history` is a number/);
  });

  it.each([{}, { epoch: "e" }, { epoch: "", seq: 1 }, { epoch: "e", seq: "1" }])("from %j is refused", (since) => {
    expect(() => client.channel("room:x", { since: since as never })).toThrow(/`since` is a position/);
  });
});

describe("deliveries", () => {
  it("come in order, none twice, and a hole is told", async () => {
    const { seen } = await follow({}, { seq: 1 });
    for (const seq of [2, 3, 3, 2, 7, 8, 5]) server.socket.message("room:1", seq, seq);
    expect(seen).toEqual(["subscribed 1", 2, 3, "gap 4-6?", 7, 8]);
  });

  it("without a place in the log pass through", async () => {
    const { seen, room } = await follow({}, { seq: 1 });
    server.socket.say({ type: "message", channel: "room:1", timestamp: 1, data: "typing" });
    expect(seen).toEqual(["subscribed 1", "ephemeral typing"]);
    expect(room.position?.seq).toBe(1);
  });

  it("of the own publish that is not echoed leave no hole", async () => {
    const { seen, room } = await follow({}, { seq: 1 });
    const answer = room.publish("mine", { echo: false });
    await turn();
    server.socket.message("room:1", 3, "theirs");
    server.socket.published(2);
    await answer;
    server.socket.message("room:1", 4, "theirs");
    const next = room.publish("mine", { echo: false });
    await turn();
    server.socket.published(5);
    await next;
    expect(room.position?.seq).toBe(5);
    server.socket.message("room:1", 5, "mine after all");
    server.socket.message("room:1", 6, "theirs");
    expect(seen).toEqual(["subscribed 1", 3, 4, 6]);
  });

  it("with a place that is none are told and left out", async () => {
    const { seen } = await follow({}, { seq: 1 });
    for (const seq of [0, -1, 1.5, "2", null, 2 ** 60]) server.socket.message("room:1", seq as number, "x");
    server.socket.message("room:1", 3, "x", { first_seq: 4 });
    server.socket.message("room:1", 2, "fine");
    expect(seen).toEqual(["subscribed 1", ...Array(7).fill("error protocol_error"), 2]);
  });

  it("for channels that are not followed are ignored", async () => {
    const { seen } = await follow();
    server.socket.message("room:2", 1, "x");
    client.channel("room:3").on("message", () => seen.push("room:3"));
    server.socket.message("room:3", 1, "x");
    expect(seen).toEqual(["subscribed 0"]);
  });

  it("merged stand for all that they say", async () => {
    const { seen, room } = await follow({}, { seq: 1 });
    server.socket.message("room:1", 9, "merged", { first_seq: 2 });
    expect(seen).toEqual(["subscribed 1", 9]);
    room.on("message", ({ firstSeq }) => expect(firstSeq).toBe(10));
    server.socket.message("room:1", 12, "merged", { first_seq: 10 });
  });

  it("replaced by a snapshot go on behind it", async () => {
    const { seen, room } = await follow({}, { seq: 1, kind: "document", snapshot: { seq: 1, data: { a: 1 } } });
    server.socket.say({ type: "snapshot", channel: "room:1", epoch: "e1", seq: 30, data: { a: 2 } });
    server.socket.say({ type: "snapshot", channel: "room:1", epoch: "e1", seq: 20, data: { a: 0 } });
    server.socket.message("room:1", 30, "old");
    server.socket.message("room:1", 31, "new");
    expect(seen).toEqual(["snapshot 1", "subscribed 1", "snapshot 30", 31]);
    expect(room.position).toEqual({ epoch: "e1", seq: 31 });
  });

  it("begin anew when the channel does", async () => {
    const { seen, room } = await follow({}, { seq: 9 });
    server.socket.say({ type: "subscribed", channel: "room:1", kind: "stream", epoch: "e2", seq: 0, recovered: false, reason: "epoch", messages: [] });
    server.socket.message("room:1", 1, "x");
    expect(seen).toEqual(["subscribed 9", "subscribed 0 false epoch", 1]);
    expect(room.position).toEqual({ epoch: "e2", seq: 1 });
  });
});

describe("a subscription that the server ends", () => {
  it("is over", async () => {
    const { room, seen } = await follow();
    const iterator = room[Symbol.asyncIterator]();
    server.socket.say({ type: "unsubscribed", channel: "room:1", code: "revoked" });
    expect(seen).toEqual(["subscribed 0", "unsubscribed revoked"]);
    expect(room.state).toMatchObject({ name: "failed", error: { code: "revoked", message: "the server ended the subscription" } });
    await expect(iterator.next()).rejects.toMatchObject({ code: "revoked" });
    await comeBack();
    expect(server.socket.all("subscribe")).toEqual([]);
  });

  it("because its log can't be read is resumed when it can", async () => {
    const { room } = await follow({}, { seq: 4 });
    server.socket.say({ type: "unsubscribed", channel: "room:1", code: "unavailable" });
    expect(room.state).toMatchObject({ name: "subscribing", error: { code: "unavailable" } });
    await after(1000);
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 4 } }]);
  });

  it("without a reason is over too", async () => {
    const { room } = await follow();
    server.socket.say({ type: "unsubscribed", channel: "room:1" });
    expect(room.state).toMatchObject({ name: "failed", error: { code: "unsubscribed" } });
  });
});

describe("iterating", () => {
  it("subscribes, gives the messages, and ends with the subscription", async () => {
    const room = client.channel<string>("room:1");
    const seen: string[] = [];
    const done = (async () => {
      for await (const { data } of room) seen.push(data);
    })();
    await turn();
    server.socket.subscribed();
    server.socket.message("room:1", 1, "a");
    server.socket.message("room:1", 2, "b");
    await turn();
    void room.unsubscribe();
    await done;
    expect(seen).toEqual(["a", "b"]);
  });

  it("ends when the client is closed, with an error where that was not asked for", async () => {
    const quiet = client.channel("room:1")[Symbol.asyncIterator]().next();
    client.close();
    expect(await quiet).toEqual({ done: true, value: undefined });

    client = await server.connected();
    const loud = client.channel("room:1")[Symbol.asyncIterator]().next();
    await turn();
    server.socket.cut(1000, "disconnected");
    await expect(loud).rejects.toMatchObject({ code: "closed" });
  });
});

describe("after close()", () => {
  it("nothing is subscribed, and connect() resumes everything", async () => {
    const { room } = await follow({}, { seq: 3 });
    client.close();
    await expect(room.subscribe()).rejects.toMatchObject({ code: "closed" });
    await expect(client.channel("room:2").subscribe()).rejects.toMatchObject({ code: "closed" });
    expect(client.channel("room:2").state.name).toBe("idle");
    const connected = client.connect();
    await turn();
    server.socket.welcome();
    await connected;
    await turn();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 3 } }]);
  });
});

describe("a channel object", () => {
  it("is one per name", () => {
    expect(client.channel("room:1")).toBe(client.channel("room:1"));
    expect(client.channel("room:1")).not.toBe(client.channel("room:2"));
  });

  it.each(["", ":x", "room:", "$all", "room: 1"])("has no name like %j", (name) => {
    expect(() => client.channel(name)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });
});

it("passes broadcasts on", () => {
  const seen = vi.fn();
  client.on("broadcast", seen);
  server.socket.say({ type: "message", channel: "$all", timestamp: 5, event: "maintenance", data: { at: 9 } });
  server.socket.say({ type: "message", channel: "$all", timestamp: 6, seq: "x" });
  expect(seen.mock.calls).toEqual([[{ channel: "$all", timestamp: 5, event: "maintenance", data: { at: 9 } }]]);
});

it("tells how a wait ended only once", async () => {
  const room = client.channel("room:1");
  const both = [room.subscribe(), room.subscribe()];
  await turn();
  server.socket.subscribed();
  expect(await outcome(Promise.all(both))).toMatchObject({ value: [{ seq: 0 }, { seq: 0 }] });
});
