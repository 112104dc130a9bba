// Events with typed names, as listeners or as async iterators. A listener that throws harms nobody else.

import { misuse, TidewireError } from "./errors.js";

/** What an iterator holds for a reader that does not keep up; past it the iterator ends with `overflow`. */
const kBufferMax = 10_000;

type Listener = (event: never) => void;

export class Emitter<Events extends object> {
  readonly #listeners: Map<keyof Events, Set<Listener>>;
  /** What ends each iterator. */
  readonly #ends = new Set<(error?: TidewireError) => void>();

  /** @internal */
  constructor(names: readonly (keyof Events)[]) {
    this.#listeners = new Map(names.map((name) => [name, new Set()]));
  }

  /** Calls `listener` for each event of this name. Returns what ends it. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name);
    if (!listeners) {
      throw misuse(`no event "${String(name)}", but ${[...this.#listeners.keys()].join(", ")}`);
    }
    if (typeof listener !== "function") throw misuse("on(name, listener) needs a function");
    // The same function may listen twice, and each ends alone.
    const own = (event: never): void => listener(event);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** The events of this name from now on, until the thing ends; leaving the loop ends it too. */
  events<Name extends keyof Events>(name: Name): AsyncGenerator<Events[Name], void, void> {
    const buffer: Events[Name][] = [];
    const ends = this.#ends;
    let ended = false;
    let failure: TidewireError | undefined;
    let wake = (): void => {};
    const end = (error?: TidewireError): void => {
      off();
      ends.delete(end);
      ended = true;
      failure ??= error;
      wake();
    };
    const off = this.on(name, (event) => {
      if (buffer.push(event) > kBufferMax) end(new TidewireError("overflow", `an iterator was left with ${kBufferMax} events`));
      wake();
    });
    ends.add(end);
    const iterator = (async function* () {
      try {
        for (;;) {
          while (buffer.length) yield buffer.shift()!;
          if (failure) throw failure;
          if (ended) return;
          await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        end();
      }
    })();
    // A generator that waits is not ended from outside by itself.
    const leave = iterator.return.bind(iterator);
    iterator.return = (value) => {
      end();
      return leave(value);
    };
    return iterator;
  }

  /** @internal */
  protected emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    for (const listener of [...this.#listeners.get(name)!]) {
      try {
        (listener as (event: Events[Name]) => void)(event);
      } catch (error) {
        // As the platform does with its own events: reported, and the others are still called.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }

  /** Ends all iterators: after what they still hold, with the error if there is one. @internal */
  protected endEvents(error?: TidewireError): void {
    for (const end of [...this.#ends]) end(error);
  }
}
