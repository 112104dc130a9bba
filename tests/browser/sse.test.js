// A browser's own EventSource against the real binary: what it sees, and what it knows after the server went away.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser } from "./browser.js";
import { Server } from "./server.js";

let server;
let browser;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), Browser.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.dispose();
});

async function publish(channel, data) {
  const answer = await fetch(`${server.url}/api/v1/publish`, {
    method: "POST",
    headers: { Authorization: "Bearer tw_dev" },
    body: JSON.stringify({ channel, data }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

/** A tab in which `stream` is an EventSource of these channels, and `seen` everything that came. */
async function listen(...channels) {
  const page = await browser.open(`${server.url}/healthz`);
  const { token } = await (await fetch(`${server.url}/demo/token?name=ada`)).json();
  const query = new URLSearchParams({ channels: channels.join(","), inbox: "manual", token });
  await page.evaluate((url) => {
    window.seen = [];
    window.opened = 0;
    window.stream = new EventSource(url);
    window.stream.onopen = () => window.opened++;
    window.stream.onmessage = (event) => window.seen.push({ ...JSON.parse(event.data), lastId: event.lastEventId });
  }, `/sse?${query}`);
  return page;
}

/** Until the stream has seen so much of a type; answers all of that type. */
async function sees(page, type, count) {
  await page.waitForFunction(([t, n]) => window.seen.filter((m) => m.type === t).length >= n, [type, count]);
  return page.evaluate((t) => window.seen.filter((message) => message.type === t), type);
}

test("an EventSource gets what is published, with a resume token", async () => {
  const page = await listen("room:es-1", "room:es-2");
  const answers = await sees(page, "subscribed", 2);
  assert.deepEqual(
    answers.map(({ channel, seq }) => [channel, seq]),
    [
      ["room:es-1", 0],
      ["room:es-2", 0],
    ],
  );
  await publish("room:es-1", { text: "line\nbreak \u2028 \ud83c\udf0a" });
  const [message] = await sees(page, "message", 1);
  assert.deepEqual(message.data, { text: "line\nbreak \u2028 \ud83c\udf0a" });
  assert.ok(message.lastId && message.lastId !== answers[1].lastId);
  assert.equal(await page.evaluate(() => window.seen[0].type), "connected");
  assert.equal(await page.evaluate(() => window.seen[0].lastId), "");
  await page.close();
});

for (const [how, end] of [
  ["is killed", () => server.kill()],
  ["drains", () => server.stop()],
]) {
  test(`an EventSource comes back by itself when the server ${how}, and misses nothing`, async () => {
    const channel = `log:es-${how.replaceAll(" ", "-")}`;
    const page = await listen(channel);
    await sees(page, "subscribed", 1);
    await publish(channel, "before");
    await sees(page, "message", 1);
    await end();
    await server.restart();
    await publish(channel, "meanwhile");
    const [, again] = await sees(page, "subscribed", 2);
    assert.equal(again.recovered, true);
    assert.deepEqual(
      again.messages.map(({ seq, data }) => [seq, data]),
      [[2, "meanwhile"]],
    );
    await publish(channel, "after");
    const messages = await sees(page, "message", 2);
    assert.deepEqual(
      messages.map(({ seq, data }) => [seq, data]),
      [
        [1, "before"],
        [3, "after"],
      ],
    );
    assert.equal(await page.evaluate(() => window.opened), 2);
    await page.close();
  });
}

test("a stream that is refused fails for good, and says so", async () => {
  const page = await browser.open(`${server.url}/healthz`);
  const state = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const stream = new EventSource("/sse?channel=room:x&token=bad");
        stream.onerror = () => resolve(stream.readyState);
      }),
  );
  assert.equal(state, 2); // closed
  await page.close();
});
