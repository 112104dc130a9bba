// The demo's promise, driven as a person would: two tabs, two names, and a server that goes away and comes back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser } from "./browser.js";
import { Server } from "./server.js";

let server;
let browser;
let room = 0;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), Browser.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.dispose();
});

async function twoPeople() {
  const name = `room:test-${++room}`;
  const ada = await browser.join(server.url, "Ada", name);
  const grace = await browser.join(server.url, "Grace", name);
  await Promise.all([ada.here("Ada", "Grace"), grace.here("Ada", "Grace")]);
  return { ada, grace, room: name };
}

async function leave(...tabs) {
  for (const tab of tabs) {
    tab.hasNoErrors();
    await tab.page.close();
  }
}

test("the way in says what a name may be and keeps it for this tab", async () => {
  const tab = await browser.join(server.url, "Ada", "room:way-in");
  await tab.page.reload();
  await tab.here("Ada");
  assert.equal(await tab.page.locator("#me-name").textContent(), "Ada");

  await tab.page.getByRole("button", { name: "Change name" }).click();
  const name = tab.page.getByLabel("Name", { exact: true });
  await name.fill("not a name");
  assert.equal(await name.evaluate((field) => field.checkValidity()), false);
  await tab.photograph("way-in");
  await leave(tab);
});

test("two people chat, see each other and one numbering", async () => {
  const { ada, grace } = await twoPeople();
  await ada.say("Hello, is anybody here?");
  await grace.sees("Hello, is anybody here?");
  await grace.say("I am. The tide is coming in.");
  await ada.sees("The tide is coming in.");
  for (let i = 1; i <= 5; i++) {
    await ada.say(`ada ${i}`);
    await grace.say(`grace ${i}`);
  }
  for (const tab of [ada, grace]) {
    for (let i = 1; i <= 5; i++) {
      await tab.sees(`ada ${i}`);
      await tab.sees(`grace ${i}`);
    }
    await tab.isContiguous();
  }
  assert.deepEqual(await ada.transcript(), await grace.transcript());
  assert.equal((await ada.transcript())[0][0], 1);
  await ada.page.locator("#latency").filter({ hasText: "ms" }).waitFor();
  await ada.page.locator("#seq").filter({ hasText: "seq 12" }).waitFor();
  await ada.photograph("chat");
  await ada.page.locator("#log > summary").click();
  await ada.page.locator(".frame").filter({ hasText: "published" }).first().click();
  await ada.photograph("protocol");
  await leave(ada, grace);
});

test("what somebody writes is shown as text, whatever it is", async () => {
  const { ada, grace } = await twoPeople();
  const text = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>';
  await ada.say(text);
  await grace.sees(text);
  for (const tab of [ada, grace]) assert.equal(await tab.page.evaluate(() => window.broken), undefined);
  await leave(ada, grace);
});

test("a reload does not flap, and two tabs of one name are one person", async () => {
  const { ada, grace, room } = await twoPeople();
  await grace.say("before the reload");
  await grace.page.reload();
  await grace.here("Ada", "Grace");
  await grace.sees("before the reload");
  await grace.say("after the reload");
  await ada.sees("after the reload");

  const second = await browser.join(server.url, "Grace", room);
  await ada.page.locator('.member[data-user="Grace"]').filter({ hasText: "2 connections" }).waitFor();
  await second.say("from the second tab");
  await grace.sees("from the second tab");
  assert.equal(await grace.page.locator("#present-count").textContent(), "2");

  // Both tabs end. That Ada then sees one leave, and saw nothing before, shows that the reload made no event, also not
  // a late one.
  await leave(second, grace);
  await ada.page.locator('.member[data-user="Grace"]').waitFor({ state: "detached" });
  assert.deepEqual(ada.presenceEvents(), ["enter Grace", "leave Grace"]);
  await ada.isContiguous();
  await leave(ada);
});

