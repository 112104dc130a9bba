"""Protocol §4: each request, each option, each bound, for channels of the kind `stream`; §1: names."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from client import Client, channel, unique
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "limits": {"idempotency_window": "2s"},
        "namespaces": {
            "small": {
                "kind": "stream",
                "durability": "memory",
                "history_messages": 5,
                "subscribe": "authenticated",
                "publish": "authenticated",
            },
            "large": {
                "kind": "stream",
                "durability": "memory",
                "history_messages": 5000,
                "subscribe": "authenticated",
                "publish": "authenticated",
            },
            "open": {
                "kind": "stream",
                "durability": "memory",
                "subscribe": "anyone",
                "publish": "anyone",
            },
            "quiet": {"kind": "stream", "durability": "memory", "presence": False},
            "loud": {"kind": "stream", "durability": "memory", "priority": "high"},
        },
    }
}


async def user(server, name: str | None = None, **claims) -> Client:
    return await Client.connect(server, mint(name or unique("u"), **claims))


def publish(name: str, data: object = 1, **options) -> dict:
    return {"type": "publish", "channel": name, "data": data, **options}


# -- channel names (§1)


@clause("1.channel-names", "M3")
@pytest.mark.parametrize(
    "name",
    ["", "room:", ":x", ":", "room:a b", "room:ä", "room:a\u0000", "room:a\n", "room:a?b", "room:a*b",
     "room:(a)", "room:a\\b", "room:a\"b", "room:a%20b", "room:" + "x" * 251],
)  # fmt: skip
async def test_a_bad_name_is_invalid_channel(server, name):
    """§1: "An empty part (`room:`, `:x`), a byte outside the set or a wrong length is `invalid_channel`" """
    client = await user(server)
    for request in (
        {"type": "subscribe", "channel": name},
        publish(name),
        {"type": "history", "channel": name},
        {"type": "presence", "channel": name, "action": "get"},
        {"type": "unsubscribe", "channel": name},
    ):
        await client.refused(request, "invalid_channel")


@clause("1.channel-names", "M1")
@pytest.mark.parametrize(
    "name",
    ["x", "a", "room:AZaz09._-:@=,;!~+/#", "room:a:b:c", "room:" + "x" * 250, "default:x", "room:.",
     "room:..", "room:/", "x" * 255],
)  # fmt: skip
async def test_a_good_name_is_taken_as_it_is(server, name):
    """§1: "1 to 255 bytes of …"; "Names are never rewritten" """
    client = await user(server)
    reply = await client.subscribe(name)
    assert reply["channel"] == name
    assert (await client.publish(name, 1))["channel"] == name
    assert (await client.expect(type="message"))["channel"] == name
    await client.request({"type": "unsubscribe", "channel": name})


@clause("1.channel-names", "M1")
async def test_x_and_default_x_are_two_channels(server):
    """§1: "`x` and `default:x` are two channels of one namespace" """
    client = await user(server)
    bare = unique("n")
    await client.subscribe(bare)
    await client.subscribe(f"default:{bare}")
    await client.publish(bare, "bare")
    await client.publish(f"default:{bare}", "full")
    seen = [m for m in await client.barrier() if m["type"] == "message"]
    assert [(m["channel"], m["seq"], m["data"]) for m in seen] == [
        (bare, 1, "bare"),
        (f"default:{bare}", 1, "full"),
    ]


@clause("1.channel-names", "M1")
async def test_names_are_case_sensitive(server):
    """§1: "Names are never rewritten" """
    client = await user(server)
    name = channel()
    await client.publish(name, 1)
    assert (await client.publish(name.upper().replace("ROOM", "room"), 1))["seq"] == 1


@clause("1.namespaces", "M3")
@pytest.mark.parametrize("name", ["romo:a", "Room:a", "ROOM:a", "nowhere:x:y"])
async def test_a_namespace_that_is_not_configured_is_not_found(server, name):
    """§1: "a namespace that is not configured is `not_found`, so that a typo never opens a channel" """
    client = await user(server)
    await client.refused({"type": "subscribe", "channel": name}, "not_found")
    await client.refused(publish(name), "not_found")
    await client.refused({"type": "history", "channel": name}, "not_found")


@clause("1.dollar-names", "M3")
@pytest.mark.parametrize("name", ["$all", "$anything", "$sys:x"])
async def test_names_with_a_dollar_are_the_servers_own(server, name):
    """§1: "Names that begin with `$` are the server's own (`forbidden` to clients)" """
    client = await user(server)
    await client.refused({"type": "subscribe", "channel": name}, "forbidden")
    await client.refused(publish(name), "forbidden")


@clause("6.invalid_message", "M3")
@pytest.mark.parametrize("value", [None, 1, [], {}, True])
async def test_a_channel_that_is_no_string_is_invalid_message(server, value):
    """§6: "`invalid_message` (… a field of the wrong type)" """
    client = await user(server)
    for kind in ("subscribe", "unsubscribe", "publish", "history"):
        await client.refused({"type": kind, "channel": value, "data": 1}, "invalid_message")


@clause("6.invalid_message", "M3")
async def test_a_request_without_its_channel_is_invalid_message(server):
    """§6: `invalid_message`"""
    client = await user(server)
    for kind in ("subscribe", "unsubscribe", "publish", "history", "presence", "ack"):
        await client.refused({"type": kind, "data": 1, "action": "get", "up_to": 1}, "invalid_message")


# -- ping


@clause("4.ping", "M1", "C8")
async def test_ping_is_answered_by_pong_with_data_and_timestamp(server):
    """§4: `{"type":"pong","data":…,"timestamp":…}`; "`data` may be left out" """
    client = await Client.connect(server)
    reply = await client.request({"type": "ping", "data": {"t": [1, None]}})
    assert (reply["type"], reply["data"]) == ("pong", {"t": [1, None]})
    assert abs(reply["timestamp"] - time.time() * 1000) < 5000
    reply = await client.request({"type": "ping"})
    assert reply["type"] == "pong" and "data" not in reply


# -- subscribe, unsubscribe


@clause("4.subscribe", "M1")
async def test_subscribe_to_an_empty_channel(server):
    """§5: `subscribed`: "`seq` is the channel's latest, 0 in one that never had a message; `messages`
    is always there. `recovered` stands only with `since`"; a stream has no snapshot"""
    client = await user(server)
    name = channel()
    reply = await client.request({"type": "subscribe", "channel": name, "id": 9})
    assert reply["type"] == "subscribed" and reply["id"] == 9
    assert (reply["channel"], reply["kind"], reply["seq"]) == (name, "stream", 0)
    assert reply["messages"] == []
    assert isinstance(reply["epoch"], str) and 1 <= len(reply["epoch"]) <= 32
    for absent in ("recovered", "reason", "snapshot", "members"):
        assert absent not in reply


