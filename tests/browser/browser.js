// A Chromium with an empty profile, and the demo page in its tabs as a person meets it.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const kDesktop = { width: 1440, height: 900 };
export const kPhone = { width: 390, height: 844 };

/** Asks until the answer is yes. The page's own content policy forbids to send it a function that asks. */
export async function until(check, what) {
  const endMs = Date.now() + 30_000;
  while (!(await check())) {
    if (Date.now() > endMs) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What axe finds wrong with a page for those who see, hear or move differently: "rule: element". */
export async function barriers(page) {
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"] }));
  return violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target.join(" ")}`));
}

export class Browser {
  #profile = "";
  #context = null;

  static async launch() {
    const browser = new Browser();
    browser.#profile = await mkdtemp(join(tmpdir(), "tidewire-browser-profile-"));
    browser.#context = await chromium.launchPersistentContext(browser.#profile, {
      executablePath: process.env.TIDEWIRE_CHROMIUM ?? "/usr/bin/chromium",
      viewport: kDesktop,
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
    browser.#context.setDefaultTimeout(30_000);
    return browser;
  }

  async close() {
    await this.#context.close();
    await rm(this.#profile, { recursive: true, force: true });
  }

  /** In a window of its own, since a page that is not shown draws a frame a second, and each click waits for some. */
  async #newPage() {
    const session = await this.#context.newCDPSession(this.#context.pages()[0]);
    const opened = this.#context.waitForEvent("page");
    await session.send("Target.createTarget", { url: "about:blank", newWindow: true });
    await session.detach();
    return opened;
  }

  /** A new tab with whatever stands at the address. */
  async open(url) {
    const page = await this.#newPage();
    await page.goto(url);
    return page;
  }

  /** A new tab with the demo page, past the name card. */
  async join(serverUrl, name, room) {
    const tab = new Tab(await this.#newPage());
    await tab.join(serverUrl, name, room);
    return tab;
  }
}

export class Tab {
  /** Every protocol message that arrived, in order, over all connections of this tab. */
  received = [];
  /** Set while the server is away: that a connection is refused then is what the test wants. */
  serverIsAway = false;
  #errors = [];

  constructor(page) {
    this.page = page;
    page.on("pageerror", (error) => this.#errors.push(error.stack));
    page.on("console", (message) => {
      if (message.type() !== "error" && message.type() !== "warning") return;
      const refused = /WebSocket connection to .* failed|ERR_CONNECTION_|ERR_EMPTY_RESPONSE|503/.test(message.text());
      if (!(refused && this.serverIsAway)) this.#errors.push(message.text());
    });
    page.on("websocket", (socket) => {
      socket.on("framereceived", ({ payload }) => this.received.push(JSON.parse(payload)));
    });
  }

  async join(serverUrl, name, room) {
    await this.page.goto(`${serverUrl}/demo/?room=${room}`);
    await this.page.getByLabel("Your name", { exact: true }).fill(name);
    await this.page.getByRole("button", { name: "Come in" }).click();
    await this.here(name);
  }

  async say(text) {
    await this.page.getByLabel("Message", { exact: true }).fill(text);
    await this.page.getByRole("button", { name: "Send", exact: true }).click();
  }

  state(name) {
    return this.page.locator(`#state[data-state="${name}"]`).waitFor();
  }

  /** "Online", "Slow", "Stalled" or "Off". */
  async network(mode) {
    await this.page.locator(".bar .segments label").filter({ hasText: mode }).click();
  }

  /** Until the tab is connected, has joined, and the server has told it that these users are present. */
  async here(...names) {
    await this.state("connected");
    for (const name of names) await this.member(name, "[data-here=true]").waitFor();
  }

  member(name, state = "") {
    return this.page.locator(`#members:not(.stale) .member[data-user="${name}"]${state}`);
  }

  /** Until the text stands in the transcript with a number; answers the number. */
  async sees(text) {
    const message = this.page.locator(".message[data-seq]").filter({ hasText: text });
    await message.first().waitFor();
    assert.equal(await message.count(), 1, `"${text}" stands there more than once`);
    return Number(await message.getAttribute("data-seq"));
  }

  get waiting() {
    return this.page.locator(".message.pending");
  }

  /** What the transcript shows: [seq, text] from top to bottom. */
  transcript() {
    return this.page.$$eval(".message[data-seq]", (items) =>
      items.map((item) => [Number(item.dataset.seq), item.querySelector(".bubble").textContent]),
    );
  }

  /** Every number is there once and in order, and the client saw nothing missing. */
  async isWhole() {
    const numbers = (await this.transcript()).map(([seq]) => seq);
    assert.deepEqual(
      numbers,
      [...new Set(numbers)].sort((a, b) => a - b),
      "sequence numbers are not in order",
    );
    assert.equal(await this.page.locator("#gaps").textContent(), "0", "gaps");
  }

  /** Until the network card shows how a channel was resumed: fresh, recovered, epoch or trimmed. */
  verdict(channel, verdict) {
    return this.page.locator(`#positions tr:not(.stale)[data-channel="${channel}"][data-verdict="${verdict}"]`).waitFor();
  }

  presenceEvents() {
    return this.received
      .filter((message) => message.type === "presence_event")
      .map((message) => `${message.action} ${message.member.user.id}`);
  }

  hasNoErrors() {
    assert.deepEqual(this.#errors, []);
  }

  /** For human eyes, into the folder that TIDEWIRE_SCREENSHOTS names; nothing without it. */
  async photograph(name) {
    const folder = process.env.TIDEWIRE_SCREENSHOTS;
    if (!folder) return;
    await mkdir(folder, { recursive: true });
    await this.page.bringToFront();
    for (const [look, colorScheme, size] of [
      ["light", "light", kDesktop],
      ["dark", "dark", kDesktop],
      ["phone-light", "light", kPhone],
      ["phone-dark", "dark", kPhone],
    ]) {
      await this.page.emulateMedia({ colorScheme });
      await this.page.setViewportSize(size);
      await this.page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage: true });
    }
    await this.page.emulateMedia({ colorScheme: "light" });
    await this.page.setViewportSize(kDesktop);
  }
}
