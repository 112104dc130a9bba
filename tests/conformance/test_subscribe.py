"""Protocol §5 `subscribed`: positions, recovery, trimming, epochs, history, large catch-ups."""

from __future__ import annotations

import asyncio

import pytest
from client import Client, channel, unique
from tokens import mint

clause = pytest.mark.clause


def stream(**options) -> dict:
    return {"kind": "stream", "durability": "memory", "history_ttl": "10m"} | options


SERVER = {
    "settings": {
        "namespaces": {
            "small": stream(history_messages=5),
            "large": stream(history_messages=20000),
            "brief": stream(history_messages=100, history_ttl="1s"),
        }
    }
}


async def user(server) -> Client:
    return await Client.connect(server, mint(unique("u")))


def seqs(messages: list[dict]) -> list[int]:
    return [m["seq"] for m in messages]


async def filled(server, name: str, count: int, make=lambda i: i) -> str:
    """A channel with `count` messages; its epoch."""
    publisher = await user(server)
    replies = await publisher.publish_many(name, count, make)
    await publisher.close()
    return replies[-1]["epoch"]


@clause("5.recovered", "M7", "M4")
@pytest.mark.parametrize("namespace", ["room", "log"])
@pytest.mark.parametrize("seen", [0, 1, 7, 19, 20])
async def test_a_position_is_recovered_with_exactly_what_was_missed(server, namespace, seen):
    """§5: "`recovered` true means that `messages` plus what follows live leaves no gap"; "seq 0 asks for
    everything" """
    name = channel(namespace)
    epoch = await filled(server, name, 20)
    client = await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": seen})
    assert reply["recovered"] is True and "reason" not in reply
    assert (reply["seq"], reply["epoch"]) == (20, epoch)
    assert seqs(reply["messages"]) == list(range(seen + 1, 21))
    assert [m["data"] for m in reply["messages"]] == list(range(seen + 1, 21))
    await client.publish(name, "live")
    assert seqs(await client.deliveries(name, 1)) == [21]
    assert await client.barrier() == []


@clause("5.subscribed", "M7")
async def test_messages_in_subscribed_have_their_members(server):
    """§5: the entries of `messages` carry what a delivery carries"""
    name = channel()
    alice = await Client.connect(server, mint("alice", type="creator"))
    epoch = (await alice.publish(name, {"x": 1}, event="hello", priority="high"))["epoch"]
    client = await user(server)
    entry = (await client.subscribe(name, since={"epoch": epoch, "seq": 0}))["messages"][0]
    assert (entry["seq"], entry["data"], entry["event"], entry["priority"]) == (1, {"x": 1}, "hello", "high")
    assert entry["from"]["user"] == {"id": "alice", "type": "creator"}
    assert isinstance(entry["timestamp"], int)


@clause("5.recovered-seq-0", "M7")
async def test_position_0_of_an_empty_channel_is_recovered(server):
    """§5: "seq 0 asks for everything": of nothing, too"""
    client = await user(server)
    name = channel()
    epoch = (await client.subscribe(name))["epoch"]
    other = await user(server)
    reply = await other.subscribe(name, since={"epoch": epoch, "seq": 0})
    assert (reply["recovered"], reply["seq"], reply["messages"]) == (True, 0, [])


@clause("5.trimmed", "M7")
async def test_a_position_that_is_too_old_is_trimmed_and_starts_anew(server):
    """§5: "false, with `"reason"` `trimmed` …, means that the position is too old …, and … the retained
    history is the new start"; "without a `gap`" """
    name = channel("small")
    epoch = await filled(server, name, 12)
    for seen, recovered in ((0, False), (6, False), (7, True), (11, True)):
        client = await user(server)
        reply = await client.subscribe(name, since={"epoch": epoch, "seq": seen})
        assert reply["recovered"] is recovered, (seen, reply)
        assert reply.get("reason") == (None if recovered else "trimmed")
        start = seen + 1 if recovered else 8
        assert seqs(reply["messages"]) == list(range(start, 13))
        assert await client.barrier() == []


@clause("5.trimmed", "M7")
async def test_what_has_expired_at_the_old_end_counts_as_trimmed(server):
    """§5: "Expired entries at the old end count as trimmed, and `history: n` counts only what is there" """
    name = channel()
    publisher = await user(server)
    epoch = (await publisher.publish(name, 1, ttl_ms=50))["epoch"]
    await publisher.publish(name, 2, ttl_ms=50)
    await publisher.publish_many(name, 3)
    from client import eventually

    async def gone():
        reply = await publisher.request({"type": "history", "channel": name})
        return seqs(reply["messages"]) == [3, 4, 5]

    await eventually(gone, "expiry")
    client = await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 1})
    assert (reply["recovered"], reply["reason"]) == (False, "trimmed")
    assert seqs(reply["messages"]) == [3, 4, 5]
    other = await user(server)
    assert seqs((await other.subscribe(name, history=5))["messages"]) == [3, 4, 5]


