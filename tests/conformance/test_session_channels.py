"""Protocol §7, kind `session`: members and roles, who may what, reading positions, typing, offline members.
Requirements K4, M2, M5, M6."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from client import Client, channel, eventually, unique
from model import (
    Copy,
    Home,
    api_pending,
    api_publish,
    api_snapshot,
    assert_problem,
    folded,
    history,
    next_of,
    notify,
    path_of,
    post,
    post_all,
    publish,
    refused,
    same,
    seqs,
    uid,
)
from raw import RawWebSocket
from server import memory_bound_kib
from sse import Stream
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "presence": {"grace": "200ms"},
        "namespaces": {
            "open": {"kind": "session", "durability": "memory", "join": "open"},
            "brief": {"kind": "session", "durability": "memory", "history_messages": 4},
        },
    }
}


async def user(server, name: str | None = None, **claims) -> Client:
    return await Client.connect(server, mint(name or unique("u"), **claims))


async def staff(server, *do: str, channels: str = "*") -> Client:
    return await user(server, tidewire={"grants": [{"channels": channels, "do": list(do)}]})


def me(client: Client) -> str:
    return client.hello["user"]["id"]


async def session(server, count: int, namespace: str = "session") -> tuple[str, list[Client]]:
    """A session channel with this many members; the first is its owner. Nobody is subscribed yet."""
    name = channel(namespace)
    clients = [await user(server) for _ in range(count)]
    await post(clients[0], name, event="join")
    for client in clients[1:]:
        await post(clients[0], name, event="join", data={"user": me(client)})
    return name, clients


def members(http, server, name: str) -> dict[str, dict]:
    data = api_snapshot(http, server, name)["data"]
    out = {uid(m["user"]): m for m in data["members"]}
    assert len(out) == len(data["members"]), data  # nobody twice
    return out


def owners(http, server, name: str) -> list[str]:
    return [who for who, m in members(http, server, name).items() if m["role"] == "owner"]


async def inbox(server, name: str) -> Client:
    """A connection of this user that follows its inbox."""
    client = await Client.connect(server, mint(name), inbox=True)
    assert (await client.next())["channel"] == f"user:{name}"
    return client


async def session_messages(http, server, name: str, of: str, *, wanted: int) -> list[dict]:
    """The pending `session_message` entries of a user that are about one channel."""

    def found():
        entries = [e for e in api_pending(http, server, of) if e.get("event") == "session_message"]
        return sorted((e for e in entries if e["data"]["channel"] == name), key=lambda e: e["seq"])

    await eventually(lambda: len(found()) >= wanted, f"{wanted} session messages in the inbox of {of}")
    assert len(found()) == wanted, found()
    return found()


def author(value: object) -> str:
    return uid(value["user"]) if isinstance(value, dict) and "user" in value else uid(value)


# -- joining


@clause("7.session-join", "K4")
async def test_the_first_join_makes_its_user_the_owner(server, http):
    """§7: "The first `join` makes its user the `owner`"; the snapshot: `{"members":[{"user","role","read",
    "unread"}],"last_seq":n}` [K4]"""
    client, name = await user(server), channel("session")
    assert (await post(client, name, event="join"))["seq"] == 1
    reply = await client.subscribe(name)
    assert (reply["kind"], reply["seq"]) == ("session", 1)
    data = reply["snapshot"]["data"]
    (member,) = data["members"]
    assert uid(member["user"]) == me(client) and member["role"] == "owner"
    assert {"user", "role", "read", "unread"} <= member.keys() and isinstance(member["unread"], int)
    assert isinstance(data["last_seq"], int)
    seq = (await post(client, name, data="hello"))["seq"]
    assert api_snapshot(http, server, name)["data"]["last_seq"] == seq == 2


@clause("7.session-member", "K4", "C3")
@pytest.mark.parametrize("namespace", ["session", "open"])
async def test_only_members_read_and_write(server, namespace):
    """§7: "only members subscribe and publish" (table: `session`: member, member), else `forbidden` [K4]"""
    name, (owner,) = await session(server, 1, namespace)
    await post(owner, name, data="secret")
    stranger, anonymous = await user(server), await Client.connect(server)
    for request in (
        {"type": "subscribe", "channel": name},
        {"type": "subscribe", "channel": name, "since": {"epoch": "x", "seq": 0}},
        {"type": "history", "channel": name},
        {"type": "presence", "channel": name, "action": "get"},
        {"type": "presence", "channel": name, "action": "enter"},
        publish(name, data="x"),
        publish(name, event="custom", data="x"),
        publish(name, event="typing", ephemeral=True),
        publish(name, event="edit", data={"seq": 2}),
        publish(name, event="delete", data={"seq": 2}),
        publish(name, event="read", data={"seq": 1}),
        publish(name, event="leave"),
    ):
        await refused(stranger, request, "forbidden")
        await refused(anonymous, request, "unauthorized", "forbidden")


@clause("7.session-member", "K4")
async def test_a_session_that_nobody_has_joined_is_nobodys(server):
    """§7: "only members subscribe and publish": there are none before the first `join` [K4]"""
    client, name = await user(server), channel("session")
    await refused(client, {"type": "subscribe", "channel": name}, "forbidden")
    await refused(client, publish(name, data=1), "forbidden")
    await refused(client, {"type": "history", "channel": name}, "forbidden")
    await refused(await Client.connect(server), publish(name, event="join"), "unauthorized", "forbidden")
    assert (await post(client, name, event="join"))["seq"] == 1  # and nothing of it was logged


@clause("7.session-join", "K4")
async def test_the_owner_may_join_anyone(server, http):
    """§7: "After that the owner or the API may `join` anyone (`{"user":id}`)" [K4]"""
    name, (owner, guest) = await session(server, 2)
    assert owners(http, server, name) == [me(owner)]
    assert members(http, server, name)[me(guest)]["role"] != "owner"
    reply = await guest.subscribe(name)
    assert reply["seq"] == 2
    await post(guest, name, data="hi")
    assert (await next_of(guest, name))["data"] == "hi"
    absent = unique("never-connected")
    await post(owner, name, event="join", data={"user": absent})
    assert members(http, server, name).keys() == {me(owner), me(guest), absent}


@clause("7.session-join", "K4")
async def test_a_number_and_its_string_join_as_one_user(server, http):
    """§1: "`1` and `"1"` are one user" [K4]"""
    number = int(unique("")[:6], 16) + 10**8
    owner, name = await user(server), channel("session")
    await post(owner, name, event="join")
    await post(owner, name, event="join", data={"user": number})
    guest = await Client.connect(server, mint(str(number)))
    await guest.subscribe(name)
    again = await Client.connect(server, mint(number))
    await again.subscribe(name)
    assert members(http, server, name).keys() == {me(owner), str(number)}
    listed = [m["user"] for m in api_snapshot(http, server, name)["data"]["members"]]
    ids = [u["id"] if isinstance(u, dict) else u for u in listed]
    assert ids == [me(owner), number]  # "keeps its JSON type (string or number) on the wire"


@clause("7.session-join", "K4", "C3")
async def test_nobody_else_may_join_anyone_nor_itself(server, http):
    """§7: "a user itself only with a grant or where the namespace has `join = "open"`" [K4]"""
    name, (owner, guest) = await session(server, 2)
    stranger = await user(server)
    await refused(stranger, publish(name, event="join"), "forbidden")
    await refused(stranger, publish(name, event="join", data={"user": me(stranger)}), "forbidden")
    await refused(stranger, publish(name, event="join", data={"user": me(owner)}), "forbidden")
    await refused(guest, publish(name, event="join", data={"user": me(stranger)}), "forbidden")
    assert members(http, server, name).keys() == {me(owner), me(guest)}


@clause("7.session-join", "K4")
async def test_with_join_open_a_user_joins_itself_and_nobody_else(server, http):
    """§9: `.join = "open"`; §7: it opens one's own joining only [K4]"""
    name, (owner,) = await session(server, 1, "open")
    guest, third = await user(server), await user(server)
    await post(guest, name, event="join")
    await guest.subscribe(name)
    await refused(guest, publish(name, event="join", data={"user": me(third)}), "forbidden")
    await refused(third, publish(name, event="join", data={"user": unique("x")}), "forbidden")
    await refused(await Client.connect(server), publish(name, event="join"), "unauthorized", "forbidden")
    await post(third, name, event="join", data={"user": me(third)})
    assert members(http, server, name).keys() == {me(owner), me(guest), me(third)}
    assert owners(http, server, name) == [me(owner)]


