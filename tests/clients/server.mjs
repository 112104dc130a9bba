// Starts the real binary for a test file: waits for its ready line, ends it with SIGTERM.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const SECRET = "clients-secret-of-more-than-thirty-two-bytes";
const root = fileURLToPath(new URL("../../", import.meta.url));
const binary = process.env.TIDEWIRE_BINARY ?? join(root, "build/release/tidewire");

const settings = `
[server]
shards = ${Number(process.env.TIDEWIRE_TEST_SHARDS ?? 2)}
drain_timeout = "300ms"
[auth]
hs256_secret = "${SECRET}"
required = false
[limits]
messages_per_minute = 6000000
burst = 100000
adaptive = false
frames_per_second = 0
`;

export async function startServer() {
  const folder = mkdtempSync(join(tmpdir(), "tidewire-clients-"));
  writeFileSync(join(folder, "tidewire.toml"), settings);
  const args = ["serve", "--config", join(folder, "tidewire.toml"), "--listen", "127.0.0.1:0"];
  args.push("--data", join(folder, "data"), "--echo");
  const child = spawn(binary, args, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => {
    child.once("exit", resolve);
    child.once("error", resolve);
  });
  const ready = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = /^tidewire ready on http:\/\/(127\.0\.0\.1:\d+)$/.exec(line);
      if (found) resolve(found[1]);
    });
  });
  const address = await Promise.race([
    ready,
    ended.then((status) => {
      throw new Error(`ended before it was ready: ${status}`);
    }),
  ]);
  return {
    url: (path = "/ws") => `ws://${address}${path}`,
    async stop() {
      child.kill("SIGTERM");
      const status = await ended;
      rmSync(folder, { recursive: true, force: true });
      return status;
    },
  };
}

export function mint(sub) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const exp = Math.floor(Date.now() / 1000) + 600;
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub, exp })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}
