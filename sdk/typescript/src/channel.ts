// A channel as the application holds it: its subscription with a state of its own, what comes in, and what goes out.
//
// Invariant: messages are given out in the order of their seqs, none twice; where some are missing there is a `gap`, a
// `subscribed` with `recovered: false`, or (kinds with a snapshot) a new snapshot. The object outlives connections.

import { backoffMs } from "./backoff.js";
import { closedError } from "./connection.js";
import { Cursor, type Hole, type Position } from "./cursor.js";
import { Emitter } from "./emitter.js";
import { errorOf, kPassing, misuse, TidewireError, unexpected, Waiters } from "./errors.js";
import type { Link } from "./link.js";
import { Presence, type PresenceChange } from "./presence.js";
import { publishBody, type EphemeralOptions, type PublishOptions } from "./publish.js";
import { isObject, isSeq, messageOf, type ChannelKind, type Message, type Published, type Wire } from "./protocol.js";

export type ChannelState =
  | { readonly name: "idle" }
  /** Asked for, or to be asked for once there is a connection; `error` is why the last try failed. */
  | { readonly name: "subscribing"; readonly error?: TidewireError }
  | { readonly name: "subscribed" }
  /** The server refused it, or ended it. `subscribe()` tries again. */
  | { readonly name: "failed"; readonly error: TidewireError };

export interface ChannelOptions {
  /** The last n messages, when there is no position to resume from. */
  history?: number;
  /** Where an earlier page left off (`position`). */
  since?: Position;
  /** Follow who is there: `presence.members` and the event `presence`. */
  presence?: boolean;
}

/** What a subscription began, or began again, with. */
export interface Subscribed {
  kind: ChannelKind;
  epoch: string;
  /** The channel's latest seq. */
  seq: number;
  /** true: nothing is missing since the position; false: something may be (`reason`); absent: there was no position. */
  recovered?: boolean;
  reason?: "trimmed" | "epoch" | "ahead" | (string & {});
}

/** The messages `from` to `to` are gone for this client. */
export interface Gap extends Hole {
  epoch: string;
  /** false: the server did not say so; the seqs just went on further up. */
  declared: boolean;
}

export interface HistoryQuery {
  /** Exclusive; the oldest messages after it. */
  after?: number;
  /** Exclusive; the newest messages before it. */
  before?: number;
  /** 100 where not given, at most 1000. */
  limit?: number;
  /** Refused with `conflict` when this is not the channel's present epoch. */
  epoch?: string;
}

export interface HistoryPage<T> {
  epoch: string;
  /** The oldest and the newest seq that the log holds; 0 when it is empty. */
  first: number;
  last: number;
  messages: Message<T>[];
}

export interface ChannelEvents<T> {
  state: ChannelState;
  subscribed: Subscribed;
  message: Message<T>;
  gap: Gap;
  /** The state of a kind that has one (protocol, section 7) was given anew. */
  snapshot: { seq: number; data: unknown };
  presence: PresenceChange;
  /** The server ended the subscription. */
  unsubscribed: { code: string };
  /** The folded state of a document, session, inbox, upload or agent's run is another one. */
  change: void;
  error: TidewireError;
}

const kEvents = ["state", "subscribed", "message", "gap", "snapshot", "presence", "unsubscribed", "change", "error"] as const;

export class Channel<T = unknown> extends Emitter<ChannelEvents<T>> {
  readonly name: string;
  /** Who is there; see `presence` in the options. */
  readonly presence: Presence;
  /** @internal */
  protected readonly link: Link;
  readonly #options: ChannelOptions;
  readonly #cursor = new Cursor();
  readonly #waiters = new Waiters<Subscribed>();
  #state: ChannelState = { name: "idle" };
  #last: Subscribed | undefined;
  #foldedSeq = 0;
  #tries = 0;
  /** `echo: false` publishes on their way: each may show as a missing seq until its answer tells it. */
  #hidden = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** @internal */
  constructor(link: Link, name: string, options: ChannelOptions = {}) {
    super(kEvents);
    const { history, since, presence } = options;
    if (!(Number.isInteger(history ?? 0) && (history ?? 0) >= 0)) throw misuse("`history` is a number of messages");
    if (since && !(since.epoch && Number.isInteger(since.seq))) throw misuse("`since` is a position: {epoch, seq}");
    this.name = name;
    this.link = link;
    this.#options = options;
    const watch = (): unknown => this.#state.name === "subscribed" && link.want(this);
    this.presence = new Presence(link, name, !!presence, watch, (change) => this.emit("presence", change));
    if (since) this.#cursor.start(since.epoch, since.seq);
  }

