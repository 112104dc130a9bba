"""Protocol §7, `conflate_ms`: fewer deliveries that say the same; and the property of every kind that a
snapshot with the later messages is a fresh snapshot. Requirements K2, M7."""

from __future__ import annotations

import asyncio
import json
import random
import time

import pytest
from client import Client, channel, unique
from model import Copy, merge, next_of, patched, post, post_all, same, sleeper
from raw import BINARY, CLOSE
from tokens import mint

clause = pytest.mark.clause
WINDOW_MS = 250


def document(**options) -> dict:
    return {"kind": "document", "durability": "memory", "history_messages": 10000} | options


SERVER = {
    "settings": {
        "limits": {"outbound_bytes": 65536},
        "namespaces": {
            "board": document(conflate_ms=WINDOW_MS),
            "fast": document(conflate_ms=20),
            "hour": document(conflate_ms=3_600_000),
            "plain": document(),
            "stored": document(durability="disk", conflate_ms=30, history_messages=20),
            "few": document(history_messages=4),
            "bare": document(history_messages=0, conflate_ms=20),
        },
    }
}
CONFLATED = ["board", "fast", "stored"]


async def user(server, name: str | None = None) -> Client:
    return await Client.connect(server, mint(name or unique("u")))


async def reader_of(server, name: str) -> tuple[Client, Copy]:
    client = await user(server)
    return client, Copy("document").start(await client.subscribe(name))


async def fresh(server, name: str) -> dict:
    client = await user(server)
    snapshot = (await client.subscribe(name))["snapshot"]
    await client.close()
    return snapshot


async def settle(server, name: str, client: Client, mine: Copy) -> None:
    """Follows to the latest seq: the copy is then a fresh snapshot."""
    snapshot = await fresh(server, name)
    await mine.follow(client, name, snapshot["seq"])
    assert mine.seq == snapshot["seq"]
    assert same(mine.state, snapshot["data"]), (mine.state, snapshot["data"])


def ranges(mine: Copy) -> list[tuple[int, int]]:
    return [(m.get("first_seq", m["seq"]), m["seq"]) for m in mine.taken]


# -- windows


@clause("7.conflate", "K2", "M7")
async def test_many_merges_come_merged_with_their_range(server):
    """§7: "merges merged, `first_seq` set"; §5: "this delivery stands for first_seq..seq" [K2]"""
    name, count = channel("board"), 300
    publisher = await user(server)
    reader, mine = await reader_of(server, name)
    began = time.monotonic()
    await post_all(
        publisher, name, [{"merge": {f"k{i % 10}": i, "n": {"at": i}}} for i in range(1, count + 1)]
    )
    await mine.follow(reader, name, count)
    elapsed_ms = (time.monotonic() - began) * 1000
    assert len(mine.taken) <= elapsed_ms / WINDOW_MS + 2, ranges(mine)
    assert len(mine.taken) < count
    following = 1
    for first, last in ranges(mine):  # no hole and no overlap
        assert first == following <= last, ranges(mine)
        following = last + 1
    for message in mine.taken:
        assert message.keys() & {"data", "merge", "patch"} == {"merge"}, message
        if message.get("first_seq", message["seq"]) < message["seq"]:
            assert len(message["merge"]) <= 11
    assert same(mine.state, {f"k{i % 10}": i for i in range(291, 301)} | {"n": {"at": 300}})
    await settle(server, name, reader, mine)


@clause("7.conflate", "K2")
async def test_within_one_window_there_is_at_most_one_delivery(server):
    """§7: "a subscriber gets at most one delivery per that time" (an hour here) [K2]"""
    name = channel("hour")
    publisher, reader = await user(server), await user(server)
    await reader.subscribe(name)
    await post_all(publisher, name, [{"merge": {"n": i}} for i in range(50)])
    fence = channel("plain")
    await reader.subscribe(fence)
    await post(publisher, fence, data="fence")
    assert (await next_of(reader, fence))["data"] == "fence"
    assert len([m for m in await reader.barrier() if m.get("channel") == name]) <= 1
    assert (await fresh(server, name)) == {"seq": 50, "data": {"n": 49}}  # a newcomer waits for nothing


@clause("7.conflate", "K2")
async def test_a_lone_merge_comes_as_it_is(server):
    """§5: `first_seq` stands "where set": a delivery of one message needs none [K2]"""
    name = channel("fast")
    publisher = await user(server, "alice")
    reader, mine = await reader_of(server, name)
    await post(publisher, name, merge={"a": {"b": None, "c": 1}})
    message = await next_of(reader, name)
    assert (message["type"], message["seq"], message.get("first_seq", 1)) == ("message", 1, 1)
    assert message["merge"] == {"a": {"b": None, "c": 1}}
    mine.take(message)
    assert mine.state == {"a": {"c": 1}}


