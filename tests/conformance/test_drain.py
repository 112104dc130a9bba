"""Protocol §9: what HTTP is answered while the server drains."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from client import Client, channel, unique
from raw import RawSocket, exchange, upgrade_request
from server import API_KEY
from tokens import mint

clause = pytest.mark.clause
SETTINGS = {"server": {"drain_timeout": "3s"}}


def request(server, method: str, path: str, body: bytes = b"", **fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {server.host}:{server.port}", f"X-API-Key: {API_KEY}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    lines += [f"Content-Length: {len(body)}"] if method == "POST" else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def publish(server, name: str, data: object = 1, **fields: str) -> bytes:
    return request(server, "POST", "/api/v1/publish", json.dumps({"channel": name, "data": data}).encode(), **fields)


async def draining(server) -> Client:
    """Begins a drain, and holds it open by a connection, which is told of it."""
    client = await Client.connect(server, mint(unique("u")))
    server.terminate()
    assert (await client.expect(type="reconnect"))["reason"] == "draining"
    return client


async def begun(server, part: bytes) -> RawSocket:
    """A connection of whose request the server has read this part: it came together with one that is answered."""
    raw = await RawSocket.connect(server)
    await raw.send(request(server, "GET", "/healthz") + part)
    assert (await raw.response()).status == 200
    return raw


def assert_draining(answer) -> None:
    assert answer.status == 503, answer
    assert answer.header("content-type") == "application/problem+json"
    problem = json.loads(answer.body)
    assert problem["code"] == "unavailable" and problem["retry_after_ms"] > 0, problem
    assert int(answer.header("retry-after")) > 0
    assert answer.header("connection") == "close"


@clause("9.drain", "O5")
@pytest.mark.parametrize("sent", [30, -10], ids=["half a head", "half a body"])
async def test_a_request_under_way_is_finished_and_answered(start, sent):
    """§9: "live connections end within min(`server.drain_timeout`, 5 s)", and not without an answer"""
    server = start(SETTINGS)
    name = channel("log")
    whole = publish(server, name, "x" * 50)
    raw = await begun(server, whole[:sent])
    client = await draining(server)
    await raw.send(whole[sent:])
    answer = await raw.response()
    assert answer.status == 200 and json.loads(answer.body)["seq"] == 1, answer
    assert answer.header("connection") == "close" and await raw.at_end()
    assert (await client.publish(name, 2))["seq"] == 2  # it really is there
    assert await asyncio.to_thread(server.wait) == 0


@clause("9.drain", "O5")
async def test_who_waits_for_100_continue_is_under_way_too(start):
    server = start(SETTINGS)
    body = json.dumps({"channel": channel("log"), "data": 1}).encode()
    whole = request(server, "POST", "/api/v1/publish", body, Expect="100-continue")
    raw = await RawSocket.connect(server)
    await raw.send(whole[: -len(body)])
    assert (await raw.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    await draining(server)
    await raw.send(body)
    assert (await raw.response()).status == 200


@clause("9.drain", "O5")
async def test_new_requests_are_503_and_probes_are_answered(start):
    """§9: "the listener stays open and answers 503"; §8: `/healthz`, `/readyz` (503 while draining), `/metrics`"""
    server = start(SETTINGS)
    name = channel("log")
    origin = {"Origin": f"http://{server.host}:{server.port}"}
    client = await draining(server)
    for bytes_ in (
        publish(server, name),
        publish(server, name, Expect="100-continue"),
        request(server, "GET", "/api/v1/channels"),
        request(server, "GET", "/sse?channel=room:a"),
        request(server, "GET", "/nowhere"),
        upgrade_request(server),
    ):
        assert_draining(await exchange(server, bytes_))
    answer = await exchange(server, publish(server, name, **origin))
    assert_draining(answer)
    assert answer.header("access-control-allow-origin") == origin["Origin"]
    assert (await exchange(server, request(server, "GET", "/healthz"))).status == 200
    assert (await exchange(server, request(server, "GET", "/readyz"))).status == 503
    assert b"tidewire_" in (await exchange(server, request(server, "GET", "/metrics"))).body
    assert (await client.publish(name, 1))["seq"] == 1, "nothing was appended by what was refused"


@clause("9.drain", "O5")
async def test_a_large_new_body_is_refused_by_its_head(start):
    server = start(SETTINGS)
    await draining(server)
    raw = await RawSocket.connect(server)
    await raw.send(publish(server, channel("log"), "x" * 900_000)[:1000])
    assert_draining(await raw.response())


@clause("9.drain", "O5")
async def test_an_unfinished_request_is_answered_at_the_end_of_the_drain(start):
    server = start({"server": {"drain_timeout": "500ms"}})
    raw = await begun(server, publish(server, channel("log"), "x" * 50)[:-10])
    server.terminate()
    assert_draining(await raw.response())
    assert await asyncio.to_thread(server.wait) == 0


@clause("9.drain", "O5")
async def test_idle_kept_alive_connections_do_not_hold_it_up(start):
    server = start({"server": {"drain_timeout": "5s"}})
    idle = [await RawSocket.connect(server) for _ in range(5)]
    for raw in idle:
        await raw.send(request(server, "GET", "/healthz"))
        assert (await raw.response()).header("connection") is None
    began = time.monotonic()
    server.terminate()
    for raw in idle:
        assert await raw.at_end()
        raw.close()
    assert await asyncio.to_thread(server.wait) == 0
    assert time.monotonic() - began < 4.5


@clause("9.drain", "O5")
async def test_every_channel_is_served_to_the_last_connection(start):
    """§5: "each connection is served until it is closed": also by shards that have none left"""
    server = start({"server": {"drain_timeout": "3s", "shards": 4}})
    client = await draining(server)
    await asyncio.sleep(0.5)
    for _ in range(12):
        assert (await client.publish(channel("log"), 1))["seq"] == 1
        assert_draining(await exchange(server, request(server, "GET", "/api/v1/channels")))
    assert await client.closed() == (1012, "draining")
    assert await asyncio.to_thread(server.wait) == 0
