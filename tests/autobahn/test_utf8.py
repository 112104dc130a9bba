"""Group 6: text is UTF-8, and what is not fails at the first byte that decides it (1007).

6.5 to 6.23 go through the sequences of Markus Kuhn's decoder stress test; what is valid is decided here by
Python's strict decoder, not by a list of ours.
"""

from __future__ import annotations

import pytest
from case import NOT_UTF8, Case, run, text
from peer import Peer, chopped, fragments
from raw import PING, TEXT, encode_frame

GREEK = "κ\u1f79σμε".encode()
VALID = "Hello-µ@ßöäüàá-UTF-8!!".encode()
# The byte at 12 is the first that no valid text can have there: what begins at 11 is above U+10FFFF.
BAD_AT = 12
TOO_HIGH = GREEK + b"\xf4\x90\x80\x80edited"
SURROGATE = GREEK + b"\xed\xa0\x80edited"


def is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def spaced(first: int, last: int) -> bytes:
    return b"".join(bytes([b, 0x20]) for b in range(first, last))


def nonchars() -> list[bytes]:
    """The last two code points of every plane."""
    return [chr(plane << 16 | low).encode() for plane in range(17) for low in (0xFFFE, 0xFFFF)]


CUT = [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xfc\x80\x80\x80\x80"]
CUT += [b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf", b"\xfb\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf"]
HIGH = [b"\xed\xa0\x80", b"\xed\xad\xbf", b"\xed\xae\x80", b"\xed\xaf\xbf"]
LOW = [b"\xed\xb0\x80", b"\xed\xbf\xbf"]

SEQUENCES: list[tuple[str, list[bytes]]] = [
    ("valid text", [f"hello{c}world".encode() for c in "$¢€𤭢"] + [GREEK]),
    ("each prefix of valid text", [GREEK[:n] for n in range(1, len(GREEK) + 1)]),
    ("the first code point of each length", [b"\0", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"]),
    ("the first of lengths 5 and 6", [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"]),
    ("the last code point of each length", [b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]),
    (
        "the last of the integers of lengths 4, 5 and 6",
        [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"],
    ),
    (
        "next to the limits",
        [b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80"],
    ),
    (
        "continuation bytes alone",
        [b"\x80", b"\xbf", *((b"\x80\xbf" * 3)[:n] for n in range(2, 7)), bytes(range(0x80, 0xBF))],
    ),
    (
        "first bytes alone",
        [spaced(0xC0, 0xDF), spaced(0xE0, 0xEF), spaced(0xF0, 0xF7), spaced(0xF8, 0xFB), spaced(0xFC, 0xFD)],
    ),
    ("the last byte missing", CUT),
    ("all of these in a row", [b"".join(CUT)]),
    ("bytes that never occur", [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"]),
    (
        "overlong forms of a slash",
        [
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xf0\x80\x80\xaf",
            b"\xf8\x80\x80\x80\xaf",
            b"\xfc\x80\x80\x80\x80\xaf",
        ],
    ),
    (
        "the highest overlong forms",
        [
            b"\xc1\xbf",
            b"\xe0\x9f\xbf",
            b"\xf0\x8f\xbf\xbf",
            b"\xf8\x87\xbf\xbf\xbf",
            b"\xfc\x83\xbf\xbf\xbf\xbf",
        ],
    ),
    (
        "overlong forms of NUL",
        [
            b"\xc0\x80",
            b"\xe0\x80\x80",
            b"\xf0\x80\x80\x80",
            b"\xf8\x80\x80\x80\x80",
            b"\xfc\x80\x80\x80\x80\x80",
        ],
    ),
    ("surrogates alone", [*HIGH, LOW[0], b"\xed\xbe\x80", LOW[1]]),
    ("surrogates in pairs", [high + low for high in HIGH for low in LOW]),
    ("code points that are no characters", nonchars()),
    ("specials", [chr(code).encode() for code in range(0xFFF9, 0x10000)]),
]


def from_sequences() -> list[Case]:
    out = []
    for group, (name, members) in enumerate(SEQUENCES, start=5):
        for i, body in enumerate(members, start=1):
            good = is_utf8(body)
            number = f"6.{group}.{i}"
            says = f"{name}: {body.hex(' ')}, one frame"
            if good:
                out.append(Case(number, says, (text(body),), (("text", body),)))
            else:
                out.append(Case(number, says, (text(body),), end=NOT_UTF8))
    return out


def echoed(number: str, says: str, frames: bytes, body: bytes) -> Case:
    return Case(number, says, (frames,), (("text", body),))


CASES = [
    echoed("6.1.1", "empty text", text(), b""),
    echoed(
        "6.1.2",
        "three empty fragments",
        encode_frame(TEXT, fin=False) + encode_frame(0, fin=False) + encode_frame(0),
        b"",
    ),
    echoed(
        "6.1.3",
        "a fragment between two empty ones",
        encode_frame(TEXT, fin=False) + encode_frame(0, b"middle", fin=False) + encode_frame(0),
        b"middle",
    ),
    echoed("6.2.1", "valid text", text(VALID), VALID),
    echoed("6.2.2", "valid text, cut between two characters", fragments(TEXT, VALID, 14), VALID),
    echoed("6.2.3", "valid text in fragments of one byte", fragments(TEXT, VALID, 1), VALID),
    echoed("6.2.4", "Greek in fragments of one byte", fragments(TEXT, GREEK, 1), GREEK),
    Case("6.3.1", "a surrogate", (text(SURROGATE),), end=NOT_UTF8),
    Case("6.3.2", "a surrogate, in fragments of one byte", (fragments(TEXT, SURROGATE, 1),), end=NOT_UTF8),
    *from_sequences(),
]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_case(case, server, offer):
    await run(case, server, offer)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param(TOO_HIGH[: BAD_AT - 1], TOO_HIGH[BAD_AT - 1 : BAD_AT + 3], id="6.4.1"),
        pytest.param(TOO_HIGH[:BAD_AT], TOO_HIGH[BAD_AT : BAD_AT + 1], id="6.4.2"),
    ],
)
async def test_case_fails_fast_between_frames(good, bad, server, offer):
    """6.4.1, 6.4.2: the first fragment is taken (a ping behind it is answered), the second one brings the
    byte that decides, and is refused before the message ends."""
    peer = await Peer.open(server, offer)
    await peer.send(encode_frame(TEXT, good, fin=False) + encode_frame(PING, b"still there"))
    assert await peer.event() == ("pong", b"still there")
    await peer.send(encode_frame(0, bad, fin=False))
    assert await peer.events_to_the_end() == [("close", 1007)]


@pytest.mark.parametrize("step", [3, 1], ids=["6.4.3", "6.4.4"])
async def test_case_fails_fast_inside_a_frame(step, server, offer):
    """6.4.3, 6.4.4: the same within one frame, which is never sent to its end."""
    peer = await Peer.open(server, offer)
    frame = encode_frame(TEXT, TOO_HIGH, mask=b"\x11\x22\x33\x44")
    head = 6
    await peer.send(frame[: head + BAD_AT])
    await peer.send(frame[head + BAD_AT : head + BAD_AT + step])
    assert await peer.events_to_the_end() == [("close", 1007)]


@pytest.mark.parametrize(
    "body", [TOO_HIGH, SURROGATE, b"\xc0\xaf...", b"\xff..", b"ab\xe0\x9f...", b"\xf8...."]
)
async def test_the_byte_that_decides_is_enough_and_the_ones_before_are_not(body, server, offer):
    """The shortest prefix that no valid text begins with fails at once; all before it is still possible,
    which a valid continuation shows."""
    bad = next(n for n in range(1, len(body)) if not begins_valid_text(body[:n]))
    peer = await Peer.open(server, offer)
    frame = encode_frame(TEXT, body + b"*" * 100, mask=b"\x01\x02\x03\x04")
    await peer.send(frame[: 6 + bad])
    assert await peer.events_to_the_end() == [("close", 1007)]

    if bad > 1:
        other = await Peer.open(server, offer)
        whole = completed(body[: bad - 1])
        for octet in chopped(encode_frame(TEXT, whole), 1):
            await other.send(octet)
        assert await other.event() == ("text", whole)
        await other.close()


def begins_valid_text(data: bytes) -> bool:
    try:
        completed(data)
    except ValueError:
        return False
    return True


def completed(data: bytes) -> bytes:
    """`data` and the fewest bytes that make it valid."""
    for tail in (b"", b"\x80", b"\x9f", b"\xa0", b"\xbf"):
        for rest in (b"", b"\x80", b"\x80\x80"):
            if is_utf8(data + tail + rest):
                return data + tail + rest
    raise ValueError(data)
