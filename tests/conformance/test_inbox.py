"""Protocol §7, kind `inbox`, and §4 `ack`: who gets what, in which order, how long, on which device.
Requirements M5, K1, M6."""

from __future__ import annotations

import asyncio
import json

import pytest
from client import Client, eventually, reloaded_to, unique
from model import (
    LEVELS,
    Home,
    api_snapshot,
    assert_problem,
    history,
    next_of,
    notify,
    post,
    publish,
    refused,
    seqs,
)
from raw import CLOSE, RawWebSocket
from tokens import mint

clause = pytest.mark.clause
SERVER = {"settings": {"namespaces": {"room": {"kind": "stream"}}}}


def inbox_of(me: object) -> str:
    return f"user:{me}"


async def device(server, me: object, **options) -> Client:
    """A connection that follows its user's inbox; the server's `subscribed` is read."""
    client = await Client.connect(server, mint(me), inbox=True, **options)
    reply = await client.next()
    assert (reply["type"], reply["channel"]) == ("subscribed", inbox_of(me)), reply
    return client


async def manual(server, me: object, **claims) -> Client:
    return await Client.connect(server, mint(me, **claims))


async def support(server, *do: str) -> Client:
    """Staff with a grant for every inbox."""
    grants = [{"channels": "user:*", "do": list(do)}]
    return await Client.connect(server, mint(unique("staff"), tidewire={"grants": grants}))


async def ack(client: Client, me: object, **fields):
    return await client.request({"type": "ack", "channel": inbox_of(me), **fields})


def pending(http, server, me: object) -> list[int]:
    return sorted(seqs(api_snapshot(http, server, inbox_of(me))["data"]["pending"]))


def waiting(http, server, me: object) -> list:
    """The `data` of what is pending."""
    entries = api_snapshot(http, server, inbox_of(me))["data"]["pending"]
    return sorted(e["data"] for e in entries)


def counts(http, server, me: object) -> dict:
    return api_snapshot(http, server, inbox_of(me))["data"]["counts"]


def level(message: dict) -> str:
    return message.get("priority", "medium")


# -- following


@clause("7.inbox-follow", "M5", "K1")
async def test_every_connection_follows_its_inbox_right_after_connected(server):
    """§7: "right after `connected` … comes `subscribed` without an `id`"; "The server's own `subscribed` has
    no snapshot and no messages" [M5, K1]"""
    me = unique("u")
    client = await Client.connect(server, mint(me), inbox=True)
    reply = await client.next()
    assert (reply["type"], reply["channel"], reply["kind"], reply["seq"]) == (
        "subscribed",
        inbox_of(me),
        "inbox",
        0,
    )
    assert reply.get("id") is None and "snapshot" not in reply
    assert reply["messages"] == [] and isinstance(reply["epoch"], str)
    assert await client.barrier() == []


@clause("7.inbox-follow", "M5", "A1")
async def test_an_auth_message_brings_the_inbox_after_auth_success(server, http):
    """§7: "right after `connected`/`auth_success`" [M5, A1]"""
    me = unique("u")
    notify(http, server, me, data="waiting")
    client = await Client.connect(server, inbox=True)
    await client.send({"type": "auth", "token": mint(me), "id": "a"})
    assert (await client.next())["type"] == "auth_success"
    reply = await client.next()
    assert (reply["type"], reply["channel"]) == ("subscribed", inbox_of(me)) and reply.get("id") is None
    assert (await next_of(client, inbox_of(me)))["data"] == "waiting"


@clause("7.inbox-follow", "M5")
async def test_an_anonymous_connection_has_no_inbox(server):
    """§7: "Every authenticated connection follows its own" [M5]"""
    client = await Client.connect(server, inbox=True)
    assert await client.barrier() == []


@clause("7.inbox-follow", "M5")
@pytest.mark.parametrize("how", ["header", "auth"])
async def test_with_inbox_manual_nothing_is_followed(server, http, how):
    """§7: "unless it connects with `?inbox=manual`", whichever way it authenticates [M5]"""
    me = unique("u")
    notify(http, server, me, data=1)
    if how == "header":
        client = await manual(server, me)
    else:
        client = await Client.connect(server)
        assert (await client.request({"type": "auth", "token": mint(me)}))["type"] == "auth_success"
    notify(http, server, me, data=2)
    assert seqs((await history(client, inbox_of(me)))["messages"]) == [1, 2]  # from where an entry would come, behind it
    assert await client.barrier() == []
    reply = await client.request({"type": "unsubscribe", "channel": inbox_of(me)})
    assert reply["code"] == "not_subscribed"


@clause("1.user", "M5")
async def test_the_inbox_goes_by_the_ids_string_form(server, http):
    """§1: "`1` and `"1"` are one user" [M5]"""
    me = int(unique("")[:6], 16) + 10**8
    a, b = await device(server, me), await Client.connect(server, mint(str(me)), inbox=True)
    assert (await b.next())["channel"] == inbox_of(me)
    notify(http, server, me, data="both")
    for client in (a, b):
        assert (await next_of(client, inbox_of(me)))["data"] == "both"


@clause("1.user", "M5")
async def test_an_id_of_all_channel_characters_has_its_inbox(server, http):
    """§1: ids are "1 to 200 bytes of the channel characters"; §8: `{id}` is one percent-encoded segment [M5]"""
    me = unique("a.b_c-d:e@f=g,h;i!j~k+l/m#n")
    assert notify(http, server, me, data=1)["channel"] == inbox_of(me)
    client = await device(server, me)
    assert (await next_of(client, inbox_of(me)))["data"] == 1
    long = unique("x" * 180)[:200]
    long += "y" * (200 - len(long))
    assert notify(http, server, long, data=2)["channel"] == inbox_of(long)
    assert (await next_of(await device(server, long), inbox_of(long)))["data"] == 2


# -- delivery


@clause("7.inbox", "K1", "M2")
async def test_a_notification_reaches_every_device_at_once(server, http):
    """§7: "one per user"; §5: `message` with its members [K1, M2]"""
    me = unique("u")
    devices = [await device(server, me) for _ in range(3)]
    stranger = await device(server, unique("v"))
    answer = notify(http, server, me, event="reminder", data={"n": 1}, priority="high")
    for client in devices:
        message = await next_of(client, inbox_of(me))
        assert (message["seq"], message["event"], message["data"]) == (1, "reminder", {"n": 1})
        assert message["priority"] == "high" and isinstance(message["timestamp"], int)
        assert not message.get("redelivered") and "from" not in message
    assert (answer["seq"], answer["online"]) == (1, 3)
    assert await stranger.barrier() == []


