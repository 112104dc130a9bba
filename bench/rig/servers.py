"""The servers of the bench: how each is started, and how the generator talks to it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import machine
from .server import Running, Server, Unavailable

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
PEERS = BENCH / "peers"
NGINX_MODULES = Path("/usr/lib/nginx/modules")
DESCRIPTORS = 20000

CHANNEL = "room:bench"
SUBSCRIBE = '{"type":"subscribe","channel":"%s"}'
PUBLISH = '{"type":"publish","channel":"%s","data":"{payload}"}'


class Tidewire(Server):
    """The server under test, one shard, with limits that let a benchmark's publisher through."""

    def __init__(self, binary: Path, name: str = "tidewire") -> None:
        self.binary = binary.resolve()
        # Rooms need to know who speaks, also in development. A user's inbox is subscribed by itself,
        # so it is the room's own answer that says "ready".
        publish = ["--proto", "tmpl", "--path", f"/ws?token={self.token()}", "--ready", f'"channel":"{CHANNEL}"',
                   "--sub", SUBSCRIBE % CHANNEL, "--pub", PUBLISH % CHANNEL]
        super().__init__(name, "Tidewire: `/echo` for echo, else the full protocol on `/ws`", {
            "echo": ["--proto", "raw", "--path", "/echo"],
            "fanout": publish,
            "idle": publish,
            "idle-tls": [*publish, "--tls"],
            "churn": ["--proto", "raw", "--path", "/ws"],
            "log": ["--dialect", "tidewire", "--token", self.token()],
        })

    def token(self) -> str:
        if self.missing():
            return ""
        return subprocess.run([str(self.binary), "token", "--user", "bench", "--ttl", "24h"],
                              capture_output=True, text=True, check=True).stdout.strip()

    def missing(self) -> str:
        return "" if os.access(self.binary, os.X_OK) else f"{self.binary.name} is not built (./dev build)"

    def version(self) -> str:
        return machine.version_of(str(self.binary), "--version")

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        return [str(self.binary), "serve", "--dev", "--echo", "--log-level", "warn",
                "--listen", f"127.0.0.1:{port}", "--data", str(folder / "data")], {
            **({"TIDEWIRE_SERVER_TLS_CERT": str(certificate(folder)), "TIDEWIRE_SERVER_TLS_KEY": str(folder / "key.pem")}
               if mode.endswith("-tls") else {}),
            "TIDEWIRE_SERVER_SHARDS": "1",
            "TIDEWIRE_LIMITS_MESSAGES_PER_MINUTE": "100000000",
            "TIDEWIRE_LIMITS_BURST": "1000000",
            "TIDEWIRE_LIMITS_FRAMES_PER_SECOND": "0",
            "TIDEWIRE_LIMITS_ADAPTIVE": "false",
            "TIDEWIRE_COMPRESSION_MODE": "shared" if deflate else "off",
            "TIDEWIRE_COMPRESSION_MIN_BYTES": "1",
        }


    def answers(self, running: Running) -> bool:
        return b"tidewire ready" in (running.folder / "output").read_bytes()


class Raw(Server):
    """No WebSocket at all: a plain epoll server, the kernel's floor."""

    def __init__(self) -> None:
        tcp = ["--proto", "tcp"]
        super().__init__("raw", "plain TCP over epoll, no WebSocket: the kernel's floor",
                         {"echo": tcp, "fanout": tcp, "idle": tcp, "churn": tcp}, deflates=False)

    @staticmethod
    def binary(program: str) -> Path | None:
        for folder in (ROOT / "build" / "release", ROOT / "build" / "release" / "bench", BENCH / "build"):
            if os.access(folder / program, os.X_OK):
                return folder / program
        return None

    def missing(self) -> str:
        lacking = [p for p in ("raw_echo", "raw_fanout") if not self.binary(p)]
        return f"{' and '.join(lacking)} not built (./dev build)" if lacking else ""

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        return [str(self.binary("raw_fanout" if mode == "fanout" else "raw_echo")), str(port)], {}


