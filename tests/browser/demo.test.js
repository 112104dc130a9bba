// The demo's chat and its network, driven as a person would: two tabs, two names, a network that is broken on purpose, and
// a server that goes away and comes back.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { barriers, Browser, kPhone, until } from "./browser.js";
import { Server } from "./server.js";

let server;
let browser;
let rooms = 0;

before(async () => {
  [server, browser] = await Promise.all([Server.start(), Browser.launch()]);
});

after(async () => {
  await browser?.close();
  await server?.dispose();
});

async function twoPeople() {
  const room = `test-${++rooms}`;
  const ada = await browser.join(server.url, "Ada", room);
  const grace = await browser.join(server.url, "Grace", room);
  await Promise.all([ada.here("Ada", "Grace"), grace.here("Ada", "Grace")]);
  return { ada, grace, room };
}

async function leave(...tabs) {
  for (const tab of tabs) {
    tab.hasNoErrors();
    await tab.page.close();
  }
}

test("the way in takes one name and keeps it for this tab", async () => {
  const tab = await browser.join(server.url, "Ada", "way-in");
  await tab.page.reload();
  await tab.here("Ada");
  assert.equal(await tab.page.locator("#me-name").textContent(), "Ada");
  assert.equal(new URL(tab.page.url()).search, "");

  await tab.page.getByRole("button", { name: "Change name" }).click();
  const name = tab.page.getByLabel("Your name", { exact: true });
  assert.match(await name.inputValue(), /^\w+$/);
  await name.fill("not a name");
  assert.equal(await name.evaluate((field) => field.checkValidity()), false);
  for (const field of await tab.page.locator(".gate input").all()) assert.match(await field.getAttribute("title"), /letters A to Z, digits/);
  await tab.photograph("way-in");
  await name.fill("Grace");
  await tab.page.getByText("Another room than way-in").click();
  await tab.page.getByLabel("Room", { exact: true }).fill("way-out");
  await tab.page.getByRole("button", { name: "Come in" }).click();
  await tab.here("Grace");
  assert.equal(await tab.page.locator(".bar .tag").textContent(), "way-out");
  await leave(tab);
});

test("an address with a name needs no more than that", async () => {
  const page = await browser.open(`${server.url}/demo/?name=Osprey&room=by-address`);
  await page.locator('.member[data-user="Osprey"][data-here="true"]').waitFor();
  await page.close();
});

test("outside of development mode the page says that there are no tokens", async () => {
  const production = await Server.startProduction({ TIDEWIRE_DEMO_ENABLED: "true", TIDEWIRE_AUTH_HS256_SECRET: "a-secret-of-somebody-else-1234567" });
  try {
    const page = await browser.open(`${production.url}/demo/`);
    await page.getByRole("button", { name: "Come in" }).click();
    await page.getByRole("alert").filter({ hasText: "tidewire serve --dev" }).waitFor();
    await page.close();
  } finally {
    await production.dispose();
  }
});

test("two people chat, see each other type and read, and one numbering", async () => {
  const { ada, grace, room } = await twoPeople();
  await ada.page.getByLabel("Message", { exact: true }).pressSequentially("Hello");
  await grace.page.locator(".typing").filter({ hasText: "Ada is typing" }).waitFor();
  await ada.say("Hello, is anybody here?");
  await grace.sees("Hello, is anybody here?");
  await ada.page.locator('.message [data-readers="Grace"]').waitFor();
  await grace.page.locator(".typing").filter({ hasNotText: "typing" }).waitFor();
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
    await tab.isWhole();
    await tab.verdict(`session:${room}`, "fresh");
  }
  assert.deepEqual(await ada.transcript(), await grace.transcript());
  await ada.page.locator("#latency").filter({ hasText: "ms" }).waitFor();
  await ada.photograph("chat");

  await grace.page.getByRole("button", { name: "Wave" }).click();
  await ada.page.locator(".wave").filter({ hasText: "Grace waves" }).waitFor();

  const own = ada.page.locator(".message.own").filter({ hasText: "ada 3" });
  await own.hover();
  await own.getByRole("button", { name: /^Delete message/ }).click();
  await grace.page.locator(".message").filter({ hasText: "ada 3" }).waitFor({ state: "detached" });

  await ada.page.locator("#log > summary").click();
  await ada.page.locator(".frame").filter({ hasText: "published" }).first().click();
  await ada.page.locator(".frame pre").filter({ hasText: '"published"' }).waitFor();
  assert.doesNotMatch(await ada.page.locator(".frames").textContent(), /eyJ/);
  await leave(ada, grace);
});

