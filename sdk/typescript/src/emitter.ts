// Events with typed names, as listeners or as async iterators. A listener that throws harms nobody else.

import { misuse, TidewireError } from "./errors.js";

/** What an iterator holds for a reader that does not keep up; past it the iterator ends with `overflow`. */
const kBufferMax = 10_000;

type Listener = (event: never) => void;

interface Reader {
  end(error?: TidewireError): void;
}

export class Emitter<Events extends object> {
  readonly #listeners: Map<keyof Events, Set<Listener>>;
  readonly #readers = new Set<Reader>();

  /** @internal */
  constructor(names: readonly (keyof Events)[]) {
    this.#listeners = new Map(names.map((name) => [name, new Set()]));
  }

  /** Calls `listener` for each event of this name. Returns what ends it. */
  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name);
    if (!listeners) {
      throw misuse(`there is no event "${String(name)}"; there are ${[...this.#listeners.keys()].join(", ")}`);
    }
    if (typeof listener !== "function") throw misuse(`on("${String(name)}", listener) needs a function as listener`);
    // The same function may listen twice, and each ends alone.
    const own = (event: never): void => listener(event);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** The events of this name from now on, until the thing ends; leaving the loop ends it too. */
  events<Name extends keyof Events>(name: Name): AsyncIterableIterator<Events[Name]> {
    const buffer: Events[Name][] = [];
    let ended = false;
    let failure: TidewireError | undefined;
    const waiting: (() => void)[] = [];
    const wake = (): void => {
      for (const resolve of waiting.splice(0)) resolve();
    };
    const end = (error?: TidewireError): void => {
      ended = true;
      failure ??= error;
      off();
      this.#readers.delete(reader);
      wake();
    };
    const off = this.on(name, (event) => {
      if (buffer.length < kBufferMax) buffer.push(event);
      else end(new TidewireError("overflow", `more than ${kBufferMax} events wait to be read from this iterator`));
      wake();
    });
    const reader: Reader = { end };
    this.#readers.add(reader);
    return {
      async next() {
        while (!buffer.length && !ended) await new Promise<void>((resolve) => waiting.push(resolve));
        if (buffer.length) return { done: false, value: buffer.shift()! };
        const error = failure;
        failure = undefined;
        if (error) throw error;
        return { done: true, value: undefined };
      },
      async return() {
        buffer.length = 0;
        end();
        failure = undefined;
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

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

  /** Ends all iterators: after what they still hold, with the error if there is one. */
  protected endEvents(error?: TidewireError): void {
    for (const reader of [...this.#readers]) reader.end(error);
  }
}