@clause("7.inbox", "M5")
async def test_the_default_priority_is_medium_and_the_default_event_notify(server, http):
    """§7: "`notify` (default)"; "the default priority is `medium`"; §5: `priority` (other than the
    namespace's) [M5]"""
    me = unique("u")
    client = await device(server, me)
    notify(http, server, me, data=1)
    notify(http, server, me, data=2, priority="medium")
    for _ in range(2):
        message = await next_of(client, inbox_of(me))
        assert "priority" not in message and message.get("event", "notify") == "notify"
    assert counts(http, server, me) == {"critical": 0, "high": 0, "medium": 2, "low": 0}


@clause("7.inbox-pending", "M5")
async def test_what_came_offline_is_delivered_by_priority_and_fifo(server, http):
    """§7: "then all pending entries as `message`s, highest priority first, FIFO within one"; M5: "CRITICAL >
    HIGH > MEDIUM > LOW" [M5]"""
    me = unique("u")
    sent = [
        "low",
        "medium",
        "critical",
        "high",
        "low",
        "critical",
        "medium",
        "high",
        "high",
        "critical",
        "low",
    ]
    for i, one in enumerate(sent):
        notify(http, server, me, data=i, priority=one)
    client = await device(server, me)
    got = [await next_of(client, inbox_of(me)) for _ in sent]
    expected = sorted(range(len(sent)), key=lambda i: (LEVELS.index(sent[i]), i))
    assert [m["data"] for m in got] == expected
    assert [m["seq"] for m in got] == [i + 1 for i in expected]
    assert [level(m) for m in got] == [sent[i] for i in expected]
    assert not any(m.get("redelivered") for m in got)  # nobody has seen them yet
    assert await client.barrier() == []


@clause("7.inbox-pending", "M5", "M4")
async def test_while_connected_entries_come_in_the_order_of_their_seqs(server, http):
    """Guarantee 1: "within a channel priority never reorders, except in an inbox's backlog" [M5, M4]"""
    me = unique("u")
    client = await device(server, me)
    for i in range(40):
        notify(http, server, me, data=i, priority=LEVELS[3 - i % 4])
    assert seqs([await next_of(client, inbox_of(me)) for _ in range(40)]) == list(range(1, 41))


@clause("7.inbox-redelivered", "M5", "K1")
async def test_an_unacked_entry_comes_again_marked_redelivered(server, http):
    """§7: "marked `redelivered` when sent before to this user" [M5, K1]"""
    me = unique("u")
    notify(http, server, me, data="old")
    first = await device(server, me)
    assert not (await next_of(first, inbox_of(me))).get("redelivered")
    await first.close()
    notify(http, server, me, data="new")
    again = await device(server, me)
    got = [await next_of(again, inbox_of(me)) for _ in range(2)]
    assert [(m["data"], bool(m.get("redelivered"))) for m in got] == [("old", True), ("new", False)]


@clause("7.inbox-redelivered", "K1")
async def test_a_second_device_gets_what_the_first_has_seen_as_redelivered(server, http):
    """§7: "sent before to this user": to any of the user's devices [K1]"""
    me = unique("u")
    first = await device(server, me)
    notify(http, server, me, data=1)
    assert not (await next_of(first, inbox_of(me))).get("redelivered")
    second = await device(server, me)
    message = await next_of(second, inbox_of(me))
    assert (message["data"], message["redelivered"]) == (1, True)
    assert [m for m in await first.barrier() if m["type"] == "message"] == []


@clause("7.inbox-redelivered", "M5")
async def test_what_was_never_sent_is_not_marked_redelivered(server, http):
    """§7: a manual connection, a look at the snapshot and a page of history send nothing to the user [M5]"""
    me = unique("u")
    idle = await manual(server, me)
    notify(http, server, me, data=1)
    assert len(pending(http, server, me)) == 1
    await idle.barrier()
    client = await device(server, me)
    assert not (await next_of(client, inbox_of(me))).get("redelivered")


@clause("7.inbox-subscribe", "M5", "M7")
async def test_a_clients_own_subscribe_has_the_snapshot_and_then_the_pending_entries(server, http):
    """§7: "after a client's own subscribe without `since` the snapshot stands as for any kind, and the
    pending entries follow as messages all the same" [M5, M7]"""
    me = unique("u")
    for i, one in enumerate(("low", "critical", "medium")):
        notify(http, server, me, event="e", data=i, priority=one)
    client = await manual(server, me)
    reply = await client.subscribe(inbox_of(me))
    assert (reply["kind"], reply["seq"]) == ("inbox", 3) and "recovered" not in reply
    snapshot = reply["snapshot"]
    assert snapshot["seq"] == 3
    assert snapshot["data"]["counts"] == {"critical": 1, "high": 0, "medium": 1, "low": 1}
    entries = sorted(snapshot["data"]["pending"], key=lambda e: e["seq"])
    assert [(e["seq"], e["data"], e["event"], level(e)) for e in entries] == [
        (1, 0, "e", "low"), (2, 1, "e", "critical"), (3, 2, "e", "medium")]  # fmt: skip
    assert all(isinstance(e["timestamp"], int) for e in entries)
    got = reply["messages"] or [await next_of(client, inbox_of(me)) for _ in range(3)]
    assert [m["data"] for m in got] == [1, 2, 0]
    notify(http, server, me, data="live")
    assert (await next_of(client, inbox_of(me)))["data"] == "live"


@clause("7.inbox-subscribe", "M7", "M5")
async def test_an_inbox_is_resumed_by_position_with_its_acks(server, http):
    """§7: "A client that subscribes itself may use `since` as in any channel"; "an ack is an entry of the log
    like any other" [M7]"""
    me = unique("u")
    first = await device(server, me)
    epoch = notify(http, server, me, data=1)["epoch"]
    notify(http, server, me, data=2, priority="critical")
    assert (await ack(first, me, seqs=[1]))["seq"] == 3
    notify(http, server, me, data=4)
    for seen in (0, 1, 3, 4):
        client = await manual(server, me)
        reply = await client.subscribe(inbox_of(me), since={"epoch": epoch, "seq": seen})
        assert reply["recovered"] is True and "snapshot" not in reply
        assert seqs(reply["messages"]) == list(range(seen + 1, 5))
        for entry in reply["messages"]:
            if entry["seq"] == 3:
                assert (entry["event"], entry["data"]["seqs"]) == ("ack", [1])
        assert [m for m in await client.barrier() if m["type"] == "message"] == []


