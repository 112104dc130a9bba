// A document that many edit (protocol, section 7, kind `document`). An edit shows at once; what the server refuses is
// taken back.
//
// Invariant: `#confirmed` is the server's document as of `#seq`; the value is that with the edits on it that are not
// in it yet.

import { Channel } from "../channel.js";
import { misuse, TidewireError } from "../errors.js";
import { encode } from "../names.js";
import { applyMerge, applyPatch, equals, type PatchOperation } from "./json_tree.js";
import type { Message, Published } from "../protocol.js";
import type { PublishOptions } from "../publish.js";

/** What changes a `T` when it is merged into it (RFC 7396): null deletes. */
export type MergePatch<T> = T extends readonly unknown[] ? T : T extends object ? { [K in keyof T]?: MergePatch<T[K]> | null } : T;

export interface EditOptions extends Pick<PublishOptions, "event" | "key" | "priority" | "timeoutMs" | "outbox"> {
  /** Refused with `conflict` when the document is not at this seq. */
  ifSeq?: number;
}

type Content = { data: unknown } | { merge: unknown } | { patch: PatchOperation[] };

interface Edit {
  content: Content;
  /** Its place in the log, once it has one. */
  seq?: number;
}

export class Document<T = unknown> extends Channel<T> {
  #confirmed: T | null | undefined;
  #seq = 0;
  #edits: Edit[] = [];
  #value: T | null | undefined;

  /** With the edits that are not answered yet. undefined: not there yet; null: empty. */
  get value(): T | null | undefined {
    return this.#value;
  }

  /** As the server has it. */
  get confirmed(): T | null | undefined {
    return this.#confirmed;
  }

  /** Which state of the document `confirmed` is: what `ifSeq` compares. */
  get seq(): number {
    return this.#seq;
  }

  /** Replaces the document. */
  set(value: T, options: EditOptions = {}): Promise<Published> {
    return this.#edit({ data: value }, options);
  }

  /** Merges into it (RFC 7396): members that are there replace, null deletes, the others stay. */
  merge(patch: MergePatch<T>, options: EditOptions = {}): Promise<Published> {
    return this.#edit({ merge: patch }, options);
  }

  /** Changes places in it (RFC 6902); all operations are done or none. */
  patch(operations: PatchOperation[], options: EditOptions = {}): Promise<Published> {
    return this.#edit({ patch: operations }, options);
  }

  /** `set()`, by the name that all channels have. */
  override async publish(data: T, options: EditOptions = {}): Promise<Published> {
    return this.set(data, options);
  }

  /**
   * Reads, changes and writes: when somebody else was faster, `change` is asked again with what they wrote. It returns
   * the new document and leaves the old one as it is.
   */
  async update(change: (value: T | null) => T, options: { attempts?: number } = {}): Promise<Published> {
    const { attempts = 10 } = options;
    if (!(attempts >= 1)) throw misuse("`attempts` is a number of tries, 1 or more");
    await this.subscribe();
    for (let left = attempts; ; left -= 1) {
      try {
        return await this.set(change(this.#confirmed ?? null), { ifSeq: this.#seq, outbox: false });
      } catch (error) {
        if (!(error instanceof TidewireError) || error.code !== "conflict" || left <= 1) throw error;
        await this.#reach(error.seq ?? this.#seq);
      }
    }
  }

  /** @internal */
  protected override get folds(): boolean {
    return true;
  }

  /** @internal */
  protected override recall(data: unknown, seq: number): void {
    this.#confirmed = data as T | null;
    this.#passed(seq);
  }

  /** @internal */
  protected override fold(message: Message<T>): boolean {
    const content: Content = "merge" in message ? { merge: message.merge } : "patch" in message ? { patch: message.patch as PatchOperation[] } : { data: message.data };
    try {
      this.#confirmed = applied(this.#confirmed, content) as T | null;
    } catch {
      return false;
    }
    const { user, connection } = message.from ?? {};
    const { session } = this.link;
    const isOwn = user ? user.id === session?.user?.id : connection !== undefined && connection === session?.connectionId;
    // Before its answer an edit is known by what it says.
    const at = isOwn ? this.#edits.findIndex((edit) => edit.seq === undefined && equals(edit.content, content)) : -1;
    if (at >= 0) this.#edits.splice(at, 1);
    this.#passed(message.seq!);
    return true;
  }

  async #edit(content: Content, options: EditOptions): Promise<Published> {
    const { ifSeq, ...rest } = options;
    if ("patch" in content && !Array.isArray(content.patch)) throw misuse("patch() takes a list of operations: [{op, path, value}]");
    if (ifSeq !== undefined && !(Number.isSafeInteger(ifSeq) && ifSeq >= 0)) throw misuse("`ifSeq` is a seq of the document, as `seq` tells it");
    // As the server will have it.
    const edit: Edit = { content: JSON.parse(encode(content)) as Content };
    const sent = this.send({ ...content, ...(ifSeq === undefined ? {} : { if_seq: ifSeq }) }, rest);
    this.#edits.push(edit);
    this.#show();
    try {
      const published = await sent;
      if (this.state.name === "subscribed" && Number(published.seq) > this.#seq) edit.seq = published.seq!;
      else this.#forget(edit);
      return published;
    } catch (error) {
      this.#forget(edit);
      throw error;
    }
  }

  #forget(edit: Edit): void {
    const at = this.#edits.indexOf(edit);
    if (at < 0) return;
    this.#edits.splice(at, 1);
    this.#show();
  }

  #passed(seq: number): void {
    this.#seq = seq;
    this.#edits = this.#edits.filter((edit) => edit.seq === undefined || edit.seq > seq);
    this.#show();
  }

  #show(): void {
    let value: unknown = this.#confirmed;
    for (const { content } of this.#edits) {
      try {
        value = applied(value, content);
      } catch {
        // It does not fit any more; whether it ever did is for the server to say.
      }
    }
    this.#value = value as T | null | undefined;
    this.emit("change", undefined);
  }

  /** Waits for the document to be at `seq` or beyond. */
  #reach(seq: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error?: TidewireError): void => {
        clearTimeout(timer);
        offChange();
        offState();
        if (error) reject(error);
        else resolve();
      };
      const { timeoutMs } = this.link;
      const timer = setTimeout(() => settle(new TidewireError("timeout", `the document did not reach ${seq} within ${timeoutMs} ms`)), timeoutMs);
      const offState = this.on("state", (state) => {
        if (state.name === "failed") settle(state.error);
        if (state.name === "idle") settle(new TidewireError("unsubscribed", "unsubscribe() was called", { channel: this.name }));
      });
      const check = (): void => {
        if (this.#seq >= seq) settle();
      };
      const offChange = this.on("change", check);
      check();
    });
  }
}

function applied(value: unknown, content: Content): unknown {
  if ("data" in content) return content.data;
  return "merge" in content ? applyMerge(value, content.merge) : applyPatch(value, content.patch);
}
