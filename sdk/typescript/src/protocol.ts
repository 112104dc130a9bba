// The words of the protocol (docs/protocol.md) as this client shows them, and a message as it comes off the wire.

export type ChannelKind = "stream" | "document" | "session" | "inbox" | "upload" | "agent";

export type Priority = "critical" | "high" | "medium" | "low";

/** What the content policy looks for (protocol, section 7); servers of later versions may name others. */
export type ContentRule = "script_tag" | "javascript_uri" | "iframe" | "event_handler" | "sql_injection" | "nosql_operator" | (string & {});

export type UserId = string | number;

export interface User {
  id: UserId;
  type: string;
  name?: string;
}

/** The author of a message: absent for an API key, `user` null for an anonymous connection. */
export interface Sender {
  user: User | null;
  /** Absent where the message came by HTTP. */
  connection?: string;
}

export interface Message<T = unknown> {
  channel: string;
  /** Absent in an ephemeral message, which has no place in the log. */
  seq?: number;
  /** Milliseconds since 1970 by the server's clock. */
  timestamp: number;
  data: T;
  event?: string;
  from?: Sender;
  priority?: Priority;
  /** This delivery stands for `firstSeq` to `seq`, merged. */
  firstSeq?: number;
  /** Of a document: an RFC 7396 merge patch in place of `data`. */
  merge?: unknown;
  /** Of a document: an RFC 6902 patch in place of `data`. */
  patch?: unknown;
  /** Of an inbox: it was sent to this user before. */
  redelivered?: boolean;
  /** What the content policy noticed in the content, which it let pass. */
  flags?: ContentRule[];
}

export interface Member<D = unknown> {
  user: User;
  /** 0 while the grace time of the last one runs. */
  connections: number;
  data?: D;
  since?: number;
}

export interface Published {
  channel: string;
  /** Absent for an ephemeral message. */
  epoch?: string;
  seq?: number;
  /** An earlier publish with the same key was answered again; nothing was appended. */
  duplicate?: boolean;
  /** A full inbox had only more important entries. */
  dropped?: boolean;
  ephemeral?: boolean;
}

export interface Session {
  connectionId: string;
  tenant: string;
  authenticated: boolean;
  user: User | null;
  capabilities: string[];
  /** When the token ends; absent without one, or for one that does not end. */
  expiresAt?: number;
  limits: { message_bytes?: number; messages_per_minute?: number; burst?: number; channels?: number };
}

/** A message of the server: an object with a string `type`; nothing else is known of it. */
export type Wire = { type: string; [field: string]: unknown };

/** @internal */
export function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

/** @internal */
export function isObject(value: unknown): value is { [field: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The message that this text holds; null: it holds none. @internal */
export function wireOf(text: string): Wire | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && typeof value.type === "string" ? (value as Wire) : null;
  } catch {
    return null;
  }
}

/** A `message`, or an entry of a `messages` list; null: it is none. @internal */
export function messageOf(value: unknown, channel: string): Message | null {
  if (!isObject(value)) return null;
  const { type: _type, id: _id, first_seq: firstSeq, ...rest } = value;
  if (rest.seq !== undefined && !isSeq(rest.seq)) return null;
  if (firstSeq !== undefined && !(isSeq(firstSeq) && firstSeq <= Number(rest.seq))) return null;
  const message = { data: null, ...rest, channel } as unknown as Message;
  if (firstSeq !== undefined) message.firstSeq = firstSeq;
  return message;
}

/** A list of members as far as its entries are some. @internal */
export function membersOf(value: unknown): Member[] | null {
  return Array.isArray(value) ? (value.filter(isMember) as Member[]) : null;
}

/** @internal */
export function isMember(value: unknown): value is Member {
  return isObject(value) && isObject(value.user) && value.user.id !== undefined;
}
