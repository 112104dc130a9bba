// The built package as Node.js, Deno and Bun load it, against the real server over a network that cuts and stalls, and
// against servers that misbehave: each runtime brings a WebSocket of its own.

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, copyFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HostileServer } from "./hostile.js";
import { Proxy } from "./live/proxy.js";
import { hasBinary, Server } from "./live/server.js";

const kRoot = fileURLToPath(new URL("..", import.meta.url));
const kInstalled = `${kRoot}/test/runtimes/node_modules/.bin`;
const kBehaviours = ["answers nothing, not even the upgrade", "is no WebSocket server", "says nothing after its first message", "answers with wrong ids", "sends broken JSON", "sends a frame with reserved bits", "closes in the middle of a frame", "goes on talking after its close"];

interface Runtime {
  name: string;
  program: string;
  options: string[];
}

const kRuntimes: Runtime[] = [
  { name: "Node.js", program: process.execPath, options: [] },
  { name: "Deno", program: process.env.TIDEWIRE_DENO ?? `${kInstalled}/deno`, options: ["run", "--allow-net", "--allow-read", "--allow-env", "--node-modules-dir=manual"] },
  { name: "Bun", program: process.env.TIDEWIRE_BUN ?? `${kInstalled}/bun`, options: ["run"] },
];

const here = kRuntimes.filter(({ name, program }) => {
  const isThere = spawnSync(program, ["--version"]).status === 0;
  if (!isThere) console.error(`\n*** NO TEST UNDER ${name}: \`npm ci\` in test/runtimes could not install it ***\n`);
  return isThere;
});

describe.skipIf(!hasBinary)("under", () => {
  let server: Server;
  let folder: string;

  beforeAll(async () => {
    server = await Server.start();
    // As an application has it: beside its own files, found by its name.
    folder = mkdtempSync(`${tmpdir()}/tidewire-sdk-runtime-`);
    mkdirSync(`${folder}/node_modules/@tidewire`, { recursive: true });
    symlinkSync(kRoot, `${folder}/node_modules/@tidewire/client`);
    writeFileSync(`${folder}/package.json`, '{ "type": "module", "dependencies": { "@tidewire/client": "*" } }');
    copyFileSync(`${kRoot}/test/runtimes/life.mjs`, `${folder}/life.mjs`);
  });
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await server?.dispose();
  });

  /** Runs it; what it said last. Ends it then, or waits for it to end by itself. */
  async function live({ name, program, options }: Runtime, hostile: string[], ends: boolean): Promise<unknown> {
    const user = `${name.toLowerCase()}${hostile.length}`;
    const proxy = await Proxy.start(server.port);
    const token = server.token(user, "--grant", "*=subscribe,publish");
    const child = spawn(program, [...options, "life.mjs", proxy.url, token, user, ...hostile], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    try {
      const exit = once(child, "exit");
      for await (const line of createInterface({ input: child.stdout })) {
        const told = JSON.parse(line);
        if (told.please) {
          proxy[told.please as "cut" | "stall"]();
          await server.api("POST", "/api/v1/publish", { channel: `room:${user}`, data: told.please });
          continue;
        }
        if (ends) expect(await exit).toEqual([0, null]);
        return told;
      }
      throw new Error(`it ended with ${await exit}`);
    } finally {
      child.kill("SIGKILL");
      await proxy.dispose();
    }
  }

  it.concurrent.each(here)("$name it talks, resumes, is refused with the reason, and lets the process end", { timeout: 60_000 }, async (runtime) => {
    expect(await live(runtime, [], true)).toMatchObject({
      user: `${runtime.name.toLowerCase()}0`,
      heard: ["hello", "cut"],
      verdicts: [null, true],
      big: true,
      members: [`${runtime.name.toLowerCase()}0`],
      plan: { steps: ["pack", "go"] },
      refusal: [true, "not_found"],
    });
  });

  // Only Node.js ends a socket whose other side has fallen silent within seconds; so the end is not waited for.
  it.concurrent.each(here)("$name it notices a stalled network, and no server leaves anything hanging", { timeout: 60_000 }, async (runtime) => {
    const hostile = await Promise.all(kBehaviours.map((behaviour) => HostileServer.start(behaviour)));
    try {
      const told = await live(runtime, hostile.map(({ url }) => url), false);
      expect(told).toMatchObject({ heard: ["hello", "cut", "stall"], verdicts: [null, true, true], endings: kBehaviours.map(() => "settled") });
    } finally {
      await Promise.all(hostile.map((one) => one.dispose()));
    }
  });
});