  get state(): ChannelState {
    return this.#state;
  }

  /** How far this channel has been seen. Kept over a reload, it goes into `since`. */
  get position(): Position | null {
    return this.#cursor.known ? { epoch: this.#cursor.epoch, seq: this.#cursor.seq } : null;
  }

  /**
   * Follows the channel from here on, over all reconnects, until `unsubscribe()`. Resolves once it does, rejects when the
   * server refuses or nothing came of it in time; in the latter case the channel goes on trying.
   */
  subscribe(listener?: (message: Message<T>) => void): Promise<Subscribed> {
    const { state } = this.link;
    if (state.name === "closed") return Promise.reject(closedError(state));
    if (listener) this.on("message", listener);
    if (this.#state.name === "subscribed" && this.#last) return Promise.resolve(this.#last);
    if (this.#state.name !== "subscribing") {
      this.#setState({ name: "subscribing" });
      this.link.want(this);
    }
    return this.#waiters.wait(this.link.timeoutMs, () => {
      const error = this.#state.name === "subscribing" && this.#state.error;
      return error || this.#error("timeout", `not subscribed within ${this.link.timeoutMs} ms`);
    });
  }

  /** Ends the subscription, its iterators, and the position: the next `subscribe()` is a new beginning. */
  async unsubscribe(): Promise<void> {
    if (this.#state.name === "idle") return;
    const gone = this.wanted && this.link.letGo(this);
    this.#end({ name: "idle" }, this.#error("unsubscribed", "unsubscribe() was called"));
    this.endEvents();
    await gone;
  }

  /** Resolves once the message is as safe as its namespace promises; it is sent until then, over reconnects. */
  async publish(data: T, options: PublishOptions | EphemeralOptions = {}): Promise<Published> {
    return this.send({ data }, options);
  }

  /** A page of the channel's log, ascending. */
  async history(query: HistoryQuery = {}): Promise<HistoryPage<T>> {
    const { after, before, limit, epoch } = query;
    const answer = await this.link.call("history", { channel: this.name, after, before, limit, epoch });
    const { first, last, messages } = answer;
    if (!Array.isArray(messages)) throw unexpected(answer, "history");
    return { epoch: String(answer.epoch), first: Number(first), last: Number(last), messages: this.#messages(messages) };
  }

  /** The messages from now on; subscribes if that has not been done. Ends with the subscription. */
  [Symbol.asyncIterator](): AsyncGenerator<Message<T>, void, void> {
    const messages = this.events("message");
    if (this.#state.name === "idle" || this.#state.name === "failed") this.subscribe().catch(() => {});
    return messages;
  }

  // What the kinds build on.

  /** A snapshot of the state, as of `seq`; nothing older will be folded. @internal */
  protected recall(_data: unknown, _seq: number): void {}

  /** The next event of the log. false: it does not fit, so the state has to be fetched anew. @internal */
  protected fold(_message: Message<T>): boolean {
    return true;
  }

  /** Whether the state is worth nothing once an event is missing. @internal */
  protected get folds(): boolean {
    return false;
  }

  /** @internal */
  protected async send(content: { data?: unknown; merge?: unknown; patch?: unknown; if_seq?: number }, options: PublishOptions | EphemeralOptions): Promise<Published> {
    const body = publishBody(content, options);
    const hides = body.echo === false ? 1 : 0;
    this.#hidden += hides;
    try {
      const published = await this.link.post(this.name, body, options);
      if (hides && published.seq && this.#cursor.epoch === published.epoch) this.#cursor.own(published.seq);
      return published;
    } finally {
      this.#hidden -= hides;
    }
  }

  /** A seq that an answer gave counts as delivered. @internal */
  protected delivered(seq: number): void {
    this.#cursor.own(seq);
  }

  /** Fetches the state anew, since what is here can't be right. @internal */
  protected resync(): void {
    if (this.#state.name !== "subscribed") return;
    this.link.letGo(this).catch(() => {});
    this.#cursor.start("", 0);
    this.#setState({ name: "subscribing" });
    this.link.want(this);
  }

  // What the connection tells.

  /** @internal */
  get wanted(): boolean {
    return this.#state.name === "subscribing" || this.#state.name === "subscribed";
  }

  /** @internal */
  get resumable(): boolean {
    return this.#last !== undefined;
  }

  /** @internal */
  entry(): object {
    const { history } = this.#options;
    const { known, catchingUp, seq, epoch } = this.#cursor;
    const entry = { channel: this.name, presence: this.presence.watched || undefined };
    if (this.#state.name === "subscribed") return entry;
    // Cut off before it was clear where the history begins: asked for as at first.
    return known && !(catchingUp && seq === 0 && history) ? { ...entry, since: { epoch, seq } } : { ...entry, history };
  }

  /** @internal */
  subscribed(wire: Wire): void {
    const { epoch, seq, kind } = wire;
    if (typeof epoch !== "string" || !epoch || !Number.isSafeInteger(seq)) return this.refused(this.#nonsense(wire));
    if (this.#state.name === "subscribed" && wire.id !== undefined) {
      // Asked again on a live subscription, for its members only.
      this.presence.listed(wire.members);
      return;
    }
    if (!this.wanted) return;
    const before = { ...this.position, horizon: this.#cursor.horizon, vague: this.#cursor.catchingUp };
    const messages = this.#messages(Array.isArray(wire.messages) ? wire.messages : []);
    const snapshot = isObject(wire.snapshot) && Number.isSafeInteger(wire.snapshot.seq) ? wire.snapshot : undefined;
    const result: Subscribed = { kind: kind as ChannelKind, epoch, seq: seq as number };
    const sameEpoch = before.epoch === epoch;
    this.#cursor.loose = kind === "inbox";
    let missing: Hole | undefined;
    if (wire.recovered === true && sameEpoch) {
      result.recovered = true;
    } else {
      missing = this.#begin(wire, messages[0]?.seq, snapshot?.seq as number | undefined, before);
      // Of a position that was never complete nothing is lost beyond what `missing` says.
      if (before.epoch && !(before.vague && sameEpoch)) {
        result.recovered = false;
        if (typeof wire.reason === "string") result.reason = wire.reason;
      }
    }
    this.#tries = 0;
    this.#last = result;
    if (snapshot) this.#recall(snapshot.data, snapshot.seq as number);
    this.presence.listed(wire.members);
    this.#setState({ name: "subscribed" });
    this.emit("subscribed", result);
    this.#waiters.resolve(result);
    if (missing) this.emit("gap", { epoch, ...missing, declared: false });
    for (const message of messages) this.#deliver(message);
  }

  /** @internal */
  refused(error: TidewireError): void {
    if (!this.wanted) return;
    if (this.#state.name === "subscribed") {
      // Only its members were refused.
      this.presence.watched = false;
      return this.emit("error", error);
    }
    if (!kPassing.has(error.code)) return this.#fail(error);
    this.emit("error", error);
    this.#setState({ name: "subscribing", error });
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.link.want(this), Math.max(error.retryAfterMs ?? 0, 1000) + backoffMs(this.#tries++));
  }

  /** A message of the server about this channel. @internal */
  heard(wire: Wire): void {
    if (wire.type === "presence" || wire.type === "presence_event") return this.presence.heard(wire);
    if (this.#state.name !== "subscribed") return;
    if (wire.type === "message") {
      const message = messageOf(wire, this.name);
      if (message) this.#deliver(message as Message<T>);
      else this.emit("error", this.#nonsense(wire));
    } else if (wire.type === "subscribed") {
      this.subscribed(wire);
    } else if (wire.type === "unsubscribed") {
      this.#ended(wire);
    } else if (wire.type === "gap") {
      const { from, to } = wire;
      if (!isSeq(from) || !isSeq(to)) return this.emit("error", this.#nonsense(wire));
      if (!this.#cursor.skip(to)) return;
      this.emit("gap", { epoch: this.#cursor.epoch, from, to, declared: true });
      if (this.folds) this.resync();
    } else if (wire.type === "snapshot") {
      const { seq, epoch, data } = wire;
      if (!isSeq(seq) || (seq < this.#cursor.seq && epoch === this.#cursor.epoch)) return;
      this.#cursor.start(String(epoch), seq);
      this.#recall(data, seq);
    }
  }

  /** There is a connection. @internal */
  online(): void {
    this.presence.online();
  }

  /** The connection has ended; the next one resumes. @internal */
  offline(): void {
    clearTimeout(this.#timer);
    if (this.#state.name === "subscribed") this.#setState({ name: "subscribing" });
  }

  /** There will be no connection, unless the application asks for one. @internal */
  closed(error: TidewireError, asked: boolean): void {
    this.offline();
    this.#waiters.reject(error);
    this.endEvents(asked ? undefined : error);
  }

  #begin(wire: Wire, firstSeq: number | undefined, snapshotSeq: number | undefined, before: Partial<Position> & { horizon: number; vague: boolean }): Hole | undefined {
    const epoch = wire.epoch as string;
    const seq = wire.seq as number;
    const vague = before.vague && before.epoch === epoch;
    // After a loss a snapshot is the whole of the new beginning; without one, what is retained comes.
    const mayFollow = wire.recovered === undefined ? this.#options.history : snapshotSeq === undefined;
    this.#foldedSeq = 0;
    if (firstSeq !== undefined) {
      this.#cursor.start(epoch, firstSeq - 1);
      if (vague && firstSeq > before.horizon + 1) return { from: before.horizon + 1, to: firstSeq - 1 };
    } else if (seq > 0 && mayFollow) {
      // As messages, from a seq that is not told.
      this.#cursor.start(epoch, 0, vague ? before.horizon : seq);
    } else {
      this.#cursor.start(epoch, snapshotSeq ?? seq, seq);
    }
    return undefined;
  }

  #deliver(message: Message<T>): void {
    const { seq } = message;
    // A listener of the one before may have ended it.
    if (this.#state.name !== "subscribed") return;
    if (seq !== undefined) {
      const { deliver, hole, overlap } = this.#cursor.admit(seq, message.firstSeq, this.#hidden);
      if (!deliver) return;
      if (hole) this.emit("gap", { epoch: this.#cursor.epoch, ...hole, declared: false });
      if ((hole || overlap) && this.folds) return this.resync();
      if (seq > this.#foldedSeq && !this.fold(message)) return this.resync();
    }
    this.emit("message", message);
  }

  #recall(data: unknown, seq: number): void {
    this.#foldedSeq = seq;
    this.recall(data, seq);
    this.emit("snapshot", { seq, data });
  }

  #ended(wire: Wire): void {
    const error = errorOf({ code: "unsubscribed", message: "the server ended the subscription", ...wire });
    this.emit("unsubscribed", { code: error.code });
    this.offline();
    this.refused(error);
  }

  #fail(error: TidewireError): void {
    this.#end({ name: "failed", error }, error);
    this.endEvents(error);
  }

  #end(state: ChannelState, error: TidewireError): void {
    clearTimeout(this.#timer);
    this.#cursor.start("", 0);
    this.#last = undefined;
    this.#setState(state);
    this.#waiters.reject(error);
  }

  #messages(entries: unknown[]): Message<T>[] {
    const messages: Message<T>[] = [];
    for (const entry of entries) {
      const message = messageOf(entry, this.name);
      if (message) messages.push(message as Message<T>);
      else this.emit("error", this.#nonsense({ type: "messages" }));
    }
    return messages;
  }

  #nonsense(wire: Wire): TidewireError {
    return this.#error("protocol_error", `the server sent a bad "${wire.type}"`);
  }

  #error(code: string, message: string): TidewireError {
    return new TidewireError(code, message, { channel: this.name });
  }

  #setState(state: ChannelState): void {
    this.#state = state;
    this.emit("state", state);
  }
}
