// The dashboard's publisher: one tab of all that are open reads the server's own metrics once a second and writes them
// into the shared document; the others only read that. Which one is settled by the document itself: whoever finds that
// nobody has written for a while takes over with `if_seq`, so that of several only one succeeds.

import type { Document } from "@tidewire/client/kinds";

/** One second: time, messages in and out, bytes in and out (each a second), connections, the longest turn in ms. */
export type Point = [atMs: number, messagesIn: number, messagesOut: number, bytesIn: number, bytesOut: number, connections: number, lagMs: number];

export interface Figures {
  by: string;
  atMs: number;
  now: { connections: number; users: number; channels: number; subscriptions: number; logEntries: number; syncsPerS: number; uptimeS: number };
  points: Point[];
}

export const kPoints = 60;
const kEveryMs = 1_000;
const kLeaseMs = 2_600;

type Metrics = Map<string, number>;

export class Feeder {
  readonly #document: Document<Figures>;
  readonly #me: string;
  readonly #timer: ReturnType<typeof setInterval>;
  #before: { atMs: number; metrics: Metrics } | undefined;
  #heard: { seq: number; atMs: number } = { seq: -1, atMs: Date.now() };
  #isBusy = false;

  /** `me` must be this tab's own. */
  constructor(document: Document<Figures>, me: string) {
    this.#document = document;
    this.#me = me;
    this.#timer = setInterval(() => void this.#turn().catch(() => {}), kEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #turn(): Promise<void> {
    const document = this.#document;
    const { value, seq } = document;
    // By this tab's clock: others' may be wrong.
    if (seq !== this.#heard.seq) this.#heard = { seq, atMs: Date.now() };
    if (this.#isBusy || document.state.name !== "subscribed" || value === undefined) return;
    const leads = value?.by === this.#me;
    if (!leads && value && Date.now() < this.#heard.atMs + kLeaseMs) return void (this.#before = undefined);
    this.#isBusy = true;
    try {
      const figures = await this.#measure(value?.points ?? []);
      if (!figures) return;
      const { points, ...rest } = figures;
      if (!leads || !value) return void (await document.set(figures, { ifSeq: seq, outbox: false }));
      const operations = [
        ...(value.points.length >= kPoints ? [{ op: "remove" as const, path: "/points/0" }] : []),
        { op: "add" as const, path: "/points/-", value: points.at(-1) },
        { op: "replace" as const, path: "/now", value: rest.now },
        { op: "replace" as const, path: "/atMs", value: rest.atMs },
      ];
      await document.patch(operations, { outbox: false, ifSeq: seq });
    } finally {
      this.#isBusy = false;
    }
  }

  async #measure(points: readonly Point[]): Promise<Figures | null> {
    const answer = await fetch("/metrics", { cache: "no-store", signal: AbortSignal.timeout(3_000) });
    if (!answer.ok) return null;
    const metrics = metricsOf(await answer.text());
    const atMs = Date.now();
    const before = this.#before;
    this.#before = { atMs, metrics };
    if (!before) return null;
    const of = (name: string): number => metrics.get(`tidewire_${name}`) ?? 0;
    const rate = (name: string): number => {
      const grown = of(name) - (before.metrics.get(`tidewire_${name}`) ?? 0);
      // A server that was started anew counts from 0.
      return Math.max(0, Math.round((grown * 10_000) / (atMs - before.atMs)) / 10);
    };
    const point: Point = [
      atMs,
      rate("messages_received_total"),
      rate("messages_sent_total"),
      rate("received_bytes_total"),
      rate("sent_bytes_total"),
      of("connections"),
      Math.round(of("loop_lag_seconds") * 100_000) / 100,
    ];
    const now = {
      connections: of("connections"),
      users: of("users"),
      channels: of("channels"),
      subscriptions: of("subscriptions"),
      logEntries: of("log_entries_total"),
      syncsPerS: rate("log_syncs_total"),
      uptimeS: Math.floor(of("uptime_seconds")),
    };
    return { by: this.#me, atMs, now, points: [...points, point].slice(-kPoints) };
  }
}

/** The metrics without labels of a Prometheus text. */
function metricsOf(text: string): Metrics {
  const metrics: Metrics = new Map();
  for (const [, name, value] of text.matchAll(/^(\w+) ([-+.\deE]+)$/gm)) metrics.set(name!, Number(value));
  return metrics;
}