@clause("7.session-join", "K4", "C3")
async def test_with_a_grant_a_user_joins_itself(server, http):
    """§7: "a user itself only with a grant" [K4]"""
    name, (owner,) = await session(server, 1)
    guest = await staff(server, "publish", "subscribe", channels="session:*")
    await refused(guest, publish(name, event="join", data={"user": unique("other")}), "forbidden")
    await post(guest, name, event="join")
    await refused(guest, publish(name, event="join", data={"user": unique("other")}), "forbidden")
    assert members(http, server, name).keys() == {me(owner), me(guest)}
    assert owners(http, server, name) == [me(owner)]


@clause("7.grants", "K4", "C3")
async def test_a_grant_makes_nobody_a_member(server, http):
    """§7: "Grants only add to what the namespace allows, … a session without membership included (support
    staff), and make nobody a member" [K4]"""
    name, (owner,) = await session(server, 1)
    await owner.subscribe(name)
    supporter = await staff(server, "publish", "subscribe", "history", "presence", channels="session:*")
    await supporter.subscribe(name)
    await post(supporter, name, data="can I help?")
    assert (await next_of(owner, name))["from"]["user"]["id"] == me(supporter)
    assert seqs((await history(supporter, name))["messages"]) == [1, 2]
    await refused(supporter, publish(name, event="edit", data={"seq": 1}), "forbidden", "invalid_event")
    assert members(http, server, name).keys() == {me(owner)}
    await supporter.close()
    await post(owner, name, data="thanks")
    reader = await staff(server, "subscribe", channels="session:*")
    await reader.subscribe(name)
    await refused(reader, publish(name, data=1), "forbidden")
    assert api_pending(http, server, me(supporter)) == []


@clause("7.session-join", "K4", "M2")
async def test_the_api_joins_anyone_and_never_becomes_a_member(server, http):
    """§7: "the API may `join` anyone"; "The HTTP API passes every access rule and never becomes creator, owner
    or member" [K4]"""
    name, a, b = channel("session"), await user(server), await user(server)
    body = {"channel": name, "event": "join"}
    answer = http(server, "POST", "/api/v1/publish", json=body)
    assert_problem(answer, answer.status_code, "invalid_event", "invalid_message", "forbidden")
    api_publish(http, server, name, "join", data={"user": me(a)})
    api_publish(http, server, name, "join", data={"user": me(b)})
    assert members(http, server, name).keys() == {me(a), me(b)}
    assert owners(http, server, name) == [me(a)]  # the first join made its user the owner
    await b.subscribe(name)
    api_publish(http, server, name, data="from the server")
    message = await next_of(b, name)
    assert message["data"] == "from the server" and "from" not in message
    assert members(http, server, name).keys() == {me(a), me(b)}


@clause("7.session-join", "K4", "M4")
@pytest.mark.parametrize("namespace", ["session", "open"])
async def test_of_first_joins_at_the_same_time_one_makes_the_owner(server, http, namespace):
    """§7: "The first `join` makes its user the `owner`": whatever the race [K4]"""
    for _ in range(5):
        name = channel(namespace)
        clients = [await user(server) for _ in range(4)]
        replies = await asyncio.gather(*(c.request(publish(name, event="join")) for c in clients))
        joined = {me(c) for c, r in zip(clients, replies, strict=True) if r["type"] == "published"}
        assert {r["code"] for r in replies if r["type"] == "error"} <= {"forbidden"}
        assert len(joined) == (1 if namespace == "session" else 4)
        assert members(http, server, name).keys() == joined
        (owner,) = owners(http, server, name)
        first = next(c for c, r in zip(clients, replies, strict=True) if r.get("seq") == 1)
        assert owner == me(first)


@clause("7.session-join", "K4")
async def test_joining_again_changes_no_role(server, http):
    """§7: a durable member list: nobody stands in it twice, and an owner stays owner [K4]"""
    name, (owner, guest) = await session(server, 2)
    for client, data in ((owner, {}), (guest, {}), (owner, {"data": {"user": me(guest)}})):
        reply = await client.request(publish(name, event="join", **data))
        assert reply["type"] == "published" or reply["code"] in ("invalid_event", "forbidden"), reply
    assert owners(http, server, name) == [me(owner)]
    assert members(http, server, name).keys() == {me(owner), me(guest)}
    await post(guest, name, data="still a member")


@clause("7.session-join", "M3")
@pytest.mark.parametrize("who", [None, "", True, 1.5, [], {}, "a b", "a*", "x" * 201, -0.5, 2**70, ["bob"]],
                         ids=lambda v: json.dumps(v)[:20])  # fmt: skip
async def test_a_join_of_what_is_no_user_is_refused(server, http, who):
    """§1: an id is "an integer …, at most 2^53-1, or a string of 1 to 200 bytes of the channel characters" """
    name, (owner,) = await session(server, 1)
    await refused(owner, publish(name, event="join", data={"user": who}), "invalid_event", "invalid_message")
    assert members(http, server, name).keys() == {me(owner)}
    assert (await post(owner, name, data=1))["seq"] == 2


