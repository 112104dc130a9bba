import { expect, it } from "vitest";
import { Pacer } from "./pacer.js";

const kLimits = { messages_per_minute: 60, burst: 3 };

it("lets a burst through and then as many as the server takes", () => {
  const pacer = new Pacer();
  pacer.reset(kLimits, 0);
  expect([pacer.take(0), pacer.take(0), pacer.take(0)]).toEqual([0, 0, 0]);
  expect(pacer.take(0)).toBe(1000);
  expect(pacer.take(400)).toBe(600);
  expect(pacer.take(1000)).toBe(0);
  expect(pacer.take(1000)).toBe(1000);
});

it("fills up again, to the burst and no further", () => {
  const pacer = new Pacer();
  pacer.reset(kLimits, 0);
  for (let i = 0; i < 3; i += 1) pacer.take(0);
  const later = 3_600_000;
  expect([pacer.take(later), pacer.take(later), pacer.take(later)]).toEqual([0, 0, 0]);
  expect(pacer.take(later)).toBeGreaterThan(0);
});

it("waits as long as a refusal says, and has one token then", () => {
  const pacer = new Pacer();
  pacer.reset(kLimits, 0);
  pacer.refused(700, 100);
  expect(pacer.take(200)).toBe(600);
  expect(pacer.take(800)).toBe(0);
  expect(pacer.take(800)).toBe(1000);
});

it("does not wait where no limit is told, but where one is met", () => {
  const pacer = new Pacer();
  pacer.reset({}, 0);
  for (let i = 0; i < 1000; i += 1) expect(pacer.take(0)).toBe(0);
  pacer.refused(50, 0);
  expect(pacer.take(10)).toBe(40);
  expect(pacer.take(50)).toBe(0);
});

it.each([{ messages_per_minute: "many", burst: 1 }, { messages_per_minute: 0, burst: 5 }, { messages_per_minute: 5, burst: 0 }, { burst: null }])(
  "takes %j for no limit",
  (limits) => {
    const pacer = new Pacer();
    pacer.reset(limits, 0);
    expect(pacer.take(0)).toBe(0);
    expect(pacer.take(0)).toBe(0);
  },
);

it("survives a clock that goes back", () => {
  const pacer = new Pacer();
  pacer.reset(kLimits, 10_000);
  for (let i = 0; i < 3; i += 1) pacer.take(10_000);
  expect(pacer.take(5_000)).toBe(1000);
});
