// React hooks. A component shows a channel and has it subscribed as long as it does; several components share one.

import { createContext, createElement, useContext, useEffect, useMemo, useRef, useSyncExternalStore, type ReactNode } from "react";
import { misuse } from "../errors.js";
import type { Channel, ChannelOptions, ChannelState, ConnectionState, Member, Message, Tidewire } from "../index.js";
import {
  openAgentRun,
  openDocument,
  openInbox,
  openSession,
  openUpload,
  type AgentRun,
  type AgentState,
  type Document,
  type Inbox,
  type InboxCounts,
  type InboxEntry,
  type SessionChannel,
  type SessionMember,
  type Upload,
  type UploadState,
} from "../kinds/index.js";
import { messagesOf, useHold, useValue } from "./hold.js";

const Context = createContext<Tidewire | null>(null);

/** Gives the hooks below it their client. */
export function TidewireProvider({ client, children }: { client: Tidewire; children?: ReactNode }): ReactNode {
  return createElement(Context.Provider, { value: client }, children);
}

/** The client of the nearest provider. */
export function useTidewire(): Tidewire {
  const client = useContext(Context);
  if (!client) throw misuse("put a <TidewireProvider client={…}> around the components that use Tidewire");
  return client;
}

/** The state of the connection. */
export function useConnection(): ConnectionState {
  const client = useTidewire();
  const listen = useMemo(() => (changed: () => void) => client.on("state", changed), [client]);
  const state = (): ConnectionState => client.state;
  return useSyncExternalStore(listen, state, state);
}

export interface ChannelView<T> {
  channel: Channel<T>;
  state: ChannelState;
  /** What came while components showed the channel, history included, the newest last. */
  messages: readonly Message<T>[];
}

export interface UseChannelOptions<T> extends ChannelOptions {
  /** Called for each message, ephemeral ones too. */
  onMessage?: (message: Message<T>) => void;
  /** How many messages are kept. 200. */
  keep?: number;
}

export function useChannel<T = unknown>(name: string, { onMessage, keep = 200, ...options }: UseChannelOptions<T> = {}): ChannelView<T> {
  return useMessages(useTidewire().channel<T>(name, options), keep, onMessage);
}

function useMessages<T, C extends Channel<T>>(channel: C, keep: number, onMessage?: (message: Message<T>) => void): ChannelView<T> & { channel: C } {
  const listener = useRef(onMessage);
  useEffect(() => {
    listener.current = onMessage;
  });
  useEffect(() => channel.on("message", (message) => listener.current?.(message)), [channel]);
  useHold(channel, keep);
  return { channel, state: useState(channel), messages: useValue(channel, "message", messagesOf<T>, messagesOf<T>(channel)) };
}

export interface SessionView<T> {
  session: SessionChannel<T>;
  state: ChannelState;
  /** As in useChannel: events such as `edit` and `read` are among them. */
  messages: readonly Message<T>[];
  /** Those who have joined, whether they are there or not; another array after each change. */
  members: readonly SessionMember[];
}

export interface UseSessionOptions<T> extends UseChannelOptions<T> {
  /** Become a member if this user is none yet, where that is allowed. It is tried once: who is taken out stays out. */
  join?: boolean;
}

const kNoMembers: readonly never[] = [];

export function useSession<T = unknown>(name: string, { onMessage, keep = 200, join = false, ...options }: UseSessionOptions<T> = {}): SessionView<T> {
  const session = openSession<T>(useTidewire(), name, options);
  const { state, messages } = useMessages<T, SessionChannel<T>>(session, keep, onMessage);
  const members = useValue(session, "change", (from) => from.members, kNoMembers as readonly SessionMember[]);
  const joined = useRef<SessionChannel<T>>(undefined);
  const isOut = join && state.name === "failed" && state.error.code === "forbidden";
  useEffect(() => {
    if (!isOut || joined.current === session) return;
    joined.current = session;
    // A refusal leaves the state as it is, which the component shows.
    session.join().then(() => session.subscribe()).catch(() => {});
  }, [session, isOut]);
  return { session, state, messages, members };
}

export interface PresenceView<D> {
  channel: Channel;
  state: ChannelState;
  members: readonly Member<D>[];
}

/** Who is in a channel, or in a document or session that is handed in. With data this client is one of them while the component is there, and others see the data. */
export function usePresence<D = unknown>(of: string | Channel<any>, data?: D): PresenceView<D> {
  const client = useTidewire();
  const channel = typeof of === "string" ? client.channel(of) : of;
  const text = JSON.stringify(data);
  const isIn = useRef(false);
  useEffect(() => channel.presence.watch(), [channel]);
  useEffect(() => {
    if (text === undefined) return;
    // A refusal leaves the list without this client; there is nothing else to do about it here.
    channel.presence[isIn.current ? "update" : "enter"](JSON.parse(text)).catch(() => {});
    isIn.current = true;
  }, [channel, text]);
  useEffect(
    () => () => {
      if (isIn.current) channel.presence.leave().catch(() => {});
      isIn.current = false;
    },
    [channel],
  );
  useHold(channel);
  const members = useValue(channel, "presence", (from) => from.presence.members, channel.presence.members);
  return { channel, state: useState(channel), members: members as readonly Member<D>[] };
}

export interface DocumentView<T> {
  document: Document<T>;
  state: ChannelState;
  /** undefined: not there yet; null: empty. */
  value: T | null | undefined;
}

export function useDocument<T = unknown>(name: string): DocumentView<T> {
  const document = openDocument<T>(useTidewire(), name);
  useHold(document);
  return { document, state: useState(document), value: useValue(document, "change", (from) => from.value, undefined) };
}

export interface InboxView<T> {
  /** null until the client is connected as a user. */
  inbox: Inbox<T> | null;
  entries: readonly InboxEntry<T>[];
  counts: InboxCounts;
}

const kNoEntries: readonly never[] = [];

/** The inbox of the user that the client's token names. */
export function useInbox<T = unknown>(): InboxView<T> {
  const client = useTidewire();
  useConnection();
  const user = client.session?.user?.id;
  // It stays the same over reconnects.
  const last = useRef<{ client: Tidewire; inbox: Inbox<T> }>(undefined);
  if (user !== undefined) last.current = { client, inbox: openInbox<T>(client, user) };
  useEffect(() => {
    client.connect().catch(() => {});
  }, [client]);
  const inbox = last.current?.client === client ? last.current.inbox : null;
  useHold(inbox);
  const entries = useValue(inbox, "change", (from) => from.entries, kNoEntries as readonly InboxEntry<T>[]);
  const counts = useMemo(() => inbox?.counts ?? { critical: 0, high: 0, medium: 0, low: 0 }, [inbox, entries]);
  return { inbox, entries, counts };
}

export type UploadView = UploadState & { upload: Upload };

export function useUpload(name: string): UploadView {
  const upload = openUpload(useTidewire(), name);
  useHold(upload);
  return { ...useValue(upload, "change", (from) => from.value, upload.value), upload };
}

export type AgentRunView = AgentState & { run: AgentRun };

export function useAgentRun(name: string): AgentRunView {
  const run = openAgentRun(useTidewire(), name);
  useHold(run);
  return { ...useValue(run, "change", (from) => from.value, run.value), run };
}

function useState(channel: Channel<any>): ChannelState {
  return useValue(channel, "state", (from) => from.state, channel.state);
}
