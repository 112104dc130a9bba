// What a channel needs of its client.

import type { TidewireError } from "./errors.js";
import type { Published, Wire } from "./protocol.js";
import type { EphemeralOptions, PublishBody, PublishOptions } from "./publish.js";
import type { Subscribable } from "./subscriber.js";

export interface Link {
  /** How long an answer may take. */
  readonly timeoutMs: number;
  /** Of the present connection; undefined: there is none. */
  readonly connectionId: string | undefined;
  /** Whose connection it is, or was. */
  readonly userId: string | undefined;
  /** Why there will be no connection; undefined: there is one, or will be. */
  readonly closed: TidewireError | undefined;
  /** A request that may be repeated. */
  call(type: string, fields: object): Promise<Wire>;
  publish(channel: string, body: PublishBody, options: PublishOptions | EphemeralOptions): Promise<Published>;
  /** Subscribes as soon as that can be done. */
  want(channel: Subscribable): void;
  /** Takes that back, or unsubscribes. */
  drop(channel: Subscribable): Promise<void>;
  problem(error: TidewireError): void;
}
