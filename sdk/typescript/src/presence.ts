// Who is in a channel (protocol, section 4 `presence`), and this client's own place in it, which it takes again after a
// reconnect.

import type { Link } from "./link.js";
import { isMember, membersOf, type Member, type Wire } from "./protocol.js";

export interface PresenceChange {
  /** What happened, and to whom; absent when the whole list came. */
  action?: "enter" | "update" | "leave" | (string & {});
  member?: Member;
  members: readonly Member[];
}

export class Presence {
  #members: readonly Member[] = [];
  #own: { data: unknown } | undefined;
  /** The place is being taken again; that request outlives connections by itself. */
  #returning = false;
  readonly #link: Link;
  readonly #channel: string;
  readonly #watch: () => void;
  readonly #changed: (change: PresenceChange) => void;

  /** `watched`: events are asked for with the subscription. @internal */
  constructor(link: Link, channel: string, /** @internal */ public watched: boolean, watch: () => void, changed: (change: PresenceChange) => void) {
    this.#link = link;
    this.#channel = channel;
    this.#watch = watch;
    this.#changed = changed;
  }

  /** As last told; another array after each change. Kept up to date while the channel is subscribed and watched. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** From now on events are asked for, as with the channel's option `presence`. */
  watch(): void {
    if (this.watched) return;
    this.watched = true;
    this.#watch();
  }

  /** Takes a place in the list, with data for others to see; kept over reconnects until `leave()`. */
  async enter(data?: unknown): Promise<readonly Member[]> {
    return this.#keep("enter", data);
  }

  async update(data: unknown): Promise<readonly Member[]> {
    return this.#keep("update", data);
  }

  async leave(): Promise<readonly Member[]> {
    this.#own = undefined;
    return this.#ask("leave");
  }

  /** The list as it is now. */
  async get(): Promise<readonly Member[]> {
    return this.#ask("get");
  }

  /** @internal */
  online(): void {
    if (!this.#own || this.#returning) return;
    this.#returning = true;
    const done = (): void => void (this.#returning = false);
    this.#ask("enter", this.#own.data).then(done, done);
  }

  /** @internal */
  listed(list: unknown): void {
    const members = membersOf(list);
    if (members) this.#set({ members });
  }

  /** @internal */
  heard(wire: Wire): void {
    if (wire.type === "presence") return this.listed(wire.members);
    const { action, member } = wire;
    if (typeof action !== "string" || !isMember(member)) return;
    const isOther = (one: Member): boolean => String(one.user.id) !== String(member.user.id);
    const members = this.#members.filter(isOther);
    if (action !== "leave") members.push(member);
    this.#set({ action, member, members });
  }

  async #keep(action: string, data: unknown): Promise<readonly Member[]> {
    const members = await this.#ask(action, data);
    this.#own = { data };
    return members;
  }

  async #ask(action: string, data?: unknown): Promise<readonly Member[]> {
    this.listed((await this.#link.call("presence", { channel: this.#channel, action, data })).members);
    return this.#members;
  }

  #set(change: PresenceChange): void {
    this.#members = change.members;
    this.#changed(change);
  }
}
