import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NodeWebSocket } from "./node_socket.js";

/** A frame as a server sends it. */
function frame(opcode: number, payload: string | Buffer = "", { fin = true, rsv = 0 } = {}): Buffer {
  const body = Buffer.from(payload);
  const { length } = body;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (fin ? 0x80 : 0) | rsv | opcode;
  if (length < 126) head[1] = length;
  else if (length < 65_536) (head[1] = 126), head.writeUInt16BE(length, 2);
  else (head[1] = 127), head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, body]);
}

function closeFrame(code: number, reason = ""): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frame(8, Buffer.concat([head, Buffer.from(reason)]));
}

/** The frames of a client, unmasked. */
function parse(bytes: Buffer): { opcode: number; masked: boolean; payload: Buffer }[] {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const opcode = bytes[at]! & 15;
    const masked = (bytes[at + 1]! & 128) !== 0;
    let length = bytes[at + 1]! & 127;
    at += 2;
    if (length === 126) (length = bytes.readUInt16BE(at)), (at += 2);
    else if (length === 127) (length = Number(bytes.readBigUInt64BE(at))), (at += 8);
    const mask = bytes.subarray(at, at + 4);
    at += 4;
    frames.push({ opcode, masked, payload: Buffer.from(bytes.subarray(at, at + length).map((byte, i) => byte ^ mask[i & 3]!)) });
    at += length;
  }
  return frames;
}

let server: Server;
let url: string;
let peer: Socket | undefined;
let received: Buffer;
let headers: Record<string, unknown>;
let answer: (key: string, socket: Socket) => void;
let log: unknown[];

function accept(key: string, socket: Socket, extra = "Sec-WebSocket-Protocol: tidewire.v1\r\n"): void {
  const hash = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${hash}\r\n${extra}\r\n`);
}

beforeEach(async () => {
  peer = undefined;
  received = Buffer.alloc(0);
  log = [];
  answer = accept;
  server = createServer((_request, response) => response.writeHead(503).end());
  server.on("upgrade", (request, socket: Socket) => {
    headers = request.headers;
    peer = socket;
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("data", (bytes) => (received = Buffer.concat([received, bytes as Buffer])));
    answer(String(request.headers["sec-websocket-key"]), socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/ws?a=1`;
});
afterEach(() => {
  peer?.destroy();
  server.close();
});

function open(): NodeWebSocket {
  const socket = new NodeWebSocket(url, ["tidewire.v1", "tidewire.token.x"]);
  const mine = log;
  socket.onmessage = ({ data }) => mine.push(data);
  socket.onclose = ({ code, reason }) => mine.push([code, reason]);
  return socket;
}

async function until(done: () => unknown): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function opened(): Promise<NodeWebSocket> {
  const socket = open();
  await until(() => socket.readyState === 1);
  return socket;
}

describe("the handshake", () => {
  it("offers the subprotocols at the address", async () => {
    await opened();
    expect(headers).toMatchObject({ upgrade: "websocket", "sec-websocket-version": "13", "sec-websocket-protocol": "tidewire.v1, tidewire.token.x" });
    expect(headers["sec-websocket-extensions"]).toBeUndefined();
  });

  it("takes what comes with its answer", async () => {
    answer = (key, socket) => {
      socket.cork();
      accept(key, socket);
      socket.write(frame(1, "early"));
      socket.uncork();
    };
    await opened();
    await until(() => log.length);
    expect(log).toEqual(["early"]);
  });

  it.each([
    ["with a wrong key", (_key: string, socket: Socket) => accept("other", socket)],
    ["with a subprotocol that was not offered", (key: string, socket: Socket) => accept(key, socket, "Sec-WebSocket-Protocol: chat\r\n")],
    ["with an end", (_key: string, socket: Socket) => socket.destroy()],
  ])("answered %s is none", async (_how, wrong) => {
    answer = wrong;
    open();
    await until(() => log.length);
    expect(log).toMatchObject([[1006, expect.any(String)]]);
  });

  it("answered by a status tells it", async () => {
    server.removeAllListeners("upgrade");
    open();
    await until(() => log.length);
    expect(log).toEqual([[1006, "HTTP 503"]]);
  });

  it("answered by a refusal of the token tells that", async () => {
    server.removeAllListeners("upgrade");
    server.removeAllListeners("request");
    server.on("request", (_request, response) => response.writeHead(401).end());
    open();
    await until(() => log.length);
    expect(log).toEqual([[1008, "token_invalid"]]);
  });

  it("to nobody fails", async () => {
    url = "ws://127.0.0.1:1/ws";
    open();
    await until(() => log.length);
    expect(log).toMatchObject([[1006, expect.stringContaining("ECONNREFUSED")]]);
  });

  it("can be given up", async () => {
    answer = () => {};
    const socket = open();
    await until(() => peer);
    socket.close();
    socket.close();
    expect(log).toEqual([[1006, ""]]);
    expect(socket.readyState).toBe(3);
  });
});

