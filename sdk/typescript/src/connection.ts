// The life of the connection: attempts, the first message, silence, the end, and coming back.
//
// Invariant: there is a socket exactly in the states `connecting` and `connected`, and a timer in each state that waits
// for something, so no state lasts for ever by accident. What an old socket still says is ignored.

import { afterClose, backoffMs } from "./backoff.js";
import { watchEnvironment } from "./environment.js";
import { errorOf, TidewireError, waitOf } from "./errors.js";
import { isObject, wireOf, type Session, type Wire } from "./protocol.js";
import type { Socket, Transport } from "./transport.js";

/** A connection that lived this long was a good one: the next wait is short again. */
const kStableMs = 5_000;
/** The least wait where the server asked to slow down, or a proxy in its place. */
const kSlowDownMs = 15_000;
/** After a connection that fell silent the next ping's answer has twice the time, up to so many times; each answer halves it. */
const kPatienceMax = 16;
/** So many tokens in a row may be refused. */
const kRefusalsMax = 3;
/** @internal */
export const kTokenRule = "`token` is a JWT, or a function that gives one";
/** Spreads those who come back together because a network came back. */
const kWakeSpreadMs = 500;
/** A close code of the range for private use: this side gave up. */
const kGaveUp = 4000;

export type ConnectionState =
  /** Nobody has asked for a connection yet. */
  | { readonly name: "idle" }
  | { readonly name: "connecting"; readonly attempt: number }
  | { readonly name: "connected"; readonly session: Session }
  /** The next attempt is at `retryAtMs` (as Date.now() counts), or when the network or the page comes back. */
  | { readonly name: "waiting"; readonly attempt: number; readonly retryAtMs: number; readonly error: TidewireError }
  /** By `close()`, or for good: then `error` says why. `connect()` begins anew. */
  | { readonly name: "closed"; readonly error?: TidewireError };

/** A JWT, or what gives one: asked for each connection and before the old one ends. Nothing: anonymous. */
export type TokenSource = string | (() => string | null | undefined | Promise<string | null | undefined>);

/** @internal */
export interface ConnectionOptions {
  url: string;
  transport: Transport;
  token: TokenSource | undefined;
  connectTimeoutMs: number;
  heartbeatMs: number;
  pingTimeoutMs: number;
}

/** @internal */
export interface ConnectionEvents {
  state(state: ConnectionState): void;
  up(session: Session): void;
  /** `poison`: what was in flight caused the end. */
  down(poison: TidewireError | undefined): void;
  message(wire: Wire): void;
  problem(error: TidewireError): void;
}

