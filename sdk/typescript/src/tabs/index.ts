// One socket for all tabs of a page: one of them leads and has it, the others reach it over a BroadcastChannel. When the
// leader goes, the next in line for the lock takes over, and everybody resumes there.

import { misuse } from "../errors.js";
import { isObject } from "../protocol.js";
import { randomName } from "../names.js";
import { webSocketTransport, type Socket, type Transport, type TransportEvents, type TransportRequest } from "../transport.js";
import { Hub } from "./hub.js";

/** What a tab closes its socket with when its client is done, and not only looking for a better one. */
const kDone = 1000;
/** The close code of a socket whose leader has changed: come back. */
const kMoved = 1012;

/** What tabs tell each other. `to` is missing where it is for all. */
interface Note {
  from: string;
  to?: string;
  kind: "who" | "lead" | "open" | "send" | "end" | "message" | "close";
  /** Which socket of a tab it is about: an old one's events are void. */
  socket: number;
  text?: string;
  code?: number;
}

export interface SharedOptions {
  /** How the leader reaches the server; a WebSocket where not given. */
  transport?: Transport;
}

/**
 * A transport that all tabs with this name share. Give each signed-in user one, since they share an identity too. Where
 * there are no tabs to share with (no Web Locks, no BroadcastChannel) each has a socket of its own.
 */
export function sharedSocket(name: string, { transport = webSocketTransport() }: SharedOptions = {}): Transport {
  if (!name) throw misuse("sharedSocket(name) needs a name, one for each user that signs in here");
  if (!globalThis.navigator?.locks || !globalThis.BroadcastChannel) return transport;
  return new Tab(`tidewire-${name}`, transport);
}

class Tab implements Transport {
  readonly #name: string;
  readonly #transport: Transport;
  readonly #id = randomName();
  readonly #channel: BroadcastChannel;
  readonly #locks = navigator.locks;
  readonly #alive: Promise<void>;
  /** The sockets of other tabs that this one leads. */
  readonly #led = new Map<string, { socket: number; events: TransportEvents }>();
  #hub: Hub | undefined;
  #leader: string | undefined;
  #request: TransportRequest | undefined;
  #events: TransportEvents | undefined;
  #socket = 0;
  #stands = false;
  #resign: (() => void) | undefined;

  constructor(name: string, transport: Transport) {
    this.#name = name;
    this.#transport = transport;
    this.#channel = new BroadcastChannel(name);
    this.#channel.onmessage = ({ data }) => this.#noted(data);
    // Held as long as this tab lives; before it is held, a leader would take this tab for gone.
    this.#alive = new Promise((resolve) => {
      const forever = (): Promise<never> => (resolve(), new Promise(() => {}));
      this.#locks.request(this.#lockOf(this.#id), forever).catch(() => {});
    });
  }

  connect(request: TransportRequest, events: TransportEvents): Socket {
    this.#request = request;
    this.#events = events;
    this.#socket += 1;
    const isCurrent = (): boolean => this.#events === events;
    // Later in any case: no event may come before this returns.
    void this.#alive.then(() => {
      if (!isCurrent()) return;
      this.#stand();
      if (this.#hub) this.#hub.openOwn(request, events);
      else if (this.#leader) this.#note("open", this.#leader);
      else this.#note("who");
    });
    return {
      send: (text) => {
        if (!isCurrent()) return;
        if (this.#hub) this.#hub.send(events, text);
        else if (this.#leader) this.#note("send", this.#leader, { text });
      },
      close: (code) => {
        if (!isCurrent()) return;
        this.#events = undefined;
        this.#hub?.close(events);
        if (this.#leader && !this.#hub) this.#note("end", this.#leader);
        // A client that is done has no token for the others any more.
        if (code === kDone) {
          this.#request = undefined;
          return this.#resign?.();
        }
        if (this.#hub) return;
        // One that gave up asks who leads, and if nobody says so, leads.
        if (!this.#leader) this.#stand(true);
        this.#leader = undefined;
      },
    };
  }

  /** Waits in line for the lead, or takes it from a tab that is there but does not answer. */
  #stand(steal = false): void {
    if (this.#stands && !steal) return;
    this.#stands = true;
    let hub: Hub | undefined;
    const lead = (): Promise<void> =>
      new Promise((resolve) => {
        if (!this.#request) return resolve();
        hub = this.#hub = new Hub(this.#transport, this.#request);
        this.#resign = resolve;
        this.#led.clear();
        this.#note("lead");
        this.#follow(this.#id);
      });
    // Given up, or taken away.
    const over = (): void => {
      this.#stands = false;
      if (!hub) return;
      this.#hub = this.#leader = undefined;
      hub.stop();
    };
    this.#locks.request(this.#name, { steal }, lead).then(over, over);
  }

  #noted(note: unknown): void {
    if (!isObject(note) || (note.to ?? this.#id) !== this.#id) return;
    const { from, kind, socket, text = "", code = kMoved } = note as unknown as Note;
    const led = this.#led.get(from);
    const isFromLeader = from === this.#leader && socket === this.#socket;
    if (kind === "who" && this.#hub) this.#note("lead", from);
    else if (kind === "lead") this.#follow(from);
    else if (kind === "open" && this.#hub) this.#take(from, socket);
    else if (kind === "send" && led && led.socket === socket) this.#hub?.send(led.events, text);
    else if (kind === "end" && led?.socket === socket) this.#drop(from);
    else if (kind === "message" && isFromLeader) this.#events?.message(text);
    else if (kind === "close" && isFromLeader) this.#events?.close(code, text);
  }

  /** Another leader: a socket over the old one is gone, one that waited for a leader goes on. */
  #follow(leader: string): void {
    const before = this.#leader;
    const events = this.#events;
    this.#leader = leader;
    if (before === leader || !events) return;
    if (before) return events.close(kMoved, "another tab leads");
    if (this.#hub) this.#hub.openOwn(this.#request!, events);
    else this.#note("open", leader);
  }

  #take(tab: string, socket: number): void {
    const isNew = !this.#led.has(tab);
    this.#drop(tab);
    const tell = (kind: "message" | "close", fields: object): void => {
      if (this.#led.get(tab)?.socket === socket) this.#note(kind, tab, { socket, ...fields });
    };
    const events: TransportEvents = {
      message: (text) => tell("message", { text }),
      close: (code, text) => tell("close", { code, text }),
    };
    this.#led.set(tab, { socket, events });
    this.#hub!.open(events);
    // Its lock is free when it is gone.
    if (isNew) void this.#locks.request(this.#lockOf(tab), () => this.#drop(tab)).catch(() => {});
  }

  #drop(tab: string): void {
    const led = this.#led.get(tab);
    this.#led.delete(tab);
    if (led) this.#hub?.close(led.events);
  }

  #note(kind: Note["kind"], to?: string, fields: object = {}): void {
    this.#channel.postMessage({ from: this.#id, to, kind, socket: this.#socket, ...fields });
  }

  #lockOf(tab: string): string {
    return `${this.#name}-${tab}`;
  }
}
