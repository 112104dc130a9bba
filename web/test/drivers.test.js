import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { load } from "./load.js";

const { perform, send } = await load("demo/drivers.ts");
const { kPrompts, nextPiece, scriptOf } = await load("demo/script.ts");

// Nothing here depends on how long a pause is.
const { setTimeout: wait } = globalThis;
before(() => (globalThis.setTimeout = (run) => setImmediate(run)));
after(() => (globalThis.setTimeout = wait));

/** A run as the server would hold it. Cut off after so many events, it takes no more. */
class FakeRun {
  value;
  events = 0;
  aborter = new AbortController();

  constructor(value = { status: "pending", text: "", tools: [] }, cutAfter = Infinity) {
    this.value = value;
    this.cutAfter = cutAfter;
  }

  get ended() {
    return this.value.status === "complete";
  }

  async subscribe() {}

  #take(changes) {
    if (this.aborter.signal.aborted) return new Promise(() => {});
    this.value = { ...this.value, status: "running", ...changes };
    if (++this.events === this.cutAfter) this.aborter.abort();
  }

  start = async () => this.#take({});
  delta = async (text) => this.#take({ text: this.value.text + text });
  toolCall = async (tool) => this.#take({ tools: [...this.value.tools, tool] });
  toolResult = async ({ id, result }) => this.#take({ tools: this.value.tools.map((tool) => (tool.id === id ? { ...tool, result } : tool)) });
  complete = async ({ usage }) => this.#take({ status: "complete", usage });
}

test("a script is the same for one seed and varies with the seed", () => {
  for (const prompt of kPrompts) {
    assert.deepEqual(scriptOf(prompt, 7), scriptOf(prompt, 7));
    const texts = new Set(Array.from({ length: 40 }, (_, seed) => scriptOf(prompt, seed).after));
    assert.ok(texts.size > 10, `${prompt}: ${texts.size} texts`);
  }
});

test("pieces of a text are words, and together the text", () => {
  const text = "  One two,\nthree…  four ";
  const pieces = [];
  for (let at = 0; at < text.length; at += pieces.at(-1).length) pieces.push(nextPiece(text, at));
  assert.equal(pieces.join(""), text);
  assert.ok(pieces.length > 4);
});

test("a run that is cut off anywhere is carried on to the same text, with no word twice", async () => {
  const script = scriptOf(kPrompts[0], 1);
  const whole = new FakeRun();
  await perform(whole, script, whole.aborter.signal);
  assert.equal(whole.value.text, script.before + script.after);
  assert.equal(whole.value.tools.length, 1);
  assert.deepEqual(whole.value.tools[0].result, script.result);
  for (let cut = 1; cut < whole.events; cut++) {
    const first = new FakeRun(undefined, cut);
    await Promise.race([perform(first, script, first.aborter.signal), new Promise((done) => first.aborter.signal.addEventListener("abort", done))]);
    const second = new FakeRun(first.value);
    await perform(second, script, second.aborter.signal);
    assert.deepEqual(second.value, whole.value, `cut off after ${cut} events`);
  }
});

test("a run that has ended is left alone", async () => {
  const run = new FakeRun({ status: "complete", text: "x", tools: [] });
  await perform(run, scriptOf(kPrompts[1], 1), run.aborter.signal);
  assert.equal(run.events, 0);
});

test("an upload goes on from what the server has, and reads every part of the rest", async () => {
  const told = [];
  const read = [];
  const upload = { value: { bytes: 400 }, ended: false, subscribe: async () => {}, progress: async (...progress) => told.push(progress), complete: async () => told.push("complete") };
  await send(upload, 1000, () => 2500, async (to) => read.push(to), new AbortController().signal);
  assert.deepEqual(read, [700, 1000]);
  assert.deepEqual(told, [[700, 1000], [1000, 1000], "complete"]);
});

test("an upload that was cancelled meanwhile is told nothing more", async () => {
  const upload = { value: { bytes: 0 }, ended: false, subscribe: async () => {}, progress: async () => assert.fail("progress"), complete: async () => assert.fail("complete") };
  await send(upload, 1000, () => 1000, async () => (upload.ended = true), new AbortController().signal);
});
