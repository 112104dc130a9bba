import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "./load.js";

const { transcriptOf, readersOf } = await load("demo/transcript.ts");

const from = (id) => ({ user: { id, type: "user" } });
const said = (seq, by, text, fields = {}) => ({ seq, timestamp: seq * 1000, from: from(by), data: { text, id: `k${seq}` }, ...fields });
const event = (seq, by, name, data) => ({ seq, timestamp: seq * 1000, from: from(by), event: name, data });

test("edits and deletions are folded in, others' events are left out", () => {
  const { lines, ids, lastSaidSeq } = transcriptOf([
    event(1, "ann", "join", {}),
    said(2, "ann", "one"),
    said(3, "ann", "two", { event: "message" }),
    event(4, "bob", "read", { seq: 3 }),
    event(5, "ann", "edit", { seq: 2, text: "One" }),
    event(6, "ann", "delete", { seq: 3 }),
    said(7, "bob", "three"),
    event(8, "ann", "leave", { user: "bob" }),
    event(9, "ann", "custom", 1),
  ]);
  assert.deepEqual(
    lines.map((line) => (line.what === "note" ? line.text : `${line.seq} ${line.by}: ${line.text}${line.isEdited ? "*" : ""}`)),
    ["ann joined", "2 ann: One*", "7 bob: three", "bob left"],
  );
  assert.deepEqual([...ids], ["k2", "k3", "k7"]);
  assert.equal(lastSaidSeq, 7);
});

test("what is no text is shown as what it is, and nothing breaks on nonsense", () => {
  const { lines } = transcriptOf([
    { seq: 1, timestamp: 1, data: null },
    { seq: 2, timestamp: 2, data: "plain" },
    { seq: 3, timestamp: 3, data: { text: 5 } },
    event(4, "ann", "edit", { seq: 99, text: "?" }),
    event(5, "ann", "delete", null),
  ]);
  assert.deepEqual(lines.map(({ by, text }) => `${by}: ${text}`), ["server: null", "server: plain", 'server: {"text":5}']);
});

test("lines of one person shortly after each other stand together", () => {
  const { lines } = transcriptOf([said(1, "ann", "a"), said(2, "ann", "b"), said(3, "bob", "c"), said(200, "bob", "d")]);
  assert.deepEqual(lines.map(({ isMore }) => isMore), [false, true, false, false]);
});

test("a reader stands at the last line that was read, unless it wrote that one", () => {
  const { lines } = transcriptOf([said(2, "ann", "a"), said(5, "bob", "b"), said(9, "ann", "c")]);
  const members = [
    { user: "ann", read: 9 },
    { user: "bob", read: 7 },
    { user: "cid", read: 6 },
    { user: "dan", read: 1 },
    { user: "eve", read: 100 },
  ];
  assert.deepEqual([...readersOf(lines, members, "eve")], [[5, ["cid"]]]);
  assert.deepEqual(readersOf(lines, members, "ann").get(9), ["eve"]);
});

test("what a back end publishes to the room stands among the lines by its time", () => {
  const news = [{ seq: 1, timestamp: 2500, data: { text: "high water" } }, { seq: 2, timestamp: 9000, from: from("cid"), data: 5 }];
  const { lines, lastSaidSeq } = transcriptOf([said(2, "ann", "a"), said(3, "ann", "b")], news);
  assert.deepEqual(lines.map(({ what, by, text }) => `${what} ${by} ${text}`), ["said ann a", "news server high water", "said ann b", "news cid 5"]);
  assert.deepEqual([lines[2].isMore, lastSaidSeq], [false, 3]);
});
