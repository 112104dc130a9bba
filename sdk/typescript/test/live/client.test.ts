// The client against the real binary, over a network that delays, stalls and cuts.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Tidewire, type Channel, type Options } from "@tidewire/client";
import { Proxy } from "./proxy.js";
import { hasBinary, kNoLimits, Server, until } from "./server.js";

const kSettings = { ...kNoLimits, TIDEWIRE_NAMESPACES_LOG_CONTENT_POLICY: "reject" };

describe.skipIf(!hasBinary)("against the real server", () => {
  let server: Server;
  let proxy: Proxy;
  let clients: Tidewire[];
  let serial = 0;

  beforeAll(async () => {
    server = await Server.start(kSettings);
  });
  afterAll(() => server?.dispose());
  beforeEach(async () => {
    serial += 1;
    clients = [];
    proxy = await Proxy.start(server.port);
  });
  afterEach(async () => {
    for (const client of clients) client.close();
    await proxy.dispose();
  });

  /** A name that no other test uses. */
  const name = (namespace = "room"): string => `${namespace}:t${serial}`;

  function open(user: string | number | null, options: Options = {}, url = server.url): Tidewire {
    const client = new Tidewire(url, {
      ...(user === null ? {} : { token: () => server.token(user) }),
      ...options,
    });
    clients.push(client);
    return client;
  }

  /** A client on the bad network. */
  const openBad = (user: string | number | null, options: Options = {}): Tidewire => open(user, options, proxy.url);

  function follow(channel: Channel<any>): { seqs: number[]; gaps: string[]; verdicts: (boolean | undefined)[] } {
    const seen = { seqs: [] as number[], gaps: [] as string[], verdicts: [] as (boolean | undefined)[] };
    channel.on("message", ({ seq }) => seen.seqs.push(seq ?? 0));
    channel.on("gap", ({ from, to }) => seen.gaps.push(`${from}-${to}`));
    channel.on("subscribed", ({ recovered }) => seen.verdicts.push(recovered));
    return seen;
  }

  const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

  it("has a first message after five lines", async () => {
    const client = open("ann");
    const room = client.channel<{ text: string }>(name());
    const heard = new Promise((resolve) => void room.subscribe((message) => resolve(message.data)));
    await room.publish({ text: "hello" });
    expect(await heard).toEqual({ text: "hello" });
  });

  it("knows who it is", async () => {
    expect(await open(7).connect()).toMatchObject({ authenticated: true, user: { id: expect.anything(), type: "user" }, tenant: "default" });
    expect(await open(null).connect()).toMatchObject({ authenticated: false, user: null });
  });

  it("is told what is wrong with its token", async () => {
    await expect(open(null, { token: "x.y.z" }).connect()).rejects.toMatchObject({ code: expect.stringMatching(/^token_/) });
    await expect(open(null, { token: server.expiredToken("ann") }).connect()).rejects.toMatchObject({ code: "token_expired" });
  });

  it("renews its token on the live connection", async () => {
    const client = open("ann", { token: () => server.token("ann", "--ttl", "6s") });
    const { connectionId, expiresAt } = await client.connect();
    // A token that lives shorter than a minute is warned of at once, and renewed at half of its time.
    await until(() => (client.session?.expiresAt ?? 0) > expiresAt! || client.session?.connectionId !== connectionId);
    expect(client.session?.connectionId).toBe(connectionId);
  });

  it("is refused where it may not go, with the code", async () => {
    const client = open("ann");
    await expect(client.channel("nowhere:1").subscribe()).rejects.toMatchObject({ code: "not_found", channel: "nowhere:1" });
    await expect(client.channel("public:1").publish(1)).rejects.toMatchObject({ code: "forbidden", request: "publish" });
    await expect(open(null).channel(name()).publish(1)).rejects.toMatchObject({ code: "unauthorized" });
  });

  it("tells what the content policy noticed, live and later, and what it refuses", async () => {
    const room = open("ann").channel<{ text: string }>(name());
    const heard: (string[] | undefined)[] = [];
    await room.subscribe(({ flags }) => heard.push(flags));
    await room.publish({ text: "<script>alert(1)</script>" });
    await room.publish({ text: "hello" });
    await until(() => heard.length === 2);
    expect(heard).toEqual([["script_tag"], undefined]);
    const { messages } = await room.history();
    expect(messages.map(({ flags }) => flags)).toEqual(heard);
    await expect(open("ann").channel(name("log")).publish("<iframe src=x>")).rejects.toMatchObject({ code: "content_rejected", rule: "iframe" });
  });

  it("gets history, in its subscription and by pages", async () => {
    const client = open("ann");
    const log = client.channel(name("log"));
    for (let i = 1; i <= 7; i += 1) await log.publish(i);
    const page = await log.history({ after: 2, limit: 3 });
    expect(page).toMatchObject({ first: 1, last: 7, messages: [{ seq: 3, data: 3 }, { seq: 4 }, { seq: 5 }] });
    await expect(log.history({ epoch: "another" })).rejects.toMatchObject({ code: "conflict" });
    const late = open("bob").channel(name("log"), { history: 3 });
    const seen = follow(late);
    await late.subscribe();
    expect(seen.seqs).toEqual([5, 6, 7]);
    expect(late.position?.seq).toBe(7);
  });

  it("takes a long history that follows the answer", async () => {
    const client = open("ann");
    const log = client.channel(name("log"));
    for (let i = 0; i < 700; i += 1) await log.publish("x".repeat(20));
    const late = open("bob").channel(name("log"), { history: 650 });
    const seen = follow(late);
    await late.subscribe();
    await until(() => seen.seqs.length === 650);
    expect(seen.seqs).toEqual(range(51, 700));
  });

  it("sees who is there", async () => {
    const watcher = open("ann").channel(name(), { presence: true });
    await watcher.subscribe();
    const bob = open("bob").channel(name());
    expect(await bob.presence.enter({ mood: "fine" })).toMatchObject([{ user: { id: "bob" }, data: { mood: "fine" } }]);
    await until(() => watcher.presence.members.length === 1);
    await bob.presence.update({ mood: "better" });
    await until(() => (watcher.presence.members[0]?.data as { mood: string })?.mood === "better");
    await bob.presence.leave();
    await until(() => watcher.presence.members.length === 0);
  });

  it("sends ephemeral messages, and keeps its own to itself", async () => {
    const mine = open("ann").channel(name());
    const theirs = open("bob").channel(name());
    const [mineSeen, theirsSeen] = [follow(mine), follow(theirs)];
    await Promise.all([mine.subscribe(), theirs.subscribe()]);
    expect(await mine.publish("typing", { event: "typing", ephemeral: true, echo: false })).toEqual({ channel: name(), ephemeral: true });
    await mine.publish("a", { echo: false });
    await theirs.publish("b");
    await until(() => theirsSeen.seqs.length === 3 && mineSeen.seqs.length === 1);
    expect(mineSeen).toMatchObject({ seqs: [2], gaps: [] });
    expect(theirsSeen.seqs).toEqual([0, 1, 2]);
    expect(mine.position?.seq).toBe(2);
  });

  it("hears broadcasts", async () => {
    const client = open("ann");
    await client.connect();
    const heard = client.events("broadcast").next();
    await server.api("POST", "/api/v1/broadcast", { event: "maintenance", data: { at: 5 } });
    expect((await heard).value).toMatchObject({ event: "maintenance", data: { at: 5 } });
  });

  it("is ended by an operator for good", async () => {
    const client = open(`op${serial}`);
    await client.connect();
    await server.api("POST", `/api/v1/users/op${serial}/disconnect`);
    await until(() => client.state.name === "closed");
    expect(client.state).toMatchObject({ error: { code: "closed" } });
  });

  it("asks for another token when its own is revoked, and gives up when that is refused too", async () => {
    const old = server.token(`rev${serial}`);
    const client = open(null, { token: () => old });
    await client.connect();
    await server.api("POST", `/api/v1/users/rev${serial}/revoke`);
    await until(() => client.state.name === "closed");
    expect(client.state).toMatchObject({ error: { code: "token_revoked" } });
  });

  describe("over a bad network", () => {
    it("misses nothing and repeats nothing over many cuts", async () => {
      const reader = openBad("ann").channel(name("log"));
      const seen = follow(reader);
      await reader.subscribe();
      const writer = open("bob").channel(name("log"));
      for (let i = 1; i <= 300; i += 1) {
        await writer.publish(i);
        if (i % 20 === 0) proxy.cut();
      }
      await until(() => seen.seqs.length >= 300);
      expect(seen.seqs).toEqual(range(1, 300));
      expect(seen.gaps).toEqual([]);
      expect(new Set(seen.verdicts.slice(1))).toEqual(new Set([true]));
    });

    it("publishes each message once over many cuts, in their order", async () => {
      const writer = openBad("ann");
      const log = writer.channel<number>(name("log"));
      // The wait between attempts is not what this is about.
      writer.on("state", ({ name: state }) => state === "waiting" && writer.connect().catch(() => {}));
      await writer.connect();
      const answers = range(1, 60).map((i) => {
        const answer = log.publish(i);
        // A cut while the next one is on its way, whose answer is lost or not.
        if (i % 5 === 0) void answer.then(() => setImmediate(() => proxy.cut()));
        return answer;
      });
      expect((await Promise.all(answers)).map(({ seq }) => seq)).toEqual(range(1, 60));
      expect(proxy.count).toBeGreaterThan(5);
      const page = await open("bob").channel<number>(name("log")).history({ limit: 1000 });
      expect(page.messages.map(({ data }) => data)).toEqual(range(1, 60));
    });

    it("goes on where it was cut in the middle of a catch-up", async () => {
      const writer = open("bob").channel(name("log"));
      const client = openBad("ann");
      const reader = client.channel(name("log"));
      const seen = follow(reader);
      await reader.subscribe();
      proxy.isDown = true;
      proxy.cut();
      for (let i = 0; i < 600; i += 1) await writer.publish("x".repeat(200));
      // In the middle of messages, in the middle of an answer, in the first message.
      proxy.cutsAfterBytes.push(60_000, 60_000, 300);
      proxy.isDown = false;
      client.on("state", ({ name: state }) => state === "waiting" && client.connect().catch(() => {}));
      client.connect().catch(() => {});
      await until(() => seen.seqs.length >= 600);
      expect(seen.seqs).toEqual(range(1, 600));
      expect(seen.gaps).toEqual([]);
      expect(proxy.count).toBe(5);
    });

    it("notices a connection that has gone silent", async () => {
      const client = openBad("ann", { heartbeatMs: 1000, pingTimeoutMs: 300 });
      const room = client.channel(name());
      await room.subscribe();
      proxy.stall();
      const states = client.events("state");
      const answer = room.publish("through");
      expect((await states.next()).value).toMatchObject({ name: "waiting", error: { code: "timeout" } });
      expect(await answer).toMatchObject({ seq: 1 });
      expect(proxy.count).toBe(2);
    });

    it("works with delay", async () => {
      proxy.delayMs = 40;
      const client = openBad("ann");
      const room = client.channel<number>(name());
      const seen = follow(room);
      await room.subscribe();
      await Promise.all(range(1, 5).map((i) => room.publish(i)));
      await until(() => seen.seqs.length === 5);
      expect(seen.seqs).toEqual(range(1, 5));
    });

    it("keeps trying while there is no way, and tells so", async () => {
      proxy.isDown = true;
      const client = openBad("ann", { timeoutMs: 300 });
      // In the middle of an attempt, or between two.
      await expect(client.connect()).rejects.toMatchObject({ code: expect.stringMatching(/^(timeout|connection_lost)$/) });
      await expect(client.channel(name()).publish(1)).rejects.toMatchObject({ code: "timeout" });
      proxy.isDown = false;
      await until(() => client.state.name === "connected");
    });

    it("resumes hundreds of channels at once", async () => {
      const client = openBad("ann");
      const rooms = range(1, 300).map((i) => client.channel(`${name()}-${i}`));
      await Promise.all(rooms.map((room) => room.subscribe()));
      const seen = rooms.map(follow);
      proxy.cut();
      await until(() => seen.every(({ verdicts }) => verdicts.length === 1));
      expect(seen.every(({ verdicts }) => verdicts[0] === true)).toBe(true);
    });
  });
});

