"""Protocol §6: rate limits and penalties; §9: limits of connections and channels."""

from __future__ import annotations

import asyncio
import time

import pytest
from client import Client, channel, unique
from raw import PING, PONG, RawWebSocket
from tokens import mint

clause = pytest.mark.clause

# One token every 2 s, 5 at once: no refill disturbs a test that takes less.
SLOW = {
    "limits": {
        "messages_per_minute": 30,
        "burst": 5,
        "adaptive": False,
        "penalty": "2s",
        "frames_per_second": None,
        "malformed_per_minute": None,
    }
}
SERVER = {"settings": SLOW}


async def user(server, name: str | None = None, **options) -> Client:
    return await Client.connect(server, mint(name or unique("u")), **options)


def history() -> dict:
    return {"type": "history", "channel": "room:limits"}


async def drain_bucket(client: Client, count: int = 5) -> None:
    for _ in range(count):
        reply = await client.request(history())
        assert reply["type"] == "history", reply


@clause("6.rate-limit", "P1")
async def test_past_the_burst_a_request_is_rate_limited_with_the_time_to_wait(server):
    """§6: "A request that finds it empty is answered `rate_limited` with the time until the next token" """
    client = await user(server)
    await drain_bucket(client)
    reply = await client.refused(history(), "rate_limited")
    assert 0 < reply["retry_after_ms"] <= 2000
    await asyncio.sleep(reply["retry_after_ms"] / 1000)
    assert (await client.request(history()))["type"] == "history"


@clause("6.rate-limit", "P1")
async def test_a_rate_limited_message_is_not_processed(server):
    """§6: "`rate_limited` (with `retry_after_ms`; the message was not processed)" """
    client, other = await user(server), await user(server)
    name = channel()
    for i in range(5):
        await client.publish(name, i)
    await client.refused({"type": "publish", "channel": name, "data": "no", "key": "k"}, "rate_limited")
    reply = await other.request({"type": "history", "channel": name})
    assert [m["data"] for m in reply["messages"]] == [0, 1, 2, 3, 4]


@clause("6.rate-limit", "P1")
async def test_ping_auth_ack_and_unsubscribe_do_not_count(server):
    """§6: "Every request counts but `ping`, `auth`, `ack` and `unsubscribe`" """
    me = unique("u")
    client = await user(server, me)
    for _ in range(20):
        assert (await client.request({"type": "ping"}))["type"] == "pong"
    for _ in range(3):
        assert (await client.request({"type": "auth", "token": mint(me)}))["type"] == "auth_success"
    for _ in range(10):
        reply = await client.request({"type": "unsubscribe", "channel": "room:x"})
        assert reply["code"] == "not_subscribed"
    for _ in range(5):
        reply = await client.request({"type": "ack", "channel": f"user:{me}", "up_to": 1})
        assert reply.get("code") != "rate_limited"
    await drain_bucket(client)
    assert (await client.request(history()))["code"] == "rate_limited"
    assert (await client.request({"type": "ping"}))["type"] == "pong"


@clause("4.subscribe-list", "P1")
async def test_a_subscribe_list_counts_once(server):
    """§4: "counts once against the rate limit" """
    client = await user(server)
    await client.send({"type": "subscribe", "channels": [channel() for _ in range(50)], "id": "s"})
    replies = await client.take(50, id="s")
    assert {r["type"] for r in replies} == {"subscribed"}
    await drain_bucket(client, 4)
    assert (await client.request(history()))["code"] == "rate_limited"


@clause("6.rate-order", "P1", "M3")
async def test_rate_is_checked_after_the_envelope_and_before_the_channel(server):
    """§3: "size, JSON, envelope, rate, channel name, …" """
    client = await user(server)
    await drain_bucket(client)
    await client.expect_error("{", "invalid_json")
    await client.refused({"type": "history", "channel": "room:"}, "rate_limited")


@clause("6.penalty", "P1")
async def test_the_third_refusal_within_10_s_starts_a_penalty(server):
    """§6: "the third such refusal within 10 s starts a penalty (`limits.penalty`) in which every counted
    request is refused with what remains of it, tries during it do not lengthen it" """
    client = await user(server)
    await drain_bucket(client)
    began = time.monotonic()
    for _ in range(3):
        last = await client.refused(history(), "rate_limited")
    waits = [last["retry_after_ms"]]
    for _ in range(5):
        waits.append((await client.refused(history(), "rate_limited"))["retry_after_ms"])
    assert all(later <= earlier for earlier, later in zip(waits[1:], waits[2:], strict=False)), waits
    assert waits[1] <= 2000
    assert (await client.request({"type": "ping"}))["type"] == "pong"
    while (reply := await client.request(history()))["type"] == "error":
        await asyncio.sleep(min(0.2, reply["retry_after_ms"] / 1000))  # were it lengthened, it would never end
    assert time.monotonic() - began > 1.9


