"""Protocol §2: the upgrade, and every HTTP error of a request that is not one."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os

import pytest
from client import Client, channel
from raw import CLOSE, RawSocket, RawWebSocket, exchange, upgrade_request
from server import API_KEY
from tokens import mint

clause = pytest.mark.clause
ALLOWED = "https://app.example.org"
SERVER = {
    "settings": {
        "server": {
            "drain_timeout": "300ms",
            "allowed_origins": [ALLOWED, "http://other.example.org:8081"],
        }
    }
}


def assert_problem(response, status: int, code: str | None = None) -> None:
    assert response.status == status, response
    assert (response.header("content-type") or "").startswith("application/problem+json"), response
    body = json.loads(response.body)
    assert body["status"] == status, body
    assert isinstance(body["title"], str), body
    if code:
        assert body["code"] == code, body
    if status in (414, 431):
        assert "code" not in body, body  # §6 has none for these


def accept_of(key: str) -> str:
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    return base64.b64encode(digest).decode()


# -- good handshakes


@clause("2.upgrade", "C1")
@pytest.mark.parametrize("path", ["/ws", "/api/ws"])
async def test_both_paths_upgrade_with_the_accept_key_of_the_rfc(server, path):
    """§2: "`GET /ws`, and the same under `/api/ws`. RFC 6455, version 13" """
    key = base64.b64encode(os.urandom(16)).decode()
    raw = await RawWebSocket.open(server, path, headers={"Sec-WebSocket-Key": key})
    assert raw.handshake.header("sec-websocket-accept") == accept_of(key)
    assert raw.handshake.header("upgrade").lower() == "websocket"
    assert "upgrade" in raw.handshake.header("connection").lower()
    assert raw.handshake.header("sec-websocket-protocol") is None
    assert raw.handshake.header("sec-websocket-extensions") is None


@clause("2.upgrade", "C1")
@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": "WebSocket"},
        {"Upgrade": "h2c, websocket"},
        {"Connection": "keep-alive, Upgrade"},
        {"Connection": ["keep-alive", "upgrade"]},
        {"X-Unknown": "x" * 1000},
    ],
)
async def test_header_values_are_tokens_in_any_case(server, headers):
    """§2: "RFC 6455" (4.2.1: `Upgrade` and `Connection` contain the tokens, case-insensitively)"""
    raw = await RawWebSocket.open(server, headers=headers)
    assert raw.handshake.status == 101


@clause("2.subprotocol", "C1")
@pytest.mark.parametrize(
    "offer, chosen",
    [
        ("tidewire.v1", "tidewire.v1"),
        ("other, tidewire.v1", "tidewire.v1"),
        (["other", "tidewire.v1"], "tidewire.v1"),
        ("other", None),
        ("tidewire.v2, chat", None),
        (None, None),
    ],
)
async def test_only_the_own_subprotocol_is_selected(server, offer, chosen):
    """§2: "a client that offers none, or only unknown ones, gets this protocol too, and none is selected" """
    raw = await RawWebSocket.open(server, headers={"Sec-WebSocket-Protocol": offer})
    assert raw.handshake.header("sec-websocket-protocol") == chosen


@clause("2.upgrade", "C1")
async def test_frames_sent_in_one_packet_with_the_handshake_are_served(server):
    """§2: an eager client's first frame follows the request in the same segment."""
    from raw import TEXT, encode_frame

    raw = await RawWebSocket.connect(server)
    await raw.send(upgrade_request(server) + encode_frame(TEXT, b'{"type":"ping","id":1}'))
    assert (await raw.response()).status == 101
    assert json.loads((await raw.message()).payload)["type"] == "connected"
    assert json.loads((await raw.message()).payload)["type"] == "pong"


@clause("2.upgrade", "C1")
async def test_a_handshake_that_comes_byte_by_byte_is_served(server):
    """§2: how the bytes are cut into segments is of no importance."""
    raw = await RawWebSocket.connect(server)
    for byte in upgrade_request(server):
        await raw.send(bytes([byte]))
    assert (await raw.response()).status == 101
    assert json.loads((await raw.message()).payload)["type"] == "connected"


