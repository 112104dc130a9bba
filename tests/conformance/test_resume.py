"""Protocol §4 `subscribe` with positions, §5 `subscribed` and `gap`: every reason, every hole, every bad
position, many channels at once. Requirements M7, C9, M3. See also test_subscribe.py."""

from __future__ import annotations

import asyncio
import json

import pytest
from client import Client, channel, eventually, unique
from model import history, next_of, post, post_all, publish, seqs
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "namespaces": {
            "small": {"kind": "stream", "durability": "memory", "history_messages": 5},
            "large": {"kind": "stream", "durability": "memory", "history_messages": 20000},
            "keep": {"kind": "stream", "durability": "disk", "history_messages": 100000},
            "none": {"kind": "stream", "durability": "memory", "history_messages": 0},
        }
    }
}
BOTH = pytest.mark.parametrize("namespace", ["large", "keep"])


async def user(server, name: str | None = None) -> Client:
    return await Client.connect(server, mint(name or unique("u")))


async def filled(server, name: str, count: int) -> str:
    client = await user(server)
    replies = await post_all(client, name, [{"data": i} for i in range(1, count + 1)])
    await client.close()
    return replies[0]["epoch"]


async def with_holes(server, namespace: str, alive: str) -> tuple[str, str]:
    """A channel with a message for each character; those at a `.` have expired."""
    client, name = await user(server), channel(namespace)
    for i, one in enumerate(alive, 1):
        epoch = (await post(client, name, data=i, **({"ttl_ms": 1} if one == "." else {})))["epoch"]
    kept = [i for i, one in enumerate(alive, 1) if one != "."]

    async def gone():
        return seqs((await history(client, name))["messages"]) == kept

    await eventually(gone, f"only {kept}")
    await client.close()
    return name, epoch


def shape(messages: list[dict]) -> list:
    return [(m["from"], m["to"]) if m["type"] == "gap" else m["seq"] for m in messages]


async def rest(client: Client, name: str) -> list[dict]:
    """What has come for this channel up to a live message, which is published and taken here."""
    marker = unique("live")
    await post(client, name, data=marker)
    out = []
    while True:
        message = await next_of(client, name)
        if message["type"] == "message" and message["data"] == marker:
            return out
        out.append(message)


# -- holes


@clause("5.gap", "M7")
@BOTH
@pytest.mark.parametrize(
    "alive, seen, expected",
    [
        ("a.c", 0, [1, (2, 2), 3]),
        ("a.c", 1, [(2, 2), 3]),
        ("a.c", 2, None),
        ("a..d", 0, [1, (2, 3), 4]),
        ("a..d", 2, [(3, 3), 4]),
        ("a.c.e..h", 0, [1, (2, 2), 3, (4, 4), 5, (6, 7), 8]),
        ("ab..", 1, [2, (3, 4)]),
        ("ab..", 2, [(3, 4)]),
        ("ab..", 3, [(4, 4)]),
        ("ab..", 4, None),
    ],
)
async def test_a_range_with_a_hole_is_recovered_with_a_gap_in_its_place(
    server, namespace, alive, seen, expected
):
    """§5: "A range with a hole in it (entries whose `ttl_ms` ended) is recovered, but always delivered after
    `subscribed`, with a `gap` in the hole's place"; at the end of the log, too [M7]"""
    name, epoch = await with_holes(server, namespace, alive)
    client = await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": seen})
    assert reply["recovered"] is True and reply["seq"] == len(alive)
    if expected is None:  # no hole in what was missed
        assert seqs(reply["messages"]) == list(range(seen + 1, len(alive) + 1))
        assert await rest(client, name) == []
        return
    assert reply["messages"] == []
    got = await rest(client, name)
    assert shape(got) == expected
    for message in got:
        if message["type"] == "gap":
            assert message["epoch"] == epoch and "data" not in message


