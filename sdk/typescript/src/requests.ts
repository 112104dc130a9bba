// Requests and their answers. Each is sent when there is a connection and the rate limit has room, sent again where that
// is safe, and always settled: by its answer, its deadline, or an error.
//
// Invariant: until it is settled, a request is in `#inFlight`, or in `#queue` (in the order of the calls), or behind the
// first of its lane, which alone is in one of these. So a lane keeps its order whatever is refused.

import { errorOf, TidewireError } from "./errors.js";
import { Pacer, type RateLimits } from "./pacer.js";
import type { Wire } from "./protocol.js";

export const kTryAgainMs = 1000;

export interface RequestOptions {
  /** Of one lane only one request is in flight. */
  lane?: string;
  /** It may be sent again when a connection has ended without an answer. */
  repeatable?: boolean;
  /** It is sent before all others that wait. */
  first?: boolean;
  timeoutMs: number;
  /**
   * Several answers: true when `answer` was the last one. It is asked for errors too. The time of such a request begins
   * when it is sent, and anew with each answer.
   */
  collect?: (answer: Wire) => boolean;
}

interface Pending {
  id: number;
  type: string;
  order: number;
  /** The message's text; null: there is nothing to do any more. */
  text: () => string | null;
  options: RequestOptions;
  notBeforeMs: number;
  /** Why it was refused when it was last tried. */
  refusal: TidewireError | undefined;
  timer: ReturnType<typeof setTimeout> | undefined;
  resolve: (answer: Wire) => void;
  reject: (error: TidewireError) => void;
}

/** These have no share in the rate limit. */
export const kUncounted = new Set(["ping", "auth", "ack", "unsubscribe"]);

export class Requests {
  readonly #send: (text: string) => void;
  readonly #queue: Pending[] = [];
  readonly #inFlight = new Map<number, Pending>();
  /** All of one lane, the first one first. */
  readonly #lanes = new Map<string | undefined, Pending[]>();
  readonly #pacer = new Pacer();
  #online = false;
  #bytesMax = Infinity;
  #nextId = 1;
  #nextOrder = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #scheduled = false;

  constructor(send: (text: string) => void) {
    this.#send = send;
  }

