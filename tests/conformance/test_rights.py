"""Rights that end under a live connection (protocol §4 `auth`, §5 `unsubscribed`, §9 reload), and what of a
connection changes hands with them. Requirements K3, C2, O1."""

from __future__ import annotations

import pytest
from client import Client, channel, eventually, reloaded_to, unique
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "auth": {"required": False},
        "namespaces": {
            "open": {"kind": "stream", "durability": "memory", "subscribe": "anyone", "presence": True},
        },
    }
}


def granted(user: str, *patterns: str) -> str:
    return mint(user, tidewire={"grants": [{"channels": p, "do": ["subscribe", "publish"]} for p in patterns]})


async def authenticate(client: Client, token: str) -> None:
    assert (await client.request({"type": "auth", "token": token}))["type"] == "auth_success"


async def presence(client: Client, name: str, action: str, **fields):
    reply = await client.request({"type": "presence", "channel": name, "action": action, **fields})
    assert reply["type"] == "presence", reply
    return reply["members"]


def revoked(name: str) -> dict:
    return {"type": "unsubscribed", "channel": name, "code": "revoked"}


@clause("5.unsubscribed", "C2")
async def test_a_token_without_the_grant_ends_what_rested_on_it(server):
    """§5: `unsubscribed` with `revoked`: "the server ended a subscription" """
    user, inbox = unique("u"), unique("user:o-")
    client = await Client.connect(server, granted(user, inbox))
    await client.subscribe(inbox)
    own = channel()
    await client.subscribe(own)
    await authenticate(client, granted(user, inbox))
    assert await client.barrier() == []
    await authenticate(client, mint(user))
    assert await client.next() == revoked(inbox)
    helper = await Client.connect(server, granted(unique("u"), inbox))
    await helper.publish(inbox, "secret")
    await client.publish(own, "still mine")
    (message,) = await client.deliveries(own, 1)
    assert message["data"] == "still mine"
    assert await client.barrier() == []
    await client.refused({"type": "subscribe", "channel": inbox}, "forbidden")


@clause("5.unsubscribed", "C2")
async def test_a_session_by_grant_alone_ends_with_the_grant(server):
    """§7: grants "make nobody a member" """
    name, owner = channel("session"), await Client.connect(server, mint(unique("u")))
    await owner.publish(name, event="join")
    user = unique("u")
    support = await Client.connect(server, granted(user, name))
    await support.subscribe(name)
    await owner.subscribe(name, presence=True)
    assert len(await presence(support, name, "enter")) == 1
    await owner.expect(type="presence_event", action="enter")
    await authenticate(support, mint(user))
    assert await support.next() == revoked(name)
    await owner.expect(type="presence_event", action="leave")
    assert await presence(owner, name, "get") == []


@clause("9.reload", "O1")
async def test_a_reload_ends_what_it_forbids(start):
    """§9: "SIGHUP reloads … namespaces" """
    server = start({"namespaces": {"fresh": {"kind": "stream", "durability": "memory"}}})
    client = await Client.connect(server, mint("a"))
    await client.subscribe("fresh:x")
    await client.subscribe("room:x")
    server.reload({"namespaces": {"fresh": {"subscribe": "server"}}})
    assert await client.next() == revoked("fresh:x")
    await client.refused({"type": "subscribe", "channel": "fresh:x"}, "forbidden")
    await client.publish("room:x", 1)
    await client.deliveries("room:x", 1)


@clause("9.reload", "O1", "M7")
@pytest.mark.parametrize("durability", ["memory", "disk"])
async def test_a_reload_says_how_much_open_channels_keep(start, durability):
    """§9: "SIGHUP reloads … namespaces", `history_messages` of channels that are open too: one that is
    published to, and one that is not"""
    space = {"kind": "stream", "durability": durability, "history_messages": 30}
    server = start({"namespaces": {"some": space}})
    client = await Client.connect(server, mint("a"))

    async def kept(name):
        page = await client.request({"type": "history", "channel": name, "limit": 1000, "after": 0})
        assert len(page["messages"]) == page["last"] + 1 - page["first"]
        return page["first"], page["last"]

    async def keeps_less():
        return await kept("some:quiet") == (16, 20)

    async def keeps_more():
        await client.publish("some:busy", 1)
        first, last = await kept("some:busy")
        return last + 1 - first == 10

    for name in ("some:quiet", "some:busy"):
        await client.publish_many(name, 20)
    await reloaded_to(server, namespaces={"some": {"history_messages": 5}})
    await eventually(keeps_less, "fewer messages")
    await client.publish_many("some:busy", 40)
    assert await kept("some:busy") == (56, 60)
    await reloaded_to(server, namespaces={"some": {"history_messages": 10}})
    await eventually(keeps_more, "more messages")
    await client.publish_many("some:busy", 40)
    first, last = await kept("some:busy")
    assert last + 1 - first == 10


