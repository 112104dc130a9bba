// The built client in real tabs of a real browser: locks, broadcasts, IndexedDB and reloads as they are.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium, type BrowserContext, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hasBinary, Server } from "../live/server.js";

const kChromium = process.env.TIDEWIRE_CHROMIUM ?? "/usr/bin/chromium";
const hasChromium = existsSync(kChromium);
if (!hasChromium) console.error(`\n*** NO BROWSER TESTS: there is no ${kChromium}; install it, or name one in TIDEWIRE_CHROMIUM ***\n`);

const kPage = `
  import { Tidewire } from "@tidewire/client";
  import { openDocument } from "@tidewire/client/kinds";
  import { outbox } from "@tidewire/client/outbox";
  import { sharedSocket } from "@tidewire/client/tabs";
  const { url, user, token } = Object.fromEntries(new URLSearchParams(location.search));
  const client = new Tidewire(url, { token: () => token, outbox: outbox(user), transport: sharedSocket(user) });
  const log = client.channel("log:1", { history: 100 });
  const page = { client, log, seen: [], gaps: [], outbox: [], plan: openDocument(client, "doc:1") };
  log.on("message", ({ data }) => page.seen.push(data));
  log.on("gap", (gap) => page.gaps.push(gap));
  client.on("outbox", ({ published, error }) => page.outbox.push(published?.seq ?? error.code));
  log.subscribe().catch(() => {});
  page.plan.subscribe().catch(() => {});
  globalThis.page = page;`;

describe.skipIf(!hasBinary || !hasChromium)("in a browser", () => {
  let server: Server;
  let site: HttpServer;
  let browser: BrowserContext;
  let profile: string;
  let tabs: Page[];

  beforeAll(async () => {
    const root = fileURLToPath(new URL("../..", import.meta.url));
    const { outputFiles } = await build({ stdin: { contents: kPage, resolveDir: root }, bundle: true, format: "esm", write: false });
    const html = `<!doctype html><title>test</title><script type="module">${outputFiles[0]!.text}</script>`;
    site = createServer((_request, response) => response.writeHead(200, { "Content-Type": "text/html" }).end(html));
    await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
    profile = await mkdtemp(join(tmpdir(), "tidewire-sdk-profile-"));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: kChromium,
      args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
  });
  afterAll(async () => {
    await browser?.close();
    site?.close();
    if (profile) await rm(profile, { recursive: true, force: true });
  });
  beforeEach(async () => {
    tabs = [];
    server = await Server.start({ TIDEWIRE_LIMITS_MESSAGES_PER_MINUTE: "100000", TIDEWIRE_LIMITS_BURST: "1000" });
  });
  afterEach(async () => {
    for (const tab of tabs) await tab.close();
    await server.dispose();
  });

  async function open(user: string): Promise<Page> {
    const tab = await browser.newPage();
    tab.on("pageerror", (error) => console.error(error));
    const query = new URLSearchParams({ url: server.url, user, token: server.token(user) });
    await tab.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/?${query}`);
    tabs.push(tab);
    return tab;
  }

  // A tab that is not in front draws nothing, so it is asked by the clock.
  const until = (tab: Page, condition: string): Promise<unknown> => tab.waitForFunction(condition, undefined, { polling: 50 });
  const subscribed = (tab: Page): Promise<unknown> => until(tab, "globalThis.page?.log.state.name === 'subscribed'");
  const seen = (tab: Page): Promise<unknown> => tab.evaluate("page.seen");
  const saw = (tab: Page, data: unknown): Promise<unknown> => until(tab, `globalThis.page?.seen.includes(${JSON.stringify(data)})`);
  const publish = (tab: Page, data: unknown): Promise<unknown> => tab.evaluate(`page.log.publish(${JSON.stringify(data)}).then(({ seq }) => seq)`);
  const connections = async (user: string): Promise<number> => (await server.api("GET", `/api/v1/users/${user}`)).online;

  it("tabs share one socket, and the next one takes over when the leader is closed", async () => {
    const [first, second, third] = [await open("ann"), await open("ann"), await open("ann")];
    await Promise.all([first, second, third].map(subscribed));
    expect(await connections("ann")).toBe(1);
    expect(await publish(second!, "a")).toBe(1);
    await Promise.all([first, second, third].map((tab) => saw(tab!, "a")));
    await first!.close();
    tabs.shift();
    // Published while nobody leads or somebody does again.
    expect(await publish(third!, "b")).toBe(2);
    await Promise.all([second, third].map((tab) => saw(tab!, "b")));
    const late = await open("ann");
    await saw(late, "b");
    expect(await publish(late, "c")).toBe(3);
    for (const tab of [second!, third!, late]) {
      await saw(tab, "c");
      expect(await seen(tab)).toEqual(["a", "b", "c"]);
      expect(await tab.evaluate("page.gaps")).toEqual([]);
    }
    expect(await connections("ann")).toBe(1);
  });

  it("users do not share", async () => {
    await Promise.all([subscribed(await open("ann")), subscribed(await open("bob"))]);
    expect([await connections("ann"), await connections("bob")]).toEqual([1, 1]);
  });

  it("what was published without a server is sent after a reload, once and in order", async () => {
    const tab = await open("ann");
    await subscribed(tab);
    await server.kill();
    await tab.evaluate(`["a", "b", "c"].forEach((data) => page.log.publish(data).catch(() => {}))`);
    // Kept as soon as IndexedDB has it.
    await until(tab, `new Promise((resolve) => {
      const request = indexedDB.open("tidewire-outbox-ann");
      request.onsuccess = () => {
        const count = request.result.transaction("entries").objectStore("entries").count();
        count.onsuccess = () => { request.result.close(); resolve(count.result === 3); };
      };
    })`);
    await tab.reload();
    await server.restart();
    await saw(tab, "c");
    expect(await publish(tab, "d")).toBe(4);
    await saw(tab, "d");
    expect(await seen(tab)).toEqual(["a", "b", "c", "d"]);
    expect(await tab.evaluate("page.outbox")).toEqual([1, 2, 3, 4]);
  });

  it("a document is the same in all tabs, over a restart of the server", async () => {
    const [first, second] = [await open("ann"), await open("ann")];
    await Promise.all([subscribed(first), subscribed(second)]);
    await first.evaluate(`page.plan.set({ n: 1 })`);
    await until(second, "page.plan.value?.n === 1");
    await server.kill();
    await second.evaluate(`void page.plan.merge({ n: 2 }).catch(() => {})`);
    expect(await second.evaluate("page.plan.value")).toEqual({ n: 2 });
    await server.restart();
    for (const tab of [first, second]) await until(tab, "page.plan.confirmed?.n === 2 && page.plan.value.n === 2");
  });
});