@clause("5.trimmed", "M7")
async def test_the_history_ttl_of_a_namespace_trims(server):
    """§7: "memory, 100 messages, 10 min"; §9: `.history_ttl` (1 s here)"""
    from client import eventually

    name = channel("brief")
    epoch = await filled(server, name, 3)
    client = await user(server)

    async def gone():
        reply = await client.request({"type": "history", "channel": name})
        return reply["messages"] == []

    await eventually(gone, "the end of the history")
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 1})
    assert (reply["recovered"], reply["reason"], reply["messages"]) == (False, "trimmed", [])
    assert (reply["seq"], reply["epoch"]) == (3, epoch)
    assert (await client.publish(name, 1))["seq"] == 4


@clause("5.epoch", "M7")
async def test_a_position_of_another_epoch_is_not_recovered(server):
    """§5: "`epoch` … of another epoch"; "After `trimmed`, `epoch` and `ahead` alike the retained history
    comes by the same rule, without a `gap`" """
    name = channel()
    epoch = await filled(server, name, 8)
    for seen in (0, 3, 8, 1000):
        client = await user(server)
        reply = await client.subscribe(name, since={"epoch": "another", "seq": seen})
        assert (reply["recovered"], reply["reason"], reply["epoch"]) == (False, "epoch", epoch)
        assert seqs(reply["messages"]) == list(range(1, 9))
        assert await client.barrier() == []


@clause("5.ahead", "M7")
async def test_a_position_above_the_latest_is_not_recovered(server):
    """§5: "`ahead` … above the latest" """
    name = channel()
    epoch = await filled(server, name, 8)
    client = await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 9})
    assert (reply["recovered"], reply["reason"], reply["seq"]) == (False, "ahead", 8)
    assert seqs(reply["messages"]) == list(range(1, 9))


@clause("4.subscribe-history", "M7")
@pytest.mark.parametrize("count, expected", [(0, []), (1, [12]), (3, [10, 11, 12]), (5, [8, 9, 10, 11, 12]),
                                            (1000000, [8, 9, 10, 11, 12])])  # fmt: skip
async def test_history_gives_the_last_messages(server, count, expected):
    """§4: "`history` (n: the last n messages when there is no `since`; clamped to what is kept …)" """
    name = channel("small")
    await filled(server, name, 12)
    client = await user(server)
    reply = await client.subscribe(name, history=count)
    assert seqs(reply["messages"]) == expected and "recovered" not in reply


@clause("4.subscribe-history", "M7")
async def test_since_wins_over_history(server):
    """§4: "the last n messages when there is no `since`" """
    name = channel()
    epoch = await filled(server, name, 10)
    client = await user(server)
    reply = await client.subscribe(name, history=2, since={"epoch": epoch, "seq": 5})
    assert seqs(reply["messages"]) == [6, 7, 8, 9, 10]


@clause("5.catch-up", "M7", "M4")
@pytest.mark.parametrize("how", ["since", "history"])
async def test_500_missed_messages_come_inside_and_501_after(server, how):
    """§5: "More than 500 missed messages … all arrive after `subscribed` (whose `messages` is then empty)
    as ordinary `message`s, in order, before anything newer" """
    name = channel("large")
    epoch = await filled(server, name, 1200)

    async def subscribe(missed: int):
        client = await user(server)
        position = {"since": {"epoch": epoch, "seq": 1200 - missed}}
        reply = await client.subscribe(name, **(position if how == "since" else {"history": missed}))
        return client, reply

    client, reply = await subscribe(500)
    assert seqs(reply["messages"]) == list(range(701, 1201))
    assert await client.barrier() == []
    for missed in (501, 1200):
        client, reply = await subscribe(missed)
        assert reply["messages"] == [] and reply["seq"] == 1200
        assert reply.get("recovered") is (True if how == "since" else None)
        got = await client.deliveries(name, missed)
        assert seqs(got) == list(range(1201 - missed, 1201))
        assert [m["data"] for m in got] == seqs(got)
        assert await client.barrier() == []


@clause("5.catch-up", "M7")
@pytest.mark.parametrize("namespace", ["large", "log"])
async def test_more_than_256_kib_come_after(server, namespace):
    """§5: "… or 256 KiB, all arrive after `subscribed`" """
    name = channel(namespace)
    epoch = await filled(server, name, 40, lambda i: f"{i:04}" + "x" * 10000)
    client = await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 0})
    assert (reply["recovered"], reply["messages"]) == (True, [])
    assert seqs(await client.deliveries(name, 40)) == list(range(1, 41))
    other = await user(server)
    reply = await other.subscribe(name, since={"epoch": epoch, "seq": 20})
    assert seqs(reply["messages"]) == list(range(21, 41))


@clause("5.catch-up", "M7", "M4")
async def test_the_seam_between_catch_up_and_live_has_neither_hole_nor_repeat(server):
    """§5: "before anything newer"; guarantee 1: "no repeat within a connection" """
    name = channel("large")
    epoch = await filled(server, name, 2000)
    publisher = await user(server)
    publishing = asyncio.create_task(publisher.publish_many(name, 3000))

    async def follow(start: int):
        client = await user(server)
        reply = await client.subscribe(name, since={"epoch": epoch, "seq": start})
        assert reply["recovered"] is True
        got = seqs(reply["messages"])
        while len(got) < 5000 - start:
            message = await client.next(timeout_s=20)
            assert message["type"] == "message", message
            got.append(message["seq"])
        assert got == list(range(start + 1, 5001))

    await asyncio.gather(*(follow(start) for start in (0, 500, 1500, 1990, 2000)))
    await publishing


