#!/usr/bin/env python3
"""Measures Tidewire and its peers side by side; see README.md. `./dev bench` calls this."""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from rig import machine, scenarios, server, servers  # noqa: E402
from rig.report import Report  # noqa: E402
from rig.server import Server  # noqa: E402
from rig.session import Pace, Session  # noqa: E402

BENCH = servers.BENCH
ROOT = servers.ROOT


def arguments() -> argparse.Namespace:
    pace = Pace()
    p = argparse.ArgumentParser(prog="dev bench", description=__doc__)
    p.add_argument("scenario", nargs="*", metavar="SCENARIO", help=f"{', '.join(scenarios.NAMES)}; all of them when none is named")
    p.add_argument("--list", action="store_true", help="print the cells and which servers can take part, and run nothing")
    p.add_argument("--cells", metavar="REGEX", default="", help="only cells whose name matches, such as 'echo-128|fanout-1000'")
    p.add_argument("--servers", metavar="A,B", default="", help="only these servers")
    p.add_argument("--tidewire", type=Path, default=ROOT / "build" / "release" / "tidewire", help="the binary under test")
    p.add_argument("--also", action="append", default=[], metavar="NAME=BINARY", help="another Tidewire binary, to compare two builds")
    p.add_argument("--peer-binary", action="append", default=[], metavar="NAME=COMMAND",
                   help="another server with /echo, /sub and /pub; gets its port for {port}, else as last argument, and in PORT")
    p.add_argument("--nats-server", default="", metavar="PATH", help="one from 2.10 on, for JetStream that syncs each message")
    p.add_argument("--peer-address", action="append", default=[], metavar="NAME=HOST:PORT[,pid=PID]", help="one that already runs")
    p.add_argument("--repeats", type=int, default=pace.repeats, help="near-state runs wanted of each cell and server")
    p.add_argument("--extra-rounds", type=int, default=pace.extra_rounds, help="more rounds for those that are short of runs")
    p.add_argument("--seconds", type=float, default=pace.seconds, help="measured seconds of a run")
    p.add_argument("--warm", type=float, default=pace.warm_seconds, help="seconds before measuring")
    p.add_argument("--patience", type=float, default=pace.patience_seconds, help="seconds to wait for the near state before a run")
    p.add_argument("--near-ns", type=float, default=200, help="cores are near below this cache-line round trip")
    p.add_argument("--time-limit", type=float, default=pace.time_limit_minutes, metavar="MINUTES", help="ends the sitting, with what there is")
    p.add_argument("--offline", action="store_true", help="install no peers when they are missing")
    p.add_argument("--scratch", type=Path, default=ROOT / "build" / "bench", help="folder for the servers' files; on a real disk")
    p.add_argument("--out", type=Path, default=BENCH / "results", help="folder of the results")
    return p.parse_args()


def pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[\w.-]+", name):
        sys.exit(f"bench: expected NAME=VALUE, got {text}")
    return name, value


def prepare(offline: bool) -> None:
    for program in ("wsload", "logload"):
        subprocess.run(["make", "-s", "-C", str(BENCH / program)], check=True)
    if offline:
        return
    if not (servers.PEERS / "node_modules").is_dir() and shutil.which("npm"):
        done = subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], cwd=servers.PEERS)
        if done.returncode:
            print("bench: npm ci failed; going on without its servers", file=sys.stderr)


def chosen_servers(options: argparse.Namespace) -> list[Server]:
    found = servers.all_servers(options.tidewire)
    found += [servers.Tidewire(Path(v), n) for n, v in map(pair, options.also)]
    found += [servers.Given(n, v) for n, v in map(pair, options.peer_binary)]
    found += [servers.Remote(n, v) for n, v in map(pair, options.peer_address)]
    wanted = [s for s in options.servers.split(",") if s]
    if unknown := set(wanted) - {s.name for s in found}:
        sys.exit(f"bench: no such server: {', '.join(sorted(unknown))}")
    return [s for s in found if not wanted or s.name in wanted]


def main() -> int:
    options = arguments()
    servers.JetStream.given = options.nats_server
    names = options.scenario or list(scenarios.NAMES)
    if unknown := set(names) - set(scenarios.NAMES):
        sys.exit(f"bench: no such scenario: {', '.join(sorted(unknown))}")
    if (os.cpu_count() or 1) < 2 or not {machine.SERVER_CORE, machine.GENERATOR_CORE} <= os.sched_getaffinity(0):
        sys.exit("bench: needs cores 0 and 1, one for the server and one for the generator")
    if not options.list:
        prepare(options.offline)
    options.scratch.mkdir(parents=True, exist_ok=True)
    server.SCRATCH = options.scratch
    every = chosen_servers(options)
    absent = {s.name: why for s in every if (why := s.missing())}
    present = [s for s in every if s.name not in absent]
    with tempfile.TemporaryDirectory(prefix="tidewire-bench-") as folder:
        plan = scenarios.build(names, present, Path(folder))
        for scenario in plan:
            scenario.cells = [c for c in scenario.cells if re.search(options.cells, c.name) and c.entrants]
        if options.list:
            for scenario in plan:
                for cell in scenario.cells:
                    print(f"{cell.name:18} {', '.join(e.label for e in cell.entrants)}")
            for name, why in absent.items():
                print(f"without {name}: {why}")
            return 0
        disk = machine.Disk.of(options.scratch)
        if not disk.real and any(c.program == "logload" for s in plan for c in s.cells):
            sys.exit(f"bench: {options.scratch} is on {disk.kind}, where nothing is durable; give --scratch a folder on a disk")
        pace = Pace(options.repeats, options.extra_rounds, options.seconds, options.warm, options.patience, options.time_limit)
        session = Session(pace, machine.Calm(options.near_ns))
        now = datetime.datetime.now()
        head = {"date": now.strftime("%Y-%m-%d %H:%M"), "scenarios": names, "disk": str(disk)} | machine.describe(ROOT)
        part = {e.server.name for scenario in plan for cell in scenario.cells for e in cell.entrants}
        report = Report(session, plan, head, absent, {s.name: s.version() or s.about for s in present if s.name in part})
        try:
            session.carry_out(plan)
        except KeyboardInterrupt:
            print("bench: interrupted; writing what there is", file=sys.stderr)
    stem = options.out / f"{now:%Y-%m-%d}-{'-'.join(names) if options.scenario else 'all'}"
    report.write(stem)
    print(report.page())
    print(f"written: {os.path.relpath(stem)}.md and .json", file=sys.stderr)
    return 0 if any(not r.fault for r in session.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
