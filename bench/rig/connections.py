"""Scenarios of connections themselves: what an idle one costs with TLS and with a user of its own, and
whether memory comes back after very many of them."""

from __future__ import annotations

from pathlib import Path

from .plan import Budget, Cell, Entrant, Scenario, entrants
from .server import Server
from .servers import SUBSCRIBE, Tidewire
from .tokens import tokens

LIVES = 100_000
IDLE = 10_000
# Until an empty inbox has given its memory back: five seconds of idleness, and a sweep over all channels.
PARKED_S = 9


def memory(servers: list[Server], folder: Path) -> Scenario:
    cells = []
    lines = ["--lines", str(tokens(folder, IDLE))]
    own, alone = (["--path", f"/ws?{query}token={{line}}", *lines] for query in ("", "inbox=manual&"))
    for door, title in (("idle", "no TLS"), ("idle-tls", "TLS")):
        part = []
        for entrant in entrants(servers, door):
            if not isinstance(entrant.server, Tidewire):
                part.append(entrant)
                continue
            part.append(entrant)
            part.append(Entrant(f"{entrant.label}, a user each", entrant.server, own))
            part.append(Entrant(f"{entrant.label}, a user each, no inbox", entrant.server, alone))
            room = [*own, "--sub", SUBSCRIBE % "room:{i}"]
            part.append(Entrant(f"{entrant.label}, a user and a room each", entrant.server, room))
        cells.append(Cell(f"memory{door.removeprefix('idle')}", title, "idle",
                          ["--conns", str(IDLE), "--srcs", "16", "--hold", str(PARKED_S), "--inflight", "128"], part, door=door,
                          budgets=[Budget("rss_per_conn", 1024)] if door == "idle" else []))
    return Scenario("memory", f"Memory of {IDLE:,} idle connections, each subscribed once; Tidewire's of one user, or each of its own", cells)


def connections(servers: list[Server], folder: Path) -> Scenario:
    part = []
    for entrant in entrants(servers, "churn"):
        if not isinstance(entrant.server, Tidewire):
            part.append(entrant)
            continue
        greeted = ["--proto", "tmpl", "--ready", '"connected"']
        own = ["--path", "/ws?token={line}", "--lines", str(tokens(folder, LIVES))]
        part.append(Entrant(entrant.label, entrant.server, greeted))
        part.append(Entrant(f"{entrant.label}, a user each", entrant.server, [*greeted, *own]))
    cell = Cell(f"connections-{LIVES}", f"{LIVES:,} lives", "churn", ["--conns", "64", "--lives", str(LIVES), "--warm", "1"], part)
    return Scenario("connections", f"{LIVES:,} connections in turn, 64 at a time: open, connected, close", [cell])
