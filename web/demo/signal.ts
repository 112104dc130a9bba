// A value that components can watch.

import { useSyncExternalStore } from "react";

export class Signal<V> {
  #value: V;
  readonly #listeners = new Set<() => void>();

  constructor(value: V) {
    this.#value = value;
  }

  get(): V {
    return this.#value;
  }

  set(value: V): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const listener of [...this.#listeners]) listener();
  }

  readonly listen = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };
}

export function useSignal<V>(signal: Signal<V>): V {
  const read = (): V => signal.get();
  return useSyncExternalStore(signal.listen, read, read);
}
