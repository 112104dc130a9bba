"""User directories to test against: an application's back end over HTTP, and a real PostgreSQL."""

from __future__ import annotations

import glob
import http.server
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import threading
import urllib.parse


class BackEnd:
    """Answers GET /users/ID with 200 for who is in `users`, else 404; or with `status` for all."""

    def __init__(self, *users: str, secret: str = ""):
        self.users = set(users)
        self.status: int | None = None
        self.asked: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        outer = self

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                user = urllib.parse.unquote(self.path.removeprefix("/users/"))
                outer.asked.append(user)
                outer.gate.wait(10)
                status = outer.status or (200 if user in outer.users else 404)
                if secret and self.headers["Authorization"] != f"Bearer {secret}":
                    status = 401
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/users"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> BackEnd:
        return self

    def __exit__(self, *_) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()


class Postgres:
    """A database of its own on a Unix socket in a temporary folder."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidewire-pg-"))
        # It refuses to run as root.
        self._as: dict = {}
        if os.geteuid() == 0:
            other = pwd.getpwnam("postgres")
            os.chown(self.folder, other.pw_uid, other.pw_gid)
            self._as = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}
        self.data = str(self.folder / "data")
        self._run("initdb", "-D", self.data, "-U", "tidewire", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.start()

    @property
    def url(self) -> str:
        return f"postgres:///postgres?user=tidewire&host={self.folder}"

    @staticmethod
    def tool(name: str) -> str:
        return max(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), default=name)

    def _run(self, name: str, *args: str) -> None:
        subprocess.run(
            [self.tool(name), *args],
            check=True,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            **self._as,
        )

    def start(self) -> None:
        options = f"-c listen_addresses='' -c fsync=off -k {self.folder}"
        self._run("pg_ctl", "-D", self.data, "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")

    def sql(self, statement: str) -> None:
        self._run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c", statement)

    def __enter__(self) -> Postgres:
        return self

    def __exit__(self, *_) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