@clause("7.conflate", "K2", "M7")
@pytest.mark.parametrize("last", [{"patch": [{"op": "add", "path": "/p", "value": 1}]}, {"data": {"d": [1]}}],
                         ids=["patch", "data"])  # fmt: skip
async def test_a_window_with_a_patch_or_data_brings_the_whole_document(server, last):
    """§7: "if the window holds a `patch` or `data` … the delivery is the whole document as `data`" [K2]"""
    name = channel("board")
    publisher = await user(server)
    reader, mine = await reader_of(server, name)
    events = [{"merge": {"a": 1}}, {"merge": {"b": 2}}, last, {"merge": {"c": 3}}]
    seqs_of_special = set()
    for round_ in range(5):
        seqs_of_special |= {4 * round_ + 3}
        await post_all(publisher, name, events)
    await mine.follow(reader, name, 20)
    whole = 0
    for message in mine.taken:
        first, seq = message.get("first_seq", message["seq"]), message["seq"]
        special = [s for s in seqs_of_special if first <= s <= seq]
        if special and seq > first:
            assert "data" in message and "merge" not in message and "patch" not in message, message
            whole += 1
        elif not special:
            assert "merge" in message, message
    assert whole >= 1, ranges(mine)
    await settle(server, name, reader, mine)


INEXPRESSIBLE = [
    [{"a": None}, {"a": {"b": 1}}],
    [{"a": 5}, {"a": {"b": 1}}],
    [{"a": [1]}, {"a": {"c": None}}],
    [{"a": {"x": None}}, {"a": None}, {"a": {"y": {"z": 1}}}],
    [{"a": {"x": 3}}, {"a": {"x": {"q": 1}}}],
    ["text", {"b": 1}],
    [[1], {"b": {"c": None}}],
    [{"a": {"x": {"deep": None}}}, {"a": {"x": 1}}, {"a": {"x": {"new": 1}}}],
]


@clause("7.conflate", "K2", "M7")
@pytest.mark.parametrize("changes", INEXPRESSIBLE, ids=str)
async def test_merges_that_no_one_merge_can_express_come_out_right(server, changes):
    """§7: "or merges that no one merge can express, the delivery is the whole document as `data`" [K2]"""
    name = channel("board")
    publisher = await user(server)
    reader, mine = await reader_of(server, name)
    base = {"a": {"x": {"deep": 1, "keep": 2}, "y": 1}, "stay": 0}
    expected: object = None
    for _ in range(4):
        expected = base
        await post_all(publisher, name, [{"data": base}, *({"merge": c} for c in changes)])
        for change in changes:
            expected = merge(expected, change)
        await settle(server, name, reader, mine)
    assert same(mine.state, expected)


EXPRESSIBLE = [
    [{"a": 1}, {"a": None}],
    [{"a": None}, {"a": 1}],
    [{"a": {"x": 1}}, {"a": {"y": 2}}],
    [{"a": {"x": 1}}, {"a": {"x": None}}],
    [{"n": {}}, {"n": {"m": {}}}, {"n": {"m": {"o": []}}}],
    [{"a": {"x": {"deep": 5}}}, {"a": {"x": {"deep": None, "keep": None}}}],
]


@clause("7.conflate", "K2", "M7")
@pytest.mark.parametrize("changes", EXPRESSIBLE, ids=str)
async def test_a_merged_merge_does_what_its_parts_do(server, changes):
    """§7: "merges merged": also deletions, and objects in objects [K2]"""
    name = channel("board")
    publisher = await user(server)
    await post(publisher, name, data={"a": {"x": {"deep": 1, "keep": 2}, "y": 1}, "stay": 0})
    expected: object = (await fresh(server, name))["data"]
    reader, mine = await reader_of(server, name)
    for _ in range(6):
        await post_all(publisher, name, [{"merge": c} for c in changes])
        for change in changes:
            expected = merge(expected, change)
    await settle(server, name, reader, mine)
    assert same(mine.state, expected)


