"""One sitting: runs every cell's entrants in turn, several rounds, each run framed by two
readings of the machine, and keeps every run with its state."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import coldstart, machine
from .machine import Calm, Reading
from .plan import Cell, Entrant, Scenario
from .scenarios import EQUAL
from .server import Running, Unavailable
from .servers import BENCH

PROGRAMS = {name: BENCH / name / name for name in ("wsload", "logload")}
PROBE = BENCH / "wsload" / "probe"
# What else may have run on the cores, in % of one. A sync's own work is done by the kernel's threads, which no
# process is charged for, so cells that write to the disk may show more.
FOREIGN_LIMIT_PCT = {"wsload": 10.0, "logload": 25.0}
GENERATOR_LIMIT_S = 700.0


@dataclass
class Pace:
    """How long and how often."""

    repeats: int = 3
    extra_rounds: int = 3
    seconds: float = 1.2
    warm_seconds: float = 0.5
    patience_seconds: float = 8.0  # how long to wait for the near state before a run
    time_limit_minutes: float = 90.0


@dataclass
class Run:
    """One run. `figures` is the generator's JSON; `fault` is why it does not count."""

    cell: str
    label: str
    before: Reading
    after: Reading
    figures: dict[str, float] = field(default_factory=dict)
    fault: str = ""
    program: str = "wsload"


def median(values: list[float]) -> float:
    return statistics.median(values)


