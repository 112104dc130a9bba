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
  entry(): object;
  subscribed(answer: Wire): void;
  refused(error: TidewireError): void;
}

export class Subscriber {
  readonly #requests: Requests;
  readonly #timeoutMs: number;
  readonly #stuck: (error: TidewireError) => void;
  readonly #waiting = new Set<Subscribable>();
  /** The batch that last asked for a channel: what an earlier one is answered is out of date. */
  readonly #latest = new WeakMap<Subscribable, object>();
  #asked = false;

  /** `stuck`: the server left a batch unanswered. What it did of it is unknown, so only another connection helps. */
  constructor(requests: Requests, timeoutMs: number, stuck: (error: TidewireError) => void) {
    this.#requests = requests;
    this.#timeoutMs = timeoutMs;
    this.#stuck = stuck;
  }

  want(channel: Subscribable): void {
    this.#waiting.add(channel);
    if (!this.#asked) this.#ask(false);
    this.#asked = true;
  }

  /** False: it was not waiting, so the server may know of it. */
  forget(channel: Subscribable): boolean {
    return this.#waiting.delete(channel);
  }

  /** A new connection; these are wanted. One that was never subscribed keeps its place behind earlier requests. */
  resubscribe(channels: Subscribable[]): void {
    for (const channel of channels) {
      if (channel.resumable) this.#waiting.add(channel);
      else this.want(channel);
    }
    if (channels.some((channel) => channel.resumable)) this.#ask(true);
  }

  #ask(first: boolean): void {
    const batch = new Map<string, Subscribable>();
    const text = (): string | null => {
      if (!first) this.#asked = false;
      // Sent again after a refusal, it asks for what is still wanted.
      for (const channel of batch.values()) if (channel.wanted) this.#waiting.add(channel);
      batch.clear();
      for (const channel of this.#waiting) {
        if (batch.size === kBatchMax) {
          this.#ask(first);
          break;
        }
        if (first && !channel.resumable) continue;
        this.#waiting.delete(channel);
        this.#latest.set(channel, batch);
        batch.set(channel.name, channel);
      }
      const channels = [...batch.values()].map((channel) => channel.entry());
      return batch.size ? JSON.stringify({ type: "subscribe", channels }) : null;
    };
    const collect = (answer: Wire): boolean => {
      const error = answer.type === "error" && errorOf(answer);
      const about = error && !answer.channel ? [...batch.values()] : [batch.get(answer.channel as string)];
      for (const channel of about) {
        if (!channel) continue;
        batch.delete(channel.name);
        if (this.#latest.get(channel) !== batch) continue;
        if (error) channel.refused(error);
        else channel.subscribed(answer);
      }
      return batch.size === 0;
    };
    this.#requests.call("subscribe", text, { timeoutMs: this.#timeoutMs, collect, first }).catch((error: TidewireError) => {
      this.#asked = false;
      if (error.code === "timeout") this.#stuck(error);
    });
  }
}
