// Whatever a server does to it, each promise of the client is settled, and soon.

import { describe, expect, it } from "vitest";
import { Tidewire, TidewireError } from "@tidewire/client";
import { openAgentRun, openDocument, openInbox, openSession, openUpload } from "@tidewire/client/kinds";
import { HostileServer, kBehaviours } from "./hostile.js";

const kTimes = { timeoutMs: 1500, connectTimeoutMs: 500, heartbeatMs: 1000, pingTimeoutMs: 500 };
/** Far past every deadline of the client's, for a machine that is busy. */
const kHangingMs = 15_000;
/** What a client may ask of a server in this time that is of no use to it. */
const kInputsMax = 400;
const kAttemptsMax = 20;

/** All that an application may wait for. */
function everything(client: Tidewire): Record<string, Promise<unknown>> {
  const room = client.channel<any>("room:1", { history: 5, presence: true });
  const plan = openDocument<any>(client, "doc:1");
  const inbox = openInbox(client, "ann");
  const chat = openSession(client, "session:1");
  const upload = openUpload(client, "upload:1");
  const run = openAgentRun(client, "agent:1");
  return {
    connect: client.connect(),
    subscribe: room.subscribe(),
    publish: room.publish("x"),
    "a second publish": room.publish("y"),
    ephemeral: room.publish("x", { ephemeral: true }),
    history: room.history(),
    enter: room.presence.enter(1),
    leave: room.presence.leave(),
    call: client.call("ping"),
    renew: client.renew(),
    set: plan.set({ a: 1 }),
    update: plan.update((old) => ({ ...old, a: 2 })),
    ack: inbox.subscribe().then(() => inbox.ack(1)),
    "ack at once": inbox.ack(1),
    join: chat.join(),
    read: chat.read(),
    progress: Promise.resolve(upload.progress(1, 2)),
    uploaded: upload.complete(),
    delta: Promise.resolve(run.delta("x")),
    ran: run.complete(),
    unsubscribe: client.channel("room:2").subscribe().catch(() => {}).then(() => client.channel("room:2").unsubscribe()),
  };
}

async function endings(work: Record<string, Promise<unknown>>): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = Object.fromEntries(Object.keys(work).map((name) => [name, "hanging"]));
  const all = Promise.all(
    Object.entries(work).map(([name, promise]) =>
      promise.then(
        () => (found[name] = "done"),
        (error: unknown) => (found[name] = error instanceof TidewireError ? "refused" : error),
      ),
    ),
  );
  let timer: ReturnType<typeof setTimeout>;
  await Promise.race([all, new Promise((resolve) => (timer = setTimeout(resolve, kHangingMs)))]);
  clearTimeout(timer!);
  return found;
}

describe.concurrent("a server that", () => {

  it.each(Object.keys(kBehaviours))("%s leaves nothing hanging", { timeout: 40_000 }, async (behaviour) => {
    const server = await HostileServer.start(behaviour);
    const client = new Tidewire(server.url, { ...kTimes, token: () => "a.b.c" });
    try {
      const found = await endings(everything(client));
      expect(Object.entries(found).filter(([, ending]) => ending !== "done" && ending !== "refused")).toEqual([]);
      expect(server.inputs).toBeLessThan(kInputsMax);
      expect(server.attempts).toBeLessThan(kAttemptsMax);
    } finally {
      client.close();
      await server.dispose();
    }
  });

  it.each(Object.keys(kBehaviours))("%s hangs nothing when the client is closed", { timeout: 40_000 }, async (behaviour) => {
    const server = await HostileServer.start(behaviour);
    const client = new Tidewire(server.url, { token: () => "a.b.c" });
    try {
      const work = endings(everything(client));
      await new Promise((resolve) => setTimeout(resolve, 300));
      client.close();
      const found = await work;
      expect(Object.entries(found).filter(([, ending]) => ending !== "done" && ending !== "refused")).toEqual([]);
    } finally {
      await server.dispose();
    }
  });
});
