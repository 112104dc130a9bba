// A back end in plain Node.js: it signs tokens with node:crypto and publishes with fetch. No framework, no library.

import { createHmac, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const { TIDEWIRE_URL = "http://127.0.0.1:8080", TIDEWIRE_KEY = "tw_dev", PORT = "8002" } = process.env;
const { TIDEWIRE_SECRET = "development-secret-not-for-production" } = process.env;
const kPage = await readFile(new URL("index.html", import.meta.url));
const kBodyMax = 10_000;

/** A JWT for this user. Your back end knows who is asking; this one believes everybody. */
function tokenFor(user) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: user, iat: now, exp: now + 300 })}`;
  return `${signed}.${createHmac("sha256", TIDEWIRE_SECRET).update(signed).digest("base64url")}`;
}

/** Publishes once, however often it has to be tried: the key is the same each time. */
async function publish(channel, event, data) {
  const body = JSON.stringify({ channel, event, data, key: randomUUID() });
  const headers = { Authorization: `Bearer ${TIDEWIRE_KEY}`, "Content-Type": "application/json" };
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(`${TIDEWIRE_URL}/api/v1/publish`, { method: "POST", headers, body, signal: AbortSignal.timeout(5000) }).catch((error) => error);
    if (response.ok) return response.json();
    const passing = response instanceof Error || response.status === 429 || response.status >= 500;
    if (!passing || attempt === 4) throw new Error(response instanceof Error ? response.message : (await response.json()).detail);
    const waitMs = response instanceof Error ? 0 : 1000 * Number(response.headers.get("Retry-After") ?? 0);
    await new Promise((resolve) => setTimeout(resolve, waitMs + Math.random() * 200 * 2 ** attempt));
  }
}

async function jsonOf(request) {
  let text = "";
  for await (const part of request) {
    text += part;
    if (text.length > kBodyMax) throw Object.assign(new Error("too long"), { status: 413 });
  }
  try {
    return Object(JSON.parse(text));
  } catch {
    throw Object.assign(new Error("not JSON"), { status: 400 });
  }
}

const kRoutes = {
  "GET /": async () => ({ type: "text/html; charset=utf-8", body: kPage }),
  "GET /token": async (request, url) => {
    const user = url.searchParams.get("name") ?? "";
    if (!/^[\w.-]{1,50}$/.test(user)) throw Object.assign(new Error("a name has 1 to 50 letters, digits, _ . -"), { status: 400 });
    return { body: { token: tokenFor(user), url: TIDEWIRE_URL } };
  },
  "POST /say": async (request) => {
    const { name, text } = await jsonOf(request);
    if (typeof text !== "string" || !text || typeof name !== "string") throw Object.assign(new Error("say {name, text}"), { status: 400 });
    return { body: await publish("room:node", "said", { name, text }) };
  },
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const send = (status, { type = "application/json", body }) =>
    response.writeHead(status, { "Content-Type": type }).end(Buffer.isBuffer(body) ? body : JSON.stringify(body));
  try {
    const route = kRoutes[`${request.method} ${url.pathname}`];
    if (!route) return send(404, { body: { detail: "not found" } });
    send(200, await route(request, url));
  } catch (error) {
    send(error.status ?? 502, { body: { detail: error.message } });
  }
});
server.listen(Number(PORT), "127.0.0.1", () => console.log(`open http://127.0.0.1:${server.address().port}/`));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
