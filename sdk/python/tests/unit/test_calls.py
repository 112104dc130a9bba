"""Requests, publishes and their answers, on a fake server and a virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidewire import Published, TidewireError, UnavailableError
from tidewire.calls import PENDING_MAX

from ..support.fake_server import FakeServer, begin, turn


def codes(ends: list[Any]) -> list[Any]:
    return [getattr(end, "code", getattr(end, "seq", end)) for end in ends]


async def test_a_publish_is_answered_with_its_place_in_the_log() -> None:
    server = FakeServer()
    client = await server.connected()
    publishing = begin(client.channel("room:1").publish({"a": 1}, event="e", priority="high", ttl_ms=5, echo=False))
    await turn()
    request = server.socket.last("publish")
    assert isinstance(request.pop("key"), str)
    assert request == {
        "type": "publish",
        "channel": "room:1",
        "data": {"a": 1},
        "event": "e",
        "priority": "high",
        "ttl_ms": 5,
        "echo": False,
        "id": request["id"],
    }
    server.socket.published(7, duplicate=True)
    assert await publishing == Published("room:1", "e1", 7, duplicate=True)
    await client.close()


async def test_carries_the_key_that_was_given_or_one_of_its_own() -> None:
    server = FakeServer()
    client = await server.connected()
    begin(client.channel("room:1").publish(1, key="mine"))
    begin(client.channel("room:2").publish(1))
    begin(client.channel("room:3").publish(1))
    await turn()
    keys = [request["key"] for request in server.socket.all("publish")]
    assert keys[0] == "mine" and len(set(keys)) == 3
    await client.close()


async def test_a_publish_waits_for_the_one_before_it_in_the_same_channel_and_for_no_other() -> None:
    server = FakeServer()
    client = await server.connected()
    room, other = client.channel("room:1"), client.channel("room:2")
    first, second = begin(room.publish(1)), begin(room.publish(2))
    begin(other.publish(3))
    await turn()
    assert [one["data"] for one in server.socket.all("publish")] == [1, 3]
    request = server.socket.all("publish")[0]
    server.socket.say({"type": "published", "id": request["id"], "channel": "room:1", "epoch": "e1", "seq": 1})
    await turn()
    assert first.done() and not second.done()
    assert [one["data"] for one in server.socket.all("publish")] == [1, 3, 2]
    await client.close()


async def test_is_sent_again_on_the_next_connection_with_the_same_key_and_in_order() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    work = [begin(room.publish(i)) for i in range(3)]
    await turn()
    before = server.socket.last("publish")
    server.socket.cut()
    await server.again()
    assert server.socket.all("publish") == [before]
    for seq in range(1, 4):
        server.socket.published(seq)
        await turn()
    assert codes(await asyncio.gather(*work)) == [1, 2, 3]
    assert [one["data"] for one in server.socket.all("publish")] == [0, 1, 2]
    await client.close()


async def test_is_refused_with_what_the_server_says_and_the_next_one_goes() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    first, second = begin(room.publish(1)), begin(room.publish(2))
    await turn()
    server.socket.refuse("publish", "content_rejected", rule="script_tag")
    with pytest.raises(TidewireError) as refused:
        await first
    assert (refused.value.code, refused.value.rule, refused.value.channel) == ("content_rejected", "script_tag", "room:1")
    await turn()
    server.socket.published(1)
    assert (await second).seq == 1
    await client.close()


async def test_waits_no_longer_than_it_was_told_and_the_next_one_goes() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    first, second = begin(room.publish(1, timeout=2)), begin(room.publish(2))
    await asyncio.sleep(2.1)
    with pytest.raises(TidewireError, match="no answer to publish within 2 s"):
        await first
    late = server.socket.all("publish")[0]
    server.socket.say({"type": "published", "id": late["id"], "channel": "room:1", "epoch": "e1", "seq": 1})
    server.socket.published(2)
    assert (await second).seq == 2
    await client.close()


async def test_one_that_is_cancelled_leaves_its_place_to_the_next() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    work = [begin(room.publish(i)) for i in range(3)]
    await turn()
    work[1].cancel()
    work[0].cancel()
    await turn()
    assert [one["data"] for one in server.socket.all("publish")] == [0, 2]
    server.socket.published(2)
    assert (await work[2]).seq == 2
    await client.close()


@pytest.mark.parametrize(
    "answer",
    [
        {"type": "pong"},
        {"type": "published"},
        {"type": "published", "seq": -1, "epoch": "e"},
        {"type": "published", "seq": 1.5, "epoch": "e"},
        {"type": "published", "seq": 1},
    ],
    ids=str,
)
async def test_takes_no_answer_that_makes_no_sense(answer: dict[str, Any]) -> None:
    server = FakeServer()
    client = await server.connected()
    publishing = begin(client.channel("room:1").publish(1))
    await turn()
    server.socket.say({**answer, "id": server.socket.last("publish")["id"]})
    with pytest.raises(TidewireError) as failed:
        await publishing
    assert failed.value.code == "protocol_error"
    await client.close()


@pytest.mark.parametrize("nonsense", [{"id": []}, {"id": {}}, {"id": "1"}, {"id": 1.0}, {"id": True}, {"id": 99}, {}], ids=str)
async def test_ignores_an_answer_that_nobody_asked_for(nonsense: dict[str, Any]) -> None:
    server = FakeServer()
    client = await server.connected()
    publishing = begin(client.channel("room:1").publish(1))
    await turn()
    server.socket.say({"type": "published", "channel": "room:1", "epoch": "e", "seq": 1, **nonsense})
    server.socket.published(5)
    assert (await publishing).seq == 5 or nonsense.get("id") in (1.0, True)
    await client.close()


async def test_is_not_repeated_when_it_has_ended_the_connection() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    poison, after = begin(room.publish(1)), begin(room.publish(2))
    await turn()
    server.socket.cut(1009, "too large")
    with pytest.raises(TidewireError, match="1009 too large"):
        await poison
    await server.again()
    assert [one["data"] for one in server.socket.all("publish")] == [2]
    server.socket.published(1)
    await after
    await client.close()


async def test_what_is_over_the_servers_limit_is_refused_here() -> None:
    server = FakeServer()
    client = await server.connected({"limits": {"message_bytes": 200}})
    room = client.channel("room:1")
    with pytest.raises(TidewireError) as refused:
        await room.publish("é" * 80)
    assert refused.value.code == "too_large" and not server.socket.sent
    begin(room.publish("x" * 60))
    await turn()
    assert server.socket.all("publish")
    await client.close()


@pytest.mark.parametrize(
    "options",
    [
        {"event": ""},
        {"event": "x" * 65},
        {"key": "x" * 129},
        {"key": 7},
        {"ttl_ms": 0},
        {"ttl_ms": 1.5},
        {"ttl_ms": True},
        {"priority": "urgent"},
        {"ephemeral": True, "key": "k"},
        {"ephemeral": True, "ttl_ms": 5},
        {"timeout": 0},
        {"timeout": "5"},
        {"data": {1, 2}},
    ],
    ids=str,
)
async def test_what_can_t_be_asked_for_fails_at_once(options: dict[str, Any]) -> None:
    server = FakeServer()
    client = await server.connected()
    with pytest.raises(TidewireError) as refused:
        await client.channel("room:1").publish(**{"data": 1, **options})
    assert refused.value.code == "invalid_argument" and not server.socket.sent
    await client.close()


async def test_is_what_it_was_when_the_call_was_made() -> None:
    server = FakeServer()
    client = server.client()
    data = {"n": 1}
    publishing = begin(client.channel("room:1").publish(data))
    await turn()
    data["n"] = 2
    server.socket.welcome()
    await turn()
    assert server.socket.last("publish")["data"] == {"n": 1}
    server.socket.published(1)
    await publishing
    await client.close()


async def test_an_ephemeral_message_has_no_key_and_is_not_sent_twice() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    first, second = begin(room.publish(1, ephemeral=True)), begin(room.publish(2, ephemeral=True))
    await turn()
    one, two = server.socket.all("publish")
    assert "key" not in one and one["ephemeral"] is True and two["data"] == 2
    server.socket.say({"type": "published", "id": one["id"], "channel": "room:1", "ephemeral": True})
    assert (await first).ephemeral
    server.socket.cut()
    with pytest.raises(TidewireError) as lost:
        await second
    assert lost.value.code == "connection_lost"
    with pytest.raises(TidewireError) as absent:
        await room.publish(3, ephemeral=True)
    assert absent.value.code == "not_connected"
    await server.again()
    assert not server.socket.sent
    await client.close()


async def test_the_rate_limit_is_kept_here() -> None:
    server = FakeServer()
    client = await server.connected({"limits": {"messages_per_minute": 60, "burst": 2}})
    for i in range(4):
        begin(client.channel(f"room:{i}").publish(i))
    begin(client.call("ping"))
    await turn()
    assert [one["type"] for one in server.socket.sent] == ["publish", "publish", "ping"]
    await asyncio.sleep(1.01)
    assert len(server.socket.all("publish")) == 3
    await asyncio.sleep(1)
    assert [one["data"] for one in server.socket.all("publish")] == [0, 1, 2, 3]
    await client.close()


async def test_a_rate_limit_that_the_server_tells_is_waited_for_and_the_order_stays() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    work = [begin(room.publish(i)) for i in range(2)]
    await turn()
    server.socket.refuse("publish", "rate_limited", retry_after_ms=700)
    await asyncio.sleep(0.69)
    assert len(server.socket.all("publish")) == 1
    await asyncio.sleep(0.02)
    for seq in (1, 2):
        server.socket.published(seq)
        await turn()
    assert codes(await asyncio.gather(*work)) == [1, 2]
    assert [one["data"] for one in server.socket.all("publish")] == [0, 0, 1]
    await client.close()


@pytest.mark.parametrize("retry_after_ms", [None, "soon", -1, 0, 1e999])
async def test_a_refusal_without_a_time_is_no_reason_to_hammer(retry_after_ms: Any) -> None:
    server = FakeServer()
    client = await server.connected()
    begin(client.channel("room:1").publish(1))
    await turn()
    for _ in range(3):
        count = len(server.socket.sent)
        server.socket.refuse("publish", "rate_limited", retry_after_ms=retry_after_ms)
        await turn()
        assert len(server.socket.sent) == count
        await asyncio.sleep(2)
        assert len(server.socket.sent) == count + 1
    await client.close()


async def test_a_rate_limit_that_outlasts_the_call_is_what_it_fails_with() -> None:
    server = FakeServer()
    client = await server.connected()
    publishing = begin(client.channel("room:1").publish(1, timeout=5))
    await turn()
    server.socket.refuse("publish", "rate_limited", retry_after_ms=60_000)
    with pytest.raises(TidewireError) as limited:
        await publishing
    assert (limited.value.code, limited.value.retry_after_ms) == ("rate_limited", 60_000)
    await client.close()


async def test_what_is_unavailable_is_asked_for_again_and_holds_up_only_its_channel() -> None:
    server = FakeServer()
    client = await server.connected()
    waiting = begin(client.channel("room:1").publish(1))
    await turn()
    server.socket.refuse("publish", "unavailable", retry_after_ms=3000)
    other = begin(client.channel("room:2").publish(2))
    await turn()
    server.socket.published(1)
    await other
    await asyncio.sleep(3.1)
    server.socket.refuse("publish", "unavailable", retry_after_ms=60_000)
    with pytest.raises(UnavailableError):
        await waiting
    await client.close()


async def test_requests_are_repeated_over_connections_and_end_in_time() -> None:
    server = FakeServer()
    client = await server.connected(timeout=5)
    server.answers_pings = False
    calling = begin(client.call("ping", {"data": 1}))
    await turn()
    server.socket.cut()
    await server.again()
    request = server.socket.last("ping")
    server.socket.say({"type": "pong", "id": request["id"], "data": 1})
    assert (await calling)["data"] == 1
    with pytest.raises(TidewireError, match="no answer to ping within 5 s"):
        await client.call("ping")
    await client.close()


async def test_history_is_a_page_of_the_log() -> None:
    server = FakeServer()
    client = await server.connected()
    asking = begin(client.channel("room:1").history(after=2, limit=5))
    await turn()
    request = server.socket.last("history")
    assert (request["after"], request["limit"], "before" in request) == (2, 5, False)
    messages = [{"seq": 3, "timestamp": 1, "data": "x"}, {"seq": "bad"}, 7]
    server.socket.say({"type": "history", "id": request["id"], "epoch": "e", "first": 1, "last": 9, "messages": messages})
    page = await asking
    assert (page.first, page.last, [one.data for one in page.messages]) == (1, 9, ["x"])
    failing = begin(client.channel("room:1").history())
    await turn()
    server.socket.say({"type": "history", "id": server.socket.last("history")["id"], "messages": 7})
    with pytest.raises(TidewireError) as failed:
        await failing
    assert failed.value.code == "protocol_error"
    await client.close()


async def test_sends_what_waits_only_after_the_subscriptions_that_it_resumes() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    begin(room.subscribe())
    await turn()
    server.socket.subscribed()
    server.socket.cut()
    begin(room.publish(1))
    begin(client.channel("room:2").subscribe())
    await server.again()
    assert [one["type"] for one in server.socket.sent] == ["subscribe", "publish", "subscribe"]
    await client.close()


async def test_nobody_can_fill_the_memory_with_requests() -> None:
    server = FakeServer()
    client = server.client()
    room = client.channel("room:1")
    body = {"data": 1}
    for _ in range(PENDING_MAX):
        client.post("room:1", body, None)
    with pytest.raises(TidewireError) as full:
        await room.publish(1)
    assert full.value.code == "overflow"
    await client.close()
    await turn()
    assert client._calls._count == 0


async def test_nothing_is_sent_twice_over_many_cuts() -> None:
    server = FakeServer()
    client = await server.connected(timeout=100_000)
    rooms = [client.channel(f"room:{i}") for i in range(5)]
    work = [begin(room.publish(n)) for n in range(10) for room in rooms]
    answered: dict[str, list[int]] = {room.name: [] for room in rooms}
    seen: dict[str, tuple[str, int]] = {}
    await turn()
    step = 0
    while not all(one.done() for one in work):
        step += 1
        for request in server.socket.all("publish"):
            log = answered[request["channel"]]
            if request["key"] not in seen:
                log.append(request["data"])
                seen[request["key"]] = (request["channel"], len(log))
            if (step + request["data"]) % 3:
                seq = seen[request["key"]][1]
                server.socket.say(
                    {"type": "published", "id": request["id"], "channel": request["channel"], "epoch": "e", "seq": seq}
                )
        server.socket.sent.clear()
        await turn()
        if step % 2:
            server.socket.cut()
            await server.again()
    assert all(log == list(range(10)) for log in answered.values())
    assert [(await one).seq for one in work] == [n + 1 for n in range(10) for _ in rooms]
    await client.close()
