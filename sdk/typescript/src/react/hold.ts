// Channels as components use them: subscribed while at least one component shows them, and what they have to say kept once
// for all of these.

import { useCallback, useEffect, useSyncExternalStore } from "react";
import type { Channel, Message } from "../index.js";

/** What the components that show one channel share. */
interface Held {
  holders: number;
  /** The application subscribed by itself, so the last component does not unsubscribe. */
  isForeign: boolean;
  messages: readonly Message<any>[];
  keep: number;
  stop: () => void;
}

const kNone: readonly never[] = [];

const kHeld = new WeakMap<Channel<any>, Held>();

function hold(channel: Channel<any>, keep: number): () => void {
  let held = kHeld.get(channel);
  if (!held) {
    const fresh: Held = { holders: 0, isForeign: channel.state.name !== "idle", messages: kNone, keep, stop: () => {} };
    fresh.stop = channel.on("message", (message) => {
      // Ephemeral ones are for the moment.
      if (message.seq !== undefined) fresh.messages = [...fresh.messages, message].slice(-fresh.keep);
    });
    kHeld.set(channel, (held = fresh));
  }
  const mine = held;
  mine.holders += 1;
  mine.keep = Math.max(mine.keep, keep);
  // A refusal is the channel's state, which the component shows.
  channel.subscribe().catch(() => {});
  return () => {
    mine.holders -= 1;
    // Another component may take it over in the same turn.
    setTimeout(() => {
      if (mine.holders || kHeld.get(channel) !== mine) return;
      mine.stop();
      kHeld.delete(channel);
      if (!mine.isForeign) void channel.unsubscribe();
    });
  };
}

/** Keeps the channel subscribed while the component is there. */
export function useHold(channel: Channel<any> | null, keep = 0): void {
  useEffect(() => (channel ? hold(channel, keep) : undefined), [channel, keep]);
}

/** A value of the channel that changes with its events. It must be the same object while nothing changes. */
export function useValue<C extends Channel<any>, V>(channel: C | null, event: "state" | "message" | "change" | "presence", read: (channel: C) => V, none: V): V {
  const listen = useCallback((changed: () => void) => (channel ? channel.on(event, changed) : () => {}), [channel, event]);
  const value = (): V => (channel ? read(channel) : none);
  return useSyncExternalStore(listen, value, value);
}

/** The messages that came while components showed the channel. */
export function messagesOf<T>(channel: Channel<T>): readonly Message<T>[] {
  return kHeld.get(channel)?.messages ?? kNone;
}