@clause("4.subscribe", "M1", "K4")
async def test_a_subscriber_gets_what_is_published_from_then_on(server):
    """§5: `message`"""
    a, b = await user(server), await user(server)
    name = channel()
    await a.publish(name, "before")
    reply = await b.subscribe(name)
    assert (reply["seq"], reply["messages"]) == (1, [])
    await a.publish(name, "after")
    message = (await b.deliveries(name, 1))[0]
    assert (message["seq"], message["data"]) == (2, "after")
    assert [m for m in await b.barrier()] == []


@clause("4.subscribe-again", "M1")
async def test_subscribing_again_is_no_error_and_does_not_rewind(server):
    """§4: "Subscribing again is no error and does not rewind: the reply is the present state, with no
    messages" """
    client = await user(server)
    name = channel()
    first = await client.subscribe(name)
    await client.publish_many(name, 5)
    await client.deliveries(name, 5)
    for options in ({}, {"history": 3}, {"since": {"epoch": first["epoch"], "seq": 0}}):
        reply = await client.subscribe(name, **options)
        assert (reply["seq"], reply["messages"]) == (5, [])
    assert await client.barrier() == []
    await client.publish(name, "x")
    assert [m["seq"] for m in await client.barrier()] == [6]  # delivered once, not four times


@clause("4.subscribe-list", "M1", "M7")
async def test_a_list_of_channels_is_answered_one_by_one_in_order(server):
    """§4: "one `subscribed` or `error` per channel, in order, each with the request's `id`; … an entry
    may also be a bare name" """
    client = await user(server)
    a, b, c = channel(), channel(), channel()
    epoch = (await client.publish(b, "one"))["epoch"]
    entries = [a, {"channel": b, "since": {"epoch": epoch, "seq": 0}}, "nowhere:x", "room:", {"channel": c}]
    await client.send({"type": "subscribe", "channels": entries, "id": "many"})
    replies = [await client.expect(id="many") for _ in range(5)]
    assert [r["type"] for r in replies] == ["subscribed", "subscribed", "error", "error", "subscribed"]
    assert [r["channel"] for r in replies] == [a, b, "nowhere:x", "room:", c]
    assert [r.get("code") for r in replies[2:4]] == ["not_found", "invalid_channel"]
    assert replies[1]["recovered"] is True
    assert [m["data"] for m in replies[1]["messages"]] == ["one"]
    assert await client.barrier() == []


