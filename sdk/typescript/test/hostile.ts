// Servers that misbehave, over real sockets. Each says one thing that no server should, or nothing at all.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { kHello } from "./fake_server.js";

const kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
const kText = 1;
const kClose = 8;

/** A server's frame, unmasked. */
function frame(opcode: number, payload: Buffer | string, first = 0x80): Buffer {
  const bytes = Buffer.from(payload);
  const head = bytes.length < 126 ? [first | opcode, bytes.length] : [first | opcode, 126, bytes.length >> 8, bytes.length & 255];
  return Buffer.concat([Buffer.from(head), bytes]);
}

const json = (value: object): Buffer => frame(kText, JSON.stringify(value));
const hello = json(kHello);

/** The requests in a client's frames; what does not hold one is left out. */
function requests(input: Buffer): { id?: unknown; type?: unknown; channel?: unknown }[] {
  const found = [];
  while (input.length >= 6) {
    const short = input[1]! & 127;
    const at = short === 126 ? 4 : 2;
    const length = short === 126 ? input.readUInt16BE(2) : short;
    const mask = input.subarray(at, at + 4);
    const payload = input.subarray(at + 4, at + 4 + length).map((byte, i) => byte ^ mask[i & 3]!);
    if ((input[0]! & 15) === kText) found.push(JSON.parse(Buffer.from(payload).toString()));
    input = input.subarray(at + 4 + length);
  }
  return found;
}

const answering = (answer: (request: ReturnType<typeof requests>[number]) => Buffer): Behaviour => ({
  upgraded: (socket) => void socket.write(hello),
  heard: (socket, input) => requests(input).forEach((request) => socket.write(answer(request))),
});

interface Behaviour {
  /** In place of the answer to the upgrade. */
  asked?(socket: Socket): void;
  upgraded?(socket: Socket): void;
  heard?(socket: Socket, input: Buffer): void;
}

export const kBehaviours: Record<string, Behaviour> = {
  "answers nothing, not even the upgrade": { asked: () => {} },
  "is no WebSocket server": { asked: (socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") },
  "speaks another language": { asked: (socket) => socket.end("220 mail.example.com ESMTP\r\n") },
  "closes at once": { asked: (socket) => void socket.destroy() },
  "says nothing after the upgrade": {},
  "says nothing after its first message": { upgraded: (socket) => void socket.write(hello) },
  "answers only pings": answering((request) => (request.type === "ping" && request.id === undefined ? json({ type: "pong" }) : json({ type: "nothing" }))),
  "answers with wrong ids": answering(({ id, ...request }) => json({ ...request, type: "published", id: typeof id === "number" ? id + 1000 : "x", epoch: "e", seq: 1 })),
  "answers the wrong thing": answering(({ id, channel }) => json({ type: "acked", id, channel })),
  "answers with half of an answer": answering(({ id, channel }) => json({ type: "subscribed", id, channel })),
  "sends broken JSON": answering(() => frame(kText, '{"type":"published","id":1,')),
  "sends JSON that is no message": answering(() => frame(kText, "[[1,null]]")),
  "sends bytes in place of text": answering(() => frame(2, Buffer.from([1, 2, 3]))),
  "sends text that is no UTF-8": answering(() => frame(kText, Buffer.from([0x22, 0xff, 0xfe, 0x22]))),
  "sends a frame with reserved bits": answering(() => frame(kText, "{}", 0xf0)),
  "closes in the middle of a frame": {
    upgraded: (socket) => void socket.write(hello),
    heard: (socket) => socket.end(json({ type: "published", id: 1, epoch: "e", seq: 1 }).subarray(0, 20)),
  },
  "closes in the middle of its first message": { upgraded: (socket) => socket.end(hello.subarray(0, 30)) },
  "goes on talking after its close": {
    upgraded: (socket) => {
      socket.write(Buffer.concat([hello, frame(kClose, Buffer.from([0x03, 0xf4])), json({ type: "message", channel: "room:1", seq: 1, data: "late" }), frame(kText, "{")]));
      const timer = setInterval(() => socket.write(json({ type: "reconnect", after_ms: 1 })), 20);
      socket.on("close", () => clearInterval(timer));
    },
  },
  "closes with a code that does not exist": { upgraded: (socket) => socket.end(Buffer.concat([hello, frame(kClose, Buffer.from([0x00, 0x01]))])) },
  "limits to nothing": {
    upgraded: (socket) => void socket.write(json({ ...kHello, limits: { message_bytes: 0, messages_per_minute: 1e-300, burst: 1 }, heartbeat_ms: -1 })),
  },
  "asks to come back never": {
    upgraded: (socket) => socket.end(Buffer.concat([hello, json({ type: "reconnect", after_ms: 1e300 }), frame(kClose, Buffer.from([0x03, 0xf4]))])),
  },
  "lets the token end again and again": answering(() => json({ type: "auth_expiring", expires_at: -1 })),
  "wants everything later, for ever": answering(({ id, channel }) => json({ type: "error", id, channel, code: "unavailable", message: "later", retry_after_ms: 1e300 })),
  "wants everything again, at once": answering(({ id, channel }) => json({ type: "error", id, channel, code: "rate_limited", message: "again", retry_after_ms: 0 })),
};

export class HostileServer {
  readonly #sockets = new Set<Socket>();
  readonly #listener: Server;
  /** Requests to upgrade. */
  attempts = 0;
  /** Messages and control frames, as far as they came in pieces of their own. */
  inputs = 0;

  private constructor(behaviour: Behaviour) {
    this.#listener = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
      let head = "";
      socket.on("data", (bytes: Buffer) => {
        if (head.endsWith("\r\n\r\n")) {
          this.inputs += 1;
          return behaviour.heard?.(socket, bytes);
        }
        head += bytes.toString("latin1");
        if (!head.endsWith("\r\n\r\n")) return;
        this.attempts += 1;
        if (behaviour.asked) return behaviour.asked(socket);
        const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? "";
        const accept = createHash("sha1").update(key + kGuid).digest("base64");
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: tidewire.v1\r\n\r\n`);
        behaviour.upgraded?.(socket);
      });
    });
  }

  static async start(behaviour: string): Promise<HostileServer> {
    const server = new HostileServer(kBehaviours[behaviour]!);
    server.#listener.listen(0, "127.0.0.1");
    await once(server.#listener, "listening");
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#listener.address() as AddressInfo).port}/ws`;
  }

  async dispose(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}
