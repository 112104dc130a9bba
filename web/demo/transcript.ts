// The events of a session, folded into what a chat shows: messages as last edited, who came and who went, and for each
// member the line up to which it has read.

import type { Message } from "@tidewire/client";
import type { SessionMember } from "@tidewire/client/kinds";

export interface Said {
  what: "said";
  key: string;
  seq: number;
  by: string;
  text: string;
  atMs: number;
  isEdited: boolean;
  flags: readonly string[];
  /** By the same person shortly after the line above. */
  isMore: boolean;
}

export interface Note {
  what: "note";
  key: string;
  atMs: number;
  text: string;
}

/** What somebody, most likely a back end, published to the room's stream beside the session. */
export interface News {
  what: "news";
  key: string;
  seq: number;
  by: string;
  text: string;
  atMs: number;
}

export type Line = Said | Note | News;

export interface Transcript {
  lines: Line[];
  /** The ids that senders gave to what is in here. */
  ids: ReadonlySet<string>;
  lastSaidSeq: number;
}

const kTogetherMs = 120_000;

type Fields = { text?: unknown; id?: unknown; seq?: unknown; user?: unknown };

export function transcriptOf(messages: readonly Message<any>[], news: readonly Message<any>[] = []): Transcript {
  const lines: Line[] = [];
  const said = new Map<number, Said>();
  const ids = new Set<string>();
  for (const message of messages) {
    const { event = "message", seq = 0, timestamp } = message;
    const data = fieldsOf(message);
    const by = authorOf(message);
    const key = `${timestamp}-${seq}`;
    if (event === "message") {
      if (typeof data.id === "string") ids.add(data.id);
      const text = textOf(message);
      const flags = (message as { flags?: string[] }).flags ?? [];
      const line: Said = { what: "said", key, seq, by, text, atMs: timestamp, isEdited: false, flags, isMore: false };
      lines.push(line);
      said.set(seq, line);
    } else if (event === "edit") {
      const line = said.get(Number(data.seq));
      if (line && typeof data.text === "string") Object.assign(line, { text: data.text, isEdited: true });
    } else if (event === "delete") {
      const line = said.get(Number(data.seq));
      if (line) lines.splice(lines.indexOf(line), 1);
    } else if (event === "join" || event === "leave") {
      const about = data.user === undefined ? by : String(data.user);
      lines.push({ what: "note", key, atMs: timestamp, text: `${about} ${event === "join" ? "joined" : "left"}` });
    }
  }
  for (const message of news) {
    const { seq = 0, timestamp: atMs } = message;
    const line: News = { what: "news", key: `news-${atMs}-${seq}`, seq, by: authorOf(message), text: textOf(message), atMs };
    const later = lines.findIndex((other) => other.atMs > atMs);
    lines.splice(later < 0 ? lines.length : later, 0, line);
  }
  let above: Line | undefined;
  for (const line of lines) {
    if (line.what === "said") line.isMore = above?.what === "said" && above.by === line.by && line.atMs - above.atMs < kTogetherMs;
    above = line;
  }
  return { lines, ids, lastSaidSeq: Math.max(0, ...said.keys()) };
}

function fieldsOf({ data }: Message<any>): Fields {
  return typeof data === "object" && data !== null ? data : { text: data };
}

function textOf(message: Message<any>): string {
  const { text } = fieldsOf(message);
  return typeof text === "string" ? text : JSON.stringify(message.data);
}

/** An API key has no user. */
function authorOf({ from }: Message<any>): string {
  return from?.user ? String(from.user.id) : "server";
}

/** For each line the members that have read exactly so far. */
export function readersOf(lines: readonly Line[], members: readonly SessionMember[], me: string): Map<number, string[]> {
  const said = lines.filter((line) => line.what === "said");
  const readers = new Map<number, string[]>();
  for (const { user, read } of members) {
    if (String(user) === me) continue;
    const line = said.findLast((one) => one.seq <= read);
    if (line && line.by !== String(user)) readers.set(line.seq, [...(readers.get(line.seq) ?? []), String(user)]);
  }
  return readers;
}
