// The network between this page and the server, with a switch: a transport that passes everything on, late, not at all,
// or fails as a pulled cable does. It also counts what passes, measures round trips and remembers the last messages.
//
// Invariant: what passes keeps its order, whatever is switched meanwhile; a link that was cut says so once.

import { webSocketTransport, type Socket, type Transport, type TransportEvents, type TransportRequest } from "@tidewire/client";
import { Signal } from "./signal.js";

export type Mode = "online" | "slow" | "stalled" | "offline";

export interface Frame {
  number: number;
  direction: "in" | "out";
  atMs: number;
  message: { type?: string; [field: string]: unknown };
  /** Pings, questions who is there, and their answers, which come all the time. */
  isRoutine: boolean;
}

export interface Traffic {
  sent: number;
  received: number;
  /** The last round trips, the newest last. */
  tripsMs: readonly number[];
}

const kSlowMs = 450;
const kKeptFrames = 60;
const kKeptTrips = 48;

export class Network {
  readonly mode = new Signal<Mode>("online");
  readonly traffic = new Signal<Traffic>({ sent: 0, received: 0, tripsMs: [] });
  readonly frames = new Signal<readonly Frame[]>([]);
  readonly transport: Transport = { connect: (request, events) => this.#connect(request, events) };
  readonly #links = new Set<Link>();
  readonly #inner = webSocketTransport();
  readonly #pings = new Map<unknown, number>();
  #count = 0;

  set(mode: Mode): void {
    this.mode.set(mode);
    for (const link of [...this.#links]) link.switched();
  }

  #connect(request: TransportRequest, events: TransportEvents): Socket {
    const link = new Link(this.mode, this.#inner, request, events, {
      passed: (...what) => this.#passed(...what),
      ended: () => this.#links.delete(link),
    });
    this.#links.add(link);
    return link;
  }

  #passed(direction: Frame["direction"], text: string, sinceMs: number): void {
    let message: Frame["message"];
    try {
      message = JSON.parse(text) as Frame["message"];
    } catch {
      message = { type: "not JSON" };
    }
    if (message.type === "auth") message.token = "…";
    const { sent, received, tripsMs } = this.traffic.get();
    if (direction === "out") {
      if (message.type === "ping") this.#pings.set(message.id, sinceMs);
      this.traffic.set({ sent: sent + 1, received, tripsMs });
    } else {
      const askedMs = message.type === "pong" ? this.#pings.get(message.id) : undefined;
      if (message.type === "pong") this.#pings.delete(message.id);
      const trips = askedMs === undefined ? tripsMs : [...tripsMs, performance.now() - askedMs].slice(-kKeptTrips);
      this.traffic.set({ sent, received: received + 1, tripsMs: trips });
    }
    const isRoutine = message.type === "ping" || message.type === "pong" || message.type === "presence";
    const frame = { number: (this.#count += 1), direction, atMs: Date.now(), message, isRoutine };
    // What goes on by itself has room of its own, so that a quiet minute does not push out everything else.
    const alike = this.frames.get().filter((other) => other.isRoutine === isRoutine);
    const others = this.frames.get().filter((other) => other.isRoutine !== isRoutine);
    this.frames.set([...[...alike, frame].slice(-kKeptFrames), ...others].sort((a, b) => a.number - b.number));
  }
}

interface Watcher {
  /** `sinceMs`: when it was sent, by performance.now(). */
  passed(direction: Frame["direction"], text: string, sinceMs: number): void;
  ended(): void;
}

/** One connection. What is to happen waits in a line until the network lets it through. */
class Link implements Socket {
  #socket: Socket | undefined;
  #ended = false;
  #line: { atMs: number; run: () => void }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #mode: Signal<Mode>;
  readonly #events: TransportEvents;
  readonly #watcher: Watcher;

  constructor(mode: Signal<Mode>, inner: Transport, request: TransportRequest, events: TransportEvents, watcher: Watcher) {
    this.#mode = mode;
    this.#events = events;
    this.#watcher = watcher;
    const message = (text: string): void =>
      this.#queue((sinceMs) => {
        watcher.passed("in", text, sinceMs);
        events.message(text);
      });
    const close = (code: number, reason: string): void => this.#queue(() => this.#end(code, reason));
    this.#queue(() => (this.#socket = inner.connect(request, { message, close })));
    setTimeout(() => this.switched());
  }

  send(text: string): void {
    this.#queue((sinceMs) => {
      this.#watcher.passed("out", text, sinceMs);
      this.#socket?.send(text);
    });
  }

  close(code?: number, reason?: string): void {
    this.#finish();
    this.#socket?.close(code, reason);
  }

  switched(): void {
    if (this.#ended) return;
    if (this.#mode.get() === "offline") {
      this.#socket?.close();
      this.#end(1006, "the network is off");
    } else {
      this.#pump();
    }
  }

  #queue(run: (sinceMs: number) => void): void {
    if (this.#ended) return;
    const delayMs = this.#mode.get() === "slow" ? kSlowMs : 0;
    const nowMs = performance.now();
    this.#line.push({ atMs: nowMs + delayMs, run: () => run(nowMs) });
    // Not at once: no event may come while `connect` is still running.
    if (this.#socket && this.#line.length === 1 && !delayMs) this.#pump();
    else if (this.#line.length === 1) this.#later(delayMs);
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#pump(), ms);
  }

  #pump(): void {
    clearTimeout(this.#timer);
    while (!this.#ended && this.#line[0] && !["stalled", "offline"].includes(this.#mode.get())) {
      const waitMs = this.#line[0].atMs - performance.now();
      if (waitMs > 0) return this.#later(waitMs);
      this.#line.shift()!.run();
    }
  }

  #end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#finish();
    this.#events.close(code, reason);
  }

  #finish(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#line = [];
    this.#watcher.ended();
  }
}
