"""Protocol §5 guarantee 3, on streams: what was acknowledged or seen outlives kill -9, once, under the same
epoch and seq. Requirements M6, M4, C9, O5."""

from __future__ import annotations

import asyncio
import json

import pytest
from client import Client, channel, eventually, unique
from model import Home, history, next_of, post, post_all, publish, seqs, sleeper
from raw import CLOSE
from tokens import mint

clause = pytest.mark.clause
SETTINGS = {
    "limits": {"outbound_bytes": 65536},
    "namespaces": {
        "keep": {"kind": "stream", "durability": "disk", "history_messages": 1_000_000, "history_ttl": "1d"},
        "short": {"kind": "stream", "durability": "disk", "history_messages": 20, "history_ttl": "1d"},
        "brief": {"kind": "stream", "durability": "disk", "history_messages": 1000, "history_ttl": "1500ms"},
    },
}
SERVER = {"settings": SETTINGS}
DISK = pytest.mark.parametrize("namespace", ["log", "keep"])


async def user(server, name: str | None = None) -> Client:
    return await Client.connect(server, mint(name or unique("u")))


async def whole(client: Client, name: str) -> list[dict]:
    """Every entry that the log holds, page by page."""
    out: list[dict] = []
    while True:
        after = out[-1]["seq"] if out else 0
        reply = await history(client, name, after=after, limit=1000)
        out += reply["messages"]
        if not reply["messages"]:
            return out


def assert_contiguous(entries: list[dict]) -> None:
    assert seqs(entries) == list(range(1, len(entries) + 1))


class Flood:
    """Publishers that never wait, until the server dies; what each got acknowledged."""

    def __init__(self, name: str, publishers: int, keys: bool = False):
        self.name, self.keys = name, keys
        self.users = [unique("flood") for _ in range(publishers)]
        self.sent = [0] * publishers
        self.acknowledged: dict[tuple[int, int], dict] = {}

    async def _publish(self, server, number: int) -> None:
        client = await user(server, self.users[number])
        receiving = asyncio.create_task(self._receive(client))
        try:
            while not client.ended:
                i = self.sent[number]
                self.sent[number] += 1
                fields = {"key": f"k{i}"} if self.keys else {}
                await client.send(publish(self.name, data=[number, i], **fields) | {"id": f"{number}/{i}"})
                if i - sum(a == number for a, _ in self.acknowledged) > 50:
                    await asyncio.sleep(0)
        except Exception as error:
            if not client.ended and "close" not in type(error).__name__.lower():
                raise
        await receiving

    async def _receive(self, client: Client) -> None:
        while True:
            try:
                reply = await client._wait(self._reply(client), 20, "reply")
            except AssertionError:
                return  # the connection has ended
            if "id" in reply:  # a `reconnect` has none
                number, i = map(int, reply["id"].split("/"))
                self.acknowledged[number, i] = reply

    @staticmethod
    def _reply(client: Client):
        return lambda: client.inbox.popleft() if client.inbox else None

    async def until_killed(self, server, enough: int) -> None:
        """Runs until `enough` are acknowledged, then kills the server in the middle of it."""
        running = [asyncio.create_task(self._publish(server, n)) for n in range(len(self.users))]
        await eventually(lambda: len(self.acknowledged) >= enough, f"{enough} acknowledgements", 20)
        server.kill()
        await asyncio.gather(*running)


# -- nothing acknowledged is lost


@clause("5.durable", "M6", "M4")
@DISK
async def test_everything_acknowledged_to_many_publishers_is_there_after_kill_9(start, tmp_path, namespace):
    """Guarantee 3: "After `kill -9` … everything acknowledged is there, under the same epoch and seq" [M6]"""
    home, name = Home(start, tmp_path, SETTINGS), channel(namespace)
    flood = Flood(name, 6)
    await flood.until_killed(home.server, 600)
    client = await user(home.again())
    log = await whole(client, name)
    assert_contiguous(log)
    epoch = (await history(client, name))["epoch"]
    for who, reply in flood.acknowledged.items():
        assert reply["type"] == "published" and reply["epoch"] == epoch, reply
        assert log[reply["seq"] - 1]["data"] == list(who)
    for number in range(6):  # what was not acknowledged is there or not, but never out of order or twice
        own = [m["data"][1] for m in log if m["data"][0] == number]
        assert own == list(range(len(own)))
    assert (await client.publish(name, "next"))["seq"] == len(log) + 1


