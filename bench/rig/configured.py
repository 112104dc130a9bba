"""A Tidewire with a configuration of its own, and how a scenario's script opens a WebSocket to it."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile


class ConfiguredServer:
    """Started on a free loopback port and on one core, where there are several; its files go away with it."""

    def __init__(self, binary: str, config: str) -> None:
        self.binary, self.folder = binary, tempfile.mkdtemp(prefix="tidewire-bench-")
        file = pathlib.Path(self.folder) / "tidewire.toml"
        file.write_text(config)
        command = [binary, "serve", "--config", str(file), "--listen", "127.0.0.1:0"]
        command += ["--data", self.folder + "/data", "--log-level", "error"]
        if shutil.which("taskset") and (os.cpu_count() or 1) > 1:
            command = ["taskset", "-c", "0", *command]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def handshake(port: int, timeout_s: float = 10, token: str = "") -> tuple[int, socket.socket | None, bytes]:
    """The status of an upgrade, the socket where it is 101, and what came behind the answer."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    sock.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{authorization}\r\n".encode()
    )
    data = b""
    while b"\r\n\r\n" not in data:
        data += (more := sock.recv(65536))
        if not more:
            break
    head, _, rest = data.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    if status == 101:
        return status, sock, rest
    sock.close()
    return status, None, b""
