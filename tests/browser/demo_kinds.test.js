// What the demo shows beside the chat: an agent's run, an upload, the inbox on two devices and the dashboard, each over
// reloads, second tabs, a broken network and a server that is killed.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Browser, until } from "./browser.js";
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
  const room = `kinds-${++rooms}`;
  const ada = await browser.join(server.url, "Ada", room);
  const grace = await browser.join(server.url, "Grace", room);
  return { ada, grace, room };
}

async function leave(...tabs) {
  for (const tab of tabs) {
    tab.hasNoErrors();
    await tab.page.close();
  }
}

/** As a back end sees it. */
async function snapshot(channel) {
  const answer = await fetch(`${server.url}/api/v1/channels/${encodeURIComponent(channel)}/snapshot`, { headers: { "X-API-Key": "tw_dev" } });
  assert.equal(answer.status, 200);
  return (await answer.json()).data;
}

const startRun = (tab) => tab.page.locator("#agent").getByRole("button", { name: "Run", exact: true }).click();
const runText = (tab) => tab.page.$$eval("#run .run-text", (parts) => parts.map((part) => part.textContent).join(""));
const runIs = (tab, status) => tab.page.locator(`#run-status[data-status="${status}"]`).waitFor();

/** Until the tab shows more of the run than so many characters. */
const runPasses = (tab, length) => until(async () => (await runText(tab)).length > length, `${length} characters`);

/** The run is complete, and what the tabs show is what the server has: every word once. */
async function runIsWhole(...tabs) {
  await Promise.all(tabs.map((tab) => runIs(tab, "complete")));
  const channel = await tabs[0].page.locator("#run").getAttribute("data-channel");
  const { text, status, tools, usage } = await snapshot(channel);
  assert.equal(status, "complete");
  assert.equal(text.split(/\s+/).length, usage.output_tokens, "the script's words, none missing and none twice");
  assert.equal(tools.length, 1);
  for (const tab of tabs) assert.equal(await runText(tab), text);
}

test("an agent's run streams to everybody, also to who comes in the middle", async () => {
  const { ada, grace, room } = await twoPeople();
  await startRun(ada);
  await runPasses(grace, 150);
  await grace.page.locator("#run-role").filter({ hasText: "Ada writes" }).waitFor();
  await grace.page.locator(".tool").filter({ hasText: "done" }).waitFor();
  const otto = await browser.join(server.url, "Otto", room);
  await runPasses(otto, 150);
  await ada.photograph("run");
  await runIsWhole(ada, grace, otto);
  await leave(ada, grace, otto);
});

test("a run goes on after its tab was reloaded, and in another tab when it was closed", async () => {
  const { ada, grace, room } = await twoPeople();
  await startRun(ada);
  await runPasses(grace, 60);
  await ada.page.reload();
  await ada.here("Ada");
  const before = (await runText(grace)).length;
  await runPasses(grace, before + 40);
  await ada.page.locator("#run-role").filter({ hasText: "This tab writes" }).waitFor();

  const second = await browser.join(server.url, "Ada", room);
  await second.page.locator("#run-role").filter({ hasText: "Another tab of yours writes" }).waitFor();
  await leave(ada);
  await second.page.locator("#run-role").filter({ hasText: "This tab writes" }).waitFor();
  await runIsWhole(second, grace);
  await leave(second, grace);
});

test("a run goes on when the network was off and when the server was killed", async () => {
  const { ada, grace } = await twoPeople();
  await startRun(ada);
  await runPasses(grace, 30);
  await ada.network("Off");
  await ada.state("waiting");
  await ada.network("Online");
  await ada.state("connected");
  for (const tab of [ada, grace]) tab.serverIsAway = true;
  await server.kill();
  await Promise.all([ada.state("waiting"), grace.state("waiting")]);
  await server.restart();
  await Promise.all([ada.here("Ada", "Grace"), grace.here("Ada", "Grace")]);
  for (const tab of [ada, grace]) tab.serverIsAway = false;
  await runIsWhole(ada, grace);
  await leave(ada, grace);
});

test("who reads along may stop a run", async () => {
  const { ada, grace } = await twoPeople();
  await startRun(ada);
  await runPasses(grace, 20);
  await grace.page.getByRole("button", { name: "Stop" }).click();
  await Promise.all([runIs(ada, "cancelled"), runIs(grace, "cancelled")]);
  // Nothing is written after its end.
  const { text } = await snapshot(await ada.page.locator("#run").getAttribute("data-channel"));
  assert.equal(await runText(ada), text);
  await leave(ada, grace);
});

const uploadIs = (tab, status) => tab.page.locator(`#upload-status[data-status="${status}"]`).waitFor();
const percent = async (tab) => Number.parseFloat(await tab.page.locator("#percent").textContent());

