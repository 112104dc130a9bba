"""Protocol §8 `/sse` with the kinds of §7: what folds and what waits for an ack, streamed and resumed."""

from __future__ import annotations

import asyncio
import random

import pytest
from client import Client, channel, unique
from model import Copy, api_publish, notify, post, same
from sse import Stream
from tokens import mint

clause = pytest.mark.clause


def document(**options) -> dict:
    return {"kind": "document", "durability": "memory", "history_messages": 10000} | options


SERVER = {
    "settings": {
        "limits": {"outbound_bytes": 65536},
        "namespaces": {
            "board": document(conflate_ms=20, priority="low"),
            "plain": document(),
            "few": document(history_messages=4, priority="critical"),
            "stored": document(durability="disk", conflate_ms=30, history_messages=20),
            "run": {
                "kind": "agent",
                "durability": "memory",
                "subscribe": "authenticated",
                "history_messages": 10000,
            },
        },
    }
}


@clause("8.sse", "7.document", "M7")
async def test_a_snapshot_comes_with_subscribed_and_not_when_a_stream_goes_on(server):
    """§5: "`snapshot` stands where the kind has one, except when `recovered` is true" """
    name = channel("plain")
    author = await Client.connect(server, mint("a"))
    await post(author, name, data={"n": 1})
    stream = await Stream.open(server, name, token=mint("u"))
    (answer,) = await stream.answers(name)
    assert (answer["kind"], answer["snapshot"]) == ("document", {"seq": 1, "data": {"n": 1}})
    await post(author, name, merge={"m": 2})
    event = await stream.expect(type="message", seq=2)
    assert event.message["merge"] == {"m": 2} and event.id
    stream.close()
    await post(author, name, merge={"m": 3})
    again = await Stream.open(server, name, token=mint("u"), last_id=stream.last_id)
    (answer,) = await again.answers(name)
    assert answer["recovered"] is True and "snapshot" not in answer
    assert [m["merge"] for m in answer["messages"]] == [{"m": 3}]


@clause("8.sse", "7.all-kinds", "M6", "M7")
@pytest.mark.slow_clock(90)
@pytest.mark.parametrize("seed", range(3))
async def test_what_folds_is_whole_wherever_a_stream_was_cut(server, http, seed):
    """§7: merged deliveries, snapshots in place of what is gone, and an agent's text with "no token twice", for
    a slow stream that is cut at any point and comes back with its last id"""
    dice = random.Random(seed)
    names = [channel(ns) for ns in ("board", "few", "plain", "stored", "run")]
    copies = {name: Copy("agent" if name == names[4] else "document") for name in names}
    author = await Client.connect(server, mint("a"))
    await post(author, names[4], "start", data={})
    count, text = 150, []
    started = asyncio.Event()

    async def write():
        for i in range(count):
            for name in names[:4]:
                body = {f"k{i % 7}": [i, "x" * dice.choice((10, 16000, 40000))]}
                await post(author, name, **({"data": body} if i % 11 == 0 else {"merge": body}))
            text.append(f"<{i}>" + "y" * dice.choice((1, 8000, 16000)))
            await post(author, names[4], "delta", data={"text": text[-1]})
            if i == count // 3:
                started.set()
        started.set()

    stream = await Stream.open(server, *names, token=mint("u"), receive_buffer=4096)
    for answer in await stream.answers(*names):
        copies[answer["channel"]].start(answer)
    writing = asyncio.create_task(write())
    await started.wait()

    async def latest() -> dict:
        reader = await Client.connect(server, mint("v"))
        found = {name: (await reader.subscribe(name))["snapshot"] for name in names}
        await reader.close()
        return found

    def done(target: dict) -> bool:
        return all(copies[name].seq >= target[name]["seq"] for name in names)

    while not writing.done() or not done(target := await latest()):
        try:
            for _ in range(dice.choice((1, 5, 40, 200))):
                message = await stream.message(0.5)
                copies[message["channel"]].take(message)
        except AssertionError as error:
            if "nothing to read" not in str(error):  # it has everything that there is by now
                raise
        for some in (dice.randint(0, 4), len(names)):
            stream.raw.reset()
            stream = await Stream.open(
                server, *names, token=mint("u"), last_id=stream.last_id, receive_buffer=4096
            )
            for name in names[:some]:
                copies[name].start((await stream.expect(type="subscribed", channel=name)).message)
    await writing
    assert any("first_seq" in message for message in copies[names[0]].taken)
    for name in names:
        assert copies[name].seq == target[name]["seq"]
    for name in names[:4]:
        assert same(copies[name].state, target[name]["data"]), name
    assert target[names[4]]["data"]["text"] == "".join(text)
    assert copies[names[4]].state["text"] == "".join(text)


