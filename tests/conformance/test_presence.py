"""Protocol §4 `presence`, §5 `presence_event`; requirement K3."""

from __future__ import annotations

import asyncio
import time

import pytest
from client import Client, channel, unique
from tokens import mint

clause = pytest.mark.clause
SERVER = {"settings": {"presence": {"grace": "1s"}}}


async def user(server, name: str | None = None, **claims) -> Client:
    return await Client.connect(server, mint(name or unique("u"), **claims))


async def presence(client: Client, name: str, action: str, **fields):
    reply = await client.request({"type": "presence", "channel": name, "action": action, **fields})
    assert reply["type"] == "presence" and reply["channel"] == name, reply
    return reply["members"]


async def watcher(server, name: str) -> Client:
    client = await user(server)
    await client.subscribe(name, presence=True)
    return client


async def event(client: Client, action: str):
    message = await client.expect(type="presence_event")
    assert message["action"] == action, message
    return message["member"]


@clause("4.presence", "K3")
async def test_enter_update_get_leave(server):
    """§4: "the list after the action" """
    name = channel()
    client = await user(server, "alice", type="creator")
    assert await presence(client, name, "get") == []
    before = int(time.time() * 1000)
    (member,) = await presence(client, name, "enter", data={"mood": "calm"})
    assert member["user"] == {"id": "alice", "type": "creator"}
    assert (member["connections"], member["data"]) == (1, {"mood": "calm"})
    assert abs(member["since"] - before) < 5000
    assert await presence(client, name, "get") == [member]
    (updated,) = await presence(client, name, "update", data=[1])
    assert updated == member | {"data": [1]}
    assert await presence(client, name, "leave") == []
    assert await presence(client, name, "get") == []


@clause("5.presence_event", "K3")
async def test_those_who_asked_see_the_events_and_the_cause_does_not(server):
    """§5: "to those who subscribed with `presence:true`, not to the connection that caused it" """
    name = channel()
    seer = await watcher(server, name)
    plain = await user(server)
    await plain.subscribe(name)
    actor = await watcher(server, name)
    (member,) = await presence(actor, name, "enter", data=1)
    got = await seer.expect(type="presence_event")
    assert (got["channel"], got["action"], got["member"]) == (name, "enter", member)
    (member,) = await presence(actor, name, "update", data=2)
    assert await event(seer, "update") == member
    await presence(actor, name, "leave")
    assert (await event(seer, "leave"))["user"] == member["user"]
    for one in (actor, plain):
        assert await presence(one, name, "get") == []  # answered where the events come from, so behind them
        assert await one.barrier() == []


@clause("4.subscribe-presence", "K3")
async def test_subscribe_with_presence_gives_the_members(server):
    """§4: "`presence` (true: the member list now and events from then on)"; §5: "the same object in
    `members` everywhere" """
    name = channel()
    a = await user(server)
    (member,) = await presence(a, name, "enter", data={"x": 1})
    b = await user(server)
    reply = await b.subscribe(name, presence=True)
    assert reply["members"] == [member]
    c = await user(server)
    assert "members" not in await c.subscribe(name)


@clause("4.presence", "K3")
async def test_entering_needs_access_but_no_subscription(server):
    """§4: "Needs subscribe access, not a subscription" """
    name = channel()
    client = await user(server)
    assert len(await presence(client, name, "enter")) == 1
    await client.refused({"type": "unsubscribe", "channel": name}, "not_subscribed")
    anonymous = await Client.connect(server)
    await anonymous.refused({"type": "presence", "channel": name, "action": "enter"}, "unauthorized")


@clause("4.presence", "K3")
async def test_presence_is_idempotent_per_connection(server):
    """§4: "Idempotent per connection; `leave` without `enter` does nothing, `update` without it is
    `invalid_event`" """
    name = channel()
    seer = await watcher(server, name)
    client = await user(server)
    assert await presence(client, name, "leave") == []
    await client.refused(
        {"type": "presence", "channel": name, "action": "update", "data": 1}, "invalid_event"
    )
    await presence(client, name, "enter", data=1)
    (member,) = await presence(client, name, "enter", data=1)
    assert member["connections"] == 1
    await presence(client, name, "leave")
    assert await presence(client, name, "leave") == []
    await event(seer, "enter")
    await event(seer, "leave")
    assert await presence(seer, name, "get") == []
    assert await seer.barrier() == []


@clause("4.presence", "M3")
@pytest.mark.parametrize("action", ["join", "", 1, None])
async def test_an_unknown_action_is_invalid_message(server, action):
    """§6: "`invalid_message` (… a field of the wrong type)" """
    client = await user(server)
    await client.refused({"type": "presence", "channel": channel(), "action": action}, "invalid_message")


@clause("5.presence_event", "K3", "C4")
async def test_several_tabs_are_one_member(server):
    """K3: "several tabs counted as one"; §5: "a user's first connection entered (`enter`), … its last one
    left (`leave`)" """
    name, me = channel(), unique("u")
    seer = await watcher(server, name)
    tabs = [await user(server, me) for _ in range(3)]
    for count, tab in enumerate(tabs, 1):
        (member,) = await presence(tab, name, "enter", data={"tab": 1})
        assert member["connections"] == count
    first = await event(seer, "enter")
    assert first["connections"] == 1
    await presence(tabs[0], name, "leave")
    (member,) = await presence(seer, name, "get")
    assert member["connections"] == 2
    await tabs[1].close()
    from client import eventually

    async def one():
        (member,) = await presence(seer, name, "get")
        return member["connections"] == 1

    await eventually(one, "a member with one connection")
    await presence(tabs[2], name, "leave")
    assert await presence(seer, name, "get") == []  # answered where the events come from, so behind them
    actions = [m["action"] for m in await seer.barrier() if m["type"] == "presence_event"]
    assert [a for a in actions if a != "update"] == ["leave"]


