// What one visitor has: two clients (this tab and a phone), each over a network that can be broken, and the channels of
// the room. A tab is one visitor at a time; another name makes another world.

import { Tidewire, type Channel, type ChannelState, type Position } from "@tidewire/client";
import { outbox } from "@tidewire/client/outbox";
import { Network } from "./network.js";
import { Signal } from "./signal.js";
import type { Who } from "./who.js";

/** How a channel went on when it was last subscribed. */
export interface Verdict {
  kind: string;
  epoch: string;
  recovered?: boolean;
  reason?: string;
}

export interface Followed {
  channel: string;
  state: ChannelState["name"];
  position: Position | null;
  verdict: Verdict | null;
  gaps: number;
}

/** What is going on in a room, for whoever comes: a document that all share. */
export interface Board {
  run?: { channel: string; by: string; prompt: string; seed: number };
  upload?: { channel: string; by: string; file: string; bytes: number; made: boolean };
}

export class NoTokens extends Error {}

const kTokenMs = 8_000;

/** A token for the name, made by the server, which does so in development mode only. */
export async function fetchToken(name: string): Promise<string> {
  const answer = await fetch(`token?${new URLSearchParams({ name })}`, { cache: "no-store", signal: AbortSignal.timeout(kTokenMs) });
  if (answer.status === 404) throw new NoTokens("This server hands out no tokens. The demo needs development mode: tidewire serve --dev");
  if (!answer.ok) throw new Error(`no token: ${answer.status}`);
  return ((await answer.json()) as { token: string }).token;
}

export class World {
  readonly network = new Network();
  readonly phoneNetwork = new Network();
  readonly client: Tidewire;
  readonly phone: Tidewire;
  readonly followed = new Signal<readonly Followed[]>([]);
  readonly comebacks = new Signal(0);
  readonly names: { session: string; room: string; board: string; dashboard: string };
  #timer: ReturnType<typeof setInterval>;

  constructor(readonly who: Who) {
    const { name, room } = who;
    const token = (): Promise<string> => fetchToken(name);
    // A network that says nothing shall be noticed while somebody looks on.
    const impatient = { token, heartbeatMs: 6_000, pingTimeoutMs: 4_000, connectTimeoutMs: 8_000 };
    this.client = new Tidewire("/ws", { ...impatient, transport: this.network.transport, outbox: outbox(`demo-${name}`) });
    this.phone = new Tidewire("/ws", { ...impatient, transport: this.phoneNetwork.transport });
    this.names = { session: `session:${room}`, room: `room:${room}`, board: `doc:${room}`, dashboard: "dashboard:server" };
    let times = 0;
    this.client.on("state", (state) => {
      if (state.name === "connected") this.comebacks.set(times++);
    });
    this.#timer = setInterval(() => {
      if (this.client.state.name === "connected") this.client.call("ping").catch(() => {});
    }, 3_000);
    this.client.connect().catch(() => {});
    this.phone.connect().catch(() => {});
  }

  /** Breaks or mends the network of this tab; what is mended comes back at once. */
  breakIt(mode: Parameters<Network["set"]>[0]): void {
    this.network.set(mode);
    if (mode === "online" && this.client.state.name === "waiting") this.retry();
  }

  retry(): void {
    this.client.connect().catch(() => {});
  }

  end(): void {
    clearInterval(this.#timer);
    this.client.close();
    this.phone.close();
  }

  /** Shows a channel among the positions, until the answer is called. */
  follow(channel: Channel<any>): () => void {
    const name = channel.name;
    let verdict: Verdict | null = null;
    let gaps = 0;
    const tell = (): void => {
      const row = { channel: name, state: channel.state.name, position: channel.position, verdict, gaps };
      const others = this.followed.get().filter((other) => other.channel !== name);
      this.followed.set([...others, row].sort((a, b) => a.channel.localeCompare(b.channel)));
    };
    tell();
    const stops = [
      channel.on("state", tell),
      channel.on("message", tell),
      channel.on("snapshot", tell),
      channel.on("gap", () => {
        gaps += 1;
        tell();
      }),
      channel.on("subscribed", ({ kind, epoch, recovered, reason }) => {
        verdict = { kind, epoch, recovered, reason };
        tell();
      }),
    ];
    return () => {
      for (const stop of stops) stop();
      this.followed.set(this.followed.get().filter((other) => other.channel !== name));
    };
  }
}
