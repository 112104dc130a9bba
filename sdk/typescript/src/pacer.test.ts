import { expect, it } from "vitest";
import { Pacer } from "./pacer.js";

const kLimits = { messages_per_minute: 60, burst: 3 };

it("lets a burst through and then as many as the server takes", () => {
  const pacer = new Pacer();
  pacer.refill(kLimits, 0);
  expect([pacer.spend(0), pacer.spend(0), pacer.spend(0)]).toEqual([0, 0, 0]);
  expect(pacer.spend(0)).toBe(1000);
  expect(pacer.spend(400)).toBe(600);
  expect(pacer.spend(1000)).toBe(0);
  expect(pacer.spend(1000)).toBe(1000);
});

it("fills up again, to the burst and no further", () => {
  const pacer = new Pacer();
  pacer.refill(kLimits, 0);
  for (let i = 0; i < 3; i += 1) pacer.spend(0);
  const later = 3_600_000;
  expect([pacer.spend(later), pacer.spend(later), pacer.spend(later)]).toEqual([0, 0, 0]);
  expect(pacer.spend(later)).toBeGreaterThan(0);
});

it("waits as long as a refusal says, and has one token then", () => {
  const pacer = new Pacer();
  pacer.refill(kLimits, 0);
  pacer.refused(700, 100);
  expect(pacer.spend(200)).toBe(600);
  expect(pacer.spend(800)).toBe(0);
  expect(pacer.spend(800)).toBe(1000);
});

it("does not wait where no limit is told, but where one is met", () => {
  const pacer = new Pacer();
  pacer.refill({}, 0);
  for (let i = 0; i < 1000; i += 1) expect(pacer.spend(0)).toBe(0);
  pacer.refused(50, 0);
  expect(pacer.spend(10)).toBe(40);
  expect(pacer.spend(50)).toBe(0);
});

it.each([{ messages_per_minute: "many", burst: 1 }, { messages_per_minute: 0, burst: 5 }, { messages_per_minute: 5, burst: 0 }, { burst: null }])(
  "takes %j for no limit",
  (limits) => {
    const pacer = new Pacer();
    pacer.refill(limits, 0);
    expect(pacer.spend(0)).toBe(0);
    expect(pacer.spend(0)).toBe(0);
  },
);

it("survives a clock that goes back", () => {
  const pacer = new Pacer();
  pacer.refill(kLimits, 10_000);
  for (let i = 0; i < 3; i += 1) pacer.spend(10_000);
  expect(pacer.spend(5_000)).toBe(1000);
});
