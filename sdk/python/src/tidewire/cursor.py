"""How far a channel has been seen, and what is wrong with the order of what comes (docs/protocol.md, sections 1 and 5).

Invariant: everything up to `seq` has been delivered or reported as a gap, so a resume from there misses nothing. While
`seq < horizon` the server may still be sending what it keeps up to `horizon`, and where that begins is not known. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# A server that leaves holes in an inbox without a word shall not fill the memory.
_AHEAD_MAX = 5000


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to and including `seq` has been seen. Positions compare only within one epoch."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Both ends inclusive."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Verdict:
    deliver: bool
    hole: Hole | None = None
    """These are missing, and nothing said why."""
    overlap: bool = False
    """A part of a merged delivery was seen before."""


class Cursor:
    def __init__(self) -> None:
        self.epoch = ""
        self.seq = 0
        self.horizon = 0
        self.loose = False
        """An inbox sends by priority: what comes behind `seq` comes in any order."""
        # Delivered, or counting as delivered, above `seq`.
        self._ahead: set[int] = set()

    def start(self, epoch: str, seq: int, horizon: int | None = None) -> None:
        """A new beginning: what comes above `seq` is taken, and nothing above `horizon` may be missing."""
        self.epoch = epoch
        self.seq = seq
        self.horizon = max(seq, seq if horizon is None else horizon)
        self._ahead.clear()

    @property
    def position(self) -> Position | None:
        return Position(self.epoch, self.seq) if self.epoch else None

    @property
    def catching_up(self) -> bool:
        """The server may still be sending what lies before `horizon`, and from where on is not known."""
        return self.seq < self.horizon

    def admit(self, seq: int, first_seq: int | None = None, may_hide: int = 0) -> Verdict:
        if seq <= self.seq or seq in self._ahead:
            self.own(seq)
            return Verdict(deliver=False)
        if self.loose:
            self.own(seq)
            return Verdict(deliver=True)
        first = seq if first_seq is None else first_seq
        overlap = first <= self.seq
        start = self.horizon + 1
        while start in self._ahead:
            start += 1
        hole = Hole(start, first - 1) if first > start + may_hide else None
        self.skip(seq)
        return Verdict(True, hole, overlap)

    def own(self, seq: int) -> None:
        """What counts as delivered without being delivered: an answer with a seq says so."""
        if seq <= self.seq:
            return
        if len(self._ahead) >= _AHEAD_MAX:
            self.skip(max(self._ahead))
            if seq <= self.seq:
                return
        self._ahead.add(seq)
        if not self.catching_up:
            self._advance()

    def skip(self, seq: int) -> bool:
        """Everything up to `seq` is done with. False: it was before."""
        if seq <= self.seq:
            return False
        self.seq = seq
        self.horizon = seq
        if self._ahead:
            self._ahead = {ahead for ahead in self._ahead if ahead > seq}
            self._advance()
        return True

    def _advance(self) -> None:
        while self.seq + 1 in self._ahead:
            self.seq += 1
            self._ahead.discard(self.seq)
        self.horizon = max(self.horizon, self.seq)
