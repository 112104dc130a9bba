"""Group 7: the closing handshake, close codes and reasons, and what comes behind a close frame."""

from __future__ import annotations

import asyncio
import socket

import pytest
from case import NOT_UTF8, PROTOCOL_ERROR, Case, Chop, answered, close, more, ping, run, text
from peer import Peer, close_payload
from raw import BINARY, CLOSE, PING, encode_frame

HELLO = b"Hello over there!"
# What may be sent (RFC 6455 7.4, IANA), at the edges of the ranges.
VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
INVALID_CODES = (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)
BAD_REASON = "κόσμε".encode() + b"\xed\xa0\x80edited"
LONG = b"BAsd7&jh23" * 26215

CASES = [
    Case("7.1.1", "a message, then a close", (text(HELLO), close()), (("text", HELLO),), answered(1000)),
    Case("7.1.2", "two closes", (close(), close(None)), end=answered(1000)),
    Case("7.1.3", "a ping behind the close", (close(), ping()), end=answered(1000)),
    Case("7.1.4", "a message behind the close", (close(), text(HELLO)), end=answered(1000)),
    Case(
        "7.1.5",
        "a close between two fragments",
        (text("one", fin=False), close(), more("two", fin=True)),
        end=answered(1000),
    ),
    Case(
        "7.1.6",
        "256 KiB, a message, a close, a ping",
        (text(LONG), text(HELLO), close(), ping()),
        (("text", LONG), ("text", HELLO)),
        answered(1000),
    ),
    Case("7.3.1", "an empty close", (close(None),), end=answered(None)),
    Case("7.3.2", "a close of one byte", (encode_frame(CLOSE, b"a"),), end=PROTOCOL_ERROR),
    Case("7.3.3", "a close with a code", (close(),), end=answered(1000)),
    Case("7.3.4", "a close with a reason", (close(1000, HELLO),), end=answered(1000)),
    Case("7.3.5", "a reason of 123 bytes", (close(1000, b"*" * 123),), end=answered(1000)),
    Case("7.3.6", "a reason of 124 bytes", (close(1000, b"*" * 124),), end=PROTOCOL_ERROR),
    Case("7.5.1", "a reason that is not UTF-8", (close(1000, BAD_REASON),), end=NOT_UTF8),
    *(
        Case(f"7.7.{i}", f"the code {code}", (close(code),), end=answered(code))
        for i, code in enumerate(VALID_CODES, start=1)
    ),
    *(
        Case(f"7.9.{i}", f"the code {code}", (close(code),), end=PROTOCOL_ERROR)
        for i, code in enumerate(INVALID_CODES, start=1)
    ),
    Case("7.13.1", "the code 5000", (close(5000),), end=PROTOCOL_ERROR),
    Case("7.13.2", "the code 65535", (close(65535),), end=PROTOCOL_ERROR),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_case(case, server, offer):
    await run(case, server, offer)


@pytest.mark.parametrize("chop", [Chop.FRAMES, Chop.OCTETS], ids=str)
@pytest.mark.parametrize("case", [c for c in CASES if c.number != "7.1.6"], ids=lambda c: f"also-{c.number}")
async def test_case_in_pieces(case, chop, server, offer):
    """How the bytes are cut changes nothing."""
    cut = Case(case.number, case.says, case.sends, case.expects, case.end, chop)
    await run(cut, server, offer)


@pytest.mark.parametrize(
    "bad",
    [encode_frame(3), encode_frame(PING, fin=False), text(b"\xff")],
    ids=["opcode", "fragmented ping", "not UTF-8"],
)
async def test_the_server_ends_the_connection_even_if_more_comes(bad, server, offer):
    """The client hears the reason and the end although it goes on sending for a while."""
    peer = await Peer.open(server, offer)
    await peer.send(bad)
    for _ in range(50):
        try:
            await peer.send(text(HELLO) * 20)
        except ConnectionError:
            break
        await asyncio.sleep(0)
    assert [kind for kind, _ in await peer.events_to_the_end()] == ["close"]


async def test_what_comes_behind_a_close_does_not_cut_off_what_was_echoed(server):
    """A client that reads late gets every echo and the close frame, though it sent more behind its own:
    closing a socket over unread bytes would take back what is still on its way."""
    peer = await Peer.open(server, receive_buffer=8192)
    body = bytes(range(256)) * 1024
    await peer.send(encode_frame(BINARY, body) + close(1001))
    # When the echo begins to come, the close frame has been read too, or is about to be.
    first = await peer.raw.read(1)
    peer.raw.buffer[:0] = first
    for _ in range(100):
        try:
            await peer.send(ping(b"too late"))
        except ConnectionError:
            break
        await asyncio.sleep(0.001)
    assert await peer.events_to_the_end() == [("binary", body), ("close", 1001)]


async def test_a_client_that_closes_its_side_with_its_close_frame_hears_the_answer(server):
    peer = await Peer.open(server)
    await peer.send(text(HELLO) + close(3333))
    peer.raw.sock.shutdown(socket.SHUT_WR)
    assert await peer.events_to_the_end() == [("text", HELLO), ("close", 3333)]


async def test_the_end_of_the_stream_without_a_close_frame_ends_the_connection(server):
    peer = await Peer.open(server)
    await peer.send(encode_frame(BINARY, b"half", length=100))
    peer.raw.sock.shutdown(socket.SHUT_WR)
    assert await peer.events_to_the_end() == []


async def test_the_end_of_the_stream_waits_for_the_echoes_and_for_nothing_else(server):
    """Without a close frame, too, what is on its way is sent, and then the connection is closed."""
    peer = await Peer.open(server, receive_buffer=8192)
    body = bytes(range(256)) * 65536
    await peer.send(encode_frame(BINARY, body, mask=b"\x01\x02\x03\x04"))
    peer.raw.sock.shutdown(socket.SHUT_WR)
    assert await peer.events_to_the_end() == [("binary", body)]


async def test_a_close_frame_is_answered_behind_all_echoes_however_many(server):
    peer = await Peer.open(server)
    frames = b"".join(text(b"%d" % i) for i in range(5000)) + encode_frame(
        CLOSE, close_payload(4321, b"done")
    )
    events = await peer.reader_beside(peer.send(frames), 5002)
    assert events[:5000] == [("text", b"%d" % i) for i in range(5000)]
    assert events[5000:] == [("close", 4321), ("end", None)]