describe("messages", () => {
  it("of all lengths go out masked, and come in", async () => {
    const socket = await opened();
    const texts = ["", "é", "x".repeat(125), "x".repeat(126), "y".repeat(65_535), "z".repeat(65_536)];
    for (const text of texts) socket.send(text);
    for (const text of texts) peer!.write(frame(1, text));
    await until(() => log.length === texts.length && parse(received).length === texts.length);
    expect(log).toEqual(texts);
    expect(parse(received).map(({ opcode, masked, payload }) => [opcode, masked, payload.toString()])).toEqual(texts.map((text) => [1, true, text]));
  });

  it("come together from fragments, with pings between them, cut anywhere", async () => {
    await opened();
    const bytes = Buffer.concat([frame(1, "one ", { fin: false }), frame(9, "p"), frame(0, Buffer.from("tw€").subarray(0, 3), { fin: false }), frame(0, Buffer.from("tw€").subarray(3)), frame(2, "binary")]);
    for (const byte of bytes) peer!.write(Buffer.from([byte]));
    await until(() => log.length === 2 && received.length);
    expect(log).toEqual(["one tw€", Buffer.from("binary")]);
    expect(parse(received)).toMatchObject([{ opcode: 10, masked: true }]);
    expect(parse(received)[0]!.payload.toString()).toBe("p");
  });

  it("are dropped once it is closed", async () => {
    const socket = await opened();
    socket.close();
    socket.send("late");
    peer!.write(frame(1, "late"));
    peer!.write(closeFrame(1000));
    await until(() => log.length);
    expect(log).toEqual([[1000, ""]]);
    expect(parse(received).map(({ opcode }) => opcode)).toEqual([8]);
  });
});

describe("the end", () => {
  it("by the server is answered and told", async () => {
    await opened();
    peer!.write(closeFrame(1012, "draining"));
    await until(() => log.length && received.length);
    expect(log).toEqual([[1012, "draining"]]);
    expect(parse(received)[0]!.payload.readUInt16BE(0)).toBe(1012);
  });

  it("without a code is told as such", async () => {
    await opened();
    peer!.write(frame(8));
    await until(() => log.length);
    expect(log).toEqual([[1005, ""]]);
  });

  it("by this side carries code and reason", async () => {
    const socket = await opened();
    socket.close(4000, "gave up");
    await until(() => received.length);
    expect(parse(received)[0]!.payload.subarray(2).toString()).toBe("gave up");
    peer!.destroy();
    await until(() => log.length);
    expect(log).toEqual([[4000, "gave up"]]);
  });

  it("of the connection is told once", async () => {
    await opened();
    peer!.resetAndDestroy();
    await until(() => log.length);
    expect(log).toEqual([[1006, ""]]);
  });
});

describe("a server that breaks the protocol", () => {
  const masked = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x61]);
  const huge = Buffer.from([0x81, 127, 0, 0, 0, 0, 0x10, 0, 0, 0]);
  it.each([
    ["a masked frame", masked, 1002],
    ["a reserved bit", frame(1, "x", { rsv: 0x40 }), 1002],
    ["an unknown opcode", frame(3, "x"), 1002],
    ["an unknown control frame", frame(11, "x", { fin: false }), 1002],
    ["a long ping", frame(9, "x".repeat(126)), 1002],
    ["a continuation of nothing", frame(0, "x"), 1002],
    ["a message inside a message", Buffer.concat([frame(1, "x", { fin: false }), frame(1, "y")]), 1002],
    ["text that is not UTF-8", frame(1, Buffer.from([0xff])), 1007],
    ["a message without end", huge, 1009],
  ])("by %s is left", async (_what, bytes, code) => {
    await opened();
    peer!.write(bytes);
    await until(() => received.length);
    expect(parse(received)[0]!.payload.readUInt16BE(0)).toBe(code);
    peer!.destroy();
    await until(() => log.length);
    expect(log).toMatchObject([[code, expect.any(String)]]);
  });
});