test("an upload shows its progress to everybody, goes on after a reload, and ends", async () => {
  const { ada, grace } = await twoPeople();
  await ada.page.locator("#pace").selectOption("5");
  await ada.page.getByRole("button", { name: "Send 64 MB" }).click();
  await grace.page.locator(".progress-facts").filter({ hasText: "MB/s" }).filter({ hasText: "s left" }).waitFor();
  await uploadIs(grace, "active");
  const before = await percent(grace);
  await ada.page.reload();
  await ada.here("Ada");
  await ada.page.locator("#pace").selectOption("25");
  await Promise.all([uploadIs(ada, "complete"), uploadIs(grace, "complete")]);
  assert.ok(before < 100);
  assert.equal(await percent(grace), 100);
  const { bytes, total } = await snapshot(await ada.page.locator("#progress").getAttribute("data-channel"));
  assert.deepEqual([bytes, total], [64_000_000, 64_000_000]);
  await leave(ada, grace);
});

test("a chosen file is sent under its name, and can be cancelled by its owner alone", async () => {
  const { ada, grace } = await twoPeople();
  await ada.page.locator("#pace").selectOption("1");
  await ada.page.locator("#file").setInputFiles({ name: "charts.pdf", mimeType: "application/pdf", buffer: Buffer.alloc(8_000_000) });
  await grace.page.locator(".progress-file").filter({ hasText: "charts.pdf by Ada" }).waitFor();
  await until(async () => (await percent(grace)) > 0, "the first progress");
  assert.equal(await grace.page.getByRole("button", { name: "Cancel" }).count(), 0);
  await ada.page.getByRole("button", { name: "Cancel" }).click();
  await Promise.all([uploadIs(ada, "cancelled"), uploadIs(grace, "cancelled")]);
  await leave(ada, grace);
});

const device = (tab, name) => tab.page.locator(`[data-device="${name}"]`);
const holds = (tab, name, count) => tab.page.locator(`[data-device="${name}"][data-count="${count}"]`).waitFor();

async function notify(tab, priority) {
  await tab.page.getByLabel("Priority", { exact: true }).selectOption(priority);
  await tab.page.getByRole("button", { name: "Notify me" }).click();
}

test("the inbox is the same on two devices, also on one that was off the air", async () => {
  const tab = await browser.join(server.url, "Inbox-1", "inbox");
  await notify(tab, "low");
  for (const name of ["laptop", "phone"]) await holds(tab, name, 1);
  await notify(tab, "critical");
  for (const name of ["laptop", "phone"]) {
    await holds(tab, name, 2);
    const priorities = await device(tab, name).locator(".entry").evaluateAll((entries) => entries.map((entry) => entry.dataset.priority));
    assert.deepEqual(priorities, ["critical", "low"]);
  }
  await device(tab, "phone").getByRole("button", { name: /^Done:/ }).first().click();
  for (const name of ["laptop", "phone"]) await holds(tab, name, 1);

  await tab.page.getByRole("switch", { name: "Phone is online" }).click();
  await notify(tab, "high");
  await holds(tab, "laptop", 2);
  await holds(tab, "phone", 1);
  await device(tab, "laptop").getByRole("button", { name: /^Done: (Weekly|A new)/ }).click();
  await holds(tab, "laptop", 1);
  await tab.photograph("inbox");
  await tab.page.getByRole("switch", { name: "Phone is online" }).click();
  await device(tab, "phone").locator('.entry[data-priority="high"]').waitFor();
  await holds(tab, "phone", 1);

  // What waits is on the disk.
  tab.serverIsAway = true;
  await server.kill();
  await tab.state("waiting");
  await server.restart();
  await tab.here("Inbox-1");
  tab.serverIsAway = false;
  await tab.verdict("user:Inbox-1", "recovered");
  for (const name of ["laptop", "phone"]) await holds(tab, name, 1);
  await notify(tab, "medium");
  for (const name of ["laptop", "phone"]) await holds(tab, name, 2);
  await device(tab, "laptop").getByRole("button", { name: "Done with all" }).click();
  for (const name of ["laptop", "phone"]) await holds(tab, name, 0);
  await leave(tab);
});

const tile = (tab, name) => tab.page.locator("#tiles > div").filter({ hasText: name }).locator("dd");

test("the dashboard shows the server's own figures, fed by one tab until that one is gone", async () => {
  const ada = await browser.join(server.url, "Ada", "figures");
  const role = (tab) => tab.page.locator("#feeder");
  await role(ada).filter({ hasText: "Fed by this tab" }).waitFor();
  await tile(ada, "Users").filter({ hasText: /^1$/ }).waitFor();
  await tile(ada, "Connections").filter({ hasText: /^2$/ }).waitFor();
  const grace = await browser.join(server.url, "Grace", "figures");
  await role(grace).filter({ hasText: "Fed by Ada" }).waitFor();
  await tile(grace, "Users").filter({ hasText: /^2$/ }).waitFor();
  await tile(grace, "Connections").filter({ hasText: /^4$/ }).waitFor();
  await until(async () => (await grace.page.locator(".chart .stroke").first().getAttribute("d")).includes("L"), "a line in the chart");
  await leave(ada);
  await role(grace).filter({ hasText: "Fed by this tab" }).waitFor();
  await tile(grace, "Users").filter({ hasText: /^1$/ }).waitFor();
  await leave(grace);
});
