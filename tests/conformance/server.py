"""The server under test: starts the real binary, waits for its ready line, ends it, keeps its log.

One Server is one process with its own data folder and its own configuration file. Stopping it is
itself a test: SIGTERM must end it with status 0, and its log must hold no token and no secret.
"""

from __future__ import annotations

import json
import os
import pathlib
import queue
import re
import signal
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECRET = "conformance-secret-of-more-than-thirty-two-bytes"
API_KEY = "tw_conformance_all_scopes"
READY = re.compile(r"^tidewire ready on (https?)://(.+):(\d+)$")
START_TIMEOUT_S = 15
STOP_TIMEOUT_S = 15

# Wide limits, so that a test meets only the limit which it is about.
BASE = {
    "auth": {
        "hs256_secret": SECRET,
        "required": False,
        "attempts_per_minute": 1_000_000,
    },
    "api": {"key": API_KEY},
    "limits": {
        "messages_per_minute": 6_000_000,
        "burst": 100_000,
        "adaptive": False,
        "malformed_per_minute": 1_000_000,
        "frames_per_second": 0,
    },
    "server": {"drain_timeout": "300ms"},
}


def binary() -> pathlib.Path:
    return pathlib.Path(os.environ.get("TIDEWIRE_BINARY", ROOT / "build" / "release" / "tidewire"))


def shards() -> int:
    return int(os.environ.get("TIDEWIRE_TEST_SHARDS", "2"))


def memory_bound_kib(kib: int) -> float:
    """A bound on growth; sanitizers keep freed memory, so TIDEWIRE_TEST_MEMORY_FACTOR widens it."""
    return kib * float(os.environ.get("TIDEWIRE_TEST_MEMORY_FACTOR", "1"))


def merged(*layers: dict) -> dict:
    """The layers folded left to right; a None removes a key."""
    out: dict = {}
    for layer in layers:
        for key, value in layer.items():
            if value is None:
                out.pop(key, None)
            elif isinstance(value, dict) and isinstance(out.get(key), dict):
                out[key] = merged(out[key], value)
            elif isinstance(value, dict):
                out[key] = merged(value)
            else:
                out[key] = value
    return out


def toml(settings: dict, path: tuple[str, ...] = ()) -> str:
    """Settings as TOML text: scalars first, then tables, then arrays of tables."""
    lines, tables = [], []
    for key, value in settings.items():
        if isinstance(value, dict):
            tables.append("[" + ".".join((*path, key)) + "]\n" + toml(value, (*path, key)))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                tables.append("[[" + ".".join((*path, key)) + "]]\n" + toml(item, (*path, key)))
        else:
            lines.append(f"{key} = {json.dumps(value)}")
    return "\n".join(lines) + "\n" + "\n".join(tables)


class Server:
    """A running `tidewire serve`. `settings` lie over BASE unless `bare` is set."""

    live: list[Server] = []

    def __init__(
        self,
        settings: dict | None = None,
        *,
        bare: bool = False,
        dev: bool = False,
        echo: bool = False,
        args: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        data: pathlib.Path | None = None,
        listen: str = "127.0.0.1:0",
    ):
        # Goes with this object, however the server ended.
        self._folder = tempfile.TemporaryDirectory(prefix="tidewire-conformance-", ignore_cleanup_errors=True)
        self.folder = pathlib.Path(self._folder.name)
        self.data = data or self.folder / "data"
        self.settings = merged({} if bare else BASE, {"server": {"shards": shards()}}, settings or {})
        self.config = self.folder / "tidewire.toml"
        self.write_config(self.settings)
        self.command = [str(binary()), "serve", "--config", str(self.config), "--listen", listen]
        self.command += ["--data", str(self.data)]
        self.command += ["--dev"] * dev + ["--echo"] * echo + list(args)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")} | (env or {})
        self.process: subprocess.Popen | None = None
        self.host, self.port, self.scheme = "127.0.0.1", 0, "http"
        self.stdout: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.stderr = self.folder / "stderr.log"

    # -- life

    def launch(self) -> Server:
        """Starts the process without waiting for it to be ready."""
        with open(self.stderr, "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.env,
                cwd=self.folder,
                text=True,
            )
        threading.Thread(target=self._read_stdout, args=(self.process.stdout,), daemon=True).start()
        Server.live.append(self)
        return self

    def start(self) -> Server:
        self.launch()
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise AssertionError(f"no ready line in {START_TIMEOUT_S} s\n{self.log()}") from None
            if line is None:
                status = self.process.wait()
                self.forget()
                raise AssertionError(f"ended with status {status} before it was ready\n{self.log()}")
            if found := READY.match(line):
                self.scheme, self.port = found[1], int(found[3])
                return self

    def _read_stdout(self, stream) -> None:
        for line in stream:
            self.stdout.append(line.rstrip("\n"))
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        return self.process.wait(timeout_s)

    def stop(self) -> None:
        """Drains the server; it must exit 0, and must not have logged what is secret."""
        if self.process.poll() is None:
            self.terminate()
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {STOP_TIMEOUT_S} s after SIGTERM\n{self.log()}") from None
        text = self.log()
        self.forget()
        assert status == 0, f"exit status {status}\n{text}"
        assert "ERROR: AddressSanitizer" not in text and "runtime error:" not in text, text
        leaked = re.search(r"eyJ[\w-]{8,}\.[\w-]{8,}\.", text)
        assert not leaked, f"a token stands in the log: {leaked}"
        assert SECRET not in text, "the signing secret stands in the log"
        assert API_KEY not in text, "the API key stands in the log"
        self._folder.cleanup()

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.forget()

    def forget(self) -> None:
        if self in Server.live:
            Server.live.remove(self)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, kind, value, trace) -> None:
        if kind is None:
            self.stop()
        else:
            self.kill()

    # -- configuration

    def write_config(self, settings: dict) -> None:
        temporary = self.config.with_suffix(".new")
        temporary.write_text(toml(settings))
        temporary.replace(self.config)

    def reload(self, settings: dict | None = None) -> None:
        """Writes `settings` over the present ones, if any, and sends SIGHUP."""
        if settings is not None:
            self.settings = merged(self.settings, settings)
            self.write_config(self.settings)
        self.process.send_signal(signal.SIGHUP)

    # -- addresses and what the system says of the process

    def url(self, path: str = "") -> str:
        return f"{self.scheme}://{self.host}:{self.port}{path}"

    def ws_url(self, path: str = "/ws") -> str:
        return f"{'wss' if self.scheme == 'https' else 'ws'}://{self.host}:{self.port}{path}"

    def log(self) -> str:
        return self.stderr.read_text(errors="replace") if self.stderr.exists() else ""

    def memory_kib(self) -> int:
        """Resident memory of the process."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.M)[1])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
