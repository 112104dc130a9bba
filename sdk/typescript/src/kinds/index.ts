// The kinds of channel that have a state of their own (protocol, section 7), each opened on a client by its name. The same
// name always gives the same object.

import type { ChannelOptions } from "../channel.js";
import type { Tidewire } from "../client.js";
import { misuse } from "../errors.js";
import type { UserId } from "../protocol.js";
import { AgentRun } from "./agent.js";
import { Document } from "./document.js";
import { Inbox } from "./inbox.js";
import { SessionChannel } from "./session.js";
import { Upload } from "./upload.js";

export type { AgentRun, Document, Inbox, SessionChannel, Upload };
export type { AgentState, AgentTool } from "./agent.js";
export type { EditOptions, MergePatch } from "./document.js";
export type { InboxCounts, InboxEntry } from "./inbox.js";
export type { PatchOperation } from "./json_tree.js";
export type { SessionMember } from "./session.js";
export type { UploadState } from "./upload.js";

/** A document that many edit. */
export function openDocument<T = unknown>(client: Tidewire, name: string, options?: Pick<ChannelOptions, "presence">): Document<T> {
  return client.open<Document<T>>(Document, name, options);
}

/** A chat or working session. */
export function openSession<T = unknown>(client: Tidewire, name: string, options?: ChannelOptions): SessionChannel<T> {
  return client.open<SessionChannel<T>>(SessionChannel, name, options);
}

/** The progress of an upload, made or watched. */
export function openUpload(client: Tidewire, name: string): Upload {
  return client.open(Upload, name);
}

/** An agent's run, made or watched. */
export function openAgentRun(client: Tidewire, name: string): AgentRun {
  return client.open(AgentRun, name);
}

/** A user's inbox: without an id that of the user whom the client's token names, which it knows once it is connected. */
export function openInbox<T = unknown>(client: Tidewire, user: UserId | undefined = client.session?.user?.id): Inbox<T> {
  if (user === undefined) throw misuse("whose inbox? await client.connect() first, with a token, or give the user's id");
  return client.open<Inbox<T>>(Inbox, `user:${user}`);
}
