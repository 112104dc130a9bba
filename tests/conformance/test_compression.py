"""Protocol §2, RFC 7692: permessage-deflate in its modes, its parameters, its abuses."""

from __future__ import annotations

import json
import zlib

import pytest
from client import Client, channel, unique
from raw import CONTINUATION, PING, TEXT, RawWebSocket
from server import memory_bound_kib
from tokens import mint

clause = pytest.mark.clause
LIMIT = 65536
SERVER = {"settings": {"limits": {"message_bytes": LIMIT}}}
OFFER = "permessage-deflate"


def deflate(payload: bytes, bits: int = 15) -> bytes:
    tool = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (tool.compress(payload) + tool.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflate(payload: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(payload + b"\0\0\xff\xff")


async def deflating(server, offer: str = OFFER, **options) -> RawWebSocket:
    headers = {
        "Sec-WebSocket-Extensions": offer,
        "Authorization": f"Bearer {mint(unique('u'))}",
    }
    raw = await RawWebSocket.open(server, "/ws?inbox=manual", headers=headers, hello=False, **options)
    first = await raw.message()
    assert json_of(first)["type"] == "connected"
    return raw


def json_of(frame) -> dict:
    return json.loads(inflate(frame.payload) if frame.rsv & 4 else frame.payload)


def parameters(raw: RawWebSocket) -> dict[str, str] | None:
    text = raw.handshake.header("sec-websocket-extensions")
    if text is None:
        return None
    assert "," not in text, text
    name, *rest = (p.strip() for p in text.split(";"))
    assert name == OFFER
    pairs = [p.partition("=") for p in rest]
    assert len({k for k, _, _ in pairs}) == len(pairs), text
    return {k.strip(): v.strip().strip('"') for k, _, v in pairs}


@clause("2.compression", "M8")
async def test_shared_is_the_default_and_keeps_no_context(server):
    """§2: "`shared`, the default, answers `server_no_context_takeover`" """
    assert "server_no_context_takeover" in parameters(await deflating(server))


@clause("2.compression", "M8")
async def test_dedicated_keeps_a_context(start):
    """§2: "`dedicated` keeps a context per connection" """
    server = start({"compression": {"mode": "dedicated"}})
    assert "server_no_context_takeover" not in parameters(await deflating(server))
    asked = await deflating(server, f"{OFFER}; server_no_context_takeover")
    assert "server_no_context_takeover" in parameters(asked)
    client = await Client.connect(server, mint(unique("u")), compression="deflate")
    for i in range(20):
        data = f"{i} " + "the same words again " * 100
        assert (await client.request({"type": "ping", "data": data}))["data"] == data


@clause("2.compression", "M8")
async def test_off_negotiates_nothing(start):
    """§2: "`off`" """
    server = start({"compression": {"mode": "off"}})
    raw = await RawWebSocket.open(server, headers={"Sec-WebSocket-Extensions": OFFER})
    assert raw.handshake.header("sec-websocket-extensions") is None


@clause("2.compression", "M8")
@pytest.mark.parametrize(
    "offer",
    [
        OFFER,
        f"{OFFER}; client_max_window_bits",
        f"{OFFER}; client_max_window_bits=10",
        f"{OFFER}; client_no_context_takeover",
        f"{OFFER}; server_no_context_takeover; client_no_context_takeover",
        f"x-webkit-deflate-frame, {OFFER}",
        f"{OFFER}; server_max_window_bits=15",
        f'{OFFER}; client_max_window_bits="12"',
    ],
)
async def test_a_good_offer_is_answered_within_its_parameters(server, offer):
    """RFC 7692 7.1: the answer has only what was offered"""
    raw = await deflating(server, offer)
    answer = parameters(raw)
    assert answer is not None
    if "client_max_window_bits" not in offer:
        assert "client_max_window_bits" not in answer
    for name, value in answer.items():
        if name.endswith("window_bits"):
            assert 8 <= int(value) <= 15, answer
    ping = '{"type":"ping","data":"' + "compress me " * 100 + '"}'
    bits = int(answer.get("client_max_window_bits", 15))
    for _ in range(3):
        await raw.send_frame(TEXT, deflate(ping.encode(), max(bits, 9)), rsv=4)
        frame = await raw.message()
        assert frame.rsv == 4
        assert json.loads(inflate(frame.payload))["type"] == "pong"


@clause("2.compression", "M8")
@pytest.mark.parametrize(
    "offer",
    [
        "permessage-bzip2",
        f"{OFFER}; unknown",
        f"{OFFER}; server_no_context_takeover=1",
        f"{OFFER}; client_max_window_bits=16",
        f"{OFFER}; client_max_window_bits=7",
        f"{OFFER}; server_max_window_bits=16",
        f"{OFFER}; server_max_window_bits",
        f"{OFFER}; server_no_context_takeover; server_no_context_takeover",
    ],
)
async def test_a_bad_offer_is_declined_and_the_connection_stands(server, offer):
    """RFC 7692 7.1: an offer with an unknown, invalid or doubled parameter is declined"""
    raw = await RawWebSocket.open(server, headers={"Sec-WebSocket-Extensions": offer})
    assert raw.handshake.header("sec-websocket-extensions") is None


@clause("2.compression", "M8")
async def test_a_second_offer_stands_in_for_a_bad_first(server):
    """RFC 7692 5.1: offers in order of preference"""
    raw = await deflating(server, f"{OFFER}; unknown=1, {OFFER}")
    assert parameters(raw) is not None


@clause("9.compression-min_bytes", "M8")
async def test_small_messages_are_not_compressed(server):
    """§9: `compression.min_bytes` 256"""
    raw = await deflating(server)
    await raw.text('{"type":"ping","id":1}')
    assert (await raw.message()).rsv == 0
    await raw.text('{"type":"ping","data":"' + "x" * 1000 + '"}')
    frame = await raw.message()
    assert frame.rsv == 4 and len(frame.payload) < 500


@clause("2.compression", "M8", "M3")
async def test_a_compressed_message_may_be_fragmented(server):
    """RFC 7692 6.1: RSV1 on the first fragment only"""
    raw = await deflating(server)
    body = deflate(b'{"type":"ping","id":5}')
    await raw.send_frame(TEXT, body[:3], fin=False, rsv=4)
    await raw.send_frame(PING, b"")
    assert (await raw.frame()).opcode == 10
    await raw.send_frame(CONTINUATION, body[3:])
    assert json_of(await raw.message())["id"] == 5


@clause("3.inflates", "M8", "P7", "P4")
@pytest.mark.parametrize("size", [LIMIT + 1, 50_000_000])
async def test_a_message_that_inflates_past_the_limit_ends_with_1009(server, size):
    """§3: "one that inflates past the limit … end[s] it with 1009" """
    bomb = deflate(b'{"type":"ping","data":"' + b"x" * size + b'"}')
    before = server.memory_kib()
    for _ in range(5):
        raw = await deflating(server)
        await raw.send_frame(TEXT, bomb, rsv=4)
        assert (await raw.close_frame())[0] == 1009
    assert server.memory_kib() - before < memory_bound_kib(16 * 1024)


@clause("3.inflates", "M8")
async def test_a_message_that_inflates_to_the_limit_is_served(server):
    """§3: "past the limit": at it is not past it"""
    raw = await deflating(server)
    head, tail = b'{"type":"ping","data":"', b'"}'
    text = head + b"x" * (LIMIT - len(head) - len(tail)) + tail
    await raw.send_frame(TEXT, deflate(text), rsv=4)
    frame = await raw.message()
    assert json.loads(inflate(frame.payload))["type"] == "pong"


@clause("6.close-codes", "M8", "M3")
@pytest.mark.parametrize(
    "opcode, payload, fin",
    [(TEXT, b"\xff\xff\xff\xff", True), (PING, b"x", True)],
    ids=["not-deflate", "control-with-rsv1"],
)
async def test_broken_compression_ends_the_connection(server, opcode, payload, fin):
    """§6: "1002, 1007 — what was wrong" """
    raw = await deflating(server)
    await raw.send_frame(opcode, payload, fin=fin, rsv=4)
    assert (await raw.close_frame())[0] in (1002, 1007)


@clause("6.close-codes", "M8", "M3")
async def test_rsv1_on_a_continuation_is_1002(server):
    """RFC 7692 6.1"""
    raw = await deflating(server)
    await raw.send_frame(TEXT, deflate(b"{}")[:1], fin=False, rsv=4)
    await raw.send_frame(CONTINUATION, deflate(b"{}")[1:], rsv=4)
    assert (await raw.close_frame())[0] == 1002


@clause("2.compression", "M8")
async def test_inflated_text_must_be_utf8(server):
    """RFC 6455 8.1 of the message after inflation"""
    raw = await deflating(server)
    await raw.send_frame(TEXT, deflate(b'{"type":"\xff"}'), rsv=4)
    assert (await raw.close_frame())[0] == 1007


@clause("2.compression", "M8")
async def test_compressed_and_plain_readers_get_the_same(server):
    """M8: "a broadcast compressed once for all who negotiated alike" """
    name = channel()
    token = mint(unique("u"))
    clients = [
        await Client.connect(server, token, compression=c) for c in ("deflate", None, "deflate", "deflate")
    ]
    for client in clients:
        await client.subscribe(name)
    bodies = [f"{i} " + "lorem ipsum dolor " * (i * 10) for i in range(30)]
    for body in bodies:
        await clients[0].publish(name, body)
    for client in clients:
        got = await client.deliveries(name, 30)
        assert [m["data"] for m in got] == bodies
        assert [m["seq"] for m in got] == list(range(1, 31))
