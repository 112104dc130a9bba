import { describe, expect, it } from "vitest";
import { applyMerge, applyPatch, equals, type PatchOperation } from "./json_tree.js";

describe("a merge patch", () => {
  // The cases of RFC 7396, appendix A.
  it.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [["a", "b"], ["c", "d"], ["c", "d"]],
    [{ a: "b" }, ["c"], ["c"]],
    [{ a: "foo" }, null, null],
    [{ a: "foo" }, "bar", "bar"],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("%j with %j is %j", (target, patch, result) => {
    expect(applyMerge(target, patch)).toEqual(result);
  });

  it("leaves the old value as it was, and shares what it did not touch", () => {
    const before = { a: { b: 1 }, c: { d: 2 } };
    const after = applyMerge(before, { a: { b: 3 } }) as typeof before;
    expect(before).toEqual({ a: { b: 1 }, c: { d: 2 } });
    expect(after.c).toBe(before.c);
  });

  it("takes __proto__ for a key", () => {
    const after = applyMerge({}, JSON.parse('{"__proto__":{"polluted":1}}')) as object;
    expect(Object.getPrototypeOf(after)).toBe(Object.prototype);
    expect(JSON.stringify(after)).toBe('{"__proto__":{"polluted":1}}');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
    expect(applyMerge({}, { toString: { a: 1 } })).toEqual({ toString: { a: 1 } });
  });
});

describe("a patch", () => {
  const apply = (document: unknown, ...operations: unknown[]): unknown => applyPatch(document, operations as PatchOperation[]);

  // From RFC 6902, appendix A.
  it.each([
    [{ foo: "bar" }, { op: "add", path: "/baz", value: "qux" }, { foo: "bar", baz: "qux" }],
    [{ foo: ["bar", "baz"] }, { op: "add", path: "/foo/1", value: "qux" }, { foo: ["bar", "qux", "baz"] }],
    [{ baz: "qux", foo: "bar" }, { op: "remove", path: "/baz" }, { foo: "bar" }],
    [{ foo: ["bar", "qux", "baz"] }, { op: "remove", path: "/foo/1" }, { foo: ["bar", "baz"] }],
    [{ baz: "qux" }, { op: "replace", path: "/baz", value: "boo" }, { baz: "boo" }],
    [{ foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } }, { op: "move", from: "/foo/waldo", path: "/qux/thud" }, { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } }],
    [{ foo: ["all", "grass", "cows", "eat"] }, { op: "move", from: "/foo/1", path: "/foo/3" }, { foo: ["all", "cows", "eat", "grass"] }],
    [{ baz: "qux", foo: ["a", 2, "c"] }, { op: "test", path: "/foo/1", value: 2 }, { baz: "qux", foo: ["a", 2, "c"] }],
    [{ foo: "bar" }, { op: "add", path: "/child", value: { grandchild: {} } }, { foo: "bar", child: { grandchild: {} } }],
    [{ foo: ["bar"] }, { op: "add", path: "/foo/-", value: ["abc", "def"] }, { foo: ["bar", ["abc", "def"]] }],
    [{ "/": 9, "~1": 10 }, { op: "test", path: "/~01", value: 10 }, { "/": 9, "~1": 10 }],
    [{ a: 1 }, { op: "replace", path: "", value: [1] }, [1]],
    [null, { op: "add", path: "", value: { a: 1 } }, { a: 1 }],
    [{ a: { b: 1 } }, { op: "copy", from: "/a", path: "/c" }, { a: { b: 1 }, c: { b: 1 } }],
    [{ "": { "a/b": 1 } }, { op: "replace", path: "//a~1b", value: 2 }, { "": { "a/b": 2 } }],
    [{ a: 1 }, { op: "move", from: "/a", path: "/a" }, { a: 1 }],
    [{ a: [1] }, { op: "add", path: "/a/1", value: 2 }, { a: [1, 2] }],
  ])("%j with %j is %j", (document, operation, result) => {
    expect(apply(document, operation)).toEqual(result);
  });

  it.each([
    [{ foo: "bar" }, { op: "add", path: "/baz/bat", value: "qux" }],
    [{ baz: "qux" }, { op: "test", path: "/baz", value: "bar" }],
    [{ a: 1 }, { op: "remove", path: "/b" }],
    [{ a: 1 }, { op: "remove", path: "" }],
    [{ a: 1 }, { op: "replace", path: "/b", value: 1 }],
    [{ a: [1] }, { op: "add", path: "/a/2", value: 1 }],
    [{ a: [1] }, { op: "add", path: "/a/01", value: 1 }],
    [{ a: [1] }, { op: "replace", path: "/a/-", value: 1 }],
    [{ a: [1] }, { op: "remove", path: "/a/1" }],
    [{ a: 1 }, { op: "add", path: "b", value: 1 }],
    [{ a: 1 }, { op: "add", path: "/~2", value: 1 }],
    [{ a: 1 }, { op: "add", path: 7, value: 1 }],
    [{ a: { b: 1 } }, { op: "move", from: "/a", path: "/a/b" }],
    [{ a: 1 }, { op: "copy", from: "/b", path: "/c" }],
    [{ a: "text" }, { op: "replace", path: "/a/0", value: "x" }],
    [{}, { op: "test", path: "/toString", value: 1 }],
    [{ a: 1 }, { op: "invent", path: "/a" }],
    [{ a: 1 }, {}],
  ])("does not apply to %j: %j", (document, operation) => {
    const before = structuredClone(document);
    expect(() => apply(document, operation)).toThrow();
    expect(document).toEqual(before);
  });

  it("is done as a whole or not at all", () => {
    const before = { a: 1 };
    expect(() => apply(before, { op: "add", path: "/b", value: 2 }, { op: "remove", path: "/c" })).toThrow();
    expect(before).toEqual({ a: 1 });
  });
});

describe("equality", () => {
  it.each([
    [1, 1, true],
    [1, 1.0, true],
    [1, "1", false],
    [{ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 }, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: undefined }, { b: 1 }, false],
    [[1, 2], [2, 1], false],
    [[1], { 0: 1 }, false],
    [null, {}, false],
    [null, null, true],
  ])("of %j and %j is %j", (a, b, result) => {
    expect(equals(a, b)).toBe(result);
  });
});
