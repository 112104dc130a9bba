// What an application may write and what it may not, against the built package. Compiled, never run: each
// `@ts-expect-error` is a mistake that must not compile.

import { Tidewire, TidewireError, type Channel, type ConnectionState, type ContentRule, type Message, type Transport } from "@tidewire/client";
import { openAgentRun, openDocument, openInbox, openSession, openUpload } from "@tidewire/client/kinds";
import { outbox } from "@tidewire/client/outbox";
import { useAgentRun, useChannel, useConnection, useDocument, useInbox, usePresence, useUpload } from "@tidewire/client/react";
import { sharedSocket } from "@tidewire/client/tabs";

interface Chat {
  text: string;
  tags?: string[];
}

export async function rightUse(): Promise<void> {
  const client = new Tidewire("wss://example.com/ws", {
    token: async () => "a.b.c",
    outbox: outbox("user-1"),
    transport: sharedSocket("user-1"),
    timeoutMs: 5000,
  });
  const room: Channel<Chat> = client.channel<Chat>("room:1", { history: 10, presence: true, since: { epoch: "e", seq: 1 } });
  const { epoch, recovered } = await room.subscribe((message) => message.data.text.length);
  await room.publish({ text: "hi" }, { event: "greeting", priority: "high", ttlMs: 5, key: "k", echo: false, outbox: false });
  await room.publish({ text: "hi" }, { ephemeral: true, echo: false });
  const off: () => void = room.on("gap", ({ from, to, declared }) => console.log(from + to, declared));
  off();
  for await (const { data, seq } of room) console.log(data.tags?.length, seq, epoch, recovered);
  for await (const state of client.events("state")) console.log(state.name);
  const page = await room.history({ after: 5, limit: 10 });
  const first: Message<Chat> | undefined = page.messages[0];
  console.log(first?.from?.user?.id, room.position?.seq);
  const flags: ContentRule[] = first?.flags ?? [];
  console.log(flags.includes("script_tag"));
  await room.presence.enter({ name: "Ann" });

  const plan = openDocument<{ title: string; done?: boolean; owner: { name: string } }>(client, "doc:1");
  await plan.merge({ done: null, owner: { name: "Bob" } }, { ifSeq: plan.seq });
  await plan.patch([{ op: "replace", path: "/title", value: "x" }, { op: "remove", path: "/done" }, { op: "move", from: "/a", path: "/b" }]);
  await plan.update((old) => ({ ...(old ?? { title: "", owner: { name: "" } }), done: true }));
  const title: string | undefined = plan.value?.title;

  const inbox = openInbox<{ link: string }>(client);
  await inbox.ack(inbox.entries[0]!, 7);
  const urgent: number = inbox.counts.critical;

  const chat = openSession<Chat>(client, "session:1");
  await chat.join("bob");
  await chat.read();
  chat.typing();

  const upload = openUpload(client, "upload:1");
  void upload.progress(5, 10);
  const run = openAgentRun(client, "agent:1");
  await run.complete({ usage: { tokens: 5 } });
  console.log(title, urgent, upload.value.percent, run.value.text);

  try {
    await room.publish({ text: "" });
  } catch (error) {
    if (error instanceof TidewireError && error.code === "rate_limited") console.log(error.retryAfterMs);
  }
}

export function states(state: ConnectionState): string {
  switch (state.name) {
    case "idle":
      return "";
    case "connecting":
      return String(state.attempt);
    case "connected":
      return state.session.connectionId;
    case "waiting":
      return `${state.error.code} ${state.retryAtMs}`;
    case "closed":
      return state.error?.message ?? "";
  }
}

export function hooks(): void {
  const { messages, channel, state } = useChannel<Chat>("room:1", { onMessage: ({ data }) => data.text, keep: 5, history: 3 });
  const { members } = usePresence<{ name: string }>("room:1", { name: "Ann" });
  const { value, document } = useDocument<Chat>("doc:1");
  usePresence(document);
  const { entries, inbox } = useInbox<Chat>();
  const { percent } = useUpload("upload:1");
  const { text, run } = useAgentRun("agent:1");
  console.log(messages[0]?.data.text, channel.name, state.name, members[0]?.data?.name, value?.text, entries[0]?.seq, inbox?.counts.low, percent, text, run.ended, useConnection().name);
}

export const own: Transport = { connect: ({ url }, { message, close }) => (message(url), close(1000, ""), { send: (text) => console.log(text), close: () => {} }) };

export function wrongUse(client: Tidewire): void {
  // @ts-expect-error there is no client without an address
  new Tidewire();
  // @ts-expect-error a token is a string, or a function that gives one
  new Tidewire("ws://x", { token: 42 });
  // @ts-expect-error an unknown option
  new Tidewire("ws://x", { retries: 5 });
  // @ts-expect-error a time is a number
  new Tidewire("ws://x", { timeoutMs: "5s" });
  // @ts-expect-error an event that there is not
  client.on("connected", () => {});
  // @ts-expect-error a listener of another event
  client.on("state", (state: string) => state);
  // @ts-expect-error a channel's name is a string
  client.channel(7);
  // @ts-expect-error a position has an epoch
  client.channel("room:1", { since: { seq: 5 } });

  const room = client.channel<Chat>("room:1");
  // @ts-expect-error data of another type
  void room.publish({ txt: "hi" });
  // @ts-expect-error no data at all
  void room.publish();
  // @ts-expect-error an ephemeral message has no key
  void room.publish({ text: "" }, { ephemeral: true, key: "k" });
  // @ts-expect-error an ephemeral message has no time to live
  void room.publish({ text: "" }, { ephemeral: true, ttlMs: 5 });
  // @ts-expect-error there are four priorities
  void room.publish({ text: "" }, { priority: "urgent" });
  // @ts-expect-error the wire's spelling
  void room.publish({ text: "" }, { ttl_ms: 5 });
  // @ts-expect-error data of another type
  room.on("message", (message: Message<number>) => message);
  // @ts-expect-error what comes is not to be changed by assignment
  room.position = null;
  // @ts-expect-error internal
  room.subscribed({});
  // @ts-expect-error internal
  client.post("room:1", {}, {});
  // @ts-expect-error a query that there is not
  void room.history({ from: 5 });

  const plan = openDocument<{ title: string; owner: { name: string } }>(client, "doc:1");
  // @ts-expect-error a member of another type
  void plan.merge({ title: 5 });
  // @ts-expect-error a member that there is not
  void plan.merge({ titel: "x" });
  // @ts-expect-error a member of a member
  void plan.merge({ owner: { name: 7 } });
  // @ts-expect-error a whole document
  void plan.set({ title: "x" });
  // @ts-expect-error an operation that there is not
  void plan.patch([{ op: "change", path: "/title", value: "x" }]);
  // @ts-expect-error an operation without its value
  void plan.patch([{ op: "add", path: "/title" }]);
  // @ts-expect-error a list of operations
  void plan.patch({ op: "remove", path: "/title" });
  // @ts-expect-error an option of other channels
  void plan.merge({ title: "x" }, { ephemeral: true });

  // @ts-expect-error an outbox has a name
  outbox();
  // @ts-expect-error so has a shared socket
  sharedSocket();
  // @ts-expect-error bytes are numbers
  void openUpload(client, "upload:1").progress("5");
  // @ts-expect-error text is a string
  void openAgentRun(client, "agent:1").delta({ text: "x" });
  // @ts-expect-error an ack names entries
  void openInbox(client).ack({});
  // @ts-expect-error a code is read, not made up
  new TidewireError("forbidden", "no").code = "other";
}
