// What an upload and an agent's run have in common (protocol, section 7): a creator, who publishes, events that end it,
// and `cancel` for others.

import { Channel } from "../channel.js";
import type { Published } from "../protocol.js";

/** The events that end it, and the status after each. @internal */
export const kEnds = new Map<string | undefined, "complete" | "failed" | "cancelled">([
  ["complete", "complete"],
  ["fail", "failed"],
  ["cancel", "cancelled"],
]);

export abstract class Run<S extends { status: string }> extends Channel<unknown> {
  /** @internal */
  protected abstract current: S;

  /** The state as the events so far make it; another object after each change. */
  get value(): S {
    return this.current;
  }

  get ended(): boolean {
    return [...kEnds.values()].some((status) => status === this.current.status);
  }

  /** Ends it as failed. */
  fail(reason: unknown): Promise<Published> {
    return this.event("fail", { reason });
  }

  /** Ends it as cancelled. */
  cancel(data: unknown = {}): Promise<Published> {
    return this.event("cancel", data);
  }

  /** @internal */
  protected override async send(...[content, options]: Parameters<Channel["send"]>): Promise<Published> {
    // Whoever goes on with it after a reload goes by what the server has of it: an outbox would add the rest once more.
    const published = await super.send(content, options.ephemeral ? options : { ...options, outbox: false });
    // Before its creator has published, a run is nobody's to read.
    if (this.state.name === "failed") this.subscribe().catch(() => {});
    return published;
  }

  /** @internal */
  protected override get folds(): boolean {
    return true;
  }

  /** @internal */
  protected event(event: string, data: unknown = {}): Promise<Published> {
    this.flush();
    return this.send({ data }, { event });
  }

  /** Sends what waits before an event that must come after it. @internal */
  protected abstract flush(): void;

  /** @internal */
  protected set(changes: Partial<S>): void {
    this.current = { ...this.current, ...changes };
    this.emit("change", undefined);
  }
}
