// Values that come faster than they may be sent: what comes while one is on its way, or too soon after it, becomes one.

import type { Link } from "../link.js";

export class Coalescer<V, R> {
  readonly #merge: (earlier: V, later: V) => V;
  readonly #send: (value: V) => Promise<R>;
  readonly #link: Link;
  #next: { value: V; promise: Promise<R>; settle: (result: Promise<R>) => void } | undefined;
  #inFlight = 0;
  #sentAtMs = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(merge: (earlier: V, later: V) => V, send: (value: V) => Promise<R>, link: Link) {
    this.#merge = merge;
    this.#send = send;
    this.#link = link;
  }

  /** Settles as that does which the value goes with. One that nobody waits for harms nobody. */
  add(value: V): Promise<R> {
    if (this.#next) {
      this.#next.value = this.#merge(this.#next.value, value);
    } else {
      let settle!: (result: Promise<R>) => void;
      const promise = new Promise<R>((resolve) => (settle = resolve));
      promise.catch(() => {});
      this.#next = { value, promise, settle };
      this.#schedule();
    }
    return this.#next.promise;
  }

  /** Sends what waits, so that what is sent after this comes after it. */
  flush(): void {
    clearTimeout(this.#timer);
    const next = this.#next;
    if (!next) return;
    this.#next = undefined;
    this.#sentAtMs = Date.now();
    this.#inFlight += 1;
    const sent = this.#send(next.value);
    next.settle(sent);
    const answered = (): void => {
      this.#inFlight -= 1;
      this.#schedule();
    };
    sent.then(answered, answered);
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (!this.#next || this.#inFlight) return;
    // Half of what the rate limit takes, so that it has room for others, and ten times a second at most.
    const perMinute = this.#link.session?.limits.messages_per_minute ?? Infinity;
    const intervalMs = Math.max(100, 120_000 / perMinute);
    this.#timer = setTimeout(() => this.flush(), Math.max(0, this.#sentAtMs + intervalMs - Date.now()));
  }
}
