// A chat or working session (protocol, section 7, kind `session`): a stream with a durable list of members, each with a
// position up to which it has read.

import { Channel } from "../channel.js";
import { isObject, isSeq, type Message, type Published, type UserId } from "../protocol.js";
import type { PublishOptions } from "../publish.js";

export interface SessionMember {
  user: UserId;
  role: "owner" | "member" | (string & {});
  /** Everything up to this seq. */
  read: number;
  /** Messages behind it that others wrote. */
  unread: number;
}

interface Written {
  seq: number;
  by: string | undefined;
}

/** How many messages are remembered for counting what is unread. */
const kWrittenMax = 5000;
/** One sign of typing is enough for this long. */
const kTypingMs = 3000;

export class SessionChannel<T = unknown> extends Channel<T> {
  #members: readonly SessionMember[] = [];
  #written: Written[] = [];
  #lastSeq = 0;
  #typedAtMs = -Infinity;

  /** In the order of joining, the owner first; another array after each change. */
  get members(): readonly SessionMember[] {
    return this.#members;
  }

  /** This client's own place among them. */
  get own(): SessionMember | undefined {
    return this.#members.find((member) => member.user === this.link.session?.user?.id);
  }

  /** The latest seq of the log that is known here. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** Becomes a member, or makes another user one. */
  join(user?: UserId): Promise<Published> {
    return this.#act("join", user === undefined ? {} : { user });
  }

  /** Leaves, or takes another user out. */
  leave(user?: UserId): Promise<Published> {
    return this.#act("leave", user === undefined ? {} : { user });
  }

  /** Changes an own message; the fields stand beside its `seq`. */
  edit(seq: number, fields: object): Promise<Published> {
    return this.#act("edit", { ...fields, seq });
  }

  /** Deletes an own message. */
  remove(seq: number): Promise<Published> {
    return this.#act("delete", { seq });
  }

  /** Marks as read up to `seq`, or all. Without effect where that has been done. */
  async read(seq: number = this.#lastSeq): Promise<void> {
    if (seq > (this.own?.read ?? 0)) await this.#act("read", { seq }, { outbox: false });
  }

  /** Shows the others that this user is typing. May be called on every key; errors do not matter. */
  typing(data: unknown = {}): void {
    const now = Date.now();
    if (now < this.#typedAtMs + kTypingMs) return;
    this.#typedAtMs = now;
    this.send({ data }, { event: "typing", ephemeral: true, echo: false }).catch(() => {});
  }

  /** @internal */
  protected override recall(data: unknown, seq: number): void {
    const { members, last_seq: lastSeq } = isObject(data) ? data : {};
    const list = Array.isArray(members) ? (members as unknown[]).filter(isObject) : [];
    this.#members = list as unknown as SessionMember[];
    this.#lastSeq = isSeq(lastSeq) ? lastSeq : seq;
    this.#written = [];
    this.emit("change", undefined);
  }

  /** @internal */
  protected override fold(message: Message<T>): boolean {
    const { event = "message", from, seq = 0 } = message;
    const data: { [field: string]: unknown } = isObject(message.data) ? message.data : {};
    const by = from?.user ? String(from.user.id) : undefined;
    const about = (data.user ?? from?.user?.id) as UserId | undefined;
    this.#lastSeq = seq;
    if (event === "message") this.#write({ seq, by });
    else if (event === "delete") this.#unwrite(data.seq);
    else if (event === "read") this.#change(by, (member) => this.#readTo(member, Number(data.seq)));
    else if (event === "join" && about !== undefined) this.#join(about, seq);
    else if (event === "leave" && about !== undefined) this.#leave(String(about));
    this.emit("change", undefined);
    return true;
  }

  #act(event: string, data: object, options: PublishOptions = {}): Promise<Published> {
    return this.send({ data }, { ...options, event });
  }

  #write(written: Written): void {
    this.#written.push(written);
    if (this.#written.length > kWrittenMax) this.#written.shift();
    this.#members = this.#members.map((member) => (String(member.user) === written.by ? member : { ...member, unread: member.unread + 1 }));
  }

  #unwrite(seq: unknown): void {
    const gone = this.#written.find((written) => written.seq === seq);
    if (!gone) return;
    this.#written = this.#written.filter((written) => written !== gone);
    this.#members = this.#members.map((member) =>
      member.read < gone.seq && String(member.user) !== gone.by ? { ...member, unread: Math.max(0, member.unread - 1) } : member,
    );
  }

  /** What was written before this client came is not known one by one, so its count can only be a bound. */
  #readTo(member: SessionMember, seq: number): SessionMember {
    const later = this.#written.filter((written) => written.seq > seq && written.by !== String(member.user)).length;
    const earliest = this.#written[0]?.seq ?? this.#lastSeq;
    return { ...member, read: seq, unread: Math.min(member.unread, later + Math.max(0, earliest - 1 - seq)) };
  }

  #join(user: UserId, seq: number): void {
    if (this.#members.some((member) => String(member.user) === String(user))) return;
    const role = this.#members.length ? "member" : "owner";
    this.#members = [...this.#members, { user, role, read: seq, unread: 0 }];
  }

  #leave(user: string): void {
    const members = this.#members.filter((member) => String(member.user) !== user);
    if (members[0] && !members.some((member) => member.role === "owner")) members[0] = { ...members[0], role: "owner" };
    this.#members = members;
  }

  #change(user: string | undefined, change: (member: SessionMember) => SessionMember): void {
    this.#members = this.#members.map((member) => (String(member.user) === user ? change(member) : member));
  }
}
