// The client: one connection, the channels that are used over it, and what waits to be sent.

import { Channel, type ChannelOptions } from "./channel.js";
import { closedError, Connection, kTokenRule, sessionOf, type ConnectionState, type TokenSource } from "./connection.js";
import { Emitter } from "./emitter.js";
import { errorOf, kPassing, misuse, TidewireError, unexpected, Waiters, within } from "./errors.js";
import type { Link } from "./link.js";
import { checkChannel, encode, randomName } from "./names.js";
import type { Outbox, OutboxResult } from "./outbox_port.js";
import { messageOf, type Published, type Session, type User, type Wire } from "./protocol.js";
import { publishedOf, type EphemeralOptions, type PublishBody, type PublishOptions } from "./publish.js";
import { Requests, type RequestOptions } from "./requests.js";
import { Subscriber, type Subscribable } from "./subscriber.js";
import { webSocketTransport, type Transport } from "./transport.js";
import { socketUrl } from "./url.js";

export interface Options {
  /** A JWT, or a function that gives one: for each connection, and before the old one ends. Without: anonymous. */
  token?: TokenSource;
  /** Keeps what is published until it is answered, over reloads: `outbox()` of `@tidewire/client/outbox`. */
  outbox?: Outbox;
  /** What moves the text: `sharedSocket()` of `@tidewire/client/tabs`, or one's own. */
  transport?: Transport;
  /** How long an answer may take, from the call on. 30 s. */
  timeoutMs?: number;
  /** How long an attempt to connect may take, the token included. 10 s. */
  connectTimeoutMs?: number;
  /** Silence of this length is doubted with a ping; the server may ask for less. 25 s. */
  heartbeatMs?: number;
  /** How long the answer to that ping may take: 8 s, and longer, up to 16 times, after connections that ended for it. */
  pingTimeoutMs?: number;
}

/** What the server sent to all connections. */
export interface Broadcast {
  event?: string;
  data: unknown;
  timestamp: number;
}

export interface ClientEvents {
  state: ConnectionState;
  /** A connection, or new rights on the present one. */
  session: Session;
  broadcast: Broadcast;
  outbox: OutboxResult;
  /** What went wrong beside any call: a bad message of the server, a token that could not be renewed. */
  error: TidewireError;
}

const kDefaults = { timeoutMs: 30_000, connectTimeoutMs: 10_000, heartbeatMs: 25_000, pingTimeoutMs: 8_000 };
const kRenewAgainMs = 10_000;
/** The server warns a minute before the end. */
const kRenewMaxMs = 30_000;

export class Tidewire extends Emitter<ClientEvents> {
  readonly #connection: Connection;
  readonly #requests: Requests;
  readonly #subscriber: Subscriber;
  readonly #channels = new Map<string, Channel<any>>();
  readonly #outbox: Outbox | undefined;
  readonly #waiters = new Waiters<Session>();
  /** @internal */
  readonly timeoutMs: number;
  readonly #renews: boolean;
  #session: Session | null = null;
  #user: User | null = null;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  /** `url` is the server's address, `wss://host/ws` or `https://host`; in a page also `/ws`. */
  constructor(url: string | URL, options: Options = {}) {
    super(["state", "session", "broadcast", "outbox", "error"]);
    const settings = { ...kDefaults, ...options };
    for (const name in kDefaults) checkMs(name, settings[name as keyof typeof kDefaults]);
    const { token, transport = webSocketTransport(), outbox, timeoutMs } = settings;
    if (!/^[sfu]/.test(typeof token) || typeof token === "symbol") throw misuse(kTokenRule);
    this.timeoutMs = timeoutMs;
    this.#renews = typeof token === "function";
    this.#connection = new Connection(
      { ...settings, url: socketUrl(url), transport, token },
      {
        state: (state) => this.#changed(state),
        up: (session) => this.#up(session),
        down: (poison) => this.#down(poison),
        message: (wire) => this.#heard(wire),
        problem: (error) => this.emit("error", error),
      },
    );
    this.#requests = new Requests((text) => this.#connection.send(text));
    this.#subscriber = new Subscriber(this.#requests, timeoutMs, (error) => this.#connection.restart(error));
    this.#outbox = outbox;
    outbox?.start({
      send: (entry) => this.#send(entry.channel, entry.text, Infinity),
      isClosed: () => this.state.name === "closed",
      settled: (result) => this.emit("outbox", result),
      problem: (error) => this.emit("error", error),
    });
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** Who this client is on the present connection; null while there is none. */
  get session(): Session | null {
    return this.#session;
  }