@clause("7.conflate", "K2", "M7")
async def test_a_newcomer_in_the_middle_of_a_window_misses_nothing(server):
    """§5: "A subscriber gets every seq, or a `gap`/`snapshot` that covers it": the snapshot of one who
    comes while a window is open, and what is delivered next, fit together [K2]"""
    name = channel("board")
    publisher = await user(server)
    others = []
    for i in range(1, 121):
        await post(publisher, name, merge={"n": i, f"k{i % 5}": {"v": i}})
        if i % 12 == 5:
            others.append(await reader_of(server, name))
            assert others[-1][1].seq == i and others[-1][1].state["n"] == i
    for reader, mine in others:
        await settle(server, name, reader, mine)
        assert mine.state["n"] == 120


@clause("7.conflate", "M7", "C9")
@pytest.mark.parametrize("namespace", CONFLATED)
async def test_a_conflated_document_is_resumed_by_position(server, namespace):
    """§5: `recovered` true "means that `messages` plus what follows live leaves no gap": also from a seq that
    stood inside of a merged delivery, and with a window open [M7]"""
    name = channel(namespace)
    publisher = await user(server)
    reader, mine = await reader_of(server, name)
    for _ in range(5):
        start = mine.seq
        publishing = asyncio.create_task(
            post_all(
                publisher, name, [{"merge": {"n": i, f"k{i % 3}": i}} for i in range(start + 1, start + 31)]
            )
        )
        while mine.seq < start + 15:
            mine.take(await next_of(reader, name))
        await reader.close()
        reader = await user(server)
        mine.start(await reader.subscribe(name, since=mine.position))
        await publishing
    await settle(server, name, reader, mine)
    assert mine.seq == 150 and mine.state["n"] == 150


@clause("7.conflate", "K2")
async def test_all_subscribers_of_a_window_end_with_the_same_document(server):
    """Guarantee 1: "the order is the same for all subscribers" [K2]"""
    name = channel("fast")
    publishers = [await user(server) for _ in range(3)]
    readers = [await reader_of(server, name) for _ in range(10)]

    async def write(client: Client, tag: int):
        await post_all(client, name, [{"merge": {f"w{tag}": i, "last": [tag, i]}} for i in range(100)])

    await asyncio.gather(*(write(p, i) for i, p in enumerate(publishers)))
    for reader, mine in readers:
        await settle(server, name, reader, mine)
    assert all(same(mine.state, readers[0][1].state) and mine.seq == 300 for _, mine in readers)


@clause("7.conflate", "M1")
async def test_an_ephemeral_message_is_not_folded_into_a_window(server):
    """§4: an ephemeral message "may be dropped", but never changes the document [M1]"""
    name = channel("fast")
    publisher = await user(server)
    reader, mine = await reader_of(server, name)
    for i in range(20):
        await post(publisher, name, merge={"n": i})
        await post(publisher, name, event="cursor", data={"n": "not folded"}, ephemeral=True)
    await settle(server, name, reader, mine)
    assert mine.state == {"n": 19}


@clause("4.history", "M7")
async def test_the_log_of_a_conflated_document_keeps_each_message(server):
    """§7 conflates deliveries, not the log: history holds every merge as it was sent [M7]"""
    name = channel("board")
    publisher = await user(server)
    await post_all(publisher, name, [{"merge": {"n": i}} for i in range(1, 41)])
    reply = await publisher.request({"type": "history", "channel": name, "limit": 1000})
    assert [(m["seq"], m["merge"]) for m in reply["messages"]] == [(i, {"n": i}) for i in range(1, 41)]
    assert not any("first_seq" in m for m in reply["messages"])


@clause("5.slow-reader", "K2", "P7", "M7")
@pytest.mark.slow_clock(90)
@pytest.mark.parametrize("namespace", ["fast", "bare", "stored"])
async def test_a_slow_reader_of_a_conflated_document_ends_with_the_same_document(server, namespace):
    """Guarantee 2: every seq, "or a `gap`/`snapshot` that covers it", for one who sleeps through it [K2, P7]"""
    name, count = channel(namespace), 1500
    raw, subscribed = await sleeper(server, name)
    mine = Copy("document").start(subscribed)
    publisher = await user(server)
    reader, live = await reader_of(server, name)
    for first in range(0, count, 50):
        events = [{"merge": {"n": i, f"k{i % 5}": [i, "x" * 10000]}} for i in range(first + 1, first + 51)]
        await post_all(publisher, name, events)
        await live.follow(reader, name, first + 50)
    while mine.seq < count:
        frame = await raw.message(timeout_s=15)
        assert frame.opcode != CLOSE, frame
        mine.take(json.loads(frame.payload))
    assert same(mine.state, live.state) and same(mine.state, (await fresh(server, name))["data"])