@clause("7.inbox-subscribe", "M7")
@pytest.mark.parametrize("position, reason", [(("another", 1), "epoch"), ((None, 9), "ahead")])
async def test_a_bad_position_in_an_inbox_gets_the_snapshot(server, http, position, reason):
    """§5: `recovered` false with its reason, and the snapshot as the new start [M7]"""
    me = unique("u")
    epoch = notify(http, server, me, data=1)["epoch"]
    client = await manual(server, me)
    since = {"epoch": position[0] or epoch, "seq": position[1]}
    reply = await client.subscribe(inbox_of(me), since=since)
    assert (reply["recovered"], reply["reason"], reply["epoch"]) == (False, reason, epoch)
    assert seqs(reply["snapshot"]["data"]["pending"]) == [1]


@clause("4.subscribe-again", "M5")
async def test_subscribing_to_a_followed_inbox_is_no_error(server, http):
    """§4: "Subscribing again is no error …: the reply is the present state"; live entries come once [M5]"""
    me = unique("u")
    client = await device(server, me)
    notify(http, server, me, data=1)
    assert (await next_of(client, inbox_of(me)))["data"] == 1
    reply = await client.subscribe(inbox_of(me))
    assert reply["seq"] == 1 and seqs(reply["snapshot"]["data"]["pending"]) == [1]
    notify(http, server, me, data=2)
    await eventually(lambda: any(m.get("data") == 2 for m in client.inbox), "the live entry")
    assert sum(m.get("data") == 2 for m in await client.barrier()) == 1


@clause("4.unsubscribe", "M5")
async def test_an_inbox_may_be_unsubscribed(server, http):
    """§4: `unsubscribe` ends the deliveries of a followed inbox, too; the entries stay pending [M5]"""
    me = unique("u")
    client = await device(server, me)
    assert (await client.request({"type": "unsubscribe", "channel": inbox_of(me)}))["type"] == "unsubscribed"
    notify(http, server, me, data=1)
    assert seqs((await history(client, inbox_of(me)))["messages"]) == [1]  # from where the entry would come, behind it
    assert await client.barrier() == []
    await client.subscribe(inbox_of(me))
    assert pending(http, server, me) == [1]


# -- acks


@clause("4.ack", "K1", "M5")
async def test_an_ack_takes_entries_out_and_tells_what_is_left(server, http):
    """§4: `{"type":"acked","channel":…,"seq":n,"seqs":[…],"pending":m}` [K1, M5]"""
    me = unique("u")
    for i in range(5):
        notify(http, server, me, data=i, priority=LEVELS[i % 4])
    client = await device(server, me)
    reply = await ack(client, me, seqs=[2, 4])
    assert (reply["type"], reply["channel"], reply["seq"], reply["pending"]) == ("acked", inbox_of(me), 6, 3)
    assert sorted(reply["seqs"]) == [2, 4]
    assert pending(http, server, me) == [1, 3, 5]
    assert counts(http, server, me) == {"critical": 2, "high": 0, "medium": 1, "low": 0}
    reply = await ack(client, me, up_to=3)
    assert (reply["seq"], sorted(reply["seqs"]), reply["pending"]) == (7, [1, 3], 1)
    reply = await ack(client, me, up_to=1000)
    assert (reply["seq"], reply["seqs"], reply["pending"]) == (8, [5], 0)
    snapshot = api_snapshot(http, server, inbox_of(me))
    assert snapshot["seq"] == 8
    assert snapshot["data"] == {"pending": [], "counts": dict.fromkeys(LEVELS, 0)}


@clause("4.ack", "K1", "M3")
async def test_unknown_seqs_are_left_out_of_an_ack(server, http):
    """§4: "when nothing was acked there is no `seq`; unknown seqs are left out" [K1]"""
    me = unique("u")
    for i in range(3):
        notify(http, server, me, data=i)
    client = await device(server, me)
    reply = await ack(client, me, seqs=[99, 2, 2, 2**53 - 1])
    assert (reply["seq"], reply["seqs"], reply["pending"]) == (4, [2], 2)
    for fields in ({"seqs": [2]}, {"seqs": [4]}, {"seqs": [77]}):
        reply = await ack(client, me, **fields)  # acked before, the ack itself, from the future
        assert (reply["type"], reply["seqs"], reply["pending"]) == ("acked", [], 2), (fields, reply)
        assert reply.get("seq") is None, reply
    assert notify(http, server, me, data="next")["seq"] == 5  # an empty ack is no entry


@clause("4.ack", "K1", "M3")
async def test_an_ack_in_an_empty_inbox_acks_nothing(server, http):
    """Issue 3: "acks for what is not there: each gets what the protocol says, and nothing changes" [K1]"""
    me = unique("u")
    client = await device(server, me)
    for fields in ({"up_to": 5}, {"seqs": [1, 2]}):
        reply = await ack(client, me, **fields)
        assert (reply["type"], reply["seqs"], reply["pending"]) == ("acked", [], 0) and reply.get(
            "seq"
        ) is None
    assert notify(http, server, me, data=1)["seq"] == 1


@clause("4.ack", "M3")
@pytest.mark.parametrize(
    "fields",
    [{}, {"seqs": 1}, {"seqs": "1"}, {"seqs": ["1"]}, {"seqs": [1.5]}, {"seqs": [None]}, {"seqs": [-1]},
     {"seqs": {}}, {"seqs": [[1]]}, {"seqs": [True]}, {"seqs": None}, {"seqs": [1, "x"]}, {"up_to": "9"},
     {"up_to": -1}, {"up_to": 1.5}, {"up_to": None}, {"up_to": []}, {"up_to": True}],
    ids=json.dumps,
)  # fmt: skip
async def test_a_bad_ack_is_invalid_message_and_acks_nothing(server, http, fields):
    """§6: "`invalid_message` (… a field of the wrong type)": with a good seq beside it, too [M3]"""
    me = unique("u")
    notify(http, server, me, data=1)
    client = await device(server, me)
    reply = await client.expect_error(
        {"type": "ack", "channel": inbox_of(me), "id": 1, **fields}, "invalid_message"
    )
    assert reply["request"] == "ack"
    assert pending(http, server, me) == [1]


