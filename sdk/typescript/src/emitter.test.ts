import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { outcome, turn } from "../test/fake_server.js";
import { Emitter } from "./emitter.js";
import { TidewireError } from "./errors.js";

class Things extends Emitter<{ thing: number; other: string }> {
  constructor() {
    super(["thing", "other"]);
  }
  say(value: number): void {
    this.emit("thing", value);
  }
  end(error?: TidewireError): void {
    this.endEvents(error);
  }
}

let things: Things;
beforeEach(() => {
  things = new Things();
});

describe("listeners", () => {
  it("are called in their order until they are taken off", () => {
    const seen: string[] = [];
    const off = things.on("thing", (value) => seen.push(`a${value}`));
    things.on("thing", (value) => seen.push(`b${value}`));
    things.say(1);
    off();
    off();
    things.say(2);
    expect(seen).toEqual(["a1", "b1", "b2"]);
  });

  it("may be the same function twice, each taken off alone", () => {
    const listener = vi.fn();
    const off = things.on("thing", listener);
    things.on("thing", listener);
    things.say(1);
    off();
    things.say(2);
    expect(listener).toHaveBeenCalledTimes(3);
  });

  it("may come and go during an event", () => {
    const seen: number[] = [];
    const off = things.on("thing", () => {
      off();
      things.on("thing", (value) => seen.push(value));
    });
    things.say(1);
    things.say(2);
    expect(seen).toEqual([2]);
  });

  it("that throw are reported and harm nobody", () => {
    vi.useFakeTimers();
    try {
      const after = vi.fn();
      things.on("thing", () => {
        throw new Error("mine");
      });
      things.on("thing", after);
      things.say(1);
      expect(after).toHaveBeenCalledWith(1);
      expect(() => vi.runAllTimers()).toThrow("mine");
    } finally {
      vi.useRealTimers();
    }
  });

  it("of an unknown event are refused with what there is", () => {
    expect(() => things.on("thingg" as "thing", () => {})).toThrow(/no event "thingg", but thing, other/);
    expect(() => things.on("thing", undefined as never)).toThrow(/needs a function/);
  });
});

describe("an iterator", () => {
  it("gives what comes, also what came before it was asked", async () => {
    const iterator = things.events("thing");
    things.say(1);
    things.say(2);
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    expect(await iterator.next()).toEqual({ done: false, value: 2 });
    const next = iterator.next();
    expect(await outcome(next)).toBe("pending");
    things.say(3);
    expect(await next).toEqual({ done: false, value: 3 });
  });

  it("serves several who wait", async () => {
    const iterator = things.events("thing");
    const nexts = [iterator.next(), iterator.next()];
    await turn();
    things.say(1);
    things.say(2);
    expect((await Promise.all(nexts)).map(({ value }) => value)).toEqual([1, 2]);
  });

  it("ends with the thing, after what it still holds", async () => {
    const iterator = things.events("thing");
    things.say(1);
    things.end();
    things.say(2);
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it("ends with an error where there is one", async () => {
    const iterator = things.events("thing");
    const next = iterator.next();
    await turn();
    things.end(new TidewireError("forbidden", "no"));
    await expect(next).rejects.toMatchObject({ code: "forbidden" });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it("is let go by leaving the loop", async () => {
    const seen: number[] = [];
    things.say(0);
    const iterator = things.events("thing");
    things.say(1);
    things.say(2);
    for await (const value of iterator) {
      seen.push(value);
      break;
    }
    expect(seen).toEqual([1]);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  it("can be ended while somebody waits for it", async () => {
    const iterator = things.events("thing");
    const next = iterator.next();
    await turn();
    await iterator.return();
    expect(await next).toEqual({ done: true, value: undefined });
  });

  it("that nobody reads ends with overflow instead of growing", async () => {
    const iterator = things.events("thing");
    for (let i = 0; i <= 10_000; i += 1) things.say(i);
    things.say(-1);
    let read = 0;
    await expect(async () => {
      for await (const value of iterator) read += value >= 0 ? 1 : 0;
    }).rejects.toMatchObject({ code: "overflow" });
    expect(read).toBe(10_001);
  });
});

afterEach(() => vi.restoreAllMocks());