@clause("5.durable", "M6")
async def test_nothing_that_anyone_saw_is_missing_after_kill_9(start, tmp_path):
    """Guarantee 3: "nothing unacknowledged that anyone saw is missing" [M6]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("keep")
    readers = [await user(home.server) for _ in range(4)]
    for reader in readers:
        await reader.subscribe(name)
    await Flood(name, 4).until_killed(home.server, 400)
    for reader in readers:
        await reader.closed()
    log = await whole(await user(home.again()), name)
    assert_contiguous(log)
    for reader in readers:
        seen = [m for m in reader.inbox if m["type"] == "message"]
        assert seen and seqs(seen) == list(range(1, len(seen) + 1))
        assert [m["data"] for m in seen] == [m["data"] for m in log[: len(seen)]]


@clause("5.durable", "M6")
async def test_each_published_alone_survives_a_kill_right_after_it(start, tmp_path):
    """Guarantee 3: "neither `published` nor any delivery leaves before the message is on stable storage" """
    home, name = Home(start, tmp_path, SETTINGS), channel("log")
    epochs = set()
    for i in range(1, 7):
        client = await user(home.server)
        reply = await client.publish(name, i)
        home.server.kill()
        assert reply["seq"] == i
        epochs.add(reply["epoch"])
        home.again()
    log = await whole(await user(home.server), name)
    assert [(m["seq"], m["data"]) for m in log] == [(i, i) for i in range(1, 7)]
    assert len(epochs) == 1


@clause("5.durable", "M6", "K7")
async def test_a_batch_that_was_answered_survives_kill_9(start, http, tmp_path):
    """§8: a batch's results are publish answers: as safe as the namespace promises [M6]"""
    home = Home(start, tmp_path, SETTINGS)
    names = [channel("log") for _ in range(5)]
    body = {"publish": [{"channel": names[i % 5], "data": i, "key": f"k{i}"} for i in range(500)]}
    results = http(home.server, "POST", "/api/v1/batch", json=body).json()["results"]
    server = home.crash()
    client = await user(server)
    for i, name in enumerate(names):
        assert [m["data"] for m in await whole(client, name)] == list(range(i, 500, 5))
    again = http(server, "POST", "/api/v1/batch", json=body).json()["results"]
    assert all(r["duplicate"] is True for r in again)
    assert [(r["epoch"], r["seq"]) for r in again] == [(r["epoch"], r["seq"]) for r in results]


@clause("5.durable", "M6")
async def test_an_entry_is_the_same_after_kill_9_byte_for_byte(start, tmp_path):
    """§5: timestamp, event, from, priority and data stand in the log as they were delivered [M6]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("log")
    client = await Client.connect(home.server, mint("alice", type="creator"))
    data = '{"b":1.0,"a":12345678901234567890,"s":"\\u00e9\\ud800","a":-0}'
    await client.send(
        f'{{"type":"publish","id":1,"channel":"{name}","event":"é","priority":"critical","data":{data}}}'
    )
    await client.expect(id=1)
    await client.publish(name, None)
    before = await history(client, name)
    after = await history(await user(home.crash()), name)
    assert after["messages"] == before["messages"] and after["epoch"] == before["epoch"]
    assert after.text_of("messages", 0, "data") == data


# -- seqs and epochs


@clause("1.epoch", "M6")
async def test_seqs_go_on_over_crashes_and_drains_without_reuse(start, tmp_path):
    """§1: a seq "grows by exactly 1"; issue 3: "never reused and never skipped" [M6]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("log")
    epochs = set()
    for round_ in range(4):
        client = await user(home.server)
        replies = await post_all(client, name, [{"data": [round_, i]} for i in range(10)])
        assert seqs(replies) == list(range(round_ * 10 + 1, round_ * 10 + 11))
        epochs |= {r["epoch"] for r in replies}
        await (asyncio.to_thread(home.restart) if round_ % 2 else asyncio.to_thread(home.crash))
    assert len(epochs) == 1


