// JSON values that are changed by making new ones: what is not changed stays the same object, so that a comparison of
// references tells whether something below it is new. Pure.

import { isObject } from "../protocol.js";

type JsonObject = { [key: string]: unknown };

export type PatchOperation =
  | { op: "add" | "replace" | "test"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move" | "copy"; from: string; path: string };

/** JSON Merge Patch (RFC 7396). @internal */
export function applyMerge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: JsonObject = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else put(result, key, applyMerge(Object.hasOwn(result, key) ? result[key] : undefined, value));
  }
  return result;
}

/** JSON Patch (RFC 6902). Throws where it does not apply. @internal */
export function applyPatch(document: unknown, operations: readonly PatchOperation[]): unknown {
  return operations.reduce(applyOperation, document);
}

/** Whether two JSON values are equal, whatever the order of keys. @internal */
export function equals(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((value, i) => equals(value, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equals(a[key], b[key]));
}

function applyOperation(document: unknown, operation: PatchOperation): unknown {
  const path = tokensOf(operation.path);
  switch (operation.op) {
    case "add":
      return change(document, path, () => operation.value, "insert");
    case "replace":
      return change(document, path, () => operation.value, "replace");
    case "remove":
      return change(document, path, undefined, "remove");
    case "copy":
      return change(document, path, () => find(document, tokensOf(operation.from)), "insert");
    case "move": {
      const value = find(document, tokensOf(operation.from));
      if (operation.path === operation.from) return document;
      if (operation.path.startsWith(`${operation.from}/`)) throw new Error("a value can't move into itself");
      return change(change(document, tokensOf(operation.from), undefined, "remove"), path, () => value, "insert");
    }
    case "test":
      if (!equals(find(document, path), operation.value)) throw new Error(`the test of "${operation.path}" fails`);
      return document;
    default:
      throw new Error("there is no such operation");
  }
}

/** RFC 6901. */
function tokensOf(pointer: unknown): string[] {
  if (pointer === "") return [];
  if (typeof pointer !== "string" || pointer[0] !== "/" || /~(?![01])/.test(pointer)) throw new Error(`"${pointer}" is no JSON pointer`);
  return pointer
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function indexOf(token: string, end: number): number {
  if (/^(0|[1-9]\d*)$/.test(token) && Number(token) < end) return Number(token);
  throw new Error(`there is no element ${token}`);
}

function find(node: unknown, path: string[]): unknown {
  for (const token of path) {
    if (Array.isArray(node)) node = node[indexOf(token, node.length)];
    else if (isObject(node) && Object.hasOwn(node, token)) node = node[token];
    else throw new Error(`there is no ${token}`);
  }
  return node;
}

function change(node: unknown, path: string[], value: (() => unknown) | undefined, how: "insert" | "replace" | "remove"): unknown {
  const [token, ...rest] = path;
  if (token === undefined) {
    if (!value) throw new Error("the whole document can't be removed");
    return value();
  }
  const isLast = rest.length === 0;
  if (Array.isArray(node)) {
    const copy = [...(node as unknown[])];
    const isInsert = isLast && how === "insert";
    const index = isInsert && token === "-" ? copy.length : indexOf(token, copy.length + (isInsert ? 1 : 0));
    if (!isLast) copy[index] = change(copy[index], rest, value, how);
    else copy.splice(index, isInsert ? 0 : 1, ...(value ? [value()] : []));
    return copy;
  }
  if (!isObject(node)) throw new Error(`there is no ${token}`);
  const isThere = Object.hasOwn(node, token);
  if (!isThere && !(isLast && how === "insert")) throw new Error(`there is no ${token}`);
  const copy = { ...node };
  if (!isLast) put(copy, token, change(copy[token], rest, value, how));
  else if (value) put(copy, token, value());
  else delete copy[token];
  return copy;
}

/** An assignment that also takes the key `__proto__` for what it is in JSON: a key. */
function put(object: JsonObject, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}