@clause("9.reload", "O1", "O2")
@pytest.mark.parametrize("durability", ["memory", "disk"])
async def test_channels_of_a_namespace_that_is_gone_are_not_listed(start, http, durability):
    """§1: "a namespace that is not configured is `not_found`"; §8: one channel is 404 then, and so the list
    has none of them"""
    server = start({"namespaces": {"fresh": {"kind": "stream", "durability": durability}}})
    client = await Client.connect(server, mint("a"))
    for name in ("fresh:x", "room:x"):
        await client.publish(name, 1)

    async def listed():
        return [c["channel"] for c in http(server, "GET", "/api/v1/channels").json()["channels"]]

    assert await listed() == ["fresh:x", "room:x"]
    await reloaded_to(server, namespaces={"fresh": None})
    assert http(server, "GET", "/api/v1/channels/fresh:x").status_code == 404
    assert await listed() == ["room:x"]


@clause("9.reload", "O1")
async def test_a_namespaces_kind_needs_a_restart(start):
    """§9: "what can't be reloaded is named in the log" """
    server = start({"namespaces": {"fresh": {"kind": "stream", "durability": "memory"}}})
    client = await Client.connect(server, mint("a"))
    await client.subscribe("fresh:x")
    await reloaded_to(server, namespaces={"fresh": {"kind": "document"}})
    assert "namespaces.fresh.kind" in server.log()
    await client.refused({"type": "publish", "channel": "fresh:x", "merge": {}}, "invalid_event")
    assert (await client.subscribe("fresh:y"))["kind"] == "stream"


@clause("4.presence", "K3")
@pytest.mark.parametrize("by", ["itself", "the owner"])
async def test_who_leaves_a_session_is_not_there_any_more(server, by):
    """§4: "`leave` without `enter` does nothing"; §7: "only members subscribe" """
    name, user = channel("session"), unique("u")
    owner, member = await Client.connect(server, mint(unique("u"))), await Client.connect(server, mint(user))
    await owner.publish(name, event="join")
    await owner.publish(name, {"user": user}, event="join")
    await owner.subscribe(name, presence=True)
    await presence(member, name, "enter")
    await owner.expect(type="presence_event", action="enter")
    if by == "itself":
        await member.publish(name, event="leave")
    else:
        await owner.publish(name, {"user": user}, event="leave")
    await owner.expect(type="presence_event", action="leave")
    assert await presence(owner, name, "get") == []
    assert await presence(member, name, "leave") == []
    await member.refused({"type": "presence", "channel": name, "action": "get"}, "forbidden")


@clause("4.presence", "K3")
async def test_an_anonymous_member_becomes_the_user(server):
    """§5: members are users, "the same object in `members` everywhere" """
    name, user = channel("open"), unique("u")
    client = await Client.connect(server)
    seer = await Client.connect(server, mint(unique("u")))
    await seer.subscribe(name, presence=True)
    (member,) = await presence(client, name, "enter", data=7)
    assert member["user"] is None
    await seer.expect(type="presence_event", action="enter")
    await authenticate(client, mint(user))
    left = await seer.expect(type="presence_event")
    assert (left["action"], left["member"]["user"]) == ("leave", None)
    entered = await seer.expect(type="presence_event")
    assert (entered["action"], entered["member"]["user"]["id"]) == ("enter", user)
    (member,) = await presence(client, name, "enter")
    assert (member["user"]["id"], member["connections"], member["data"]) == (user, 1, 7)


@clause("7.inbox", "C2")
async def test_a_short_token_is_warned_of_behind_the_inbox(server):
    """§7: "right after `connected`/`auth_success` comes `subscribed` without an `id`" """
    user = unique("u")
    client = await Client.connect(server, mint(user, ttl_s=30), inbox=True)
    assert [(await client.next())["type"] for _ in range(2)] == ["subscribed", "auth_expiring"]
