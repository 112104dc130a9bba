"""Servers that misbehave, over real sockets. Each says one thing that no server should, or nothing at all."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from .fake_server import HELLO

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_TEXT, _BINARY, _CLOSE = 1, 2, 8


def frame(opcode: int, payload: bytes | str, first: int = 0x80) -> bytes:
    """A server's frame, unmasked."""
    data = payload.encode() if isinstance(payload, str) else payload
    head = bytes([first | opcode, len(data)]) if len(data) < 126 else struct.pack(">BBH", first | opcode, 126, len(data))
    return head + data


def said(value: Any) -> bytes:
    return frame(_TEXT, json.dumps(value))


WELCOME = said(HELLO)


@dataclass(frozen=True)
class Behaviour:
    upgrades: bool = True
    first: bytes = b""
    ends: bool = False
    """It closes after `first`."""
    answer: Callable[[dict[str, Any]], bytes] | None = None
    ends_after_answer: bool = False


def _answering(answer: Callable[[dict[str, Any]], bytes], ends: bool = False) -> Behaviour:
    return Behaviour(first=WELCOME, answer=answer, ends_after_answer=ends)


def _about(request: dict[str, Any], **fields: Any) -> bytes:
    return said({"id": request.get("id"), "channel": request.get("channel"), **fields})


BEHAVIOURS: dict[str, Behaviour] = {
    "answers nothing, not even the upgrade": Behaviour(upgrades=False),
    "is no WebSocket server": Behaviour(upgrades=False, first=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", ends=True),
    "speaks another language": Behaviour(upgrades=False, first=b"220 mail.example.com ESMTP\r\n", ends=True),
    "closes at once": Behaviour(upgrades=False, ends=True),
    "answers the upgrade without end": Behaviour(upgrades=False, first=b"HTTP/1.1 500 No\r\nContent-Length: 9999\r\n\r\nx"),
    "says nothing after the upgrade": Behaviour(),
    "says nothing after its first message": Behaviour(first=WELCOME),
    "answers only pings": _answering(lambda request: said({"type": "pong"}) if "id" not in request else b""),
    "answers with wrong ids": _answering(
        lambda request: said({"type": "published", "id": request.get("id", 0) + 1000, "epoch": "e", "seq": 1})
    ),
    "answers the wrong thing": _answering(lambda request: _about(request, type="acked")),
    "answers with half of an answer": _answering(lambda request: _about(request, type="subscribed")),
    "sends broken JSON": _answering(lambda _: frame(_TEXT, '{"type":"published","id":1,')),
    "sends JSON that is no message": _answering(lambda _: frame(_TEXT, "[[1,null]]")),
    "sends bytes in place of text": _answering(lambda _: frame(_BINARY, b"\1\2\3")),
    "sends text that is no UTF-8": _answering(lambda _: frame(_TEXT, b'"\xff\xfe"')),
    "sends a frame with reserved bits": _answering(lambda _: frame(_TEXT, "{}", 0xF0)),
    "closes in the middle of a frame": _answering(lambda request: _about(request, type="published")[:20], ends=True),
    "closes in the middle of its first message": Behaviour(first=WELCOME[:30], ends=True),
    "goes on talking after its close": Behaviour(
        first=WELCOME
        + frame(_CLOSE, b"\x03\xf4")
        + said({"type": "message", "channel": "room:1", "seq": 1})
        + frame(_TEXT, "{")
    ),
    "closes with a code that does not exist": Behaviour(first=WELCOME + frame(_CLOSE, b"\x00\x01"), ends=True),
    "limits to nothing": Behaviour(
        first=said({**HELLO, "limits": {"message_bytes": 0, "messages_per_minute": 1e-300, "burst": 1}, "heartbeat_ms": -1})
    ),
    "asks to come back never": Behaviour(
        first=WELCOME + said({"type": "reconnect", "after_ms": 1e300}) + frame(_CLOSE, b"\x03\xf4"), ends=True
    ),
    "lets the token end again and again": _answering(lambda _: said({"type": "auth_expiring", "expires_at": -1})),
    "wants everything later, for ever": _answering(
        lambda request: _about(request, type="error", code="unavailable", message="later", retry_after_ms=1e300)
    ),
    "wants everything again, at once": _answering(
        lambda request: _about(request, type="error", code="rate_limited", message="again", retry_after_ms=0)
    ),
}


class HostileServer:
    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.url = ""
        self.attempts = 0
        self.requests = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._talk(reader, writer)
        writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        how = self._behaviour
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.attempts += 1
        if how.upgrades:
            found = re.search(r"(?i)sec-websocket-key: *(\S+)", head)
            digest = hashlib.sha1((found[1] if found else "").encode() + _GUID.encode()).digest()
            accept = base64.b64encode(digest).decode()
            lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
            lines += [f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: tidewire.v1", "", ""]
            writer.write("\r\n".join(lines).encode())
        writer.write(how.first)
        while not how.ends:
            opcode, length = await reader.readexactly(2)
            length &= 127
            if length == 126:
                length = int.from_bytes(await reader.readexactly(2))
            mask = await reader.readexactly(4)
            payload = bytes(byte ^ mask[i & 3] for i, byte in enumerate(await reader.readexactly(length)))
            if opcode & 15 != _TEXT:
                continue
            self.requests += 1
            if how.answer is not None:
                writer.write(how.answer(json.loads(payload)))
                if how.ends_after_answer:
                    break
        await writer.drain()

    @classmethod
    @contextlib.asynccontextmanager
    async def run(cls, behaviour: Behaviour) -> AsyncIterator[HostileServer]:
        self = cls(behaviour)
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/ws"
        try:
            yield self
        finally:
            listener.close()
