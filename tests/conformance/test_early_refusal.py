"""Protocol §8: who may not send a body is told so before it is taken."""

from __future__ import annotations

import asyncio
import json

import pytest
from client import channel
from raw import RawSocket
from server import API_KEY
from tokens import mint

clause = pytest.mark.clause
SERVER = {}
MEGABYTES_10 = 10 * 1024 * 1024


def head(server, path: str, *, method: str = "POST", length: int | None = MEGABYTES_10, **fields) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {server.host}:{server.port}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    lines += [f"Content-Length: {length}"] if length is not None else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def refused(server, request: bytes, status: int, code: str | None, then: bytes = b"") -> None:
    raw = await RawSocket.connect(server)
    await raw.send(request)
    if then:
        await raw.send(then)
    answer = await raw.response()
    assert answer.status == status, answer
    if code:
        assert json.loads(answer.body)["code"] == code
    assert answer.header("connection") == "close"
    assert await raw.at_end()


@clause("8.http", "P8")
@pytest.mark.parametrize("key", [None, "tw_wrong"])
async def test_without_a_good_key_no_body_is_taken(server, key):
    fields = {"Authorization": f"Bearer {key}"} if key else {}
    await refused(server, head(server, "/api/v1/batch", **fields), 403, "forbidden")
    chunked = head(server, "/api/v1/batch", length=None, Transfer_Encoding="chunked", **fields)
    await refused(server, chunked, 403, "forbidden", b"5\r\nabcde\r\n")


@clause("8.http", "P8")
async def test_a_bad_token_no_method_and_no_path_are_told_at_once(server):
    bad = mint("ada", key="another-secret-of-thirty-two-bytes-or-more")
    await refused(
        server, head(server, "/api/v1/publish", Authorization=f"Bearer {bad}"), 401, "token_invalid"
    )
    await refused(server, head(server, "/api/v1/publish"), 401, "unauthorized")
    await refused(server, head(server, "/no/such/path"), 404, "not_found")
    await refused(server, head(server, "/api/v1/channels"), 405, None)


@clause("8.http", "P8")
async def test_who_waits_for_100_continue_gets_the_refusal_in_its_place(server):
    raw = await RawSocket.connect(server)
    await raw.send(head(server, "/api/v1/batch", Expect="100-continue"))
    first = await raw.read_until(b"\r\n")
    assert first.startswith(b"HTTP/1.1 403"), first
    raw = await RawSocket.connect(server)
    body = json.dumps({"publish": [{"channel": channel(), "data": 1}]}).encode()
    good = head(server, "/api/v1/batch", length=len(body), Expect="100-continue", X_API_Key=API_KEY)
    await raw.send(good)
    assert (await raw.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    await raw.send(body)
    assert (await raw.response()).status == 200


@clause("8.http", "P8")
async def test_the_refusal_arrives_also_when_the_body_is_on_its_way(server):
    raw = await RawSocket.connect(server)
    await raw.send(head(server, "/api/v1/batch", X_API_Key="tw_wrong"))
    piece = b"x" * 65536
    sent = 0
    while sent < MEGABYTES_10:  # as a client does that does not look
        try:
            await raw.send(piece)
        except ConnectionError:
            break
        sent += len(piece)
    answer = await raw.response()
    assert answer.status == 403 and answer.header("connection") == "close"


@clause("8.http", "P8")
@pytest.mark.parametrize("path", ["/healthz", "/api/ws/health", "/sse", "/demo/", "/metrics"])
async def test_a_large_body_that_nobody_would_read_is_not_taken(server, path):
    request = head(server, path, method="GET")
    await refused(server, request, 413, "too_large", b"x" * 400_000)


@clause("8.http", "P8")
async def test_a_small_body_that_nobody_reads_is_forgiven_however_it_comes(server):
    for pieces in (1, 2):
        raw = await RawSocket.connect(server)
        request = head(server, "/healthz", method="GET", length=5)
        if pieces == 1:
            await raw.send(request + b"hello")
        else:
            await raw.send(request)
            await asyncio.sleep(0.05)
            await raw.send(b"hello")
        assert (await raw.response()).status == 200


@clause("8.http", "P8")
async def test_a_body_on_an_upgrade_is_not_taken(server):
    await refused(server, head(server, "/ws", method="GET"), 400, "invalid_message")


@clause("8.http", "P8")
@pytest.mark.parametrize("path", ["/api/v1/publish", "/api/v1/broadcast", "/api/v1/users/ann/notify"])
async def test_each_path_s_bound_holds_for_what_is_announced_and_for_what_comes(server, path):
    """§8: "Bodies up to `limits.message_bytes`, a batch 16 MiB" """
    over = 1024 * 1024 + 1  # the default
    await refused(server, head(server, path, length=over, X_API_Key=API_KEY), 413, "too_large")
    raw = await RawSocket.connect(server)
    await raw.send(head(server, path, length=over, Expect="100-continue", X_API_Key=API_KEY))
    assert (await raw.read_until(b"\r\n")).startswith(b"HTTP/1.1 413")
    chunked = head(server, path, length=None, Transfer_Encoding="chunked", X_API_Key=API_KEY)
    pieces = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    await refused(server, chunked, 413, "too_large", pieces * 17)
    body = json.dumps({"channel": channel(), "data": "x" * 1_000_000}).encode()
    raw = await RawSocket.connect(server)
    await raw.send(head(server, path, length=len(body), X_API_Key=API_KEY))
    await raw.send(body)
    assert (await raw.response()).status == 200


@clause("8.http", "P8")
async def test_a_user_s_token_is_held_to_the_same_bound(server):
    ask = head(server, "/api/v1/publish", length=1024 * 1024 + 1, Authorization=f"Bearer {mint('ada')}")
    await refused(server, ask, 413, "too_large")


@clause("8.http", "P8")
async def test_a_large_batch_of_somebody_who_may_is_taken(server):
    body = json.dumps({"publish": [{"channel": channel(), "data": "x" * 900_000} for _ in range(12)]}).encode()
    raw = await RawSocket.connect(server)
    await raw.send(head(server, "/api/v1/batch", length=len(body), X_API_Key=API_KEY))
    for at in range(0, len(body), 500_000):
        await raw.send(body[at : at + 500_000])
    answer = await raw.response()
    assert answer.status == 200 and len(json.loads(answer.body)["results"]) == 12
