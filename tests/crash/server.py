"""The server under test as a process that can be killed, and connections to it."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import socket
import subprocess
import time

import jwt
import websockets

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TIDEWIRE_BINARY", ROOT / "build" / "release" / "tidewire"))
SECRET = "development-secret-not-for-production"
API_KEY = "tw_dev"
GONE = (OSError, websockets.WebSocketException, TimeoutError)
SETTINGS = {
    "TIDEWIRE_LIMITS_MESSAGES_PER_MINUTE": "100000000",
    "TIDEWIRE_LIMITS_BURST": "1000000",
    "TIDEWIRE_LIMITS_FRAMES_PER_SECOND": "0",
    "TIDEWIRE_LIMITS_IDEMPOTENCY_WINDOW": "1h",
    "TIDEWIRE_LIMITS_OUTBOUND_BYTES": "65536",  # so that slow readers are behind soon
    "TIDEWIRE_SERVER_SHARDS": os.environ.get("TIDEWIRE_TEST_SHARDS", "2"),
}


class Fault(Exception):
    """A promise was broken."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, folder: str):
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen | None = None
        self.starts_s: list[float] = []
        self.kills = 0

    def launch(self) -> None:
        self.process = subprocess.Popen(
            [BINARY, "serve", "--dev", "--listen", f"127.0.0.1:{self.port}", "--data", self.folder, "--log-level", "error"],
            stdout=subprocess.PIPE, env=os.environ | SETTINGS, text=True)

    def start(self) -> None:
        began = time.monotonic()
        self.launch()
        line = self.process.stdout.readline()
        if not line.startswith("tidewire ready"):
            raise Fault(f"the server did not start again (exit {self.process.wait()})")
        self.starts_s.append(time.monotonic() - began)

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait()
        self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.end(signal.SIGKILL)
        self.kills += 1

    def crash(self, chance: random.Random) -> None:
        """Kills the server, now and then once more while it recovers, and starts it again."""
        self.kill()
        while chance.random() < 0.25:
            self.launch()
            time.sleep(chance.uniform(0, 0.08))
            self.kill()
        self.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def connect(self, user: str, grants: tuple[dict, ...] = (), manual: bool = True, narrow: bool = False):
        """`manual`: does not follow its own inbox. `narrow`: takes little at once, so that a slow reader's
        backlog waits in the server and not in buffers on the way."""
        now = int(time.time())
        token = jwt.encode({"sub": user, "iat": now, "exp": now + 86400, "tidewire": {"grants": list(grants)}}, SECRET, "HS256")
        query = "?inbox=manual" if manual else ""
        options: dict = {"max_size": None, "open_timeout": 5, "compression": None, "ping_interval": None,
                         "additional_headers": {"Authorization": f"Bearer {token}"}}
        if narrow:
            options |= {"sock": self._narrow_socket(), "max_queue": 2}
        return websockets.connect(f"ws://127.0.0.1:{self.port}/ws{query}", **options)

    def _narrow_socket(self) -> socket.socket:
        narrow = socket.socket()
        try:
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            narrow.connect(("127.0.0.1", self.port))
        except OSError:
            narrow.close()
            raise
        narrow.setblocking(False)
        return narrow