@clause("7.session-join", "M3", "K4")
async def test_of_a_key_that_stands_twice_the_last_one_counts(server, http):
    """§3: "inside `data` keys are the application's business", and it is delivered as it came: so the session
    must take what every client's parser takes"""
    name, (owner,) = await session(server, 1)

    async def send(event, data):
        await owner.send(f'{{"type":"publish","id":7,"channel":"{name}","event":"{event}","data":{data}}}')
        assert (await owner.expect(id=7))["type"] == "published"

    await send("join", '{"user":"first","user":"second"}')
    assert members(http, server, name).keys() == {me(owner), "second"}
    await send("read", '{"seq":1,"seq":2}')
    assert members(http, server, name)[me(owner)]["read"] == 2


# -- leaving


@clause("7.session-leave", "K4", "C4")
async def test_who_leaves_is_unsubscribed_on_every_device(server, http):
    """§5: `{"type":"unsubscribed","channel":C,"code":"revoked"}`: "the server ended a subscription"; §7: "only
    members subscribe" [K4]"""
    name, (owner, guest) = await session(server, 2)
    second = await Client.connect(server, mint(me(guest)))
    for client in (owner, guest, second):
        await client.subscribe(name)
    await post(guest, name, event="leave")
    for client in (guest, second):
        ended = await client.expect(type="unsubscribed", channel=name)
        assert ended["code"] == "revoked" and ended.get("id") is None
    left = await next_of(owner, name)
    assert left["event"] == "leave" and left["from"]["user"]["id"] == me(guest)
    assert members(http, server, name).keys() == {me(owner)}
    seq = (await post(owner, name, data="among us"))["seq"]
    assert (await next_of(owner, name))["seq"] == seq
    for client in (guest, second):
        assert [m for m in await client.barrier() if m.get("data") == "among us"] == []
        for request in (publish(name, data=1), {"type": "subscribe", "channel": name},
                        {"type": "history", "channel": name}, publish(name, event="leave"),
                        {"type": "presence", "channel": name, "action": "get"}):  # fmt: skip
            await refused(client, request, "forbidden")
        await refused(client, {"type": "unsubscribe", "channel": name}, "not_subscribed")


@clause("7.session-leave", "K4")
async def test_when_the_owner_leaves_the_longest_member_follows(server, http):
    """§7: "when the owner leaves, the longest member follows" [K4]"""
    name, (a, b, c, d) = await session(server, 4)
    await post(b, name, event="leave")
    await post(a, name, event="join", data={"user": me(b)})  # b is the youngest now
    await post(a, name, event="leave")
    assert owners(http, server, name) == [me(c)]
    stranger = unique("x")
    await refused(d, publish(name, event="join", data={"user": stranger}), "forbidden")
    await refused(a, publish(name, event="join", data={"user": stranger}), "forbidden")
    await refused(a, publish(name, event="join"), "forbidden")
    await post(c, name, event="join", data={"user": stranger})
    await post(c, name, event="join", data={"user": me(a)})
    assert owners(http, server, name) == [me(c)]  # who was owner before is not so again
    await post(c, name, event="leave")
    assert owners(http, server, name) == [me(d)]
    await post(d, name, event="leave")
    assert owners(http, server, name) == [me(b)]
    assert members(http, server, name).keys() == {me(b), stranger, me(a)}


@clause("7.session-leave", "K4")
async def test_a_member_that_is_not_the_owner_leaves_and_the_owner_stays(server, http):
    """§7: `leave` takes its user out of the list, and nobody else [K4]"""
    name, (a, b, c) = await session(server, 3)
    await post(b, name, event="leave")
    assert owners(http, server, name) == [me(a)]
    assert members(http, server, name).keys() == {me(a), me(c)}
    await post(a, name, event="join", data={"user": me(b)})
    await b.subscribe(name)
    assert members(http, server, name).keys() == {me(a), me(c), me(b)}


@clause("7.session-leave", "K4", "M3")
async def test_a_member_can_not_make_another_leave(server, http):
    """§7 gives `leave` no other user; whatever it carries, no plain member removes anyone else [K4]"""
    name, (owner, guest, third) = await session(server, 3)
    for victim in (me(owner), me(third)):
        reply = await guest.request(publish(name, event="leave", data={"user": victim}))
        assert reply["type"] == "published" or reply["code"] in ("forbidden", "invalid_event"), reply
        assert members(http, server, name).keys() >= {me(owner), me(third)}
        if reply["type"] == "published" and me(guest) not in members(http, server, name):
            await post(owner, name, event="join", data={"user": me(guest)})
    assert owners(http, server, name) == [me(owner)]


@clause("7.session-join", "K4", "C3")
async def test_a_session_that_all_have_left_does_not_open_itself_to_strangers(server, http):
    """§7: after the first `join` a user joins "itself only with a grant or where the namespace has `join =
    "open"`": nobody inherits what the members wrote by knowing the channel's name [K4]"""
    name, (owner, guest) = await session(server, 2)
    await post(owner, name, data="among us")
    await post(owner, name, event="leave")
    await post(guest, name, event="leave")
    assert members(http, server, name) == {}
    stranger = await user(server)
    for client in (stranger, guest):
        await refused(client, publish(name, event="join"), "forbidden")
        await refused(client, {"type": "history", "channel": name}, "forbidden")
    api_publish(http, server, name, "join", data={"user": me(guest)})  # the API may
    await guest.subscribe(name)


@clause("3.order", "K4", "M6")
async def test_access_is_checked_before_the_key(server):
    """§3: "Checks come in this order: … access, idempotency key": after leaving, a repeat is `forbidden` [K4]"""
    name, (_, guest) = await session(server, 2)
    await post(guest, name, data="once", key="k")
    assert (await post(guest, name, data="once", key="k"))["duplicate"] is True
    await post(guest, name, event="leave")
    await refused(guest, publish(name, data="once", key="k"), "forbidden")


@clause("7.session-leave", "K4", "M7")
async def test_who_comes_back_subscribes_again_on_the_same_connection(server):
    """§5: an ended subscription may be made anew, from the position that one had [K4, M7]"""
    name, (owner, guest) = await session(server, 2)
    epoch = (await guest.subscribe(name))["epoch"]
    await post(guest, name, event="leave")
    await guest.expect(type="unsubscribed", channel=name)
    guest.inbox.clear()
    await post(owner, name, data="meanwhile")
    await post(owner, name, event="join", data={"user": me(guest)})
    reply = await guest.subscribe(name, since={"epoch": epoch, "seq": 3})
    assert reply["recovered"] is True and seqs(reply["messages"]) == [4, 5]
    await post(owner, name, data="welcome")
    assert (await next_of(guest, name))["data"] == "welcome"


# -- messages, edits, custom events


