"""What is measured: each scenario is a list of cells, each cell a list of entrants that are run
in turn. The budgets are those of ARCHITECTURE.md."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from .server import Server
from .servers import CHANNEL, PUBLISH, SUBSCRIBE, Tidewire

DEVELOPMENT_SECRET = b"development-secret-not-for-production"
EQUAL = "raw, equal frames"
ECHO_BUDGETS = {(1, 20): 1.10, (1, 128): 1.10, (16, 128): 1.10, (16, 1024): 1.25, (16, 16384): 1.25}


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
    door: str = ""
    deflate: bool = False
    prepare: list[str] | None = None
    capacity_window: int = 0  # not 0: open loop at a tenth of what this window reaches
    equal_frames: int = 0  # not 0: the payload for whose delivery the raw server gets equal frames
    budgets: list[Budget] = field(default_factory=list)


@dataclass
class Scenario:
    name: str
    title: str
    cells: list[Cell]


def entrants(servers: list[Server], door: str, own: bool = False) -> list[Entrant]:
    """Everybody with that door; `own`: only Tidewire, for what no peer has."""
    return [Entrant(s.name, s) for s in servers if door in s.flags and (isinstance(s, Tidewire) or not own)]


def echo(servers: list[Server]) -> Scenario:
    cells = []
    for depth in (1, 16):
        for size in (20, 128, 1024, 16384):
            name = f"echo-{size}-d{depth}"
            limit = ECHO_BUDGETS.get((depth, size))
            budget = [Budget("cpu_s_per_M", limit, against=(name, "raw"))] if limit else []
            cells.append(Cell(name, f"{size} B, depth {depth}", "echo",
                              ["--conns", "64", "--size", str(size), "--depth", str(depth)],
                              entrants(servers, "echo"), budgets=budget))
    return Scenario("echo", "Echo, 64 connections", cells)


def fanout(servers: list[Server]) -> Scenario:
    cells = []
    for window in (1, 32):
        for subscribers in (100, 1000, 10000):
            name = f"fanout-{subscribers}-w{window}"
            part = entrants(servers, "fanout")
            part += [Entrant(EQUAL, e.server) for e in part if e.server.name == "raw"]
            budget = ([Budget("cpu_s_per_M", 1.10, against=(name, EQUAL))] if window == 1
                      else [Budget("cpu_s_per_M", 0.06)] if subscribers < 10000 else [])
            # 320,000 deliveries under way come in waves of seconds: a short run would catch half a wave.
            longer = ["--dur", "3"] if subscribers * window > 100_000 else []
            cells.append(Cell(name, f"{subscribers} subs, W={window}", "fanout",
                              ["--subs", str(subscribers), "--window", str(window), "--size", "128", *longer],
                              part, equal_frames=128, budgets=budget))
    return Scenario("fanout", "Fan-out, 1 publisher, 128 B", cells)


def deflate(servers: list[Server]) -> Scenario:
    cells = []
    for size in (128, 1024):
        for on in (False, True):
            part = [e for e in entrants(servers, "fanout") if e.server.deflates]
            plain = f"deflate-{size}-off"
            cells.append(Cell(f"deflate-{size}-on" if on else plain, f"{size} B, {'deflated' if on else 'plain'}", "fanout",
                              ["--subs", "1000", "--window", "1", "--size", str(size), *(["--deflate"] if on else [])],
                              part, deflate=on, budgets=[Budget("cpu_s_per_M", 1.3, against=(plain, "tidewire"))] if on else []))
    return Scenario("deflate", "Compressed fan-out (permessage-deflate), 1,000 subscribers, W=1", cells)


def idle(servers: list[Server], folder: Path) -> Scenario:
    cells = []
    for connections in (10000, 19000):
        part = entrants(servers, "idle")
        for entrant in list(part):
            if isinstance(entrant.server, Tidewire):
                flags = ["--path", "/ws?token={line}", "--lines", str(tokens(folder, connections))]
                part.append(Entrant(f"{entrant.label}, authenticated", entrant.server, flags))
        cells.append(Cell(f"idle-{connections}", f"{connections} connections", "idle",
                          ["--conns", str(connections), "--srcs", "16", "--hold", "1.5"], part,
                          budgets=[Budget("rss_per_conn", 1024, "tidewire, authenticated")]))
    return Scenario("idle", "Idle connections (subscribed to one channel)", cells)


def connect(servers: list[Server]) -> Scenario:
    cell = Cell("connect-5000", "5000 connections", "idle", ["--conns", "5000", "--srcs", "16", "--hold", "0.2"],
                entrants(servers, "churn"), door="churn")
    return Scenario("connect", "Connecting (TCP and WebSocket handshake, 256 under way)", [cell])


def churn(servers: list[Server]) -> Scenario:
    cell = Cell("churn-64", "64 at a time", "churn", ["--conns", "64"], entrants(servers, "churn"),
                budgets=[Budget("cpu_s_per_M", 1.3, against=("churn-64", "uws"))])
    return Scenario("churn", "Churn: whole life of a connection (connect, handshake, close)", [cell])


def latency(servers: list[Server]) -> Scenario:
    cells = []
    for subscribers, window in ((1, 32), (100, 1), (1000, 1)):
        cells.append(Cell(f"latency-{subscribers}", f"{subscribers} subs", "fanout", ["--subs", str(subscribers), "--size", "128"],
                          entrants(servers, "fanout"), capacity_window=window,
                          budgets=[Budget("p99_us", 1000)] if subscribers <= 100 else []))
    return Scenario("latency", "Delivery latency, open loop at a tenth of each server's own capacity", cells)


def durable(servers: list[Server]) -> Scenario:
    channel = "log:bench"
    cell = Cell("durable-64", "64 publishers", "fanout",
                ["--subs", "1", "--pubs", "64", "--window", "4096", "--size", "128",
                 "--sub", SUBSCRIBE % channel, "--pub", PUBLISH % channel],
                entrants(servers, "fanout", own=True), budgets=[Budget("deliveries_per_s", 100_000, at_least=True)])
    return Scenario("durable", "Durable publish: 64 publishers, up to 4,096 messages under way, 1 subscriber", [cell])


def resume(servers: list[Server]) -> Scenario:
    replay = '{"type":"subscribe","channel":"%s","history":100}' % CHANNEL
    cell = Cell("resume-10000", "10000 clients", "idle",
                ["--conns", "10000", "--srcs", "16", "--hold", "0.5", "--sub", replay],
                entrants(servers, "fanout", own=True), door="fanout",
                prepare=["--subs", "1", "--window", "8", "--dur", "0.3", "--warm", "0.1", "--size", "128"],
                budgets=[Budget("connects_per_s", 2000, at_least=True)])
    return Scenario("resume", "Resume: 10,000 clients come back and each gets 100 messages", [cell])


NAMES = ("echo", "fanout", "deflate", "idle", "connect", "churn", "latency", "durable", "resume")


def build(names: list[str], servers: list[Server], folder: Path) -> list[Scenario]:
    makers = {"echo": echo, "fanout": fanout, "deflate": deflate, "idle": lambda s: idle(s, folder), "connect": connect,
              "churn": churn, "latency": latency, "durable": durable, "resume": resume}
    return [makers[name](servers) for name in names]


def tokens(folder: Path, count: int) -> Path:
    """A file with a token of its own for each connection, signed with the development secret
    (what `tidewire token` prints, without starting it thousands of times)."""
    target = folder / f"tokens-{count}"
    if not target.exists():
        head = _segment({"alg": "HS256", "typ": "JWT"})
        issued = int(time.time())
        with open(target, "w") as lines:
            for i in range(count):
                text = f"{head}.{_segment({'sub': f'u{i}', 'iat': issued, 'exp': issued + 86400})}"
                mac = hmac.new(DEVELOPMENT_SECRET, text.encode(), hashlib.sha256).digest()
                lines.write(f"{text}.{_text(mac)}\n")
    return target


def _segment(value: dict[str, object]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