/** @internal */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  #state: ConnectionState = { name: "idle" };
  #socket: Socket | undefined;
  /** Grows with each socket; what belongs to an older one is void. */
  #generation = 0;
  #attempt = 0;
  #refusals = 0;
  #refusal: TidewireError | undefined;
  #upAtMs = 0;
  #heardAtMs = 0;
  #heartbeatMs = 0;
  #patience = 1;
  /** Not before: the server said when to come back, or to slow down. */
  #notBeforeMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #unwatch: (() => void) | undefined;

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#options = options;
    this.#events = events;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Begins, or tries again at once. */
  open(): void {
    const { name } = this.#state;
    if (name === "connecting" || name === "connected") return;
    if (name !== "waiting") this.#attempt = this.#refusals = 0;
    this.#unwatch ??= watchEnvironment(() => this.#wake());
    this.#try();
  }

  /** Ends it; with an error where something made it impossible to go on. */
  close(error?: TidewireError): void {
    if (this.#state.name === "closed") return;
    const wasUp = this.#state.name === "connected";
    this.#letGo(1000);
    this.#unwatch?.();
    this.#unwatch = undefined;
    if (wasUp) this.#events.down(undefined);
    this.#setState(error ? { name: "closed", error } : { name: "closed" });
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  /** What was done on this connection failed in a way that only another connection mends. */
  restart(error: TidewireError): void {
    if (this.#socket) this.#lost(kGaveUp, "", error);
  }

  /** The connection goes on with other rights. */
  renewed(session: Session): void {
    this.#setState({ name: "connected", session });
  }

  /** The present token; empty: none. */
  async token(): Promise<string> {
    const { token } = this.#options;
    let value: unknown;
    try {
      value = (typeof token === "function" ? await token() : token) ?? "";
    } catch (cause) {
      throw new TidewireError("token_failed", `the token function failed: ${cause}`, { cause });
    }
    if (typeof value === "string" && /^[\w.-]*$/.test(value)) return value;
    throw new TidewireError("token_failed", kTokenRule);
  }

  #try(): void {
    clearTimeout(this.#timer);
    const generation = ++this.#generation;
    const current = (): boolean => generation === this.#generation;
    const { url, transport, connectTimeoutMs } = this.#options;
    this.#refusal = undefined;
    this.#setState({ name: "connecting", attempt: this.#attempt });
    this.#timer = setTimeout(() => {
      this.#lost(kGaveUp, "", new TidewireError("timeout", `no connection within ${connectTimeoutMs} ms`));
    }, connectTimeoutMs);
    const protocols = async (): Promise<string[]> => {
      try {
        const token = await this.token();
        return ["tidewire.v1", ...(token ? [`tidewire.token.${token}`] : [])];
      } catch (error) {
        if (current()) this.#lost(kGaveUp, "", error as TidewireError);
        throw error;
      }
    };
    try {
      const socket = transport.connect(
        { url, protocols },
        {
          message: (text) => {
            if (current()) this.#heard(text);
          },
          close: (code, reason) => {
            if (current()) this.#lost(code, reason);
          },
        },
      );
      if (current()) this.#socket = socket;
      else socket.close();
    } catch (error) {
      if (current()) this.close(error as TidewireError);
    }
  }

  #heard(text: string): void {
    this.#heardAtMs = Date.now();
    const wire = wireOf(text);
    if (!wire) {
      return this.#events.problem(new TidewireError("protocol_error", `the server sent no message: ${text.slice(0, 60)}`));
    }
    if (this.#state.name === "connecting") {
      if (wire.type === "connected") this.#welcome(wire);
      else if (wire.type === "auth_error") this.#refusal = errorOf(wire);
      return;
    }
    if (wire.type === "pong" && wire.id === undefined) {
      this.#patience = Math.ceil(this.#patience / 2);
      return this.#listen();
    }
    if (wire.type === "reconnect" && typeof wire.after_ms === "number") this.#notBeforeMs = Date.now() + waitOf(wire.after_ms);
    else if (wire.type === "auth_error" && wire.id === undefined) this.#refusal = errorOf(wire);
    else this.#events.message(wire);
  }

  #welcome(wire: Wire): void {
    const session = sessionOf(wire);
    if (session.authenticated) this.#refusals = 0;
    this.#upAtMs = Date.now();
    this.#notBeforeMs = 0;
    const told = typeof wire.heartbeat_ms === "number" ? wire.heartbeat_ms : Infinity;
    this.#heartbeatMs = Math.max(1000, Math.min(this.#options.heartbeatMs, told));
    this.#listen();
    this.#setState({ name: "connected", session });
    this.#events.up(session);
  }

  /** Silence for a heartbeat is doubted, silence after a ping is the end of it. */
  #listen(): void {
    clearTimeout(this.#timer);
    const waitMs = this.#heardAtMs + this.#heartbeatMs - Date.now();
    if (waitMs <= 0) this.#probe();
    else this.#timer = setTimeout(() => this.#listen(), waitMs);
  }

  #probe(patience = this.#patience): void {
    // One that is under way is not put off by the next doubt.
    if (this.#heardAtMs < 0) return;
    clearTimeout(this.#timer);
    const askedAtMs = Date.now();
    const waitMs = this.#options.pingTimeoutMs * patience;
    this.send('{"type":"ping"}');
    this.#heardAtMs = -1;
    this.#timer = setTimeout(() => {
      if (this.#heardAtMs >= askedAtMs) return this.#listen();
      // One long message on a slow link is silence too, and would begin anew on each connection, and never end.
      this.#patience = Math.min(2 * this.#patience, kPatienceMax);
      this.#lost(kGaveUp, "", new TidewireError("timeout", `no answer to a ping within ${waitMs} ms`));
    }, waitMs);
  }

  #wake(): void {
    if (this.#state.name === "connected") this.#probe(1);
    if (this.#state.name !== "waiting" || globalThis.navigator?.onLine === false) return;
    const soonMs = Math.random() * kWakeSpreadMs;
    if (Date.now() + soonMs < this.#state.retryAtMs) this.#wait(Math.max(soonMs, this.#notBeforeMs - Date.now()), this.#state.error);
  }

  #lost(code: number, reason: string, error?: TidewireError): void {
    const wasUp = this.#state.name === "connected";
    const refusal = this.#refusal;
    this.#letGo(kGaveUp);
    const step = error ? "retry" : afterClose(code, reason, refusal?.code);
    const why = error ?? refusal ?? closeError(code, reason);
    if (wasUp) this.#events.down(step === "poison" ? why : undefined);
    // A listener may have closed or reopened it.
    if (this.#state.name !== "connecting" && this.#state.name !== "connected") return;
    if (step === "token" && typeof this.#options.token === "function") this.#refusals += 1;
    else if (step === "token") return this.close(why);
    if (step === "stop" || this.#refusals >= kRefusalsMax) return this.close(why);
    const now = Date.now();
    if (wasUp && now - this.#upAtMs >= kStableMs) this.#attempt = 0;
    if (step === "slow") this.#notBeforeMs = now + kSlowDownMs * (1 + Math.random());
    this.#wait(Math.max(this.#notBeforeMs - now, 0) + backoffMs(this.#attempt++), why);
  }

  #wait(waitMs: number, error: TidewireError): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#try(), waitMs);
    this.#setState({ name: "waiting", attempt: this.#attempt, retryAtMs: Date.now() + waitMs, error });
  }

  #letGo(code: number): void {
    clearTimeout(this.#timer);
    this.#generation += 1;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(code);
  }

  #setState(state: ConnectionState): void {
    this.#state = state;
    this.#events.state(state);
  }
}

function closeError(code: number, reason: string): TidewireError {
  const isCode = /^\w+$/.test(reason);
  const kind = code === 1000 ? "closed" : code === 1008 ? (isCode ? reason : "rate_limited") : "connection_lost";
  return new TidewireError(kind, `the server ended the connection: ${code} ${reason}`);
}

/** Why there will be no connection. @internal */
export function closedError(state: { readonly error?: TidewireError }): TidewireError {
  return state.error ?? new TidewireError("closed", "the client is closed; connect() opens it again");
}

/** What `connected` says, or `auth_success` on top of that. @internal */
export function sessionOf(wire: Wire, before?: Session): Session {
  const { connection_id: connectionId, tenant, user, capabilities, expires_at: expiresAt, limits } = wire;
  const isUser = isObject(user) && user.id !== undefined;
  const told = {
    connectionId: before?.connectionId ?? connectionId,
    tenant: before?.tenant ?? tenant,
    authenticated: isUser,
    user: isUser ? user : null,
    capabilities: Array.isArray(capabilities) ? capabilities : [],
    expiresAt,
    limits: before?.limits ?? (isObject(limits) ? limits : {}),
  };
  return told as unknown as Session;
}
