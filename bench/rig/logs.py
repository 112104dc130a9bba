"""Scenarios of durable channels, against NATS JetStream and Redis Streams, which sync each message
before they acknowledge it, as Tidewire does. The generator is logload."""

from __future__ import annotations

from pathlib import Path

from .plan import Budget, Cell, Entrant, Scenario, entrants
from .server import Server
from .servers import Tidewire
from .tokens import tokens

RESUMERS = 10_000
MISSED = 100
BEFORE = 10  # messages that a returning client has had
HISTORY = 50_000  # what a reader who catches up has missed
COLD_CHANNELS = 1_000_000


def durable(servers: list[Server]) -> Scenario:
    cells = []
    for links, depth in ((1, 1), (16, 1), (256, 1), (256, 16)):
        title = f"{links} publisher{'s' * (links > 1)}" + (f", {depth} in flight each" if depth > 1 else "")
        cells.append(Cell(f"durable-{links}" + (f"-d{depth}" if depth > 1 else ""), title, "publish",
                          ["--create", "--links", str(links), "--depth", str(depth), "--size", "128", "--dur", "3"],
                          entrants(servers, "log"), program="logload", door="log",
                          budgets=[Budget("msgs_per_s", 100_000, at_least=True)] if depth > 1 else []))
    return Scenario("durable", "Durable publish: acknowledged when it is on the disk; 128 B, one channel", cells)


def resume(servers: list[Server], folder: Path) -> Scenario:
    cells = []
    for clients, restart in ((1000, True), (RESUMERS, False), (RESUMERS, True)):
        channels = clients // 10
        positions = folder / f"positions-{clients}-{int(restart)}"
        place = ["--positions", str(positions), "--skip", str(BEFORE)]
        # A JetStream consumer for each of 10,000 readers takes minutes, so it shows what it can with 1,000.
        part = entrants(servers, "log", but=("jetstream",) if clients == RESUMERS else ())
        for entrant in part:
            if isinstance(entrant.server, Tidewire):
                entrant.flags = ["--lines", str(tokens(folder, RESUMERS))]
        cells.append(Cell(f"resume-{clients}" + ("-restart" if restart else ""),
                          f"{clients:,} clients" + (", server just restarted" if restart else ""), "resume",
                          ["--links", str(clients), "--messages", str(MISSED), "--inflight", "2000", "--limit", "60", *place],
                          part, program="logload", door="log", restart=restart,
                          prepare=["--links", "4", "--depth", "1024", "--channels", str(channels), "--messages", str(BEFORE + MISSED), *place],
                          budgets=[Budget("storm_s", 5)] if clients == RESUMERS else []))
    return Scenario("resume", f"Resume: clients come back at once, each with {MISSED} messages missed in one of a tenth as many channels", cells)


def catchup(servers: list[Server], folder: Path) -> Scenario:
    cells = []
    for readers, bytes_per_s in ((1, 0), (100, 0), (100, 100_000)):
        name = f"catchup-{readers}" + ("-slow" if bytes_per_s else "")
        place = ["--positions", str(folder / f"positions-{name}"), "--skip", "1", "--messages", str(HISTORY)]
        slow = ["--read-rate", str(bytes_per_s), "--dur", "5"] if bytes_per_s else []
        cells.append(Cell(name, f"{readers} reader{'s' * (readers > 1)}" + (" of 100 kB/s, after 3 s" if bytes_per_s else ""), "catchup",
                          ["--links", str(readers), "--rate", "500", "--limit", "60", *place, *slow],
                          entrants(servers, "log"), program="logload", door="log", restart=True,
                          prepare=["--depth", "1024", "--channels", "1", *place]))
    return Scenario("catchup", f"Catch-up: readers {HISTORY:,} messages behind come forward while 500 a second are published", cells)


def slow(servers: list[Server], folder: Path) -> Scenario:
    """What readers who never keep up cost the others: `calm_` figures are those with none of them."""
    cells = []
    for readers in (10, 100):
        name = f"slow-{readers}"
        place = ["--positions", str(folder / f"positions-{name}"), "--skip", "1", "--messages", str(HISTORY)]
        cells.append(Cell(name, f"{readers} readers of 200 kB/s", "catchup",
                          ["--links", str(readers), "--rate", "500", "--read-rate", "200000", "--dur", "6", *place],
                          [e for e in entrants(servers, "log") if isinstance(e.server, Tidewire)], program="logload", door="log",
                          restart=True, prepare=["--depth", "1024", "--channels", "1", *place]))
    return Scenario("slow", "Slow readers of a durable channel while 500 a second are published: what the others feel of them", cells)


def coldstart(servers: list[Server], folder: Path) -> Scenario:
    cells = []
    for how, title in (("warm", "stopped, files in memory"), ("cold", "stopped, files on disk only"), ("killed", "killed, files on disk only")):
        cells.append(Cell(f"coldstart-{how}", title, "coldstart", ["--stop", how], entrants(servers, "log"), program="logload", door="log",
                          prepare=["--links", "8", "--depth", "512", "--channels", str(COLD_CHANNELS), "--messages", "1",
                                   "--limit", "600"],
                          budgets=[Budget("start_s", 1)]))
    return Scenario("coldstart", f"Start on a store of {COLD_CHANNELS:,} channels", cells)