@clause("5.presence_event", "K3")
async def test_the_same_user_in_number_and_string_is_one_member(server):
    """§1: "identity is that form: `1` and `"1"` are one user" """
    name = channel()
    a, b = await user(server, 77), await user(server, "77")
    await presence(a, name, "enter")
    (member,) = await presence(b, name, "enter")
    assert member["connections"] == 2


@clause("5.presence-grace", "K3", "C5")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_closed_connection_leaves_after_the_grace(server, how):
    """§5: "when its connection closed, after `presence.grace`, 5 s" (1 s here)"""
    name = channel()
    seer, client = await watcher(server, name), await user(server)
    await presence(client, name, "enter")
    member = await event(seer, "enter")
    began = time.monotonic()
    await (client.close() if how == "close" else client.reset())
    left = await event(seer, "leave")
    assert time.monotonic() - began >= 0.9
    assert left["user"] == member["user"]
    assert await presence(seer, name, "get") == []


@clause("5.presence-grace", "K3")
async def test_a_reload_within_the_grace_does_not_flap(server):
    """§5: "so that a page reload does not flap" """
    name, me = channel(), unique("u")
    seer = await watcher(server, name)
    client = await user(server, me)
    await presence(client, name, "enter", data=1)
    await event(seer, "enter")
    await client.close()
    again = await user(server, me)
    (member,) = await presence(again, name, "enter", data=1)
    assert member["user"]["id"] == me
    await asyncio.sleep(1.5)  # past the grace of the first connection
    actions = [m["action"] for m in await seer.barrier()]
    assert "leave" not in actions and "enter" not in actions
    assert len(await presence(seer, name, "get")) == 1


@clause("4.presence", "K3")
async def test_an_explicit_leave_acts_at_once(server):
    """§4: "An explicit `leave` acts at once" """
    name = channel()
    seer, client = await watcher(server, name), await user(server)
    await presence(client, name, "enter")
    await presence(client, name, "leave")
    assert await presence(seer, name, "get") == []
    assert [m["action"] for m in await seer.barrier()] == ["enter", "leave"]


@clause("5.presence_event", "K3")
async def test_data_is_kept_as_it_came(server):
    """§3: application payload is delivered byte for byte"""
    name = channel()
    seer, client = await watcher(server, name), await user(server)
    data = '{"n":12345678901234567890,"e":"\\u00e9"}'
    await client.send(f'{{"type":"presence","id":1,"channel":"{name}","action":"enter","data":{data}}}')
    assert (await client.expect(id=1)).text_of("members", 0, "data") == data
    got = await seer.expect(type="presence_event")
    assert got.text_of("member", "data") == data


@clause("5.presence_event", "K3")
async def test_fifty_members_on_all_shards_are_one_list(server):
    """K3: "users in a channel", whichever event loop serves them"""
    name = channel()
    seer = await watcher(server, name)
    clients = await asyncio.gather(*(user(server) for _ in range(50)))
    await asyncio.gather(*(presence(c, name, "enter") for c in clients))
    ids = {c.hello["user"]["id"] for c in clients}
    assert {m["user"]["id"] for m in await presence(seer, name, "get")} == ids
    entered = await seer.take(50, type="presence_event", action="enter")
    assert {m["member"]["user"]["id"] for m in entered} == ids
    await asyncio.gather(*(c.close() for c in clients))
    left = await seer.take(50, type="presence_event", action="leave")
    assert {m["member"]["user"]["id"] for m in left} == ids
    assert await presence(seer, name, "get") == []


@clause("4.presence", "K3", "P1")
async def test_what_a_member_says_of_itself_has_a_bound(server):
    """Clarifications: a member's `data` may have 16 KiB"""
    name = channel()
    client = await user(server)
    enter = {"type": "presence", "channel": name, "action": "enter"}
    await client.refused(enter | {"data": "x" * 16383}, "too_large")
    (member,) = (await client.request(enter | {"data": "x" * 16382}))["members"]
    assert len(member["data"]) == 16382


@clause("4.presence", "K3")
async def test_a_list_over_the_outbound_budget_comes_whole_to_whoever_asks(start):
    """§4: "the list after the action": one that is larger than `limits.outbound_bytes` is still one reply, and of
    many asked for at once each comes."""
    server = start({"limits": {"outbound_bytes": 65536}})
    name = channel()
    clients = await asyncio.gather(*(user(server) for _ in range(60)))
    for client in clients:
        await client.send({"type": "presence", "channel": name, "action": "enter", "data": "x" * 4096})
    await asyncio.gather(*(client.expect(type="presence") for client in clients))
    ids = [client.hello["user"]["id"] for client in clients]
    seer = await user(server)
    for _ in range(20):
        await seer.send({"type": "presence", "channel": name, "action": "get"})
    lists = [reply["members"] for reply in await seer.take(20, type="presence")]
    assert all(sorted(m["user"]["id"] for m in members) == sorted(ids) for members in lists)
    assert (await seer.subscribe(name, presence=True))["members"] == lists[0]
    await clients[0].close()
    assert (await event(seer, "leave"))["user"]["id"] == ids[0]