@clause("5.accept-br", "M8", "P7")
@pytest.mark.slow_clock(90)
async def test_with_accept_br_a_slow_reader_s_large_snapshots_are_brotli(server):
    """§5: "With `?accept=br` on the upgrade, a `subscribed`, `snapshot` or `history` of more than 4 KiB comes
    as a binary message … Everything else stays text"; in its place among the deliveries [M8]"""
    import brotli

    name, count = channel("few"), 600
    raw, subscribed = await sleeper(server, name, options="&accept=br")
    mine = Copy("document").start(subscribed)
    publisher = await user(server)
    noise = random.Random(1)
    for first in range(0, count, 50):
        values = [f"{noise.getrandbits(80_000):x}" for _ in range(50)]  # not to be compressed away
        events = [{"merge": {"n": first + i + 1, f"k{i % 5}": values[i]}} for i in range(50)]
        await post_all(publisher, name, events)
    snapshots = 0
    while mine.seq < count:
        frame = await raw.message(timeout_s=15)
        assert frame.opcode != CLOSE, frame
        packed = frame.opcode == BINARY
        message = json.loads(brotli.decompress(frame.payload) if packed else frame.payload)
        assert packed == (message["type"] == "snapshot"), message["type"]
        snapshots += packed
        mine.take(message)
    assert snapshots and same(mine.state, (await fresh(server, name))["data"])


@clause("4.publish-echo", "M1", "K2")
@pytest.mark.parametrize("namespace", ["plain", "fast"])
async def test_with_echo_false_the_published_seq_counts_as_the_delivery(server, namespace):
    """§4: "`echo` (false: not back to this connection; the seq in `published` counts as its delivery)" [M1]"""
    name = channel(namespace)
    writer, other = await user(server), await user(server)
    reader, mine = await reader_of(server, name)
    await writer.subscribe(name)
    for i in range(10):
        await post(writer, name, merge={"w": i}, echo=False)
        await post(other, name, merge={"o": i})
    await mine.follow(reader, name, 20)
    assert mine.state == {"w": 9, "o": 9}
    got: list[int] = []
    while not got or got[-1] < 20:
        message = await next_of(writer, name)
        got += range(message.get("first_seq", message["seq"]), message["seq"] + 1)
    assert got == sorted(set(got)) and set(range(2, 21, 2)) <= set(got)
    if namespace == "plain":
        assert got == list(range(2, 21, 2))


@clause("4.publish-echo", "M1", "K2", "K5")
@pytest.mark.parametrize("namespace", ["upload", "board", "stored"])
@pytest.mark.parametrize("pause_s", [0, 0.03])
async def test_with_echo_false_a_window_does_not_come_back_to_its_only_author(server, namespace, pause_s):
    """§4: "`echo` (false: not back to this connection …)": also where its events are merged [M1]"""
    name, count, upload = channel(namespace), 15, namespace == "upload"
    writer = await user(server)
    claims = {"tidewire": {"grants": [{"channels": "upload:*", "do": ["subscribe"]}]}}
    reader = await Client.connect(server, mint(unique("u"), **claims))

    def event(i: int) -> dict:
        body = {"event": "progress", "data": {"bytes": i, "total": 99}} if upload else {"merge": {"n": i}}
        return body | {"echo": False}

    await post(writer, name, **event(0))
    for client in (writer, reader):
        await client.subscribe(name)
    for i in range(1, count):
        await post(writer, name, **event(i))
        await asyncio.sleep(pause_s)
    last = {"event": "complete"} if upload else {"data": {"n": count}}
    await post(writer, name, **last, echo=False)
    while (await next_of(reader, name))["seq"] < count + 1:
        pass
    assert [m for m in await writer.barrier() if m.get("channel") == name] == []


@clause("5.order", "M4", "K2")
@pytest.mark.parametrize("namespace", CONFLATED)
async def test_an_ephemeral_event_goes_behind_what_a_window_holds(server, namespace):
    """§5: "Messages of one connection to one channel keep the order in which they were sent" [M4]"""
    name, writer, reader = channel(namespace), await user(server), await user(server)
    await reader.subscribe(name)
    events = []
    for i in range(1, 21):
        events += [{"merge": {"n": i}}, {"merge": {"n": -i}, "ephemeral": True}]
    await post_all(writer, name, events)
    got = [(await next_of(reader, name))["merge"]["n"] for _ in events]
    assert got == [n for i in range(1, 21) for n in (i, -i)]


