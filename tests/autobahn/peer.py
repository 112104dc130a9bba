"""The client's side of a case: exact frames, chopped as the case wants, and permessage-deflate by hand.

A Deflate holds what was negotiated, read from the server's answer and nothing else, so a server that does
not keep to its own answer is found out: its messages are inflated with exactly the window it promised.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import struct
import zlib

from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, RawWebSocket, encode_frame

# Above any time that a loaded machine needs, below the server's patience with a peer that does not close.
END_S = 4.0
LONG_S = 30.0
TAIL = b"\x00\x00\xff\xff"

Event = tuple[str, object]


def close_payload(code: int | None, reason: bytes = b"") -> bytes:
    return b"" if code is None else struct.pack(">H", code) + reason


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def fragment_frames(opcode: int, payload: bytes, size: int, rsv: int = 0) -> list[bytes]:
    """A message as frames of `size` bytes of payload; 0: one frame."""
    pieces = chopped(payload, size) if size and payload else [payload]
    return [
        encode_frame(CONTINUATION if i else opcode, piece, fin=i == len(pieces) - 1, rsv=0 if i else rsv)
        for i, piece in enumerate(pieces)
    ]


def fragments(opcode: int, payload: bytes, size: int, rsv: int = 0) -> bytes:
    return b"".join(fragment_frames(opcode, payload, size, rsv))


def parameters(text: str) -> dict[str, str | None]:
    """The parameters of the one extension that a server may answer here."""
    name, *rest = (part.strip() for part in text.split(";"))
    assert name == "permessage-deflate", text
    out: dict[str, str | None] = {}
    for part in rest:
        key, equals, value = part.partition("=")
        assert key not in out, f"{key} is there twice: {text}"
        out[key] = value if equals else None
    return out


class Deflate:
    """Both directions of an agreed permessage-deflate, seen from the client."""

    def __init__(self, answer: str, own_window_bits: int = 15):
        agreed = parameters(answer)
        self.agreed = agreed
        self.server_bits = int(agreed.get("server_max_window_bits") or 15)
        self.client_bits = min(int(agreed.get("client_max_window_bits") or 15), own_window_bits)
        self.server_resets = "server_no_context_takeover" in agreed
        self.client_resets = "client_no_context_takeover" in agreed
        self.out = self._deflater()
        self.into = self._inflater()

    def _deflater(self):
        return zlib.compressobj(6, zlib.DEFLATED, -max(self.client_bits, 9))

    def _inflater(self):
        return zlib.decompressobj(-self.server_bits)

    def deflate(self, payload: bytes) -> bytes:
        if self.client_resets:
            self.out = self._deflater()
        data = self.out.compress(payload) + self.out.flush(zlib.Z_SYNC_FLUSH)
        assert data.endswith(TAIL)
        # An empty message flushes to nothing new; the RFC writes it as one byte (7.2.3.6).
        return data[:-4] or b"\x00"

    def inflate(self, payload: bytes) -> bytes:
        if self.server_resets:
            self.into = self._inflater()
        assert not payload.endswith(TAIL), "the tail of a message must not be sent (RFC 7692 7.2.1)"
        data = self.into.decompress(payload + TAIL)
        assert not self.into.unconsumed_tail and not self.into.unused_data
        return data


@dataclasses.dataclass
class Peer:
    raw: RawWebSocket
    deflate: Deflate | None
    compressed_messages: int = 0

    @classmethod
    async def open(cls, server, offer: str | None = None, **options) -> Peer:
        headers = {"Sec-WebSocket-Extensions": offer} if offer else {}
        raw = await RawWebSocket.open(server, "/echo", headers=headers, hello=False, **options)
        answer = raw.handshake.header("sec-websocket-extensions")
        assert answer is None or offer, "an extension that was not offered"
        return cls(raw, Deflate(answer) if answer else None)

    async def send(self, data: bytes, chop: int = 0) -> None:
        for piece in chopped(data, chop) if chop else [data]:
            await self.raw.send(piece, LONG_S)

    def message(self, opcode: int, payload: bytes, fragment: int = 0, compress: bool = True) -> bytes:
        """The frames of a message, compressed if that was agreed."""
        if self.deflate is None or not compress:
            return fragments(opcode, payload, fragment)
        return fragments(opcode, self.deflate.deflate(payload), fragment, rsv=4)

    async def event(self, timeout_s: float = END_S) -> Event:
        """The next message, pong or close frame, or ("end", None)."""
        parts: list[Frame] = []
        while True:
            try:
                frame = await self.raw.frame(timeout_s)
            except EOFError:
                assert not self.raw.buffer, f"ends inside a frame: {bytes(self.raw.buffer[:40])!r}"
                assert not parts, "ends inside a message"
                return ("end", None)
            assert not frame.masked, "a server masks nothing (RFC 6455 5.1)"
            assert not frame.rsv & 3, "nobody agreed on RSV2 and RSV3"
            if frame.opcode in {CLOSE, PING, PONG}:
                assert frame.fin and not frame.rsv and len(frame.payload) <= 125, frame
                if frame.opcode == CLOSE:
                    code = struct.unpack(">H", frame.payload[:2])[0] if frame.payload else None
                    frame.payload[2:].decode()
                    return ("close", code)
                return ("pong" if frame.opcode == PONG else "ping", frame.payload)
            assert (frame.opcode == CONTINUATION) == bool(parts), frame.opcode
            assert not (parts and frame.rsv), "RSV1 belongs on the first frame only (RFC 7692 6.1)"
            parts.append(frame)
            if frame.fin:
                return self._joined(parts)

    def _joined(self, parts: list[Frame]) -> Event:
        payload = parts[0].payload if len(parts) == 1 else b"".join(p.payload for p in parts)
        if parts[0].rsv:
            assert self.deflate, "RSV1 was not agreed on"
            payload = self.deflate.inflate(payload)
            self.compressed_messages += 1
        if parts[0].opcode == TEXT:
            payload.decode()
            return ("text", payload)
        assert parts[0].opcode == BINARY
        return ("binary", payload)

    async def events_to_the_end(self) -> list[Event]:
        out = []
        while (event := await self.event())[0] != "end":
            out.append(event)
        return out

    async def close(self, code: int = 1000) -> None:
        """A clean close from our side: the server answers our code, and closes the TCP connection first."""
        await self.raw.send_frame(CLOSE, close_payload(code))
        assert await self.event() == ("close", code)
        assert await self.event() == ("end", None)

    async def reader_beside(self, writing, count: int) -> list[Event]:
        """Runs `writing` while `count` events are read: a server stops reading from who does not read."""
        async with asyncio.TaskGroup() as group:
            group.create_task(writing)
            reading = group.create_task(self._take(count))
        return reading.result()

    async def _take(self, count: int) -> list[Event]:
        return [await self.event(LONG_S) for _ in range(count)]

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self.raw.close()