@clause("1.epoch", "M7", "M6")
async def test_other_data_is_another_epoch(start, tmp_path):
    """§1: "an opaque string … that changes when a channel's numbering starts anew" [M7]"""
    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    one, two = Home(start, tmp_path / "one"), Home(start, tmp_path / "two")
    name = channel("log")
    first = await (await user(one.server)).publish(name, 1)
    client = await user(two.server)
    await client.publish(name, 1)
    reply = await (await user(two.server)).subscribe(name, since={"epoch": first["epoch"], "seq": 1})
    assert (reply["recovered"], reply["reason"]) == (False, "epoch")


@clause("5.durable", "M6")
async def test_many_channels_survive_together(start, tmp_path):
    """Guarantee 3 for each of 200 channels, written to by 4 connections at once [M6]"""
    home = Home(start, tmp_path, SETTINGS)
    names = [channel("keep") for _ in range(200)]
    clients = [await user(home.server) for _ in range(4)]

    async def write(number: int):
        for i in range(3):
            for name in names[number::4]:
                await clients[number].send(publish(name, data=i) | {"id": f"{name}/{i}"})
        for i in range(3):
            for name in names[number::4]:
                assert (await clients[number].expect(id=f"{name}/{i}"))["seq"] == i + 1

    await asyncio.gather(*(write(n) for n in range(4)))
    client = await user(home.crash())
    for first in range(0, 200, 100):
        await client.send({"type": "subscribe", "id": first,
                           "channels": [{"channel": n, "history": 10} for n in names[first : first + 100]]})  # fmt: skip
        for name in names[first : first + 100]:
            reply = await client.expect(id=first)
            assert (reply["channel"], reply["seq"]) == (name, 3)
            assert [m["data"] for m in reply["messages"]] == [0, 1, 2]


# -- idempotency


@clause("4.publish-key", "M6")
async def test_who_repeats_everything_after_a_crash_has_it_in_the_log_once(start, tmp_path):
    """§4: `key`: "also after a restart where the channel is durable": a client that does not know what got
    through sends all again [M6, C9]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("keep")
    flood = Flood(name, 4, keys=True)
    await flood.until_killed(home.server, 400)
    server = home.again()
    survived = len(await whole(await user(server), name))

    async def repeat(number: int) -> list[dict]:
        client = await user(server, flood.users[number])
        events = [{"data": [number, i], "key": f"k{i}"} for i in range(flood.sent[number])]
        return await post_all(client, name, events)

    replies = await asyncio.gather(*(repeat(n) for n in range(4)))
    for number, own in enumerate(replies):
        for i, reply in enumerate(own):
            first = flood.acknowledged.get((number, i))
            if first:
                assert reply["duplicate"] is True
                assert (reply["epoch"], reply["seq"]) == (first["epoch"], first["seq"])
    log = await whole(await user(server), name)
    assert_contiguous(log)
    assert sorted(m["data"] for m in log) == [[n, i] for n in range(4) for i in range(flood.sent[n])]
    assert sum(bool(r.get("duplicate")) for own in replies for r in own) == survived


@clause("4.publish-key", "M6")
async def test_a_key_of_a_crash_ago_is_still_the_users_and_the_channels_own(start, tmp_path):
    """§4: "a repeat by the same user in the same channel": nor after a restart does it hit another's [M6]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("log")
    alice, bob = unique("alice"), unique("bob")
    await (await user(home.server, alice)).publish(name, "a", key="k")
    server = home.crash()
    assert (await (await user(server, bob)).publish(name, "b", key="k"))["seq"] == 2
    other = await (await user(server, alice)).publish(channel("log"), "c", key="k")
    assert other["seq"] == 1 and not other.get("duplicate")
    again = await (await user(server, alice)).publish(name, "d", key="k")
    assert (again["seq"], again["duplicate"]) == (1, True)
    again = await (await user(home.crash(), bob)).publish(name, "e", key="k")
    assert (again["seq"], again["duplicate"]) == (2, True)