# -- 400


@clause("2.http-400", "C1")
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": ["127.0.0.1", "127.0.0.1"]},
        {"Origin": [ALLOWED, ALLOWED]},
        {"Sec-WebSocket-Key": ["dGhlIHNhbXBsZSBub25jZQ=="] * 2},
        {"Sec-WebSocket-Version": ["13", "13"]},
        {"Content-Length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==AAAA"},
        {"Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!=="},
        {"Host": None},
        {"Host": "[::1"},
        {"Host": "x:abc"},
        {"Host": "x:99999"},
        {"Sec-WebSocket-Extensions": "perm essage"},
        {"Sec-WebSocket-Extensions": 'permessage-deflate; a="open'},
        {"Sec-WebSocket-Extensions": "permessage-deflate;"},
    ],
    ids=[
        "two-hosts",
        "two-origins",
        "two-keys",
        "two-versions",
        "body",
        "chunked-body",
        "no-key",
        "short-key",
        "long-key",
        "key-not-base64",
        "no-host",
        "open-bracket",
        "port-no-number",
        "port-too-large",
        "extension-no-token",
        "extension-open-quote",
        "extension-empty-parameter",
    ],
)
async def test_a_malformed_upgrade_is_400(server, headers):
    """§2: "400 malformed (a doubled `Host`, `Origin`, `Sec-WebSocket-Key` or `-Version`, a body on the upgrade)" """
    request = upgrade_request(server, headers=headers)
    if "Content-Length" in headers:
        request += b"hello"
    if "Transfer-Encoding" in headers:
        request += b"5\r\nhello\r\n0\r\n\r\n"
    assert_problem(await exchange(server, request), 400)


@clause("2.http-400", "C1", "P8")
@pytest.mark.parametrize(
    "text",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /ws HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost x\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nBad Name: y\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 64 + b"\r\n\r\n",
    ],
    ids=["no-request-line", "version", "no-colon", "space-in-name", "nul", "tls-hello"],
)
async def test_what_is_not_http_gets_400_or_is_cut(server, text):
    """§2: "400 malformed"; the server lives on."""
    raw = await RawSocket.connect(server)
    await raw.send(text)
    try:
        response = await raw.response()
    except EOFError:
        pass
    else:
        assert response.status in (400, 505), response
    assert (await RawWebSocket.open(server)).handshake.status == 101


# -- 403


@clause("2.http-403", "C1", "P8")
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.org",
        "http://app.example.org",
        "https://app.example.org:444",
        "http://other.example.org",
        "https://app.example.org.evil.org",
        "https://xapp.example.org",
        "null",
    ],
)
async def test_an_origin_that_is_not_allowed_is_403(server, origin):
    """§2: "403 origin not allowed (scheme, host and port are compared; … `null` does not [pass])" """
    response = await exchange(server, upgrade_request(server, headers={"Origin": origin}))
    assert_problem(response, 403, "forbidden")


@clause("2.http-403", "C1", "P8")
@pytest.mark.parametrize(
    "origin", [ALLOWED, "https://app.example.org:443", "http://other.example.org:8081", None]
)
async def test_an_allowed_origin_or_none_passes(server, origin):
    """§2: "no `Origin` is no browser and passes" """
    raw = await RawWebSocket.open(server, headers={"Origin": origin})
    assert raw.handshake.status == 101


@clause("2.http-403", "C1", "P8")
async def test_without_a_setting_only_the_same_host_passes(start):
    """§9: "`server.allowed_origins` … same host otherwise" """
    server = start()
    same = f"http://{server.host}:{server.port}"
    assert (await RawWebSocket.open(server, headers={"Origin": same})).handshake.status == 101
    other = upgrade_request(server, headers={"Origin": "http://elsewhere.example.org"})
    assert_problem(await exchange(server, other), 403)


