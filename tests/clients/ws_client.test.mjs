// The server through npm `ws`, the client most used in Node: protocol sections 2 to 5 and 8.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import WebSocket from "ws";
import { mint, startServer } from "./server.mjs";

let server;
before(async () => {
  server = await startServer();
});
after(async () => {
  assert.equal(await server.stop(), 0, "SIGTERM ends the server with status 0");
});

/** A connection whose messages wait in a list until a test asks for them. */
class Peer {
  #messages = [];
  #waiting = [];

  constructor(path, protocols, options) {
    this.ws = new WebSocket(server.url(path), protocols, { perMessageDeflate: false, ...options });
    this.closed = new Promise((resolve) => {
      this.ws.on("close", (code, reason) => {
        resolve([code, reason.toString()]);
        for (const one of this.#waiting) one.reject(new Error(`closed: ${code} ${reason}`));
      });
    });
    this.ws.on("message", (data, isBinary) => {
      const message = isBinary ? data : JSON.parse(data.toString());
      const at = this.#waiting.findIndex((one) => one.match(message));
      if (at < 0) this.#messages.push(message);
      else this.#waiting.splice(at, 1)[0].resolve(message);
    });
  }

  /** The next message for which `match` holds; others keep waiting. */
  async next(match = () => true) {
    const at = this.#messages.findIndex(match);
    if (at >= 0) return this.#messages.splice(at, 1)[0];
    return new Promise((resolve, reject) => this.#waiting.push({ match, resolve, reject }));
  }

  send(message) {
    this.ws.send(JSON.stringify(message));
  }

  async request(message) {
    const id = randomBytes(6).toString("hex");
    this.send({ ...message, id });
    return this.next((reply) => reply.id === id);
  }

  async close() {
    this.ws.close(1000);
    return this.closed;
  }
}

const withToken = (user) => ["tidewire.v1", `tidewire.token.${mint(user)}`];
const unique = (prefix) => prefix + randomBytes(6).toString("hex");

async function connect(user, options) {
  const peer = new Peer("/ws?inbox=manual", user === null ? [] : withToken(user), options);
  const hello = await peer.next();
  assert.equal(hello.type, "connected");
  return Object.assign(peer, { hello });
}

describe("connecting (section 2)", () => {
  test("a token in the subprotocol authenticates, and tidewire.v1 alone is selected", async () => {
    const peer = await connect("alice");
    assert.equal(peer.ws.protocol, "tidewire.v1");
    assert.deepEqual(peer.hello.user, { id: "alice", type: "user" });
    assert.deepEqual(await peer.close(), [1000, ""]);
  });

  test("without a token the connection is anonymous", async () => {
    const peer = await connect(null);
    assert.equal(peer.hello.authenticated, false);
    assert.equal(peer.hello.user, null);
    await peer.close();
  });

  test("a bad token is answered with auth_error and 1008", async () => {
    const peer = new Peer("/ws", ["tidewire.v1", "tidewire.token.garbage"]);
    const error = await peer.next();
    assert.deepEqual([error.type, error.code], ["auth_error", "token_malformed"]);
    assert.deepEqual(await peer.closed, [1008, "token_malformed"]);
  });

  test("an unknown path is refused with 404", async () => {
    const ws = new WebSocket(server.url("/nowhere"));
    const [, response] = await once(ws, "unexpected-response");
    assert.equal(response.statusCode, 404);
    response.destroy();
  });
});

describe("messages (sections 3 to 5)", () => {
  test("two users chat and see one order", async () => {
    const channel = unique("room:");
    const [a, b] = await Promise.all([connect(unique("a")), connect(unique("b"))]);
    await a.request({ type: "subscribe", channel });
    await b.request({ type: "subscribe", channel });
    const published = [];
    for (let i = 0; i < 50; i++) {
      published.push((i % 2 ? a : b).request({ type: "publish", channel, data: { i } }));
    }
    for (const reply of await Promise.all(published)) assert.equal(reply.type, "published");
    const orders = [];
    for (const peer of [a, b]) {
      const order = [];
      for (let seq = 1; seq <= 50; seq++) {
        const message = await peer.next((m) => m.type === "message");
        assert.equal(message.seq, seq);
        order.push(message.data.i);
      }
      orders.push(order);
    }
    assert.deepEqual(orders[0], orders[1]);
    await Promise.all([a.close(), b.close()]);
  });

  test("a binary message is invalid_message and the connection goes on", async () => {
    const peer = await connect(null);
    peer.ws.send(Buffer.from([0, 255, 1]));
    const error = await peer.next();
    assert.deepEqual([error.type, error.code], ["error", "invalid_message"]);
    assert.equal((await peer.request({ type: "ping" })).type, "pong");
    await peer.close();
  });

  test("a big message comes back whole", async () => {
    const peer = await connect(null);
    const data = randomBytes(450_000).toString("hex");
    assert.equal((await peer.request({ type: "ping", data })).data, data);
    await peer.close();
  });

  test("a message over the limit is too_large and the connection goes on", async () => {
    const peer = await connect(null);
    peer.send({ type: "ping", data: "x".repeat(1_200_000) });
    const error = await peer.next();
    assert.deepEqual([error.type, error.code], ["error", "too_large"]);
    assert.equal((await peer.request({ type: "ping" })).type, "pong");
    await peer.close();
  });

  test("a WebSocket ping is answered with its payload", async () => {
    const peer = await connect(null);
    peer.ws.ping("are you there");
    const [payload] = await once(peer.ws, "pong");
    assert.equal(payload.toString(), "are you there");
    await peer.close();
  });
});

describe("permessage-deflate (section 2)", () => {
  const deflate = { perMessageDeflate: { threshold: 0 } };

  test("it is negotiated without a server context, and carries messages both ways", async () => {
    const peer = await connect(unique("u"), deflate);
    assert.match(peer.ws.extensions, /permessage-deflate/);
    for (const size of [1, 100, 10_000, 500_000]) {
      const data = "the tide comes in, ".repeat(Math.ceil(size / 19)).slice(0, size);
      assert.equal((await peer.request({ type: "ping", data })).data, data);
    }
    await peer.close();
  });

  test("readers with and without it get the same", async () => {
    const channel = unique("room:");
    const peers = await Promise.all([connect(unique("a"), deflate), connect(unique("b"))]);
    for (const peer of peers) await peer.request({ type: "subscribe", channel });
    const data = "same ".repeat(1000);
    await peers[0].request({ type: "publish", channel, data });
    for (const peer of peers) {
      assert.equal((await peer.next((m) => m.type === "message")).data, data);
      await peer.close();
    }
  });
});

describe("/echo (section 8)", () => {
  for (const size of [0, 125, 126, 65_535, 65_536, 8_000_000]) {
    test(`${size} bytes of binary and text come back`, async () => {
      const ws = new WebSocket(server.url("/echo"), { perMessageDeflate: false });
      await once(ws, "open");
      const body = randomBytes(size);
      ws.send(body);
      const [binary, isBinary] = await once(ws, "message");
      assert.equal(isBinary, true);
      assert.equal(Buffer.compare(binary, body), 0);
      const text = "é".repeat(size / 2);
      ws.send(text);
      const [answer, stillBinary] = await once(ws, "message");
      assert.equal(stillBinary, false);
      assert.equal(answer.toString(), text);
      ws.close();
      await once(ws, "close");
    });
  }
});
