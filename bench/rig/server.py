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

START_TIMEOUT_S = 120.0  # a store may have to be read first
SCRATCH: Path | None = None  # where servers keep their files; None: the system's temporary folder


@dataclass
class Running:
    """A started server. `pids` are the processes whose CPU and memory count."""

    port: int
    pids: list[int]
    process: subprocess.Popen | None = None
    folder: Path | None = None
    host: str = "127.0.0.1"
    start_s: float = 0  # from the start of the process until it answered

    def stop(self) -> None:
        self._end((1.5, signal.SIGTERM), (2.0, signal.SIGTERM), (5.0, signal.SIGKILL))
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def pause(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends the process, and keeps its files for `Server.start(..., on=self)`."""
        self._end((60.0, number), (5.0, signal.SIGKILL))

    def _end(self, *ways: tuple[float, signal.Signals]) -> None:
        for patience_s, number in ways if self.process else ():
            if self.process.poll() is None:
                self.process.send_signal(number)
            try:
                self.process.wait(patience_s)
                break
            except subprocess.TimeoutExpired:
                continue


class Unavailable(Exception):
    """This server can't take part; the text says why."""


@dataclass
class Server:
    """One server. `flags[door]` are the generator's arguments for a door: echo, fanout, idle, idle-tls,
    churn, log; a door that is not there is not measured for this server. `fill` is `log` while messages
    are only prepared, so it need not sync each."""

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

    def answers(self, running: Running) -> bool:
        """Whether it serves by now; asked again and again while it starts."""
        try:
            socket.create_connection((running.host, running.port), timeout=1).close()
            return True
        except OSError:
            return False

    def start(self, mode: str, deflate: bool = False, on: Running | None = None) -> Running:
        """`on`: a server that was paused, whose files and port it takes over."""
        folder = on.folder if on else Path(tempfile.mkdtemp(prefix=f"tidewire-bench-{self.name}-", dir=SCRATCH))
        port = on.port if on else machine.free_port()
        assert folder
        command, extra = self.command(mode, port, folder, deflate)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")}
        environment |= {"PORT": str(port), "DEFLATE": "1" if deflate else "0"} | extra
        with open(folder / "output", "wb") as output:
            began = time.monotonic()
            process = subprocess.Popen(
                ["taskset", "-c", str(machine.SERVER_CORE), *command],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, env=environment,
            )
        running = Running(port, [process.pid], process, folder)
        try:
            self._await(running, began)
            running.pids = self.pids(process)
        except BaseException:
            running.stop()
            raise
        return running

    def _await(self, running: Running, began: float) -> None:
        assert running.process and running.folder
        while time.monotonic() < began + START_TIMEOUT_S:
            if running.process.poll() is not None:
                break
            if self.answers(running):
                running.start_s = time.monotonic() - began
                return
            time.sleep(0.003)
        tail = (running.folder / "output").read_text(errors="replace")[-600:].strip()
        raise Unavailable(f"{self.name} did not start: {tail or 'no output'}")
