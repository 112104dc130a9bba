// Which channels are still to be subscribed, and the batches that ask for them (protocol, section 4 `subscribe`): all
// that wait go into one request, and after a reconnect everything that was followed goes first, each from its position.

import { errorOf, TidewireError } from "./errors.js";
import type { Wire } from "./protocol.js";
import type { Requests } from "./requests.js";

/** The protocol's bound of one request. */
const kBatchMax = 100;

/** A channel as a batch sees it. */
export interface Subscribable {
  readonly name: string;
  /** There is a position to resume from. */
  readonly resumable: boolean;
  /** It has not been given up meanwhile. */
  readonly wanted: boolean;
  entry(): string | object;
  subscribed(answer: Wire): void;
  refused(error: TidewireError): void;
}

export class Subscriber {
  readonly #requests: Requests;
  readonly #timeoutMs: number;
  readonly #stuck: (error: TidewireError) => void;
  readonly #waiting = new Set<Subscribable>();
  readonly #resuming = new Set<Subscribable>();
  #asked = false;

  /** `stuck`: the server left a batch unanswered. What it did of it is unknown, so only another connection helps. */
  constructor(requests: Requests, timeoutMs: number, stuck: (error: TidewireError) => void) {
    this.#requests = requests;
    this.#timeoutMs = timeoutMs;
    this.#stuck = stuck;
  }

  want(channel: Subscribable): void {
    this.#waiting.add(channel);
    if (!this.#asked) this.#ask(this.#waiting, false);
  }

  /** False: it was not waiting, so the server may know of it. */
  forget(channel: Subscribable): boolean {
    const waited = this.#waiting.delete(channel);
    return this.#resuming.delete(channel) || waited;
  }

  /** A new connection; these are wanted. One that was never subscribed keeps its place behind earlier requests. */
  resume(channels: Iterable<Subscribable>): void {
    for (const channel of channels) {
      if (channel.resumable) {
        this.#waiting.delete(channel);
        this.#resuming.add(channel);
      } else {
        this.want(channel);
      }
    }
    if (this.#resuming.size) this.#ask(this.#resuming, true);
  }

  #ask(from: Set<Subscribable>, first: boolean): void {
    const batch = new Map<string, Subscribable>();
    let waits = true;
    const begin = (): void => {
      if (waits && !first) this.#asked = false;
      waits = false;
    };
    if (!first) this.#asked = true;
    const text = (): string | null => {
      begin();
      // Sent again after a refusal, it asks for what is still wanted.
      const again = [...batch.values()].filter((channel) => channel.wanted);
      batch.clear();
      for (const channel of new Set([...again, ...from])) {
        if (batch.size === kBatchMax) break;
        batch.set(channel.name, channel);
        from.delete(channel);
      }
      if (from.size) this.#ask(from, first);
      const channels = [...batch.values()].map((channel) => channel.entry());
      return batch.size ? JSON.stringify({ type: "subscribe", channels }) : null;
    };
    const take = (answer: Wire): boolean => {
      const error = answer.type === "error" ? errorOf(answer) : undefined;
      const about = error && answer.channel === undefined ? [...batch.values()] : [batch.get(String(answer.channel))];
      for (const channel of about) {
        if (!channel) continue;
        batch.delete(channel.name);
        if (error) channel.refused(error);
        else channel.subscribed(answer);
      }
      return batch.size === 0;
    };
    this.#requests.call("subscribe", text, { timeoutMs: this.#timeoutMs, take, first }).catch((error: TidewireError) => {
      begin();
      if (error.code === "timeout") this.#stuck(error);
    });
  }
}
