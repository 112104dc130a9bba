// The server's rate limit as the client knows it, so that requests wait here instead of being refused there: three
// refusals within ten seconds start a penalty (protocol, section 6). Pure; `nowMs` is handed in.

export interface RateLimits {
  messages_per_minute?: unknown;
  burst?: unknown;
}

export class Pacer {
  #perMs = Infinity;
  #burst = Infinity;
  #tokens = Infinity;
  #atMs = 0;
  #blockedUntilMs = 0;

  /** A new connection: the bucket is full. Without limits nothing waits. */
  refill(limits: RateLimits, nowMs: number): void {
    const { messages_per_minute: perMinute, burst } = limits;
    const known = Number(perMinute) >= 1 && Number(burst) >= 1;
    this.#perMs = known ? Number(perMinute) / 60_000 : Infinity;
    this.#tokens = this.#burst = known ? Number(burst) : Infinity;
    this.#atMs = nowMs;
    this.#blockedUntilMs = 0;
  }

  /** How long the next request must wait; 0: it may go, and has taken its token. */
  spend(nowMs: number): number {
    if (nowMs < this.#blockedUntilMs) return this.#blockedUntilMs - nowMs;
    if (this.#burst === Infinity) return 0;
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return Math.ceil((1 - this.#tokens) / this.#perMs);
    this.#tokens -= 1;
    return 0;
  }

  /** The server refused one all the same: others of this user share its limit, or the limit has been lowered. */
  refused(retryAfterMs: number, nowMs: number): void {
    this.#blockedUntilMs = Math.max(this.#blockedUntilMs, nowMs + retryAfterMs);
    if (this.#burst === Infinity) return;
    // One token is there by then.
    this.#tokens = 1;
    this.#atMs = this.#blockedUntilMs;
  }
}
