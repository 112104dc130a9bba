"""Protocol §5 guarantees 2 and 4, requirement P7: who does not read costs nobody anything."""

from __future__ import annotations

import asyncio
import json

import pytest
from client import Client, channel, unique
from model import sleeper
from raw import CLOSE, RawWebSocket
from server import memory_bound_kib
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "limits": {"outbound_bytes": 65536},
        "heartbeat": {"interval": "20s"},
        "namespaces": {
            "short": {"kind": "stream", "durability": "memory", "history_messages": 300},
            "long": {"kind": "stream", "durability": "disk", "history_messages": 100000},
            "last": {"kind": "stream", "durability": "memory", "history_messages": 1},
            "less": {"kind": "stream", "durability": "memory", "history_messages": 1000, "priority": "low"},
            "most": {"kind": "stream", "durability": "memory", "priority": "critical"},
        },
    }
}
BODY = "x" * 16000


async def user(server) -> Client:
    return await Client.connect(server, mint(unique("u")))


async def read_all(raw: RawWebSocket, last: int, *, gaps: bool) -> int:
    """Reads up to seq `last`; every seq in order, or a gap that covers it. How many came as messages."""
    following, messages = 1, 0
    while following <= last:
        frame = await raw.message(timeout_s=15)
        assert frame.opcode != CLOSE, frame
        message = json.loads(frame.payload)
        if message["type"] == "gap":
            assert gaps, message
            assert message["from"] == following <= message["to"], (following, message)
            following = message["to"] + 1
        else:
            assert message["type"] == "message", message
            assert message["seq"] == following, (following, message["seq"])
            assert message["data"][1] == BODY
            following, messages = following + 1, messages + 1
    assert following == last + 1
    return messages


async def publish(client: Client, name: str, count: int, reader: Client | None = None) -> None:
    """Publishes in windows of 100, each read by `reader` before the next: nobody else waits for it."""
    for first in range(0, count, 100):
        for i in range(first, first + 100):
            await client.send({"type": "publish", "channel": name, "data": [i + 1, BODY], "id": i})
        for i in range(first, first + 100):
            assert (await client.expect(id=i))["type"] == "published"
            if reader:
                message = await reader.expect(type="message", channel=name)
                assert (message["seq"], message["data"][1]) == (i + 1, BODY)


@clause("5.slow-reader", "P7", "M6")
@pytest.mark.slow_clock(90)
async def test_sleeping_subscribers_cost_no_memory_and_catch_up_with_a_gap(server):
    """§5: "A subscriber gets every seq, or a `gap`/`snapshot` that covers it. A slow one … is not cut off
    and does not grow the server's memory" """
    name = channel("short")
    count = 4000  # 64 MB for each subscriber; the log keeps 4.8 MB of them
    publisher, reader = await user(server), await user(server)
    await reader.subscribe(name)
    await publish(publisher, name, 400, reader)  # the log is full, the allocator warm
    other = channel("short")
    await reader.subscribe(other)
    sleepers = [(await sleeper(server, other))[0] for _ in range(10)]
    before = server.memory_kib()

    await publish(publisher, other, count, reader)
    grown = server.memory_kib() - before
    assert grown < memory_bound_kib(24 * 1024), f"{grown} KiB more for {len(sleepers)} sleeping subscribers"
    counts = await asyncio.gather(*(read_all(raw, count, gaps=True) for raw in sleepers))
    assert all(100 <= n < count for n in counts), counts
    await publisher.publish(other, [count + 1, BODY])  # and they are live again
    for raw in sleepers:
        m = json.loads((await raw.message()).payload)
        assert (m["type"], m["seq"]) == ("message", count + 1)


@clause("5.slow-reader", "P7", "M6")
@pytest.mark.slow_clock(90)
async def test_a_sleeping_subscriber_of_a_long_log_gets_every_message(server):
    """§5: "past its outbound budget a subscription stops being pushed to and is caught up from the log at
    its own pace" """
    name = channel("long")
    count = 1500
    publisher = await user(server)
    raw, _ = await sleeper(server, name)
    await publish(publisher, name, count)
    assert await read_all(raw, count, gaps=False) == count