  /** The text is asked for when the request is sent, and comes without its `id`, as `{"type":…}`. */
  call(type: string, text: () => string | null, options: RequestOptions): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        id: this.#nextId++,
        type,
        order: this.#nextOrder++ - (options.first ? 2 ** 52 : 0),
        text,
        options,
        notBeforeMs: 0,
        refusal: undefined,
        timer: undefined,
        resolve,
        reject,
      };
      if (!options.collect) this.#arm(pending);
      const { lane } = options;
      const line = this.#lanes.get(lane);
      if (line) line.push(pending);
      else this.#enqueue(pending);
      if (lane && !line) this.#lanes.set(lane, [pending]);
    });
  }

  /** A connection is there. */
  online(limits: RateLimits & { message_bytes?: unknown }): void {
    this.#online = true;
    this.#bytesMax = typeof limits.message_bytes === "number" ? limits.message_bytes : Infinity;
    this.#pacer.refill(limits, Date.now());
    this.#pump();
  }

  /** The connection has ended. `poison`: what was in flight caused it, and is not sent again. */
  offline(poison?: TidewireError): void {
    this.#online = false;
    const lost = [...this.#inFlight.values()];
    this.#inFlight.clear();
    for (const pending of lost) {
      if (pending.options.repeatable && !poison) this.#enqueue(pending);
      else this.#done(pending, poison ?? new TidewireError("connection_lost", `no answer to ${pending.type} before the connection ended`));
    }
  }

  /** Settles everything. */
  failAll(error: TidewireError): void {
    const all = new Set([...this.#inFlight.values(), ...this.#queue, ...[...this.#lanes.values()].flat()]);
    // Nothing moves up.
    this.#lanes.clear();
    for (const pending of all) this.#done(pending, error);
  }

  /** An answer, perhaps to a request that nobody waits for any more. */
  settle(answer: Wire): void {
    const pending = this.#inFlight.get(answer.id as number);
    if (!pending) return;
    const { collect } = pending.options;
    const error = /error$/.test(answer.type) ? errorOf(answer) : undefined;
    if (error && this.#tryAgain(pending, error, answer)) return;
    if (collect && !collect(answer)) this.#arm(pending);
    else this.#done(pending, (!collect && error) || answer);
  }

  /** The server did not do it, and may do it later. */
  #tryAgain(pending: Pending, error: TidewireError, answer: Wire): boolean {
    const limited = error.code === "rate_limited";
    if (!limited && !(error.code === "unavailable" && pending.options.repeatable)) return false;
    if (pending.options.collect && answer.channel !== undefined) return false;
    const retryAfterMs = error.retryAfterMs ?? kTryAgainMs;
    const now = Date.now();
    if (limited && !kUncounted.has(pending.type)) this.#pacer.refused(retryAfterMs, now);
    else pending.notBeforeMs = now + retryAfterMs;
    pending.refusal = error;
    if (pending.options.collect) clearTimeout(pending.timer);
    this.#inFlight.delete(pending.id);
    this.#enqueue(pending);
    return true;
  }

  #arm(pending: Pending): void {
    clearTimeout(pending.timer);
    const { timeoutMs } = pending.options;
    if (timeoutMs === Infinity) return;
    pending.timer = setTimeout(() => {
      const what = `no answer to ${pending.type} within ${timeoutMs} ms`;
      this.#done(pending, pending.refusal ?? new TidewireError("timeout", what, { request: pending.type }));
    }, timeoutMs);
  }

  #drop(pending: Pending): void {
    this.#inFlight.delete(pending.id);
    const at = this.#queue.indexOf(pending);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** It is over, and the next one of its lane moves up. */
  #done(pending: Pending, result: Wire | TidewireError): void {
    clearTimeout(pending.timer);
    this.#drop(pending);
    const { lane } = pending.options;
    const line = this.#lanes.get(lane);
    if (line) {
      const at = line.indexOf(pending);
      line.splice(at, 1);
      if (!line[0]) this.#lanes.delete(lane);
      else if (!at) this.#enqueue(line[0]);
    }
    if (result instanceof TidewireError) pending.reject(result);
    else pending.resolve(result);
  }

  #enqueue(pending: Pending): void {
    let at = this.#queue.length;
    while (at > 0 && this.#queue[at - 1]!.order > pending.order) at -= 1;
    this.#queue.splice(at, 0, pending);
    if (this.#scheduled) return;
    // One turn's calls go together: a batch of subscriptions is made when it is sent.
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  /** Sends what may be sent now, and comes back when more may. */
  #pump(): void {
    clearTimeout(this.#timer);
    if (!this.#online) return;
    const now = Date.now();
    let wakeMs = Infinity;
    let paceMs = 0;
    for (const pending of [...this.#queue]) {
      let waitMs = pending.notBeforeMs - now;
      if (waitMs <= 0 && !kUncounted.has(pending.type)) waitMs = paceMs ||= this.#pacer.spend(now);
      if (waitMs > 0) wakeMs = Math.min(wakeMs, waitMs);
      else this.#transmit(pending);
    }
    if (wakeMs < Infinity) this.#timer = setTimeout(() => this.#pump(), wakeMs);
  }

  #transmit(pending: Pending): void {
    this.#drop(pending);
    const text = pending.text();
    if (text === null) return this.#done(pending, { type: "" });
    const whole = `${text.slice(0, -1)},"id":${pending.id}}`;
    // A character is at most three bytes of UTF-8.
    if (whole.length * 3 > this.#bytesMax && new TextEncoder().encode(whole).length > this.#bytesMax) {
      return this.#done(pending, new TidewireError("too_large", `over the server's limit of ${this.#bytesMax} bytes`, { request: pending.type }));
    }
    this.#inFlight.set(pending.id, pending);
    pending.refusal = undefined;
    if (pending.options.collect) this.#arm(pending);
    this.#send(whole);
  }
}
