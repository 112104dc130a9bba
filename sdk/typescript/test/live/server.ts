// The real binary as a test needs it: on a free port, with its own data, killed and started again at the same place.

import { createHmac } from "node:crypto";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const kBinary = process.env.TIDEWIRE_BINARY ?? fileURLToPath(new URL("../../../../build/release/tidewire", import.meta.url));

/** Live tests are left out without a binary, and that is said loudly. */
export const hasBinary = existsSync(kBinary);
if (!hasBinary) console.error(`\n*** NO LIVE TESTS: there is no binary at ${kBinary}; build it, or name it in TIDEWIRE_BINARY ***\n`);

/** Not the limits, but what comes of a bad network is looked at. */
export const kNoLimits = { TIDEWIRE_LIMITS_MESSAGES_PER_MINUTE: "1000000", TIDEWIRE_LIMITS_BURST: "10000", TIDEWIRE_LIMITS_FRAMES_PER_SECOND: "0" };

/** Asks until the answer is yes; the test's own time is the limit. */
export async function until(done: () => unknown): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export class Server {
  readonly #settings: Record<string, string>;
  #data = "";
  #child: ChildProcess | undefined;
  #log = "";
  /** http://127.0.0.1:port */
  url = "";

  private constructor(settings: Record<string, string>) {
    this.#settings = settings;
  }

  static async start(settings: Record<string, string> = {}): Promise<Server> {
    const server = new Server(settings);
    server.#data = await mkdtemp(join(tmpdir(), "tidewire-sdk-"));
    await server.#run("127.0.0.1:0");
    return server;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** A token of this user, as an application's back end would sign it. */
  token(user: string | number, ...options: string[]): string {
    return execFileSync(kBinary, ["token", "--user", String(user), ...options], { encoding: "utf8" }).trim();
  }

  /** A token whose time was over a minute ago. */
  expiredToken(user: string): string {
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const exp = Math.floor(Date.now() / 1000) - 60;
    const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, iat: exp - 60, exp })}`;
    return `${signed}.${createHmac("sha256", "development-secret-not-for-production").update(signed).digest("base64url")}`;
  }

  /** A call of the HTTP API. */
  async api(method: string, path: string, body?: unknown): Promise<any> {
    const response = await fetch(this.url + path, {
      method,
      headers: { Authorization: "Bearer tw_dev", ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** As a power cut: no drain, no close frames. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** With a drain, as a deployment does it. */
  async stop(): Promise<void> {
    await this.#end("SIGTERM");
  }

  async restart(): Promise<void> {
    await this.#run(new URL(this.url).host);
  }

  async dispose(): Promise<void> {
    await this.#end("SIGKILL");
    await rm(this.#data, { recursive: true, force: true });
  }

  async #run(listen: string): Promise<void> {
    const child = spawn(kBinary, ["serve", "--dev", "--listen", listen, "--data", this.#data], {
      env: { ...process.env, ...this.#settings },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    child.stderr.on("data", (text) => (this.#log += text));
    const ready = new Promise<string>((resolve) => {
      createInterface({ input: child.stdout }).on("line", (line) => {
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

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }
}