@clause("2.http-403", "C1")
async def test_a_refused_origin_is_refused_before_its_token_counts(server):
    """§2: a request that is not a valid upgrade gets an HTTP error, whatever its token says."""
    headers = {"Origin": "https://evil.example.org", "Authorization": f"Bearer {mint()}"}
    assert_problem(await exchange(server, upgrade_request(server, headers=headers)), 403)


# -- 405, 426


@clause("2.http-405", "C1")
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_another_method_than_get_is_405(server, method):
    """§2: "405 not GET" """
    headers = {"Content-Length": "0"}
    response = await exchange(server, upgrade_request(server, method=method, headers=headers))
    assert_problem(response, 405)


@clause("2.http-426", "C1")
@pytest.mark.parametrize(
    "headers",
    [
        {"Upgrade": None, "Connection": None},
        {"Upgrade": "h2c"},
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": "14"},
        {"Sec-WebSocket-Version": None},
    ],
    ids=["plain-get", "h2c", "version-8", "version-14", "no-version"],
)
async def test_no_upgrade_or_a_wrong_version_is_426(server, headers):
    """§2: "426 no upgrade or wrong version (with `Upgrade: websocket` and `Sec-WebSocket-Version: 13`)" """
    response = await exchange(server, upgrade_request(server, headers=headers))
    assert_problem(response, 426)
    assert response.header("upgrade").lower() == "websocket"
    assert response.header("sec-websocket-version") == "13"


# -- 414, 431


@clause("2.http-414", "C1", "P8")
async def test_a_request_line_over_8_kib_is_414(server):
    """§2: "414 request line over 8 KiB" """
    long_line = upgrade_request(server, "/ws?x=" + "a" * 8300)
    assert_problem(await exchange(server, long_line), 414)
    fits = "/ws?inbox=manual&x=" + "a" * 8000
    assert (await RawWebSocket.open(server, fits)).handshake.status == 101


@clause("2.http-414", "C1", "P8")
async def test_an_endless_request_line_is_refused_without_its_end(server):
    """§2: "414 request line over 8 KiB": nobody waits for the end of it."""
    assert_problem(await exchange(server, b"GET /ws?" + b"a" * 20000), 414)


@clause("2.http-431", "C1", "P8")
async def test_headers_over_32_kib_are_431(server):
    """§2: "431 headers over 32 KiB" """
    much = {f"X-{i}": "v" * 1000 for i in range(34)}
    assert_problem(await exchange(server, upgrade_request(server, headers=much)), 431)
    fits = {f"X-{i}": "v" * 1000 for i in range(30)}
    assert (await RawWebSocket.open(server, headers=fits)).handshake.status == 101


@clause("2.http-431", "C1", "P8")
async def test_more_than_100_header_lines_are_431(server):
    """§2: "431 headers over … 100 lines" """
    many = {f"X-{i}": "v" for i in range(101)}
    assert_problem(await exchange(server, upgrade_request(server, headers=many)), 431)
    fits = {f"X-{i}": "v" for i in range(90)}
    assert (await RawWebSocket.open(server, headers=fits)).handshake.status == 101


# -- 408 and the idle kept-alive connection