@clause("8.sse", "7.inbox-follow", "M5")
async def test_a_stream_follows_its_users_inbox(server, http):
    """§7: "Every authenticated connection follows its own unless it connects with `?inbox=manual`" """
    me, name = unique("me"), channel("plain")
    for priority in ("low", "critical", "medium"):
        notify(http, server, me, data=priority, priority=priority)

    async def open_stream(last_id: str | None = None) -> tuple[Stream, list]:
        stream = await Stream.open(server, name, token=mint(me), last_id=last_id, inbox=True)
        own = (await stream.expect(type="subscribed", channel=f"user:{me}", kind="inbox")).message
        assert own["messages"] == [] and "id" not in own and "snapshot" not in own
        await stream.expect(type="subscribed", channel=name)
        return stream, [(await stream.expect(type="message", channel=f"user:{me}")).message for _ in range(3)]

    stream, first = await open_stream()
    assert [m["data"] for m in first] == ["critical", "medium", "low"]
    device = await Client.connect(server, mint(me))
    acked = await device.request({"type": "ack", "channel": f"user:{me}", "seqs": [first[0]["seq"]]})
    assert acked["type"] == "acked", acked
    event = await stream.expect(type="message", channel=f"user:{me}", event="ack")
    assert event.message["data"] == {"seqs": [first[0]["seq"]]}
    notify(http, server, me, data="new")
    await stream.expect(type="message", data="new")
    stream.close()
    again, pending = await open_stream(stream.last_id)
    assert [m["data"] for m in pending] == ["medium", "new", "low"]
    assert all(m["redelivered"] is True for m in pending)


@clause("8.sse", "7.inbox", "M5")
async def test_an_inbox_that_a_stream_subscribes_itself_goes_on_behind_its_position(server, http):
    """§7: "A client that subscribes itself may use `since` as in any channel" """
    me = unique("me")
    notify(http, server, me, data=1)
    stream = await Stream.open(server, f"user:{me}", token=mint(me))
    (answer,) = await stream.answers(f"user:{me}")
    assert [e["data"] for e in answer["snapshot"]["data"]["pending"]] == [1]
    await stream.expect(type="message", data=1)
    stream.close()
    notify(http, server, me, data=2)
    again = await Stream.open(server, f"user:{me}", token=mint(me), last_id=stream.last_id)
    (answer,) = await again.answers(f"user:{me}")
    assert (answer["recovered"], [m["data"] for m in answer["messages"]]) == (True, [2])


@clause("8.sse", "7.session", "K3")
async def test_a_stream_of_a_session_is_its_members_own(server, http):
    """§7: "only members subscribe and publish"; who leaves is told so on the stream"""
    name, me = channel("session"), unique("me")
    api_publish(http, server, name, "join", data={"user": me})
    stranger = await Stream.open(server, name, token=mint(unique("u")))
    (answer,) = await stranger.answers(name)
    assert answer["type"] == "error" and answer["code"] in {"forbidden", "not_found"}, answer
    stream = await Stream.open(server, name, token=mint(me))
    (answer,) = await stream.answers(name)
    assert (answer["type"], answer["kind"]) == ("subscribed", "session")
    api_publish(http, server, name, "message", data="hello")
    await stream.expect(type="message", channel=name, data="hello")
