import { describe, expect, it } from "vitest";
import { afterClose, backoffMs } from "./backoff.js";

describe("the wait before the next attempt", () => {
  it("is anything from nothing to an exponential bound", () => {
    expect(backoffMs(0, () => 0)).toBe(0);
    expect(backoffMs(0, () => 1)).toBe(500);
    expect(backoffMs(3, () => 1)).toBe(4000);
    expect(backoffMs(3, () => 0.25)).toBe(1000);
  });

  it("has a cap, however many attempts there were", () => {
    expect(backoffMs(12, () => 1)).toBe(30_000);
    expect(backoffMs(5000, () => 1)).toBe(30_000);
  });
});

describe("what a close code means", () => {
  it.each([
    [1000, "", "stop"],
    [1000, "disconnected", "stop"],
    [1001, "heartbeat_timeout", "retry"],
    [1005, "", "retry"],
    [1006, "", "retry"],
    [1011, "internal", "retry"],
    [1012, "draining", "retry"],
    [1013, "overloaded", "retry"],
    [1002, "bad frame", "poison"],
    [1007, "not UTF-8", "poison"],
    [1009, "too long", "poison"],
    [1008, "token_expired", "token"],
    [1008, "user_not_found", "token"],
    [1008, "auth_timeout", "token"],
    [1008, "unavailable", "retry"],
    [1008, "message_timeout", "retry"],
  ])("%i %s", (code, reason, step) => {
    expect(afterClose(code, reason)).toBe(step);
  });

  it.each(["rate_limited", "invalid_message", "connection_limit", "Too many failed connection attempts", ""])("1008 %s slows down", (reason) => {
    expect(afterClose(1008, reason)).toBe("slow");
  });

  it("lets an auth_error that came before tell more than the reason", () => {
    expect(afterClose(1008, "policy", "token_revoked")).toBe("token");
  });
});