@clause("4.publish-key", "M6")
async def test_the_window_of_a_key_ends_after_a_restart_too(start, tmp_path):
    """§9: `limits.idempotency_window` (3 s here) [M6]"""
    home = Home(start, tmp_path, {"limits": {"idempotency_window": "3s"}})
    me, name = unique("u"), channel("log")
    await (await user(home.server, me)).publish(name, 1, key="k")
    client = await user(home.crash(), me)

    async def over():
        return not (await client.publish(name, 1, key="k")).get("duplicate")

    await eventually(over, "the end of the window", 10)


@clause("4.publish-key", "M6")
async def test_the_apis_keys_are_known_after_a_crash(start, http, tmp_path):
    """§4, §8: `key` in a call with the API key [M6]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("log")
    body = {"channel": name, "data": 1, "key": "invoice-7"}
    first = http(home.server, "POST", "/api/v1/publish", json=body).json()
    again = http(home.crash(), "POST", "/api/v1/publish", json=body).json()
    assert again["duplicate"] is True
    assert (again["epoch"], again["seq"]) == (first["epoch"], first["seq"])


# -- subscribers over a crash


@clause("5.recovered", "M6", "C9", "M4")
async def test_subscribers_who_resume_over_crashes_get_each_message_once(start, tmp_path):
    """M6: "loses no acknowledged message and duplicates none to a client that resumes" [M6, C9]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("keep")
    epoch = (await (await user(home.server)).subscribe(name))["epoch"]
    seen: list[list[dict]] = [[] for _ in range(4)]
    for _ in range(3):
        readers = [await user(home.server) for _ in seen]
        for reader, mine in zip(readers, seen, strict=True):
            reply = await reader.subscribe(name, since={"epoch": epoch, "seq": len(mine)})
            assert reply["recovered"] is True, reply
            mine += reply["messages"]
        await Flood(name, 3).until_killed(home.server, 200)
        for reader, mine in zip(readers, seen, strict=True):
            await reader.closed()
            mine += [m for m in reader.inbox if m["type"] == "message"]
        home.again()
    client = await user(home.server)
    log = await whole(client, name)
    assert_contiguous(log)
    for mine in seen:
        assert seqs(mine) == list(range(1, len(mine) + 1))
        assert [m["data"] for m in mine] == [m["data"] for m in log[: len(mine)]]
        reader = await user(home.server)
        reply = await reader.subscribe(name, since={"epoch": epoch, "seq": len(mine)})
        rest = reply["messages"] or [await next_of(reader, name) for _ in log[len(mine) :]]
        assert seqs(rest) == list(range(len(mine) + 1, len(log) + 1))


@clause("5.recovered", "M7", "M6")
async def test_memory_and_disk_channels_resume_side_by_side_after_a_crash(start, tmp_path):
    """§5: one `subscribed` per channel with its own reason: `log` recovered, `room` of another epoch [M7]"""
    home = Home(start, tmp_path, SETTINGS)
    client = await user(home.server)
    names = [channel("room" if i % 2 else "log") for i in range(20)]
    epochs = {}
    for name in names:
        epochs[name] = (await post_all(client, name, [{"data": i} for i in range(1, 4)]))[0]["epoch"]
    client = await user(home.crash())
    entries = [{"channel": n, "since": {"epoch": epochs[n], "seq": i % 4}} for i, n in enumerate(names)]
    await client.send({"type": "subscribe", "channels": entries, "id": 1})
    for i, name in enumerate(names):
        reply = await client.expect(id=1)
        assert reply["channel"] == name
        if i % 2:
            assert (reply["recovered"], reply["reason"], reply["seq"]) == (False, "epoch", 0)
            assert reply["epoch"] != epochs[name] and reply["messages"] == []
        else:
            assert (reply["recovered"], reply["epoch"], reply["seq"]) == (True, epochs[name], 3)
            assert seqs(reply["messages"]) == list(range(i % 4 + 1, 4))