@clause("7.session", "K4", "M2")
async def test_a_message_reaches_every_member_that_is_subscribed(server):
    """§7: "`message` (default)"; M2: "to a session's members" [K4, M2]"""
    name, clients = await session(server, 4)
    for client in clients:
        await client.subscribe(name)
    await post(clients[2], name, data={"text": "hi"})
    await post(clients[2], name, event="message", data={"text": "again"})
    await post(clients[3], name, event="sticker", data=7)
    for client in clients:
        got = [await next_of(client, name) for _ in range(3)]
        assert [m.get("event", "message") for m in got] == ["message", "message", "sticker"]
        assert [m["data"] for m in got] == [{"text": "hi"}, {"text": "again"}, 7]
        assert got[0]["from"]["user"]["id"] == me(clients[2])


@clause("7.session-edit", "K4")
@pytest.mark.parametrize("event", ["edit", "delete"])
async def test_the_author_or_the_owner_edits_and_deletes(server, http, event):
    """§7: "`edit`/`delete` by the author or the owner, else `forbidden`" [K4]"""
    name, (owner, writer, other) = await session(server, 3)
    texts = [(await post(writer, name, data={"text": i}))["seq"] for i in range(4)]
    own = (await post(owner, name, data={"text": "mine"}))["seq"]
    await owner.subscribe(name)
    for client, target in ((other, texts[0]), (other, own), (writer, own)):
        await refused(client, publish(name, event=event, data={"seq": target}), "forbidden")
    tab = await Client.connect(server, mint(me(writer)))  # the author is a user, not a connection
    for client, seq in ((writer, texts[0]), (tab, texts[1]), (owner, texts[2]), (owner, own)):
        data = {"seq": seq, "data": {"text": "the"}}
        await post(client, name, event=event, data=data)
        message = await next_of(owner, name)
        assert (message["event"], message["data"]) == (event, data)
    api_publish(http, server, name, event, data={"seq": texts[3]})  # passes every access rule
    await refused(other, publish(name, event=event, data={"seq": texts[3]}), "forbidden", "invalid_event")


@clause("7.session-edit", "K4")
async def test_who_becomes_owner_may_edit_and_who_was_may_not(server, http):
    """§7: owner is who is it now; the API's messages have no author [K4]"""
    name, (a, b, c) = await session(server, 3)
    seq = (await post(c, name, data="c's"))["seq"]
    served = api_publish(http, server, name, data="the server's")["seq"]
    await refused(b, publish(name, event="edit", data={"seq": seq}), "forbidden")
    await refused(b, publish(name, event="delete", data={"seq": served}), "forbidden")
    await post(a, name, event="edit", data={"seq": served})
    await post(a, name, event="leave")
    await post(b, name, event="edit", data={"seq": seq})
    await post(b, name, event="delete", data={"seq": served})
    await post(b, name, event="join", data={"user": me(a)})
    await refused(a, publish(name, event="edit", data={"seq": seq}), "forbidden")


@clause("7.session-edit", "M3")
@pytest.mark.parametrize("data", [None, {}, 5, [], "1", {"seq": "3"}, {"seq": None}, {"seq": 1.5}, {"seq": -1},
                                  {"seq": 0}, {"seq": 99}, {"seq": True}, {"seq": [3]}, {"seq": 2**70}],
                         ids=json.dumps)  # fmt: skip
@pytest.mark.parametrize("event", ["edit", "delete"])
async def test_an_edit_of_nothing_is_refused(server, event, data):
    """§7: `{"seq":n,…}` names a message; without one there is nothing to edit [M3]"""
    name, (owner,) = await session(server, 1)
    seq = (await post(owner, name, data="x"))["seq"]
    await refused(owner, publish(name, event=event, data=data), "invalid_event", "invalid_message", "not_found",
                  "forbidden")  # fmt: skip
    assert (await post(owner, name, data="next"))["seq"] == seq + 1


@clause("7.session", "K4")
async def test_custom_events_are_logged_and_delivered(server, http):
    """§7: "and any custom name"; K7's typed events [K4, K7]"""
    name, (owner, guest) = await session(server, 2)
    await guest.subscribe(name)
    await post(owner, name, event="emotion_update", data={"message_id": 5, "emotion": "joy"})
    api_publish(http, server, name, "emotion_update", data={"message_id": 5, "emotion": "calm"})
    got = [await next_of(guest, name) for _ in range(2)]
    assert [(m["event"], m["data"]["emotion"]) for m in got] == [
        ("emotion_update", "joy"),
        ("emotion_update", "calm"),
    ]
    assert [m["event"] for m in (await history(owner, name))["messages"]][-2:] == ["emotion_update"] * 2


@clause("7.session-typing", "K4")
async def test_typing_is_ephemeral_only(server, http):
    """§7: "`typing` (ephemeral only)"; §4: ephemeral ones have no seq and no history [K4]"""
    name, (owner, guest) = await session(server, 2)
    await owner.subscribe(name)
    await refused(guest, publish(name, event="typing", data={}), "invalid_event")
    body = {"channel": name, "event": "typing", "data": 1}
    assert_problem(http(server, "POST", "/api/v1/publish", json=body), 400, "invalid_event")
    reply = await post(guest, name, event="typing", data={"on": True}, ephemeral=True)
    assert reply["ephemeral"] is True and "seq" not in reply
    message = await next_of(owner, name)
    assert (message["event"], message["data"]) == ("typing", {"on": True}) and "seq" not in message
    assert message["from"]["user"]["id"] == me(guest)
    assert (await history(owner, name))["last"] == 2


@clause("4.publish-ephemeral", "M3", "K4")
async def test_an_ephemeral_join_leave_or_read_changes_no_member(server, http):
    """§4: "no seq, no history": what is not in the log is not folded, whether it is refused or not [K4]"""
    name, (owner, guest) = await session(server, 2)
    await post(owner, name, data="m")
    before = members(http, server, name)
    for client, event, data in (
        (owner, "join", {"user": unique("x")}),
        (guest, "leave", None),
        (guest, "read", {"seq": 3}),
        (owner, "leave", None),
    ):
        reply = await client.request(publish(name, event=event, data=data, ephemeral=True))
        assert reply["type"] == "published" or reply["code"] in ("invalid_event", "invalid_message"), reply
    assert members(http, server, name) == before
    await guest.subscribe(name)
    stranger = await user(server)
    for event in ("join", "typing"):
        await refused(stranger, publish(name, event=event, ephemeral=True), "forbidden", "invalid_event")


@clause("7.session", "M3")
@pytest.mark.parametrize("fields", [{"merge": {}}, {"patch": []}, {"data": 1, "if_seq": 2},
                                    {"data": 1, "ttl_ms": 1000}], ids=json.dumps)  # fmt: skip
async def test_what_a_session_does_not_know_is_invalid_event(server, fields):
    """§4: "elsewhere … `merge`/`patch`/`if_seq` are `invalid_event`"; `ttl_ms` for "streams and inboxes only" """
    name, (owner,) = await session(server, 1)
    await refused(owner, publish(name, **fields), "invalid_event")
    assert (await post(owner, name, data=1))["seq"] == 2


# -- reading positions