@clause("4.ack", "M3")
async def test_an_ack_at_the_edge_of_the_letter_breaks_nothing(server, http):
    """§4 gives `seqs` "or" `up_to`: an empty list, both together and numbers that no
    seq can be may be taken or refused [M3]"""
    me = unique("u")
    for i in range(3):
        notify(http, server, me, data=i)
    client = await device(server, me)
    reply = await ack(client, me, seqs=[])
    assert reply["type"] == "acked" and reply["pending"] == 3 or reply["code"] == "invalid_message", reply
    for fields in ({"seqs": [0]}, {"up_to": 0}, {"seqs": [2**64]}):
        reply = await ack(client, me, **fields)
        assert reply["type"] == "acked" and reply["pending"] == 3 or reply["code"] == "invalid_message", reply
    reply = await ack(client, me, seqs=[3], up_to=1)
    assert reply["type"] == "acked" or reply["code"] == "invalid_message", reply
    left = pending(http, server, me)
    assert left == [1, 2, 3] if reply["type"] == "error" else 2 in left


@clause("4.ack", "M3", "C3")
async def test_only_the_user_acks(server, http):
    """§4: "another kind of channel is `invalid_message`, another's inbox `forbidden`" [M3]"""
    me = unique("u")
    notify(http, server, me, data=1)
    other = await manual(server, unique("v"))
    await refused(other, {"type": "ack", "channel": inbox_of(me), "up_to": 1}, "forbidden")
    await refused(other, {"type": "ack", "channel": "room:x", "up_to": 1}, "invalid_message")
    await refused(other, {"type": "ack", "channel": "doc:x", "up_to": 1}, "invalid_message")
    await refused(other, {"type": "ack", "channel": "user:", "up_to": 1}, "invalid_channel")
    await refused(other, {"type": "ack", "channel": "nowhere:x", "up_to": 1}, "not_found")
    anonymous = await Client.connect(server)
    await refused(
        anonymous, {"type": "ack", "channel": inbox_of(me), "up_to": 1}, "unauthorized", "forbidden"
    )
    assert pending(http, server, me) == [1]


@clause("4.ack", "K1")
async def test_an_ack_needs_no_subscription(server, http):
    """§4: `ack` names the inbox; nothing there asks for a subscription [K1]"""
    me = unique("u")
    notify(http, server, me, data=1)
    reply = await ack(await manual(server, me), me, seqs=[1])
    assert (reply["type"], reply["seq"], reply["pending"]) == ("acked", 2, 0)


@clause("7.inbox-ack", "K1", "C4")
async def test_an_ack_reaches_the_users_other_devices(server, http):
    """§7: "An ack reaches the user's other connections as an event `ack` with `{"seqs":[…]}`"; §4: "this reply
    is its delivery" [K1, C4]"""
    me = unique("u")
    a, b, c = [await device(server, me) for _ in range(3)]
    for i in range(3):
        notify(http, server, me, data=i)
    for client in (a, b, c):
        assert seqs([await next_of(client, inbox_of(me)) for _ in range(3)]) == [1, 2, 3]
    reply = await ack(a, me, seqs=[1, 3])
    for client in (b, c):
        message = await next_of(client, inbox_of(me))
        assert (message["seq"], message["event"]) == (reply["seq"], "ack") == (4, "ack")
        assert sorted(message["data"]["seqs"]) == [1, 3]
    notify(http, server, me, data="fence")
    assert (await next_of(a, inbox_of(me)))["seq"] == 5  # the reply was its delivery
    assert (await next_of(b, inbox_of(me)))["seq"] == 5


@clause("7.inbox-ack", "K1")
async def test_an_acked_entry_is_never_delivered_again(server, http):
    """§7: "An entry stays until acked by any of the user's devices" [K1, M5]"""
    me = unique("u")
    for i in range(6):
        notify(http, server, me, data=i)
    a = await device(server, me)
    await ack(a, me, seqs=[1, 3, 5])
    await a.close()
    b = await device(server, me)
    assert [m["seq"] for m in [await next_of(b, inbox_of(me)) for _ in range(3)]] == [2, 4, 6]
    assert await b.barrier() == []
    await ack(b, me, up_to=6)
    c = await device(server, me)
    assert await c.barrier() == []


@clause("7.inbox-ack", "K1", "M4")
async def test_of_two_devices_that_ack_at_once_each_entry_goes_once(server, http):
    """§4: `seqs` of the reply are those that this ack acked [K1]"""
    me = unique("u")
    for i in range(40):
        notify(http, server, me, data=i)
    a, b = await device(server, me), await device(server, me)
    replies = await asyncio.gather(
        *(ack(client, me, seqs=list(range(i, i + 4))) for i in range(1, 38, 4) for client in (a, b))
    )
    gone = [s for r in replies for s in r["seqs"]]
    assert sorted(gone) == list(range(1, 41))
    assert pending(http, server, me) == [] and min(r["pending"] for r in replies) == 0
    assert all(("seq" in r and r["seq"] is not None) == bool(r["seqs"]) for r in replies), replies


@clause("7.inbox-log", "K1", "M7")
async def test_acked_entries_leave_the_snapshot_and_not_the_log(server, http):
    """§7: "Acked and expired entries leave the snapshot, not the log" [K1]"""
    me = unique("u")
    for i in range(4):
        notify(http, server, me, data=i)
    client = await device(server, me)
    await ack(client, me, up_to=3)
    reply = await history(client, inbox_of(me))
    assert (reply["first"], reply["last"]) == (1, 5)
    assert seqs(reply["messages"]) == [1, 2, 3, 4, 5]
    assert reply["messages"][4]["event"] == "ack"
    assert sorted(reply["messages"][4]["data"]["seqs"]) == [1, 2, 3]
    assert pending(http, server, me) == [4]


@clause("7.inbox-log", "M5", "M6")
async def test_the_log_keeps_everything_from_the_oldest_pending_entry_on(start, http):
    """§7: the log "keeps at least everything from the oldest pending entry on", though `history_messages` is
    less [M5, M6]"""
    server = start({"namespaces": {"user": {"kind": "inbox", "history_messages": 5}}})
    me = unique("u")
    for i in range(1, 41):
        notify(http, server, me, data=i)
    client = await device(server, me)
    assert seqs([await next_of(client, inbox_of(me)) for _ in range(40)]) == list(range(1, 41))
    await ack(client, me, seqs=[*range(3, 41)])
    reply = await history(client, inbox_of(me), limit=1000)
    assert seqs(reply["messages"]) == list(range(reply["first"], 42)) and reply["first"] <= 1
    again = await device(server, me)
    assert [(m["seq"], m["data"]) for m in [await next_of(again, inbox_of(me)) for _ in range(2)]] == [
        (1, 1),
        (2, 2),
    ]


