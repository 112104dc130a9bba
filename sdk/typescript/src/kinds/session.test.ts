import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, turn } from "../../test/fake_server.js";
import type { Tidewire } from "../client.js";
import { openSession, type SessionChannel } from "./index.js";

let server: FakeServer;
let client: Tidewire;
let chat: SessionChannel<{ text: string }>;

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  server = new FakeServer();
  client = await server.connected();
  chat = openSession(client, "session:1", { history: 50 });
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function follow(seq = 10, fields: object = {}): Promise<void> {
  const ready = chat.subscribe();
  await turn();
  const members = [
    { user: 1, role: "owner", read: 8, unread: 2 },
    { user: "bob", role: "member", read: 10, unread: 0 },
  ];
  server.socket.subscribed({ kind: "session", seq, snapshot: { seq, data: { members, last_seq: seq } }, ...fields });
  await ready;
}

function event(seq: number, by: unknown, name: string | undefined, data: unknown): void {
  server.socket.message("session:1", seq, data, { ...(name ? { event: name } : {}), from: { user: { id: by, type: "user" } } });
}

const unread = (): unknown => Object.fromEntries(chat.members.map((member) => [member.user, member.unread]));

it("begins with its members and history, which is not counted again", async () => {
  const seen: unknown[] = [];
  chat.on("message", ({ seq }) => seen.push(seq));
  await follow(10, { messages: [{ seq: 9, timestamp: 1, data: { text: "a" }, from: { user: { id: "bob" } } }, { seq: 10, timestamp: 2, data: { text: "b" }, from: { user: { id: "bob" } } }] });
  expect(seen).toEqual([9, 10]);
  expect(chat.own).toEqual({ user: 1, role: "owner", read: 8, unread: 2 });
  expect(chat.lastSeq).toBe(10);
});

it("counts what others wrote as unread, until it is read or deleted", async () => {
  await follow();
  event(11, "bob", undefined, { text: "x" });
  event(12, 1, "message", { text: "y" });
  event(13, "bob", "message", { text: "z" });
  expect(unread()).toEqual({ 1: 4, bob: 1 });
  event(14, "bob", "delete", { seq: 13 });
  expect(unread()).toEqual({ 1: 3, bob: 1 });
  event(15, 1, "read", { seq: 11 });
  expect(unread()).toEqual({ 1: 0, bob: 1 });
  event(16, "bob", "read", { seq: 15 });
  expect(unread()).toEqual({ 1: 0, bob: 0 });
  event(17, "bob", "edit", { seq: 11, text: "X" });
  event(18, "bob", "custom", { any: 1 });
  expect(unread()).toEqual({ 1: 0, bob: 0 });
  expect(chat.lastSeq).toBe(18);
});

it("can only bound what was unread before it came", async () => {
  await follow();
  event(11, "bob", undefined, { text: "x" });
  event(12, 1, "read", { seq: 9 });
  expect(unread()).toEqual({ 1: 2, bob: 0 });
});

it("follows who joins and leaves, and who owns it then", async () => {
  await follow();
  event(11, 1, "join", { user: 7 });
  event(12, 1, "join", { user: 7 });
  expect(chat.members.at(-1)).toEqual({ user: 7, role: "member", read: 11, unread: 0 });
  event(13, 1, "leave", {});
  expect(chat.members).toMatchObject([{ user: "bob", role: "owner" }, { user: 7, role: "member" }]);
  event(14, "bob", "leave", { user: "7" });
  event(15, "bob", "leave", {});
  expect(chat.members).toEqual([]);
  event(16, 9, "join", {});
  expect(chat.members).toEqual([{ user: 9, role: "owner", read: 16, unread: 0 }]);
});

it("believes no nonsense", async () => {
  await follow();
  const before = chat.members;
  for (const [i, data] of [null, 7, "x", [], {}].entries()) event(11 + i, undefined, "delete", data);
  expect(chat.members).toEqual(before);
  server.socket.say({ type: "snapshot", channel: "session:1", epoch: "e1", seq: 30, data: { members: "all" } });
  expect(chat.members).toEqual([]);
  expect(chat.lastSeq).toBe(30);
});

describe("what a member does", () => {
  const last = (): unknown => {
    const { event: name, data } = server.socket.last("publish");
    return [name, data];
  };
  async function done(promise: Promise<unknown>): Promise<unknown> {
    await turn();
    const sent = last();
    server.socket.published(20);
    await promise;
    return sent;
  }

  it("goes out as events", async () => {
    await follow();
    expect(await done(chat.publish({ text: "hi" }))).toEqual([undefined, { text: "hi" }]);
    expect(await done(chat.join())).toEqual(["join", {}]);
    expect(await done(chat.join("bob"))).toEqual(["join", { user: "bob" }]);
    expect(await done(chat.edit(9, { text: "hi!" }))).toEqual(["edit", { text: "hi!", seq: 9 }]);
    expect(await done(chat.remove(9))).toEqual(["delete", { seq: 9 }]);
    expect(await done(chat.read(9))).toEqual(["read", { seq: 9 }]);
    expect(await done(chat.leave())).toEqual(["leave", {}]);
    expect(await done(chat.leave(7))).toEqual(["leave", { user: 7 }]);
  });

  it("marks all as read, and nothing twice", async () => {
    await follow();
    expect(await done(chat.read())).toEqual(["read", { seq: 10 }]);
    event(11, 1, "read", { seq: 10 });
    await chat.read(10);
    await chat.read(3);
    expect(server.socket.all("publish")).toHaveLength(1);
  });

  it("shows typing now and then, whatever comes of it", async () => {
    await follow();
    for (let i = 0; i < 10; i += 1) chat.typing();
    await turn();
    expect(server.socket.all("publish")).toMatchObject([{ event: "typing", ephemeral: true, echo: false }]);
    server.socket.refuse("publish", "forbidden");
    await vi.advanceTimersByTimeAsync(3000);
    chat.typing();
    await turn();
    expect(server.socket.all("publish")).toHaveLength(2);
    server.socket.cut();
    await vi.advanceTimersByTimeAsync(0);
    chat.typing();
  });
});

it("does not wait for messages after a loss, since the snapshot is all that comes", async () => {
  const seen: unknown[] = [];
  chat.on("gap", ({ from, to }) => seen.push([from, to]));
  await follow(10);
  server.socket.message("session:1", 11, { text: "x" });
  server.socket.cut();
  await vi.advanceTimersByTimeAsync(0);
  server.socket.welcome();
  await turn();
  server.socket.subscribed({ kind: "session", seq: 90, recovered: false, reason: "trimmed", snapshot: { seq: 90, data: { members: [], last_seq: 90 } } });
  expect(chat.position).toEqual({ epoch: "e1", seq: 90 });
  event(91, "bob", "message", { text: "y" });
  expect(seen).toEqual([]);
});

it("takes a long history that follows its snapshot, also when it is cut off before that", async () => {
  const seen: unknown[] = [];
  chat.on("message", ({ seq }) => seen.push(seq));
  await follow(900);
  server.socket.cut();
  await vi.advanceTimersByTimeAsync(0);
  server.socket.welcome();
  await turn();
  expect(server.socket.last("subscribe").channels).toEqual([{ channel: "session:1", history: 50 }]);
  server.socket.subscribed({ kind: "session", seq: 901, snapshot: { seq: 901, data: { members: [], last_seq: 901 } } });
  event(852, "bob", "message", { text: "x" });
  event(853, "bob", "message", { text: "y" });
  expect(seen).toEqual([852, 853]);
  expect(chat.lastSeq).toBe(901);
});