@clause("7.session-read", "K4")
async def test_read_positions_and_unread_counts(server, http):
    """§7: `read` (`{"seq":n}`); the snapshot's `read` and `unread` [K4]"""
    name, (owner, a, b) = await session(server, 3)
    base = {who: m["unread"] for who, m in members(http, server, name).items()}
    sent = [(await post(owner, name, data=i))["seq"] for i in range(6)]
    now = members(http, server, name)
    assert [now[me(c)]["unread"] - base[me(c)] for c in (a, b)] == [6, 6]
    await post(a, name, event="read", data={"seq": sent[3]})
    now = members(http, server, name)
    assert (now[me(a)]["read"], now[me(a)]["unread"]) == (sent[3], 2)
    assert now[me(b)]["unread"] - base[me(b)] == 6
    last = await post(a, name, event="read", data={"seq": sent[5]})
    await post(b, name, event="read", data={"seq": last["seq"]})
    now = members(http, server, name)
    assert (now[me(a)]["read"], now[me(a)]["unread"]) == (sent[5], 0)
    assert (now[me(b)]["read"], now[me(b)]["unread"]) == (last["seq"], 0)
    await post(owner, name, data="more")
    now = members(http, server, name)
    assert (now[me(a)]["unread"], now[me(b)]["unread"]) == (1, 1)


@clause("7.session-read", "K4", "C4")
async def test_a_read_is_told_to_all_members(server):
    """§7: an event of the log like any other: every member's client can show it [K4]"""
    name, (owner, guest) = await session(server, 2)
    await owner.subscribe(name)
    seq = (await post(owner, name, data="m"))["seq"]
    await post(guest, name, event="read", data={"seq": seq})
    got = [await next_of(owner, name) for _ in range(2)]
    assert (got[1]["event"], got[1]["data"], got[1]["from"]["user"]["id"]) == (
        "read",
        {"seq": seq},
        me(guest),
    )


@clause("7.session-read", "K4", "M3")
async def test_a_read_beyond_the_last_seq_or_backwards_is_invalid_event(server, http):
    """§7: "a `read` beyond the last seq or backwards is `invalid_event`" [K4]"""
    name, (owner, guest) = await session(server, 2)
    sent = [(await post(owner, name, data=i))["seq"] for i in range(3)]
    for beyond in (sent[2] + 1, sent[2] + 2, 2**53 - 1):
        await refused(guest, publish(name, event="read", data={"seq": beyond}), "invalid_event")
    await post(guest, name, event="read", data={"seq": sent[1]})
    for back in (sent[0], 1):
        await refused(guest, publish(name, event="read", data={"seq": back}), "invalid_event")
    assert members(http, server, name)[me(guest)]["read"] == sent[1]
    await post(owner, name, event="read", data={"seq": sent[0]})  # each has a position of its own


@clause("7.session-read", "M3")
@pytest.mark.parametrize("data", [None, {}, 1, [], {"seq": "2"}, {"seq": None}, {"seq": -1}, {"seq": 1.5},
                                  {"seq": True}, {"seq": [2]}, {"seq": 1e300}], ids=json.dumps)  # fmt: skip
async def test_a_read_of_the_wrong_type_is_refused(server, http, data):
    """§6: wrong types are `invalid_message`, what a kind refuses `invalid_event` [M3]"""
    name, (owner,) = await session(server, 1)
    await post(owner, name, data="x")
    before = members(http, server, name)
    await refused(owner, publish(name, event="read", data=data), "invalid_event", "invalid_message")
    assert members(http, server, name) == before


# -- offline members


@clause("7.session-inbox", "K4", "M5")
async def test_members_without_a_subscription_get_each_message_in_their_inbox(server, http):
    """§7: "Every other member with no connection subscribed gets each `message` in its inbox: event
    `session_message`, data `{"channel","seq","from","data"}`" [K4, M5]"""
    name, (owner, here, away, offline) = await session(server, 4)
    await here.subscribe(name)
    follower = await inbox(server, me(away))
    await offline.close()
    for i in range(3):
        await post(owner, name, data={"text": i})
    for client, who in ((follower, away), (None, offline)):
        entries = await session_messages(http, server, name, me(who), wanted=3)
        assert [e["data"]["data"] for e in entries] == [{"text": 0}, {"text": 1}, {"text": 2}]
        assert [e["data"]["seq"] for e in entries] == [5, 6, 7]
        assert {author(e["data"]["from"]) for e in entries} == {me(owner)}
        if client:
            got = [await next_of(client, f"user:{me(who)}") for _ in range(3)]
            assert [m["event"] for m in got] == ["session_message"] * 3
            assert [m["data"]["seq"] for m in got] == [5, 6, 7]
    for who in (owner, here):  # the author, and who is subscribed
        assert await session_messages(http, server, name, me(who), wanted=0) == []


@clause("7.session-inbox", "M5", "K4")
async def test_an_offline_member_finds_the_messages_when_it_connects(server, http):
    """M5: "offline messages: kept durably, delivered on connect" [M5]"""
    name, (owner, guest) = await session(server, 2)
    await guest.close()
    for i in range(10):
        await post(owner, name, data=i)
    await session_messages(http, server, name, me(guest), wanted=10)
    client = await inbox(server, me(guest))
    got = [await next_of(client, f"user:{me(guest)}") for _ in range(10)]
    assert [m["data"]["data"] for m in got] == list(range(10))
    reply = await client.request({"type": "ack", "channel": f"user:{me(guest)}", "up_to": got[-1]["seq"]})
    assert reply["pending"] == 0
    assert await session_messages(http, server, name, me(guest), wanted=0) == []


@clause("7.session-inbox", "K4", "M5")
async def test_only_messages_go_to_inboxes(server, http):
    """§7: "each `message`": not joins, edits, reads, typing or custom events [K4]"""
    name, (owner, guest, third) = await session(server, 3)
    seq = (await post(owner, name, data="first"))["seq"]
    await post(owner, name, event="edit", data={"seq": seq, "data": "changed"})
    await post(owner, name, event="delete", data={"seq": seq})
    await post(owner, name, event="read", data={"seq": seq})
    await post(owner, name, event="typing", ephemeral=True)
    also = await owner.request(publish(name, data="also ephemeral", ephemeral=True))
    assert also["type"] == "published" or also["code"] == "invalid_event", also  # a kind may refuse it
    await post(owner, name, event="sticker", data=1)
    await post(third, name, event="leave")
    await post(owner, name, event="message", data="second")
    entries = await session_messages(http, server, name, me(guest), wanted=2)
    assert [e["data"]["data"] for e in entries] == ["first", "second"]
    assert [e["data"]["data"] for e in await session_messages(http, server, name, me(third), wanted=1)] == [
        "first"
    ]


