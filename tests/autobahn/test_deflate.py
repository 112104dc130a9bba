"""Groups 12 and 13: permessage-deflate (RFC 7692) with different data, message sizes and parameters.

Where the server compresses, it must: from compression.min_bytes on, every echo of a compressed message has
RSV1, however the message was cut on its way in. With mode `off` the messages go uncompressed.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import random

import pytest
from peer import Peer, close_payload, fragment_frames
from raw import BINARY, CLOSE, PING, TEXT, encode_frame

KIB = 1024
FULL = os.environ.get("TIDEWIRE_AUTOBAHN_FULL") == "1"
MIN_COMPRESSED = 256
# Size of a message and of its fragments (0: one frame), as in the suite.
SIZES = (
    *((size, 0) for size in (16, 64, 256, KIB, 4 * KIB, 8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB)),
    *((size, 256) for size in (8 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 128 * KIB)),
    *((128 * KIB, fragment) for fragment in (KIB, 4 * KIB, 32 * KIB)),
)
PLAIN = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
OFFERS = (
    PLAIN,
    f"{PLAIN}; server_no_context_takeover",
    f"{PLAIN}; server_max_window_bits=9",
    f"{PLAIN}; server_max_window_bits=15",
    f"{PLAIN}; server_no_context_takeover; server_max_window_bits=9",
    f"{PLAIN}; server_no_context_takeover; server_max_window_bits=15",
    f"{PLAIN}; server_no_context_takeover; server_max_window_bits=9, "
    f"{PLAIN}; server_no_context_takeover, {PLAIN}",
)


def messages_of(size: int) -> int:
    if FULL:
        return 1000
    return 60 if size <= 4 * KIB else max(6, 60 * 4 * KIB // size)


# ---- data of five kinds, made here and always the same


@functools.cache
def prose() -> bytes:
    chance = random.Random(1)
    syllables = [
        "ver",
        "lo",
        "ren",
        "der",
        "Geist",
        "und",
        "über",
        "Zeit",
        "schön",
        "heit",
        "mü",
        "de",
        "Licht",
        "na",
        "men",
        "groß",
        "er",
        "Wäl",
        "fließ",
        "en",
    ]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(3000)]
    return " ".join(chance.choices(words, k=40_000)).encode()


@functools.cache
def json_text() -> bytes:
    chance = random.Random(2)
    rows = (
        f'{{"id":{i},"name":"användare {chance.randrange(900)}","value":{chance.random():.6f},"tags":["a","b"]}}'
        for i in range(3000)
    )
    return ("[" + ",\n".join(rows) + "]").encode()


@functools.cache
def page() -> bytes:
    chance = random.Random(3)
    rows = (
        f"<tr class='row{i % 2}'><td>{chance.randrange(10**6)}</td><td>é</td></tr>\n" for i in range(5000)
    )
    return ("<html><body><table>\n" + "".join(rows) + "</table></body></html>").encode()


@functools.cache
def picture() -> bytes:
    chance = random.Random(4)
    return bytes((x * y // 97 + chance.randrange(8)) & 0xFF for y in range(512) for x in range(512))


@functools.cache
def noise() -> bytes:
    return random.Random(5).randbytes(1_000_000)


DATA = (("text", json_text), ("binary", picture), ("binary", prose), ("text", page), ("binary", noise))
KINDS = {"text": TEXT, "binary": BINARY}


def slices(kind: str, data: bytes, size: int, count: int):
    """`count` messages of `size` bytes, going round through the data. Text is cut between characters, and
    filled up with spaces."""
    at = 0
    for _ in range(count):
        piece = (data[at : at + size] + data)[:size]
        at = (at + size) % len(data)
        if kind == "text":
            piece = piece.decode(errors="ignore").encode()
            piece += b" " * (size - len(piece))
        yield piece


async def exchange(peer: Peer, kind: str, data: bytes, size: int, fragment: int) -> None:
    """One message after the other, each answered by itself; then a clean close."""
    for body in slices(kind, data, size, messages_of(size)):
        before = peer.compressed_messages
        frames = peer.message(KINDS[kind], body, fragment)
        [event] = await peer.reader_beside(peer.send(frames), 1)
        assert event[0] == kind
        assert event[1] == body
        if peer.deflate and size >= MIN_COMPRESSED:
            assert peer.compressed_messages == before + 1, "the echo came uncompressed"
    await peer.close()


def check_answer(peer: Peer, offer: str, mode: str) -> None:
    if mode == "off":
        assert peer.deflate is None
        return
    assert peer.deflate is not None, "a good offer was not taken"
    first = offer.split(",", maxsplit=1)[0]
    agreed = peer.deflate.agreed
    if "server_no_context_takeover" in first:
        assert "server_no_context_takeover" in agreed
    if "server_max_window_bits=" in first:
        asked = int(first.split("server_max_window_bits=")[1].split(";")[0])
        assert int(agreed["server_max_window_bits"] or 0) <= asked
    if "client_max_window_bits" not in first:
        assert "client_max_window_bits" not in agreed
    if mode == "shared":
        assert "server_no_context_takeover" in agreed


def cases(group: int, members) -> list:
    return [
        pytest.param(*member, size, fragment, id=f"{group}.{major}.{minor}")
        for major, member in enumerate(members, start=1)
        for minor, (size, fragment) in enumerate(SIZES, start=1)
    ]


@pytest.mark.parametrize(("kind", "data", "size", "fragment"), cases(12, DATA))
async def test_case_different_payloads(kind, data, size, fragment, server, mode):
    peer = await Peer.open(server, PLAIN)
    check_answer(peer, PLAIN, mode)
    await exchange(peer, kind, data(), size, fragment)


@pytest.mark.parametrize(("asked", "size", "fragment"), cases(13, [(offer,) for offer in OFFERS]))
async def test_case_different_parameters(asked, size, fragment, server, mode):
    peer = await Peer.open(server, asked)
    check_answer(peer, asked, mode)
    await exchange(peer, "text", json_text(), size, fragment)


# ---- beyond the suite: every combination of the parameters, and abuse


def combinations() -> list[str]:
    out = []
    client_bits = (
        "",
        "; client_max_window_bits",
        *(f"; client_max_window_bits={bits}" for bits in (8, 9, 12, 15)),
    )
    server_bits = ("", *(f"; server_max_window_bits={bits}" for bits in (9, 11, 15)))
    resets = ("", "; client_no_context_takeover")
    server_resets = ("", "; server_no_context_takeover")
    for parts in itertools.product(client_bits, server_bits, resets, server_resets):
        out.append("permessage-deflate" + "".join(parts))
    return out


@pytest.mark.parametrize(
    "asked", combinations(), ids=lambda text: text.removeprefix("permessage-deflate") or "none"
)
async def test_every_combination_of_parameters(asked, server, mode):
    """Repetitions at a distance between the windows' sizes: a server that looks farther back than it agreed
    to writes what the client cannot follow, and a context that is kept or dropped wrongly shows, too."""
    peer = await Peer.open(server, asked)
    check_answer(peer, asked, mode)
    block = random.Random(6).randbytes(700)
    spread = random.Random(7).randbytes(3000)
    body = (block + spread) * 6
    for i, message in enumerate([block, body, b"", block * 30, body[:255], body, block]):
        kind = "binary"
        [event] = await peer.reader_beside(peer.send(peer.message(BINARY, message, 0 if i % 2 else 1000)), 1)
        assert event == (kind, message)
        await peer.send(encode_frame(TEXT, b"uncompressed between"))
        assert await peer.event() == ("text", b"uncompressed between")
    await peer.close()


async def test_a_compressed_message_in_fragments_with_pings_between(server, mode):
    peer = await Peer.open(server, PLAIN)
    if peer.deflate is None:
        return await peer.close()
    body = noise()[: 8 * KIB]
    frames = fragment_frames(BINARY, peer.deflate.deflate(body), 1500, rsv=4)
    assert len(frames) > 3
    for i, frame in enumerate(frames[:-1]):
        await peer.send(frame + encode_frame(PING, b"%d" % i))
        assert await peer.event() == ("pong", b"%d" % i)
    await peer.send(frames[-1])
    assert await peer.event() == ("binary", body)
    await peer.close()


BAD = {
    "RSV1 on a continuation": lambda peer: (
        encode_frame(BINARY, b"\x00", fin=False, rsv=4) + encode_frame(0, b"\x00", rsv=4),
        1002,
    ),
    "RSV1 on a ping": lambda peer: (encode_frame(PING, b"x", rsv=4), 1002),
    "RSV1 on a close": lambda peer: (encode_frame(CLOSE, close_payload(1000), rsv=4), 1002),
    "RSV1 and RSV2": lambda peer: (encode_frame(BINARY, b"\x00", rsv=6), 1002),
    "not a deflate stream": lambda peer: (encode_frame(BINARY, b"\xff" * 40, rsv=4), 1007),
    "text that inflates to no UTF-8": lambda peer: (peer.message(TEXT, b"\xff\xfe" * 200), 1007),
}


@pytest.mark.parametrize("name", BAD)
async def test_abuse_of_the_extension_fails_the_connection(name, server, mode):
    peer = await Peer.open(server, PLAIN)
    frames, code = BAD[name](peer)
    await peer.send(frames)
    # Without an agreement RSV1 itself is the error, but text without it is judged as text.
    expected = code if mode != "off" or "UTF-8" in name else 1002
    assert await peer.events_to_the_end() == [("close", expected)]


async def test_a_bomb_ends_at_the_limit(server, mode):
    """80 MiB of zeros in some 80 KB: more than /echo takes."""
    peer = await Peer.open(server, PLAIN)
    if peer.deflate is None:
        return await peer.close()
    await peer.send(peer.message(BINARY, bytes(80 * KIB * KIB)))
    assert await peer.events_to_the_end() == [("close", 1009)]


async def test_many_connections_share_a_compressor_without_mixing(server, mode):
    """Contexts of one connection never reach another, in whatever order their messages come."""
    chance = random.Random(8)
    peers = [await Peer.open(server, chance.choice(OFFERS)) for _ in range(20)]
    for _ in range(10):
        chance.shuffle(peers)
        bodies = [prose()[i * 700 : i * 700 + chance.randrange(2000)] for i in range(len(peers))]
        for peer, body in zip(peers, bodies, strict=True):
            await peer.send(peer.message(BINARY, body, chance.choice([0, 100])))
        events = await asyncio.gather(*(peer.event() for peer in peers))
        assert events == [("binary", body) for body in bodies]
    for peer in peers:
        await peer.close()


async def test_compressed_and_plain_messages_in_one_send_keep_their_order(server, mode):
    peer = await Peer.open(server, PLAIN)
    bodies = [
        prose()[i * 5000 : i * 5000 + size] for i, size in enumerate([4000, 1000, 3000, 10, 9000, 300] * 5)
    ]
    frames = [peer.message(BINARY, body, compress=i % 2 == 1) for i, body in enumerate(bodies)]
    assert await peer.reader_beside(peer.send(b"".join(frames)), len(bodies)) == [
        ("binary", b) for b in bodies
    ]
    await peer.close()
