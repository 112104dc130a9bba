import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { TidewireError } from "./errors.js";
import { checkChannel, encode, randomName } from "./names.js";

interface Vector {
  channel: string;
  namespace: string | null;
}
const { vectors } = JSON.parse(readFileSync(new URL("../../../spec/vectors/protocol_channels.json", import.meta.url), "utf8")) as { vectors: Vector[] };

describe("a channel name", () => {
  it.each(vectors)("$channel is what the shared vectors say", ({ channel, namespace }) => {
    if (namespace === null) expect(() => checkChannel(channel)).toThrow(TidewireError);
    else expect(() => checkChannel(channel)).not.toThrow();
  });

  it.each([undefined, null, 7, {}, ["room:1"]])("is no %j", (name) => {
    expect(() => checkChannel(name)).toThrow(/is no channel name/);
  });
});

describe("what is sent", () => {
  it("is JSON as it was when the call was made", () => {
    const data = { a: [1, null, "é"] };
    const text = encode({ data, missing: undefined });
    data.a.push("later");
    expect(text).toBe('{"data":{"a":[1,null,"é"]}}');
  });

  it.each([
    ["a function", { data: { f: () => 1 } }, /"f" is a function/],
    ["a symbol", { data: Symbol("s") }, /"data" is a symbol/],
    ["a BigInt", { data: 1n }, /can't be sent as JSON/],
  ])("is never %s", (_name, value, message) => {
    expect(() => encode(value)).toThrow(message);
    expect(() => encode(value)).toThrow(expect.objectContaining({ code: "invalid_argument" }));
  });

  it("is never a circle", () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    expect(() => encode(circle)).toThrow(/can't be sent as JSON/);
  });
});

it("makes keys that differ", () => {
  const names = new Set(Array.from({ length: 1000 }, randomName));
  expect(names.size).toBe(1000);
  expect([...names].every((name) => /^[0-9a-z]{16,32}$/.test(name))).toBe(true);
});