@clause("7.session-inbox", "K4", "C4")
async def test_one_subscribed_device_is_enough(server, http):
    """§7: a member "with no connection subscribed": one of several is one [K4, C4]"""
    name, (owner, guest) = await session(server, 2)
    tab = await Client.connect(server, mint(me(guest)))
    await tab.subscribe(name)
    await post(owner, name, data="seen")
    assert (await next_of(tab, name))["data"] == "seen"

    def subscribers():
        return http(server, "GET", path_of(name)).json()["subscribers"]

    await tab.request({"type": "unsubscribe", "channel": name})
    await eventually(lambda: subscribers() == 0, "no subscriber")
    await post(owner, name, data="missed 1")
    await guest.subscribe(name)
    await post(owner, name, data="seen, too")
    await guest.reset()
    await eventually(lambda: subscribers() == 0, "no subscriber")
    await post(owner, name, data="missed 2")
    entries = await session_messages(http, server, name, me(guest), wanted=2)
    assert [e["data"]["data"] for e in entries] == ["missed 1", "missed 2"]


@clause("7.session-inbox", "K4", "M2")
async def test_a_message_of_the_api_goes_to_every_absent_member(server, http):
    """§7: "Every other member": the API is none, so all are others [K4, M2]"""
    name, (owner, guest) = await session(server, 2)
    await guest.subscribe(name)
    api_publish(http, server, name, data="to all")
    (entry,) = await session_messages(http, server, name, me(owner), wanted=1)
    assert entry["data"]["data"] == "to all" and entry["data"].get("from") is None
    assert (await next_of(guest, name))["data"] == "to all"


@clause("7.session-inbox", "M6", "K4")
async def test_a_repeated_key_notifies_nobody_twice(server, http):
    """§4: a repeat "appends nothing": nothing to the inboxes, either [M6]"""
    name, (owner, _) = clients = await session(server, 2)
    guest = clients[1][1]
    for _ in range(3):
        await post(owner, name, data="once", key="k")
    await post(owner, name, data="fence")
    entries = await session_messages(http, server, name, me(guest), wanted=2)
    assert [e["data"]["data"] for e in entries] == ["once", "fence"]


@clause("7.session-inbox", "K4", "M5")
@pytest.mark.parametrize("how", ["waiting", "pipelined", "batch"])
@pytest.mark.parametrize("namespace", ["session", "open"])
async def test_who_is_told_of_a_message_is_who_was_a_member_at_its_seq(server, http, namespace, how):
    """§7: "Every other member with no connection subscribed gets each `message` in its inbox": the members as of
    that message, however close behind it others come and go [K4, M5]"""
    name, owner = channel(namespace), await user(server)
    old, new, brief = unique("old"), unique("new"), unique("brief")
    events = [
        {"event": "join", "data": {"user": old}},
        {"data": "before"},
        {"event": "join", "data": {"user": new}},
        {"data": "between"},
        {"event": "join", "data": {"user": brief}},
        {"event": "join", "data": {"user": old}},
        {"event": "leave", "data": {"user": old}},
        {"event": "leave", "data": {"user": brief}},
        {"data": "after"},
    ]
    await post(owner, name, event="join")
    if how == "waiting":
        for event in events:
            await post(owner, name, **event)
    elif how == "pipelined":
        await post_all(owner, name, events)
    else:
        body = {"publish": [{"channel": name} | event for event in events]}
        answer = http(server, "POST", "/api/v1/batch", json=body)
        assert all("seq" in one for one in answer.json()["results"]), answer.text
    for who, told in ((old, ["before", "between"]), (new, ["between", "after"]), (brief, [])):
        entries = await session_messages(http, server, name, who, wanted=len(told))
        assert [e["data"]["data"] for e in entries] == told, who


@clause("7.session-leave", "5.order", "K4")
@pytest.mark.parametrize("namespace", ["session", "open"])
@pytest.mark.parametrize("before", [["before"], [f"{i}" + "x" * 40_000 for i in range(6)]], ids=["small", "large"])
async def test_a_subscriber_gets_what_came_before_its_leave(server, http, namespace, before):
    """§5: "A subscriber gets every seq": also what comes in one piece with the `leave` that ends it, and where
    it waits for the connection then [K4, M5]"""
    name, (owner, guest) = await session(server, 2, namespace)
    await guest.subscribe(name)
    stream = await Stream.open(server, name, token=mint(me(guest)))
    assert (await stream.answers(name))[0]["type"] == "subscribed"
    events = [{"data": text} for text in before]
    events += [{"event": "leave", "data": {"user": me(guest)}}, {"data": "secret"}]
    answer = http(server, "POST", "/api/v1/batch", json={"publish": [{"channel": name} | e for e in events]})
    assert all("seq" in one for one in answer.json()["results"]), answer.text
    got = [await guest.next() for _ in range(len(before) + 1)]
    streamed = [(await stream.event()).message for _ in range(len(before) + 1)]
    for one in (got, streamed):
        assert [m["type"] for m in one] == ["message"] * len(before) + ["unsubscribed"], one
        assert [m["data"] for m in one[:-1]] == before and one[-1]["code"] == "revoked"
    assert await guest.barrier() == []


async def flooded(server, namespace: str) -> tuple[str, Client, str, RawWebSocket]:
    """A session, its owner and a member whose subscribed connection reads nothing while more comes than it may
    have waiting."""
    name, (owner, guest) = await session(server, 2, namespace)
    headers = {"Authorization": f"Bearer {mint(me(guest))}"}
    raw = await RawWebSocket.open(server, "/ws?inbox=manual", headers=headers, receive_buffer=4096)
    await raw.text(json.dumps({"type": "subscribe", "channel": name}))
    assert (await next_raw(raw))["type"] == "subscribed"
    await post_all(owner, name, [{"data": f"{i} " + "x" * 40_000} for i in range(FLOOD)])
    return name, owner, me(guest), raw


FLOOD = 80


async def next_raw(raw: RawWebSocket) -> dict:
    return json.loads((await raw.message(timeout_s=15)).payload)


@clause("7.session-leave", "5.order", "5.slow-reader", "K4", "P7")
@pytest.mark.parametrize("namespace", ["session", "open"])
async def test_a_slow_subscriber_gets_what_came_before_its_leave_at_its_own_pace(server, namespace):
    """§5: "A subscriber gets every seq": who is removed while it is behind gets what it had a right to, and
    nothing else [K4, P7]"""
    name, owner, guest, raw = await flooded(server, namespace)
    await post_all(owner, name, [{"event": "leave", "data": {"user": guest}}, {"data": "secret"}])
    got = [await next_raw(raw) for _ in range(FLOOD + 1)]
    assert [m["type"] for m in got] == ["message"] * FLOOD + ["unsubscribed"]
    assert [m["data"].split()[0] for m in got[:-1]] == [str(i) for i in range(FLOOD)]
    assert got[-1]["code"] == "revoked"
    await raw.text('{"type":"ping"}')
    assert (await next_raw(raw))["type"] == "pong"