class Node(Server):
    """A server of ours on top of an npm package."""

    def __init__(self, name: str, about: str, scripts: dict[str, str], flags: dict[str, list[str]], package: str) -> None:
        super().__init__(name, about, flags)
        self.scripts = scripts
        self.package = package

    def missing(self) -> str:
        if not shutil.which("node"):
            return "node is not installed"
        return "" if (PEERS / "node_modules" / self.package).is_dir() else "npm packages are not installed"

    def version(self) -> str:
        manifest = json.loads((PEERS / "node_modules" / self.package / "package.json").read_text())
        return f"{self.package} {manifest['version']} on node {machine.version_of('node', '--version')}"

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        tls = {"TLS_CERT": str(certificate(folder)), "TLS_KEY": str(folder / "key.pem")} if mode.endswith("-tls") else {}
        return ["node", str(PEERS / self.scripts[mode])], {"NODE_ENV": "production"} | tls


class Nchan(Server):
    """nginx with nchan, one worker. It has no echo: a channel per connection, published to itself."""

    def __init__(self) -> None:
        nchan = ["--proto", "nchan"]
        sub = [*nchan, "--path", "/sub/ch"]
        super().__init__("nchan", "nginx with nchan; echo is a channel to oneself",
                         {"echo": nchan, "fanout": nchan, "idle": sub, "churn": sub})

    def missing(self) -> str:
        if not shutil.which("nginx"):
            return "nginx is not installed"
        return "" if (NGINX_MODULES / "ngx_nchan_module.so").exists() else "libnginx-mod-nchan is not installed"

    def version(self) -> str:
        package = machine.version_of("dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan")
        return f"{machine.version_of('nginx', '-v').removeprefix('nginx version: ')}, nchan {package}"

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        fill(PEERS / "nginx.conf.in", folder / "nginx.conf", PORT=port, TMP=folder, MODULES=NGINX_MODULES,
             DESCRIPTORS=DESCRIPTORS, DEFLATE="nchan_deflate_message_for_websocket on;" if deflate else "")
        return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"], {}

    def pids(self, process: subprocess.Popen) -> list[int]:
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if workers := machine.children_of(process.pid):
                return workers
            time.sleep(0.02)
        raise Unavailable("nginx has no worker")


class Nats(Server):
    """nats-server's WebSocket listener. No echo either: a subject per connection."""

    def __init__(self) -> None:
        nats = ["--proto", "nats-ws"]
        super().__init__("nats", "nats-server's WebSocket listener; echo is a subject to oneself",
                         {"echo": nats, "fanout": nats, "idle": nats, "idle-tls": [*nats, "--tls"], "churn": nats})

    def missing(self) -> str:
        return "" if shutil.which("nats-server") else "nats-server is not installed"

    def version(self) -> str:
        return machine.version_of("nats-server", "--version")

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        fill(PEERS / "nats.conf.in", folder / "nats.conf", PORT=port, CLIENT_PORT=machine.free_port(),
             DEFLATE="true" if deflate else "false",
             TLS=f'tls {{ cert_file: "{certificate(folder)}", key_file: "{folder / "key.pem"}" }}' if mode.endswith("-tls") else "no_tls: true")
        return ["nats-server", "-c", str(folder / "nats.conf")], {"GOMAXPROCS": "1"}


class JetStream(Server):
    """nats-server with a file store that is synced for each message. `sync_interval: always` is known to
    nats-server from 2.10 on, which Debian 12 does not have: it has to be given."""

    given = ""  # a path

    def __init__(self) -> None:
        super().__init__("jetstream", "NATS JetStream, file storage, `sync_interval: always`", {"log": ["--dialect", "nats"]}, deflates=False)

    @staticmethod
    def binary() -> str | None:
        for program in (JetStream.given, shutil.which("nats-server")):
            if program and JetStream.takes_sync(program):
                return program
        return None

    @staticmethod
    def takes_sync(program: str) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            fill(PEERS / "jetstream.conf.in", Path(folder) / "conf", PORT=4222, TMP=folder, SYNC="sync_interval: always")
            return subprocess.run([program, "-t", "-c", f"{folder}/conf"], capture_output=True).returncode == 0

    def missing(self) -> str:
        return "" if self.binary() else "no nats-server that can sync each message (2.10 or later; --nats-server names one)"

    def version(self) -> str:
        return machine.version_of(self.binary() or "", "--version")

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        fill(PEERS / "jetstream.conf.in", folder / "nats.conf", PORT=port, TMP=folder, SYNC="" if mode == "fill" else "sync_interval: always")
        return [self.binary() or "", "-c", str(folder / "nats.conf")], {"GOMAXPROCS": "1"}


