"""Protocol §8 `/echo`: a bare WebSocket echo, only with `--echo`."""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, exchange, upgrade_request

clause = pytest.mark.clause
SERVER = {"echo": True, "settings": {"limits": {"frames_per_second": None, "fragments": None}}}


async def echo(server) -> RawWebSocket:
    return await RawWebSocket.open(server, "/echo", hello=False)


@clause("8.echo", "C1")
async def test_without_the_flag_there_is_no_echo(start):
    """§8: "only with `--echo` (else 404)" """
    server = start()
    assert (await exchange(server, upgrade_request(server, "/echo"))).status == 404


@clause("8.echo", "C1")
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 1_000_000])
async def test_text_and_binary_come_back(server, size):
    """§8: "a bare WebSocket echo, text and binary": no `connected`, no JSON"""
    raw = await echo(server)
    for opcode, payload in ((BINARY, os.urandom(size)), (TEXT, b"a" * size)):
        await asyncio.gather(raw.send_frame(opcode, payload), _expect(raw, opcode, payload))


async def _expect(raw: RawWebSocket, opcode: int, payload: bytes) -> None:
    frame = await raw.message()
    assert frame.opcode == opcode
    assert frame.payload == payload


@clause("8.echo", "C1")
async def test_fragments_come_back_as_one_message(server):
    """§8, RFC 6455 5.4: also with control frames between, and with empty fragments"""
    raw = await echo(server)
    await raw.send_frame(TEXT, "a", fin=False)
    await raw.send_frame(CONTINUATION, "", fin=False)
    await raw.send_frame(PING, b"p")
    await raw.send_frame(CONTINUATION, "b")
    frame = await raw.frame()
    assert (frame.opcode, frame.payload) == (PONG, b"p")
    await _expect(raw, TEXT, b"ab")
    await raw.send_frame(CLOSE, b"\x03\xe8")
    assert (await raw.close_frame())[0] == 1000


@clause("8.echo", "P1")
async def test_many_fragments_and_frames_are_no_offence_here(server):
    """§9: "`/echo` is exempt: 1,000,000 fragments, no rate" """
    from raw import encode_frame

    raw = await echo(server)
    part = encode_frame(CONTINUATION, b"x", fin=False)
    await raw.send(encode_frame(BINARY, b"", fin=False) + part * 20000 + encode_frame(CONTINUATION))
    await _expect(raw, BINARY, b"x" * 20000)
    pings = encode_frame(TEXT, b"hello") * 5000

    async def read():
        for _ in range(5000):
            await _expect(raw, TEXT, b"hello")

    await asyncio.gather(raw.send(pings), read())


@clause("8.echo", "C1")
async def test_a_stream_cut_at_random_places_comes_back_whole(server):
    """RFC 6455: how TCP cuts the bytes is of no importance"""
    from raw import encode_frame

    chance = random.Random(7)
    raw = await echo(server)
    bodies = [chance.randbytes(chance.choice([0, 5, 125, 126, 300, 70000])) for _ in range(60)]
    stream = b"".join(encode_frame(BINARY, body) for body in bodies)

    async def write():
        at = 0
        while at < len(stream):
            step = chance.choice([1, 2, 3, 7, 100, 5000, 40000])
            await raw.send(stream[at : at + step])
            at += step

    async def read():
        for body in bodies:
            await _expect(raw, BINARY, body)

    await asyncio.gather(write(), read())


@clause("8.echo", "P7")
async def test_up_to_64_mib(server):
    """§8: "up to 64 MiB" """
    raw = await echo(server)
    body = bytes(64 * 1024 * 1024)

    async def read():
        frame = await raw.message(timeout_s=20)
        assert len(frame.payload) == len(body)

    await asyncio.gather(raw.send_frame(BINARY, body, mask=b"\0\0\0\0"), read())
    await raw.send_frame(BINARY, b"", length=64 * 1024 * 1024 + 1, form=64)
    assert (await raw.close_frame())[0] == 1009


@clause("8.echo", "M3")
async def test_text_must_be_utf8(server):
    """§6: 1007; RFC 6455 8.1, also across a fragment's edge"""
    raw = await echo(server)
    await raw.send_frame(TEXT, b"\xce\xba\xe1", fin=False)
    await raw.send_frame(CONTINUATION, b"\xbd\xb9\xed\xa0\x80")
    assert (await raw.close_frame())[0] == 1007