# -- the property: a snapshot and what follows it is a fresh snapshot


def a_value(chance: random.Random, depth: int = 0):
    kind = chance.randrange(9 if depth < 3 else 6)
    if kind < 6:
        return [
            None,
            True,
            False,
            chance.randint(-(2**63), 2**64 - 1),
            chance.random(),
            chance.choice("abé"),
        ][kind]
    if kind == 6:
        return [a_value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice("abcd"): a_value(chance, depth + 1) for _ in range(chance.randrange(4))}


def a_place(chance: random.Random, doc, adding: bool) -> str:
    """A pointer into the document that (nearly always) exists."""
    path = ""
    while True:
        if isinstance(doc, dict) and (adding or doc):
            step = chance.choice([*doc, "new"] if adding else [*doc])
            path += "/" + step
            doc = doc.get(step)
        elif isinstance(doc, list) and (adding or doc):
            at = chance.randrange(len(doc) + adding)
            path += f"/{at}"
            doc = doc[at] if at < len(doc) else None
        else:
            return path
        if chance.random() < 0.5:
            return path


def a_patch(chance: random.Random, doc) -> list[dict]:
    out = []
    for _ in range(chance.randint(1, 3)):
        verb = chance.choice(["add", "add", "replace", "remove", "copy", "move", "test"])
        path = a_place(chance, doc, verb in ("add", "copy", "move"))
        one = {"op": verb, "path": path}
        if verb in ("add", "replace", "test"):
            one["value"] = a_value(chance, 2)
        elif verb in ("copy", "move"):
            one["from"] = a_place(chance, doc, False)
        if verb in ("remove", "move") and not one.get("from", path):
            continue  # the root can't be taken away
        out.append(one)
    return out


async def random_events(client: Client, name: str, seed: int, count: int) -> object:
    """Publishes random changes, good and bad; the document that they should have made."""
    from model import Refused

    chance = random.Random(seed)
    doc: object = None
    for _ in range(count):
        choice = chance.random()
        if choice < 0.1:
            fields = {"data": a_value(chance)}
            expected = fields["data"]
        elif choice < 0.65:
            change = {chance.choice("abcd"): a_value(chance, 1) for _ in range(chance.randrange(4))}
            fields, expected = {"merge": change}, merge(doc, change)
        else:
            fields = {"patch": a_patch(chance, doc)}
            try:
                expected = patched(doc, fields["patch"])
            except Refused:
                reply = await client.request({"type": "publish", "channel": name, **fields})
                assert (reply["type"], reply.get("code")) == ("error", "invalid_event"), (doc, fields, reply)
                continue
        await post(client, name, **fields)
        doc = expected
    return doc


@clause("7.document", "M7", "K2")
@pytest.mark.parametrize("namespace", ["plain", "fast", "stored", "few", "bare"])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_snapshot_and_the_later_messages_are_a_fresh_snapshot(server, namespace, seed):
    """M7: "snapshot on subscribe, incremental updates, reconnect by position", with random events, readers
    who come at random moments, and readers who go and resume [M7, K2]"""
    name = channel(namespace)
    publisher = await user(server)
    done = asyncio.Event()

    async def wander(number: int):
        chance = random.Random(seed * 100 + number)
        reader, mine = await reader_of(server, name)
        while not done.is_set():
            for _ in range(chance.randint(1, 20)):
                if done.is_set():
                    break
                waiting = asyncio.create_task(next_of(reader, name, 30))
                finished = asyncio.create_task(done.wait())
                await asyncio.wait({waiting, finished}, return_when=asyncio.FIRST_COMPLETED)
                finished.cancel()
                if not waiting.done():
                    waiting.cancel()
                    break
                mine.take(waiting.result())
            await (reader.reset() if chance.random() < 0.5 else reader.close())
            reader = await user(server)
            reply = await reader.subscribe(name, since=mine.position)
            if reply["recovered"] is False:
                assert reply["reason"] == "trimmed", reply
                mine = Copy("document")
            mine.start(reply)
        await settle(server, name, reader, mine)
        return mine.state

    steady, copy = await reader_of(server, name)
    readers = [asyncio.create_task(wander(i)) for i in range(4)]
    expected = await random_events(publisher, name, seed, 150)
    late, late_copy = await reader_of(server, name)
    done.set()
    states = await asyncio.gather(*readers)
    await settle(server, name, steady, copy)
    await settle(server, name, late, late_copy)
    for state in (copy.state, late_copy.state, *states):
        assert same(state, expected), (state, expected)