@clause("2.http-408", "C1", "P8")
async def test_headers_not_complete_after_10_s_are_408(server):
    """§2: "408 headers not complete 10 s after the connection was accepted …, or, on a kept-alive one,
    after the first byte of the next request": for a silent peer, half a request, bytes that trickle"""
    loop = asyncio.get_running_loop()

    async def timed(raw: RawSocket, began: float) -> None:
        assert_problem(await raw.response(timeout_s=30), 408)
        assert 9 <= loop.time() - began <= 30
        assert await raw.at_end()

    async def silent():
        await timed(await RawSocket.connect(server), loop.time())

    async def partial():
        raw = await RawSocket.connect(server)
        began = loop.time()
        await raw.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        await timed(raw, began)

    async def trickle():
        raw = await RawSocket.connect(server)
        began = loop.time()

        async def drip():
            for byte in b"GET /ws HTTP/1.1\r\nX-Slow: " + b"a" * 100:
                await raw.send(bytes([byte]))
                await asyncio.sleep(0.3)

        dripping = asyncio.create_task(drip())
        try:
            response = await raw.response(timeout_s=30)
        finally:
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
        assert_problem(response, 408)
        assert 9 <= loop.time() - began <= 30

    async def second_request():
        raw = await RawSocket.connect(server)
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.response()).status == 200
        await asyncio.sleep(2)  # the clock must start with the next byte, not here
        began = loop.time()
        await raw.send(b"GET /hea")
        await timed(raw, began)

    await asyncio.gather(silent(), partial(), trickle(), second_request())


@clause("2.keep-alive", "C1")
async def test_a_kept_alive_connection_serves_a_plain_request_and_then_an_upgrade(server):
    """§2: "on a kept-alive one, after the first byte of the next request": the connection is reused."""
    raw = await RawWebSocket.connect(server)
    await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await raw.response()).status == 200
    await raw.send(upgrade_request(server))
    assert (await raw.response()).status == 101
    assert json.loads((await raw.message()).payload)["type"] == "connected"


# -- 429, 503


@clause("2.http-429", "C1", "P1")
async def test_too_many_connections_of_an_address_are_429_with_retry_after(start):
    """§2: "429 too many connections (with `Retry-After`)"; §9: `limits.connections_per_address`"""
    server = start({"limits": {"connections_per_address": 2}})
    first = await Client.connect(server)
    await Client.connect(server)
    response = await exchange(server, upgrade_request(server))
    assert_problem(response, 429)
    assert int(response.header("retry-after")) >= 0
    await Client.connect(server, local="127.0.0.7")
    await first.close()
    await until_upgraded(server)


@clause("2.http-503", "C1", "P7")
async def test_a_full_server_answers_503_with_retry_after(start):
    """§2: "503 draining or full (with `Retry-After`)"; §9: `limits.connections`"""
    server = start({"limits": {"connections": 2}})
    first = await Client.connect(server)
    await Client.connect(server)
    response = await exchange(server, upgrade_request(server))
    assert_problem(response, 503)
    assert int(response.header("retry-after")) >= 0
    await first.close()
    await until_upgraded(server)


async def until_upgraded(server) -> None:
    """A place becomes free once the server has seen the close."""
    from client import eventually

    async def upgraded():
        return (await exchange(server, upgrade_request(server))).status == 101

    await eventually(upgraded, "a free place")


@clause("2.404", "C1")
async def test_an_unknown_path_is_404_with_a_problem(server):
    """§6: "404 `not_found`"; §8: "Errors are problem+json" """
    assert_problem(await exchange(server, upgrade_request(server, "/nowhere")), 404, "not_found")


# -- the framing rules that follow from "RFC 6455"

FRAMING = [
    ("unmasked", {"opcode": 1, "payload": b"{}", "mask": False}, 1002),
    ("rsv2", {"opcode": 1, "payload": b"{}", "rsv": 2}, 1002),
    ("rsv1-without-extension", {"opcode": 1, "payload": b"{}", "rsv": 4}, 1002),
    ("opcode-3", {"opcode": 3, "payload": b"{}"}, 1002),
    ("opcode-11", {"opcode": 11}, 1002),
    ("fragmented-ping", {"opcode": 9, "fin": False}, 1002),
    ("ping-of-126", {"opcode": 9, "payload": b"x" * 126}, 1002),
    ("continuation-first", {"opcode": 0, "payload": b"{}"}, 1002),
    ("length-not-minimal-16", {"opcode": 1, "payload": b"{}", "form": 16}, 1002),
    ("length-not-minimal-64", {"opcode": 1, "payload": b"{}", "form": 64}, 1002),
    ("length-with-top-bit", {"opcode": 1, "length": 1 << 63, "form": 64}, {1002, 1009}),
    ("close-of-one-byte", {"opcode": CLOSE, "payload": b"\x03"}, 1002),
    ("close-1005", {"opcode": CLOSE, "payload": b"\x03\xed"}, 1002),
    ("close-999", {"opcode": CLOSE, "payload": b"\x03\xe7"}, 1002),
    ("close-reason-not-utf8", {"opcode": CLOSE, "payload": b"\x03\xe8\xff"}, 1007),
    ("text-not-utf8", {"opcode": 1, "payload": b'{"type":"\xff"}'}, 1007),
    ("text-surrogate", {"opcode": 1, "payload": b'{"type":"\xed\xa0\x80"}'}, 1007),
]


