"""What a server is to the bench: something that is started for a run and stopped after it.

A server is started anew for every run, on a free loopback port, pinned to one core, with its
files in a folder of its own that goes away with it. `DEFLATE` asks for permessage-deflate.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import machine

START_TIMEOUT_S = 15.0


@dataclass
class Running:
    """A started server. `pids` are the processes whose CPU and memory count."""

    port: int
    pids: list[int]
    process: subprocess.Popen | None = None
    folder: Path | None = None
    host: str = "127.0.0.1"

    def stop(self) -> None:
        if self.process:
            for patience_s, number in ((1.5, signal.SIGTERM), (2.0, signal.SIGTERM), (5.0, signal.SIGKILL)):
                if self.process.poll() is None:
                    self.process.send_signal(number)
                try:
                    self.process.wait(patience_s)
                    break
                except subprocess.TimeoutExpired:
                    continue
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


class Unavailable(Exception):
    """This server can't take part; the text says why."""


@dataclass
class Server:
    """One server. `flags[mode]` are the generator's arguments for a mode (echo, fanout, idle,
    churn); a mode that is not there is not measured for this server."""

    name: str
    about: str
    flags: dict[str, list[str]] = field(default_factory=dict)
    deflates: bool = True

    def missing(self) -> str:
        """Why the server can't run here, or an empty string."""
        return ""

    def version(self) -> str:
        return ""

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        raise NotImplementedError

    def pids(self, process: subprocess.Popen) -> list[int]:
        return [process.pid]

    def start(self, mode: str, deflate: bool = False) -> Running:
        folder = Path(tempfile.mkdtemp(prefix=f"tidewire-bench-{self.name}-"))
        port = machine.free_port()
        command, extra = self.command(mode, port, folder, deflate)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")}
        environment |= {"PORT": str(port), "DEFLATE": "1" if deflate else "0"} | extra
        with open(folder / "output", "wb") as output:
            process = subprocess.Popen(
                ["taskset", "-c", str(machine.SERVER_CORE), *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, env=environment,
            )
        running = Running(port, [process.pid], process, folder)
        try:
            self._await(running, folder)
            running.pids = self.pids(process)
        except BaseException:
            running.stop()
            raise
        return running

    def _await(self, running: Running, folder: Path) -> None:
        assert running.process
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if running.process.poll() is not None:
                break
            try:
                socket.create_connection((running.host, running.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.03)
        tail = (folder / "output").read_text(errors="replace")[-600:].strip()
        raise Unavailable(f"{self.name} did not start: {tail or 'no output'}")