class Redis(Server):
    """Redis Streams on an append-only file that is synced before anything is answered."""

    def __init__(self) -> None:
        super().__init__("redis", "Redis Streams, `appendonly yes`, `appendfsync always`", {"log": ["--dialect", "redis"]}, deflates=False)

    def missing(self) -> str:
        return "" if shutil.which("redis-server") else "redis-server is not installed"

    def version(self) -> str:
        return " ".join(machine.version_of("redis-server", "--version").split()[:3])

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        # The generator's connections come from many loopback addresses, which the protected mode refuses.
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--protected-mode", "no", "--save", "",
                "--appendonly", "yes", "--appendfsync", "no" if mode == "fill" else "always", "--maxclients", str(DESCRIPTORS - 100)], {}

    def answers(self, running: Running) -> bool:
        try:
            with socket.create_connection((running.host, running.port), timeout=5) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def plain_flags() -> dict[str, list[str]]:
    return {
        "echo": ["--proto", "raw", "--path", "/echo"],
        "fanout": ["--proto", "raw", "--sub-path", "/sub", "--pub-path", "/pub"],
        "idle": ["--proto", "raw", "--path", "/sub"],
        "churn": ["--proto", "raw", "--path", "/echo"],
    }


class Given(Server):
    """A server that the caller brings, as a command: `/echo` answers with the same message, what
    arrives on `/pub` goes to everybody on `/sub`."""

    def __init__(self, name: str, command: str) -> None:
        super().__init__(name, f"given: `{Path(shlex.split(command)[0]).name}`", plain_flags())
        self.words = shlex.split(command)

    def missing(self) -> str:
        return "" if shutil.which(self.words[0]) else f"{self.words[0]} is no program"

    def command(self, mode: str, port: int, folder: Path, deflate: bool) -> tuple[list[str], dict[str, str]]:
        words = [w.replace("{port}", str(port)) for w in self.words]
        return [*words] if words != self.words else [*words, str(port)], {}


class Remote(Server):
    """A server that already runs at HOST:PORT, with the paths of `Given`. Without its pid only
    rates and latencies are known."""

    def __init__(self, name: str, address: str) -> None:
        super().__init__(name, f"given, at {address}", plain_flags(), deflates=False)
        where, _, pid = address.partition(",pid=")
        self.host, _, port = where.rpartition(":")
        self.port, self.pid = int(port), int(pid) if pid else 0

    def start(self, mode: str, deflate: bool = False) -> Running:
        return Running(self.port, [self.pid] if self.pid else [], host=self.host)


def certificate(folder: Path) -> Path:
    """A self-signed certificate, with its key in key.pem beside it."""
    target = folder / "certificate.pem"
    if not target.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", str(folder / "key.pem"), "-out", str(target)], check=True, capture_output=True)
    return target


def fill(template: Path, target: Path, **values: object) -> None:
    text = template.read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    target.write_text(text)


def all_servers(tidewire: Path) -> list[Server]:
    return [
        Tidewire(tidewire),
        Raw(),
        Node("ws", "npm ws", {"echo": "ws_echo.mjs", "fanout": "ws_fanout.mjs", "idle": "ws_fanout.mjs",
                              "idle-tls": "ws_fanout.mjs", "churn": "ws_echo.mjs"},
             plain_flags() | {"idle-tls": [*plain_flags()["idle"], "--tls"]}, "ws"),
        Node("socketio", "Socket.IO over WebSocket", dict.fromkeys(("echo", "fanout", "idle", "churn"), "socketio.mjs"), {
            "echo": ["--proto", "socketio", "--pub", '42["echo","{payload}"]'],
            "fanout": ["--proto", "socketio"],
            "idle": ["--proto", "socketio"],
            "churn": ["--proto", "socketio"],
        }, "socket.io"),
        Nchan(),
        Nats(),
        JetStream(),
        Redis(),
    ]