@clause("7.inbox-log", "M5", "M6")
@pytest.mark.parametrize("options", [{"history_messages": 0}, {"history_ttl": "300ms"}], ids=str)
async def test_what_is_pending_outlives_the_bounds_of_the_log_and_a_crash(start, http, tmp_path, options):
    """§7: "An entry stays until acked …, its TTL ends …, or the inbox is over 1000 entries": not until the
    namespace's history is over [M5, M6]"""
    settings = {"namespaces": {"user": {"kind": "inbox", "durability": "disk", **options},
                               "clock": {"kind": "stream", "durability": "disk", "history_ttl": "300ms"}}}  # fmt: skip
    home = Home(start, tmp_path, settings)
    me, clock = unique("u"), unique("clock:")
    for i in range(1, 13):
        notify(http, home.server, me, data=i)
    client = await device(home.server, me)
    await ack(client, me, seqs=[2, 3])
    await post(await manual(home.server, me), clock, data=1)

    async def over():  # a stream of the same age has lost its message
        return (await history(client, clock))["messages"] == []

    await eventually(over, "the age of the log")
    left = [1, *range(4, 13)]
    for crashed in (False, True):
        server = home.crash() if crashed else home.server
        assert pending(http, server, me) == left
        again = await device(server, me)
        got = [await next_of(again, inbox_of(me)) for _ in left]
        assert [m["data"] for m in got] == left
        log = await history(again, inbox_of(me), limit=1000)
        assert set(seqs(log["messages"])) >= set(left)
    reply = await ack(again, me, up_to=12)
    assert reply["pending"] == 0 and sorted(reply["seqs"]) == left
    assert await (await device(home.crash(), me)).barrier() == []


@clause("7.inbox-pending", "M4", "K1")
async def test_a_device_that_comes_while_entries_come_gets_each_once(server, http):
    """Guarantee 1: "no repeat within a connection": the pending ones and the live ones do not overlap [M4, K1]"""
    me, count = unique("u"), 300
    grants = [{"channels": "user:*", "do": ["publish"]}]
    writer = await Client.connect(server, mint(unique("w"), tidewire={"grants": grants}))

    async def write():
        for i in range(count):
            await writer.send(publish(inbox_of(me), data=i, priority=LEVELS[i % 4]) | {"id": i})
            if i % 10 == 0:
                await writer.expect(type="published", id=i)

    async def come() -> list[int]:
        client = await device(server, me)
        return seqs([await next_of(client, inbox_of(me), 20) for _ in range(count)])

    writing = asyncio.create_task(write())
    devices = []
    while not writing.done():
        devices.append(asyncio.create_task(come()))
        await asyncio.wait({writing}, timeout=0.005)
        if len(devices) >= 25:
            await writing
    for got in await asyncio.gather(*devices):
        assert sorted(got) == list(range(1, count + 1))


@clause("7.inbox-follow", "A3", "K1")
async def test_a_renewed_token_brings_nothing_twice(server, http):
    """§4: `auth` "on an authenticated connection … renews the token"; guarantee 1: "no repeat within a
    connection" [A3, K1]"""
    me = unique("u")
    for i in range(3):
        notify(http, server, me, data=i)
    client = await device(server, me)
    for _ in range(3):
        await next_of(client, inbox_of(me))
    for _ in range(2):
        assert (await client.request({"type": "auth", "token": mint(me)}))["type"] == "auth_success"
    notify(http, server, me, data="live")
    assert (await next_of(client, inbox_of(me)))["data"] == "live"
    assert [m for m in await client.barrier() if m["type"] == "message"] == []


@clause("7.inbox-follow", "A1", "C3")
async def test_a_bad_auth_message_brings_no_inbox(server, http):
    """§7: "Every authenticated connection": one that failed is none [A1]"""
    me = unique("u")
    notify(http, server, me, data="secret")
    client = await Client.connect(server, inbox=True)
    await client.send({"type": "auth", "token": mint(me, key="x" * 40), "id": 1})
    assert (await client.expect(id=1))["type"] == "auth_error"
    assert await client.barrier() == []


@clause("5.slow-reader", "P7", "M5")
@pytest.mark.slow_clock(90)
async def test_a_slow_device_gets_all_that_is_pending_and_all_that_follows(start, http):
    """Guarantee 2: "A slow one … is not cut off": 900 pending entries of 8 kB, then 60 live ones [M5, P7]"""
    server = start({"limits": {"outbound_bytes": 65536}})
    me = unique("u")

    def send(first: int, count: int):
        batch = [{"channel": inbox_of(me), "data": [i, "x" * 8000], "priority": LEVELS[i % 4]}
                 for i in range(first, first + count)]  # fmt: skip
        results = http(server, "POST", "/api/v1/batch", json={"publish": batch}).json()["results"]
        assert not any("code" in r or r.get("dropped") for r in results)

    send(1, 900)
    raw = await RawWebSocket.open(
        server, headers={"Authorization": f"Bearer {mint(me)}"}, receive_buffer=4096, hello=True
    )
    assert b'"subscribed"' in (await raw.message()).payload
    client = await device(server, me)
    send(901, 60)
    got: list[int] = []
    while len(got) < 960:
        frame = await raw.message(timeout_s=15)
        assert frame.opcode != CLOSE, frame
        message = json.loads(frame.payload)
        assert (message["type"], message["data"][0]) == ("message", message["seq"]), str(message)[:200]
        got.append(message["seq"])
    assert sorted(got) == list(range(1, 961))
    assert len(await client.deliveries(inbox_of(me), 960, 20)) == 960


# -- how long, how many


@clause("7.inbox-overflow", "M5", "P7")
async def test_an_inbox_is_bounded_in_bytes_as_in_entries(server, http):
    """§7: "the oldest entry of the lowest priority goes first", and what is lower than all "is dropped at once":
    over 8 MiB as over 1000 entries [M5, P7]"""
    me, text = unique("u"), "x" * 900_000
    for _ in range(12):
        assert "dropped" not in notify(http, server, me, data=text)
    assert pending(http, server, me) == list(range(4, 13))
    assert notify(http, server, me, data=text, priority="low")["dropped"] is True
    assert notify(http, server, me, data=text, priority="critical")["seq"] == 13
    assert pending(http, server, me) == list(range(5, 14))
    assert counts(http, server, me) == {"critical": 1, "high": 0, "medium": 8, "low": 0}


@clause("7.inbox-ttl", "M5")
async def test_an_entry_stays_for_the_ttl_of_the_configuration(start, http):
    """§7: "its TTL ends (3600 s by default)"; §9: `inbox.ttl` [M5]"""
    server = start({"inbox": {"ttl": "400ms"}})
    me = unique("u")
    notify(http, server, me, data="brief")
    notify(http, server, me, data="long", ttl_ms=600_000)
    await eventually(lambda: pending(http, server, me) == [2], "the end of the first TTL")
    assert counts(http, server, me)["medium"] == 1
    client = await device(server, me)
    assert (await next_of(client, inbox_of(me)))["data"] == "long"
    assert await client.barrier() == []
    reply = await ack(client, me, seqs=[1])
    assert reply["seqs"] == [] and reply["pending"] == 1