@clause("6.close-codes", "C1", "M3")
@pytest.mark.parametrize("frame, code", [f[1:] for f in FRAMING], ids=[f[0] for f in FRAMING])
async def test_a_broken_frame_ends_the_connection_with_the_code_of_the_rfc(server, frame, code):
    """§6: "1002, 1007, 1009 — what was wrong"; §2: "RFC 6455" """
    raw = await RawWebSocket.open(server)
    frame = dict(frame)
    await raw.send_frame(frame.pop("opcode"), frame.pop("payload", b""), **frame)
    got, reason = await raw.close_frame()
    assert got in (code if isinstance(code, set) else {code}), (got, reason)
    assert reason
    assert await raw.at_end()


@clause("6.close-codes", "C1")
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0mine"])
async def test_a_close_is_answered_and_the_server_ends_the_tcp_connection(server, payload):
    """§6: "1000 none (the client asked)"; RFC 6455 5.5.1, 7.1.1"""
    raw = await RawWebSocket.open(server)
    await raw.send_frame(CLOSE, payload)
    answer = await raw.frame()
    assert answer.opcode == CLOSE
    assert answer.payload[:2] in (payload[:2], b"\x03\xe8")
    assert await raw.at_end()


@clause("2.upgrade", "C1", "C8")
async def test_a_websocket_ping_is_answered_with_its_payload(server):
    """RFC 6455 5.5.3; also between the fragments of a message."""
    from raw import CONTINUATION, PING, PONG, TEXT

    raw = await RawWebSocket.open(server)
    await raw.send_frame(TEXT, '{"type":"pi', fin=False)
    await raw.send_frame(PING, b"x" * 125)
    pong = await raw.frame()
    assert (pong.opcode, pong.payload, pong.masked) == (PONG, b"x" * 125, False)
    await raw.send_frame(CONTINUATION, "", fin=False)
    await raw.send_frame(CONTINUATION, 'ng","id":7}')
    answer = await raw.message()
    assert json.loads(answer.payload)["id"] == 7
    await raw.send_frame(PONG, b"nobody asked")
    await raw.text('{"type":"ping","id":8}')
    assert json.loads((await raw.message()).payload)["id"] == 8


@clause("6.close-codes", "C1")
async def test_a_new_text_frame_inside_a_fragmented_message_is_1002(server):
    """RFC 6455 5.4"""
    from raw import TEXT

    raw = await RawWebSocket.open(server)
    await raw.send_frame(TEXT, '{"type":', fin=False)
    await raw.send_frame(TEXT, '"ping"}')
    assert (await raw.close_frame())[0] == 1002


@clause("2.upgrade", "C1")
async def test_utf8_may_be_cut_between_fragments(server):
    """RFC 6455 5.6: the whole message is UTF-8, a fragment need not be."""
    from raw import CONTINUATION, TEXT

    raw = await RawWebSocket.open(server)
    text = '{"type":"ping","id":1,"data":"…é😀"}'.encode()
    for i, byte in enumerate(text):
        opcode = TEXT if i == 0 else CONTINUATION
        await raw.send_frame(opcode, bytes([byte]), fin=i == len(text) - 1)
    assert json.loads((await raw.message()).payload)["data"] == "…é😀"