@clause("5.slow-reader", "P7")
async def test_a_sleeping_subscriber_still_gets_its_replies_in_order(server):
    """§5: a backlog of deliveries loses no reply: the pong comes, and every message after it or before"""
    name = channel("long")
    publisher = await user(server)
    raw, _ = await sleeper(server, name)
    await publish(publisher, name, 300)
    await raw.text('{"type":"ping","id":"me"}')
    seen, pong = [], False
    while not pong or len(seen) < 300:
        message = json.loads((await raw.message()).payload)
        if message["type"] == "pong":
            pong = True
        else:
            seen.append(message["seq"])
    assert seen == list(range(1, 301))


@clause("5.slow-reader", "P7", "C5")
async def test_a_sleeping_publisher_of_large_replies_does_not_grow_the_server(server):
    """P7: "slow readers never grow memory without bound": nor do requests whose replies nobody reads"""
    publisher = await user(server)
    name = channel("short")
    await publish(publisher, name, 100)
    raw, _ = await sleeper(server, name)
    before = server.memory_kib()
    request = json.dumps({"type": "history", "channel": name, "limit": 100})
    try:
        for _ in range(300):  # 480 MB of replies
            await raw.text(request)
    except (TimeoutError, ConnectionError):
        pass  # the server has stopped reading, or has ended it: both keep its memory
    for _ in range(20):
        assert (await publisher.request({"type": "ping"}))["type"] == "pong"
    grown = server.memory_kib() - before
    assert grown < memory_bound_kib(64 * 1024), f"{grown} KiB for unread replies"
    raw.reset()


def batch(http, server, name: str, count: int, body: str = BODY) -> None:
    """All of it in one call, which a server may carry out in one turn."""
    messages = [{"channel": name, "data": [i + 1, body]} for i in range(count)]
    reply = http(server, "POST", "/api/v1/batch", json={"publish": messages})
    assert [r["seq"] for r in reply.json()["results"]] == list(range(1, count + 1))


@clause("5.slow-reader", "P7", "M6")
async def test_a_batch_goes_no_further_than_the_budget(server, http):
    """§5: "past its outbound budget a subscription stops being pushed to and is caught up from the log", in
    the middle of a batch too: of 12.8 MB a reader that does not read gets what lies in the socket and in the
    budget, and then the one message that the log keeps"""
    name = channel("last")
    raw, _ = await sleeper(server, name)
    batch(http, server, name, 800)
    assert await read_all(raw, 800, gaps=True) < 250


@clause("5.slow-reader", "P7", "M6")
async def test_batches_to_sleeping_subscribers_cost_no_memory(server, http):
    """§5: "does not grow the server's memory" """
    for _ in range(3):
        batch(http, server, channel("last"), 800)  # the allocator is warm
    names = [channel("last") for _ in range(12)]
    sleepers = [(await sleeper(server, name))[0] for name in names]
    before = server.memory_kib()
    for name in names:
        batch(http, server, name, 800)  # 154 MB in all
    grown = server.memory_kib() - before
    assert grown < memory_bound_kib(48 * 1024), f"{grown} KiB more for {len(sleepers)} sleeping subscribers"


@clause("5.order", "P7")
async def test_a_higher_priority_goes_before_the_rest_of_a_batch(server, http):
    """§5: "Across channels a higher priority goes first when a connection has a backlog" """
    low, high = channel("less"), channel("most")
    raw, _ = await sleeper(server, low)
    await raw.text(json.dumps({"type": "subscribe", "channel": high}))
    assert b'"subscribed"' in (await raw.message()).payload
    batch(http, server, low, 800)
    batch(http, server, high, 3, "now")
    order = [json.loads((await raw.message(timeout_s=15)).payload) for _ in range(803)]
    assert [m["seq"] for m in order if m["channel"] == low] == list(range(1, 801))
    assert [m["seq"] for m in order if m["channel"] == high] == [1, 2, 3]
    assert max(i for i, m in enumerate(order) if m["channel"] == high) < 300


@clause("5.slow-reader", "P7")
async def test_a_message_larger_than_the_budget_still_goes(server, http):
    """§9: `limits.outbound_bytes` is what waits, not what a message may have"""
    reader, name = await user(server), channel("less")
    await reader.subscribe(name)
    batch(http, server, name, 20, "x" * 300_000)
    assert [(m["seq"], len(m["data"][1])) for m in await reader.deliveries(name, 20)] == [
        (i, 300_000) for i in range(1, 21)
    ]
