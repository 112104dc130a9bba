// How far a channel has been seen, and what is wrong with the order of what comes (protocol, sections 1 and 5).
//
// Invariant: everything up to `seq` has been delivered or reported as a gap, so a resume from there misses nothing.
// While `seq < horizon` the server may still be sending what it keeps up to `horizon`, and where that begins is not known.
// Pure.

/** A server that leaves holes in an inbox without a word shall not fill the memory. */
const kAheadMax = 5000;

export interface Position {
  epoch: string;
  seq: number;
}

export interface Hole {
  from: number;
  to: number;
}

/** @internal */
export type Verdict =
  | { deliver: false; hole?: undefined; overlap?: undefined }
  /** `hole`: these are missing, and nothing said why. `overlap`: a part of a merged delivery was seen before. */
  | { deliver: true; hole?: Hole | undefined; overlap?: boolean };

/** @internal */
export class Cursor {
  epoch = "";
  seq = 0;
  horizon = 0;
  /** An inbox sends by priority: what comes behind `seq` comes in any order. */
  loose = false;
  /** Delivered, or counting as delivered, above `seq`. */
  #ahead = new Set<number>();

  /** A new beginning: what comes above `seq` is taken, and nothing above `horizon` may be missing. */
  start(epoch: string, seq: number, horizon = seq): void {
    this.epoch = epoch;
    this.seq = seq;
    this.horizon = Math.max(seq, horizon);
    this.#ahead.clear();
  }

  get known(): boolean {
    return this.epoch !== "";
  }

  /** The server may still be sending what lies before `horizon`, and from where on is not known. */
  get catchingUp(): boolean {
    return this.seq < this.horizon;
  }

  admit(seq: number, firstSeq = seq, mayHide = 0): Verdict {
    if (seq <= this.seq || this.#ahead.has(seq)) {
      this.own(seq);
      return { deliver: false };
    }
    if (this.loose) {
      this.own(seq);
      return { deliver: true };
    }
    const overlap = firstSeq <= this.seq;
    let from = this.horizon + 1;
    while (this.#ahead.has(from)) from += 1;
    const hole = firstSeq > from + mayHide ? { from, to: firstSeq - 1 } : undefined;
    this.skip(seq);
    return { deliver: true, hole, overlap };
  }

  /** What counts as delivered without being delivered: an answer with a seq says so. */
  own(seq: number): void {
    if (seq <= this.seq) return;
    if (this.#ahead.size >= kAheadMax) this.skip(Math.max(...this.#ahead));
    this.#ahead.add(seq);
    if (this.catchingUp) return;
    while (this.#ahead.delete(this.seq + 1)) this.horizon = this.seq += 1;
  }

  /** Everything up to `seq` is done with. False: it was before. */
  skip(seq: number): boolean {
    if (seq <= this.seq) return false;
    this.seq = this.horizon = seq;
    for (const ahead of this.#ahead) if (ahead <= seq) this.#ahead.delete(ahead);
    while (this.#ahead.delete(this.seq + 1)) this.horizon = this.seq += 1;
    return true;
  }
}
