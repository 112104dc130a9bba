// What can go wrong, with one type for all of it: an error that the server answered, or one of this client's own.

import type { ContentRule } from "./protocol.js";

/** The codes of the protocol, section 6. */
export type ServerErrorCode =
  | "invalid_json"
  | "invalid_message"
  | "unknown_type"
  | "invalid_channel"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "not_subscribed"
  | "channel_limit"
  | "rate_limited"
  | "conflict"
  | "connection_limit"
  | "content_rejected"
  | "invalid_event"
  | "unavailable"
  | "too_large"
  | "internal"
  | "token_missing"
  | "token_malformed"
  | "token_invalid"
  | "token_expired"
  | "token_not_yet_valid"
  | "token_revoked"
  | "user_not_found"
  | "user_mismatch"
  | "auth_timeout";

/**
 * The codes that this client adds:
 * - `timeout`: no answer came in time
 * - `connection_lost`: the connection ended, and sending again could have done the thing twice
 * - `not_connected`: there is no connection now, and the thing makes no sense later
 * - `closed`: `close()` was called, or the server said that this client is not to come back
 * - `unsubscribed`: the subscription ended before the answer came
 * - `token_failed`: the `token` function threw, or gave no token
 * - `outbox_failed`: the outbox could not be kept, so what is in it may not outlive the page
 * - `overflow`: an iterator was read too slowly
 * - `protocol_error`: the server sent what it must not send
 * - `invalid_argument`: a call that can't work; the message says what to do instead
 */
export type ClientErrorCode =
  | "timeout"
  | "connection_lost"
  | "not_connected"
  | "closed"
  | "unsubscribed"
  | "token_failed"
  | "outbox_failed"
  | "overflow"
  | "protocol_error"
  | "invalid_argument";

/** The known codes; servers of later versions may send others. */
export type ErrorCode = ServerErrorCode | ClientErrorCode | (string & {});

export interface ErrorDetails {
  /** The channel that it is about. */
  channel?: string;
  /** The type of the request that failed. */
  request?: string;
  /** Of `rate_limited` and `unavailable`: when another try makes sense. */
  retryAfterMs?: number;
  /** Of `conflict`: the channel's present seq. */
  seq?: number;
  /** Of `content_rejected`: the rule. */
  rule?: ContentRule;
  /** The message is in the outbox and will still be sent. */
  queued?: boolean;
  cause?: unknown;
}

export class TidewireError extends Error {
  declare readonly code: ErrorCode;
  declare readonly channel?: string;
  declare readonly request?: string;
  declare readonly retryAfterMs?: number;
  declare readonly seq?: number;
  declare readonly rule?: ContentRule;
  declare readonly queued?: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    Object.assign(this, details, { name: "TidewireError", code });
  }
}

/** Failures that time may mend. @internal */
export const kPassing = new Set(["rate_limited", "unavailable", "internal", "protocol_error", "token_failed", "timeout"]);

/** A call that can't work. @internal */
export function misuse(message: string): TidewireError {
  return new TidewireError("invalid_argument", message);
}

/** A wait that a server asks for, as far as it is believed: neither a storm nor beyond what a timer holds. @internal */
export function waitOf(ms: number): number {
  return Math.min(Math.max(ms, 50), 1e8);
}

/** The error that an `error` or `auth_error` message stands for, whatever the server put into it. @internal */
export function errorOf(wire: { [field: string]: unknown }): TidewireError {
  const { code, message, channel, request, seq, rule, retry_after_ms: afterMs } = wire;
  const details = { channel, request, seq, rule, retryAfterMs: typeof afterMs === "number" ? waitOf(afterMs) : undefined };
  return new TidewireError(String(code ?? "protocol_error"), String(message ?? code), details as ErrorDetails);
}

/** An answer that can't be one. @internal */
export function unexpected(wire: { [field: string]: unknown }, request: string): TidewireError {
  return new TidewireError("protocol_error", `the server answered ${request} with a bad "${wire.type}"`, { request });
}

/** The promise, or the error once that much time has passed. @internal */
export function within<V>(timeoutMs: number, promise: Promise<V>, error: () => TidewireError): Promise<V> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(error()), timeoutMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Promises that wait for the same thing. @internal */
export class Waiters<V> {
  #waiters: { resolve(value: V): void; reject(error: TidewireError): void }[] = [];

  wait(timeoutMs: number, error: () => TidewireError): Promise<V> {
    const promise = new Promise<V>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    return within(timeoutMs, promise, error);
  }

  resolve(value: V): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(value);
  }

  reject(error: TidewireError): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }
}
