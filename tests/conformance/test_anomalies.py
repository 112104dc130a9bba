"""Unusual behaviour (requirement P3): reported with its evidence, and acted on where configured."""

from __future__ import annotations

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
    found = re.search(r'^tidewire_anomalies_total\{kind="%s"\} (\S+)$' % kind, text, re.MULTILINE)
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
