"""Groups 1 to 5 and 10: framing, pings and pongs, reserved bits, opcodes, fragmentation."""

from __future__ import annotations

import pytest
from case import (
    PROTOCOL_ERROR,
    Case,
    Chop,
    answered,
    binary,
    close,
    more,
    ping,
    pong,
    run,
    text,
)
from peer import chopped, fragments
from raw import TEXT, encode_frame

HELLO = b"Hello over there!"
SIZES = (0, 125, 126, 127, 128, 65535, 65536)


def sized() -> list[Case]:
    """Group 1: each way to write a length, as text and as binary, and the longest in pieces."""
    out = []
    for kind, (name, make, fill) in enumerate((("text", text, b"*"), ("binary", binary, b"\xfe")), start=1):
        for i, size in enumerate(SIZES, start=1):
            body = fill * size
            out.append(Case(f"1.{kind}.{i}", f"{name} of {size} bytes", (make(body),), ((name, body),)))
        body = fill * 65536
        out.append(
            Case(
                f"1.{kind}.8",
                f"{name} of 65536 bytes in pieces of 997",
                (make(body),),
                ((name, body),),
                chop=997,
            )
        )
    return out


def pings() -> list[Case]:
    octets = bytes([0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF])
    ten = tuple(b"number %d" % i for i in range(10))
    pongs = tuple(("pong", body) for body in ten)
    full = b"\xfe" * 125
    return [
        Case("2.1", "an empty ping", (ping(),), (("pong", b""),)),
        Case("2.2", "a ping with text", (ping(HELLO),), (("pong", HELLO),)),
        Case("2.3", "a ping with bytes that are not UTF-8", (ping(octets),), (("pong", octets),)),
        Case("2.4", "a ping of 125 bytes", (ping(full),), (("pong", full),)),
        Case("2.5", "a ping of 126 bytes", (ping(full + b"\xfe"),), end=PROTOCOL_ERROR),
        Case("2.6", "a ping of 125 bytes, chopped", (ping(full),), (("pong", full),), chop=Chop.OCTETS),
        Case("2.7", "an empty pong that nobody asked for", (pong(), close()), end=answered(1000)),
        Case("2.8", "a pong that nobody asked for", (pong(HELLO), close()), end=answered(1000)),
        Case("2.9", "such a pong, then a ping", (pong(HELLO), ping(b"p")), (("pong", b"p"),)),
        Case("2.10", "ten pings", tuple(map(ping, ten)), pongs),
        Case("2.11", "ten pings, chopped", tuple(map(ping, ten)), pongs, chop=Chop.OCTETS),
    ]


def reserved_bits() -> list[Case]:
    """RSV1 alone is 3.4: with compression agreed it is an error on a control frame only."""
    echoed = (("text", HELLO),)
    first = text(HELLO)

    def after(number: str, rsv: int, chop: Chop) -> Case:
        says = f"a message, one with RSV {rsv:03b}, a ping"
        return Case(number, says, (first, text(HELLO, rsv=rsv), ping()), echoed, PROTOCOL_ERROR, chop)

    return [
        Case("3.1", "text with RSV 001", (text(HELLO, rsv=1),), end=PROTOCOL_ERROR),
        after("3.2", 2, Chop.NONE),
        after("3.3", 3, Chop.FRAMES),
        Case(
            "3.4",
            "a message, a ping with RSV 100, a ping, chopped",
            (first, ping(b"x", rsv=4), ping()),
            echoed,
            PROTOCOL_ERROR,
            Chop.OCTETS,
        ),
        Case("3.5", "binary with RSV 101", (binary(b"\x00\xff" * 4, rsv=5),), end=PROTOCOL_ERROR),
        Case("3.6", "a ping with RSV 110", (ping(HELLO, rsv=6),), end=PROTOCOL_ERROR),
        Case("3.7", "a close with RSV 111", (close(None, rsv=7),), end=PROTOCOL_ERROR),
    ]