@clause("6.penalty", "P1")
async def test_the_third_penalty_ends_the_connection(start):
    """§6: "the third penalty within 10 minutes ends the connection with 1008 `rate_limited`" """
    server = start({"limits": SLOW["limits"] | {"penalty": "300ms", "messages_per_minute": 600, "burst": 1}})
    client = await user(server)
    bystander = await user(server)
    deadline = time.monotonic() + 20
    while not client.ended and time.monotonic() < deadline:
        try:
            reply = await client.request(history())
        except (AssertionError, OSError) as error:
            assert client.ended, error
            break
        except Exception:  # the library's ConnectionClosed, on sending
            break
        if reply["type"] == "error" and reply["retry_after_ms"] > 120:
            await asyncio.sleep(reply["retry_after_ms"] / 1000)
    assert await client.closed() == (1008, "rate_limited")
    assert (await bystander.request(history()))["type"] == "history"


@clause("6.rate-user", "P1")
async def test_a_user_has_five_times_the_limit_of_a_connection(start):
    """§6: "per connection; five times that per user" """
    server = start(SLOW | {"limits": SLOW["limits"] | {"messages_per_minute": 3}})
    me = unique("u")
    tabs = await asyncio.gather(*(user(server, me) for _ in range(6)))
    await asyncio.gather(*(drain_bucket(tab) for tab in tabs[:5]))
    assert (await tabs[5].request(history()))["code"] == "rate_limited"
    other = await user(server)
    assert (await other.request(history()))["type"] == "history"


@clause("6.rate-address", "P1")
async def test_an_address_has_twenty_times_the_limit(start):
    """§6: "twenty times per address" """
    server = start(SLOW | {"limits": SLOW["limits"] | {"messages_per_minute": 3}})
    clients = await asyncio.gather(*(user(server) for _ in range(21)))
    await asyncio.gather(*(drain_bucket(client) for client in clients[:20]))
    assert (await clients[20].request(history()))["code"] == "rate_limited"
    elsewhere = await user(server, local="127.0.0.8")
    assert (await elsewhere.request(history()))["type"] == "history"


@clause("6.auth-limit", "P1", "A1")
async def test_an_eleventh_auth_within_a_minute_is_rate_limited(server):
    """§6: "an eleventh `auth` within a minute is answered `rate_limited`" """
    me = unique("u")
    client = await Client.connect(server)
    for _ in range(10):
        reply = await client.request({"type": "auth", "token": mint(me)})
        assert reply["type"] == "auth_success", reply
    reply = await client.request({"type": "auth", "token": mint(me)})
    assert reply["code"] == "rate_limited", reply


@clause("6.auth-limit", "6.dry-run", "P1", "A1")
async def test_a_dry_run_carries_out_an_eleventh_auth(start):
    """§9 `limits.dry_run`: "nobody is refused"; §2: the third failure still ends the connection"""
    server = start({"limits": {"dry_run": True}})
    me = unique("u")
    client = await Client.connect(server)
    for _ in range(15):
        reply = await client.request({"type": "auth", "token": mint(me)})
        assert reply["type"] == "auth_success", reply
    for _ in range(3):
        reply = await client.request({"type": "auth", "token": "x"})
        assert (reply["type"], reply["code"]) == ("auth_error", "token_malformed")
    assert await client.closed() == (1008, "token_malformed")


@clause("3.order", "6.rate", "P1")
def test_over_http_what_is_malformed_takes_no_token(start, http):
    """§3: "size, JSON, envelope, rate" """
    server = start({"limits": {"messages_per_minute": 1, "burst": 2, "adaptive": False}})
    token = mint(unique("u"))

    def publish(body: str) -> int:
        return http(server, "POST", "/api/v1/publish", key=token, content=body).status_code

    malformed = ["{", "[]", '{"channel":5}']
    assert [publish(body) for body in malformed * 5] == [400] * 15
    good = '{"channel":"room:x","data":1}'
    assert [publish(good) for _ in range(11)] == [200] * 10 + [429]
    assert [publish(body) for body in malformed] == [400] * 3