# -- what is trimmed and what has expired


@clause("5.trimmed", "M6", "M7")
async def test_a_trimmed_log_stays_as_it_was_over_a_crash(start, tmp_path):
    """§4: "`first` and `last` are the oldest and newest seq that the log still holds"; no seq comes back [M7]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("short")
    client = await user(home.server)
    epoch = (await post_all(client, name, [{"data": i} for i in range(1, 101)]))[0]["epoch"]
    before = await history(client, name)
    assert (before["first"], before["last"]) == (81, 100)
    server = home.crash()
    client = await user(server)
    after = await history(client, name)
    assert (after["first"], after["last"]) == (81, 100)
    assert after["messages"] == before["messages"]
    for seen, recovered in ((0, False), (79, False), (80, True), (100, True), (101, False)):
        reader = await user(server)
        reply = await reader.subscribe(name, since={"epoch": epoch, "seq": seen})
        assert reply["recovered"] is recovered, (seen, reply)
        assert reply.get("reason") == (None if recovered else "ahead" if seen == 101 else "trimmed")
        assert seqs(reply["messages"]) == list(range(seen + 1 if recovered else 81, 101))
    assert (await client.publish(name, 1))["seq"] == 101


@clause("5.trimmed", "M6")
async def test_the_age_of_a_log_goes_on_over_a_restart(start, tmp_path):
    """§9: `.history_ttl` (1.5 s here); §5: "Expired entries at the old end count as trimmed" [M7]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("brief")
    client = await user(home.server)
    epoch = (await post_all(client, name, [{"data": i} for i in range(5)]))[0]["epoch"]
    client = await user(home.crash())

    async def gone():
        return (await history(client, name))["messages"] == []

    await eventually(gone, "the end of the history")
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 2})
    assert (reply["recovered"], reply["reason"], reply["seq"]) == (False, "trimmed", 5)
    assert (await client.publish(name, 1))["seq"] == 6


@clause("4.publish-ttl", "M6", "M7")
@DISK
async def test_a_ttl_of_a_messages_own_ends_also_while_the_server_is_down(start, tmp_path, namespace):
    """§4: "`ttl_ms` (…): past it the message leaves the log, and a `gap` covers it" [M7]"""
    home, name = Home(start, tmp_path, SETTINGS), channel(namespace)
    client = await user(home.server)
    for i, ttl in enumerate((None, 400, 400, None, 400, None)):
        epoch = (await post(client, name, data=i, **({"ttl_ms": ttl} if ttl else {})))["epoch"]
    client = await user(home.crash())

    async def gone():
        return seqs((await history(client, name))["messages"]) == [1, 4, 6]

    await eventually(gone, "the end of the TTL")
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 0})
    assert (reply["recovered"], reply["messages"], reply["seq"]) == (True, [], 6)
    got = [await next_of(client, name) for _ in range(5)]
    assert [(m["type"], m.get("seq"), m.get("from"), m.get("to")) if m["type"] == "gap" else (m["type"], m["seq"])
            for m in got] == [("message", 1), ("gap", None, 2, 3), ("message", 4), ("gap", None, 5, 5),
                              ("message", 6)]  # fmt: skip
    assert all(m["epoch"] == epoch for m in got if m["type"] == "gap")


# -- readers that are far behind