describe.skipIf(!hasBinary)("when the server goes", () => {
  let server: Server;
  let client: Tidewire;

  beforeEach(async () => {
    server = await Server.start(kSettings);
    client = new Tidewire(server.url, { token: () => server.token("ann") });
  });
  afterEach(async () => {
    client?.close();
    await server?.dispose();
  });

  it.each(["kill", "stop"] as const)("by %s, a durable channel is resumed and a memory one says what it lost", async (how) => {
    const log = client.channel<number>("log:1");
    const room = client.channel<number>("room:1");
    const verdicts: unknown[] = [];
    for (const channel of [log, room]) {
      await channel.subscribe();
      channel.on("subscribed", ({ recovered, reason }) => verdicts.push([channel.name, recovered, reason]));
    }
    await Promise.all([log.publish(1), room.publish(1)]);
    await server[how]();
    const waiting = log.publish(2);
    await server.restart();
    expect(await waiting).toMatchObject({ seq: 2 });
    await until(() => verdicts.length === 2);
    expect(new Map(verdicts.map(([name, ...verdict]: any) => [name, verdict]))).toEqual(
      new Map<string, unknown[]>([
        ["log:1", [true, undefined]],
        ["room:1", [false, "epoch"]],
      ]),
    );
    expect(log.position).toMatchObject({ seq: 2 });
  });
});

