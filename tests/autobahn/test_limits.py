"""Group 9: large messages whole, in fragments and chopped, and round trips.

Round trips are counted, not timed: what a loaded machine takes says nothing about the server.
"""

from __future__ import annotations

import asyncio
import functools
import os

import pytest
from peer import Peer, chopped, fragments
from raw import BINARY, TEXT, encode_frame

KIB, MIB = 1024, 1024 * 1024
ROUND_TRIPS = 1000 if os.environ.get("TIDEWIRE_AUTOBAHN_FULL") == "1" else 100
SIZES = (64 * KIB, 256 * KIB, MIB, 4 * MIB, 8 * MIB, 16 * MIB)
FRAGMENTS = (64, 256, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB)
CHOPS = (64, 128, 256, 512, KIB, 2 * KIB)
SHORT = (0, 16, 64, 256, KIB, 4 * KIB)
KINDS = {"text": TEXT, "binary": BINARY}
ZERO_MASK = bytes(4)


@functools.cache
def unit_of(kind: str) -> bytes:
    unit = b"".join(b"%06d," % i for i in range(9973))
    return unit if kind == "text" else bytes(b ^ 0x80 for b in unit)


def body_of(kind: str, size: int) -> bytes:
    """Never the same at two places near each other, so that a lost or doubled piece shows."""
    unit = unit_of(kind)
    return (unit * (size // len(unit) + 1))[:size]


async def echo(server, kind: str, frames: bytes, body: bytes, chop: int = 0) -> None:
    peer = await Peer.open(server)
    [event] = await peer.reader_beside(peer.send(frames, chop), 1)
    assert event[0] == kind
    assert event[1] == body
    await peer.close()


def numbered(first: int, sizes: tuple[int, ...]) -> list:
    return [
        pytest.param(kind, size, id=f"9.{first + k}.{i}")
        for k, kind in enumerate(KINDS)
        for i, size in enumerate(sizes, start=1)
    ]


@pytest.mark.parametrize(("kind", "size"), numbered(1, SIZES))
async def test_case_one_large_frame(kind, size, server):
    body = body_of(kind, size)
    await echo(server, kind, encode_frame(KINDS[kind], body), body)


@pytest.mark.parametrize(("kind", "size"), numbered(3, FRAGMENTS))
async def test_case_4_mib_in_fragments(kind, size, server):
    body = body_of(kind, 4 * MIB)
    await echo(server, kind, fragments(KINDS[kind], body, size), body)


@pytest.mark.parametrize(("kind", "size"), numbered(5, CHOPS))
async def test_case_1_mib_chopped(kind, size, server):
    body = body_of(kind, MIB)
    await echo(server, kind, encode_frame(KINDS[kind], body), body, chop=size)


@pytest.mark.parametrize(("kind", "size"), numbered(7, SHORT))
async def test_case_round_trips(kind, size, server):
    peer = await Peer.open(server)
    body = body_of(kind, size)
    for _ in range(ROUND_TRIPS):
        await peer.send(encode_frame(KINDS[kind], body))
        assert await peer.event() == (kind, body)
    await peer.close()


@pytest.mark.parametrize(
    "size", [65533, 65534, 65535, 65536, 65537, 512 * KIB - 14, 512 * KIB, 512 * KIB + 1]
)
async def test_sizes_around_the_borders_of_lengths_and_buffers(size, server, offer):
    """Also several in one send, so that each falls on another place of the server's buffer."""
    peer = await Peer.open(server, offer)
    body = body_of("binary", size)
    frames = b"".join(encode_frame(BINARY, body) for _ in range(4))
    events = await peer.reader_beside(peer.send(frames), 4)
    assert events == [("binary", body)] * 4
    await peer.close()


async def test_a_pipeline_that_is_not_read_waits_and_then_comes_whole(server):
    """64 MiB of messages while nothing is read: the server stops reading, keeps its memory, and goes on
    where it stopped when the client begins to read."""
    peer = await Peer.open(server, receive_buffer=64 * KIB)
    body = body_of("binary", 16 * KIB)
    count = 4096
    before = server.memory_kib()
    writing = asyncio.create_task(peer.send(encode_frame(BINARY, body, mask=ZERO_MASK) * count))
    # The kernel's buffers fill; what then still moves is the server's own memory growing.
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(writing), 1.0)
    assert server.memory_kib() - before < 32 * KIB
    got = await peer._take(count)
    assert got == [("binary", body)] * count
    await writing
    await peer.close()


@pytest.mark.parametrize("size", [1, 125, 1000, 70_000])
async def test_a_pipeline_in_odd_pieces_keeps_its_order(size, server):
    peer = await Peer.open(server)
    count = 200
    bodies = [(b"%d:" % i + body_of("text", size))[:size] for i in range(count)]
    stream = b"".join(encode_frame(TEXT, body) for body in bodies)
    piece = max(len(stream) // 97, 7)

    async def write():
        for data in chopped(stream, piece):
            await peer.send(data)

    assert await peer.reader_beside(write(), count) == [("text", body) for body in bodies]
    await peer.close()