@clause("7.inbox-ttl", "M5")
async def test_a_ttl_of_an_entrys_own_ends_it(server, http):
    """§4: `ttl_ms` (streams and inboxes) [M5]"""
    me = unique("u")
    notify(http, server, me, data="stays", priority="low")
    notify(http, server, me, data="goes", priority="critical", ttl_ms=1)
    client = await device(server, me)
    first = await next_of(client, inbox_of(me))
    if first["data"] == "goes":  # it was still alive when the device came
        first = await next_of(client, inbox_of(me))
    assert first["data"] == "stays"
    await eventually(lambda: pending(http, server, me) == [1], "the end of the TTL")
    assert counts(http, server, me) == {"critical": 0, "high": 0, "medium": 0, "low": 1}
    reply = await ack(client, me, up_to=2)
    assert (reply["seqs"], reply["pending"]) == ([1], 0)


@clause("7.inbox-ttl", "M7")
async def test_a_position_across_an_expired_entry_misses_nothing_in_silence(server, http):
    """§5: "A subscriber gets every seq, or a `gap`/`snapshot` that covers it"; §7 keeps expired entries in the
    log, §4 lets them leave it: both are accepted [M7]"""
    me = unique("u")
    epoch = notify(http, server, me, data="a")["epoch"]
    notify(http, server, me, data="b", ttl_ms=1)
    notify(http, server, me, data="c")
    await eventually(lambda: pending(http, server, me) == [1, 3], "the end of the TTL")
    client = await manual(server, me)
    reply = await client.subscribe(inbox_of(me), since={"epoch": epoch, "seq": 0})
    assert reply["recovered"] is True
    covered = [(m["seq"], m["seq"]) for m in reply["messages"]]
    while (covered[-1][1] if covered else 0) < 3:
        message = await next_of(client, inbox_of(me))
        covered.append(
            (message["from"], message["to"]) if message["type"] == "gap" else (message["seq"],) * 2
        )
    assert covered == [(1, 1), (2, 2), (3, 3)]


FULL = {"settings": {"inbox": {"max_entries": 4}}}


@clause("7.inbox-overflow", "M5")
async def test_over_the_limit_the_oldest_of_the_lowest_priority_goes_first(start, http):
    """§7: "the inbox is over 1000 entries: then the oldest entry of the lowest priority goes first" (4 here) [M5]"""
    server = start(FULL["settings"])
    me = unique("u")
    for i, one in enumerate(("medium", "low", "critical", "low"), 1):
        assert not notify(http, server, me, data=i, priority=one).get("dropped")
    steps = [("high", [1, 3, 4, 5]), ("low", [1, 3, 5, 6]), ("critical", [1, 3, 5, 7]), ("high", [3, 5, 7, 8]),
             ("critical", [3, 7, 8, 9]), ("critical", [3, 7, 9, 10]), ("critical", [7, 9, 10, 11])]  # fmt: skip
    for i, (one, left) in enumerate(steps, 5):
        assert not notify(http, server, me, data=i, priority=one).get("dropped")
        assert waiting(http, server, me) == left, (i, one)
    assert counts(http, server, me) == {"critical": 4, "high": 0, "medium": 0, "low": 0}
    client = await device(server, me)
    assert [(await next_of(client, inbox_of(me)))["data"] for _ in range(4)] == [7, 9, 10, 11]


@clause("7.inbox-order", "7.inbox-overflow", "M5")
@pytest.mark.parametrize("of_namespace", LEVELS)
async def test_an_entry_has_its_own_priority_whatever_the_namespaces_is(start, http, tmp_path, of_namespace):
    """§7: "highest priority first"; "a `critical` one is never pushed out by a lower one"; "the default priority
    is `medium`": also where `namespaces.user.priority` is the entry's, and over a crash and a reload [M5]"""

    def settings(priority: str) -> dict:
        return {"inbox": {"max_entries": 4}, "namespaces": {"user": {"priority": priority}}}

    home = Home(start, tmp_path, settings(of_namespace))
    me, order = unique("u"), ["critical", "high", "none", "low"]
    for one in reversed(order):
        notify(http, home.server, me, data=one, **({} if one == "none" else {"priority": one}))
    server, each = home.crash(), {"critical": 1, "high": 1, "medium": 1, "low": 1}
    await reloaded_to(server, **settings("low" if of_namespace == "critical" else "critical"))
    assert counts(http, server, me) == each
    client = await device(server, me)
    got = [await next_of(client, inbox_of(me)) for _ in order]
    assert [m["data"] for m in got] == order and [level(m) for m in got] == [*order[:2], "medium", "low"]
    for one in ("high", "critical", "critical"):
        assert not notify(http, server, me, data="more", priority=one).get("dropped")
    assert counts(http, server, me) == {"critical": 3, "high": 1, "medium": 0, "low": 0}
    assert notify(http, server, me, data="less", priority="medium").get("dropped") is True


@clause("7.inbox-overflow", "M5")
async def test_a_new_entry_lower_than_all_in_a_full_inbox_is_dropped(start, http):
    """§7: "a new entry lower than all in a full inbox is dropped at once (`published` with `"dropped":true`)" """
    server = start(FULL["settings"])
    me = unique("u")
    writer = await support(server, "publish")
    for i, one in enumerate(("high", "critical", "high", "high"), 1):
        reply = await post(writer, inbox_of(me), data=i, priority=one)
        assert not reply.get("dropped") and reply["seq"] == i
    for one in ("low", "medium"):
        reply = await post(writer, inbox_of(me), data="dropped", priority=one)
        assert reply["dropped"] is True, reply
        assert notify(http, server, me, data="dropped", priority=one).get("dropped") is True
        assert pending(http, server, me) == [1, 2, 3, 4]
    client = await device(server, me)
    got = [await next_of(client, inbox_of(me)) for _ in range(4)]
    assert [m["data"] for m in got] == [2, 1, 3, 4]
    assert await client.barrier() == []
    await ack(client, me, seqs=[1])  # and there is room again
    reply = await post(writer, inbox_of(me), data="fits", priority="low")
    assert not reply.get("dropped")
    assert len(pending(http, server, me)) == 4


