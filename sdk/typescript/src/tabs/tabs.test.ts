import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeLocks } from "../../test/fake_locks.js";
import { FakeServer } from "../../test/fake_server.js";
import { Tidewire, webSocketTransport, type Options } from "../index.js";
import { sharedSocket } from "./index.js";

interface Page {
  name: string;
  client: Tidewire;
  seen: unknown[];
  channels: BroadcastChannel[];
}

let server: FakeServer;
let locks: FakeLocks;
let pages: Page[];
const kRealChannel = BroadcastChannel;
/** Pages that are there but do nothing, as a browser freezes them. */
let frozen: Set<string>;

beforeEach(() => {
  server = new FakeServer();
  locks = new FakeLocks();
  pages = [];
  frozen = new Set();
  vi.spyOn(Math, "random").mockReturnValue(0);
});
afterEach(() => {
  for (const page of pages) {
    page.client.close();
    die(page);
  }
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function settle(): Promise<void> {
  for (let i = 0; i < 12; i += 1) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await settle();
}

function open(options: Options = {}): Page {
  const name = `page ${pages.length + 1}`;
  const channels: BroadcastChannel[] = [];
  class PageChannel extends kRealChannel {
    constructor(channel: string) {
      super(channel);
      channels.push(this as BroadcastChannel);
    }
    override set onmessage(listener: any) {
      super.onmessage = (event: any) => frozen.has(name) || listener(event);
    }
    override postMessage(message: unknown): void {
      if (!frozen.has(name)) super.postMessage(message);
    }
  }
  vi.stubGlobal("navigator", { locks: locks.page(name) });
  vi.stubGlobal("BroadcastChannel", PageChannel);
  const client = new Tidewire("ws://fake/ws", { transport: sharedSocket("ann", { transport: server }), token: () => "a.b.c", ...options });
  const page = { name, client, seen: [] as unknown[], channels };
  pages.push(page);
  client.connect().catch(() => {});
  return page;
}

/** Gone, without a word. */
function die(page: Page): void {
  for (const channel of page.channels) channel.close();
  frozen.add(page.name);
  locks.die(page.name);
}

function answerSubscribes(fields: object = {}): void {
  for (const { id, channels } of server.socket.all("subscribe")) {
    for (const { channel, since } of channels) {
      server.socket.say({ type: "subscribed", id, channel, kind: "stream", epoch: "e1", seq: 5, messages: [], ...(since ? { recovered: true } : {}), ...fields });
    }
  }
}

const names = (): string[] => pages.map(({ client }) => client.state.name);

describe("tabs", () => {
  it("share one socket", async () => {
    const [first, second, third] = [open(), open(), open()];
    await settle();
    expect(server.sockets).toHaveLength(1);
    expect(server.socket.protocols).toEqual(["tidewire.v1", "tidewire.token.a.b.c"]);
    server.socket.welcome();
    await settle();
    expect(names()).toEqual(["connected", "connected", "connected"]);
    for (const page of [first, second]) page.client.channel("room:1").subscribe(({ data }) => page.seen.push(data)).catch(() => {});
    await settle();
    answerSubscribes();
    await settle();
    const answer = third.client.channel("room:1").publish("hello");
    await settle();
    server.socket.message("room:1", 6, "hello");
    server.socket.published(6);
    expect(await answer).toMatchObject({ seq: 6 });
    await settle();
    expect([first.seen, second.seen, third.seen]).toEqual([["hello"], ["hello"], []]);
  });

  it("that come later find the socket open", async () => {
    open();
    await settle();
    server.socket.welcome();
    const late = open();
    await settle();
    expect(late.client.state.name).toBe("connected");
    expect(server.sockets).toHaveLength(1);
  });

  it("with other names share nothing", async () => {
    open();
    vi.stubGlobal("navigator", { locks: locks.page("other") });
    const other = new Tidewire("ws://fake/ws", { transport: sharedSocket("bob", { transport: server }) });
    other.connect().catch(() => {});
    await settle();
    expect(server.sockets).toHaveLength(2);
    other.close();
    expect(() => sharedSocket("")).toThrow(/needs a name/);
  });

  it("come back together when the socket ends", async () => {
    open();
    open();
    await settle();
    server.socket.welcome();
    await settle();
    server.socket.cut(1006);
    await settle();
    expect(server.sockets).toHaveLength(2);
    server.socket.welcome({ connection_id: "c-2" });
    await settle();
    expect(pages.map(({ client }) => client.session?.connectionId)).toEqual(["c-2", "c-2"]);
  });

  it("stop together when the server says so", async () => {
    open();
    open();
    await settle();
    server.socket.welcome();
    await settle();
    server.socket.cut(1000, "disconnected");
    await settle();
    expect(names()).toEqual(["closed", "closed"]);
    expect(server.sockets).toHaveLength(1);
  });
});

describe("a leader that goes", () => {
  async function three(): Promise<Page[]> {
    const all = Array.from({ length: 3 }, () => open({ heartbeatMs: 1000, pingTimeoutMs: 500, connectTimeoutMs: 500 }));
    await settle();
    server.socket.welcome();
    await settle();
    for (const page of all) page.client.channel("room:1").subscribe(({ data }) => page.seen.push(data)).catch(() => {});
    await settle();
    answerSubscribes();
    await settle();
    return all;
  }

  async function resumeOn(count: number): Promise<void> {
    await settle();
    expect(server.sockets).toHaveLength(count);
    server.socket.welcome({ connection_id: `c-${count}` });
    await settle();
    answerSubscribes();
    await settle();
    server.socket.message("room:1", 6, "after");
    await settle();
  }

  it("is followed by the next in line, and all resume there", async () => {
    const [first, second, third] = await three();
    die(first!);
    await resumeOn(2);
    expect([second!.client.session?.connectionId, third!.client.session?.connectionId]).toEqual(["c-2", "c-2"]);
    expect(server.socket.all("subscribe")[0]!.channels).toEqual([{ channel: "room:1", since: { epoch: "e1", seq: 5 } }]);
    expect([second!.seen, third!.seen]).toEqual([["after"], ["after"]]);
    die(second!);
    await settle();
    expect(server.sockets).toHaveLength(3);
  });

  it("because its client is closed leaves the lead to others", async () => {
    const [first, second, third] = await three();
    first!.client.close();
    await resumeOn(2);
    expect(server.sockets[0]!.ended).toBeTruthy();
    expect([first!.client.state.name, second!.client.state.name, third!.client.state.name]).toEqual(["closed", "connected", "connected"]);
    first!.client.connect().catch(() => {});
    await settle();
    expect(first!.client.state.name).toBe("connected");
    expect(server.sockets).toHaveLength(2);
  });

  it("is relieved when it does not answer, and follows when it wakes", async () => {
    server.answersPings = true;
    const [first] = await three();
    const old = server.socket;
    frozen.add(first!.name);
    // A heartbeat, a ping, an attempt: none is answered.
    await until(() => server.sockets.length > 1);
    frozen.delete(first!.name);
    const welcomed = new Set<unknown>();
    await until(() => {
      // Two may have taken the lead at the same time: then there is one socket more, and only one that lasts.
      if (!server.socket.ended && welcomed.size < server.sockets.length) {
        welcomed.add(server.socket);
        server.socket.welcome({ connection_id: `c-${server.sockets.length}` });
      }
      return old.ended !== undefined && pages.every(({ client }) => client.session?.connectionId === `c-${server.sockets.length}`);
    });
    expect(server.sockets.filter(({ ended }) => !ended)).toHaveLength(1);
  });
});

describe("a tab that goes", () => {
  it("is unsubscribed when it was the last one", async () => {
    open();
    const second = open();
    await settle();
    server.socket.welcome();
    await settle();
    second.client.channel("room:1").subscribe().catch(() => {});
    await settle();
    answerSubscribes();
    await settle();
    die(second);
    await settle();
    expect(server.socket.all("unsubscribe")).toMatchObject([{ channel: "room:1" }]);
  });

  it("is unsubscribed when its client is closed", async () => {
    open();
    const second = open();
    await settle();
    server.socket.welcome();
    await settle();
    second.client.channel("room:1").subscribe().catch(() => {});
    await settle();
    answerSubscribes();
    await settle();
    second.client.close();
    await settle();
    expect(server.socket.all("unsubscribe")).toMatchObject([{ channel: "room:1" }]);
    expect(server.socket.ended).toBeUndefined();
  });
});

it("is an ordinary socket where there is nothing to share with", () => {
  const transport = webSocketTransport();
  vi.stubGlobal("navigator", {});
  expect(sharedSocket("ann", { transport })).toBe(transport);
  vi.stubGlobal("navigator", { locks: locks.page("x") });
  vi.stubGlobal("BroadcastChannel", undefined);
  expect(sharedSocket("ann", { transport })).toBe(transport);
});

it("believes no note that is none", async () => {
  const page = open();
  await settle();
  server.socket.welcome();
  await settle();
  const stranger = new kRealChannel("tidewire-ann");
  for (const note of [null, 7, "x", {}, { kind: "send", from: "x" }, { kind: "message", from: "y", text: "{}" }, { kind: "close", from: "z" }, { kind: "end", from: "w" }]) {
    stranger.postMessage(note);
  }
  await settle();
  stranger.close();
  expect(page.client.state.name).toBe("connected");
});
