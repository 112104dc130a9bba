// What the client and an outbox know of each other. The outbox itself is `@tidewire/client/outbox`.

import type { TidewireError } from "./errors.js";
import type { Published } from "./protocol.js";

/** A message that waits for its answer. */
export interface OutboxEntry {
  /** Its idempotency key. */
  key: string;
  channel: string;
  /** The request. */
  text: string;
  /** When it was published, by this machine's clock. */
  atMs: number;
}

/** What became of an entry. */
export type OutboxResult = { entry: OutboxEntry; published: Published } | { entry: OutboxEntry; error: TidewireError };

export interface OutboxPort {
  /** Settles when the server has answered, however long that takes, or with `closed`. */
  send(entry: OutboxEntry): Promise<Published>;
  /** The client is closed, and what it was asked to send is not answered. */
  isClosed(): boolean;
  settled(result: OutboxResult): void;
  problem(error: TidewireError): void;
}

export interface Outbox {
  /** Once, before anything else. */
  start(port: OutboxPort): void;
  /** Keeps the entry until it is answered; the promise may give up earlier. */
  publish(entry: OutboxEntry, timeoutMs: number): Promise<Published>;
  /** A connection is there. */
  online(): void;
}
