import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { FakeServer, turn } from "../test/fake_server.js";
import type { Channel } from "./channel.js";
import type { Tidewire } from "./client.js";
import type { PresenceChange } from "./presence.js";

const kAnn = { user: { id: 1, type: "user" }, connections: 1, data: { name: "Ann" }, since: 5 };
const kBob = { user: { id: "bob", type: "user" }, connections: 2, data: null, since: 6 };

let server: FakeServer;
let client: Tidewire;
let room: Channel;
let changes: PresenceChange[];

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  server = new FakeServer();
  client = await server.connected();
  room = client.channel("room:1", { presence: true });
  changes = [];
  room.on("presence", (change) => changes.push(change));
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function follow(answer: object): Promise<void> {
  const ready = room.subscribe();
  await turn();
  server.socket.subscribed(answer);
  await ready;
}

async function comeBack(): Promise<void> {
  server.socket.cut();
  await vi.advanceTimersByTimeAsync(0);
  server.socket.welcome();
  await turn();
}

function answer(members: unknown): void {
  const { id, channel } = server.socket.last("presence");
  server.socket.say({ type: "presence", id, channel, members });
}

it("is the list of the subscription and what happens to it from then on", async () => {
  await follow({ members: [kAnn] });
  expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:1", presence: true }]);
  expect(room.presence.members).toEqual([kAnn]);
  server.socket.say({ type: "presence_event", channel: "room:1", action: "enter", member: kBob });
  const busy = { ...kAnn, data: { busy: true } };
  server.socket.say({ type: "presence_event", channel: "room:1", action: "update", member: busy });
  expect(room.presence.members).toEqual([kBob, busy]);
  server.socket.say({ type: "presence_event", channel: "room:1", action: "leave", member: { ...kBob, connections: 0 } });
  expect(room.presence.members).toEqual([busy]);
  expect(changes.map(({ action, member }) => [action, member?.user.id])).toEqual([
    [undefined, undefined],
    ["enter", "bob"],
    ["update", 1],
    ["leave", "bob"],
  ]);
});

it("is another array after each change, for whoever compares", async () => {
  await follow({ members: [kAnn] });
  const before = room.presence.members;
  server.socket.say({ type: "presence_event", channel: "room:1", action: "enter", member: kBob });
  expect(room.presence.members).not.toBe(before);
  expect(before).toEqual([kAnn]);
});

it("knows one user by one id, however it is spelled", async () => {
  await follow({ members: [kAnn] });
  server.socket.say({ type: "presence_event", channel: "room:1", action: "leave", member: { ...kAnn, user: { id: "1", type: "user" } } });
  expect(room.presence.members).toEqual([]);
});

it("is replaced by the whole list for who was too slow", async () => {
  await follow({ members: [kAnn] });
  server.socket.say({ type: "presence", channel: "room:1", members: [kBob] });
  expect(room.presence.members).toEqual([kBob]);
});

it("takes a place, changes it and leaves it", async () => {
  const entered = room.presence.enter({ name: "me" });
  await turn();
  expect(server.socket.last("presence")).toMatchObject({ channel: "room:1", action: "enter", data: { name: "me" } });
  answer([kAnn, kBob]);
  expect(await entered).toEqual([kAnn, kBob]);
  const updated = room.presence.update({ name: "you" });
  await turn();
  answer([kBob, kAnn]);
  expect(await updated).toEqual([kBob, kAnn]);
  const left = room.presence.leave();
  await turn();
  expect(server.socket.last("presence")).toMatchObject({ action: "leave" });
  answer([]);
  expect(await left).toEqual([]);
});

it("takes its place again on the next connection, until it has left", async () => {
  const entered = room.presence.enter({ name: "me" });
  await turn();
  answer([kAnn]);
  await entered;
  const updated = room.presence.update({ name: "you" });
  await turn();
  answer([kAnn]);
  await updated;
  await comeBack();
  expect(server.socket.all("presence")).toMatchObject([{ action: "enter", data: { name: "you" } }]);
  await comeBack();
  expect(server.socket.all("presence")).toMatchObject([{ action: "enter", data: { name: "you" } }]);
  answer([kAnn]);
  await turn();
  void room.presence.leave().catch(() => {});
  await comeBack();
  expect(server.socket.all("presence")).toMatchObject([{ action: "leave" }]);
});

it("does not take a place that was refused", async () => {
  const entered = room.presence.enter();
  await turn();
  server.socket.refuse("presence", "forbidden");
  await expect(entered).rejects.toMatchObject({ code: "forbidden" });
  await comeBack();
  expect(server.socket.all("presence")).toEqual([]);
});

it("can be followed later, without a new subscription", async () => {
  room = client.channel("room:2");
  await follow({ seq: 7 });
  expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:2" }]);
  room.presence.watch();
  room.presence.watch();
  await turn();
  expect(server.socket.all("subscribe")).toHaveLength(2);
  expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:2", presence: true }]);
  server.socket.subscribed({ seq: 12, members: [kAnn] });
  expect(room.presence.members).toEqual([kAnn]);
  expect(room.position?.seq).toBe(7);
  await comeBack();
  expect(server.socket.last("subscribe").channels).toContainEqual({ channel: "room:2", since: { epoch: "e1", seq: 7 }, presence: true });
});

it("that the namespace does not have ends no subscription", async () => {
  room = client.channel("room:2");
  await follow({ seq: 7 });
  const errors = vi.fn();
  room.on("error", errors);
  room.presence.watch();
  await turn();
  const { id } = server.socket.last("subscribe");
  server.socket.say({ type: "error", id, request: "subscribe", channel: "room:2", code: "forbidden", message: "presence is off" });
  expect(errors).toHaveBeenCalledWith(expect.objectContaining({ code: "forbidden" }));
  expect(room.state.name).toBe("subscribed");
  await comeBack();
  expect(server.socket.last("subscribe").channels).toEqual([{ channel: "room:2", since: { epoch: "e1", seq: 7 } }]);
});

it("believes no nonsense", async () => {
  await follow({ members: [kAnn, "x", { user: 7 }, null] });
  expect(room.presence.members).toEqual([kAnn]);
  for (const event of [{}, { action: "enter" }, { action: 7, member: kBob }, { action: "enter", member: { user: {} } }]) {
    server.socket.say({ type: "presence_event", channel: "room:1", ...event });
  }
  server.socket.say({ type: "presence", channel: "room:1", members: "all" });
  expect(room.presence.members).toEqual([kAnn]);
});
