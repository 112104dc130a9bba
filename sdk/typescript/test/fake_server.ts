// A server in the test's hands: it sees what the client sends and says what the test wants it to say.

import { Tidewire, type Options } from "../src/index.js";
import type { Socket, Transport, TransportEvents, TransportRequest } from "../src/index.js";

export type Sent = { type: string; id?: number; [field: string]: any };

export const kHello = {
  type: "connected",
  protocol: 1,
  connection_id: "c-1",
  tenant: "default",
  authenticated: true,
  user: { id: 1, type: "user" },
  timestamp: 1_700_000_000_000,
  capabilities: ["messaging"],
  heartbeat_ms: 30_000,
  limits: { message_bytes: 1_048_576, messages_per_minute: 6_000, burst: 1000, channels: 1000 },
};

export class FakeSocket implements Socket {
  readonly sent: Sent[] = [];
  readonly request: TransportRequest;
  protocols: string[] | undefined;
  answersPings = false;
  /** What the client ended it with. */
  ended: { code: number | undefined } | undefined;
  readonly #events: TransportEvents;

  constructor(request: TransportRequest, events: TransportEvents) {
    this.request = request;
    this.#events = events;
    request.protocols().then(
      (protocols) => (this.protocols = protocols),
      () => {},
    );
  }

  send(text: string): void {
    const message = JSON.parse(text) as Sent;
    this.sent.push(message);
    if (this.answersPings && message.type === "ping") queueMicrotask(() => this.say({ ...message, type: "pong" }));
  }

  close(code?: number): void {
    this.ended = { code };
  }

  say(message: object | string): void {
    if (!this.ended) this.#events.message(typeof message === "string" ? message : JSON.stringify(message));
  }

  cut(code = 1006, reason = ""): void {
    if (!this.ended) this.#events.close(code, reason);
  }

  welcome(fields: object = {}): void {
    this.say({ ...kHello, ...fields });
  }

  /** The requests of one type, oldest first. */
  all(type: string): Sent[] {
    return this.sent.filter((message) => message.type === type);
  }

  last(type: string): Sent {
    const found = this.all(type).at(-1);
    if (!found) throw new Error(`no ${type} was sent, but ${JSON.stringify(this.sent)}`);
    return found;
  }

  /** Answers every entry of the last subscribe. */
  subscribed(fields: object = {}): void {
    const { id, channels } = this.last("subscribe");
    for (const entry of channels as (string | { channel: string })[]) {
      const channel = typeof entry === "string" ? entry : entry.channel;
      this.say({ type: "subscribed", id, channel, kind: "stream", epoch: "e1", seq: 0, messages: [], ...fields });
    }
  }

  message(channel: string, seq: number, data: unknown, fields: object = {}): void {
    this.say({ type: "message", channel, seq, timestamp: 1_700_000_000_000 + seq, data, ...fields });
  }

  published(seq: number, fields: object = {}): void {
    const { id, channel } = this.last("publish");
    this.say({ type: "published", id, channel, epoch: "e1", seq, ...fields });
  }

  refuse(type: string, code: string, fields: object = {}): void {
    const { id, channel } = this.last(type);
    this.say({ type: "error", id, request: type, channel, code, message: `it is ${code}`, ...fields });
  }
}

export class FakeServer implements Transport {
  readonly sockets: FakeSocket[] = [];
  answersPings = false;

  connect(request: TransportRequest, events: TransportEvents): Socket {
    const socket = new FakeSocket(request, events);
    socket.answersPings = this.answersPings;
    this.sockets.push(socket);
    return socket;
  }

  /** The present connection. */
  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  client(options: Options = {}): Tidewire {
    return new Tidewire("ws://fake/ws", { transport: this, token: () => "a.b.c", ...options });
  }

  /** A client with a connection. */
  async connected(options: Options = {}, hello: object = {}): Promise<Tidewire> {
    const client = this.client(options);
    const connected = client.connect();
    await turn();
    this.socket.welcome(hello);
    await connected;
    return client;
  }
}

/** Lets everything happen that waits for no timer. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 30; i += 1) await Promise.resolve();
}

/** How a promise has ended by now. */
export async function outcome(promise: Promise<unknown>): Promise<{ value: unknown } | { error: any } | "pending"> {
  let result: { value: unknown } | { error: unknown } | "pending" = "pending";
  promise.then(
    (value) => (result = { value }),
    (error: unknown) => (result = { error }),
  );
  await turn();
  return result;
}
