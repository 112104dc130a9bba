"""The words of a plan: a scenario is a list of cells, a cell is one measurement with a list of
entrants, who are run in turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from .server import Server


@dataclass(frozen=True)
class Budget:
    """`metric` of `label` in this cell must be at most (or, `at_least`, no less than) `limit`, which
    counts in units of the same metric of `against` = (cell, label) when that is given."""

    metric: str
    limit: float
    label: str = "tidewire"
    against: tuple[str, str] | None = None
    at_least: bool = False


@dataclass
class Entrant:
    """A server's part in a cell: the flags here come after the server's own and win over them."""

    label: str
    server: Server
    flags: list[str] = field(default_factory=list)


@dataclass
class Cell:
    """One measurement, the same for every entrant. `mode` is the generator's; `door` chooses which
    of the server's flags apply (its mode, as a rule)."""

    name: str
    title: str
    mode: str
    flags: list[str]
    entrants: list[Entrant]
    program: str = "wsload"
    door: str = ""
    deflate: bool = False
    prepare: list[str] | None = None  # the generator is run with these first; `restart`: the server is started anew after it
    restart: bool = False
    capacity_window: int = 0  # not 0: open loop at a tenth of what this window reaches
    equal_frames: int = 0  # not 0: the payload for whose delivery the raw server gets equal frames
    budgets: list[Budget] = field(default_factory=list)


@dataclass
class Scenario:
    name: str
    title: str
    cells: list[Cell]


def entrants(servers: list[Server], door: str, but: tuple[str, ...] = ()) -> list[Entrant]:
    """Everybody with that door, but for the servers named."""
    return [Entrant(s.name, s) for s in servers if door in s.flags and s.name not in but]
