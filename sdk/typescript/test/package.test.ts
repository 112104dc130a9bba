// The built package as applications load it: as ES modules and CommonJS, under Node.js and in a bundle for browsers.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hasBinary, Server } from "./live/server.js";

const kRoot = fileURLToPath(new URL("..", import.meta.url));

beforeAll(() => {
  if (!existsSync(`${kRoot}/dist/index.js`)) throw new Error("there is no dist/: `npm run build` comes first");
});

/** Runs a script in a Node.js of its own, as it would run beside the package. */
function run(type: "module" | "commonjs", script: string, ...options: string[]): unknown {
  const output = execFileSync(process.execPath, [...options, `--input-type=${type}`, "-e", script], { cwd: kRoot, encoding: "utf8" });
  return JSON.parse(output);
}

const kEntries = ["", "/kinds", "/outbox", "/tabs", "/react"];

describe("the package", () => {
  it("has the same exports as ES modules and as CommonJS", () => {
    const imports = kEntries.map((entry, i) => `import * as m${i} from "@tidewire/client${entry}";`).join("");
    const lists = kEntries.map((_, i) => `Object.keys(m${i}).sort()`).join();
    const requires = kEntries.map((entry, i) => `const m${i} = require("@tidewire/client${entry}");`).join("");
    const esm = run("module", `${imports} console.log(JSON.stringify([${lists}]))`);
    const cjs = run("commonjs", `${requires} console.log(JSON.stringify([${lists}]))`);
    expect(esm).toEqual([
      ["Tidewire", "TidewireError", "webSocketTransport"],
      ["openAgentRun", "openDocument", "openInbox", "openSession", "openUpload"],
      ["indexedDbStore", "outbox"],
      ["sharedSocket"],
      ["TidewireProvider", "useAgentRun", "useChannel", "useConnection", "useDocument", "useInbox", "usePresence", "useSession", "useTidewire", "useUpload"],
    ]);
    expect(cjs).toEqual(esm);
  });

  it.each(["module", "commonjs"] as const)("has one error class for all its entries (%s)", (type) => {
    const load = type === "module" ? (name: string, from: string) => `import { ${name} } from "${from}";` : (name: string, from: string) => `const { ${name} } = require("${from}");`;
    const script = `${load("TidewireError", "@tidewire/client")}${load("outbox", "@tidewire/client/outbox")}
      try { outbox(""); } catch (error) { console.log(JSON.stringify([error instanceof TidewireError, error.code, error.name])); }`;
    expect(run(type, script)).toEqual([true, "invalid_argument", "TidewireError"]);
  });

  it("bundles for browsers without a trace of Node.js", async () => {
    const contents = kEntries.map((entry, i) => `export * as e${i} from "@tidewire/client${entry}";`).join("");
    const { outputFiles } = await build({ stdin: { contents, resolveDir: kRoot }, bundle: true, platform: "browser", format: "esm", write: false, external: ["react"] });
    expect(outputFiles[0]!.text).not.toMatch(/node:|NodeWebSocket/);
  });

  it("lets a bundler leave out what is not used", async () => {
    const contents = 'import { openUpload } from "@tidewire/client/kinds"; console.log(openUpload);';
    const { outputFiles } = await build({ stdin: { contents, resolveDir: kRoot }, bundle: true, platform: "browser", format: "esm", write: false });
    expect(outputFiles[0]!.text).not.toMatch(/class Tidewire|applyPatch/);
  });
});

describe.skipIf(!hasBinary)("the package against the real server", () => {
  let server: Server;
  beforeAll(async () => {
    server = await Server.start();
  });
  afterAll(() => server?.dispose());

  const talk = (url: string, token: string): string => `
    const client = new Tidewire(${JSON.stringify(url)}, { token: () => ${JSON.stringify(token)} });
    const room = client.channel("room:1");
    const heard = new Promise((resolve) => room.subscribe((message) => resolve(message.data)));
    heard.then((data) => { console.log(JSON.stringify(data)); client.close(); });
    room.subscribe().then(() => room.publish({ hello: "world" }));`;

  // Node.js 20 has a WebSocket only when it is asked for; later ones always.
  const native = Number(process.versions.node.split(".")[0]) < 22 ? ["--experimental-websocket"] : [];

  it("talks, as an ES module, and lets the process end", () => {
    expect(run("module", `import { Tidewire } from "@tidewire/client"; ${talk(server.url, server.token("ann"))}`)).toEqual({ hello: "world" });
  });

  it("talks, as CommonJS", () => {
    expect(run("commonjs", `const { Tidewire } = require("@tidewire/client"); ${talk(server.url, server.token("ann"))}`)).toEqual({ hello: "world" });
  });

  it("talks over the platform's own WebSocket, compressed", () => {
    expect(run("module", `import { Tidewire } from "@tidewire/client"; ${talk(server.url, server.token("ann"))}`, ...native)).toEqual({ hello: "world" });
  });
});