@clause("7.inbox-overflow", "M5")
async def test_the_limit_is_1000_by_default(server, http):
    """§7: "the inbox is over 1000 entries"; M5: "at most 1000 with overflow of the least important" [M5]"""
    me = unique("u")
    batch = [{"channel": inbox_of(me), "data": i, "priority": LEVELS[i % 4]} for i in range(1000)]
    answer = http(server, "POST", "/api/v1/batch", json={"publish": batch})
    assert answer.status_code == 200 and len(answer.json()["results"]) == 1000
    assert counts(http, server, me) == dict.fromkeys(LEVELS, 250)
    notify(http, server, me, data="one more", priority="critical")
    assert counts(http, server, me) == {"critical": 251, "high": 250, "medium": 250, "low": 249}
    left = pending(http, server, me)
    assert len(left) == 1000 and 4 not in left and 8 in left  # the oldest `low` has gone
    client = await device(server, me)
    got = [await next_of(client, inbox_of(me), 20) for _ in range(1000)]
    assert sorted(seqs(got)) == left
    assert [LEVELS.index(level(m)) for m in got] == sorted(LEVELS.index(level(m)) for m in got)
    assert await client.barrier() == []


@clause("7.inbox-overflow", "M5", "K1")
async def test_expired_and_acked_entries_make_room(start, http):
    """§7: "over 1000 entries" counts what is pending [M5]"""
    server = start(FULL["settings"])
    me = unique("u")
    for i in "abc":
        notify(http, server, me, data=i)
    notify(http, server, me, data="brief", ttl_ms=1, priority="critical")
    await eventually(lambda: waiting(http, server, me) == ["a", "b", "c"], "the end of the TTL")
    assert not notify(http, server, me, data="fits", priority="low").get("dropped")
    assert waiting(http, server, me) == ["a", "b", "c", "fits"]


# -- access


@clause("7.access", "C3", "K1")
async def test_an_inbox_is_read_by_its_user_alone(server, http):
    """§7: `user`: subscribe "the user", publish "server, or a grant" [K1]"""
    me = unique("u")
    notify(http, server, me, data="secret")
    name = inbox_of(me)
    other, own, anonymous = (
        await manual(server, unique("v")),
        await manual(server, me),
        await Client.connect(server),
    )
    for request in (
        {"type": "subscribe", "channel": name},
        {"type": "history", "channel": name},
        {"type": "presence", "channel": name, "action": "get"},
        publish(name, data=1),
    ):
        await refused(other, request, "forbidden")
        await refused(anonymous, request, "forbidden", "unauthorized")
    await refused(own, publish(name, data=1), "forbidden")
    await refused(own, publish(name, event="ack", data={"seqs": [1]}), "forbidden")
    await refused(own, {"type": "presence", "channel": name, "action": "enter"}, "forbidden")  # off there
    assert (await history(own, name))["messages"][0]["data"] == "secret"
    assert pending(http, server, me) == [1]


@clause("7.grants", "C3", "K1")
async def test_support_staff_with_a_grant_sees_anothers_inbox(server, http):
    """§7: "Grants only add to what the namespace allows, another's inbox … included (support staff)" [C3]"""
    me = unique("u")
    notify(http, server, me, data=1)
    staff = await support(server, "subscribe", "history")
    reply = await staff.subscribe(inbox_of(me))
    assert seqs(reply["snapshot"]["data"]["pending"]) == [1]
    assert seqs((await history(staff, inbox_of(me)))["messages"]) == [1]
    await refused(staff, publish(inbox_of(me), data=1), "forbidden")
    writer = await support(server, "publish")
    await post(writer, inbox_of(me), data="from staff")
    await refused(writer, {"type": "subscribe", "channel": inbox_of(me)}, "forbidden")
    client = await device(server, me)
    got = [await next_of(client, inbox_of(me)) for _ in range(2)]
    assert got[1]["from"]["user"]["id"] == writer.hello["user"]["id"]


@clause("7.grants", "C3")
async def test_a_grant_for_a_users_inbox_is_taken_literally(server):
    """§7: "`{user}` is the user's id, taken literally" [C3]"""
    star = await Client.connect(
        server,
        mint("a@*", tidewire={"grants": [{"channels": "user:{user}", "do": ["publish"]}]}),
        hello=False,
    )
    first = await star.next()
    if first["type"] == "connected":  # `*` is no channel character: the id is invalid
        await refused(star, publish("user:a@other", data=1), "forbidden")
    else:
        assert first["code"] == "token_invalid"


@clause("7.inbox", "M3")
@pytest.mark.parametrize("fields", [{"merge": {}}, {"patch": []}, {"data": 1, "if_seq": 0},
                                    {"data": 1, "ephemeral": True}], ids=json.dumps)  # fmt: skip
def test_what_an_inbox_does_not_know_is_invalid_event(server, http, fields):
    """§4: "elsewhere … `merge`/`patch`/`if_seq` are `invalid_event`"; `ephemeral` is for "streams, sessions,
    agents and documents only" [M3]"""
    me = unique("u")
    body = {"channel": inbox_of(me), **fields}
    assert_problem(http(server, "POST", "/api/v1/publish", json=body), 400, "invalid_event")
    assert notify(http, server, me, data=1)["seq"] == 1


@clause("7.inbox", "M3")
@pytest.mark.parametrize("data", [None, 5, [], {}, {"seqs": 1}, {"seqs": ["x"]}, {"seqs": [1, -5, 1.5]}, {"seqs": [2**70]}],
                         ids=json.dumps)  # fmt: skip
async def test_a_made_up_ack_event_breaks_no_inbox(server, http, data):
    """§7 counts `ack` among an inbox's events; a bad one by the API may be refused, but harms nothing [M3]"""
    me = unique("u")
    notify(http, server, me, data="a")
    body = {"channel": inbox_of(me), "event": "ack", "data": data}
    answer = http(server, "POST", "/api/v1/publish", json=body)
    assert answer.status_code in (200, 400), answer.text
    notify(http, server, me, data="b")
    left = api_snapshot(http, server, inbox_of(me))["data"]["pending"]
    assert {"a", "b"} <= {e.get("data") for e in left if e.get("event") != "ack"} or data == {
        "seqs": [1, -5, 1.5]
    }
    client = await device(server, me)
    assert (await ack(client, me, up_to=100))["pending"] == 0


@clause("4.publish-key", "M6", "K1")
async def test_a_key_makes_a_notification_once(server, http):
    """§4: `key`, through the API as through a grant [M6]"""
    me = unique("u")
    first = notify(http, server, me, data=1, key="k")
    again = notify(http, server, me, data=2, key="k")
    assert (again["duplicate"], again["seq"], again["epoch"]) == (True, 1, first["epoch"])
    assert pending(http, server, me) == [1]
    client = await device(server, me)
    await ack(client, me, seqs=[1])
    assert notify(http, server, me, data=3, key="k")["duplicate"] is True  # acked does not mean forgotten
    assert pending(http, server, me) == []