@clause("5.trimmed", "M7")
@BOTH
async def test_a_hole_at_the_old_end_is_trimmed(server, namespace):
    """§5: "Expired entries at the old end count as trimmed, and `history: n` counts only what is there" [M7]"""
    name, epoch = await with_holes(server, namespace, "..cd.f")
    client = await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 1})
    assert (reply["recovered"], reply["reason"]) == (False, "trimmed")
    got = [{"type": "message", **m} for m in reply["messages"]] + await rest(client, name)
    # "by the same rule, without a `gap`": of the lost old end surely; of the hole at 5, either reading
    assert shape(got) in ([3, 4, 6], [3, 4, (5, 5), 6])
    other = await user(server)
    reply = await other.subscribe(name, history=2)
    got = [{"type": "message", **m} for m in reply["messages"]] + await rest(other, name)
    # two of what is there: with the one live message of `rest` above among them
    assert [s for s in shape(got) if isinstance(s, int)] == [6, 7]
    page = await history(client, name)
    assert (page["first"], seqs(page["messages"])) == (3, [3, 4, 6, 7, 8])


@clause("5.trimmed", "M7")
@BOTH
async def test_where_all_has_expired_only_the_latest_position_is_recovered(server, namespace):
    """§5: the seqs stay spent: `seq` is the channel's latest, and an older position is trimmed [M7]"""
    name, epoch = await with_holes(server, namespace, "...")
    client, other = await user(server), await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 3})
    assert (reply["recovered"], reply["seq"], reply["messages"]) == (True, 3, [])
    reply = await other.subscribe(name, since={"epoch": epoch, "seq": 1})
    assert (reply["recovered"], reply["reason"], reply["messages"]) == (False, "trimmed", [])
    page = await history(client, name)
    assert (page["first"], page["last"]) == (0, 0)  # "that the log still holds (0 when empty)"
    assert (await post(client, name, data=1))["seq"] == 4
    for reader in (client, other):
        assert shape([await next_of(reader, name)]) == [4]  # and "without a `gap`" before it


@clause("4.history", "M7")
async def test_history_pages_skip_what_has_expired(server):
    """§4: history gives what the log still holds; its `last` is the newest of these or the latest [M7]"""
    name, _ = await with_holes(server, "large", "a.c..f")
    client = await user(server)
    assert seqs((await history(client, name, after=1, limit=2))["messages"]) == [3, 6]
    assert seqs((await history(client, name, before=6, limit=1))["messages"]) == [3]
    assert seqs((await history(client, name, after=3, limit=1))["messages"]) == [6]


@clause("4.publish-ttl", "M7")
@BOTH
async def test_a_live_subscriber_gets_a_message_whatever_its_ttl(server, namespace):
    """§4: the ttl ends a message in the log; who was connected has had it, and needs no `gap` [M7]"""
    client, publisher, name = await user(server), await user(server), channel(namespace)
    await client.subscribe(name)
    for i in range(3):
        await post(publisher, name, data=i, ttl_ms=60_000 if i % 2 else 1000)
    assert shape(await rest(client, name)) == [1, 2, 3]


# -- the bounds of recovery


@clause("5.trimmed", "M7")
@pytest.mark.parametrize("seen", range(13))
async def test_recovery_ends_exactly_where_the_log_does(server, seen):
    """§5: recovered as long as the next missed message is still there (5 of 12 here) [M7]"""
    name = channel("small")
    epoch = await filled(server, name, 12)
    reply = await (await user(server)).subscribe(name, since={"epoch": epoch, "seq": seen})
    assert reply["recovered"] is (seen >= 7), reply
    assert seqs(reply["messages"]) == list(range(max(seen, 7) + 1, 13))
    assert ("reason" in reply) == (seen < 7)


