// One socket for many: what each tab sends goes out under an id of the hub's own, and what comes in goes to the tabs that
// it is for. To the server the hub is one client, to a tab it is the server.
//
// Invariant: a channel is subscribed on the socket exactly while `#channels` knows a tab that wants it. A tab that comes to
// a channel later gets what it has missed from the log, and nothing else of that channel before it has that.

import { errorOf } from "../errors.js";
import { Pacer, type RateLimits } from "../pacer.js";
import { messageOf, wireOf, type Wire } from "../protocol.js";
import { kTryAgainMs, kUncounted } from "../requests.js";
import type { Socket, Transport, TransportEvents, TransportRequest } from "../transport.js";

const kPageMax = 1000;
/** A tab that has missed more than so many pages of the log begins anew. */
const kPagesMax = 20;

interface Position {
  epoch: string;
  seq: number;
}

interface Entry {
  channel: string;
  since?: Position;
  history?: number;
  presence?: boolean;
}

/** What came for a tab while it caught up; undefined: it is up to date, and it just comes. */
type Reader = { backlog: string[] | undefined };

interface Room {
  readers: Map<TransportEvents, Reader>;
  /** Who has a place in its presence list, and with what data. */
  present: Map<TransportEvents, unknown>;
  /** `echo: false` publishes: who is not to see it, and how it will look. */
  unechoed: { tab: TransportEvents; imprint: string }[];
}

/** false: another answer to the same request will follow. */
type Answer = (answer: Wire) => boolean | void;

export class Hub {
  readonly #transport: Transport;
  readonly #tabs = new Set<TransportEvents>();
  readonly #rooms = new Map<string, Room>();
  readonly #answers = new Map<number, Answer>();
  #request: TransportRequest;
  #socket: Socket | undefined;
  #welcome: Wire | undefined;
  readonly #pacer = new Pacer();
  #queue: string[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #nextId = 1;
  /** The tab whose token this is. */
  #own: TransportEvents | undefined;

  constructor(transport: Transport, request: TransportRequest) {
    this.#transport = transport;
    this.#request = request;
  }

  /** The leader's own client, which the token is asked of. */
  openOwn(request: TransportRequest, tab: TransportEvents): void {
    this.#request = request;
    this.#own = tab;
    this.open(tab);
  }

  /** Another tab. What it is told may come before this returns. */
  open(tab: TransportEvents): void {
    this.#tabs.add(tab);
    if (this.#welcome) return tab.message(JSON.stringify(this.#welcome));
    if (this.#socket) return;
    let isOver = false;
    const socket = this.#transport.connect(this.#request, {
      message: (text) => isOver || this.#heard(text),
      close: (code, reason) => {
        isOver = true;
        this.#end(code, reason);
      },
    });
    if (!isOver) this.#socket = socket;
  }

