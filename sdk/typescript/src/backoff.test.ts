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
    [1000, "", { retry: false }],
    [1000, "disconnected", { retry: false }],
    [1001, "heartbeat_timeout", { retry: true }],
    [1005, "", { retry: true }],
    [1006, "", { retry: true }],
    [1011, "internal", { retry: true }],
    [1012, "draining", { retry: true }],
    [1013, "overloaded", { retry: true }],
    [1002, "bad frame", { retry: true, poisoned: true }],
    [1007, "not UTF-8", { retry: true, poisoned: true }],
    [1009, "too long", { retry: true, poisoned: true }],
    [1008, "token_expired", { retry: true, newToken: true }],
    [1008, "user_not_found", { retry: true, newToken: true }],
    [1008, "auth_timeout", { retry: true, newToken: true }],
    [1008, "unavailable", { retry: true }],
    [1008, "message_timeout", { retry: true }],
  ])("%i %s", (code, reason, verdict) => {
    expect(afterClose(code, reason)).toEqual(verdict);
  });

  it.each(["rate_limited", "connection_limit", "Too many failed connection attempts", ""])("1008 %s slows down", (reason) => {
    const verdict = afterClose(1008, reason);
    expect(verdict.retry).toBe(true);
    expect(verdict.leastMs).toBeGreaterThan(5000);
  });

  it("lets an auth_error that came before tell more than the reason", () => {
    expect(afterClose(1008, "policy", "token_revoked")).toEqual({ retry: true, newToken: true });
  });
});
