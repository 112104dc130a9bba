"""The real binary as a test needs it: on a free port, with its own data, killed and started again at the same place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import tidewire

ROOT = Path(__file__).resolve().parents[4]
BINARY = Path(os.environ.get("TIDEWIRE_BINARY") or ROOT / "build/release/tidewire")
KEY = "tw_dev"


class Server:
    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self._data = tempfile.mkdtemp(prefix="tidewire-python-")
        self._process: subprocess.Popen[str] | None = None
        self.url = self._run("127.0.0.1:0")

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def token(self, user: str | int, *grants: tidewire.Grant, ttl: float = 3600) -> str:
        """A token of this user, as an application's back end would sign it."""
        return tidewire.mint_token(tidewire.DEVELOPMENT_SECRET, user, grants=grants, ttl=ttl)

    def kill(self) -> None:
        """As a power cut: no drain, no close frames."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """With a drain, as a deployment does it."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        self._run(urlsplit(self.url).netloc)

    def dispose(self) -> None:
        self.kill()
        shutil.rmtree(self._data, ignore_errors=True)

    def _run(self, listen: str) -> str:
        # The log goes to a file: nobody reads a pipe.
        with open(os.path.join(self._data, "log"), "a+") as log:
            self._process = subprocess.Popen(
                [BINARY, "serve", "--dev", "--listen", listen, "--data", os.path.join(self._data, "store")],
                env={**os.environ, **self._settings},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line.startswith("tidewire ready on "):
                log.seek(0)
                raise AssertionError(f"the server ended before it was ready:\n{log.read()}")
        return line.split()[-1]

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None
