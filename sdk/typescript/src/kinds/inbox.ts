// The user's inbox (protocol, section 7, kind `inbox`): entries that wait until one of the user's devices acks them.

import { Channel } from "../channel.js";
import { misuse } from "../errors.js";
import { isObject, isSeq, messageOf, type Message, type Priority } from "../protocol.js";

export type InboxEntry<T = unknown> = Message<T> & { seq: number };

export type InboxCounts = { readonly [P in Priority]: number };

const kOrder: readonly Priority[] = ["critical", "high", "medium", "low"];

export class Inbox<T = unknown> extends Channel<T> {
  #entries: readonly InboxEntry<T>[] = [];
  /** Acked here, not yet answered: gone from the list, kept for the case that the server refuses. */
  readonly #acking = new Map<number, InboxEntry<T>>();

  /** What waits, the most important first; another array after each change. Each comes as a `message` once, too. */
  get entries(): readonly InboxEntry<T>[] {
    return this.#entries;
  }

  get counts(): InboxCounts {
    const counts = { critical: 0, high: 0, medium: 0, low: 0 };
    for (const entry of this.#entries) counts[priorityOf(entry)] += 1;
    return counts;
  }

  /** Takes entries off the list on all of the user's devices. */
  async ack(...entries: (InboxEntry<T> | number)[]): Promise<void> {
    const seqs = entries.map((entry) => (typeof entry === "number" ? entry : entry?.seq));
    if (!seqs.every(isSeq)) throw misuse("ack() takes entries of this inbox, or their seqs");
    if (seqs.length) await this.#ack({ seqs }, (seq) => seqs.includes(seq));
  }

  /** Takes off everything that is in the list now. */
  async ackAll(): Promise<void> {
    const last = Math.max(0, ...this.#entries.map((entry) => entry.seq));
    if (last) await this.#ack({ up_to: last }, (seq) => seq <= last);
  }

  /** @internal */
  protected override get folds(): boolean {
    return true;
  }

  /** @internal */
  protected override recall(data: unknown): void {
    const known = new Set(this.#entries.map((entry) => entry.seq));
    const pending = isObject(data) && Array.isArray(data.pending) ? data.pending : [];
    const entries = pending.map((entry) => messageOf(entry, this.name)).filter((entry) => entry !== null && isSeq(entry.seq)) as InboxEntry<T>[];
    this.#set(entries.filter((entry) => !this.#acking.has(entry.seq)));
    for (const entry of this.#entries) if (!known.has(entry.seq)) this.emit("message", entry);
  }

  /** @internal */
  protected override fold(message: Message<T>): boolean {
    if (message.event !== "ack") this.#set([...this.#entries, message as InboxEntry<T>]);
    else if (isObject(message.data) && Array.isArray(message.data.seqs)) this.#remove(new Set(message.data.seqs as number[]));
    return true;
  }

  async #ack(what: { seqs: number[] } | { up_to: number }, covers: (seq: number) => boolean): Promise<void> {
    const taken = this.#entries.filter((entry) => covers(entry.seq));
    for (const entry of taken) this.#acking.set(entry.seq, entry);
    this.#remove(new Set(taken.map((entry) => entry.seq)));
    try {
      const answer = await this.link.call("ack", { channel: this.name, ...what });
      if (isSeq(answer.seq)) this.delivered(answer.seq);
    } catch (error) {
      this.#set([...this.#entries, ...taken]);
      throw error;
    } finally {
      for (const entry of taken) this.#acking.delete(entry.seq);
    }
  }

  #remove(seqs: Set<number>): void {
    this.#set(this.#entries.filter((entry) => !seqs.has(entry.seq)));
  }

  #set(entries: InboxEntry<T>[]): void {
    const unique = new Map(entries.map((entry) => [entry.seq, entry]));
    const rank = (entry: InboxEntry<T>): number => kOrder.indexOf(priorityOf(entry));
    this.#entries = [...unique.values()].sort((a, b) => rank(a) - rank(b) || a.seq - b.seq);
    this.emit("change", undefined);
  }
}

function priorityOf(entry: Message): Priority {
  return kOrder.includes(entry.priority!) ? entry.priority! : "medium";
}