# -- over a crash


@clause("5.durable", "M5", "M6", "K1")
async def test_an_inbox_survives_kill_9_with_its_acks_and_keys(start, http, tmp_path):
    """M5: "kept durably"; M6: "`kill -9` at any moment loses no acknowledged message"; §7: `user` is on disk"""
    home = Home(start, tmp_path)
    me = unique("u")
    for i in range(1, 9):
        epoch = notify(http, home.server, me, data=i, priority=LEVELS[i % 4], key=f"k{i}")["epoch"]
    client = await device(home.server, me)
    for _ in range(8):
        await next_of(client, inbox_of(me))
    assert (await ack(client, me, seqs=[2, 5, 8]))["seq"] == 9
    server = home.crash()
    assert pending(http, server, me) == [1, 3, 4, 6, 7]
    assert counts(http, server, me) == {"critical": 1, "high": 1, "medium": 1, "low": 2}
    client = await device(server, me)
    got = [await next_of(client, inbox_of(me)) for _ in range(5)]
    assert [m["data"] for m in got] == sorted([1, 3, 4, 6, 7], key=lambda i: (i % 4, i))
    again = notify(http, server, me, data="again", key="k3")
    assert (again["duplicate"], again["seq"], again["epoch"]) == (True, 3, epoch)
    reply = await ack(client, me, up_to=9)
    assert (sorted(reply["seqs"]), reply["pending"]) == ([1, 3, 4, 6, 7], 0) and reply["seq"] > 9
    server = home.crash()
    assert await (await device(server, me)).barrier() == []
    assert notify(http, server, me, data="new")["seq"] == reply["seq"] + 1


@clause("5.durable", "M5", "M6")
async def test_an_ack_that_was_answered_outlives_kill_9(start, http, tmp_path):
    """Guarantee 3: `acked` does not leave before the ack is on stable storage: killed right after it [M6]"""
    home = Home(start, tmp_path)
    me = unique("u")
    alive = set()
    for round_ in range(4):
        seq = [notify(http, home.server, me, data=f"{round_}-{i}")["seq"] for i in range(6)]
        client = await device(home.server, me)
        reply = await ack(client, me, seqs=seq[::2])
        home.server.kill()
        assert sorted(reply["seqs"]) == seq[::2]
        alive |= set(seq[1::2])
        home.again()
        assert set(pending(http, home.server, me)) == alive


@clause("5.durable", "M5")
async def test_the_ttl_of_an_entry_goes_on_over_a_restart(start, http, tmp_path):
    """§7: an entry stays until "its TTL ends", whether the server ran or not [M5]"""
    home = Home(start, tmp_path)
    me = unique("u")
    notify(http, home.server, me, data="brief", ttl_ms=500, priority="critical")
    notify(http, home.server, me, data="long", ttl_ms=3_600_000)
    server = home.crash()
    await eventually(lambda: pending(http, server, me) == [2], "the end of the TTL")
    client = await device(server, me)
    assert (await next_of(client, inbox_of(me)))["data"] == "long"


@clause("5.durable", "M5", "C9")
async def test_a_user_who_comes_and_goes_over_crashes_misses_no_notification(start, http, tmp_path):
    """M5: "kept durably, delivered on connect"; what is acked never returns, the rest always does [M5, M6]"""
    home = Home(start, tmp_path)
    me, acked, sent = unique("u"), set(), 0
    for round_ in range(3):
        for _ in range(15):
            sent += 1
            notify(http, home.server, me, data=sent)
        client = await device(home.server, me)
        got = {
            m["data"]: m["seq"]
            for m in [await next_of(client, inbox_of(me)) for _ in range(sent - len(acked))]
        }
        assert set(got) == set(range(1, sent + 1)) - acked
        some = sorted(got)[:: 2 + round_]
        await ack(client, me, seqs=[got[d] for d in some])
        acked |= set(some)
        home.crash()
    client = await device(home.server, me)
    got = {(await next_of(client, inbox_of(me)))["data"] for _ in range(sent - len(acked))}
    assert got == set(range(1, sent + 1)) - acked
    assert await client.barrier() == []


@clause("5.durable", "7.inbox", "M5")
async def test_an_inbox_that_nobody_has_written_to_keeps_its_epoch(start, http, tmp_path):
    """§5: a disk channel's epoch goes on over restarts and crashes, also before its first entry [M5, M6]"""
    home = Home(start, tmp_path)
    me = unique("u")
    client = await Client.connect(home.server, mint(me), inbox=True)
    epoch = (await client.next())["epoch"]
    for again in (home.restart, home.crash):
        server = await asyncio.to_thread(again)
        client = await manual(server, me)
        reply = await client.subscribe(inbox_of(me), since={"epoch": epoch, "seq": 0})
        assert (reply["epoch"], reply["seq"], reply["recovered"]) == (epoch, 0, True)
    assert notify(http, server, me, data="first")["epoch"] == epoch
    assert (await next_of(client, inbox_of(me)))["seq"] == 1
    client = await device(await asyncio.to_thread(home.crash), me)
    assert (await next_of(client, inbox_of(me)))["data"] == "first"


@clause("7.inbox", "M5")
async def test_an_inbox_that_was_idle_for_long_delivers_as_ever(start, http, tmp_path):
    """§7: an empty inbox that nobody used for seconds gives its memory back, which nobody can tell [M5]"""
    home = Home(start, tmp_path)
    server, me = home.server, unique("u")
    client = await Client.connect(server, mint(me), inbox=True)
    epoch = (await client.next())["epoch"]
    first = notify(http, server, me, data=1, key="k")["seq"]
    assert (await next_of(client, inbox_of(me)))["seq"] == first
    await ack(client, me, up_to=first)
    await asyncio.sleep(7)
    assert notify(http, server, me, data=1, key="k")["duplicate"] is True
    await asyncio.sleep(7)
    other = await manual(server, me)
    reply = await other.subscribe(inbox_of(me), since={"epoch": epoch, "seq": first})
    assert (reply["recovered"], [m["event"] for m in reply["messages"]]) == (True, ["ack"])
    await asyncio.sleep(7)
    second = notify(http, server, me, data=2)["seq"]
    for each in (client, other):
        assert (await next_of(each, inbox_of(me)))["seq"] == second
    late = await device(server, me)
    again = await next_of(late, inbox_of(me))
    assert (again["seq"], again["redelivered"]) == (second, True)