@clause("6.frames", "P1", "P7")
async def test_past_the_frame_rate_a_connection_is_only_read_more_slowly(start):
    """§6: "a second bucket of `limits.frames_per_second` (200, …; burst 5 times that …), past which the
    connection is simply read more slowly" """
    server = start({"limits": {"frames_per_second": 50, "messages_per_minute": 60, "burst": 10}})
    raw = await RawWebSocket.open(server)
    bystander = await user(server)
    began = time.monotonic()
    for i in range(400):
        await raw.send_frame(PING, str(i).encode())
    for i in range(400):
        frame = await raw.frame()
        assert (frame.opcode, frame.payload) == (PONG, str(i).encode())
    took = time.monotonic() - began
    assert took > 1.5, f"400 frames at 50 a second with a burst of 250 took {took:.2f} s"
    assert (await bystander.request({"type": "ping"}))["type"] == "pong"


@clause("9.limits-development", "P1")
async def test_the_announced_limits_are_the_configured_base(server):
    """§2: `limits` in `connected`; §6: "the announced base" """
    limits = (await user(server)).hello["limits"]
    assert (limits["messages_per_minute"], limits["burst"]) == (30, 5)


@clause("9.limits-default", "P1")
async def test_the_default_limits(start):
    """§9: 100 messages a minute, burst 10, 1 MiB, 1000 channels, heartbeat 30 s"""
    server = start({"limits": {"messages_per_minute": None, "burst": None}})
    hello = (await user(server)).hello
    assert hello["limits"] == {
        "message_bytes": 1048576,
        "messages_per_minute": 100,
        "burst": 10,
        "channels": 1000,
    }
    assert hello["heartbeat_ms"] == 30000


@clause("6.channel_limit", "P1")
async def test_too_many_channels_are_channel_limit(start):
    """§6: `channel_limit`; §9: `limits.channels`"""
    server = start({"limits": {"channels": 3}})
    client = await user(server)
    names = [channel() for _ in range(5)]
    await client.send({"type": "subscribe", "channels": names, "id": "s"})
    replies = await client.take(5, id="s")
    assert [r["type"] for r in replies] == ["subscribed"] * 3 + ["error"] * 2
    assert {r["code"] for r in replies[3:]} == {"channel_limit"}
    await client.subscribe(names[0])  # again is no new one
    await client.request({"type": "unsubscribe", "channel": names[0]})
    await client.subscribe(names[4])
    await client.refused({"type": "subscribe", "channel": names[3]}, "channel_limit")
    assert (await client.publish(names[3], 1))["seq"] == 1


@clause("9.connection_limit", "P1", "C4")
async def test_a_user_with_too_many_connections_is_refused(start):
    """§9: "1008 `connection_limit` with no `connected` (by an `auth` message: `auth_error`
    `connection_limit`, and the connection stays anonymous)" """
    server = start({"limits": {"connections_per_user": 2}})
    me = unique("u")
    first = await user(server, me)
    await user(server, me)
    refused = await user(server, me, hello=False)
    assert await refused.closed() == (1008, "connection_limit")
    assert not [m for m in refused.inbox if m["type"] == "connected"]
    anonymous = await Client.connect(server)
    reply = await anonymous.request({"type": "auth", "token": mint(me)})
    assert (reply["type"], reply["code"]) == ("auth_error", "connection_limit")
    assert reply["retryable"] is True, "another connection may close"
    assert (await anonymous.request(history()))["code"] == "unauthorized"
    assert (await anonymous.request({"type": "auth", "token": mint(unique("v"))}))["type"] == "auth_success"
    await first.close()
    from client import eventually

    async def connected():
        client = await user(server, me, hello=False)
        try:
            return (await client.next())["type"] == "connected"
        except AssertionError:
            return False

    await eventually(connected, "a free place")


@clause("6.adaptive", "P2")
async def test_the_limit_in_force_lies_between_half_and_1_2_of_the_base(start):
    """§6: "The limit in force lies between 0.5 and 1.2 times the announced base by the user's record" """
    server = start({"limits": {"messages_per_minute": 60, "burst": 20, "adaptive": True}})
    client = await user(server)
    passed = 0
    while (await client.request(history()))["type"] == "history":
        passed += 1
        assert passed < 40
    assert 10 <= passed <= 26
