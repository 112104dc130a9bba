"""What the bench knows about the machine: what it is, and the state it is in right now.

A virtual machine's cores may be moved apart by its host, and then the same server costs two or
three times as much per message. So every run is framed by two readings of `probe`, and a run
counts only when both say that the cores are near each other.
"""

from __future__ import annotations

import os
import platform
import random
import re
import socket
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SERVER_CORE = 0
GENERATOR_CORE = 1


@dataclass(frozen=True)
class Reading:
    """One output of `probe`."""

    pingpong_ns: float
    alu_ms: float  # the slower of the two cores
    wake_ns: float

    @staticmethod
    def take(probe: Path) -> "Reading":
        text = subprocess.run([probe], capture_output=True, text=True, timeout=30, check=True).stdout
        words = text.split()
        value = {words[i]: float(words[i + 1]) for i in range(0, len(words) - 1, 2)}
        return Reading(value["pingpong_ns"], max(value["alu0_ms"], value["alu1_ms"]), value["wake_rt_ns"])


class Calm:
    """Judges readings. Near is an absolute limit; full speed is judged against the best reading
    of the whole session, since clock rates differ from one machine to the next."""

    ALU_SLACK = 1.12

    def __init__(self, near_ns: float) -> None:
        self.near_ns = near_ns
        self.best_alu_ms = float("inf")

    def learn(self, reading: Reading) -> None:
        self.best_alu_ms = min(self.best_alu_ms, reading.alu_ms)

    def near(self, *readings: Reading) -> bool:
        return all(r.pingpong_ns < self.near_ns for r in readings)

    def full_speed(self, *readings: Reading) -> bool:
        return all(r.alu_ms <= self.best_alu_ms * self.ALU_SLACK for r in readings)


def free_port() -> int:
    """A free loopback port below the range from which the kernel takes source ports, so that the
    generator's own connections can't take it before the server does."""
    for _ in range(200):
        port = random.randint(20000, 32000)
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port between 20000 and 32000")


def children_of(pid: int) -> list[int]:
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@dataclass(frozen=True)
class Disk:
    """What durable figures stand on: the file system, and how long it takes to make 4 KiB safe."""

    kind: str
    sync_us: float

    @staticmethod
    def of(folder: Path) -> "Disk":
        kind = _output("stat", "-f", "-c", "%T", str(folder))
        times = []
        with tempfile.TemporaryFile(dir=folder) as file:
            for i in range(100):
                os.pwrite(file.fileno(), bytes(4096), i * 4096)
                began = time.perf_counter()
                os.fdatasync(file.fileno())
                times.append(time.perf_counter() - began)
        return Disk(kind, statistics.median(times) * 1e6)

    @property
    def real(self) -> bool:
        return self.kind not in ("tmpfs", "ramfs")

    def __str__(self) -> str:
        return f"Files on {self.kind}, where a sync of 4 KiB takes {self.sync_us:.0f} µs"


def _first(pattern: str, path: str) -> str:
    try:
        found = re.search(pattern, Path(path).read_text(), re.M)
    except OSError:
        return "?"
    return found.group(1).strip() if found else "?"


def _output(*command: str, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, cwd=cwd)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout or done.stderr).strip()


def describe(root: Path) -> dict[str, object]:
    """The machine, the kernel and the commit, for the head of a report."""
    commit = _output("git", "rev-parse", "--short=12", "HEAD", cwd=root)
    if commit and _output("git", "status", "--porcelain", "--untracked-files=no", cwd=root):
        commit += " (modified)"
    return {
        "cpu": _first(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo"),
        "cores": os.cpu_count() or 1,
        "memory_gib": round(int(_first(r"^MemTotal:\s*(\d+)", "/proc/meminfo") or 0) / 1048576, 1),
        "kernel": platform.release(),
        "system": _first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release"),
        "congestion_control": _first(r"^(\S+)", "/proc/sys/net/ipv4/tcp_congestion_control"),
        "commit": commit or "?",
    }


def version_of(*command: str) -> str:
    text = _output(*command)
    return text.splitlines()[0] if text else ""
