// The progress of one upload (protocol, section 7, kind `upload`), for who does it and for who watches.

import { Coalescer } from "./coalescer.js";
import { isObject, type Message, type Published } from "../protocol.js";
import { misuse } from "../errors.js";
import { kEnds, Run } from "./run.js";

export interface UploadState {
  status: "pending" | "active" | "complete" | "failed" | "cancelled";
  bytes: number;
  /** null: not known. So are the others. */
  total: number | null;
  percent: number | null;
  rateBps: number | null;
  etaMs: number | null;
  /** What the last event of a failed or cancelled one gave as its reason. */
  reason?: unknown;
}

/** How fast an old rate is forgotten. */
const kRateWindowMs = 5000;

export class Upload extends Run<UploadState> {
  /** @internal */
  protected current: UploadState = { status: "pending", bytes: 0, total: null, percent: null, rateBps: null, etaMs: null };
  #at: { ms: number; bytes: number } | undefined;
  readonly #progress = new Coalescer<{ bytes: number; total?: number }, Published>(
    (earlier, later) => ({ ...earlier, ...later }),
    (data) => this.send({ data }, { event: "progress" }),
    this.link,
  );

  /** How far it is. May be called for every chunk: it is sent as often as the server takes it, the last one always. */
  progress(bytes: number, total?: number): Promise<Published> {
    const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
    if (!isCount(bytes) || !(total === undefined || isCount(total))) throw misuse("progress(bytes, total) takes whole numbers of bytes");
    return this.#progress.add(total === undefined ? { bytes } : { bytes, total });
  }

  complete(data: unknown = {}): Promise<Published> {
    return this.event("complete", data);
  }

  /** @internal */
  protected override flush(): void {
    this.#progress.flush();
  }

  /** @internal */
  protected override recall(data: unknown): void {
    if (!isObject(data)) return;
    const { rate_bps: rateBps, eta_ms: etaMs, ...rest } = data;
    this.#at = undefined;
    this.set({ ...rest, rateBps, etaMs } as UploadState);
  }

  /** @internal */
  protected override fold({ event, data, timestamp }: Message): boolean {
    const fields = isObject(data) ? data : {};
    const end = kEnds.get(event);
    const { bytes: before, total: totalBefore } = this.current;
    const total = typeof fields.total === "number" ? fields.total : totalBefore;
    if (!end && event !== "progress") return true;
    const bytes = event === "complete" ? (total ?? before) : typeof fields.bytes === "number" ? fields.bytes : before;
    const rateBps = event === "progress" ? this.#rate(bytes, timestamp) : this.current.rateBps;
    const left = total === null ? null : total - bytes;
    this.set({
      status: end ?? "active",
      bytes,
      total,
      percent: left === null || total === null ? null : total === 0 ? 100 : Math.floor((bytes / total) * 1000) / 10,
      rateBps,
      etaMs: end ? (end === "complete" ? 0 : null) : left !== null && rateBps ? Math.round((left / rateBps) * 1000) : null,
      ...(fields.reason === undefined ? {} : { reason: fields.reason }),
    });
    return true;
  }

  #rate(bytes: number, ms: number): number | null {
    const before = this.#at;
    const { rateBps } = this.current;
    const elapsedMs = before ? ms - before.ms : 0;
    if (before && elapsedMs < 1) return rateBps;
    this.#at = { ms, bytes };
    if (!before) return rateBps;
    const now = ((bytes - before.bytes) / elapsedMs) * 1000;
    return rateBps === null ? now : now + (rateBps - now) * Math.exp(-elapsedMs / kRateWindowMs);
  }
}