@clause("4.subscribe-list", "M1")
async def test_a_list_takes_1_to_100_channels(server):
    """§4: "1 to 100 (else `invalid_message`)" """
    client = await user(server)
    await client.refused({"type": "subscribe", "channels": []}, "invalid_message")
    many = [channel() for _ in range(101)]
    await client.refused({"type": "subscribe", "channels": many}, "invalid_message")
    await client.send({"type": "subscribe", "channels": many[:100], "id": "h"})
    assert [(await client.expect(id="h"))["channel"] for _ in range(100)] == many[:100]


@clause("4.subscribe", "M3")
@pytest.mark.parametrize(
    "fields",
    [
        {"history": -1},
        {"history": "5"},
        {"history": 1.5},
        {"since": 5},
        {"since": {"epoch": "x"}},
        {"since": {"seq": 1}},
        {"since": {"epoch": 1, "seq": 1}},
        {"since": {"epoch": "x", "seq": "1"}},
        {"presence": "yes"},
        {"snapshot": 0},
    ],
)
async def test_an_option_of_the_wrong_type_is_invalid_message(server, fields):
    """§4: "negative is `invalid_message`"; §6: "a field of the wrong type", beside a list too"""
    client = await user(server)
    await client.refused({"type": "subscribe", "channel": channel(), **fields}, "invalid_message")
    reply = await client.request({"type": "subscribe", "channels": [channel()], **fields})
    assert (reply["type"], reply["code"]) == ("error", "invalid_message"), reply
    assert next(iter(fields)) in reply["message"]
    assert await client.barrier() == []


@clause("4.subscribe-list", "M3")
async def test_a_bad_option_in_a_list_is_an_error_of_its_channel_alone(server):
    """§4: "one `subscribed` or `error` per channel, in order, each with the request's `id`" """
    client = await user(server)
    good, late = channel(), channel()
    bad = [{"channel": channel(), **option} for option in ({"history": -1}, {"since": 5}, {"presence": "yes"}, {"snapshot": 0})]
    await client.send({"type": "subscribe", "channels": [good, *bad, {"channel": late}], "id": "mixed"})
    replies = [await client.expect(id="mixed") for _ in range(6)]
    assert [r["type"] for r in replies] == ["subscribed"] + ["error"] * 4 + ["subscribed"]
    assert [r["channel"] for r in replies] == [good, *(entry["channel"] for entry in bad), late]
    for reply, entry in zip(replies[1:5], bad, strict=True):
        assert (reply["code"], reply["request"]) == ("invalid_message", "subscribe"), reply
        assert list(entry)[1] in reply["message"]
        await client.refused({"type": "unsubscribe", "channel": entry["channel"]}, "not_subscribed")
    await client.send({"type": "subscribe", "channels": [bad[0]], "id": "alone"})
    reply = await client.expect(id="alone")
    assert (reply["type"], reply["code"], reply["channel"]) == ("error", "invalid_message", bad[0]["channel"])
    assert await client.barrier() == []


@clause("4.subscribe-list", "6.malformed", "M3")
async def test_a_list_with_bad_options_is_one_malformed_message(start):
    """§6: "The 20th in a minute (`limits.malformed_per_minute`) is answered and then ends it" """
    server = start({"limits": {"malformed_per_minute": 2}})
    client = await user(server)
    bad = [{"channel": channel(), "history": -1} for _ in range(3)]
    for last in (False, True):
        name = channel()
        await client.send({"type": "subscribe", "channels": [*bad, name], "id": "list"})
        replies = [await client.expect(id="list") for _ in range(4)]
        assert [r["type"] for r in replies] == ["error"] * 3 + ["subscribed"]
        if last:
            assert await client.closed() == (1008, "invalid_message")
        else:
            assert await client.barrier() == []


@clause("4.subscribe", "M3")
@pytest.mark.parametrize("value", ["room:a", {}, [1], [None], [{"since": {}}], [["room:a"]], [{"channel": 1}]])
async def test_a_bad_list_is_invalid_message(server, value):
    """§6: "`invalid_message` (… a field of the wrong type)" """
    client = await user(server)
    good = channel()
    reply = await client.request({"type": "subscribe", "channels": [good, *value] if isinstance(value, list) else value})
    assert (reply["type"], reply["code"]) == ("error", "invalid_message") and "channel" not in reply
    await client.refused({"type": "unsubscribe", "channel": good}, "not_subscribed")