  /** A tab is gone, or has let go. */
  close(tab: TransportEvents): void {
    if (!this.#tabs.delete(tab)) return;
    for (const [channel, { readers, present }] of this.#rooms) {
      if (present.has(tab)) this.#presence(tab, { type: "presence", channel, action: "leave" }, () => {});
      if (readers.has(tab)) this.#unsubscribe(tab, { type: "unsubscribe", channel }, () => {});
    }
    if (!this.#tabs.size) this.#end(1000, "");
  }

  /** Ends the socket; the tabs find another one. */
  stop(): void {
    this.#end(1012, "another tab");
  }

  /** What a tab sends. */
  send(tab: TransportEvents, text: string): void {
    const wire = wireOf(text);
    if (!wire || !this.#tabs.has(tab)) return;
    const { id } = wire;
    const answer: Answer = (reply) => this.#tell(tab, JSON.stringify(id === undefined ? reply : { ...reply, id }));
    if (wire.type === "subscribe") this.#subscribe(tab, wire.channels as Entry[], answer);
    else if (wire.type === "unsubscribe") this.#unsubscribe(tab, wire, answer);
    else if (wire.type === "presence") this.#presence(tab, wire, answer);
    else if (wire.type === "publish" && wire.echo === false) this.#publishUnechoed(tab, wire, answer);
    else if (id === undefined) this.#socket?.send(text);
    else this.#ask(wire, answer);
  }

  #ask(request: Wire, answer: Answer): void {
    const id = this.#nextId++;
    this.#answers.set(id, answer);
    this.#queue.push(JSON.stringify({ ...request, id }));
    if (kUncounted.has(request.type)) this.#socket?.send(this.#queue.pop()!);
    else this.#pump();
  }

  /** All tabs share one rate limit, of which each knows only its own part. */
  #pump(): void {
    clearTimeout(this.#timer);
    for (let waitMs = 0; this.#queue.length; ) {
      waitMs = this.#pacer.spend(Date.now());
      if (waitMs > 0) return void (this.#timer = setTimeout(() => this.#pump(), waitMs));
      this.#socket?.send(this.#queue.shift()!);
    }
  }

  #tell(tab: TransportEvents, text: string): void {
    if (this.#tabs.has(tab)) tab.message(text);
  }

  #heard(text: string): void {
    const wire = wireOf(text);
    if (!wire) return;
    const { id, type, channel } = wire;
    if (typeof id === "number") {
      if (wire.code === "rate_limited") this.#pacer.refused(errorOf(wire).retryAfterMs ?? kTryAgainMs, Date.now());
      if (this.#answers.get(id)?.(wire) !== false) this.#answers.delete(id);
      return;
    }
    if (type === "connected") {
      this.#welcome = wire;
      this.#pacer.refill((wire.limits ?? {}) as RateLimits, Date.now());
    }
    const room = this.#rooms.get(channel as string);
    if (room) {
      this.#deliver(room, wire, text);
      if (type === "unsubscribed") this.#rooms.delete(channel as string);
    } else if (type === "auth_expiring") {
      if (this.#own) this.#tell(this.#own, text);
    } else if (!channel || channel === "$all") {
      for (const tab of this.#tabs) tab.message(text);
    }
  }

  #deliver(room: Room, wire: Wire, text: string): void {
    const from = wire.from as { connection?: unknown } | undefined;
    const isOwn = room.unechoed.length > 0 && from?.connection === this.#welcome?.connection_id;
    const at = isOwn ? room.unechoed.findIndex(({ imprint }) => imprint === imprintOf(wire)) : -1;
    const [skipped] = at < 0 ? [] : room.unechoed.splice(at, 1);
    for (const [tab, reader] of room.readers) {
      if (tab === skipped?.tab) continue;
      if (reader.backlog) reader.backlog.push(text);
      else this.#tell(tab, text);
    }
  }

  #room(channel: string): Room {
    let room = this.#rooms.get(channel);
    if (!room) this.#rooms.set(channel, (room = { readers: new Map(), present: new Map(), unechoed: [] }));
    return room;
  }

  #subscribe(tab: TransportEvents, entries: Entry[], answer: Answer): void {
    const asked = new Map(entries.map((entry) => [entry.channel, entry]));
    // Who is first asks the server for its past; the others are told the present, and get theirs from the log.
    const first = new Set(entries.filter(({ channel }) => !this.#room(channel).readers.size));
    const channels = entries.map((entry) => (first.has(entry) ? entry : { channel: entry.channel, presence: entry.presence }));
    for (const entry of entries) {
      const { readers } = this.#room(entry.channel);
      if (!readers.has(tab)) readers.set(tab, { backlog: first.has(entry) ? undefined : [] });
    }
    this.#ask({ type: "subscribe", channels }, (reply) => {
      const channel = reply.channel as string;
      const entry = asked.get(channel);
      const readers = this.#rooms.get(channel)?.readers;
      const reader = readers?.get(tab);
      asked.delete(channel);
      if (reply.type !== "subscribed") {
        // Without a channel it is about all of them.
        for (const name of channel ? [channel] : asked.keys()) this.#rooms.get(name)?.readers.delete(tab);
        if (!channel) asked.clear();
      }
      if (reply.type === "subscribed" && entry && reader?.backlog) {
        void this.#catchUp(entry, reply).then((whole) => {
          answer(whole);
          for (const text of reader.backlog ?? []) this.#tell(tab, text);
          reader.backlog = undefined;
        });
      } else {
        answer(reply);
      }
      return !asked.size;
    });
  }

