// The kinds of channel against the real binary.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openAgentRun, openDocument, openInbox, openSession, openUpload } from "@tidewire/client/kinds";
import { Tidewire } from "@tidewire/client";
import { Proxy } from "./proxy.js";
import { hasBinary, kNoLimits, Server, until } from "./server.js";

describe.skipIf(!hasBinary)("against the real server", () => {
  let server: Server;
  let proxy: Proxy;
  let clients: Tidewire[];
  let serial = 0;

  beforeAll(async () => {
    server = await Server.start(kNoLimits);
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

  /** A user of this test alone, who comes back at once. */
  function open(user: string, url = server.url, ...grants: string[]): Tidewire {
    const token = server.token(`${user}${serial}`, ...grants.flatMap((grant) => ["--grant", grant]));
    const client = new Tidewire(url, { token: () => token });
    client.on("state", ({ name }) => name === "waiting" && client.connect().catch(() => {}));
    clients.push(client);
    return client;
  }

  describe("a document", () => {
    it("is the same for all, whoever edits it and however", async () => {
      const mine = openDocument<any>(open("ann"), `doc:${serial}`);
      const theirs = openDocument<any>(open("bob"), `doc:${serial}`);
      await Promise.all([mine.subscribe(), theirs.subscribe()]);
      expect(mine.value).toBeNull();
      await mine.set({ title: "Trip", steps: ["pack"] });
      await theirs.merge({ owner: { name: "Bob" } });
      await mine.patch([{ op: "add", path: "/steps/-", value: "go" }, { op: "test", path: "/owner/name", value: "Bob" }]);
      await theirs.merge({ owner: null });
      await until(() => mine.seq === 4 && theirs.seq === 4);
      expect(mine.value).toEqual({ title: "Trip", steps: ["pack", "go"] });
      expect(theirs.value).toEqual(mine.value);
      expect(openDocument(open("carol"), `doc:${serial}`).value).toBeUndefined();
    });

    it("rolls back what conflicts, and what does not apply", async () => {
      const mine = openDocument<any>(open("ann"), `doc:${serial}`);
      await mine.subscribe();
      await mine.set({ n: 1 });
      await until(() => mine.seq === 1);
      await openDocument<any>(open("bob"), `doc:${serial}`).merge({ by: "bob" });
      const edit = mine.merge({ n: 2 }, { ifSeq: 1 });
      expect(mine.value).toMatchObject({ n: 2 });
      await expect(edit).rejects.toMatchObject({ code: "conflict", seq: 2 });
      await until(() => mine.seq === 2);
      expect(mine.value).toEqual({ n: 1, by: "bob" });
      await expect(mine.patch([{ op: "remove", path: "/nothing" }])).rejects.toMatchObject({ code: "invalid_event" });
      expect(mine.value).toEqual({ n: 1, by: "bob" });
    });

    it("counts right when many count at once", async () => {
      const counters = ["a", "b", "c"].map((user) => openDocument<{ n: number }>(open(user, proxy.url), `doc:${serial}`));
      await Promise.all(counters.map((one) => one.subscribe()));
      const work = counters.map(async (one) => {
        for (let i = 0; i < 10; i += 1) await one.update((old) => ({ n: (old?.n ?? 0) + 1 }), { attempts: 1000 });
      });
      await new Promise((resolve) => setTimeout(resolve, 20));
      proxy.cut();
      await Promise.all(work);
      await until(() => counters.every(({ value }) => value?.n === 30));
    });

    it("stays right over cuts, snapshots and conflation", async () => {
      const writer = openDocument<Record<string, number>>(open("ann", server.url, "dashboard:*=subscribe,publish"), `dashboard:${serial}`);
      const reader = openDocument<Record<string, number>>(open("bob", proxy.url, "dashboard:*=subscribe"), `dashboard:${serial}`);
      await reader.subscribe();
      for (let i = 0; i < 200; i += 1) {
        void writer.merge({ [`k${i % 7}`]: i }).catch(() => {});
        if (i % 40 === 39) {
          await writer.merge({ at: i });
          proxy.cut();
        }
      }
      await until(() => reader.value?.k3 === 199 && reader.value?.at === 199);
      expect(reader.value).toEqual({ k0: 196, k1: 197, k2: 198, k3: 199, k4: 193, k5: 194, k6: 195, at: 199 });
    });
  });

  describe("an inbox", () => {
    const notify = (data: unknown, fields: object = {}): Promise<any> => server.api("POST", `/api/v1/users/ann${serial}/notify`, { data, ...fields });

    it("holds what came while nobody was there, and is in step on all devices", async () => {
      await notify("low", { priority: "low" });
      await notify("first");
      await notify("urgent", { priority: "critical" });
      const [phone, laptop] = [open("ann"), open("ann", proxy.url)];
      await Promise.all([phone.connect(), laptop.connect()]);
      const [here, there] = [openInbox<string>(phone), openInbox<string>(laptop)];
      const given: string[] = [];
      here.on("message", ({ data }) => given.push(data));
      await Promise.all([here.subscribe(), there.subscribe()]);
      expect(here.entries.map(({ data }) => data)).toEqual(["urgent", "first", "low"]);
      expect(here.counts).toEqual({ critical: 1, high: 0, medium: 1, low: 1 });
      await here.ack(here.entries[0]!);
      await until(() => there.entries.length === 2);
      proxy.cut();
      await here.ackAll();
      await notify("new");
      await until(() => there.entries.map(({ data }) => data).join() === "new" && here.entries.length === 1);
      expect(given).toEqual(["urgent", "first", "low", "new"]);
    });

    it("is not another's", async () => {
      const client = open("bob");
      await client.connect();
      await expect(openInbox(client, `ann${serial}`).subscribe()).rejects.toMatchObject({ code: "forbidden" });
    });
  });

  describe("a session", () => {
    it("has members who write, read, type and leave", async () => {
      const [ann, bob] = [open("ann"), open("bob", proxy.url)];
      const mine = openSession<{ text: string }>(ann, `session:${serial}`, { history: 50 });
      const theirs = openSession<{ text: string }>(bob, `session:${serial}`, { history: 50 });
      await mine.join();
      await mine.subscribe();
      await mine.join(`bob${serial}`);
      await mine.publish({ text: "hi" });
      await theirs.subscribe();
      expect(theirs.members.map(({ user, role }) => [user, role])).toEqual([
        [`ann${serial}`, "owner"],
        [`bob${serial}`, "member"],
      ]);
      expect(theirs.own).toMatchObject({ unread: 1 });
      const typing = mine.events("message");
      theirs.typing();
      expect((await typing.next()).value).toMatchObject({ event: "typing", from: { user: { id: `bob${serial}` } } });
      proxy.cut();
      await mine.publish({ text: "there?" });
      await until(() => theirs.own?.unread === 2);
      await theirs.read();
      await until(() => mine.members[1]?.unread === 0 && theirs.own?.unread === 0);
      await expect(theirs.edit(3, { text: "forged" })).rejects.toMatchObject({ code: "forbidden" });
      await mine.edit(3, { text: "hello" });
      await mine.remove(3);
      await theirs.leave();
      await until(() => mine.members.length === 1);
      await until(() => theirs.state.name === "failed");
    });

    it("agrees with the server on what is unread", async () => {
      const users = ["a", "b", "c"];
      const chats = users.map((user) => openSession<number>(open(user, proxy.url), `session:${serial}`));
      await chats[0]!.join();
      await chats[0]!.join(`b${serial}`);
      await chats[0]!.join(`c${serial}`);
      await Promise.all(chats.map((chat) => chat.subscribe()));
      for (let i = 0; i < 60; i += 1) {
        const chat = chats[(i * 7) % 3]!;
        if (i % 5 === 4) await chat.read();
        else if (i % 11 === 10) await chat.remove((await chat.publish(i)).seq!);
        else await chat.publish(i);
        if (i % 17 === 16) proxy.cut();
      }
      const { lastSeq } = chats[0]!;
      await until(() => chats.every((chat) => chat.lastSeq >= lastSeq));
      const { data } = await server.api("GET", `/api/v1/channels/${encodeURIComponent(`session:${serial}`)}/snapshot`);
      await until(() => chats.every((chat) => chat.lastSeq === data.last_seq));
      for (const chat of chats) expect(chat.members).toEqual(data.members);
    });

    it("puts what its members miss into their inboxes", async () => {
      const mine = openSession<{ text: string }>(open("ann"), `session:${serial}`);
      await mine.join();
      await mine.join(`bob${serial}`);
      await mine.publish({ text: "are you there?" });
      const bob = open("bob");
      await bob.connect();
      const inbox = openInbox(bob);
      await inbox.subscribe();
      expect(inbox.entries).toMatchObject([{ event: "session_message", data: { channel: `session:${serial}`, data: { text: "are you there?" } } }]);
    });
  });

  it("an upload shows its progress, and the server's figures are the client's", async () => {
    const upload = openUpload(open("ann"), `upload:${serial}`);
    const watched = openUpload(open("bob", proxy.url, "upload:*=subscribe"), `upload:${serial}`);
    await watched.subscribe();
    for (let bytes = 0; bytes <= 500; bytes += 1) void upload.progress(bytes, 1000);
    await upload.progress(600, 1000);
    await until(() => watched.value.bytes === 600);
    expect(watched.value).toMatchObject({ status: "active", total: 1000, percent: 60 });
    proxy.cut();
    await upload.progress(700);
    await upload.complete();
    await until(() => watched.ended);
    const { data } = await server.api("GET", `/api/v1/channels/${encodeURIComponent(`upload:${serial}`)}/snapshot`);
    expect(watched.value).toMatchObject({ status: data.status, bytes: data.bytes, total: data.total, percent: data.percent });
    await expect(upload.progress(800)).rejects.toMatchObject({ code: "invalid_event" });
  });

  it("an agent's run streams its text over cuts, no token twice and none missing", async () => {
    const run = openAgentRun(open("ann"), `agent:${serial}`);
    const early = openAgentRun(open("bob", proxy.url, "agent:*=subscribe"), `agent:${serial}`);
    await early.subscribe();
    await run.start({ model: "m" });
    await run.toolCall({ id: "t1", name: "search" });
    let text = "";
    for (let i = 0; i < 200; i += 1) {
      const token = `${i} é😀 `;
      text += token;
      const sent = run.delta(token);
      if (i % 20 === 19) await sent;
      if (i % 50 === 49) proxy.cut();
    }
    await run.toolResult({ id: "t1", result: { hits: 3 } });
    const late = openAgentRun(open("carol", server.url, "agent:*=subscribe"), `agent:${serial}`);
    await late.subscribe();
    await run.complete({ usage: { tokens: 200 } });
    await until(() => early.ended && late.ended);
    for (const reader of [early, late]) {
      expect(reader.value.text).toBe(text);
      expect(reader.value).toMatchObject({ status: "complete", tools: [{ id: "t1", name: "search", result: { hits: 3 } }], usage: { tokens: 200 } });
    }
    expect(early.value).toEqual(late.value);
  });

  it("an agent's run is cancelled by who reads it", async () => {
    const run = openAgentRun(open("ann"), `agent:${serial}`);
    const reader = openAgentRun(open("bob", server.url, "agent:*=subscribe"), `agent:${serial}`);
    await run.start();
    await run.subscribe();
    await reader.cancel({ reason: "enough" });
    await until(() => run.ended);
    expect(run.value).toMatchObject({ status: "cancelled", reason: "enough" });
    await expect(run.delta("more")).rejects.toMatchObject({ code: "invalid_event" });
  });

  it("a run that was opened before it began is followed once it has", async () => {
    const run = openAgentRun(open("ann"), `agent:${serial}`);
    await expect(run.subscribe()).rejects.toMatchObject({ code: "forbidden" });
    await run.delta("Hello");
    await until(() => run.value.text === "Hello");
  });
});
