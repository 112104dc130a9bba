"""A case as data: what is sent, what must come back, and how the connection must end."""

from __future__ import annotations

import contextlib
import dataclasses
import enum

from peer import Event, Peer, close_payload
from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame


class Chop(enum.Enum):
    """How the bytes of a case are cut into sends."""

    NONE = "all at once"
    FRAMES = "frame by frame"
    OCTETS = "byte by byte"


class By(enum.Enum):
    RUNNER = "answers the close that ends every good case"
    CASE = "answers the close frame of the case"
    SERVER = "fails the connection"


@dataclasses.dataclass(frozen=True)
class End:
    """Who begins the close, and the code that the server sends. Whoever begins, it is the server that then
    closes the TCP connection, while we still hold our side open."""

    by: By
    code: int | None

    def __str__(self) -> str:
        return f"the server {self.by.value}, code {self.code}, and closes TCP"


CLEAN = End(By.RUNNER, 1000)
PROTOCOL_ERROR = End(By.SERVER, 1002)
NOT_UTF8 = End(By.SERVER, 1007)


def answered(code: int | None) -> End:
    return End(By.CASE, code)


@dataclasses.dataclass(frozen=True)
class Case:
    number: str
    says: str
    sends: tuple[bytes, ...]  # frames, or pieces of frames
    expects: tuple[Event, ...] = ()
    end: End = CLEAN
    chop: Chop | int = Chop.NONE

    def __str__(self) -> str:
        return self.number

    def describe(self) -> str:
        events = ", ".join(f"{kind} of {len(data)} bytes" for kind, data in self.expects) or "no data"
        return f"{self.number} {self.says}: expects {events}; {self.end}"


def text(payload: bytes | str = b"", **options) -> bytes:
    return encode_frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **options)


def binary(payload: bytes = b"", **options) -> bytes:
    return encode_frame(BINARY, payload, **options)


def more(payload: bytes | str = b"", *, fin: bool = False, **options) -> bytes:
    data = payload.encode() if isinstance(payload, str) else payload
    return encode_frame(CONTINUATION, data, fin=fin, **options)


def ping(payload: bytes = b"", **options) -> bytes:
    return encode_frame(PING, payload, **options)


def pong(payload: bytes = b"", **options) -> bytes:
    return encode_frame(PONG, payload, **options)


def close(code: int | None = 1000, reason: bytes = b"", **options) -> bytes:
    return encode_frame(CLOSE, close_payload(code, reason), **options)


async def run(case: Case, server, offer: str | None) -> None:
    """Strict: exactly these events in this order, then the close, then the end of the stream. What the case
    sends behind the failing byte may meet a connection that is no longer there."""
    peer = await Peer.open(server, offer)
    with contextlib.suppress(ConnectionError):
        if case.chop is Chop.NONE:
            await peer.send(b"".join(case.sends))
        elif case.chop is Chop.FRAMES:
            for piece in case.sends:
                await peer.send(piece)
        else:
            await peer.send(b"".join(case.sends), 1 if case.chop is Chop.OCTETS else case.chop)
    got = [await peer.event() for _ in case.expects]
    assert got == list(case.expects), case.describe()
    if case.end.by is By.RUNNER:
        await peer.raw.send(close(1000))
    assert await peer.events_to_the_end() == [("close", case.end.code)], case.describe()