  /**
   * Connects, which anything that needs the server does too. Resolves once there is a connection; rejects when there will
   * be none, or none came in time (the attempts go on).
   */
  connect(): Promise<Session> {
    if (this.#session) return Promise.resolve(this.#session);
    const connected = this.#waiters.wait(this.timeoutMs, () => {
      const why = this.state.name === "waiting" && this.state.error;
      return why || new TidewireError("timeout", `no connection within ${this.timeoutMs} ms`);
    });
    this.#connection.open();
    return connected;
  }

  /** Ends the connection and every call that waits. What is in the outbox stays there. */
  close(): void {
    this.#connection.close();
  }

  /** A channel by its name: always the same object. The options are those of the first call. */
  channel<T = unknown>(name: string, options?: ChannelOptions): Channel<T> {
    return this.open<Channel<T>>(Channel, name, options);
  }

  /** Asks the token function and gives the connection the new token, after a sign-in for example. */
  async renew(): Promise<Session> {
    if (!this.#session) return this.connect();
    const token = await within(this.timeoutMs, this.#connection.token(), () => new TidewireError("token_failed", "the token function failed: no answer"));
    if (!token) throw new TidewireError("token_failed", kTokenRule);
    const answer = await this.#requests.call("auth", () => encode({ type: "auth", token }), { timeoutMs: this.timeoutMs });
    if (answer.type !== "auth_success" || !this.#session) throw unexpected(answer, "auth");
    this.#adopt(sessionOf(answer, this.#session));
    return this.#session;
  }

  /** One channel object per name, of the class that this name was first opened with. @internal */
  open<C extends Channel<any>>(Class: new (link: Link, name: string, options?: ChannelOptions) => C, name: string, options?: ChannelOptions): C {
    checkChannel(name);
    let channel = this.#channels.get(name);
    if (!channel) this.#channels.set(name, (channel = new Class(this, name, options)));
    if (!(channel instanceof Class)) throw misuse(`"${name}" is in use as another kind of channel: open it as this kind first`);
    return channel as C;
  }

  /** A request by its name (`ping`), for what has no method here. It is repeated until it is answered. */
  call(type: string, fields: object = {}): Promise<Wire> {
    return this.#call(type, encode({ type, ...fields }), { repeatable: true, timeoutMs: this.timeoutMs });
  }

  /** @internal */
  async post(channel: string, body: PublishBody, options: PublishOptions | EphemeralOptions): Promise<Published> {
    const { timeoutMs = this.timeoutMs } = options;
    checkMs("timeoutMs", timeoutMs);
    if (body.ephemeral) {
      if (this.state.name === "waiting") throw new TidewireError("not_connected", "an ephemeral message needs a connection", { channel });
      return publishedOf(await this.#call("publish", encode({ type: "publish", channel, ...body }), { timeoutMs }));
    }
    const key = body.key ?? randomName();
    const text = encode({ type: "publish", channel, ...body, key });
    if (!this.#outbox || options.outbox === false) return this.#send(channel, text, timeoutMs);
    this.#open();
    return this.#outbox.publish({ key, channel, text, atMs: Date.now() }, timeoutMs);
  }

  /** @internal */
  want(channel: Subscribable): void {
    this.#open();
    this.#subscriber.want(channel);
  }

  /** @internal */
  async letGo(channel: Subscribable): Promise<void> {
    if (this.#subscriber.forget(channel) || !this.#session) return;
    // Whatever the answer, it is not subscribed any more.
    await this.#call("unsubscribe", encode({ type: "unsubscribe", channel: channel.name }), { timeoutMs: this.timeoutMs }).catch(() => {});
  }

  async #call(type: string, text: string, options: RequestOptions): Promise<Wire> {
    this.#open();
    if (this.state.name === "closed") throw closedError(this.state);
    return this.#requests.call(type, () => text, options);
  }

  /** Of one channel, one message after the other: its order holds whatever is refused and sent again. */
  async #send(lane: string, text: string, timeoutMs: number): Promise<Published> {
    return publishedOf(await this.#call("publish", text, { lane, repeatable: true, timeoutMs }));
  }

  /** Begins what has not begun. What was closed stays so until `connect()`. */
  #open(): void {
    if (this.state.name === "idle") this.#connection.open();
  }

  #changed(state: ConnectionState): void {
    if (state.name === "connected") {
      this.#session = state.session;
      this.#waiters.resolve(state.session);
    }
    if (state.name === "closed") {
      const error = closedError(state);
      this.#waiters.reject(error);
      this.#requests.failAll(error);
      for (const channel of this.#channels.values()) channel.closed(error, !state.error);
    }
    this.emit("state", state);
    if (state.name === "closed") this.endEvents(state.error);
  }

  #up(session: Session): void {
    const { user } = session;
    if (user && this.#user && String(user.id) !== String(this.#user.id)) {
      return this.#connection.close(new TidewireError("user_mismatch", "the token is another user's: make a new client"));
    }
    this.#user = user ?? this.#user;
    const channels = [...this.#channels.values()];
    this.#subscriber.resubscribe(channels.filter((channel) => channel.wanted));
    this.#requests.online(session.limits);
    for (const channel of channels) channel.online();
    this.#outbox?.online();
    this.emit("session", session);
  }

  #down(poison: TidewireError | undefined): void {
    this.#session = null;
    clearTimeout(this.#renewal);
    this.#requests.offline(poison);
    for (const channel of this.#channels.values()) channel.offline();
  }

  #heard(wire: Wire): void {
    if (wire.id !== undefined) return this.#requests.settle(wire);
    if (wire.type === "auth_expiring") return this.#renews ? this.#renewSoon((Number(wire.expires_at) - Date.now()) / 2) : undefined;
    if (wire.type === "error") return this.emit("error", errorOf(wire));
    if (wire.channel === "$all") {
      const message = messageOf(wire, "$all");
      if (message) this.emit("broadcast", message);
    } else {
      this.#channels.get(wire.channel as string)?.heard(wire);
    }
  }

  /** Never at once: a token that lives too short to be renewed in time shall not be renewed without end. */
  #renewSoon(waitMs: number): void {
    clearTimeout(this.#renewal);
    this.#renewal = setTimeout(() => {
      this.renew().catch((error: TidewireError) => {
        this.emit("error", error);
        // The old token stays in force until its end; the connection after that asks for another one anyway.
        if (this.#session && kPassing.has(error.code)) this.#renewSoon(error.retryAfterMs ?? kRenewAgainMs);
      });
    }, Math.max(1000, Math.min(waitMs || 0, kRenewMaxMs)));
  }

  #adopt(session: Session): void {
    this.#user = session.user;
    this.#connection.renewed(session);
    this.emit("session", session);
  }
}

function checkMs(name: string, value: unknown): void {
  if (!(typeof value === "number" && value > 0 && value < 2 ** 31)) throw misuse(`\`${name}\` is a number of milliseconds, up to 2^31`);
}
