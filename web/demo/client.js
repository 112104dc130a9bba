// A small Tidewire client for the demo page: one WebSocket that comes back by itself.
//
// - Every channel that is followed keeps a position (epoch, seq) and is resumed from it, so nothing is missed and
//   nothing is seen twice; what the server could not recover is reported, never hidden.
// - Every publish carries an idempotency key and stays first in line until the server has answered it. One is in flight
//   at a time, so that a refused one can be tried again before those behind it.
// - Waiting between attempts is exponential with full jitter; close codes decide whether there is a next attempt.
//
// It needs nothing of the page, so it also loads outside a browser.

const kConnectTimeoutMs = 10_000;
const kReplyTimeoutMs = 10_000;
const kPingIntervalMs = 4_000;
const kPongTimeoutMs = 4_000;
const kStableAfterMs = 5_000;
const kBackoffBaseMs = 500;
const kBackoffCapMs = 10_000;
const kSlowDownMs = 30_000;
const kSocketOpen = 1;

/** Full jitter: anything between nothing and the exponential bound, so that clients cut off together spread out. */
export function backoffMs(attempt, random = Math.random) {
  return random() * Math.min(kBackoffCapMs, kBackoffBaseMs * 2 ** attempt);
}

/**
 * What a close means (protocol, section 6): `retry`, whether a new token is needed first, and the least wait in ms.
 * `refusal` is the code of an `auth_error` that came before the close, if any.
 */
export function afterClose(code, reason = "", refusal = "") {
  const why = reason || refusal;
  switch (code) {
    case 1000:
      return { retry: false };
    case 1002:
    case 1003:
    case 1007:
    case 1009:
      return { retry: false };
    case 1008:
      break;
    default:
      return { retry: true };
  }
  if (why.startsWith("token_")) return { retry: true, freshToken: true };
  if (why === "auth_timeout") return { retry: true, freshToken: true };
  if (why === "unavailable" || why === "message_timeout") return { retry: true };
  if (why === "rate_limited" || why === "connection_limit" || why.startsWith("Too many")) {
    return { retry: true, leastMs: kSlowDownMs };
  }
  return { retry: false };
}

/** A failure that no repetition will mend. */
export class PermanentError extends Error {}

/**
 * Events (`on(name, listener)`), each with one object:
 *   state       {name: "connecting"|"open"|"reconnecting"|"closed", reason, retryAt}   retryAt by performance.now()
 *   connected   the server's message         latency     {ms}
 *   frame       {direction: "in"|"out", message}   every protocol message, tokens blotted out
 *   subscribed  {channel, message, resumedFrom, started}   started: what follows is a new beginning, not a continuation
 *   message     {channel, epoch, message}    gap         {channel, epoch, from, to}
 *   presence    {channel, members}           member      {channel, action, member}
 *   draining    {afterMs}
 *   published   {key, channel, epoch, seq}   refused     {key, channel, code, message}
 *   trouble     {channel, code, message}     a subscription or presence request that was refused
 */
export class Client {
  #url;
  #fetchToken;
  #token = null;
  #tokenIsFresh = false;
  #listeners = new Map();
  #following = new Map();
  #outbox = [];
  #link = null;
  #attempt = 0;
  #retryTimer = 0;
  #nextId = 1;

  state = { name: "closed", reason: "", retryAt: 0 };
  counters = { sent: 0, received: 0, reconnects: 0, missed: 0, repeated: 0 };

  /** `fetchToken(signal)` answers a JWT, or throws; PermanentError ends the attempts. */
  constructor({ url, fetchToken }) {
    this.#url = url;
    this.#fetchToken = fetchToken;
  }