@clause("7.session-inbox", "5.slow-reader", "M5", "M6")
async def test_what_a_member_was_too_slow_for_is_in_its_inbox_once_it_unsubscribes(server, http):
    """§7: "Every other member with no connection subscribed gets each `message` in its inbox": none reaches
    neither the connection nor the inbox, and none both [M5, M6]"""
    name, _, guest, raw = await flooded(server, "open")
    await raw.text(json.dumps({"type": "unsubscribe", "channel": name}))
    got = []
    while (message := await next_raw(raw))["type"] != "unsubscribed":
        got.append(message["data"].split()[0])
    assert len(got) < FLOOD
    entries = await session_messages(http, server, name, guest, wanted=FLOOD - len(got))
    got += [entry["data"]["data"].split()[0] for entry in entries]
    assert got == [str(i) for i in range(FLOOD)]


@clause("7.session-inbox", "4.key", "M6")
async def test_a_key_repeated_after_a_crash_tells_those_who_were_members(start, http, tmp_path):
    """§7: "Every other member": as of the message, not of its repetition [M6, K4]"""
    home = Home(start, tmp_path)
    name, (owner, there) = await session(home.server, 2)
    new = unique("new")
    await post(owner, name, data="old news", key="k")
    await post(owner, name, event="join", data={"user": new})
    server = home.crash()
    again = await Client.connect(server, mint(me(owner)))
    assert (await post(again, name, data="old news", key="k"))["duplicate"] is True
    await post(again, name, data="fence")
    await session_messages(http, server, name, me(there), wanted=2)
    entries = await session_messages(http, server, name, new, wanted=1)
    assert entries[0]["data"]["data"] == "fence"


@clause("7.session-inbox", "K4", "M3")
async def test_a_refused_message_notifies_nobody(server, http):
    """§3: a refused request changes nothing: not in the inboxes, either [M3]"""
    name, (owner, guest) = await session(server, 2)
    stranger = await user(server)
    await refused(stranger, publish(name, data="x"), "forbidden")
    await refused(owner, publish(name, data="x", if_seq=1), "invalid_event")
    await post(owner, name, data="good")
    entries = await session_messages(http, server, name, me(guest), wanted=1)
    assert entries[0]["data"]["data"] == "good"


@clause("7.session-inbox", "M5")
async def test_many_messages_of_many_authors_reach_an_absent_member_once_each(server, http):
    """M5, M6: nothing lost, nothing twice, and FIFO per author [M5, M4]"""
    name, clients = await session(server, 5)
    away = clients[4]
    await asyncio.gather(
        *(post_all(c, name, [{"data": [i, n]} for n in range(20)]) for i, c in enumerate(clients[:4]))
    )
    entries = await session_messages(http, server, name, me(away), wanted=80)
    got = [e["data"]["data"] for e in entries]
    for sender in range(4):
        assert [n for who, n in got if who == sender] == list(range(20))
    log = {m["seq"]: m["data"] for m in (await history(clients[0], name, limit=1000))["messages"]}
    assert all(log[e["data"]["seq"]] == e["data"]["data"] for e in entries)


@clause("7.session-inbox", "K4", "M2")
async def test_a_large_session_reaches_all_its_absent_members(server, http):
    """§7: "Every other member": 150 of them, joined by the API, here and away on all shards [K4, M2]"""
    name, owner = channel("session"), await user(server)
    people = [unique(f"p{i}-") for i in range(150)]
    body = [{"channel": name, "event": "join", "data": {"user": p}} for p in (me(owner), *people)]
    results = http(server, "POST", "/api/v1/batch", json={"publish": body}).json()["results"]
    assert [r["seq"] for r in results] == list(range(1, 152))
    here = [await user(server, p) for p in people[:30]]
    for client in here:
        await client.subscribe(name)
    seq = (await post(owner, name, data="to all"))["seq"]
    for client in here:
        assert (await next_of(client, name))["seq"] == seq
    for person in people[30:]:
        (entry,) = await session_messages(http, server, name, person, wanted=1)
        assert (entry["data"]["seq"], entry["data"]["data"]) == (seq, "to all")
    for person in people[:30]:
        assert api_pending(http, server, person) == []


@clause("7.session-inbox", "M5", "P7")
async def test_large_messages_to_many_absent_members_are_bounded_in_memory(start, http):
    """§7: "Every other member with no connection subscribed gets each `message` in its inbox"; what that takes
    is bounded, and the publisher is answered [M5, P7]"""
    server = start()
    name, owner = channel("session"), await user(server)
    people = [unique(f"p{i}-") for i in range(80)]
    body = [{"channel": name, "event": "join", "data": {"user": p}} for p in (me(owner), *people)]
    results = http(server, "POST", "/api/v1/batch", json={"publish": body}).json()["results"]
    assert len(results) == 81
    before, text, sent = server.memory_kib(), "x" * 900_000, []
    for i in range(3):  # one of them for all is more than the log takes at once
        reply = await owner.request(publish(name, data=[i, text], key=f"k{i}"), timeout_s=40)
        assert reply["type"] == "published", reply
        sent.append(reply["seq"])
    grown = server.memory_kib() - before
    for person in people[::11]:
        entries = [e for e in api_pending(http, server, person) if e["event"] == "session_message"]
        assert [e["data"]["seq"] for e in entries] == sent
        assert all(e["data"]["data"][1] == text for e in entries)
    assert grown < memory_bound_kib(500 * 1024), f"{grown} KiB"
    again = await post(owner, name, data="a repeat", key="k2")
    assert (again["duplicate"], again["seq"]) == (True, sent[-1])


# -- over HTTP with a user's token; presence


@clause("8.user-token", "K4", "C3")
async def test_a_members_token_suffices_over_http(server, http):
    """§8: "A user's own token suffices, with that user's rights …, for `publish`, a channel's `history`,
    `presence` and `snapshot`" [K4]"""
    name, (owner, guest) = await session(server, 2)
    good, bad = mint(me(guest)), mint(unique("stranger"))
    for path in ("/history", "/snapshot", "/presence"):
        assert http(server, "GET", path_of(name, path), key=good).status_code == 200, path
        assert_problem(http(server, "GET", path_of(name, path), key=bad), 403, "forbidden")
    body = {"channel": name, "data": "over HTTP"}
    assert_problem(http(server, "POST", "/api/v1/publish", key=bad, json=body), 403, "forbidden")
    await owner.subscribe(name)
    assert http(server, "POST", "/api/v1/publish", key=good, json=body).json()["seq"] == 3
    assert (await next_of(owner, name))["from"]["user"]["id"] == me(guest)
    joining = {"channel": channel("session"), "event": "join"}
    assert http(server, "POST", "/api/v1/publish", key=good, json=joining).status_code == 200
    assert owners(http, server, joining["channel"]) == [me(guest)]


