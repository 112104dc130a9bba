import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeServer, turn } from "../../test/fake_server.js";
import type { Tidewire } from "../client.js";
import { openDocument, openSession } from "./index.js";
import type { Document } from "./document.js";

interface Plan {
  title: string;
  steps: string[];
  owner?: string;
}

let server: FakeServer;
let client: Tidewire;
let plan: Document<Plan>;
const kPlan: Plan = { title: "Trip", steps: ["pack"] };
const kMe = { from: { user: { id: 1, type: "user" }, connection: "c-1" } };
const kOther = { from: { user: { id: 2, type: "user" }, connection: "c-2" } };

beforeEach(async () => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(0);
  server = new FakeServer();
  client = await server.connected({ timeoutMs: 5000 });
  plan = openDocument<Plan>(client, "doc:plan");
});
afterEach(() => {
  client.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

async function follow(seq = 4, data: unknown = kPlan): Promise<void> {
  const ready = plan.subscribe();
  await turn();
  server.socket.subscribed({ kind: "document", seq, snapshot: { seq, data } });
  await ready;
}

/** A delivery with what an edit brought. */
function deliver(seq: number, content: object, fields: object = kOther): void {
  server.socket.say({ type: "message", channel: "doc:plan", seq, timestamp: seq, ...content, ...fields });
}

it("has no value before it is there, and null when it is empty", async () => {
  expect(plan.value).toBeUndefined();
  await follow(0, null);
  expect(plan.value).toBeNull();
});

it("follows the edits of others", async () => {
  await follow();
  const changes = vi.fn();
  plan.on("change", changes);
  deliver(5, { merge: { owner: "Ann" } });
  deliver(6, { patch: [{ op: "add", path: "/steps/-", value: "go" }] });
  expect(plan.value).toEqual({ title: "Trip", steps: ["pack", "go"], owner: "Ann" });
  deliver(7, { data: { title: "Home", steps: [] } });
  expect(plan.value).toEqual({ title: "Home", steps: [] });
  expect(plan.seq).toBe(7);
  expect(changes).toHaveBeenCalledTimes(3);
});

it("takes a conflated delivery, and one that stands for all", async () => {
  await follow();
  deliver(9, { merge: { title: "A", owner: "B" }, first_seq: 5 });
  expect(plan.value).toEqual({ title: "A", steps: ["pack"], owner: "B" });
  deliver(20, { data: { title: "C", steps: [] }, first_seq: 10 });
  expect(plan.value).toEqual({ title: "C", steps: [] });
  server.socket.say({ type: "snapshot", channel: "doc:plan", epoch: "e1", seq: 30, data: { title: "D", steps: [] } });
  expect(plan).toMatchObject({ value: { title: "D", steps: [] }, seq: 30 });
});

describe("an own edit", () => {
  it("shows at once and is confirmed by its delivery, whichever comes first", async () => {
    await follow();
    const first = plan.merge({ title: "Mine" });
    expect(plan.value).toMatchObject({ title: "Mine" });
    expect(plan.confirmed).toMatchObject({ title: "Trip" });
    await turn();
    expect(server.socket.last("publish")).toMatchObject({ channel: "doc:plan", merge: { title: "Mine" } });
    server.socket.published(5);
    await first;
    expect(plan.value).toMatchObject({ title: "Mine" });
    expect(plan.confirmed).toMatchObject({ title: "Trip" });
    deliver(5, { merge: { title: "Mine" } }, kMe);
    expect(plan.confirmed).toMatchObject({ title: "Mine" });

    const second = plan.patch([{ op: "add", path: "/steps/-", value: "go" }]);
    await turn();
    deliver(6, { patch: [{ value: "go", op: "add", path: "/steps/-" }] }, kMe);
    expect(plan.value?.steps).toEqual(["pack", "go"]);
    server.socket.published(6);
    await second;
    expect(plan.value?.steps).toEqual(["pack", "go"]);
  });

  it("stays on top of what others do meanwhile", async () => {
    await follow();
    void plan.merge({ title: "Mine" }).catch(() => {});
    deliver(5, { merge: { title: "Theirs", owner: "Bob" } });
    expect(plan.value).toEqual({ title: "Mine", steps: ["pack"], owner: "Bob" });
    expect(plan.confirmed).toEqual({ title: "Theirs", steps: ["pack"], owner: "Bob" });
  });

  it("is taken back when the server refuses it", async () => {
    await follow();
    const changes = vi.fn();
    plan.on("change", changes);
    const edit = plan.set({ title: "Mine", steps: [] }, { ifSeq: 4 });
    await turn();
    expect(server.socket.last("publish")).toMatchObject({ data: { title: "Mine", steps: [] }, if_seq: 4 });
    deliver(5, { merge: { owner: "Bob" } });
    server.socket.refuse("publish", "conflict", { seq: 5 });
    await expect(edit).rejects.toMatchObject({ code: "conflict", seq: 5 });
    expect(plan.value).toEqual({ title: "Trip", steps: ["pack"], owner: "Bob" });
    expect(changes).toHaveBeenCalledTimes(3);
  });

  it("is taken back alone: those after it stay", async () => {
    await follow();
    const bad = plan.merge({ title: "Bad" });
    bad.catch(() => {});
    void plan.merge({ owner: "Me" }).catch(() => {});
    await turn();
    server.socket.refuse("publish", "content_rejected", { rule: "script_tag" });
    await turn();
    expect(plan.value).toEqual({ title: "Trip", steps: ["pack"], owner: "Me" });
  });

  it("survives a reconnect without being counted twice", async () => {
    await follow();
    const edit = plan.patch([{ op: "add", path: "/steps/-", value: "go" }]);
    await turn();
    server.socket.cut();
    await vi.advanceTimersByTimeAsync(0);
    server.socket.welcome({ connection_id: "c-9" });
    await turn();
    expect(server.socket.last("subscribe").channels).toEqual([{ channel: "doc:plan", since: { epoch: "e1", seq: 4 } }]);
    server.socket.subscribed({ kind: "document", seq: 5, recovered: true, messages: [{ seq: 5, timestamp: 1, patch: [{ op: "add", path: "/steps/-", value: "go" }], ...kMe }] });
    expect(plan.value?.steps).toEqual(["pack", "go"]);
    server.socket.published(5, { duplicate: true });
    await edit;
    expect(plan.value?.steps).toEqual(["pack", "go"]);
  });

  it("that does not fit any more is left to the server", async () => {
    await follow();
    void plan.patch([{ op: "replace", path: "/steps/0", value: "unpack" }]).catch(() => {});
    expect(plan.value?.steps).toEqual(["unpack"]);
    deliver(5, { merge: { steps: null } });
    expect(plan.value).toEqual({ title: "Trip" });
  });

  it("is what it was when the call was made", async () => {
    await follow();
    const steps = ["a"];
    void plan.merge({ steps }).catch(() => {});
    steps.push("b");
    expect(plan.value?.steps).toEqual(["a"]);
  });

  it("of an anonymous user is known by its connection", async () => {
    client.close();
    client = await server.connected({ token: "" }, { user: null });
    plan = openDocument<Plan>(client, "doc:plan");
    await follow();
    void plan.patch([{ op: "add", path: "/steps/-", value: "go" }]).catch(() => {});
    await turn();
    deliver(5, { patch: [{ op: "add", path: "/steps/-", value: "go" }] }, { from: { user: null, connection: "c-1" } });
    expect(plan.value?.steps).toEqual(["pack", "go"]);
  });

  it("of a document that is not followed is forgotten once it is answered", async () => {
    const edit = plan.publish({ title: "Blind", steps: [] });
    expect(plan.value).toEqual({ title: "Blind", steps: [] });
    await turn();
    server.socket.published(9);
    await edit;
    expect(plan.value).toBeUndefined();
  });

  it("that can't be is refused at once and shows nothing", async () => {
    await follow();
    await expect(plan.patch({ op: "add" } as never)).rejects.toThrow(/list of operations/);
    await expect(plan.merge({ title: "x" }, { ifSeq: -1 })).rejects.toThrow(/`ifSeq` is a seq/);
    await expect(plan.merge({ title: () => {} } as never)).rejects.toMatchObject({ code: "invalid_argument" });
    const circle: { title?: unknown } = {};
    circle.title = circle;
    await expect(plan.merge(circle as never)).rejects.toMatchObject({ code: "invalid_argument" });
    expect(plan.value).toEqual(kPlan);
  });
});

describe("update()", () => {
  it("reads, changes and writes, again where somebody was faster", async () => {
    await follow();
    const update = plan.update((old) => ({ ...old!, steps: [...old!.steps, "mine"] }));
    await turn();
    expect(server.socket.last("publish")).toMatchObject({ data: { steps: ["pack", "mine"] }, if_seq: 4 });
    server.socket.refuse("publish", "conflict", { seq: 5 });
    await turn();
    expect(server.socket.all("publish")).toHaveLength(1);
    deliver(5, { merge: { steps: ["pack", "theirs"] } });
    await turn();
    expect(server.socket.last("publish")).toMatchObject({ data: { steps: ["pack", "theirs", "mine"] }, if_seq: 5 });
    server.socket.published(6);
    expect(await update).toMatchObject({ seq: 6 });
  });

  it("gives up after so many attempts, and on any other refusal", async () => {
    await follow();
    const update = plan.update((old) => old!, { attempts: 2 });
    update.catch(() => {});
    await turn();
    server.socket.refuse("publish", "conflict", { seq: 4 });
    await turn();
    server.socket.refuse("publish", "conflict", { seq: 4 });
    await expect(update).rejects.toMatchObject({ code: "conflict" });
    const refused = plan.update((old) => old!);
    await turn();
    server.socket.refuse("publish", "forbidden");
    await expect(refused).rejects.toMatchObject({ code: "forbidden" });
    for (const attempts of [0, -1, NaN]) await expect(plan.update((old) => old!, { attempts })).rejects.toMatchObject({ code: "invalid_argument" });
  });

  it("does not wait for ever for a state that the server only spoke of", async () => {
    await follow();
    const update = plan.update((old) => old!);
    update.catch(() => {});
    await turn();
    server.socket.refuse("publish", "conflict", { seq: 99 });
    await vi.advanceTimersByTimeAsync(5000);
    await expect(update).rejects.toMatchObject({ code: "timeout" });

    const ended = plan.update((old) => old!);
    ended.catch(() => {});
    await turn();
    server.socket.refuse("publish", "conflict", { seq: 99 });
    await turn();
    server.socket.say({ type: "unsubscribed", channel: "doc:plan", code: "revoked" });
    await expect(ended).rejects.toMatchObject({ code: "revoked" });
  });

  it("rejects with what the function throws", async () => {
    await follow();
    await expect(
      plan.update(() => {
        throw new Error("mine");
      }),
    ).rejects.toThrow("mine");
  });
});

describe("a copy that can't be right", () => {
  it.each([
    ["an edit does not apply", () => deliver(5, { patch: [{ op: "remove", path: "/nothing" }] })],
    ["an edit is no edit", () => deliver(5, { patch: "all" })],
    ["one is missing", () => deliver(7, { merge: { title: "x" } })],
    ["a part of a merged one was there before", () => deliver(6, { merge: { title: "x" }, first_seq: 3 })],
    ["some are gone", () => server.socket.say({ type: "gap", channel: "doc:plan", epoch: "e1", from: 5, to: 8 })],
  ])("is fetched anew when %s", async (_why, happen) => {
    await follow();
    happen();
    expect(plan.state.name).toBe("subscribing");
    expect(plan.value).toEqual(kPlan);
    await turn();
    expect(server.socket.sent.slice(-2)).toMatchObject([{ type: "unsubscribe" }, { type: "subscribe", channels: [{ channel: "doc:plan" }] }]);
    deliver(9, { merge: { title: "of the old subscription" } });
    server.socket.subscribed({ kind: "document", seq: 10, snapshot: { seq: 10, data: { title: "Right", steps: [] } } });
    expect(plan).toMatchObject({ value: { title: "Right", steps: [] }, seq: 10, state: { name: "subscribed" } });
  });

  it("is replaced after a loss", async () => {
    await follow();
    server.socket.cut();
    await vi.advanceTimersByTimeAsync(0);
    server.socket.welcome();
    await turn();
    server.socket.subscribed({ kind: "document", epoch: "e2", seq: 3, recovered: false, reason: "epoch", snapshot: { seq: 3, data: { title: "New", steps: [] } } });
    expect(plan).toMatchObject({ value: { title: "New", steps: [] }, seq: 3 });
    deliver(4, { merge: { title: "Newer" } });
    expect(plan.value?.title).toBe("Newer");
  });
});

it("folds what follows a snapshot that is older than the channel", async () => {
  const ready = plan.subscribe();
  await turn();
  server.socket.subscribed({ kind: "document", seq: 6, snapshot: { seq: 4, data: kPlan } });
  await ready;
  deliver(5, { merge: { title: "A" } });
  deliver(6, { merge: { owner: "B" } });
  expect(plan.value).toEqual({ title: "A", steps: ["pack"], owner: "B" });
});

it("is opened as one kind only", () => {
  expect(openDocument(client, "doc:plan")).toBe(plan);
  expect(client.channel("doc:plan")).toBe(plan);
  expect(() => openSession(client, "doc:plan")).toThrow(/another kind of channel/);
  client.channel("doc:2");
  expect(() => openDocument(client, "doc:2")).toThrow(/another kind of channel/);
});