@clause("3.order", "M3")
async def test_unsubscribe_looks_at_the_name_as_all_requests_do(server):
    """§3: "Checks come in this order: … channel name, access" """
    client = await Client.connect(server, mint(unique("u")))
    for name, code in (("nope:x", "not_found"), ("$all", "forbidden"), ("room:", "invalid_channel")):
        await client.refused({"type": "unsubscribe", "channel": name}, code)


@clause("4.unsubscribe", "M1")
async def test_unsubscribe_ends_the_deliveries(server):
    """§4: `{"type":"unsubscribed","channel":C}`, or `not_subscribed`"""
    client = await user(server)
    name = channel()
    await client.subscribe(name)
    await client.publish(name, 1)
    await client.deliveries(name, 1)
    reply = await client.request({"type": "unsubscribe", "channel": name})
    assert (reply["type"], reply["channel"]) == ("unsubscribed", name)
    assert "code" not in reply
    await client.publish(name, 2)
    assert await client.barrier() == []
    await client.refused({"type": "unsubscribe", "channel": name}, "not_subscribed")


# -- publish


@clause("4.publish", "M1")
async def test_publish_is_answered_with_epoch_and_contiguous_seqs(server):
    """§4: `{"type":"published","channel":C,"epoch":…,"seq":n}`; §1: "starts at 1, grows by exactly 1" """
    client = await user(server)
    name = channel()
    replies = await client.publish_many(name, 50)
    assert [r["seq"] for r in replies] == list(range(1, 51))
    assert len({r["epoch"] for r in replies}) == 1
    assert all(r["channel"] == name and "duplicate" not in r for r in replies)


@clause("5.message", "M1", "C4")
async def test_a_delivery_has_its_members(server):
    """§5: `{"type":"message","channel":C,"seq":n,"timestamp":…,"data":…}`, `event`, `from`"""
    alice = await user(server, "alice", type="creator")
    bob = await user(server)
    name = channel()
    await bob.subscribe(name)
    await alice.publish(name, {"x": 1}, event="greeting")
    message = (await bob.deliveries(name, 1))[0]
    assert message["seq"] == 1 and message["data"] == {"x": 1} and message["event"] == "greeting"
    assert abs(message["timestamp"] - time.time() * 1000) < 5000
    assert message["from"]["user"] == {"id": "alice", "type": "creator"}
    assert message["from"]["connection"] == alice.hello["connection_id"]
    for absent in ("id", "key", "priority", "merge", "patch", "first_seq", "redelivered"):
        assert absent not in message


@clause("5.message", "M1", "C3")
async def test_from_has_a_null_user_for_an_anonymous_publisher(server):
    """§5: "`user` null if anonymous" """
    anonymous, reader = await Client.connect(server), await Client.connect(server)
    name = channel("open")
    await reader.subscribe(name)
    await anonymous.publish(name, 1)
    sender = (await reader.deliveries(name, 1))[0]["from"]
    assert sender == {"user": None, "connection": anonymous.hello["connection_id"]}


@clause("4.publish", "M1")
async def test_data_may_be_absent(server):
    """§4: "elsewhere `data` may be absent" """
    client = await user(server)
    name = channel()
    await client.subscribe(name)
    reply = await client.request({"type": "publish", "channel": name, "event": "bell"})
    assert reply["type"] == "published"
    message = (await client.deliveries(name, 1))[0]
    assert message["event"] == "bell" and message.get("data") is None


@clause("4.publish", "M3")
@pytest.mark.parametrize("fields", [{"merge": {"a": 1}}, {"patch": []}, {"if_seq": 0}])
async def test_document_fields_are_invalid_event_in_a_stream(server, fields):
    """§4: "`merge`/`patch`/`if_seq` are `invalid_event`" """
    client = await user(server)
    name = channel()
    await client.refused({"type": "publish", "channel": name, "data": 1, **fields}, "invalid_event")
    assert (await client.publish(name, 1))["seq"] == 1


@clause("4.publish", "M3")
@pytest.mark.parametrize(
    "fields",
    [
        {"event": "x" * 65},
        {"event": 1},
        {"key": "x" * 129},
        {"key": 5},
        {"priority": "urgent"},
        {"priority": 1},
        {"ttl_ms": 0},
        {"ttl_ms": -1},
        {"ttl_ms": 2**41 + 1},
        {"ttl_ms": "1"},
        {"ephemeral": "yes"},
        {"echo": 0},
        {"ephemeral": True, "key": "k"},
    ],
)
async def test_a_bad_option_of_publish_is_refused(server, fields):
    """§4: "`event` (a name, at most 64 characters), `key` (…, at most 128 characters …), `ttl_ms`
    (1 to 2^41 …), `ephemeral` (…; not with `key`)" """
    client = await user(server)
    name = channel()
    reply = await client.request(publish(name, 1, **fields))
    assert reply["type"] == "error" and reply["code"] in ("invalid_message", "invalid_event"), reply
    if not {"ephemeral", "priority"} & set(fields):
        assert reply["code"] == "invalid_message", reply
    assert (await client.publish(name, 1))["seq"] == 1


