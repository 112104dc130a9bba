// The admin page against the real binary: what it shows of a room with life in it, and what an operator does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { barriers, Browser, until } from "./browser.js";
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

async function signIn(key = "tw_dev") {
  const page = await browser.open(`${server.url}/admin/`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Come in" }).click();
  return page;
}

const tile = (page, name) => page.locator("#tiles > div").filter({ hasText: name }).locator("dd");

async function choose(page, channel) {
  await page.getByPlaceholder("Names that begin with…").fill(channel);
  await page.locator(`#channels tr[data-channel="${channel}"] button`).click();
  await page.getByRole("heading", { name: channel }).waitFor();
}

test("a key that is none is refused, a good one stays for the tab alone", async () => {
  const page = await signIn("tw_wrong");
  await page.getByRole("alert").filter({ hasText: "no API key of scope admin" }).waitFor();
  await page.getByLabel("API key").fill("tw_dev");
  await page.getByRole("button", { name: "Come in" }).click();
  await tile(page, "Connections").filter({ hasText: /^\d+$/ }).waitFor();
  await page.reload();
  await tile(page, "Connections").filter({ hasText: /^\d+$/ }).waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key").waitFor();
  await page.reload();
  await page.getByLabel("API key").waitFor();
  await page.close();
});

test("shows who is connected, and disconnects and revokes", async () => {
  const ada = await browser.join(server.url, "Ada", "admin");
  const grace = await browser.join(server.url, "Grace", "admin");
  const page = await signIn();
  await tile(page, "Users").filter({ hasText: /^2$/ }).waitFor();
  await page.locator(".components li").filter({ hasText: "store" }).filter({ hasText: "ok" }).waitFor();
  await page.locator('#connections tr[data-user="Grace"] td').first().filter({ hasText: /^2$/ }).waitFor();
  await page.locator('#connections tr[data-user="Ada"] button').click();
  const user = page.locator('#user[data-user="Ada"]');
  await user.locator("li").filter({ hasText: "healthy" }).first().waitFor();
  await user.getByRole("button", { name: "Disconnect" }).click();
  assert.equal(await ada.page.locator('#state[data-state="connected"]').count(), 1, "it asks first");
  await user.getByRole("button", { name: "Really disconnect?" }).click();
  await user.getByRole("status").filter({ hasText: "2 connections ended" }).waitFor();
  // An operator ended it, so the client does not come back by itself.
  await ada.state("closed");
  await page.locator('#connections tr[data-user="Ada"]').waitFor({ state: "detached" });

  await page.locator('#connections tr[data-user="Grace"] button').click();
  const other = page.locator('#user[data-user="Grace"]');
  await other.getByRole("button", { name: "Revoke tokens" }).click();
  await other.getByRole("button", { name: "Really revoke?" }).click();
  await other.getByRole("status").filter({ hasText: "revoked: 2 connections ended" }).waitFor();
  await page.close();
  await ada.page.close();
  await grace.page.close();
});

test("shows a channel: its readers, members, state and messages as they come, and publishes", async () => {
  const ada = await browser.join(server.url, "Linus", "tail");
  await ada.say("first words");
  const page = await signIn();
  await choose(page, "session:tail");
  const tail = page.locator("#channel .tail");
  await tail.filter({ hasText: "first words" }).waitFor();
  await ada.say("and more");
  await tail.filter({ hasText: "and more" }).waitFor();
  await page.getByText(/^State at seq/).click();
  await page.locator("#channel .state pre").filter({ hasText: '"owner"' }).waitFor();

  await choose(page, "room:tail");
  await page.locator("#channel .facts").filter({ hasText: "Present:" }).filter({ hasText: "Linus" }).waitFor();
  await page.getByLabel("Data as JSON").fill("hello");
  await page.getByRole("button", { name: "Publish" }).click();
  await page.locator(".publish").getByRole("status").filter({ hasText: "not JSON" }).waitFor();
  await page.getByLabel("Data as JSON").fill('{"text": "high water at nine"}');
  await page.getByRole("button", { name: "Publish" }).click();
  await page.locator(".publish").getByRole("status").filter({ hasText: "Published as #1" }).waitFor();
  await ada.page.locator(".news").filter({ hasText: "high water at nine" }).waitFor();
  await tail.filter({ hasText: "high water at nine" }).waitFor();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await barriers(page), [], colorScheme);
  }
  const folder = process.env.TIDEWIRE_SCREENSHOTS;
  if (folder) {
    await page.bringToFront();
    await page.emulateMedia({ colorScheme: "light" });
    await page.setViewportSize({ width: 1440, height: 900 });
    await page.screenshot({ path: `${folder}/admin-light.png`, fullPage: true });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.screenshot({ path: `${folder}/admin-dark.png`, fullPage: true });
    await page.setViewportSize({ width: 390, height: 844 });
    await page.screenshot({ path: `${folder}/admin-phone.png`, fullPage: true });
  }
  await page.close();
  ada.hasNoErrors();
  await ada.page.close();
});

