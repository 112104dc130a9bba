"""Unusual behaviour (requirement P3): reported with its evidence, and acted on where configured."""

from __future__ import annotations

import asyncio
import re

import pytest
from client import Client, channel, eventually, unique
from tokens import mint

clause = pytest.mark.clause
FLOOD = 3000


def settings(**anomaly) -> dict:
    return {"anomaly": anomaly}


async def flood(client: Client) -> None:
    for _ in range(FLOOD - 1):
        await client.send({"type": "ping"})
    await client.request({"type": "ping"})


async def scan(client: Client) -> None:
    for i in range(200):
        await client.send({"type": "subscribe", "channel": f"nowhere{i}:x"})
    await client.request({"type": "ping"})


def counted(http, server, kind: str) -> float:
    text = http(server, "GET", "/metrics").text
    found = re.search(rf'^tidewire_anomalies_total\{{kind="{kind}"\}} (\S+)$', text, re.MULTILINE)
    return float(found.group(1))


@clause("P3")
@pytest.mark.parametrize(("misbehave", "kind"), [(flood, "burst"), (scan, "channel_scan")])
async def test_it_is_reported_in_log_and_metrics(start, http, misbehave, kind):
    server = start()
    name = unique("u")
    client = await Client.connect(server, mint(name))
    await misbehave(client)
    await client.close()  # judged at once, not with the next window
    await eventually(lambda: counted(http, server, kind) == 1, "the count")
    line = await eventually(
        lambda: next((row for row in server.log().splitlines() if "anomaly" in row and name in row), None), "the line"
    )
    assert kind in line and " in 10 s; this user's usual" in line and "report" in line
    again = await Client.connect(server, mint(name))
    reply = await again.publish(channel(), "reported only")
    assert reply["seq"] == 1


@clause("P3")
async def test_refuse_refuses_the_user_and_nobody_else(start):
    server = start(settings(action="refuse", hold="1h"))
    name = unique("u")
    client = await Client.connect(server, mint(name))
    await flood(client)
    await client.close()
    other = await Client.connect(server, mint(unique("v")))
    await other.publish(channel(), "fine")

    async def held():
        again = await Client.connect(server, mint(name))
        reply = await again.request({"type": "publish", "channel": channel(), "data": 1})
        await again.close()
        return reply if reply["type"] == "error" else None

    refused = await eventually(held, "the refusal")
    assert refused["code"] == "rate_limited"
    assert 0 < refused["retry_after_ms"] <= 3_600_000 + 1000
    again = await Client.connect(server, mint(name))
    assert (await again.request({"type": "ping"}))["type"] == "pong", "what is not counted is not refused"
    await other.publish(channel(), "still fine")


@clause("P3")
@pytest.mark.slow_clock(60)
async def test_the_holds_own_refusals_do_not_lengthen_it(start, http):
    """Clarifications: "with what remains of `anomaly.hold`"; what is refused meanwhile counts in nothing"""
    server = start(settings(action="refuse", hold="12s"))
    client = await Client.connect(server, mint(unique("u")))
    await flood(client)

    async def ask() -> dict:
        return await client.request({"type": "publish", "channel": "room:hold", "data": 1})

    refusal: dict = {}
    for _ in range(150):  # the window ends ten seconds after its first message
        refusal = await ask()
        if refusal["type"] == "error" and "unusual" in refusal["message"]:
            break
        await asyncio.sleep(0.1)
    assert refusal["code"] == "rate_limited", refusal
    assert refusal["retry_after_ms"] <= 12_000
    left_ms = refusal["retry_after_ms"]
    while refusal["type"] == "error" and "unusual" in refusal["message"]:
        assert refusal["retry_after_ms"] <= left_ms
        left_ms = refusal["retry_after_ms"]
        await asyncio.sleep(0.1)
        refusal = await ask()
    assert left_ms < 3000, "it ended when it was said to"
    assert counted(http, server, "burst") == 1
    assert counted(http, server, "error_flood") == 0


@clause("P3")
async def test_slow_halves_the_rate(start):
    limits = {"limits": {"burst": 1000, "messages_per_minute": 1000, "penalty": "0s"}}
    server = start(settings(action="slow", hold="1h") | limits)
    name = unique("u")
    client = await Client.connect(server, mint(name))
    await flood(client)
    await client.close()

    async def passes() -> int:
        again = await Client.connect(server, mint(name))
        room = channel()
        for i in range(1000):
            await again.send({"type": "publish", "channel": room, "data": i, "id": i})
        replies = [await again.expect(id=i) for i in range(1000)]
        await again.close()
        return sum(r["type"] == "published" for r in replies)

    assert 500 <= await passes() < 700


@clause("P3")
async def test_off_looks_for_nothing(start, http):
    server = start(settings(action="off"))
    client = await Client.connect(server, mint(unique("u")))
    await flood(client)
    await client.close()
    assert counted(http, server, "burst") == 0


@clause("P3", "P2")
@pytest.mark.slow_clock(60)
async def test_calls_over_http_are_watched_like_messages(start, http):
    """A user who scans by HTTP calls is found too, and refused on every way."""
    server = start(settings(action="refuse", hold="1h"))
    name = unique("u")
    token = mint(name)

    def call(room: str):
        return http(server, "POST", "/api/v1/publish", key=token, json={"channel": room, "data": 1})

    def scan_by_calls():
        for i in range(200):
            assert call(f"nowhere{i}:x").status_code == 404

    await asyncio.to_thread(scan_by_calls)
    # Nothing follows: the silence ends the window.
    await eventually(lambda: counted(http, server, "channel_scan") == 1, "the count", 30)
    refused = call(channel())
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) > 3000
    stream = http(server, "GET", f"/sse?channels={channel()}", key=token)
    assert (stream.status_code, stream.json()["code"]) == (429, "rate_limited")
    client = await Client.connect(server, token)
    await client.expect_error({"type": "publish", "channel": channel(), "data": 1}, "rate_limited")
    other = http(server, "POST", "/api/v1/publish", key=mint(unique("v")), json={"channel": channel(), "data": 1})
    assert other.status_code == 200


@clause("P3", "P2")
@pytest.mark.parametrize(("action", "learns"), [("report", False), ("slow", True)])
async def test_the_users_record_learns_of_it_where_it_is_acted_on(start, action, learns):
    """`report` only reports; with `slow` the limit stays lower when the hold is over"""
    limits = {"limits": {"adaptive": True, "burst": 1000, "messages_per_minute": 1000, "penalty": "0s"}}
    server = start(settings(action=action, hold="1s") | limits)
    name = unique("u")
    client = await Client.connect(server, mint(name))
    await flood(client)
    await client.close()
    await eventually(lambda: "kind=burst" in server.log(), "the line")
    await asyncio.sleep(1.2)  # the hold is over

    again = await Client.connect(server, mint(name))
    room = channel()
    for i in range(1000):
        await again.send({"type": "publish", "channel": room, "data": i, "id": i})
    replies = [await again.expect(id=i) for i in range(1000)]
    passed = sum(r["type"] == "published" for r in replies)
    assert (passed < 900) is learns, passed
