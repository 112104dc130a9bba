// Bundles the chat with esbuild and serves it, with the one thing that a back end has to do: a token for who is there.

import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import { build } from "esbuild";

const { TIDEWIRE_URL = "http://127.0.0.1:8080", TIDEWIRE_SECRET = "development-secret-not-for-production", PORT = "8003" } = process.env;

const { outputFiles } = await build({
  entryPoints: [new URL("src/main.jsx", import.meta.url).pathname],
  bundle: true,
  minify: true,
  format: "esm",
  jsx: "automatic",
  write: false,
  define: { "process.env.NODE_ENV": '"production"', TIDEWIRE_URL: JSON.stringify(TIDEWIRE_URL) },
});
const kPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Chat</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem; }
  input, button { font: inherit; padding: .3rem .6rem; }
  ol { list-style: none; padding: 0; min-height: 12rem; }
  small { color: #777; }
</style>
<div id="root"></div><script type="module" src="/main.js"></script></html>`;

/** A JWT for this name. Your back end knows who is asking; this one believes everybody. */
function tokenFor(user) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, iat: now, exp: now + 300 })}`;
  return `${signed}.${createHmac("sha256", TIDEWIRE_SECRET).update(signed).digest("base64url")}`;
}

const server = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://localhost");
  const send = (status, type, body) => response.writeHead(status, { "Content-Type": `${type}; charset=utf-8` }).end(body);
  const name = searchParams.get("name") ?? "";
  if (pathname === "/") send(200, "text/html", kPage);
  else if (pathname === "/main.js") send(200, "text/javascript", outputFiles[0].text);
  else if (pathname === "/token" && /^[\w.-]{1,50}$/.test(name)) send(200, "text/plain", tokenFor(name));
  else send(pathname === "/token" ? 400 : 404, "text/plain", "not found, or no name of 1 to 50 letters, digits, _ . -");
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`open http://127.0.0.1:${server.address().port}/`));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
