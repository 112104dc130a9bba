// A WebSocket for Node.js before 22, which has none: RFC 6455 as a client needs it, over node:http, without extensions.
//
// Invariant: `onclose` is called once, and nothing after it.

import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import type { WebSocketLike } from "./transport.js";

const kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 section 1.3
const kMessageBytesMax = 64 << 20;
const kCloseWaitMs = 3000;

const kContinuation = 0;
const kText = 1;
const kBinary = 2;
const kClose = 8;
const kPing = 9;
const kPong = 10;

export class NodeWebSocket implements WebSocketLike {
  onmessage: WebSocketLike["onmessage"] = null;
  onclose: WebSocketLike["onclose"] = null;
  onerror: WebSocketLike["onerror"] = null;
  readyState = 0;
  #socket: Socket | undefined;
  #abort: () => void;
  #input: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #partsLength = 0;
  #opcode = 0;
  /** What `onclose` will say, once a close frame has come or gone. */
  #end: { code: number; reason: string } | undefined;

  constructor(url: string, protocols: string[]) {
    const target = new URL(url);
    const key = randomBytes(16).toString("base64");
    const isSecure = target.protocol === "wss:";
    target.protocol = isSecure ? "https:" : "http:";
    const request = (isSecure ? httpsRequest : httpRequest)(target, {
      // An agent of its own keeps the connection out of the pool.
      agent: false,
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Protocol": protocols.join(", "),
      },
    });
    this.#abort = () => request.destroy();
    request.on("error", (error) => this.#finish(1006, String(error)));
    request.on("response", (response) => {
      request.destroy();
      // A server that refuses tokens by HTTP means the same as one that closes for it.
      if (response.statusCode === 401) this.#finish(1008, "token_invalid");
      else this.#finish(1006, `HTTP ${response.statusCode}`);
    });
    request.on("upgrade", (response, socket, head) => this.#open(key, protocols, response, socket as Socket, head));
    request.end();
  }

  send(text: string): void {
    if (this.readyState === 1) this.#write(kText, Buffer.from(text));
  }

  close(code = 1000, reason = ""): void {
    if (this.readyState >= 2) return;
    if (!this.#socket) {
      this.#abort();
      return this.#finish(1006, "");
    }
    this.#startClose(code, reason);
  }

  #open(key: string, protocols: string[], response: IncomingMessage, socket: Socket, head: Buffer): void {
    const accept = createHash("sha1").update(key + kGuid).digest("base64");
    const protocol = response.headers["sec-websocket-protocol"];
    if (response.headers["sec-websocket-accept"] !== accept || (protocol && !protocols.includes(protocol))) {
      socket.destroy();
      return this.#finish(1006, "the answer to the upgrade is wrong");
    }
    this.#socket = socket;
    this.readyState = 1;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    socket.on("error", () => {});
    socket.on("close", () => this.#finish(1006, ""));
    if (head.length) this.#read(head);
  }

  #read(bytes: Buffer): void {
    this.#input = this.#input.length ? Buffer.concat([this.#input, bytes]) : bytes;
    while (this.readyState < 3 && this.#readFrame());
  }

  /** False: the next frame is not there as a whole. */
  #readFrame(): boolean {
    const input = this.#input;
    if (input.length < 2) return false;
    const isFinal = (input[0]! & 0x80) !== 0;
    const opcode = input[0]! & 0x0f;
    let length = input[1]! & 0x7f;
    let at = 2;
    if (length === 126) {
      if (input.length < 4) return false;
      length = input.readUInt16BE(2);
      at = 4;
    } else if (length === 127) {
      if (input.length < 10) return false;
      length = Number(input.readBigUInt64BE(2));
      at = 10;
    }
    // Reserved bits without an extension, or a masked frame from a server.
    if ((input[0]! & 0x70) !== 0 || (input[1]! & 0x80) !== 0) return this.#fail(1002, "a bad frame");
    if (opcode >= kClose && (!isFinal || length > 125)) return this.#fail(1002, "a bad control frame");
    if (length + this.#partsLength > kMessageBytesMax) return this.#fail(1009, "a message is too long");
    if (input.length < at + length) return false;
    this.#input = input.subarray(at + length);
    const payload = input.subarray(at, at + length);
    return opcode >= kClose ? this.#control(opcode, payload) : this.#data(opcode, isFinal, payload);
  }

  #data(opcode: number, isFinal: boolean, payload: Buffer): boolean {
    const isFirst = this.#opcode === 0;
    if (opcode > kBinary || isFirst === (opcode === kContinuation)) return this.#fail(1002, "a fragment out of place");
    if (isFirst) this.#opcode = opcode;
    this.#parts.push(payload);
    this.#partsLength += payload.length;
    if (!isFinal) return true;
    const whole = this.#parts.length === 1 ? payload : Buffer.concat(this.#parts);
    const isText = this.#opcode === kText;
    this.#parts = [];
    this.#partsLength = this.#opcode = 0;
    let data: unknown = whole;
    if (isText) {
      try {
        data = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(whole);
      } catch {
        return this.#fail(1007, "not UTF-8");
      }
    }
    if (this.readyState === 1) this.onmessage?.({ data });
    return true;
  }

  #control(opcode: number, payload: Buffer): boolean {
    if (opcode === kPing) this.#write(kPong, payload);
    if (opcode !== kClose) return true;
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
    if (this.readyState === 1) {
      this.#end = { code, reason: payload.subarray(2).toString() };
      this.readyState = 2;
      this.#write(kClose, payload.subarray(0, 2));
    }
    this.#socket!.end();
    setTimeout(() => this.#socket!.destroy(), kCloseWaitMs).unref();
    return false;
  }

  #fail(code: number, reason: string): false {
    this.#startClose(code, reason);
    return false;
  }

  #startClose(code: number, reason: string): void {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    this.#end = { code, reason };
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#write(kClose, Buffer.concat([payload, Buffer.from(reason)]));
    setTimeout(() => this.#socket!.destroy(), kCloseWaitMs).unref();
  }

  #write(opcode: number, payload: Buffer): void {
    const socket = this.#socket!;
    if (!socket.writable) return;
    const { length } = payload;
    const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
    head[0] = 0x80 | opcode;
    if (length < 126) {
      head[1] = 0x80 | length;
    } else if (length < 65_536) {
      head[1] = 0x80 | 126;
      head.writeUInt16BE(length, 2);
    } else {
      head[1] = 0x80 | 127;
      head.writeBigUInt64BE(BigInt(length), 2);
    }
    const mask = randomBytes(4);
    mask.copy(head, head.length - 4);
    const masked = Buffer.allocUnsafe(length);
    for (let i = 0; i < length; i += 1) masked[i] = payload[i]! ^ mask[i & 3]!;
    socket.write(Buffer.concat([head, masked]));
  }

  #finish(code: number, reason: string): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.(this.#end ?? { code, reason });
  }
}