@clause("4.publish", "M3", "M4")
@pytest.mark.parametrize("member", ["event", "key"])
@pytest.mark.parametrize("text", ["\ud800", "cut \ud83d", "\udc00\ud800", "\ud800x"], ids=ascii)
async def test_an_event_or_key_with_half_a_character_is_invalid_message(server, http, member, text):
    """§4: a key other than the first one appends. The escape of half a surrogate pair is no character, so two
    such keys could not be told apart; they are refused, and named"""
    client, name = await user(server), channel()
    reply = await client.refused(publish(name, 1, **{member: text}), "invalid_message")
    assert f"`{member}`" in reply["message"]
    body = json.dumps({"channel": name, "data": 1, member: text})
    problem = http(server, "POST", "/api/v1/publish", content=body.encode())
    assert (problem.status_code, problem.json()["code"]) == (400, "invalid_message")
    assert f"`{member}`" in problem.json()["detail"]
    assert (await client.publish(name, 1, event="\U0001f600", key="\U0001f600"))["seq"] == 1
    again = await client.publish(name, 2, key="\U0001f601")
    assert again["seq"] == 2 and "duplicate" not in again


@clause("4.publish", "M1")
async def test_the_options_of_publish_at_their_bounds(server):
    """§4: `event` of 64, `key` of 128 characters, `ttl_ms` of 2^41, each priority"""
    client = await user(server)
    name = channel()
    await client.subscribe(name)
    await client.publish(name, 1, event="é" * 64)
    await client.publish(name, 1, key="k" * 128)
    await client.publish(name, 1, ttl_ms=2**41)
    for priority in ("critical", "high", "medium", "low"):
        await client.publish(name, 1, priority=priority)
    messages = await client.deliveries(name, 7)
    assert [m["seq"] for m in messages] == list(range(1, 8))
    assert messages[0]["event"] == "é" * 64
    assert [m.get("priority") for m in messages[3:]] == ["critical", "high", None, "low"]


@clause("5.message", "M1")
async def test_the_priority_of_the_namespace_is_not_told(server):
    """§5: "`priority` (other than the namespace's)" """
    client = await user(server)
    name = channel("loud")
    await client.subscribe(name)
    await client.publish(name, 1)
    await client.publish(name, 1, priority="high")
    await client.publish(name, 1, priority="medium")
    assert [m.get("priority") for m in await client.deliveries(name, 3)] == [None, None, "medium"]


@clause("4.publish-echo", "M1")
async def test_the_publisher_gets_its_own_message_unless_echo_is_false(server):
    """§4: "`echo` (false: not back to this connection; the seq in `published` counts as its delivery)" """
    token = mint(unique("u"))
    client, tab = await Client.connect(server, token), await Client.connect(server, token)
    name = channel()
    await client.subscribe(name)
    await tab.subscribe(name)
    await client.publish(name, "back")
    await client.publish(name, "not back", echo=False)
    await client.publish(name, "back again", echo=True)
    seen = [m["seq"] for m in await client.barrier() if m["type"] == "message"]
    assert seen == [1, 3]
    assert [m["seq"] for m in await tab.deliveries(name, 3)] == [1, 2, 3]


@clause("4.publish-ephemeral", "M1")
async def test_an_ephemeral_message_has_no_seq_and_no_history(server):
    """§4: "`ephemeral` (true: delivered to those connected now, no seq, no history …; the reply is
    `{"type":"published","channel":C,"ephemeral":true}`" """
    a, b = await user(server), await user(server)
    name = channel()
    await b.subscribe(name)
    await a.publish(name, "kept")
    reply = await a.publish(name, {"typing": True}, ephemeral=True, event="typing")
    assert reply["ephemeral"] is True and "seq" not in reply
    await a.publish(name, "kept too")
    messages = await b.deliveries(name, 3)
    assert [m.get("seq") for m in messages] == [1, None, 2]
    assert "seq" not in messages[1]
    assert (messages[1]["event"], messages[1]["data"]) == ("typing", {"typing": True})
    history = await a.request({"type": "history", "channel": name})
    assert [m["data"] for m in history["messages"]] == ["kept", "kept too"]