@clause("4.subscribe-list", "M7", "C9")
async def test_a_client_resumes_all_its_channels_with_one_request(server):
    """§4: "This is how a client resumes" """
    names = [channel() for _ in range(20)]
    publisher = await user(server)
    epochs = {}
    for i, name in enumerate(names):
        epochs[name] = (await publisher.publish_many(name, 5 + i))[-1]["epoch"]
    client = await user(server)
    entries = [{"channel": n, "since": {"epoch": epochs[n], "seq": i}} for i, n in enumerate(names[:5])]
    entries += [{"channel": n, "since": {"epoch": epochs[n], "seq": 3}} for n in names[5:]]
    await client.send({"type": "subscribe", "channels": entries, "id": 1})
    for i, name in enumerate(names):
        reply = await client.expect(id=1)
        seen = i if i < 5 else 3
        assert (reply["channel"], reply["recovered"]) == (name, True)
        assert seqs(reply["messages"]) == list(range(seen + 1, 6 + i))


@clause("4.subscribe-again", "M7")
async def test_to_go_back_one_unsubscribes_first(server):
    """§4: "to go back, unsubscribe first" """
    name = channel()
    epoch = await filled(server, name, 5)
    client = await user(server)
    await client.subscribe(name)
    await client.request({"type": "unsubscribe", "channel": name})
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 2})
    assert seqs(reply["messages"]) == [3, 4, 5]


@clause("1.epoch", "M6", "M7")
async def test_positions_over_a_restart(start):
    """§1: the epoch "changes when a channel's numbering starts anew (a memory-only channel after a
    restart, say)"; §5 guarantee 3: "everything acknowledged is there, under the same epoch and seq" """
    server = start()
    memory, disk = channel("room"), channel("log")
    epochs = {name: await filled(server, name, 6) for name in (memory, disk)}
    server.terminate()
    assert server.wait() == 0
    again = start(data=server.data)
    client = await user(again)
    reply = await client.subscribe(disk, since={"epoch": epochs[disk], "seq": 2})
    assert (reply["recovered"], reply["epoch"], reply["seq"]) == (True, epochs[disk], 6)
    assert seqs(reply["messages"]) == [3, 4, 5, 6]
    reply = await client.subscribe(memory, since={"epoch": epochs[memory], "seq": 2})
    assert (reply["recovered"], reply["reason"], reply["seq"]) == (False, "epoch", 0)
    assert reply["epoch"] != epochs[memory] and reply["messages"] == []
    assert (await client.publish(disk, 1))["seq"] == 7


@clause("5.durable", "M6")
async def test_what_was_published_on_disk_outlives_kill_9(start):
    """§5 guarantee 3: "After `kill -9` … everything acknowledged is there, under the same epoch and seq" """
    server = start()
    name = channel("log")
    client = await user(server)
    await client.subscribe(name)
    sending = asyncio.create_task(client.publish_many(name, 100000))
    last = await client.expect(type="message", channel=name, seq=300, timeout_s=20)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    server.kill()
    await client.closed()
    seen = [m["seq"] for m in client.inbox if m.get("channel") == name and "seq" in m]
    top = max([last["seq"], *seen])
    again = start(data=server.data)
    other = await user(again)
    reply = await other.request({"type": "history", "channel": name, "after": 0, "limit": 1000})
    assert reply["first"] == 1 and reply["last"] >= top
    assert seqs(reply["messages"]) == list(range(1, len(reply["messages"]) + 1))


@clause("2.accept-br", "M8")
async def test_with_accept_br_large_replies_are_brotli(server):
    """§5: "With `?accept=br` on the upgrade, a `subscribed`, `snapshot` or `history` of more than 4 KiB
    comes as a binary message: its JSON text compressed with Brotli. Everything else stays text" """
    import json

    import brotli

    name = channel()
    epoch = await filled(server, name, 50, lambda i: "x" * 200)
    client = await Client.connect(server, mint(unique("u")), query="accept=br")
    await client.send({"type": "subscribe", "channel": name, "id": 1, "since": {"epoch": epoch, "seq": 0}})
    await client.send({"type": "history", "channel": name, "id": 2})
    await client.send({"type": "history", "channel": name, "id": 3, "limit": 1})
    small = await client.expect(id=3)
    assert small["type"] == "history"
    replies = [json.loads(brotli.decompress(b)) for b in client.binary]
    assert [(r["type"], r["id"], len(r["messages"])) for r in replies] == [
        ("subscribed", 1, 50),
        ("history", 2, 50),
    ]
    assert (await client.request({"type": "ping", "data": "y" * 10000}))["type"] == "pong"