@clause("7.presence", "K3", "K4")
async def test_members_see_who_is_there(server):
    """§7: "Presence is on in … `session`"; §4: it "Needs subscribe access" [K3, K4]"""
    name, (owner, guest) = await session(server, 2)
    assert (await owner.subscribe(name, presence=True))["members"] == []
    reply = await guest.request(
        {"type": "presence", "channel": name, "action": "enter", "data": {"at": "desk"}}
    )
    assert [m["data"] for m in reply["members"]] == [{"at": "desk"}]
    event = await owner.expect(type="presence_event", channel=name)
    assert (event["action"], event["member"]["user"]["id"]) == ("enter", me(guest))


# -- the log


@clause("5.recovered", "M7", "K4")
async def test_a_member_resumes_by_position(server):
    """§5: `recovered` true, without a snapshot, with all that was missed; else the snapshot [M7]"""
    name, (owner, guest) = await session(server, 2)
    epoch = (await post(owner, name, data="a"))["epoch"]
    await post(owner, name, event="sticker", data="b")
    reply = await guest.subscribe(name, since={"epoch": epoch, "seq": 2})
    assert reply["recovered"] is True and "snapshot" not in reply
    assert [(m["seq"], m["data"]) for m in reply["messages"]] == [(3, "a"), (4, "b")]
    other = await Client.connect(server, mint(me(owner)))
    reply = await other.subscribe(name, since={"epoch": "another", "seq": 2})
    assert (reply["recovered"], reply["reason"]) == (False, "epoch")
    assert len(reply["snapshot"]["data"]["members"]) == 2


@clause("5.trimmed", "M7", "K4")
async def test_members_outlive_the_log_that_made_them(server, http):
    """§7: "a durable member list": though the joins are trimmed from the log [K4]"""
    name, (owner, guest) = await session(server, 2, "brief")
    for i in range(12):
        epoch = (await post(guest, name, data=i))["epoch"]
    assert seqs((await history(owner, name))["messages"]) == [11, 12, 13, 14]
    assert members(http, server, name).keys() == {me(owner), me(guest)}
    assert owners(http, server, name) == [me(owner)]
    reply = await guest.subscribe(name, since={"epoch": epoch, "seq": 2})
    assert (reply["recovered"], reply["reason"]) == (False, "trimmed")
    assert len(reply["snapshot"]["data"]["members"]) == 2


@clause("7.session", "M7", "K4")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_snapshot_and_the_later_messages_are_a_fresh_snapshot(server, http, seed):
    """Issue 3: "the property that snapshot plus later messages equals a fresh snapshot", with random events
    of random members [M7, K4]"""
    chance = random.Random(seed)
    name, clients = channel("open"), [await user(server) for _ in range(5)]
    watcher = await staff(server, "subscribe", "history", channels="open:*")
    copies, state = [], {}
    for step in range(120):
        client = chance.choice(clients)
        event, data = chance.choice(
            [("join", None), ("leave", None), ("message", step), ("message", step),
             ("join", {"user": me(chance.choice(clients))}), ("sticker", step)]
        )  # fmt: skip
        if event == "leave" and state.keys() == {me(client)}:
            continue  # what a session without members is, the text leaves open
        reply = await client.request(publish(name, event=event, data=data))
        if reply["type"] == "published":
            entry = {"event": event, "data": data, "from": {"user": {"id": me(client)}}}
            state = folded("session", [entry], state)
        else:
            assert reply["code"] in ("forbidden", "invalid_event"), reply
        if step % 20 == 10:
            reader = await staff(server, "subscribe", channels="open:*")
            copies.append((reader, Copy("session").start(await reader.subscribe(name))))
    reply = await watcher.subscribe(name)
    final = Copy("session").start(reply)
    log = (await history(watcher, name, limit=1000, after=0))["messages"]
    if reply["seq"] == len(log):  # nothing was trimmed
        assert same(folded("session", log), final.state)
    assert same(state, final.state), (state, final.state)
    for reader, mine in copies:
        await mine.follow(reader, name, reply["seq"])
        assert same(mine.state, final.state), (mine.state, final.state)


# -- over a crash


@clause("5.durable", "M6", "K4")
async def test_everything_of_a_session_survives_kill_9(start, http, tmp_path):
    """K4: "sessions persisted"; guarantee 3 [M6, K4]"""
    home = Home(start, tmp_path)
    name, (owner, guest, third, away) = await session(home.server, 4)
    await third.subscribe(name)
    seq = (await post(guest, name, data={"text": "teh"}, key="k"))["seq"]
    await post(guest, name, event="edit", data={"seq": seq, "data": {"text": "the"}})
    await post(third, name, event="read", data={"seq": seq})
    await post(owner, name, event="leave")
    last = await post(third, name, data="last")
    await session_messages(http, home.server, name, me(away), wanted=2)
    before = api_snapshot(http, home.server, name)
    log = (await history(third, name))["messages"]
    server = home.crash()
    after = api_snapshot(http, server, name)
    assert after == before
    assert owners(http, server, name) == [me(guest)]
    assert members(http, server, name)[me(third)]["read"] == seq
    client = await Client.connect(server, mint(me(third)))
    reply = await client.subscribe(name, since={"epoch": last["epoch"], "seq": 0})
    assert reply["recovered"] is True and reply["seq"] == last["seq"]
    assert reply["messages"] == log
    again = await Client.connect(server, mint(me(guest)))
    duplicate = await post(again, name, data="x", key="k")
    assert (duplicate["duplicate"], duplicate["seq"]) == (True, seq)
    gone = await Client.connect(server, mint(me(owner)))
    await refused(gone, {"type": "subscribe", "channel": name}, "forbidden")
    await refused(gone, publish(name, data=1), "forbidden")
    await post(again, name, event="join", data={"user": me(owner)})  # the new owner's right
    inbox_client = await inbox(server, me(away))
    got = [await next_of(inbox_client, f"user:{me(away)}") for _ in range(2)]
    assert [m["data"]["data"] for m in got] == [{"text": "teh"}, "last"]


@clause("5.durable", "M6", "M5", "K4")
async def test_a_message_that_was_acknowledged_is_in_the_inbox_after_kill_9(start, http, tmp_path):
    """M6: "`kill -9` at any moment loses no acknowledged message and duplicates none": the absent member has
    each acknowledged one in its inbox, once [M6, M5, K4]"""
    home = Home(start, tmp_path)
    name, (owner, away) = await session(home.server, 2)
    expected = []
    for round_ in range(4):
        replies = await post_all(owner, name, [{"data": [round_, i]} for i in range(25)])
        home.server.kill()
        expected += [[round_, i] for i in range(25)]
        assert len(replies) == 25
        home.again()
        entries = await session_messages(http, home.server, name, me(away), wanted=len(expected))
        assert sorted(e["data"]["data"] for e in entries) == expected
        owner = await Client.connect(home.server, mint(me(owner)))
    assert notify(http, home.server, me(away), data="fence")["seq"] >= len(expected) + 1