@clause("4.publish-key", "M1", "M6")
@pytest.mark.parametrize("namespace", ["room", "log"])
async def test_a_repeated_key_appends_nothing(server, namespace):
    """§4: "a repeat by the same user in the same channel within the window … appends nothing and is
    answered with the first one's position and `"duplicate":true`" """
    token = mint(unique("u"))
    a, tab, other = (
        await Client.connect(server, token),
        await Client.connect(server, token),
        await user(server),
    )
    name, second = channel(namespace), channel(namespace)
    first = await a.publish(name, "one", key="k1")
    await a.publish(name, "two")
    for client in (a, tab):
        again = await client.publish(name, "another body", key="k1")
        assert again["duplicate"] is True
        assert (again["epoch"], again["seq"]) == (first["epoch"], 1)
    assert (await other.publish(name, "three", key="k1"))["seq"] == 3
    assert (await a.publish(second, "elsewhere", key="k1"))["seq"] == 1
    assert (await a.publish(name, "four", key="k2"))["seq"] == 4
    history = await a.request({"type": "history", "channel": name})
    assert [m["data"] for m in history["messages"]] == ["one", "two", "three", "four"]
    assert all("key" not in m for m in history["messages"])


@clause("4.publish-key", "M1")
async def test_repeats_that_overtake_the_first_reply_are_duplicates_too(server):
    """§4: "A client may send the next request without waiting for a reply" """
    client = await user(server)
    name = channel("log")
    for i in range(20):
        await client.send(publish(name, i, key="same", id=i))
    replies = [await client.expect(id=i) for i in range(20)]
    assert [r["seq"] for r in replies] == [1] * 20
    assert [bool(r.get("duplicate")) for r in replies] == [False] + [True] * 19


@clause("4.publish-key", "M1")
async def test_after_the_window_a_key_may_be_used_again(server):
    """§4: "within the window, 5 minutes by default"; §9: `limits.idempotency_window` (2 s here)"""
    client = await user(server)
    name = channel()
    await client.publish(name, 1, key="k")

    async def again():
        return not (await client.publish(name, 1, key="k")).get("duplicate")

    from client import eventually

    await eventually(again, "the end of the window")


@clause("4.publish-key", "M6")
async def test_a_key_is_known_after_a_restart_where_the_channel_is_durable(start):
    """§4: "also after a restart where the channel is durable" """
    server = start()
    token = mint(unique("u"))
    name = channel("log")
    client = await Client.connect(server, token)
    first = await client.publish(name, "one", key="k")
    await client.publish(name, "two")
    server.terminate()
    assert server.wait() == 0
    again = start(data=server.data)
    client = await Client.connect(again, token)
    reply = await client.publish(name, "one more", key="k")
    assert reply["duplicate"] is True
    assert (reply["epoch"], reply["seq"]) == (first["epoch"], 1)
    assert (await client.publish(name, "three"))["seq"] == 3


@clause("4.publish-ttl", "M1")
async def test_past_its_ttl_a_message_leaves_the_log_and_a_gap_covers_it(server):
    """§4: "`ttl_ms` (…): past it the message leaves the log, and a `gap` covers it)"; §5: "A range with a
    hole in it … is recovered, but always delivered after `subscribed`, with a `gap` in the hole's place" """
    from client import eventually

    client = await user(server)
    name = channel()
    epoch = (await client.publish(name, "a"))["epoch"]
    await client.publish(name, "b", ttl_ms=100)
    await client.publish(name, "c", ttl_ms=100)
    await client.publish(name, "d")

    async def gone():
        history = await client.request({"type": "history", "channel": name})
        return [m["seq"] for m in history["messages"]] == [1, 4]

    await eventually(gone, "the end of the TTL")
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 0})
    assert reply["recovered"] is True and reply["messages"] == [] and reply["seq"] == 4
    follow = [await client.next() for _ in range(3)]  # read from the log, so a pong may come before them
    assert [m["type"] for m in follow] == ["message", "gap", "message"]
    assert (follow[1]["channel"], follow[1]["epoch"]) == (name, epoch)
    assert (follow[1]["from"], follow[1]["to"]) == (2, 3)
    assert [follow[0]["seq"], follow[2]["seq"]] == [1, 4]


# -- access


@clause("7.access", "C3", "M3")
async def test_anonymous_clients_may_only_what_the_namespace_allows(server):
    """§7: table of namespaces; §6: "`unauthorized` (needs a token)" """
    client = await Client.connect(server)
    await client.subscribe(channel("public"))
    for request in (
        {"type": "subscribe", "channel": channel()},
        publish(channel()),
        {"type": "history", "channel": channel()},
        publish(channel("public")),
        {"type": "presence", "channel": channel(), "action": "get"},
    ):
        reply = await client.request(request)
        assert reply["code"] in ("unauthorized", "forbidden"), reply
        if not request["channel"].startswith("public"):
            assert reply["code"] == "unauthorized", reply


