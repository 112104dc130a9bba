import { IDBFactory } from "fake-indexeddb";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeLocks } from "../../test/fake_locks.js";
import { FakeServer } from "../../test/fake_server.js";
import { Tidewire, type OutboxResult } from "../index.js";
import { indexedDbStore, outbox, type OutboxOptions } from "./index.js";

let server: FakeServer;
let locks: FakeLocks;
let clients: Tidewire[];
let pages: number;

beforeEach(() => {
  server = new FakeServer();
  locks = new FakeLocks();
  clients = [];
  pages = 0;
  vi.stubGlobal("indexedDB", new IDBFactory());
  vi.spyOn(Math, "random").mockReturnValue(0);
});
afterEach(() => {
  for (const client of clients) client.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** IndexedDB needs real time to pass. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setTimeout(resolve, 1));
}

interface Page {
  name: string;
  client: Tidewire;
  results: unknown[];
  problems: string[];
}

async function openPage(options: OutboxOptions & { timeoutMs?: number; user?: string; online?: boolean } = {}): Promise<Page> {
  const { timeoutMs, user = "ann", online = true, ...rest } = options;
  const name = `page ${(pages += 1)}`;
  vi.stubGlobal("navigator", { locks: locks.page(name) });
  const client = server.client({ outbox: outbox(user, rest), ...(timeoutMs ? { timeoutMs } : {}) });
  clients.push(client);
  const results: unknown[] = [];
  const problems: string[] = [];
  client.on("outbox", (result: OutboxResult) => {
    const { text } = result.entry;
    results.push([JSON.parse(text).data, "published" in result ? result.published.seq : result.error.code]);
  });
  client.on("error", ({ code }) => problems.push(code));
  client.connect().catch(() => {});
  await settle();
  if (online) server.socket.welcome();
  await settle();
  return { name, client, results, problems };
}

/** The page is gone, without a word. */
function die(page: Page): void {
  locks.die(page.name);
  server.socket.ended = { code: undefined };
}

const sent = (): unknown[] => server.socket.all("publish").map(({ data }) => data);

it("sends as without it, and keeps nothing that is answered", async () => {
  const page = await openPage();
  const answer = page.client.channel("room:1").publish("a");
  await settle();
  expect((await indexedDbStore("tidewire-outbox-ann").load()).map(({ channel }) => channel)).toEqual(["room:1"]);
  server.socket.published(1);
  expect(await answer).toMatchObject({ seq: 1 });
  await settle();
  expect(await indexedDbStore("tidewire-outbox-ann").load()).toEqual([]);
  expect(page.results).toEqual([["a", 1]]);
});

it("sends after a reload what was not answered, in its order and with its key, before anything new", async () => {
  const first = await openPage({ online: false });
  const room = first.client.channel("room:1");
  for (const data of ["a", "b", "c"]) room.publish(data).catch(() => {});
  await settle();
  die(first);

  const second = await openPage();
  void second.client.channel("room:1").publish("d").catch(() => {});
  const keys: string[] = [];
  for (let seq = 1; seq <= 4; seq += 1) {
    await settle();
    keys.push(server.socket.last("publish").key as string);
    server.socket.published(seq);
  }
  await settle();
  expect(sent()).toEqual(["a", "b", "c", "d"]);
  expect(new Set(keys).size).toBe(4);
  expect(second.results).toEqual([["a", 1], ["b", 2], ["c", 3], ["d", 4]]);
  expect(await indexedDbStore("tidewire-outbox-ann").load()).toEqual([]);
});

it("sends what was sent but not answered again with the same key", async () => {
  const first = await openPage();
  first.client.channel("room:1").publish("a").catch(() => {});
  await settle();
  const { key } = server.socket.last("publish");
  die(first);
  await openPage();
  expect(server.socket.last("publish").key).toBe(key);
});

it("leaves alone what a page that lives works on, and takes it over when that one dies", async () => {
  const first = await openPage();
  first.client.channel("room:1").publish("a").catch(() => {});
  await settle();
  const second = await openPage();
  expect(sent()).toEqual([]);
  locks.die(first.name);
  server.socket.cut();
  await settle();
  server.socket.welcome();
  await settle();
  expect(sent()).toEqual(["a"]);
  server.socket.published(1);
  await settle();
  expect(second.results).toEqual([["a", 1]]);
});