test("shows what was asked of the server, how fast it was, how its connections do and who talks most", async () => {
  const ada = await browser.join(server.url, "Mary", "figures");
  for (const text of ["one", "two", "three"]) await ada.say(text);
  await ada.sees("three");
  const page = await signIn();
  await page.getByLabel("Time looked at").selectOption("1m");
  const bar = (section, name) => page.locator(`#${section} .bars > div`).filter({ has: page.locator("dt", { hasText: name }) }).locator("dd");
  await bar("types", "publish").filter({ hasText: /^[1-9]/ }).first().waitFor();
  for (const what of ["WebSocket request", "HTTP call"]) await page.locator("#latency h4").filter({ hasText: what }).filter({ hasText: /[1-9]\d* samples?/ }).waitFor();
  await bar("latency", "p99.9").filter({ hasText: "ms" }).first().waitFor();
  await page.locator("#health .grades").filter({ hasText: /[1-9]\d* healthy/ }).waitFor();
  await bar("talkers", "Mary").filter({ hasText: /\d/ }).waitFor();
  await page.locator("#anomalies").filter({ hasText: "None." }).waitFor();
  await page.locator("#circuits li").filter({ hasText: "log" }).filter({ hasText: "closed" }).waitFor();
  await page.close();
  await ada.page.close();
});

test("shows what went wrong: anomalies with their evidence, circuits with their history", async () => {
  const page = await browser.open(`${server.url}/admin/`);
  const at = Date.now() - 60_000;
  await page.route("**/api/admin/websocket-analytics*", async (route) => {
    const answer = await (await route.fetch()).json();
    const found = { at, kind: "repetition", user: "mallory", score: 4.25, evidence: "120 equal messages in 10 s", action: "slow" };
    const circuits = [...answer.circuits, { name: "directory", state: "half_open", history: [{ at, from: "closed", to: "open" }, { at, from: "open", to: "half_open" }] }];
    await route.fulfill({ json: { ...answer, anomalies: [found], circuits, overload: { ...answer.overload, step: "publishes" } } });
  });
  await page.getByLabel("API key").fill("tw_dev");
  await page.getByRole("button", { name: "Come in" }).click();
  await page.locator("#anomalies li").filter({ hasText: "mallory" }).filter({ hasText: "120 equal messages in 10 s (score 4.3, slow)" }).waitFor();
  await page.locator("#circuits li").filter({ hasText: "directory" }).filter({ hasText: /half open.*open, .*half open/ }).waitFor();
  await page.locator("#health").filter({ hasText: "publishes" }).waitFor();
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    assert.deepEqual(await barriers(page), [], colorScheme);
  }
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing sticks out on a phone");
  await page.close();
});

test("turns the pages of a long list of connections", async () => {
  const page = await signIn();
  await page.evaluate(async () => {
    globalThis.sockets = Array.from({ length: 205 }, () => new WebSocket(`${location.origin.replace("http", "ws")}/ws`));
    await Promise.all(globalThis.sockets.map((socket) => new Promise((resolve) => (socket.onmessage = resolve))));
  });
  const card = page.locator("#connections");
  await card.locator("header").filter({ hasText: "200 connections on this page" }).waitFor();
  await card.getByRole("button", { name: "More" }).click();
  await card.getByText("page 2").waitFor();
  await card.locator("header").filter({ hasText: /Connections[5-9] connections on this page/ }).waitFor();
  await card.getByRole("button", { name: "Back" }).click();
  await card.locator("header").filter({ hasText: "200 connections on this page" }).waitFor();
  await page.evaluate(() => globalThis.sockets.forEach((socket) => socket.close()));
  await card.getByRole("button", { name: "More" }).waitFor({ state: "detached" });
  await page.close();
});

test("a document's merge, a refusal, and a server that goes away and comes back", async () => {
  const page = await signIn();
  const publish = async (data) =>
    (await fetch(`${server.url}/api/v1/publish`, { method: "POST", headers: { "X-API-Key": "tw_dev" }, body: JSON.stringify({ channel: "doc:plan", data }) })).status;
  assert.equal(await publish({ title: "Trip" }), 200);
  await choose(page, "doc:plan");
  await page.getByLabel("What it is").selectOption("merge");
  await page.getByLabel("Data as JSON").fill('{"days": 3}');
  await page.getByRole("button", { name: "Publish" }).click();
  await page.getByText("State at seq 2").click();
  await page.locator("#channel .state pre").filter({ hasText: '"days": 3' }).filter({ hasText: "Trip" }).waitFor();
  await page.getByLabel("What it is").selectOption("patch");
  await page.getByLabel("Data as JSON").fill('[{"op": "remove", "path": "/none"}]');
  await page.getByRole("button", { name: "Publish" }).click();
  await page.locator(".publish").getByRole("status").filter({ hasNotText: "Published" }).filter({ hasText: /\w/ }).waitFor();

  await server.kill();
  await page.getByRole("alert").filter({ hasText: "does not answer" }).first().waitFor();
  await server.restart();
  await until(async () => (await page.getByRole("alert").count()) === 0, "no more trouble");
  assert.equal(await publish({ title: "Home" }), 200);
  await page.locator("#channel .tail li").filter({ hasText: "Home" }).waitFor();
  await page.close();
});