@clause("2.http-400", "C1")
@pytest.mark.parametrize(
    "request_bytes, status",
    [
        (b"HEAD /ws HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"HEAD /healthz HTTP/1.1\r\n\r\n", 400),
        (b"HEAD /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    ],
    ids=["upgrade", "no-host", "long-line"],
)
async def test_a_refused_head_has_no_body(server, request_bytes, status):
    """RFC 9110 §9.3.2: "The HEAD method is identical to GET except that the server MUST NOT send content" """
    raw = await RawSocket.connect(server)
    await raw.send(request_bytes)
    head = await raw.read_until(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert await raw.at_end()


@clause("2.http-408", "C1", "P8")
async def test_a_body_may_take_longer_than_the_head(start):
    """§2: "408 headers not complete"; a body that stops coming ends by `limits.message_timeout`"""
    server = start({"server": {"header_timeout": "500ms"}, "limits": {"message_timeout": "1s"}})
    body = json.dumps({"channel": channel(), "data": "x" * 40}).encode()
    head = f"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    slow, silent = await RawSocket.connect(server), await RawSocket.connect(server)
    await silent.send(head.encode() + body[:10])
    await slow.send(head.encode())
    for i in range(0, len(body), 10):
        await asyncio.sleep(0.3)
        await slow.send(body[i : i + 10])
    assert (await slow.response()).status == 200
    assert_problem(await silent.response(), 408)


@clause("2.http-408", "P7")
async def test_a_body_that_trickles_is_408(start):
    """Issue 4: "slowloris and slow readers bounded": what has come of a body is held for the average of 16 KB/s"""
    server = start({"limits": {"message_timeout": "1s"}})
    head = f"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nContent-Length: 1000000\r\n\r\n"
    raw = await RawSocket.connect(server)
    await raw.send(head.encode() + b"x" * 70_000)

    async def trickle():
        while True:
            await asyncio.sleep(0.1)
            await raw.send(b"x")

    trickling = asyncio.create_task(trickle())
    try:
        assert_problem(await raw.response(timeout_s=60), 408)
    finally:
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)


async def ask_for_four_megabytes(server) -> RawSocket:
    """A connection on which they are the answer to come."""
    name = channel("log")
    batch = {"publish": [{"channel": name, "data": "x" * 4000} for _ in range(250)]}
    for _ in range(4):
        body = json.dumps(batch).encode()
        answer = await exchange(
            server,
            b"POST /api/v1/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + f"X-API-Key: {API_KEY}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body,
        )
        assert answer.status == 200
    raw = await RawSocket.connect(server, receive_buffer=2048)
    await raw.send(
        f"GET /api/v1/channels/{name.replace(':', '%3A')}/history?limit=1000 HTTP/1.1\r\nHost: x\r\n"
        f"X-API-Key: {API_KEY}\r\n\r\n".encode()
    )
    return raw


@clause("6.write-timeout", "P7")
async def test_an_answer_that_is_read_slowly_all_the_time_is_not_cut(start):
    """§6: only who "takes not one byte" for `server.write_timeout`, and who takes less than 16 kB/s"""
    server = start({"server": {"write_timeout": "1s"}})
    raw = await ask_for_four_megabytes(server)
    await raw.take(300_000, 40_000)


@clause("6.write-timeout", "P7")
async def test_an_answer_that_is_read_at_a_trickle_is_cut(start):
    """Issue 4: "slowloris and slow readers bounded": a page that is never quite read is not kept"""
    server = start({"server": {"write_timeout": "5s"}})
    raw = await ask_for_four_megabytes(server)
    before = server.descriptors()
    async with asyncio.timeout(60):
        taken = 0
        while server.descriptors() >= before and (
            more := await asyncio.get_running_loop().sock_recv(raw.sock, 1050)
        ):
            taken += len(more)
            await asyncio.sleep(0.1)
    assert taken < 4_000_000