it("is one for each name", async () => {
  const first = await openPage({ user: "ann", online: false });
  first.client.channel("room:1").publish("ann's").catch(() => {});
  await settle();
  die(first);
  await openPage({ user: "bob" });
  expect(sent()).toEqual([]);
  expect(() => outbox("")).toThrow(/needs a name/);
  expect(() => outbox(undefined as never)).toThrow(/needs a name/);
});

it("tells that the wait is over, but goes on trying", async () => {
  const page = await openPage({ timeoutMs: 40 });
  const answer = page.client.channel("room:1").publish("a");
  await expect(answer).rejects.toMatchObject({ code: "timeout", queued: true });
  server.socket.published(5);
  await settle();
  expect(page.results).toEqual([["a", 5]]);
});

it("gives up what the server refuses", async () => {
  const page = await openPage();
  const answer = page.client.channel("room:1").publish("a");
  answer.catch(() => {});
  await settle();
  server.socket.refuse("publish", "forbidden");
  await expect(answer).rejects.toMatchObject({ code: "forbidden" });
  await settle();
  expect(page.results).toEqual([["a", "forbidden"]]);
  expect(await indexedDbStore("tidewire-outbox-ann").load()).toEqual([]);
});

it("keeps what waits when the client is closed, by whatever, and sends it when it is opened again", async () => {
  const page = await openPage();
  const answer = page.client.channel("room:1").publish("a");
  answer.catch(() => {});
  await settle();
  server.socket.say({ type: "auth_error", code: "token_revoked", message: "no" });
  for (let i = 0; i < 3; i += 1) {
    server.socket.cut(1008, "token_revoked");
    await settle();
  }
  expect(page.client.state).toMatchObject({ name: "closed", error: { code: "token_revoked" } });
  await expect(answer).rejects.toMatchObject({ code: "token_revoked" });
  await expect(page.client.channel("room:1").publish("b")).rejects.toMatchObject({ code: "token_revoked" });
  await settle();
  expect(page.results).toEqual([]);
  expect(await indexedDbStore("tidewire-outbox-ann").load()).toHaveLength(2);
  const connected = page.client.connect();
  await settle();
  server.socket.welcome();
  await connected;
  await settle();
  expect(sent()).toEqual(["a"]);
  server.socket.published(1);
  await settle();
  expect(sent()).toEqual(["a", "b"]);
});

it("gives up what is too old", async () => {
  const first = await openPage({ online: false });
  first.client.channel("room:1").publish("old").catch(() => {});
  await settle();
  die(first);
  const now = Date.now();
  vi.spyOn(Date, "now").mockReturnValue(now + 3_600_001);
  const second = await openPage({ maxAgeMs: 3_600_000 });
  expect(sent()).toEqual([]);
  expect(second.results).toEqual([["old", "timeout"]]);
  await settle();
  expect(await indexedDbStore("tidewire-outbox-ann").load()).toEqual([]);
});

it("is passed by where the call says so, and by ephemeral messages", async () => {
  const page = await openPage();
  page.client.channel("room:1").publish("a", { outbox: false }).catch(() => {});
  page.client.channel("room:1").publish("b", { ephemeral: true }).catch(() => {});
  await settle();
  expect(sent().sort()).toEqual(["a", "b"]);
  expect(await indexedDbStore("tidewire-outbox-ann").load()).toEqual([]);
});

describe("without what it needs", () => {
  it("still sends, and tells what it can't keep", async () => {
    vi.stubGlobal("indexedDB", undefined);
    const page = await openPage();
    const answer = page.client.channel("room:1").publish("a");
    await settle();
    server.socket.published(1);
    expect(await answer).toMatchObject({ seq: 1 });
    await settle();
    expect(new Set(page.problems)).toEqual(new Set(["outbox_failed"]));
  });

  it("sends even though the store never answers", async () => {
    const never = (): Promise<never> => new Promise(() => {});
    const page = await openPage({ store: { load: never, put: never, remove: never } });
    vi.useFakeTimers();
    page.client.channel("room:1").publish("a").catch(() => {});
    await vi.advanceTimersByTimeAsync(3000);
    expect(sent()).toEqual(["a"]);
  });

  it("works without locks", async () => {
    vi.stubGlobal("navigator", {});
    const client = server.client({ outbox: outbox("ann") });
    clients.push(client);
    client.connect().catch(() => {});
    await settle();
    server.socket.welcome();
    const answer = client.channel("room:1").publish("a");
    await settle();
    server.socket.published(1);
    expect(await answer).toMatchObject({ seq: 1 });
  });
});