@clause("5.catch-up", "M7", "M6")
@pytest.mark.parametrize("how", ["crash", "live"])
async def test_a_reader_far_behind_gets_every_message_from_the_log(start, tmp_path, how):
    """§5: "More than 500 missed messages … all arrive after `subscribed` … in order, before anything newer":
    3000 of them, beyond what memory keeps [M7]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("keep")
    client = await user(home.server)
    for first in range(0, 3000, 500):
        replies = await post_all(client, name, [{"data": i} for i in range(first + 1, first + 501)])
    server = home.crash() if how == "crash" else home.server
    reader, publisher = await user(server), await user(server)
    reply = await reader.subscribe(name, since={"epoch": replies[0]["epoch"], "seq": 10})
    assert (reply["recovered"], reply["messages"], reply["seq"]) == (True, [], 3000)
    await publisher.publish(name, 3001)
    got = [await next_of(reader, name, 20) for _ in range(2991)]
    assert [(m["seq"], m["data"]) for m in got] == [(i, i) for i in range(11, 3002)]
    other = await user(server)
    reply = await other.subscribe(name, history=2000)
    assert reply["messages"] == []
    assert seqs([await next_of(other, name, 20) for _ in range(2000)]) == list(range(1002, 3002))


@clause("5.slow-reader", "P7", "M6")
@pytest.mark.slow_clock(90)
async def test_a_slow_reader_of_a_durable_channel_gets_each_small_message(server):
    """Guarantee 2: "caught up from the log at its own pace": 20,000 small messages, no gap, while another
    reader gets them live [P7, M6]"""
    name, count = channel("keep"), 20000
    publisher, reader = await user(server), await user(server)
    await reader.subscribe(name)
    raw, _ = await sleeper(server, name)
    filler = "x" * 400  # 10 MB in all: more than the sockets hold
    for first in range(0, count, 1000):
        await post_all(publisher, name, [{"data": [i, filler]} for i in range(first + 1, first + 1001)])
        live = [await next_of(reader, name) for _ in range(1000)]
        assert seqs(live) == list(range(first + 1, first + 1001))
    for i in range(1, count + 1):
        frame = await raw.message(timeout_s=15)
        assert frame.opcode != CLOSE, frame
        message = json.loads(frame.payload)
        assert (message["type"], message["seq"], message["data"][0]) == ("message", i, i), message


@clause("5.gap", "P7", "M6")
@pytest.mark.slow_clock(90)
async def test_a_slow_reader_of_a_short_durable_log_gets_gaps_for_what_is_gone(server):
    """§5: `gap`: "messages a..b of a stream are gone for this client (history trimmed …); what follows starts
    at b+1. Nothing is ever lost in silence" [P7, M6]"""
    name, count = channel("short"), 1200
    raw, subscribed = await sleeper(server, name)
    epoch = subscribed["epoch"]
    publisher = await user(server)
    filler = "x" * 16000
    for first in range(0, count, 100):
        await post_all(publisher, name, [{"data": [i, filler]} for i in range(first + 1, first + 101)])
    following, gaps = 1, 0
    while following <= count:
        message = json.loads((await raw.message(timeout_s=15)).payload)
        if message["type"] == "gap":
            assert message["epoch"] == epoch and message["from"] == following <= message["to"], message
            following, gaps = message["to"] + 1, gaps + 1
        else:
            assert (message["type"], message["seq"]) == ("message", following), message
            assert message["data"][0] == following
            following += 1
    assert gaps >= 1 and following == count + 1
    await publisher.publish(name, ["live"])
    assert json.loads((await raw.message()).payload)["seq"] == count + 1


# -- drains


@clause("9.drain", "O5", "M6")
async def test_a_drain_under_load_loses_nothing_that_was_acknowledged(start, tmp_path):
    """O5: "graceful drain and restart; nothing lost"; exit status 0 [O5, M6]"""
    home, name = Home(start, tmp_path, SETTINGS), channel("keep")
    flood = Flood(name, 3)
    running = [asyncio.create_task(flood._publish(home.server, n)) for n in range(3)]
    await eventually(lambda: len(flood.acknowledged) >= 200, "200 acknowledgements")
    home.server.terminate()
    await asyncio.gather(*running)
    assert await asyncio.to_thread(home.server.wait) == 0
    log = await whole(await user(home.again()), name)
    assert_contiguous(log)
    for who, reply in flood.acknowledged.items():
        if reply["type"] == "published":
            assert log[reply["seq"] - 1]["data"] == list(who)