@clause("5.trimmed", "M7")
async def test_a_channel_that_keeps_nothing_recovers_only_the_latest_position(server):
    """§9: `.history_messages` 0: nothing missed can be had again [M7]"""
    name = channel("none")
    epoch = await filled(server, name, 3)
    for seen, recovered in ((0, False), (2, False), (3, True)):
        reply = await (await user(server)).subscribe(name, since={"epoch": epoch, "seq": seen})
        assert (reply["recovered"], reply["messages"], reply["seq"]) == (recovered, [], 3)
    assert (await (await user(server)).subscribe(name, history=10))["messages"] == []


@clause("5.epoch", "M7")
@pytest.mark.parametrize("epoch", ["another", "", "x" * 32, "é", " "])
async def test_another_epoch_is_told_before_anything_else(server, epoch):
    """§1: "Two positions compare only within one epoch": whatever the seq, the reason is `epoch` [M7]"""
    name = channel("small")
    mine = await filled(server, name, 12)
    for seen in (0, 3, 12, 10**9):
        reply = await (await user(server)).subscribe(name, since={"epoch": epoch, "seq": seen})
        assert (reply["recovered"], reply["reason"], reply["epoch"]) == (False, "epoch", mine)
        assert seqs(reply["messages"]) == [8, 9, 10, 11, 12]


@clause("5.ahead", "M7", "M3")
async def test_a_position_from_the_future_is_ahead_and_becomes_a_fresh_start(server):
    """§5: `ahead`: "above the latest"; what is published from then on comes, below that position, too [M7]"""
    name = channel("large")
    epoch = await filled(server, name, 3)
    client = await user(server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 2**53 - 1})
    assert (reply["recovered"], reply["reason"], reply["seq"]) == (False, "ahead", 3)
    assert seqs(reply["messages"]) == [1, 2, 3]
    await post(client, name, data=4)
    assert (await next_of(client, name))["seq"] == 4


@clause("5.ahead", "M7")
async def test_in_an_empty_channel_every_position_but_0_is_ahead(server):
    """§5: `seq` is "0 in one that never had a message" [M7]"""
    client, name = await user(server), channel("large")
    epoch = (await client.subscribe(name))["epoch"]
    for seen, expected in ((0, (True, None)), (1, (False, "ahead")), (7, (False, "ahead"))):
        reply = await (await user(server)).subscribe(name, since={"epoch": epoch, "seq": seen})
        assert (reply["recovered"], reply.get("reason")) == expected
        assert (reply["seq"], reply["messages"]) == (0, [])


BAD = [5, "1", [], {}, True, {"seq": 1}, {"epoch": "x"}, {"epoch": 1, "seq": 1}, {"epoch": None, "seq": 1},
       {"epoch": "x", "seq": None}, {"epoch": "x", "seq": "1"}, {"epoch": "x", "seq": -1},
       {"epoch": "x", "seq": 1.5}, {"epoch": "x", "seq": True}, {"epoch": "x", "seq": [1]},
       {"epoch": ["x"], "seq": 1}, {"epoch": {}, "seq": 1}, None]  # fmt: skip


@clause("4.subscribe", "M3", "M7")
@pytest.mark.parametrize("since", BAD, ids=json.dumps)
async def test_a_position_of_the_wrong_type_is_invalid_message(server, since):
    """Issue 3: "a position … negative or of the wrong type … gets what the protocol says, and nothing changes":
    `invalid_message`, and nothing is subscribed [M3]"""
    client, name = await user(server), channel("large")
    await client.refused({"type": "subscribe", "channel": name, "since": since}, "invalid_message")
    await client.refused({"type": "unsubscribe", "channel": name}, "not_subscribed")


@clause("4.subscribe-list", "M3", "M7")
@pytest.mark.parametrize("since", [5, {"epoch": "x", "seq": -1}, {"epoch": "x", "seq": "1"}, {"seq": 1}],
                         ids=json.dumps)  # fmt: skip