def opcodes() -> list[Case]:
    out = []
    for group, reserved in ((1, range(3, 8)), (2, range(11, 16))):
        for i, opcode in enumerate(reserved, start=1):
            body = HELLO if i % 2 == 0 else b""
            bad = encode_frame(opcode, body)
            number = f"4.{group}.{i}"
            if i <= 2:
                out.append(Case(number, f"opcode {opcode}, {len(body)} bytes", (bad,), end=PROTOCOL_ERROR))
                continue
            out.append(
                Case(
                    number,
                    f"a message, opcode {opcode}, a ping",
                    (text(HELLO), bad, ping()),
                    (("text", HELLO),),
                    PROTOCOL_ERROR,
                    Chop.OCTETS if i >= 4 else Chop.NONE,
                )
            )
    return out


def fragmentation() -> list[Case]:
    chops = (Chop.NONE, Chop.FRAMES, Chop.OCTETS)
    two = (text("fragment 1, ", fin=False), more("fragment 2", fin=True))
    joined = ("text", b"fragment 1, fragment 2")
    out = [
        Case(
            "5.1", "a ping in two fragments", (ping(b"a", fin=False), more("b", fin=True)), end=PROTOCOL_ERROR
        ),
        Case(
            "5.2", "a pong in two fragments", (pong(b"a", fin=False), more("b", fin=True)), end=PROTOCOL_ERROR
        ),
    ]
    for i, chop in enumerate(chops):
        out.append(Case(f"5.{3 + i}", f"two fragments, {chop.value}", two, (joined,), chop=chop))
    for i, chop in enumerate(chops):
        sends = (two[0], ping(b"between"), two[1])
        expects = (("pong", b"between"), joined)
        out.append(Case(f"5.{6 + i}", f"a ping between them, {chop.value}", sends, expects, chop=chop))
    for base, fin in ((9, True), (12, False)):
        for i, chop in enumerate(chops):
            sends = (more("nothing to continue", fin=fin), text(HELLO))
            says = f"a continuation of nothing, FIN {fin}, then a message, {chop.value}"
            out.append(Case(f"5.{base + i}", says, sends, end=PROTOCOL_ERROR, chop=chop))
    out += [
        Case(
            "5.15",
            "two fragments, then a continuation of nothing and a message",
            (*two, more("three"), text("four")),
            (joined,),
            PROTOCOL_ERROR,
        ),
        Case(
            "5.16",
            "twice: a continuation of nothing, FIN false, and two fragments",
            (more("one"), *two) * 2,
            end=PROTOCOL_ERROR,
        ),
        Case(
            "5.17",
            "twice: a continuation of nothing, FIN true, and two fragments",
            (more("one", fin=True), *two) * 2,
            end=PROTOCOL_ERROR,
        ),
        Case(
            "5.18",
            "two fragments, both with the opcode text",
            (text("one", fin=False), text("two")),
            end=PROTOCOL_ERROR,
        ),
    ]
    five = (
        text("1", fin=False),
        more("2"),
        ping(b"p 1"),
        more("3"),
        more("4"),
        ping(b"p 2"),
        more("5", fin=True),
    )
    expects = (("pong", b"p 1"), ("pong", b"p 2"), ("text", b"12345"))
    out.append(Case("5.19", "five fragments and two pings, all at once", five, expects))
    out.append(Case("5.20", "five fragments and two pings", five, expects, chop=Chop.FRAMES))
    return out


def automatic_fragments() -> Case:
    body = b"*" * 65536
    frames = fragments(TEXT, body, 1300)
    assert len(chopped(body, 1300)) == 51
    return Case("10.1.1", "text of 65536 bytes in fragments of 1300", (frames,), (("text", body),))


CASES = [*sized(), *pings(), *reserved_bits(), *opcodes(), *fragmentation(), automatic_fragments()]


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_case(case, server, offer):
    await run(case, server, offer)


async def test_case_3_4_without_an_agreement_rsv1_is_an_error(server):
    sends = (text(HELLO), text(HELLO, rsv=4), ping())
    case = Case("3.4", "RSV1", sends, (("text", HELLO),), PROTOCOL_ERROR, Chop.OCTETS)
    await run(case, server, None)
