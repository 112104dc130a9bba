// What a channel needs of its client.

import type { ConnectionState } from "./connection.js";
import type { Published, Session, Wire } from "./protocol.js";
import type { EphemeralOptions, PublishBody, PublishOptions } from "./publish.js";
import type { Subscribable } from "./subscriber.js";

export interface Link {
  readonly state: ConnectionState;
  readonly session: Session | null;
  /** How long an answer may take. */
  readonly timeoutMs: number;
  /** A request that may be repeated. */
  call(type: string, fields: object): Promise<Wire>;
  post(channel: string, body: PublishBody, options: PublishOptions | EphemeralOptions): Promise<Published>;
  /** Subscribes as soon as that can be done; the error if there will be no connection. */
  want(channel: Subscribable): void;
  /** Takes that back, or unsubscribes. */
  letGo(channel: Subscribable): Promise<void>;
}