test("what a back end publishes to the room is shown at once, and again after a reload", async () => {
  const { ada, grace, room } = await twoPeople();
  const answer = await fetch(`${server.url}/api/v1/publish`, {
    method: "POST",
    headers: { Authorization: "Bearer tw_dev" },
    body: JSON.stringify({ channel: `room:${room}`, data: { text: "The tide is coming in." } }),
  });
  assert.equal(answer.status, 200);
  for (const tab of [ada, grace]) await tab.page.locator('.news[data-news="1"]').filter({ hasText: "The tide is coming in." }).waitFor();
  await ada.page.reload();
  await ada.page.locator(".news").filter({ hasText: "by server" }).waitFor();
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
  await ada.member("Grace").filter({ hasText: "2 tabs" }).waitFor();
  await second.say("from the second tab");
  await grace.sees("from the second tab");
  assert.equal(await grace.page.locator(".member").count(), 2);

  // Both tabs end. That Ada then sees one leave, and saw nothing before, shows that the reload made no event, also not
  // a late one.
  await leave(second, grace);
  await ada.member("Grace", "[data-here=false]").waitFor();
  assert.deepEqual(ada.presenceEvents(), ["enter Grace", "leave Grace"]);
  await ada.isWhole();
  await leave(ada);
});

test("who is away stays a member, and finds in the inbox what was said", async () => {
  const { ada, grace, room } = await twoPeople();
  await leave(grace);
  await ada.member("Grace", "[data-here=false]").waitFor();
  await ada.say("while you were away");
  await ada.member("Grace").filter({ hasText: "away, 1 unread" }).waitFor();
  await ada.page.getByRole("button", { name: "Notify Grace" }).click();

  const again = await browser.join(server.url, "Grace", room);
  await again.sees("while you were away");
  const entries = again.page.locator('[data-device="laptop"] .entry');
  await entries.filter({ hasText: `Ada in ${room}` }).filter({ hasText: "while you were away" }).waitFor();
  await entries.filter({ hasText: "Ada is waiting for you" }).waitFor();
  await ada.page.locator('.message [data-readers="Grace"]').waitFor();
  await leave(ada, again);
});

test("a connection that was cut goes on where it was", async () => {
  const { ada, grace, room } = await twoPeople();
  await ada.say("one");
  await grace.sees("one");
  await ada.network("Off");
  await ada.state("waiting");
  await grace.say("two, while Ada is away");
  await grace.sees("two, while Ada is away");
  await ada.say("three, written without a connection");
  await ada.waiting.filter({ hasText: "three" }).waitFor();
  await ada.page.locator(".banner").filter({ hasText: "What you write waits" }).waitFor();
  await ada.photograph("cut");
  await ada.network("Online");
  await ada.state("connected");
  for (const channel of [`session:${room}`, `room:${room}`, `doc:${room}`, "user:Ada", "dashboard:server"]) await ada.verdict(channel, "recovered");
  for (const tab of [ada, grace]) {
    await tab.sees("three, written without a connection");
    await tab.isWhole();
  }
  assert.deepEqual(
    (await ada.transcript()).map(([, text]) => text.split(",")[0]),
    ["one", "two", "three"],
  );
  assert.deepEqual(await ada.transcript(), await grace.transcript());
  assert.equal(await ada.page.locator("#comebacks").textContent(), "1");
  await leave(ada, grace);
});

test("what was written without a connection survives a reload", async () => {
  const { ada, grace } = await twoPeople();
  await ada.network("Off");
  await ada.say("from before the reload");
  await ada.waiting.waitFor();
  await ada.page.reload();
  await ada.here("Ada", "Grace");
  await grace.sees("from before the reload");
  await ada.sees("from before the reload");
  await leave(ada, grace);
});

test("a half-open connection is noticed, a slow one is only slow", async () => {
  const { ada, grace } = await twoPeople();
  await ada.network("Slow");
  await ada.say("by slow post");
  await grace.sees("by slow post");
  await until(async () => Number.parseFloat(await ada.page.locator("#latency").textContent()) > 850, "a round trip of 850 ms");
  await ada.state("connected");
  await ada.network("Stalled");
  await grace.say("can you hear me?");
  // Nothing says that the connection is gone; a ping that stays unanswered does.
  await ada.state("waiting");
  await ada.network("Online");
  await ada.state("connected");
  await ada.sees("can you hear me?");
  await ada.isWhole();
  await leave(ada, grace);
});

