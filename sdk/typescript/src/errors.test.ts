import { readFileSync } from "node:fs";
import { expect, expectTypeOf, it } from "vitest";
import { errorOf, TidewireError, type ServerErrorCode } from "./errors.js";

it("knows every code of the specification, and no other", () => {
  const spec = JSON.parse(readFileSync(new URL("../../../spec/errors.json", import.meta.url), "utf8")) as { codes: { name: string }[] };
  const source = readFileSync(new URL("./errors.ts", import.meta.url), "utf8");
  const listed = /export type ServerErrorCode =([^;]*);/.exec(source)![1]!.match(/"(\w+)"/g)!.map((name) => name.slice(1, -1));
  expect(listed.sort()).toEqual(spec.codes.map(({ name }) => name).sort());
  expectTypeOf<"conflict">().toExtend<ServerErrorCode>();
});

it("carries what the server said", () => {
  const error = errorOf({ type: "error", code: "conflict", message: "moved on", channel: "doc:1", request: "publish", seq: 7 });
  expect(error).toBeInstanceOf(TidewireError);
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "TidewireError", code: "conflict", message: "moved on", channel: "doc:1", request: "publish", seq: 7 });
  expect(errorOf({ code: "rate_limited", retry_after_ms: 300 }).retryAfterMs).toBe(300);
  expect(errorOf({ code: "content_rejected", rule: "script_tag" }).rule).toBe("script_tag");
});

it("makes an error of anything", () => {
  expect(errorOf({})).toMatchObject({ code: "protocol_error" });
  expect(errorOf({ code: 7, message: null, retry_after_ms: "soon" })).toMatchObject({ code: "7", retryAfterMs: undefined });
});