class Session:
    def __init__(self, pace: Pace, calm: Calm) -> None:
        self.pace = pace
        self.calm = calm
        self.runs: list[Run] = []
        self.capacity: dict[tuple[str, str], float] = {}
        self.frames: dict[int, int] = {}
        self.cut_short = False
        self.stores = coldstart.Stores()
        self.end = time.monotonic() + pace.time_limit_minutes * 60

    def carry_out(self, scenarios: list[Scenario]) -> None:
        try:
            for scenario in scenarios:
                for cell in scenario.cells:
                    self._cell(cell)
        finally:
            self.stores.remove()

    def of(self, cell: str, label: str) -> list[Run]:
        return [r for r in self.runs if r.cell == cell and r.label == label]

    def near(self, run: Run) -> bool:
        return not run.fault and self.calm.near(run.before, run.after)

    def quiet(self, run: Run) -> bool:
        """Near, at full speed, and hardly any other work on the cores during the run itself."""
        return (self.near(run) and self.calm.full_speed(run.before, run.after)
                and run.figures.get("foreign_pct", 0) <= FOREIGN_LIMIT_PCT[run.program])

    def best_runs(self, cell: str, label: str) -> tuple[list[Run], bool]:
        """The runs that count, and whether they were quiet: the quiet ones, else the near ones."""
        near = [r for r in self.of(cell, label) if self.near(r)]
        quiet = [r for r in near if self.quiet(r)]
        return quiet or near, bool(quiet)

    def _cell(self, cell: Cell) -> None:
        for round_number in range(self.pace.repeats + self.pace.extra_rounds):
            for entrant in cell.entrants:
                if time.monotonic() > self.end:
                    self.cut_short = True
                    return
                faults = sum(1 for r in self.of(cell.name, entrant.label) if r.fault)
                if sum(map(self.quiet, self.of(cell.name, entrant.label))) >= self.pace.repeats or faults >= 2:
                    continue
                try:
                    flags = self._own_flags(cell, entrant)
                    if flags is None:
                        continue
                    run = self._run(cell, entrant, flags)
                except Unavailable as reason:
                    now = self._reading()
                    run = Run(cell.name, entrant.label, now, now, fault=str(reason))
                self.runs.append(run)
                self._tell(run, round_number)

    def _own_flags(self, cell: Cell, entrant: Entrant) -> list[str] | None:
        """The flags that depend on other measurements; None: this entrant has no part here."""
        if entrant.label == EQUAL:
            length = self._frame_bytes(cell)
            return ["--size", str(length)] if length else None
        if cell.capacity_window:
            subscribers = int(cell.flags[cell.flags.index("--subs") + 1])
            return ["--rate", f"{self._capacity(cell, entrant) / 10 / subscribers:.3f}"]
        return []

    def _capacity(self, cell: Cell, entrant: Entrant) -> float:
        """Deliveries a second in closed loop, measured once."""
        key = (cell.name, entrant.label)
        if key not in self.capacity:
            run = self._run(cell, entrant, ["--window", str(cell.capacity_window)])
            if run.fault:
                raise Unavailable(run.fault)
            self.capacity[key] = run.figures["deliveries_per_s"]
        return self.capacity[key]

    def _frame_bytes(self, cell: Cell) -> int:
        """How long a delivery of Tidewire's is on the wire, frame header included; 0 without it."""
        if cell.equal_frames not in self.frames:
            length = 0
            for entrant in cell.entrants:
                if entrant.server.name == "tidewire":
                    try:
                        run = self._run(cell, entrant, ["--subs", "1", "--window", "1", "--dur", "0.3", "--warm", "0.1"])
                    except Unavailable:
                        break
                    text = round(run.figures.get("bytes_per_message", 0))
                    length = text + (2 if text < 126 else 4 if text < 65536 else 10) if text else 0
            self.frames[cell.equal_frames] = length
        return self.frames[cell.equal_frames]

    def _run(self, cell: Cell, entrant: Entrant, own: list[str]) -> Run:
        if cell.mode == "coldstart":
            before = self._wait_for_near()
            figures, fault = self.stores.measure(cell, entrant, self._prepare)
            return Run(cell.name, entrant.label, before, self._reading(), figures, fault, cell.program)
        door = cell.door or cell.mode
        running = entrant.server.start("fill" if cell.restart else door, cell.deflate)
        try:
            if cell.prepare:
                self._prepare(cell, entrant, running)
            if cell.restart:
                running.pause()
                running = entrant.server.start(door, cell.deflate, on=running)
            before = self._wait_for_near()
            pace = ["--dur", str(self.pace.seconds), "--warm", str(self.pace.warm_seconds), "--drain", "10"]
            flags = [*entrant.server.flags[door], *pace, *cell.flags, *entrant.flags, *own]
            figures, fault = self._generate(cell.program, running, [cell.mode, *flags])
            after = self._reading()
        finally:
            running.stop()
        return Run(cell.name, entrant.label, before, after, figures, fault, cell.program)

    def _prepare(self, cell: Cell, entrant: Entrant, running: Running) -> None:
        door = entrant.server.flags[cell.door or cell.mode]
        if cell.program == "wsload":
            self._generate("wsload", running, ["fanout", *door, *(cell.prepare or [])])
            return
        _, fault = self._generate("logload", running, ["fill", *door, "--create", *(cell.prepare or [])])
        if fault:
            raise Unavailable(f"not prepared: {fault}")

    def _reading(self) -> Reading:
        reading = Reading.take(PROBE)
        self.calm.learn(reading)
        return reading

    def _wait_for_near(self) -> Reading:
        end = time.monotonic() + self.pace.patience_seconds
        while True:
            reading = self._reading()
            if self.calm.near(reading) or time.monotonic() > end:
                return reading
            time.sleep(0.5)

    def _generate(self, program: str, running: Running, words: list[str]) -> tuple[dict[str, float], str]:
        command = ["taskset", "-c", str(machine.GENERATOR_CORE), str(PROGRAMS[program]), words[0], "--host", running.host,
                   "--port", str(running.port), "--core", str(machine.SERVER_CORE), *words[1:]]
        if running.pids:
            command += ["--pid", ",".join(map(str, running.pids))]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.pace.seconds + GENERATOR_LIMIT_S)
        except subprocess.TimeoutExpired:
            return {}, "the generator was not done in time"
        complaint = (done.stderr.strip().splitlines() or [""])[0][:160]
        lines = [line for line in done.stdout.splitlines() if line.startswith("JSON ")]
        if not lines:
            return {}, complaint or f"the generator ended with {done.returncode}"
        figures = json.loads(lines[-1][5:])
        wrong = [f"{k} {figures[k]:.0f}" for k in ("lost", "dup", "ooo", "gaps", "errors") if figures.get(k)]
        if "--deflate" in words and not figures.get("compressed"):
            wrong.append("nothing came compressed")
        return figures, ", ".join(wrong + ([complaint] if wrong and complaint else []))

    def _tell(self, run: Run, round_number: int) -> None:
        state = run.fault or ("quiet" if self.quiet(run) else "near, disturbed" if self.near(run) else "far")
        cost = run.figures.get("cpu_s_per_M")
        cost_text = f"{cost:.3f} us/msg" if cost is not None else ""
        print(f"{run.cell:18} {run.label:24} round {round_number + 1}  {cost_text:16} {state}", file=sys.stderr, flush=True)