async def test_a_bad_position_in_a_list_is_invalid_message_for_it_or_for_all(server, since):
    """§4: "one `subscribed` or `error` per channel"; a field of the wrong type may also spoil the whole
    request. The bad one is never subscribed [M3]"""
    client, good, bad = await user(server), channel("large"), channel("large")
    await client.send({"type": "subscribe", "id": 1, "channels": [good, {"channel": bad, "since": since}]})
    first = await client.expect(id=1)
    replies = [first]
    if first["type"] == "subscribed":
        replies.append(await client.expect(id=1))
    assert (replies[-1]["type"], replies[-1]["code"]) == ("error", "invalid_message")
    await client.refused({"type": "unsubscribe", "channel": bad}, "not_subscribed")


@clause("4.subscribe", "M3")
async def test_numbers_at_the_bounds_of_a_seq(server):
    """§1: a seq is "below 2^53": what is not may be of the wrong type, or ahead [M3]"""
    name = channel("large")
    epoch = await filled(server, name, 2)
    for seq in (2**53, 2**63, 2**64, 10**30):
        client = await user(server)
        reply = await client.request(
            {"type": "subscribe", "channel": name, "since": {"epoch": epoch, "seq": seq}}
        )
        assert reply.get("code") == "invalid_message" or reply.get("reason") == "ahead", reply
    client = await user(server)
    reply = await client.subscribe(
        name, since={"epoch": epoch, "seq": 1, "more": {"a": 1}}
    )  # unknown: ignored
    assert reply["recovered"] is True


# -- many at once


@clause("4.subscribe-list", "M7", "C9")
async def test_100_channels_resume_in_one_request_each_with_its_own_answer(server):
    """§4: "one `subscribed` or `error` per channel, in order, each with the request's `id`; 1 to 100 … This is
    how a client resumes" [M7, C9]"""
    client = await user(server)
    entries, expected = [], []
    for i in range(20):
        small, large, keep = channel("small"), channel("large"), channel("keep")
        epochs = {n: await filled(server, n, 12) for n in (small, large, keep)}
        entries += [
            {"channel": small, "since": {"epoch": epochs[small], "seq": 3}},
            {"channel": large, "since": {"epoch": epochs[large], "seq": i % 13}},
            {"channel": keep, "since": {"epoch": "old", "seq": 5}},
            {"channel": keep if i % 2 else "nowhere:x", "since": {"epoch": epochs[keep], "seq": 99}},
            {"channel": unique("room:") + " bad"} if i % 2 else channel("large"),
        ]
        expected += [
            (False, "trimmed", list(range(8, 13))),
            (True, None, list(range(i % 13 + 1, 13))),
            (False, "epoch", list(range(1, 13))),
            None if i % 2 else "not_found",
            "invalid_channel" if i % 2 else (None, None, []),
        ]
    await client.send({"type": "subscribe", "channels": entries, "id": "all"})
    for entry, wanted in zip(entries, expected, strict=True):
        reply = await client.expect(id="all")
        assert reply["channel"] == (entry["channel"] if isinstance(entry, dict) else entry)
        if isinstance(wanted, str):
            assert (reply["type"], reply["code"]) == ("error", wanted)
        elif wanted is None:  # the same channel again in one list: "Subscribing again … no messages"
            assert (reply["type"], reply["seq"], reply["messages"]) == ("subscribed", 12, [])
        else:
            assert (reply.get("recovered"), reply.get("reason"), seqs(reply["messages"])) == wanted
    assert not [m for m in await client.barrier() if m.get("type") != "pong"]