@clause("7.access", "C3")
async def test_only_the_server_publishes_to_public(server):
    """§7: `public`: publish — server"""
    client = await user(server)
    await client.refused(publish(channel("public")), "forbidden")


@clause("7.grants", "C3")
async def test_a_grant_adds_to_what_the_namespace_allows(server):
    """§7: "`*` matches any run of characters, colons too; `{user}` is the user's id, taken literally" """
    me = unique("a.b")
    grants = [
        {"channels": "public:{user}:*", "do": ["publish"]},
        {"channels": "public:exact", "do": ["publish"]},
    ]
    client = await user(server, me, tidewire={"grants": grants})
    await client.publish(f"public:{me}:x", 1)
    await client.publish(f"public:{me}:x:y:z", 1)
    await client.publish("public:exact", 1)
    for name in ("public:exactly", f"public:{me}", "public:other:x", f"public:{me.replace('.', 'x')}:y"):
        await client.refused(publish(name), "forbidden")


# -- history


@clause("4.history", "M7")
async def test_history_pages_forward_and_backward(server):
    """§4: "ascending. `after` and `before` are exclusive; … `first` and `last` are the oldest and newest
    seq that the log still holds (0 when empty); entries are `message`s without `type` and `channel`" """
    client = await user(server, "alice")
    name = channel("large")
    empty = await client.request({"type": "history", "channel": name})
    assert (empty["first"], empty["last"], empty["messages"]) == (0, 0, [])
    await client.publish_many(name, 30)

    async def page(**fields):
        reply = await client.request({"type": "history", "channel": name, **fields})
        assert reply["type"] == "history" and reply["channel"] == name
        assert (reply["first"], reply["last"]) == (1, 30)
        return [m["seq"] for m in reply["messages"]]

    assert await page(after=0) == list(range(1, 31))
    assert await page(after=10, limit=5) == [11, 12, 13, 14, 15]
    assert await page(before=10, limit=3) == [7, 8, 9]
    assert await page(before=1) == []
    assert await page(after=30) == []
    assert await page(after=28) == [29, 30]
    reply = await client.request({"type": "history", "channel": name, "after": 4, "limit": 1})
    entry = reply["messages"][0]
    assert (entry["seq"], entry["data"]) == (5, 5)
    assert entry["from"]["user"]["id"] == "alice" and isinstance(entry["timestamp"], int)
    assert "type" not in entry and "channel" not in entry


@clause("4.pipelining", "4.history", "M7")
@pytest.mark.parametrize("namespace", ["room", "log", "doc", "session", "agent"])
async def test_a_history_has_what_the_same_connection_published_before_it(server, namespace):
    """§4: "Requests of one connection are carried out in the order sent"; "`first` and `last` are the oldest and
    newest seq that the log still holds" [M7]"""
    client, name = await user(server), channel(namespace)
    first = {"session": "join", "agent": "start"}.get(namespace, "x")
    for i, event in enumerate((first, "x", "x")):
        body = {"event": event, "data": {"n": i} if event == "x" else {}}
        await client.send({"type": "publish", "channel": name, "id": f"p{i}"} | body)
    await client.send({"type": "history", "channel": name, "id": "h"})
    replies = [await client.expect(id=one) for one in ("p0", "p1", "p2", "h")]
    assert [r.get("seq") for r in replies[:3]] == [1, 2, 3], replies
    assert (replies[3]["first"], replies[3]["last"]) == (1, 3)
    assert [m["seq"] for m in replies[3]["messages"]] == [1, 2, 3]


@clause("4.history", "M7")
async def test_the_limit_of_history_is_100_by_default_and_clamped_to_1000(server):
    """§4: "`limit` is 100 by default and clamped to 1000" """
    client = await user(server)
    name = channel("large")
    await client.publish_many(name, 1100)

    async def count(**fields):
        return len((await client.request({"type": "history", "channel": name, **fields}))["messages"])

    assert await count(after=0) == 100
    assert await count(after=0, limit=1000) == 1000
    assert await count(after=0, limit=5000) == 1000
    assert await count(after=0, limit=1) == 1


@clause("4.history", "M7")
async def test_history_tells_what_is_still_there(server):
    """§4: "`first` and `last` are the oldest and newest seq that the log still holds" """
    client = await user(server)
    name = channel("small")
    await client.publish_many(name, 12)
    reply = await client.request({"type": "history", "channel": name, "after": 0})
    assert reply["last"] == 12
    assert [m["seq"] for m in reply["messages"]] == list(range(reply["first"], 13))
    assert reply["first"] == 8


