// Keeps what is published until the server has answered it: over connections, reloads and closed tabs.
//
// Invariant: an entry is in the store from its publish until an answer, or until it is too old. It is sent again with the
// same idempotency key, so what was answered unheard is not done twice within the server's window (5 minutes by default).

import { misuse, TidewireError, within } from "../errors.js";
import { randomName } from "../names.js";
import type { Outbox, OutboxEntry, OutboxPort } from "../outbox_port.js";
import type { Published } from "../protocol.js";
import { indexedDbStore, type OutboxStore, type StoredEntry } from "./store.js";

export { indexedDbStore };
export type { OutboxStore, StoredEntry };

const kLoadMs = 3000;

export interface OutboxOptions {
  /** Another place to keep the entries; IndexedDB where not given. */
  store?: OutboxStore;
  /** What could not be sent for this long is given up. A day. */
  maxAgeMs?: number;
}

/**
 * `name` tells apart what may not mix: give each signed-in user one, so that nobody sends what another has written.
 */
export function outbox(name: string, options: OutboxOptions = {}): Outbox {
  if (!name) throw misuse("outbox(name) needs a name, one for each user that signs in here");
  const { store = indexedDbStore(`tidewire-outbox-${name}`), maxAgeMs = 86_400_000 } = options;
  return new StoredOutbox(`tidewire-outbox-${name}:`, store, maxAgeMs);
}

class StoredOutbox implements Outbox {
  readonly #lockName: string;
  readonly #store: OutboxStore;
  readonly #maxAgeMs: number;
  readonly #owner = randomName();
  /** The entries that are on their way. */
  readonly #sending = new Set<string>();
  #port!: OutboxPort;
  #adopted: Promise<void> = Promise.resolve();
  #order = 0;

  constructor(lockName: string, store: OutboxStore, maxAgeMs: number) {
    this.#lockName = lockName;
    this.#store = store;
    this.#maxAgeMs = maxAgeMs;
  }

  start(port: OutboxPort): void {
    this.#port = port;
    // Held as long as this page lives: who finds it free may take over what the page has left.
    const forever = (): Promise<never> => new Promise(() => {});
    globalThis.navigator?.locks?.request(this.#lockName + this.#owner, forever).catch(() => {});
    this.online();
  }

  online(): void {
    this.#adopted = this.#adopted.then(() => this.#adopt()).catch((error) => this.#report(error));
  }

  publish(entry: OutboxEntry, timeoutMs: number): Promise<Published> {
    const what = `still in the outbox after ${timeoutMs} ms`;
    const error = (): TidewireError => new TidewireError("timeout", what, { request: "publish", channel: entry.channel, queued: true });
    return within(timeoutMs, this.#publish(entry), error);
  }

  async #publish(entry: OutboxEntry): Promise<Published> {
    const stored = { ...entry, owner: this.#owner, order: this.#order++ };
    // At once, so that a scan of the store does not take it for one that was left.
    this.#sending.add(entry.key);
    const kept = this.#put(stored);
    // What an earlier page left goes first, unless the store is stuck.
    await Promise.race([this.#adopted, new Promise((resolve) => setTimeout(resolve, kLoadMs))]);
    return this.#send(stored, kept);
  }

  async #adopt(): Promise<void> {
    const entries = await this.#store.load();
    const held = (await globalThis.navigator?.locks?.query())?.held ?? [];
    const isAlive = (owner: string): boolean => held.some(({ name }) => name === this.#lockName + owner);
    const left = entries.filter(({ key, owner }) => !this.#sending.has(key) && (owner === this.#owner || !isAlive(owner)));
    for (const entry of left.sort((a, b) => a.atMs - b.atMs || a.order - b.order)) {
      this.#sending.add(entry.key);
      this.#send(entry, this.#put({ ...entry, owner: this.#owner })).catch(() => {});
    }
  }

  async #send(entry: StoredEntry, kept: Promise<void>): Promise<Published> {
    try {
      if (Date.now() > entry.atMs + this.#maxAgeMs) throw new TidewireError("timeout", "too old to be sent", { channel: entry.channel });
      const published = await this.#port.send(entry);
      void this.#remove(entry.key, kept);
      this.#port.settled({ entry, published });
      return published;
    } catch (error) {
      // A client that was closed has no answer yet.
      if (!this.#port.isClosed()) {
        void this.#remove(entry.key, kept);
        this.#port.settled({ entry, error: error as TidewireError });
      }
      throw error;
    } finally {
      if (this.#port.isClosed()) this.#sending.delete(entry.key);
    }
  }

  async #remove(key: string, kept: Promise<void>): Promise<void> {
    await kept;
    await this.#store.remove(key).catch((error) => this.#report(error));
    this.#sending.delete(key);
  }

  #put(entry: StoredEntry): Promise<void> {
    return this.#store.put(entry).catch((error) => this.#report(error));
  }

  #report(cause: unknown): void {
    this.#port.problem(new TidewireError("outbox_failed", `the outbox failed: ${cause}`, { cause }));
  }
}
