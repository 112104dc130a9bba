"""A WebSocket and HTTP client on a bare socket, which sends exactly the bytes that a test wants.

Nothing is read in the background: a test decides when to read, so that it can also be a slow or a
dead peer. Frames are RFC 6455 section 5.2.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import dataclasses
import os
import socket
import struct

from server import Server

WAIT_S = 20.0
TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


@dataclasses.dataclass
class Frame:
    fin: bool
    rsv: int
    opcode: int
    payload: bytes
    masked: bool


@dataclasses.dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [v for k, v in self.headers if k == name.lower()]
        return ", ".join(found) if found else None


def mask_bytes(payload: bytes, key: bytes) -> bytes:
    if not payload:
        return b""
    whole = (key * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
    return mixed.to_bytes(len(payload), "big")


def encode_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | bool = True,
    length: int | None = None,
    form: int | None = None,
) -> bytes:
    """A frame; `length` announces another length than the payload has, `form` (7, 16 or 64) forces
    how the length is written, `mask` False leaves the mask out."""
    size = len(payload) if length is None else length
    form = form or (7 if size < 126 else 16 if size < 65536 else 64)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask is not False else 0
    if form == 7:
        head += bytes([bit | size])
    elif form == 16:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    if mask is False:
        return head + payload
    key = os.urandom(4) if mask is True else mask
    return head + key + mask_bytes(payload, key)


class RawSocket:
    """A TCP connection with exact reads and writes."""

    open_sockets: set[RawSocket] = set()

    def __init__(self, sock: socket.socket):
        self.sock = sock
        self.buffer = bytearray()
        RawSocket.open_sockets.add(self)

    @classmethod
    async def connect(cls, server: Server, *, receive_buffer: int | None = None, local: str | None = None):
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if local:
            sock.bind((local, 0))
        await asyncio.wait_for(
            asyncio.get_running_loop().sock_connect(sock, (server.host, server.port)), WAIT_S
        )
        return cls(sock)

    async def send(self, data: bytes, timeout_s: float = WAIT_S) -> None:
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.sock, data), timeout_s)

    async def _more(self, timeout_s: float) -> bool:
        """Reads once; False at the end of the stream (a reset is an end, too)."""
        try:
            data = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.sock, 262144), timeout_s)
        except TimeoutError:
            raise AssertionError(
                f"nothing to read for {timeout_s} s; so far {bytes(self.buffer[:200])!r}"
            ) from None
        except ConnectionError:
            return False
        self.buffer += data
        return bool(data)

    async def read(self, count: int, timeout_s: float = WAIT_S) -> bytes:
        while len(self.buffer) < count:
            if not await self._more(timeout_s):
                raise EOFError(f"end of stream, {len(self.buffer)} of {count} bytes read")
        out = bytes(self.buffer[:count])
        del self.buffer[:count]
        return out

    async def read_until(self, mark: bytes, timeout_s: float = WAIT_S) -> bytes:
        while (at := self.buffer.find(mark)) < 0:
            if not await self._more(timeout_s):
                raise EOFError(f"end of stream before {mark!r}: {bytes(self.buffer[:200])!r}")
        return await self.read(at + len(mark))

    async def at_end(self, timeout_s: float = WAIT_S) -> bool:
        """Reads to the end of the stream, which must come."""
        while await self._more(timeout_s):
            self.buffer.clear()
        return True

    async def response(self, timeout_s: float = WAIT_S) -> Response:
        """One HTTP/1.1 response with its body (Content-Length, chunked or up to the end)."""
        while True:
            head = (await self.read_until(b"\r\n\r\n", timeout_s)).decode("latin-1")
            lines = head.split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status != 100:
                break
        headers = [
            (name.strip().lower(), value.strip())
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        ]
        out = Response(status, headers, b"")
        if status in {101, 204, 304}:
            return out
        if out.header("transfer-encoding") == "chunked":
            while size := int((await self.read_until(b"\r\n", timeout_s)).split(b";")[0], 16):
                out.body += await self.read(size, timeout_s)
                await self.read(2, timeout_s)
            await self.read_until(b"\r\n", timeout_s)
        elif (length := out.header("content-length")) is not None:
            out.body = await self.read(int(length), timeout_s)
        else:
            while await self._more(timeout_s):
                pass
            out.body, self.buffer = bytes(self.buffer), bytearray()
        return out

    def vanish(self) -> None:
        """As when its cable is cut: its system sees none of what comes from now on, and acknowledges nothing."""
        drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # BPF: return 0
        program = struct.pack("HL", 1, ctypes.addressof(drop_all))
        self.sock.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER

    async def take(self, count: int, bytes_per_s: int, step: int = 1000) -> bytes:
        """Reads `count` bytes, `step` at a time, as fast as a slow link would bring them."""
        loop = asyncio.get_running_loop()
        began, out = loop.time(), b""
        while len(out) < count:
            more = await asyncio.wait_for(loop.sock_recv(self.sock, min(step, count - len(out))), WAIT_S)
            assert more, f"cut off after {len(out)} of {count} bytes"
            out += more
            await asyncio.sleep(max(0.0, began + len(out) / bytes_per_s - loop.time()))
        return out

    def close(self) -> None:
        RawSocket.open_sockets.discard(self)
        self.sock.close()

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    @classmethod
    def close_all(cls) -> None:
        for raw in list(cls.open_sockets):
            raw.close()


def upgrade_request(
    server: Server,
    path: str = "/ws",
    *,
    method: str = "GET",
    version: str = "HTTP/1.1",
    headers: dict[str, str | list[str] | None] | None = None,
) -> bytes:
    """A good upgrade request, changed by `headers`: None leaves one out, a list repeats it."""
    fields: dict[str, str | list[str] | None] = {
        "Host": f"{server.host}:{server.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }
    fields |= headers or {}
    lines = [f"{method} {path} {version}"]
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            lines.append(f"{name}: {one}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def exchange(server: Server, request: bytes, timeout_s: float = WAIT_S, **options) -> Response:
    """One request on a connection of its own; its response."""
    raw = await RawSocket.connect(server, **options)
    try:
        await raw.send(request)
        return await raw.response(timeout_s)
    finally:
        raw.close()


class RawWebSocket(RawSocket):
    """A WebSocket on a bare socket. `handshake` is the server's 101."""

    handshake: Response

    @classmethod
    async def open(
        cls,
        server: Server,
        path: str = "/ws",
        *,
        headers: dict | None = None,
        hello: bool = True,
        **options,
    ) -> RawWebSocket:
        raw = await cls.connect(server, **options)
        await raw.send(upgrade_request(server, path, headers=headers))
        raw.handshake = await raw.response()
        assert raw.handshake.status == 101, raw.handshake
        if hello:
            first = await raw.frame()
            assert first.opcode == TEXT and b'"connected"' in first.payload, first
        return raw

    async def send_frame(self, opcode: int, payload: bytes | str = b"", **options) -> None:
        if isinstance(payload, str):
            payload = payload.encode()
        await self.send(encode_frame(opcode, payload, **options))

    async def text(self, payload: str) -> None:
        await self.send_frame(TEXT, payload)

    async def frame(self, timeout_s: float = WAIT_S) -> Frame:
        first, second = await self.read(2, timeout_s)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", await self.read(2, timeout_s))
        elif size == 127:
            (size,) = struct.unpack(">Q", await self.read(8, timeout_s))
        payload = await self.read(size, timeout_s)
        return Frame(bool(first & 0x80), first >> 4 & 7, first & 15, payload, bool(second & 0x80))

    async def message(self, timeout_s: float = WAIT_S) -> Frame:
        """The next data message or close, fragments joined; pings are answered."""
        parts: list[Frame] = []
        while True:
            frame = await self.frame(timeout_s)
            if frame.opcode == PING:
                await self.send_frame(PONG, frame.payload)
            elif frame.opcode == CLOSE:
                return frame
            elif frame.opcode != PONG:
                parts.append(frame)
                if frame.fin:
                    payload = b"".join(p.payload for p in parts)
                    return Frame(True, parts[0].rsv, parts[0].opcode, payload, False)

    async def close_frame(self, timeout_s: float = WAIT_S) -> tuple[int | None, str]:
        """Reads up to the server's close frame: its code and reason. (None, "") if it only cut."""
        try:
            while (frame := await self.message(timeout_s)).opcode != CLOSE:
                pass
        except EOFError:
            return None, ""
        if len(frame.payload) < 2:
            return 1005, ""
        return struct.unpack(">H", frame.payload[:2])[0], frame.payload[2:].decode()