@clause("5.catch-up", "M7", "M4")
@BOTH
async def test_many_long_catch_ups_at_once_stay_in_order_each(server, namespace):
    """§5: more than 500 each "arrive after `subscribed` … in order, before anything newer" [M7, M4]"""
    names = [channel(namespace) for _ in range(10)]
    epochs = {n: await filled(server, n, 700) for n in names}
    client, publisher = await user(server), await user(server)
    entries = [{"channel": n, "since": {"epoch": epochs[n], "seq": 20 * i}} for i, n in enumerate(names)]
    await client.send({"type": "subscribe", "channels": entries, "id": 1})
    for name in names:
        await publisher.send(publish(name, data=701))
    following = {n: 20 * i + 1 for i, n in enumerate(names)}
    subscribed = set()
    while any(seq <= 701 for seq in following.values()):
        message = await client.next(20)
        if message["type"] == "subscribed":
            assert message["recovered"] is True
            subscribed.add(message["channel"])
            assert message["messages"] == [] or message["seq"] - following[message["channel"]] < 500
            for entry in message["messages"]:
                assert entry["seq"] == following[message["channel"]]
                following[message["channel"]] += 1
            continue
        assert message["type"] == "message" and message["channel"] in subscribed, message
        assert (message["seq"], message["data"]) == (following[message["channel"]],) * 2
        following[message["channel"]] += 1


@clause("5.catch-up", "M7", "M4")
async def test_the_seam_of_a_durable_channel_has_neither_hole_nor_repeat(server):
    """§5: "before anything newer"; issue 3: "no seam to live", from the disk, under load [M7, M4]"""
    name = channel("keep")
    epoch = await filled(server, name, 1500)
    publisher = await user(server)
    publishing = asyncio.create_task(post_all(publisher, name, [{"data": i} for i in range(1501, 4501)]))

    async def follow(start: int, **options):
        client = await user(server)
        reply = await client.subscribe(name, **options)
        got = seqs(reply["messages"])
        if "history" in options:
            start = reply["seq"] - min(options["history"], reply["seq"])
        while not got or got[-1] < 4500:
            message = await next_of(client, name, 20)
            assert message["type"] == "message", message
            got.append(message["seq"])
        assert got == list(range(start + 1, 4501))

    await asyncio.gather(
        *(follow(s, since={"epoch": epoch, "seq": s}) for s in (0, 700, 1400, 1500)),
        *(follow(0, history=n) for n in (10, 501, 1300)),
    )
    await publishing


@clause("5.catch-up", "M7", "C5")
async def test_an_unsubscribe_in_the_middle_of_a_catch_up_ends_it(server):
    """§4: `unsubscribed`: nothing of the channel comes after it; and one can go back [M7]"""
    name = channel("keep")
    epoch = await filled(server, name, 5000)
    client = await user(server)
    await client.send({"type": "subscribe", "channel": name, "since": {"epoch": epoch, "seq": 0}})
    await client.send({"type": "unsubscribe", "channel": name, "id": "u"})
    await client.expect(type="unsubscribed", id="u", timeout_s=20)
    first = await client.barrier()
    before = [m for m in first if m["type"] == "message"]
    assert seqs(before) == list(range(1, len(before) + 1))
    await post(await user(server), name, data=5001)
    assert [m for m in await client.barrier() if m["type"] in ("message", "gap")] == []
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 4990})
    assert seqs(reply["messages"]) == list(range(4991, 5002))


@clause("5.catch-up", "M7", "C9")
@pytest.mark.slow_clock(90)
async def test_a_storm_of_returning_clients_is_served_completely(server):
    """Issue 3: many clients come back together; each gets exactly what it missed [M7, C9]"""
    names = [channel("keep") for _ in range(4)]
    epochs = {n: await filled(server, n, 300) for n in names}

    async def come_back(number: int):
        client = await user(server)
        seen = {n: (number * 7 + i * 31) % 301 for i, n in enumerate(names)}
        entries = [{"channel": n, "since": {"epoch": epochs[n], "seq": s}} for n, s in seen.items()]
        await client.send({"type": "subscribe", "channels": entries, "id": 1})
        for name, start in seen.items():
            reply = await client.expect(id=1, timeout_s=60)
            assert (reply["channel"], reply["recovered"]) == (name, True)
            assert seqs(reply["messages"]) == list(range(start + 1, 301))

    await asyncio.gather(*(come_back(n) for n in range(200)))