  on(name, listener) {
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener]);
  }

  start() {
    if (this.#link) return;
    this.#attempt = 0;
    this.#open();
  }

  stop(reason = "") {
    clearTimeout(this.#retryTimer);
    this.#abandon(1000);
    this.#setState("closed", reason);
  }

  /** Ends a wait between two attempts. */
  retryNow() {
    if (this.state.name === "reconnecting") this.#open();
  }

  /** Lets go of the socket as a lost network would, and comes back after `ms`. */
  cut(ms) {
    this.#abandon();
    this.#retryIn(ms, "cut by you");
  }

  /** Follows a channel from here on. `presence` is this member's data; without it the client only looks on. */
  follow(channel, { history = 0, presence = null } = {}) {
    this.#following.set(channel, { channel, history, presence, position: null, latest: 0, epoch: "" });
    if (this.#link?.ready) this.#subscribe(this.#link, this.#following.get(channel));
  }

  unfollow(channel) {
    const followed = this.#following.get(channel);
    if (!followed) return;
    this.#following.delete(channel);
    if (!this.#link?.ready) return;
    if (followed.presence) this.#send(this.#link, { type: "presence", channel, action: "leave" });
    this.#send(this.#link, { type: "unsubscribe", channel });
  }

  /** The position reached in a channel and the newest seq known of it. */
  position(channel) {
    const { epoch = "", position = null, latest = 0 } = this.#following.get(channel) ?? {};
    return { epoch, seq: position?.seq ?? latest, latest };
  }

  /** A second connection of a member makes no event, so who shows connection counts asks for the list now and then. */
  async askPresence(channel) {
    const link = this.#link;
    if (!link?.ready) return;
    const reply = await this.#request(link, { type: "presence", channel, action: "get" });
    if (reply?.type === "presence") this.#emit("presence", { channel, members: reply.members });
  }

  /** Queues a message. It is sent until it is answered, over any number of connections. */
  publish(channel, data, key = crypto.randomUUID()) {
    this.#outbox.push({ channel, data, key });
    if (this.#link?.ready) this.#drainOutbox(this.#link);
    return key;
  }

  /** The message of this key was seen in the channel: sending it again has no purpose. */
  settle(key) {
    this.#outbox = this.#outbox.filter((entry) => entry.key !== key);
  }

  get queued() {
    return this.#outbox.length;
  }

  // ---- the connection's life

  async #open() {
    clearTimeout(this.#retryTimer);
    this.#abandon();
    const link = {
      socket: null,
      aborter: new AbortController(),
      ready: false,
      draining: false,
      refusal: "",
      comeBackAt: 0,
      replies: new Map(),
      timers: new Set(),
    };
    this.#link = link;
    this.#setState("connecting");
    this.#after(link, kConnectTimeoutMs, () => this.#lose(link, "no answer"));
    try {
      if (!this.#token) {
        this.#token = await this.#fetchToken(link.aborter.signal);
        this.#tokenIsFresh = true;
      }
    } catch (error) {
      if (this.#link !== link) return;
      if (error instanceof PermanentError) this.stop(error.message);
      else this.#lose(link, "no server");
      return;
    }
    if (this.#link !== link) return;
    link.socket = new WebSocket(this.#url, ["tidewire.v1", `tidewire.token.${this.#token}`]);
    link.socket.onmessage = (event) => this.#receive(link, event.data);
    link.socket.onclose = (event) => this.#closed(link, event);
  }

  #closed(link, { code, reason }) {
    if (this.#link !== link) return;
    const next = afterClose(code, reason, link.refusal);
    const why = reason || link.refusal || (code === 1006 ? "connection lost" : `code ${code}`);
    if (next.freshToken) {
      // A token that was refused although it is new would only be refused again.
      if (this.#tokenIsFresh) return this.stop(why);
      this.#token = null;
    }
    if (!next.retry) return this.stop(why);
    this.#lose(link, why, Math.max(next.leastMs ?? 0, link.comeBackAt - performance.now()));
  }

  #lose(link, reason, leastMs = 0) {
    if (this.#link !== link) return;
    this.#abandon();
    this.#retryIn(leastMs + backoffMs(this.#attempt), reason);
    this.#attempt += 1;
  }

  #retryIn(ms, reason) {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => this.#open(), ms);
    this.#setState("reconnecting", reason, performance.now() + ms);
  }

  /** Forgets the current socket at once: a half-open one may take minutes to say that it is closed. */
  #abandon(code) {
    const link = this.#link;
    if (!link) return;
    this.#link = null;
    for (const timer of link.timers) clearTimeout(timer);
    link.aborter.abort();
    if (link.socket) {
      link.socket.onmessage = link.socket.onclose = null;
      link.socket.close(code);
    }
    for (const answer of link.replies.values()) answer(null);
  }

  #after(link, ms, action) {
    const timer = setTimeout(() => {
      link.timers.delete(timer);
      if (this.#link === link) action();
    }, ms);
    link.timers.add(timer);
    return () => {
      clearTimeout(timer);
      link.timers.delete(timer);
    };
  }

  // ---- messages

  #receive(link, text) {
    if (this.#link !== link) return;
    const message = JSON.parse(text);
    this.#emit("frame", { direction: "in", message });
    switch (message.type) {
      case "connected":
        return this.#welcomed(link, message);
      case "subscribed":
        this.#subscribed(link, message);
        break;
      case "message":
        return this.#delivered(message);
      case "gap":
        return this.#gone(message);
      case "presence_event":
        return this.#emit("member", message);
      case "unsubscribed":
        if (message.code) this.#emit("trouble", { ...message, message: "the server ended the subscription" });
        break;
      case "auth_error":
        link.refusal = message.code;
        break;
      case "auth_expiring":
        return void this.#renewToken(link);
      case "reconnect":
        link.comeBackAt = performance.now() + message.after_ms;
        this.#emit("draining", { afterMs: message.after_ms });
        return;
    }
    link.replies.get(message.id)?.(message);
  }

  async #welcomed(link, message) {
    for (const timer of link.timers) clearTimeout(timer);
    link.timers.clear();
    this.#tokenIsFresh = false;
    this.#after(link, kStableAfterMs, () => (this.#attempt = 0));
    this.#setState("open");
    this.#emit("connected", message);
    this.#ping(link);
    // Positions first: a message whose answer was lost may come back by them, and then needs no second sending.
    await Promise.all([...this.#following.values()].map((followed) => this.#subscribe(link, followed)));
    if (this.#link !== link) return;
    link.ready = true;
    this.#drainOutbox(link);
  }

  #send(link, message) {
    // Between the other side's close and its event nothing can be sent; the event follows and ends the link.
    if (link.socket.readyState !== kSocketOpen) return;
    const shown = message.token ? { ...message, token: "…" } : message;
    this.#emit("frame", { direction: "out", message: shown });
    link.socket.send(JSON.stringify(message));
  }

  /** The server's reply, or null when the connection ended before it came. */
  #request(link, message) {
    if (this.#link !== link) return Promise.resolve(null);
    return new Promise((resolve) => {
      const id = this.#nextId++;
      const disarm = this.#after(link, kReplyTimeoutMs, () => this.#lose(link, "no answer"));
      link.replies.set(id, (reply) => {
        disarm();
        link.replies.delete(id);
        resolve(reply);
      });
      this.#send(link, { ...message, id });
    });
  }

  /** As #request, but a refusal that names a time is waited out and the request made again. */
  async #insist(link, message) {
    for (;;) {
      const reply = await this.#request(link, message);
      if (reply?.type !== "error" || !reply.retry_after_ms) return reply;
      await new Promise((resolve) => this.#after(link, reply.retry_after_ms, resolve));
    }
  }

  #ping(link) {
    const sentAt = performance.now();
    const disarm = this.#after(link, kPongTimeoutMs, () => this.#lose(link, "no heartbeat"));
    const id = this.#nextId++;
    link.replies.set(id, (pong) => {
      link.replies.delete(id);
      disarm();
      if (!pong) return;
      this.#emit("latency", { ms: performance.now() - sentAt });
      this.#after(link, kPingIntervalMs, () => this.#ping(link));
    });
    this.#send(link, { type: "ping", id });
  }

  async #renewToken(link) {
    try {
      const token = await this.#fetchToken(link.aborter.signal);
      const reply = await this.#request(link, { type: "auth", token });
      if (reply?.type === "auth_success") this.#token = token;
    } catch {
      // The old token still holds; when it ends, the close says so and the next connection fetches another.
    }
  }

  // ---- channels

  async #subscribe(link, followed) {
    const { channel, history, presence, position } = followed;
    const start = position ? { since: { epoch: position.epoch, seq: position.seq } } : { history };
    const reply = await this.#insist(link, { type: "subscribe", channel, presence: true, ...start });
    if (reply?.type === "error") this.#emit("trouble", reply);
    if (reply?.type !== "subscribed" || !presence || !this.#following.has(channel)) return;
    const entered = await this.#insist(link, { type: "presence", channel, action: "enter", data: presence });
    if (entered?.type === "error") this.#emit("trouble", entered);
    if (entered?.type === "presence") this.#emit("presence", { channel, members: entered.members });
  }

  #subscribed(link, message) {
    const followed = this.#following.get(message.channel);
    if (!followed) return;
    const resumedFrom = followed.position;
    const started = message.recovered !== true;
    followed.epoch = message.epoch;
    followed.latest = message.seq;
    // A new beginning takes its position from the first message that comes, which may be an older one.
    followed.position = started || !resumedFrom ? null : { epoch: message.epoch, seq: resumedFrom.seq };
    if (message.members) this.#emit("presence", { channel: message.channel, members: message.members });
    this.#emit("subscribed", { channel: message.channel, message, resumedFrom, started });
    for (const entry of message.messages) this.#delivered({ ...entry, channel: message.channel });
    // Nothing came with the reply: either there is nothing, or it follows on its own because it is much. Until that is
    // known the position is open to messages that are older than it.
    followed.position ??= { epoch: message.epoch, seq: message.seq, open: true };
  }

  #delivered(message) {
    const followed = this.#following.get(message.channel);
    if (!followed) return;
    if (message.seq !== undefined && !this.#advance(followed, message.first_seq ?? message.seq, message.seq)) return;
    this.counters.received += 1;
    this.#emit("message", { channel: message.channel, epoch: followed.epoch, message });
  }

  #gone({ channel, epoch, from, to }) {
    const followed = this.#following.get(channel);
    if (!followed || !this.#advance(followed, from, to)) return;
    this.#emit("gap", { channel, epoch, from, to });
  }

  /** Moves the position over first..last; false when that was seen already. Counts what the server let slip. */
  #advance(followed, first, last) {
    const before = followed.position;
    if (before) {
      if (last <= before.seq && !before.open) {
        this.counters.repeated += 1;
        return false;
      }
      this.counters.missed += Math.max(0, first - before.seq - 1);
    }
    followed.position = { epoch: followed.epoch, seq: last };
    followed.latest = Math.max(followed.latest, last);
    return true;
  }

  async #drainOutbox(link) {
    if (link.draining) return;
    link.draining = true;
    while (this.#link === link && this.#outbox.length > 0) {
      const { channel, data, key } = this.#outbox[0];
      const reply = await this.#insist(link, { type: "publish", channel, data, key });
      if (!reply) return;
      this.settle(key);
      if (reply.type === "published") {
        this.counters.sent += 1;
        this.#emit("published", { key, channel, epoch: reply.epoch, seq: reply.seq });
      } else {
        this.#emit("refused", { key, channel, code: reply.code, message: reply.message });
      }
    }
    link.draining = false;
  }

  #setState(name, reason = "", retryAt = 0) {
    if (name === "open" && this.state.everOpen) this.counters.reconnects += 1;
    this.state = { name, reason, retryAt, everOpen: this.state.everOpen || name === "open" };
    this.#emit("state", this.state);
  }

  #emit(name, detail) {
    for (const listener of this.#listeners.get(name) ?? []) listener(detail);
  }
}