  /** Turns what the server says of a live subscription into what it would have said to a new one. */
  async #catchUp({ channel, since, history = 0 }: Entry, reply: Wire): Promise<Wire> {
    const { epoch, seq } = reply as unknown as Position;
    if (!since) return history && seq ? { ...reply, messages: (await this.#page({ channel, before: seq + 1, limit: history })).messages } : reply;
    const reason = since.epoch !== epoch ? "epoch" : since.seq > seq ? "ahead" : undefined;
    const lost = { ...reply, recovered: false, reason: reason ?? "trimmed" };
    // A snapshot is the whole of a new beginning.
    if (reason && reply.snapshot) return lost;
    const messages: unknown[] = [];
    let last = reason ? 0 : since.seq;
    for (let pages = 0; last < seq; pages += 1) {
      const page = await this.#page({ channel, after: last, limit: kPageMax });
      const isWhole = pages < kPagesMax && page.first > 0 && page.first <= last + 1 && page.messages.length > 0;
      if (reason || !isWhole) return reply.snapshot ? lost : { ...lost, messages: page.messages };
      messages.push(...page.messages);
      last = page.messages.at(-1)!.seq;
    }
    const { snapshot: _snapshot, ...rest } = reply;
    return { ...rest, recovered: true, messages };
  }

  #page(query: { channel: string; after?: number; before?: number; limit: number }): Promise<{ first: number; messages: { seq: number }[] }> {
    return new Promise((resolve) => {
      this.#ask({ type: "history", ...query }, ({ first, messages }) => {
        const list: unknown[] = Array.isArray(messages) ? messages : [];
        resolve({ first: first as number, messages: list.filter((one) => messageOf(one, "")?.seq) as { seq: number }[] });
      });
    });
  }

  #unsubscribe(tab: TransportEvents, wire: Wire, answer: Answer): void {
    const channel = wire.channel as string;
    const readers = this.#rooms.get(channel)?.readers;
    if (readers?.delete(tab) && readers.size) answer({ type: "unsubscribed", channel });
    else this.#ask(wire, answer);
  }

  #presence(tab: TransportEvents, wire: Wire, answer: Answer): void {
    const { present } = this.#room(wire.channel as string);
    if (wire.action !== "leave") {
      if (wire.action !== "get") present.set(tab, wire.data);
      return this.#ask(wire, answer);
    }
    present.delete(tab);
    const [data] = present.values();
    // The place is the connection's: it stays while another tab holds it, with that tab's data.
    this.#ask(present.size ? { ...wire, action: "update", data } : wire, answer);
  }

  /** To the server all tabs are one connection, so the others would not get it either: the hub leaves one out itself. */
  #publishUnechoed(tab: TransportEvents, wire: Wire, answer: Answer): void {
    const room = this.#room(wire.channel as string);
    const own = { tab, imprint: imprintOf(wire) };
    if (room.readers.size) room.unechoed.push(own);
    const { echo: _echo, ...request } = wire;
    this.#ask(request, (reply) => {
      if (reply.type !== "published") room.unechoed = room.unechoed.filter((one) => one !== own);
      answer(reply);
    });
  }

  #end(code: number, reason: string): void {
    const socket = this.#socket;
    const tabs = [...this.#tabs];
    this.#socket = this.#welcome = undefined;
    this.#tabs.clear();
    this.#rooms.clear();
    this.#answers.clear();
    this.#queue = [];
    clearTimeout(this.#timer);
    socket?.close(1000);
    for (const tab of tabs) tab.close(code, reason);
  }
}

function imprintOf({ data = null, merge, patch, event }: Wire): string {
  return JSON.stringify([data, merge, patch, event]);
}
