"""What is measured; the budgets stand in bench/README.md. Durable channels are in logs.py, and
what is about connections as such in connections.py."""

from __future__ import annotations

from pathlib import Path

from . import connections, logs
from .connections import PARKED_S
from .plan import Budget, Cell, Entrant, Scenario, entrants
from .server import Server
from .servers import Tidewire
from .tokens import tokens

EQUAL = "raw, equal frames"
ECHO_BUDGETS = {(1, 20): 1.10, (1, 128): 1.10, (16, 128): 1.10, (16, 1024): 1.25, (16, 16384): 1.25}


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
                          ["--conns", str(connections), "--srcs", "16", "--hold", str(PARKED_S)], part,
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


NAMES = ("echo", "fanout", "deflate", "idle", "connect", "churn", "latency", "memory", "connections",
         "durable", "resume", "catchup", "slow", "coldstart")


def build(names: list[str], servers: list[Server], folder: Path) -> list[Scenario]:
    makers = {"echo": echo, "fanout": fanout, "deflate": deflate, "idle": lambda s: idle(s, folder), "connect": connect,
              "churn": churn, "latency": latency, "memory": lambda s: connections.memory(s, folder),
              "connections": lambda s: connections.connections(s, folder), "durable": logs.durable,
              "resume": lambda s: logs.resume(s, folder), "catchup": lambda s: logs.catchup(s, folder), "slow": lambda s: logs.slow(s, folder),
              "coldstart": lambda s: logs.coldstart(s, folder)}
    return [makers[name](servers) for name in names]
