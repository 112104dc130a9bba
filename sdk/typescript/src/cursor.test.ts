import { beforeEach, describe, expect, it } from "vitest";
import { Cursor } from "./cursor.js";

describe("a cursor", () => {
  let cursor: Cursor;
  beforeEach(() => {
    cursor = new Cursor();
    cursor.start("e", 5);
  });

  it("takes what comes next, and nothing twice", () => {
    expect(cursor.admit(6)).toEqual({ deliver: true, hole: undefined, overlap: false });
    expect(cursor.admit(6)).toEqual({ deliver: false });
    expect(cursor.admit(3)).toEqual({ deliver: false });
    expect(cursor.seq).toBe(6);
  });

  it("sees what is missing", () => {
    expect(cursor.admit(9)).toMatchObject({ deliver: true, hole: { from: 6, to: 8 } });
    expect(cursor.seq).toBe(9);
  });

  it("takes a merged delivery for all that it stands for", () => {
    expect(cursor.admit(9, 6)).toMatchObject({ deliver: true, hole: undefined, overlap: false });
    expect(cursor.seq).toBe(9);
  });

  it("notices that a part of a merged delivery was there before", () => {
    expect(cursor.admit(8, 4)).toMatchObject({ deliver: true, overlap: true });
  });

  it("counts what an answer told as delivered", () => {
    cursor.own(6);
    expect(cursor.seq).toBe(6);
    cursor.own(8);
    expect(cursor.seq).toBe(6);
    expect(cursor.admit(7)).toMatchObject({ deliver: true, hole: undefined });
    expect(cursor.seq).toBe(8);
    expect(cursor.admit(8)).toEqual({ deliver: false });
  });

  it("tolerates as many missing ones as answers are still to come", () => {
    expect(cursor.admit(7, 7, 1).hole).toBeUndefined();
    expect(cursor.admit(10, 10, 1).hole).toEqual({ from: 8, to: 9 });
  });

  it("does not know where a catch-up begins, but where it must not end", () => {
    cursor.start("e", 0, 50);
    expect(cursor.catchingUp).toBe(true);
    expect(cursor.admit(41)).toMatchObject({ deliver: true, hole: undefined });
    expect(cursor.catchingUp).toBe(false);
    expect(cursor.admit(42).hole).toBeUndefined();

    cursor.start("e", 0, 50);
    expect(cursor.admit(53)).toMatchObject({ deliver: true, hole: { from: 51, to: 52 } });
  });

  it("keeps what counts as delivered apart while it catches up", () => {
    cursor.start("e", 0, 3);
    cursor.own(4);
    expect(cursor.seq).toBe(0);
    expect(cursor.admit(3)).toMatchObject({ deliver: true });
    expect(cursor.seq).toBe(4);
  });

  it("jumps over a gap once", () => {
    expect(cursor.skip(9)).toBe(true);
    expect(cursor.skip(8)).toBe(false);
    expect(cursor.admit(9)).toEqual({ deliver: false });
    expect(cursor.admit(10)).toMatchObject({ deliver: true, hole: undefined });
  });

  it("takes an inbox's entries in any order, each once", () => {
    cursor.loose = true;
    expect(cursor.admit(8).deliver).toBe(true);
    expect(cursor.admit(6).deliver).toBe(true);
    expect(cursor.admit(8).deliver).toBe(false);
    expect(cursor.admit(5).deliver).toBe(false);
    expect(cursor.seq).toBe(6);
    expect(cursor.admit(7).deliver).toBe(true);
    expect(cursor.seq).toBe(8);
  });

  it("holds a bounded number of seqs for a server that leaves holes", () => {
    cursor.loose = true;
    for (let seq = 10; seq < 100_000; seq += 2) cursor.admit(seq);
    expect(cursor.seq).toBeGreaterThan(80_000);
  });
});
