// The real binary as a test needs it: on a free port, with its own data, killed and started again at the same place.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// Long enough for a page to reload on a busy machine.
const kSettings = { TIDEWIRE_PRESENCE_GRACE: "10s" };
const kBuilt = fileURLToPath(new URL("../../build/release/tidewire", import.meta.url));

export class Server {
  #mode = ["--dev"];
  #settings = kSettings;
  #binary = process.env.TIDEWIRE_BINARY ?? kBuilt;
  #data = "";
  #child = null;
  #log = "";
  url = "";

  static async start() {
    return Server.#start(new Server());
  }

  /** Not in development mode, with these settings. */
  static async startProduction(settings) {
    const server = new Server();
    server.#mode = [];
    server.#settings = settings;
    return Server.#start(server);
  }

  static async #start(server) {
    if (!existsSync(server.#binary)) {
      throw new Error(`no binary at ${server.#binary}: build it, or name it in TIDEWIRE_BINARY`);
    }
    server.#data = await mkdtemp(join(tmpdir(), "tidewire-browser-data-"));
    await server.#run("127.0.0.1:0");
    return server;
  }

  /** As a power cut: no drain, no close frames. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** With a drain, as a deployment does it. */
  async stop() {
    return this.#end("SIGTERM");
  }

  async restart() {
    await this.#run(new URL(this.url).host);
  }

  async dispose() {
    await this.#end("SIGKILL");
    await rm(this.#data, { recursive: true, force: true });
  }

  async #run(listen) {
    const child = spawn(this.#binary, ["serve", ...this.#mode, "--listen", listen, "--data", this.#data], {
      env: { ...process.env, ...this.#settings },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    child.stderr.on("data", (text) => (this.#log += text));
    const lines = createInterface({ input: child.stdout });
    const ready = new Promise((resolve) => {
      lines.on("line", (line) => {
        const [, url] = /^tidewire ready on (https?:\/\/\S+)$/.exec(line) ?? [];
        if (url) resolve(url);
      });
    });
    const ended = once(child, "exit").then(([code, signal]) => {
      throw new Error(`the server ended before it was ready (${code ?? signal}):\n${this.#log}`);
    });
    ended.catch(() => {});
    this.url = await Promise.race([ready, ended]);
  }

  async #end(signal) {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return null;
    const exit = once(child, "exit");
    child.kill(signal);
    const [code] = await exit;
    return code;
  }
}