@clause("4.history", "M7")
@pytest.mark.parametrize("namespace", ["room", "log"])
async def test_a_page_of_history_is_at_most_4_mib(server, namespace):
    """Clarifications: "at most 4 MiB, and then shorter than `limit`", wherever the messages are read"""
    client, name = await user(server), channel(namespace)
    for i in range(9):
        await client.publish(name, str(i) * 800_000)

    async def page(**fields):
        reply = await client.request({"type": "history", "channel": name, **fields})
        assert len(reply.raw.encode()) <= 4 * 1024 * 1024
        return [m["seq"] for m in reply["messages"]]

    assert await page(after=0) == [1, 2, 3, 4, 5]
    assert await page(after=2, before=9) == [3, 4, 5, 6, 7]
    assert await page(limit=6) in ([5, 6, 7, 8, 9], [7, 8, 9])
    assert (await page(before=7, limit=6))[-1] == 6


@clause("4.history", "M7")
async def test_history_of_another_epoch_is_a_conflict(server):
    """§4: "a request with an `epoch` that is not the current one is a `conflict`" """
    client = await user(server)
    name = channel()
    epoch = (await client.publish(name, 1))["epoch"]
    reply = await client.request({"type": "history", "channel": name, "epoch": epoch, "after": 0})
    assert [m["seq"] for m in reply["messages"]] == [1] and reply["epoch"] == epoch
    reply = await client.refused(
        {"type": "history", "channel": name, "epoch": "another", "after": 0}, "conflict"
    )
    assert reply["seq"] == 1


@clause("4.history", "M3")
@pytest.mark.parametrize("fields", [{"after": "1"}, {"before": 1.5}, {"limit": "x"}, {"epoch": 5}])
async def test_a_bad_field_of_history_is_invalid_message(server, fields):
    """§6: "a field of the wrong type" """
    client = await user(server)
    await client.refused({"type": "history", "channel": channel(), **fields}, "invalid_message")


# -- ack, presence in brief


@clause("4.ack", "M3")
async def test_an_ack_in_another_kind_of_channel_is_invalid_message(server):
    """§4: "another kind of channel is `invalid_message`" """
    client = await user(server)
    await client.refused({"type": "ack", "channel": channel(), "up_to": 1}, "invalid_message")


@clause("4.presence", "K3")
async def test_presence_off_in_the_namespace_is_forbidden(server):
    """§4: "Where the namespace has presence off: `forbidden`" """
    client = await user(server)
    for action in ("enter", "get"):
        await client.refused({"type": "presence", "channel": channel("quiet"), "action": action}, "forbidden")


# -- pipelining


@clause("4.pipelining", "M1", "M4")
async def test_requests_are_carried_out_and_answered_in_the_order_sent(server):
    """§4: "Requests of one connection are carried out in the order sent, and replies that need no disk
    or network come in that order too" """
    client = await user(server)
    name = channel()
    sent = []
    for i in range(200):
        kind = ["ping", "publish", "history", "subscribe", "unsubscribe"][i % 5]
        await client.send({"type": kind, "id": i, "channel": name, "data": i})
        sent.append(i)
    replies = []
    while len(replies) < 200:
        message = await client.next()
        if "id" in message:
            replies.append(message)
    own = [m["id"] for m in replies if m["type"] == "pong"]
    assert own == sorted(own)
    assert sorted(m["id"] for m in replies) == sent
    assert [m["seq"] for m in replies if m["type"] == "published"] == list(range(1, 41))
    for m in replies:
        if m["type"] == "history":  # it sees the publish before it
            assert m["last"] == m["id"] // 5 + 1, m
    assert not [m for m in replies if m["type"] == "error"]


@clause("4.pipelining", "C4")
async def test_connections_of_one_user_stand_alone(server):
    """§1: "A user may have many (tabs, devices); each stands alone" """
    token = mint(unique("u"))
    tabs = await asyncio.gather(*(Client.connect(server, token) for _ in range(3)))
    name = channel()
    await tabs[0].subscribe(name)
    await tabs[1].subscribe(name)
    await tabs[2].publish(name, 1)
    assert len(await tabs[0].deliveries(name, 1)) == 1
    assert len(await tabs[1].deliveries(name, 1)) == 1
    assert await tabs[2].barrier() == []
    await tabs[0].close()
    await tabs[2].publish(name, 2)
    assert (await tabs[1].deliveries(name, 1))[0]["seq"] == 2