test("a connection that was cut goes on where it was", async () => {
  const { ada, grace } = await twoPeople();
  await ada.say("one");
  await grace.sees("one");
  // The page's clock stands still, so that it does not come back before everything has happened.
  await ada.page.clock.install();
  await ada.page.clock.pauseAt(Date.now() + 1_000);
  await ada.page.getByRole("button", { name: "Cut the connection" }).click();
  await ada.state("reconnecting");
  await grace.say("two, while Ada is away");
  await grace.sees("two, while Ada is away");
  await ada.say("three, written without a connection");
  await ada.page.locator(".message.pending").filter({ hasText: "three" }).waitFor();
  await ada.photograph("cut");
  await ada.page.getByRole("button", { name: "Try now" }).click();
  await ada.note("nothing missed");
  await ada.page.clock.resume();
  for (const tab of [ada, grace]) {
    await tab.sees("three, written without a connection");
    await tab.isContiguous();
  }
  assert.deepEqual(
    (await ada.transcript()).map(([seq, text]) => `${seq} ${text.split(",")[0]}`),
    ["1 one", "2 two", "3 three"],
  );
  assert.deepEqual(await ada.transcript(), await grace.transcript());
  await leave(ada, grace);
});

test("a killed server is waited for, and what was written meanwhile arrives once", async () => {
  const { ada, grace } = await twoPeople();
  await ada.say("before the end");
  await grace.sees("before the end");

  for (const tab of [ada, grace]) tab.serverIsAway = true;
  await server.kill();
  await Promise.all([ada.state("reconnecting"), grace.state("reconnecting")]);
  await ada.say("into the dark");
  await ada.say("and once more");
  assert.equal(await ada.page.locator(".message.pending").count(), 2);
  await ada.photograph("away");

  await server.restart();
  await Promise.all([ada.here("Ada", "Grace"), grace.here("Ada", "Grace")]);
  for (const tab of [ada, grace]) tab.serverIsAway = false;
  await grace.sees("into the dark");
  await grace.say("good to have you back");
  for (const tab of [ada, grace]) {
    await tab.note("started anew");
    await tab.sees("before the end");
    await tab.sees("into the dark");
    await tab.sees("and once more");
    await tab.sees("good to have you back");
    await tab.isContiguous();
    assert.deepEqual(
      (await tab.transcript()).map(([seq]) => seq),
      [1, 2, 3],
    );
  }
  assert.deepEqual(await ada.transcript(), await grace.transcript());
  assert.equal(await ada.page.locator(".message.pending").count(), 0);
  await ada.photograph("back");
  await leave(ada, grace);
});

test("a server that is restarted with a drain is followed too", async () => {
  const { ada, grace } = await twoPeople();
  for (const tab of [ada, grace]) tab.serverIsAway = true;
  assert.equal(await server.stop(), 0);
  await Promise.all([ada.state("reconnecting"), grace.state("reconnecting")]);
  await server.restart();
  await Promise.all([ada.here("Ada", "Grace"), grace.here("Ada", "Grace")]);
  for (const tab of [ada, grace]) {
    tab.serverIsAway = false;
    assert.ok(tab.received.some((message) => message.type === "reconnect"));
  }
  await ada.say("after the drain");
  await grace.sees("after the drain");
  await leave(ada, grace);
});

test("another room has its own people and its own numbers", async () => {
  const { ada, grace } = await twoPeople();
  await ada.say("in the first room");
  await grace.sees("in the first room");
  await ada.page.locator("#desk").getByLabel("Room", { exact: true }).selectOption("room:harbour");
  await grace.page.locator('.member[data-user="Ada"]').waitFor({ state: "detached" });
  await ada.here("Ada");
  await ada.say("at the harbour");
  assert.equal(await ada.sees("at the harbour"), 1);
  await grace.say("alone now");
  await grace.sees("alone now");
  assert.deepEqual(await ada.transcript(), [[1, "at the harbour"]]);
  await leave(ada, grace);
});
