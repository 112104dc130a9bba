"""Subscriptions, what comes over them and what they resume, on a fake server and a virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidewire import (
    Channel,
    ChannelState,
    Gap,
    Message,
    NotFoundError,
    Position,
    PresenceChange,
    RefusedError,
    Snapshot,
    Subscribed,
    Tidewire,
    TidewireError,
    Unsubscribed,
)

from ..support.fake_server import FakeServer, begin, record, turn


def brief(seen: list[Any]) -> list[Any]:
    """What happened, in few words."""
    words: list[Any] = []
    for event in seen:
        match event:
            case Message(seq=seq):
                words.append(seq)
            case Gap(first=first, last=last, declared=declared):
                words.append(f"{'gap' if declared else 'hole'} {first}-{last}")
            case Subscribed(seq=seq, recovered=recovered, reason=reason):
                verdict = "" if recovered is None else " recovered" if recovered else f" lost {reason}"
                words.append(f"subscribed {seq}{verdict}")
            case Snapshot(seq=seq):
                words.append(f"snapshot {seq}")
            case Unsubscribed(code=code):
                words.append(f"unsubscribed {code}")
            case TidewireError(code=code):
                words.append(f"error {code}")
    return words


def watch(channel: Channel) -> list[Any]:
    return record(channel, Subscribed, Message, Gap, Snapshot, Unsubscribed, TidewireError)


async def follow(
    server: FakeServer, client: Tidewire, options: dict[str, Any] | None = None, **answer: Any
) -> tuple[Channel, list[Any]]:
    room = client.channel("room:1", **(options or {}))
    seen = watch(room)
    subscribing = begin(room.subscribe())
    await turn()
    server.socket.subscribed(**answer)
    await subscribing
    return room, seen


def entries(*seqs: int) -> list[dict[str, Any]]:
    return [{"seq": seq, "timestamp": 1, "data": seq} for seq in seqs]


async def test_goes_through_its_states_and_connects_by_itself() -> None:
    server = FakeServer()
    client = server.client()
    room = client.channel("room:1")
    states = record(room, ChannelState)
    subscribing = begin(room.subscribe())
    await turn()
    server.socket.welcome()
    await turn()
    server.socket.subscribed(seq=3)
    assert await subscribing == Subscribed("stream", "e1", 3)
    assert await room.subscribe() == Subscribed("stream", "e1", 3)
    gone = begin(room.unsubscribe())
    await turn()
    server.socket.refuse("unsubscribe", "not_subscribed")
    await gone
    assert [state.name for state in states] == ["subscribing", "subscribed", "idle"]
    assert len(server.socket.all("subscribe")) == 1
    await room.unsubscribe()
    await client.close()


async def test_asks_for_all_of_one_turn_at_once_and_for_a_hundred_at_most() -> None:
    server = FakeServer()
    client = await server.connected()
    work = [begin(client.channel(f"room:{i}").subscribe()) for i in range(250)]
    await turn()
    assert [len(request["channels"]) for request in server.socket.all("subscribe")] == [100, 100, 50]
    for request in server.socket.all("subscribe"):
        for entry in request["channels"]:
            answer = {"type": "subscribed", "id": request["id"], "channel": entry["channel"], "kind": "stream"}
            server.socket.say({**answer, "epoch": "e", "seq": 0, "messages": []})
    await asyncio.gather(*work)
    await client.close()


async def test_is_refused_for_good_where_the_server_says_so() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("nowhere:1")
    subscribing, reading = begin(room.subscribe()), begin(anext(aiter(room)))
    await turn()
    server.socket.refuse("subscribe", "not_found", channel="nowhere:1")
    for waiting in (subscribing, reading):
        with pytest.raises(NotFoundError):
            await waiting
    assert room.state.name == "failed" and isinstance(room.state.error, NotFoundError)
    server.socket.cut()
    await server.again()
    assert not server.socket.all("subscribe")
    begin(room.subscribe())
    await turn()
    assert server.socket.all("subscribe")
    await client.close()


async def test_tells_the_refusal_of_one_from_the_others_of_its_request() -> None:
    server = FakeServer()
    client = await server.connected()
    work = [begin(client.channel(f"room:{i}").subscribe()) for i in range(3)]
    await turn()
    request_id = server.socket.last("subscribe")["id"]
    for i in range(3):
        answer = {"type": "subscribed", "kind": "stream", "epoch": "e1", "seq": 0, "messages": []}
        refusal = {"type": "error", "code": "channel_limit", "message": "no"}
        server.socket.say({**(refusal if i == 1 else answer), "id": request_id, "channel": f"room:{i}"})
    ends = await asyncio.gather(*work, return_exceptions=True)
    assert [getattr(end, "code", "ok") for end in ends] == ["ok", "channel_limit", "ok"]
    await client.close()


async def test_is_refused_as_a_whole_where_the_server_names_no_channel() -> None:
    server = FakeServer()
    client = await server.connected()
    work = [begin(client.channel(f"room:{i}").subscribe()) for i in range(2)]
    await turn()
    server.socket.refuse("subscribe", "unauthorized")
    ends = await asyncio.gather(*work, return_exceptions=True)
    assert [getattr(end, "code", "ok") for end in ends] == ["unauthorized", "unauthorized"]
    await client.close()


async def test_tries_again_where_time_may_help() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    seen = watch(room)
    subscribing = begin(room.subscribe())
    await turn()
    server.socket.refuse("subscribe", "unavailable", channel="room:1", retry_after_ms=2000)
    assert room.state.name == "subscribing" and room.state.error is not None
    await asyncio.sleep(1.9)
    assert len(server.socket.all("subscribe")) == 1
    await asyncio.sleep(0.7)
    server.socket.subscribed()
    await subscribing
    assert brief(seen) == ["error unavailable", "subscribed 0"]
    await client.close()


async def test_waits_for_the_rate_limit_with_what_is_still_wanted() -> None:
    server = FakeServer()
    client = await server.connected()
    gone, ready = begin(client.channel("room:1").subscribe()), begin(client.channel("room:2").subscribe())
    await turn()
    server.socket.refuse("subscribe", "rate_limited", retry_after_ms=800)
    begin(client.channel("room:1").unsubscribe())
    await asyncio.sleep(0.9)
    assert [one["channels"] for one in server.socket.all("subscribe")][1:] == [[{"channel": "room:2"}]]
    server.socket.subscribed()
    await ready
    with pytest.raises(TidewireError, match="unsubscribe"):
        await gone
    await client.close()


async def test_gives_up_waiting_in_time_but_not_trying() -> None:
    server = FakeServer()
    client = await server.connected(timeout=5, connect_timeout=100)
    server.socket.cut()
    room = client.channel("room:1")
    with pytest.raises(TidewireError) as late:
        await room.subscribe()
    assert (late.value.code, late.value.channel, room.state.name) == ("timeout", "room:1", "subscribing")
    server.socket.welcome()
    await turn()
    server.socket.subscribed()
    assert room.state.name == "subscribed"
    await client.close()


async def test_makes_a_new_connection_where_the_server_answers_pings_but_no_subscription() -> None:
    server = FakeServer()
    client = await server.connected(timeout=5)
    begin(client.channel("room:1").subscribe())
    await asyncio.sleep(5.01)
    assert server.sockets[0].ended is not None
    await server.again()
    server.socket.subscribed()
    assert client.channel("room:1").state.name == "subscribed"
    await client.close()


@pytest.mark.parametrize(
    "answer", [{"epoch": 7}, {"epoch": ""}, {"seq": "many"}, {"seq": -1}, {"seq": True}, {"seq": 1e999}], ids=str
)
async def test_takes_no_answer_that_makes_no_sense(answer: dict[str, Any]) -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    begin(room.subscribe())
    await turn()
    server.socket.subscribed(**answer)
    assert room.state.error is not None and room.state.error.code == "protocol_error"
    await asyncio.sleep(2)
    server.socket.subscribed(messages="none", members=7, snapshot=[], reason=5, kind=None)
    assert room.state.name == "subscribed"
    await client.close()


async def test_unsubscribing_tells_the_server_and_ends_what_waits() -> None:
    server = FakeServer()
    client = await server.connected(timeout=5)
    room, seen = await follow(server, client)
    reading = begin(anext(aiter(room), None))
    # The server never answers it.
    await room.unsubscribe()
    assert server.socket.last("unsubscribe")["channel"] == "room:1"
    assert await reading is None
    server.socket.message("room:1", 1, "late")
    server.socket.cut()
    await server.again()
    assert not server.socket.all("subscribe") and brief(seen) == ["subscribed 0"]
    await client.close()


async def test_unsubscribing_and_subscribing_at_once_is_a_new_beginning() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client, seq=5)
    begin(room.unsubscribe())
    ready = begin(room.subscribe())
    await turn()
    server.socket.message("room:1", 6, "old")
    assert [one["type"] for one in server.socket.sent[-2:]] == ["unsubscribe", "subscribe"]
    assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1"}]
    server.socket.subscribed(seq=6)
    await ready
    server.socket.message("room:1", 7, "new")
    assert brief(seen) == ["subscribed 5", "subscribed 6", 7]
    await client.close()


async def test_an_answer_to_an_earlier_subscription_is_left_out() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    seen = watch(room)
    begin(room.subscribe())
    await turn()
    begin(room.unsubscribe())
    ready = begin(room.subscribe())
    await turn()
    first, second = server.socket.all("subscribe")
    answer = {"type": "subscribed", "channel": "room:1", "kind": "stream", "epoch": "e1", "messages": []}
    server.socket.say({**answer, "id": first["id"], "seq": 3})
    assert [room.state.name] == ["subscribing"]
    server.socket.say({**answer, "id": second["id"], "seq": 5})
    await ready
    assert brief(seen) == ["subscribed 5"]
    await client.close()


async def test_resumes_everything_in_one_request_each_from_its_position() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client, seq=5)
    other = client.channel("room:2", presence=True)
    begin(other.subscribe())
    await turn()
    server.socket.subscribed(seq=0)
    server.socket.message("room:1", 6)
    server.socket.cut()
    assert room.state.name == "subscribing"
    await server.again()
    assert server.socket.last("subscribe")["channels"] == [
        {"channel": "room:1", "since": {"epoch": "e1", "seq": 6}},
        {"channel": "room:2", "since": {"epoch": "e1", "seq": 0}, "presence": True},
    ]
    server.socket.subscribed(seq=8, recovered=True, messages=entries(7, 8))
    server.socket.message("room:1", 9)
    assert brief(seen) == ["subscribed 5", 6, "subscribed 8 recovered", 7, 8, 9]
    assert room.position == Position("e1", 9)
    await client.close()


async def test_takes_what_was_missed_as_messages_too_and_a_hole_in_it_as_a_gap() -> None:
    server = FakeServer()
    client = await server.connected()
    _, seen = await follow(server, client, seq=5)
    server.socket.cut()
    await server.again()
    server.socket.subscribed(seq=9, recovered=True)
    server.socket.message("room:1", 6)
    server.socket.say({"type": "gap", "channel": "room:1", "epoch": "e1", "from": 7, "to": 8})
    server.socket.message("room:1", 9)
    assert brief(seen)[1:] == ["subscribed 9 recovered", 6, "gap 7-8", 9]
    await client.close()


async def test_goes_on_from_where_it_was_cut_off_in_the_middle_of_that() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client, seq=5)
    server.socket.cut()
    await server.again()
    server.socket.subscribed(seq=900, recovered=True)
    server.socket.message("room:1", 6)
    server.socket.cut()
    assert room.position == Position("e1", 6)
    await server.again()
    assert server.socket.last("subscribe")["channels"][0]["since"] == {"epoch": "e1", "seq": 6}
    server.socket.subscribed(seq=7, recovered=True, messages=entries(7))
    assert brief(seen)[-2:] == ["subscribed 7 recovered", 7]
    await client.close()


@pytest.mark.parametrize("reason", ["trimmed", "epoch", "ahead"])
async def test_says_what_was_lost(reason: str) -> None:
    server = FakeServer()
    client = await server.connected()
    _, seen = await follow(server, client, seq=5)
    server.socket.cut()
    await server.again()
    server.socket.subscribed(seq=9, epoch="e2", recovered=False, reason=reason, messages=entries(8, 9))
    server.socket.message("room:1", 10)
    assert brief(seen)[1:] == [f"subscribed 9 lost {reason}", 8, 9, 10]
    await client.close()


async def test_believes_no_server_that_leaves_the_verdict_out_or_recovers_another_epoch() -> None:
    server = FakeServer()
    client = await server.connected()
    _, seen = await follow(server, client, seq=5)
    for fields in ({"seq": 9}, {"seq": 9, "epoch": "e2", "recovered": True}):
        server.socket.cut()
        await server.again()
        server.socket.subscribed(**fields)
    assert brief(seen)[1:] == ["subscribed 9 lost None", "subscribed 9 lost None"]
    await client.close()


async def test_after_a_loss_takes_the_retained_history_as_messages_from_wherever_it_begins() -> None:
    server = FakeServer()
    client = await server.connected()
    _, seen = await follow(server, client, seq=5)
    server.socket.cut()
    await server.again()
    server.socket.subscribed(seq=900, recovered=False, reason="trimmed")
    server.socket.message("room:1", 801)
    server.socket.message("room:1", 802)
    server.socket.message("room:1", 903)
    assert brief(seen)[1:] == ["subscribed 900 lost trimmed", 801, 802, "hole 803-902", 903]
    await client.close()


async def test_history_comes_with_the_answer_or_after_it_and_is_asked_for_again_when_cut_off() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client, {"history": 3}, seq=900)
    assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1", "history": 3}]
    server.socket.cut()
    await server.again()
    assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1", "history": 3}]
    server.socket.subscribed(seq=901, messages=entries(899, 900, 901))
    assert brief(seen) == ["subscribed 900", "subscribed 901", 899, 900, 901]
    assert room.position == Position("e1", 901)
    await client.close()


async def test_begins_where_an_earlier_process_left_off() -> None:
    server = FakeServer()
    client = await server.connected()
    _, seen = await follow(server, client, {"since": Position("e1", 4)}, seq=5, recovered=True, messages=entries(5))
    assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1", "since": {"epoch": "e1", "seq": 4}}]
    assert brief(seen) == ["subscribed 5 recovered", 5]
    await client.close()


@pytest.mark.parametrize(
    "options", [{"history": -1}, {"history": 1.5}, {"history": "5"}, {"since": {}}, {"since": Position("", 1)}], ids=str
)
async def test_options_that_can_t_work_are_refused(options: dict[str, Any]) -> None:
    client = FakeServer().client()
    with pytest.raises(RefusedError):
        client.channel("room:1", **options)


async def test_messages_come_in_order_none_twice_and_a_hole_is_told() -> None:
    server = FakeServer()
    client = await server.connected()
    _, seen = await follow(server, client)
    for seq in (1, 2, 2, 1, 5, 4, 6):
        server.socket.message("room:1", seq)
    assert brief(seen) == ["subscribed 0", 1, 2, "hole 3-4", 5, 6]
    await client.close()


async def test_messages_with_a_place_that_is_none_are_told_and_left_out() -> None:
    server = FakeServer()
    client = await server.connected()
    _, seen = await follow(server, client)
    seqs: list[Any] = ["x", 0, -1, 1.5, True, [], 2**60]
    for seq in seqs:
        server.socket.say({"type": "message", "channel": "room:1", "seq": seq, "data": 1})
    for gap in ({"from": "x", "to": 5}, {"from": 0, "to": 5}, {"to": 5}, {"from": 1}, {"from": True, "to": 5}):
        server.socket.say({"type": "gap", "channel": "room:1", **gap})
    server.socket.say({"type": "snapshot", "channel": "room:1", "seq": 5})
    server.socket.say({"type": "snapshot", "channel": "room:1", "seq": {}, "epoch": "e1"})
    server.socket.say({"type": "message", "channel": ["room:1"], "seq": 5})
    server.socket.say({"type": "something", "channel": "room:1"})
    assert set(brief(seen)[1:]) == {"error protocol_error"}
    server.socket.message("room:1", 1)
    assert brief(seen)[-1] == 1
    await client.close()


async def test_own_publishes_that_are_not_echoed_leave_no_hole() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client)
    publishing = begin(room.publish("mine", echo=False))
    await turn()
    server.socket.message("room:1", 1)
    server.socket.message("room:1", 3)
    server.socket.published(2)
    await publishing
    server.socket.message("room:1", 4)
    server.socket.message("room:1", 6)
    assert brief(seen) == ["subscribed 0", 1, 3, 4, "hole 5-5", 6]
    await client.close()


async def test_a_snapshot_replaces_what_was_missed() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client, seq=5)
    server.socket.say({"type": "snapshot", "channel": "room:1", "epoch": "e1", "seq": 90, "data": {}})
    server.socket.say({"type": "snapshot", "channel": "room:1", "epoch": "e1", "seq": 80, "data": {}})
    server.socket.message("room:1", 91)
    assert brief(seen) == ["subscribed 5", "snapshot 90", 91]
    assert room.position == Position("e1", 91)
    await client.close()


async def test_a_new_epoch_under_a_live_subscription_begins_anew() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client, seq=5)
    answer = {"type": "subscribed", "channel": "room:1", "kind": "stream", "epoch": "e2", "seq": 0, "messages": []}
    server.socket.say({**answer, "recovered": False, "reason": "epoch"})
    server.socket.message("room:1", 1)
    assert brief(seen) == ["subscribed 5", "subscribed 0 lost epoch", 1]
    assert room.position == Position("e2", 1)
    await client.close()


async def test_a_subscription_that_the_server_ends_is_over_unless_time_may_help() -> None:
    server = FakeServer()
    client = await server.connected()
    room, seen = await follow(server, client, seq=5)
    server.socket.say({"type": "unsubscribed", "channel": "room:1", "code": "unavailable"})
    await asyncio.sleep(2)
    assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1", "since": {"epoch": "e1", "seq": 5}}]
    server.socket.subscribed(seq=5, recovered=True)
    reading = begin(anext(aiter(room)))
    server.socket.say({"type": "unsubscribed", "channel": "room:1", "code": "revoked"})
    with pytest.raises(TidewireError) as ended:
        await reading
    assert ended.value.code == "revoked" and room.state.name == "failed"
    assert brief(seen) == [
        "subscribed 5",
        "unsubscribed unavailable",
        "error unavailable",
        "subscribed 5 recovered",
        "unsubscribed revoked",
    ]
    await client.close()


async def test_iterating_subscribes_gives_the_messages_and_ends_with_the_client() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    messages = aiter(room)
    await turn()
    server.socket.subscribed()
    server.socket.message("room:1", 1, "a")
    server.socket.message("room:1", 2, "b")
    assert [(await anext(messages)).data, (await anext(messages)).data] == ["a", "b"]
    await client.close()
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    with pytest.raises(TidewireError, match="closed"):
        aiter(room)
    with pytest.raises(TidewireError, match="closed"):
        await room.subscribe()


async def test_iterating_ends_with_the_error_of_a_client_that_can_t_go_on() -> None:
    server = FakeServer()
    client = await server.connected()
    room, _ = await follow(server, client)
    reading = begin(anext(aiter(room)))
    await turn()
    server.socket.cut(1000, "disconnected")
    with pytest.raises(TidewireError, match="disconnected"):
        await reading


async def test_connecting_again_after_closing_resumes_everything() -> None:
    server = FakeServer()
    client = await server.connected()
    room, _ = await follow(server, client, seq=5)
    await client.close()
    assert [room.state.name] == ["subscribing"]
    connecting = begin(client.connect())
    await turn()
    server.socket.welcome()
    await connecting
    await turn()
    assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1", "since": {"epoch": "e1", "seq": 5}}]
    await client.close()


async def test_a_channel_is_one_per_name_and_of_one_kind() -> None:
    client = FakeServer().client()
    assert client.channel("doc:1") is client.channel("doc:1")
    with pytest.raises(RefusedError, match="another kind"):
        client.open_document("doc:1")
    assert client.channel("doc:2") is not client.channel("doc:1")
    assert client.open_document("doc:3") is client.channel("doc:3")


class TestPresence:
    ANN = {"user": {"id": "ann", "type": "user"}, "connections": 1}  # noqa: RUF012
    BOB = {"user": {"id": 7, "type": "user"}, "connections": 1, "data": {"mood": "fine"}}  # noqa: RUF012

    async def test_is_the_list_of_the_subscription_and_what_happens_from_then_on(self) -> None:
        server = FakeServer()
        client = await server.connected()
        room, _ = await follow(server, client, {"presence": True}, members=[self.ANN, 7, {"user": 5}])
        changes = record(room, PresenceChange)
        assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1", "presence": True}]
        assert [member.user.id for member in room.presence.members] == ["ann"]
        event = {"type": "presence_event", "channel": "room:1"}
        server.socket.say({**event, "action": "enter", "member": self.BOB})
        server.socket.say({**event, "action": "update", "member": {**self.BOB, "user": {"id": "7"}, "data": 1}})
        server.socket.say({**event, "action": "leave", "member": self.ANN})
        server.socket.say({**event, "action": 5, "member": self.ANN})
        server.socket.say({**event, "action": "enter", "member": "ann"})
        assert [(one.action, len(one.members)) for one in changes] == [("enter", 2), ("update", 2), ("leave", 1)]
        assert room.presence.members[0].data == 1
        server.socket.say({"type": "presence", "channel": "room:1", "members": [self.ANN, self.BOB]})
        assert len(room.presence.members) == 2
        await client.close()

    async def enter(self, server: FakeServer, room: Channel, data: Any) -> None:
        entering = begin(room.presence.enter(data))
        await turn()
        request = server.socket.last("presence")
        server.socket.say({"type": "presence", "id": request["id"], "channel": "room:1", "members": [self.ANN]})
        await entering

    async def test_takes_its_place_again_on_the_next_connection_until_it_has_left(self) -> None:
        server = FakeServer()
        client = await server.connected()
        room = client.channel("room:1")
        await self.enter(server, room, {"mood": "fine"})
        server.socket.cut()
        await server.again()
        request = server.socket.last("presence")
        assert (request["action"], request["data"]) == ("enter", {"mood": "fine"})
        server.socket.refuse("presence", "forbidden")
        leaving = begin(room.presence.leave())
        await turn()
        server.socket.say({"type": "presence", "id": server.socket.last("presence")["id"], "channel": "room:1", "members": []})
        assert await leaving == ()
        server.socket.cut()
        await server.again()
        assert not server.socket.all("presence")
        await client.close()

    async def test_does_not_take_a_place_that_was_refused(self) -> None:
        server = FakeServer()
        client = await server.connected()
        entering = begin(client.channel("room:1").presence.enter())
        await turn()
        server.socket.refuse("presence", "forbidden")
        with pytest.raises(TidewireError):
            await entering
        server.socket.cut()
        await server.again()
        assert not server.socket.sent
        await client.close()

    async def test_can_be_followed_later_without_a_new_subscription(self) -> None:
        server = FakeServer()
        client = await server.connected()
        room, seen = await follow(server, client, seq=5)
        room.presence.watch()
        room.presence.watch()
        await turn()
        assert server.socket.last("subscribe")["channels"] == [{"channel": "room:1", "presence": True}]
        server.socket.subscribed(seq=5, members=[self.ANN])
        assert len(room.presence.members) == 1 and brief(seen) == ["subscribed 5"]
        await client.close()

    async def test_a_namespace_without_it_ends_no_subscription(self) -> None:
        server = FakeServer()
        client = await server.connected()
        room, seen = await follow(server, client)
        room.presence.watch()
        await turn()
        server.socket.refuse("subscribe", "forbidden", channel="room:1")
        assert room.state.name == "subscribed" and brief(seen) == ["subscribed 0", "error forbidden"]
        await client.close()
