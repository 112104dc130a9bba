// What can go wrong, with one type for all of it: an error that the server answered, or one of this client's own.

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
  rule?: string;
  /** The message is in the outbox and will still be sent. */
  queued?: boolean;
  cause?: unknown;
}

export class TidewireError extends Error {
  readonly code: ErrorCode;
  readonly channel?: string;
  readonly request?: string;
  readonly retryAfterMs?: number;
  readonly seq?: number;
  readonly rule?: string;
  readonly queued?: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.name = "TidewireError";
    this.code = code;
    Object.assign(this, details);
  }
}

/** A call that can't work. @internal */
export function misuse(message: string): TidewireError {
  return new TidewireError("invalid_argument", message);
}

/** The error that an `error` or `auth_error` message stands for, whatever the server put into it. @internal */
export function errorOf(wire: { [field: string]: unknown }): TidewireError {
  const details: ErrorDetails = {};
  if (typeof wire.channel === "string") details.channel = wire.channel;
  if (typeof wire.request === "string") details.request = wire.request;
  if (typeof wire.retry_after_ms === "number") details.retryAfterMs = wire.retry_after_ms;
  if (typeof wire.seq === "number") details.seq = wire.seq;
  if (typeof wire.rule === "string") details.rule = wire.rule;
  const code = typeof wire.code === "string" ? wire.code : "protocol_error";
  return new TidewireError(code, typeof wire.message === "string" ? wire.message : code, details);
}
