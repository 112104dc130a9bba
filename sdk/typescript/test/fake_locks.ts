// Web Locks as several pages share them, and pages that can die.

interface Request {
  name: string;
  page: string;
  run: () => void;
  end: (error: Error) => void;
}

interface LockOptions {
  steal?: boolean;
  ifAvailable?: boolean;
  signal?: AbortSignal;
}

export class FakeLocks {
  readonly #held = new Map<string, Request>();
  #queue: Request[] = [];

  /** The `navigator.locks` of one page. */
  page(page: string): { request: (...args: any[]) => Promise<unknown>; query: () => Promise<{ held: { name: string }[]; pending: { name: string }[] }> } {
    return {
      request: (name: string, ...rest: any[]) => {
        const callback = rest.pop() as (lock: unknown) => unknown;
        const options = (rest[0] ?? {}) as LockOptions;
        return new Promise((resolve, reject) => {
          const request: Request = {
            name,
            page,
            end: reject,
            run: () => {
              void Promise.resolve()
                .then(() => callback({ name }))
                .then(resolve, reject)
                .finally(() => this.#release(request));
            },
          };
          if (options.steal) {
            this.#held.get(name)?.end(new DOMException("stolen", "AbortError"));
            this.#held.set(name, request);
            return request.run();
          }
          options.signal?.addEventListener("abort", () => {
            this.#queue = this.#queue.filter((other) => other !== request);
            reject(new DOMException("aborted", "AbortError"));
          });
          this.#queue.push(request);
          this.#next();
        });
      },
      query: async () => ({
        held: [...this.#held.values()].map(({ name }) => ({ name })),
        pending: this.#queue.map(({ name }) => ({ name })),
      }),
    };
  }

  /** The page is gone with all that it held. */
  die(page: string): void {
    this.#queue = this.#queue.filter((request) => request.page !== page);
    for (const [name, request] of this.#held) if (request.page === page) this.#held.delete(name);
    this.#next();
  }

  #release(request: Request): void {
    if (this.#held.get(request.name) === request) this.#held.delete(request.name);
    this.#next();
  }

  #next(): void {
    for (const request of [...this.#queue]) {
      if (this.#held.has(request.name)) continue;
      this.#queue = this.#queue.filter((other) => other !== request);
      this.#held.set(request.name, request);
      request.run();
    }
  }
}