describe.skipIf(!hasBinary)("the server's own limits", () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start({ TIDEWIRE_LIMITS_MESSAGES_PER_MINUTE: "600", TIDEWIRE_LIMITS_BURST: "5", TIDEWIRE_LIMITS_ADAPTIVE: "false" });
  });
  afterAll(() => server?.dispose());

  it("are met by waiting: a burst of messages arrives whole, in order, and nothing is refused", async () => {
    const client = new Tidewire(server.url, { token: () => server.token("ann") });
    try {
      const room = client.channel<number>("room:1");
      const answers = await Promise.all(Array.from({ length: 25 }, (_, i) => room.publish(i)));
      expect(answers.map(({ seq }) => seq)).toEqual(Array.from({ length: 25 }, (_, i) => i + 1));
    } finally {
      client.close();
    }
  });

  it("are met again when others of the same address have used them up", async () => {
    const clients = Array.from({ length: 6 }, () => new Tidewire(server.url, { token: () => server.token("bob"), timeoutMs: 60_000 }));
    try {
      const answers = await Promise.all(clients.map((client) => Promise.all(Array.from({ length: 6 }, (_, i) => client.channel<number>("room:2").publish(i)))));
      expect(answers.flat().map(({ seq }) => seq).sort((a, b) => a! - b!)).toEqual(Array.from({ length: 36 }, (_, i) => i + 1));
    } finally {
      for (const client of clients) client.close();
    }
  });
});
