"""Starts a server on a store that is full of channels. The store is made once in a sitting, by
publishing, since that takes far longer than what is measured."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from .plan import Cell, Entrant
from .server import Running

SETTLE_S = 2.0
# What a server has just taken in when it is killed, so that there is something to recover.
LAST_WRITES = ["--links", "8", "--depth", "512", "--channels", "50000", "--messages", "2"]

Fill = Callable[[Cell, Entrant, Running], None]


class Stores:
    def __init__(self) -> None:
        self.made: dict[str, Running] = {}

    def measure(self, cell: Cell, entrant: Entrant, fill: Fill) -> tuple[dict[str, float], str]:
        """Seconds until it serves, the CPU time that took, and memory then and after a while."""
        how = cell.flags[cell.flags.index("--stop") + 1]
        stopped = self._store(cell, entrant, fill)
        if how == "killed":
            running = entrant.server.start("fill", on=stopped)
            fill(replace(cell, prepare=LAST_WRITES), entrant, running)
            running.pause(signal.SIGKILL)
        if how != "warm":
            forget_pages(stopped.folder)
        running = entrant.server.start("log", on=stopped)
        figures = {"start_s": running.start_s, "cpu_s": cpu_seconds(running.pids), "rss_kib": resident_kib(running.pids)}
        time.sleep(SETTLE_S)
        figures["rss_settled_kib"] = resident_kib(running.pids)
        figures["store_bytes"] = sum(f.stat().st_size for f in files_of(stopped.folder))
        running.pause()
        return figures, ""

    def remove(self) -> None:
        for running in self.made.values():
            running.stop()

    def _store(self, cell: Cell, entrant: Entrant, fill: Fill) -> Running:
        if entrant.label not in self.made:
            running = entrant.server.start("fill")
            try:
                fill(cell, entrant, running)
                began = time.monotonic()
                running.pause()
            except BaseException:
                running.stop()
                raise
            print(f"{cell.name:18} {entrant.label:24} store made; stopping took {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
            self.made[entrant.label] = running
        return self.made[entrant.label]


def files_of(folder: Path | None) -> list[Path]:
    return [f for f in (folder or Path()).rglob("*") if f.is_file()]


def forget_pages(folder: Path | None) -> None:
    """Takes the files out of the kernel's cache, so that they come from the disk."""
    for file in files_of(folder):
        with open(file, "rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def resident_kib(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        status = Path(f"/proc/{pid}/status").read_text()
        total += float(status.split("VmRSS:")[1].split()[0])
    return total


def cpu_seconds(pids: list[int]) -> float:
    total = 0.0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return total