test("a killed server is waited for, and what was written meanwhile arrives once", async () => {
  const { ada, grace, room } = await twoPeople();
  await ada.say("before the end");
  const seq = await grace.sees("before the end");

  for (const tab of [ada, grace]) tab.serverIsAway = true;
  await server.kill();
  await Promise.all([ada.state("waiting"), grace.state("waiting")]);
  await ada.say("into the dark");
  await ada.say("and once more");
  await until(async () => (await ada.waiting.count()) === 2, "both wait");
  await ada.photograph("away");

  await server.restart();
  await Promise.all([ada.here("Ada", "Grace"), grace.here("Ada", "Grace")]);
  for (const tab of [ada, grace]) tab.serverIsAway = false;
  await grace.sees("into the dark");
  await grace.say("good to have you back");
  for (const tab of [ada, grace]) {
    for (const text of ["into the dark", "and once more", "good to have you back"]) await tab.sees(text);
    // The session is on disk and goes on; the stream beside it lived in memory and says that it began anew.
    await tab.verdict(`session:${room}`, "recovered");
    await tab.verdict(`room:${room}`, "epoch");
    assert.equal(await tab.sees("before the end"), seq);
    await tab.isWhole();
  }
  assert.deepEqual(await ada.transcript(), await grace.transcript());
  await until(async () => (await ada.waiting.count()) === 0, "nothing waits any more");
  await ada.photograph("back");
  await leave(ada, grace);
});

test("a server that is restarted with a drain is followed too", async () => {
  const { ada, grace } = await twoPeople();
  for (const tab of [ada, grace]) tab.serverIsAway = true;
  assert.equal(await server.stop(), 0);
  await Promise.all([ada.state("waiting"), grace.state("waiting")]);
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
  await ada.page.goto(`${server.url}/demo/?name=Ada&room=harbour-${rooms}`);
  await grace.member("Ada", "[data-here=false]").waitFor();
  await ada.here("Ada");
  assert.deepEqual(await ada.transcript(), []);
  await ada.say("at the harbour");
  await ada.sees("at the harbour");
  await grace.say("alone now");
  await grace.sees("alone now");
  assert.deepEqual(
    (await ada.transcript()).map(([, text]) => text),
    ["at the harbour"],
  );
  await leave(ada, grace);
});

test("on a phone each part has the screen to itself", async () => {
  const { ada, grace } = await twoPeople();
  await ada.page.setViewportSize(kPhone);
  await grace.say("can you read this on the bus?");
  await ada.sees("can you read this on the bus?");
  await ada.say("yes");
  await grace.sees("yes");
  for (const [tab, card] of [
    ["Agent", "agent"],
    ["Upload", "upload"],
    ["Inbox", "inbox"],
    ["Server", "dashboard"],
    ["Network", "network"],
    ["Chat", "chat"],
  ]) {
    await ada.page.getByRole("navigation").getByRole("button", { name: tab }).click();
    await ada.page.locator(`#${card}`).waitFor();
    assert.deepEqual(await ada.page.$$eval(".desk > .card", (cards) => cards.filter((one) => one.offsetParent).map((one) => one.id)), [card]);
    assert.equal(await ada.page.evaluate(() => document.documentElement.scrollWidth), kPhone.width, `${tab} is wider than the screen`);
  }
  await leave(ada, grace);
});

test("nobody is kept out: axe finds nothing, in light, dark and on a phone", async () => {
  const gate = await browser.open(`${server.url}/demo/`);
  assert.deepEqual(await barriers(gate), []);
  await gate.close();
  const { ada, grace } = await twoPeople();
  await grace.say("hello");
  await ada.sees("hello");
  await ada.say("hello to you");
  await ada.page.getByRole("button", { name: "Notify me" }).click();
  await ada.page.locator('[data-device="phone"] .entry').filter({ hasText: "Your export is ready" }).waitFor();
  await ada.page.locator("#agent .run-empty button").first().click();
  await ada.page.locator(".run-text").first().waitFor();
  for (const [colorScheme, size] of [
    ["light", { width: 1440, height: 900 }],
    ["dark", { width: 1440, height: 900 }],
    ["light", kPhone],
    ["dark", kPhone],
  ]) {
    await ada.page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await ada.page.setViewportSize(size);
    assert.deepEqual(await barriers(ada.page), [], `${colorScheme} ${size.width}`);
  }
  await leave(ada, grace);
});
