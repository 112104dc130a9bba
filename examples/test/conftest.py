"""What the tests of the examples share: a server, and examples that are started as their README says."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("TIDEWIRE_BINARY") or ROOT / "build/release/tidewire")
START_S = 100


def pytest_configure(config: pytest.Config) -> None:
    if not BINARY.exists():
        pytest.exit(f"no binary at {BINARY}: build it, or name it in TIDEWIRE_BINARY", returncode=2)


class Program:
    """A program and all that it starts, as one process group."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        settings = {name: value for name, value in os.environ.items() if not name.startswith("TIDEWIRE_")}
        self.process = subprocess.Popen(
            command,
            env={**settings, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.output = ""

    def until(self, text: str, timeout: float = START_S) -> str:
        """Reads on until this text has come."""
        assert self.process.stdout is not None
        end = time.monotonic() + timeout
        while text not in self.output:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"no {text!r} in:\n{self.output}")
            self.output += data.decode(errors="replace")
        return self.output

    def ends(self, status: int | None = 0, timeout: float = START_S) -> str:
        """Its whole output, once it has ended with this status; None: with a failure."""
        output, _ = self.process.communicate(timeout=timeout)
        self.output += output.decode(errors="replace")
        ended = self.process.returncode
        assert ended == status if status is not None else ended != 0, f"{ended}: {self.output}"
        return self.output

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def run(*command: str | Path, **environment: str) -> Program:
        programs.append(Program([str(part) for part in command], environment))
        return programs[-1]

    yield run
    for program in programs:
        program.kill()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a Tidewire of the tests' own."""
    with tempfile.TemporaryDirectory(prefix="tidewire-examples-") as data:
        program = Program(
            [str(BINARY), "serve", "--dev", "--listen", "127.0.0.1:0", "--data", data, "--log-level", "error"], {}
        )
        yield program.until("tidewire ready on ").split("tidewire ready on ")[1].split()[0]
        program.kill()


@pytest.fixture
def port() -> str:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
