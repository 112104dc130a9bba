"""Protocol §5 guarantee 1, requirement M4: one order for all, contiguous, FIFO per sender."""

from __future__ import annotations

import asyncio
import random

import pytest
from client import Client, channel, unique
from model import post, post_all
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "namespaces": {"large": {"kind": "stream", "durability": "memory", "history_messages": 50000}}
    }
}
FIRST = {"session": {"event": "join"}, "agent": {"event": "start"}}
EVENTS = {"session": ({}, {"event": "typing"}), "agent": ({"event": "delta"}, {"event": "status"})}


async def user(server) -> Client:
    return await Client.connect(server, mint(unique("u")))


async def collect(client: Client, name: str, count: int) -> list[tuple[int, object]]:
    return [(m["seq"], m["data"]) for m in await client.deliveries(name, count, timeout_s=20)]


def assert_fifo(order: list, senders: int, each: int) -> None:
    for sender in range(senders):
        assert [n for s, n in order if s == sender] == list(range(1, each + 1)), sender


@clause("5.order", "M4")
@pytest.mark.parametrize("namespace", ["large", "log"])
async def test_all_subscribers_see_one_contiguous_order_and_each_sender_fifo(server, namespace):
    """§5: "Each subscriber sees a channel's messages by ascending seq, with no repeat …; the order is the
    same for all subscribers. Messages of one connection to one channel keep the order in which they were
    sent" """
    senders, readers, each = 10, 10, 100
    name = channel(namespace)
    clients = await asyncio.gather(*(user(server) for _ in range(senders + readers)))
    await asyncio.gather(*(c.subscribe(name) for c in clients))
    publishing = [
        asyncio.create_task(c.publish_many(name, each, lambda i, s=s: [s, i]))
        for s, c in enumerate(clients[:senders])
    ]
    seen = await asyncio.gather(*(collect(c, name, senders * each) for c in clients))
    replies = await asyncio.gather(*publishing)
    assert [seq for seq, _ in seen[0]] == list(range(1, senders * each + 1))
    assert all(other == seen[0] for other in seen)
    assert_fifo([data for _, data in seen[0]], senders, each)
    for sender, own in enumerate(replies):  # what `published` promised is where it stands
        for i, reply in enumerate(own, 1):
            assert seen[0][reply["seq"] - 1][1] == [sender, i]


@clause("5.order", "4.publish-ephemeral", "M4")
@pytest.mark.parametrize("how", ["pipelined", "batch"])
@pytest.mark.parametrize("namespace", ["large", "log", "session", "agent", "doc"])
async def test_ephemeral_messages_keep_their_place_among_the_others(server, http, namespace, how):
    """§5: "Messages of one connection to one channel keep the order in which they were sent": ephemeral ones and
    those that wait for the disk [M4]"""
    name, sender = channel(namespace), await user(server)
    await post(sender, name, **FIRST.get(namespace, {"data": {}}))
    await sender.subscribe(name)
    kept, passing = EVENTS.get(namespace, ({}, {"event": "e"}))
    events = []
    for i in range(20):
        events += [kept | {"data": {"text": f"{i}"}}, passing | {"data": {"text": f"e{i}"}, "ephemeral": True}]
    if how == "batch":
        body = {"publish": [{"channel": name} | event for event in events]}
        answer = http(server, "POST", "/api/v1/batch", json=body)
        assert answer.status_code == 200, answer.text
    else:
        await post_all(sender, name, events)
    got = [m["data"]["text"] for m in await sender.deliveries(name, len(events))]
    assert got == [text for i in range(20) for text in (f"{i}", f"e{i}")]


@clause("5.order", "M4", "C9")
async def test_order_and_completeness_hold_over_reconnects(server):
    """M4: "under full load and over reconnects"; §5: "A subscriber gets every seq" """
    senders, each = 4, 250
    total = senders * each
    name = channel("large")
    first = await user(server)
    epoch = (await first.subscribe(name))["epoch"]

    async def publish(sender: int):
        client = await user(server)
        for i in range(1, each + 1):
            await client.publish(name, [sender, i])

    async def wander(seed: int) -> list:
        """Follows the channel and is cut off again and again, by close or by reset."""
        chance = random.Random(seed)
        seen: list = []
        while len(seen) < total:
            client = await user(server)
            reply = await client.subscribe(name, since={"epoch": epoch, "seq": len(seen)})
            assert reply["recovered"] is True, reply
            for m in reply["messages"]:
                seen.append((m["seq"], m["data"]))
            for _ in range(chance.randint(1, 150)):
                if len(seen) >= total:
                    break
                m = await client.expect(type="message", channel=name, timeout_s=20)
                seen.append((m["seq"], m["data"]))
            await (client.reset() if chance.random() < 0.5 else client.close())
        return seen

    results = await asyncio.gather(
        collect(first, name, total), *(wander(s) for s in range(6)), *(publish(s) for s in range(senders))
    )
    steady, wanderers = results[0], results[1:7]
    assert [seq for seq, _ in steady] == list(range(1, total + 1))
    assert all(seen == steady for seen in wanderers)
    assert_fifo([data for _, data in steady], senders, each)


@clause("5.order", "M4")
async def test_priority_never_reorders_within_a_channel(server):
    """§5: "within a channel priority never reorders" """
    name = channel("large")
    a, b = await user(server), await user(server)
    await b.subscribe(name)
    levels = ["low", "critical", "medium", "high"]
    for i in range(200):
        await a.send({"type": "publish", "channel": name, "data": i, "priority": levels[i % 4]})
    assert [m["data"] for m in await b.deliveries(name, 200)] == list(range(200))


@clause("5.order", "M4")
async def test_many_channels_at_once_each_keep_their_order(server):
    """§1: "a channel's message number: starts at 1, grows by exactly 1" """
    names = [channel() for _ in range(30)]
    reader, writers = await user(server), await asyncio.gather(*(user(server) for _ in range(3)))
    await reader.send({"type": "subscribe", "channels": names, "id": "s"})
    await reader.take(30, id="s")
    for i in range(600):
        await writers[i % 3].send({"type": "publish", "channel": names[i % 30], "data": i})
    got: dict[str, list] = {name: [] for name in names}
    for message in await reader.take(600, type="message"):
        got[message["channel"]].append(message["seq"])
    assert all(seen == list(range(1, 21)) for seen in got.values())


@clause("5.message", "C4", "M2")
async def test_one_broadcast_reaches_100_connections(server):
    """M2: "broadcast to all" of a channel's subscribers"""
    name = channel()
    clients = await asyncio.gather(*(user(server) for _ in range(100)))
    await asyncio.gather(*(c.subscribe(name) for c in clients))
    await clients[0].publish(name, "all")
    got = await asyncio.gather(*(c.deliveries(name, 1) for c in clients))
    assert {(m[0]["seq"], m[0]["data"]) for m in got} == {(1, "all")}
