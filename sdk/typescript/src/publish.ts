// What a publish may ask for (protocol, section 4 `publish`), checked before it is sent.

import { misuse, unexpected } from "./errors.js";
import { isSeq, type Priority, type Published, type Wire } from "./protocol.js";

export interface PublishOptions {
  /** The event's name, at most 64 characters. */
  event?: string;
  /** Idempotency key, at most 128 characters; a random one where not given. */
  key?: string;
  priority?: Priority;
  /** After this long the message leaves the log (streams and inboxes). */
  ttlMs?: number;
  /** false: not back to this client. */
  echo?: boolean;
  /** How long the promise waits for the answer. */
  timeoutMs?: number;
  /** false: not through the outbox, where there is one. */
  outbox?: boolean;
  ephemeral?: false;
}

/** For those connected now: no place in the log, never sent twice, and refused at once while there is no connection. */
export interface EphemeralOptions {
  ephemeral: true;
  event?: string;
  priority?: Priority;
  echo?: boolean;
  timeoutMs?: number;
  key?: never;
  ttlMs?: never;
  outbox?: never;
}

/** The request's fields, without type and channel. @internal */
export interface PublishBody {
  [field: string]: unknown;
  event?: string | undefined;
  key?: string | undefined;
  ephemeral?: boolean | undefined;
  echo?: boolean | undefined;
}

/** @internal */
export function publishBody(content: object, options: PublishOptions | EphemeralOptions): PublishBody {
  const { event, key, priority, ttlMs, echo, ephemeral } = options as PublishOptions & { ephemeral?: boolean };
  checkText("event", event, 64);
  checkText("key", key, 128);
  if (ttlMs !== undefined && !(isSeq(ttlMs) && ttlMs <= 2 ** 41)) throw misuse("`ttlMs` is a whole number from 1 to 2^41");
  if (ephemeral && (key ?? ttlMs) !== undefined) throw misuse("an ephemeral message is not kept: leave out `key` and `ttlMs`");
  return { ...content, event, key, priority, ttl_ms: ttlMs, echo, ephemeral: ephemeral || undefined };
}

function checkText(name: string, value: unknown, length: number): void {
  if (value === undefined || (typeof value === "string" && value && value.length <= length)) return;
  throw misuse(`\`${name}\` is a string of 1 to ${length} characters`);
}

/** The answer to a publish, if it is one. @internal */
export function publishedOf(wire: Wire): Published {
  const { type, id: _id, ...published } = wire;
  const isWhole = published.ephemeral || published.dropped || (isSeq(published.seq) && published.epoch);
  if (type === "published" && isWhole) return published as unknown as Published;
  throw unexpected(wire, "publish");
}
