"""Protocol §8 `/sse`: the deliveries of a connection as server-sent events."""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket

import pytest
from client import Client, channel, eventually, poll_value, unique
from raw import RawSocket, RawWebSocket, exchange
from server import memory_bound_kib
from sse import Stream, query_of, request_of
from test_cleanup import stats
from test_tls import trusting, write_certificate
from tokens import KeySetServer, jwk, mint, private_key

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "limits": {"outbound_bytes": 65536},
        "heartbeat": {"interval": "20s"},
        "presence": {"grace": "300ms"},
        "namespaces": {
            "open": {"kind": "stream", "durability": "memory", "subscribe": "anyone", "publish": "anyone"},
            "short": {"kind": "stream", "durability": "memory", "history_messages": 300},
            "long": {"kind": "stream", "durability": "disk", "history_messages": 100000},
            "urgent": {
                "kind": "stream",
                "durability": "memory",
                "history_messages": 100000,
                "priority": "critical",
            },
            "lazy": {
                "kind": "stream",
                "durability": "memory",
                "history_messages": 100000,
                "priority": "low",
            },
        },
    }
}


async def user(server, name: str | None = None) -> Client:
    return await Client.connect(server, mint(name or unique("u")))


async def follow(server, *names: str, **options) -> Stream:
    """A stream of a user of its own, with its answers read."""
    options.setdefault("token", mint(unique("sse")))
    stream = await Stream.open(server, *names, **options)
    for answer in await stream.answers(*names):
        assert answer["type"] == "subscribed", answer
    return stream


async def refused(server, query: str, headers: dict | None = None, **options):
    """The problem that a stream is refused with."""
    response = await exchange(server, request_of(server, query, headers, **options))
    assert response.header("content-type") == "application/problem+json", response
    problem = json.loads(response.body)
    assert problem["status"] == response.status, response
    return response, problem


# -- the stream


@clause("8.sse", "M7")
async def test_a_stream_sees_what_is_published_over_http(server, http):
    """§8: "the same deliveries as server-sent events … `connected`, a `subscribed` or `error` each, then
    deliveries, each in `data:` as on the WebSocket, with no `event:` line" """
    name = channel()
    stream = await Stream.open(server, name, token=mint("7"))
    assert stream.hello["authenticated"] is True and stream.hello["user"]["id"] == "7"
    assert stream.hello["protocol"] == 1 and stream.hello["connection_id"].startswith("c-")
    answer = await stream.expect(type="subscribed", channel=name, seq=0)
    assert answer.names == ["id", "data"] and "id" not in answer.message
    reply = http(server, "POST", "/api/v1/publish", json={"channel": name, "data": {"n": 1}})
    assert reply.status_code == 200, reply.text
    event = await stream.expect(type="message", channel=name, seq=1)
    assert event.message["data"] == {"n": 1}
    assert event.names == ["id", "data"]


@clause("8.sse")
async def test_the_response_is_one_that_nothing_holds_back(server):
    """§8: an event stream, which no cache keeps and no proxy buffers; it ends with the connection"""
    stream = await follow(server, channel())
    head = stream.response
    assert head.header("content-type") == "text/event-stream"
    assert head.header("cache-control") == "no-store"
    assert head.header("x-accel-buffering") == "no"
    assert head.header("connection") == "close"
    for absent in ("content-length", "transfer-encoding", "content-encoding", "keep-alive"):
        assert head.header(absent) is None, head


@clause("8.sse", "3.data")
async def test_a_delivery_has_the_text_that_the_websocket_has(server):
    """§3: "delivers it byte for byte as it came (insignificant whitespace may go …)"; one line of `data:`"""
    name = channel()
    stream, reader = await follow(server, name), await user(server)
    await reader.subscribe(name)
    texts = [
        "1e400",
        '{"b":1,"a":-0.0,"b2":[1.10,123456789012345678901234567890]}',
        '"\\u2028\\ud800 \\/ \u2028\u0085\ufeff \u00e4 \\r\\n"',
        "[1,\n 2,\r\n\r\n3\r]",
        "null",
    ]
    for text in texts:
        await reader.send(f'{{"type":"publish","channel":"{name}","event":"e","data":{text}}}')
    for text in texts:
        here = (await stream.expect(type="message", channel=name)).message
        there = await reader.expect(type="message", channel=name)
        assert here.text_of("data") == text.replace("\r", "").replace("\n", "")
        assert here.raw == there.raw.replace("\r", "").replace("\n", "")


@clause("8.sse")
async def test_channels_splits_at_commas_and_channel_does_not(server):
    """§8: "`channels` splits at commas, `channel` may repeat and is one whole name" """
    tail = unique("t")
    names = [f"room:{tail}-{x}" for x in ("a", "b", "c,d", "e", "f")]
    query = f"channels={names[0]},{names[1]}&channel={names[2]}&channel={names[3]}&channels={names[4]}"
    stream = await Stream.open(server, token=mint("u"), query=query)
    await stream.answers(*names)
    encoded = await Stream.open(
        server, token=mint("u"), query=query_of(channels=",".join(names[:2]), channel=names[2:])
    )
    await encoded.answers(*names)


@clause("8.sse", "6.codes")
async def test_a_channel_that_is_refused_is_an_error_among_the_others(server):
    """§8: "a `subscribed` or `error` each", and the stream goes on"""
    good = [channel(), channel()]
    names = [good[0], "nowhere:1", "room:", "$all", "user:somebody-else", "bad name", good[1], "x" * 256]
    stream = await Stream.open(server, *names, token=mint("u"))
    answers = await stream.answers(*names)
    codes = [a.get("code", a["type"]) for a in answers]
    assert codes[:4] == ["subscribed", "not_found", "invalid_channel", "forbidden"], codes
    assert codes[4] in {"forbidden", "not_found"}
    assert codes[5:] == ["invalid_channel", "subscribed", "invalid_channel"], codes
    assert all(a["request"] == "subscribe" for a in answers if a["type"] == "error")
    publisher = await user(server)
    await publisher.publish(good[1], 1)
    await stream.expect(type="message", channel=good[1])


@clause("8.sse")
async def test_no_channel_or_too_many_is_a_bad_request(server):
    """§8, §4 subscribe: "1 to 100 (else `invalid_message`)" """
    bearer = {"Authorization": f"Bearer {mint('u')}"}
    for query in ("", "channels=", "channel=", "token=", "channel=%zz", "channel=%ff%fe"):
        response, problem = await refused(server, query, bearer)
        assert (response.status, problem["code"]) == (400, "invalid_message"), query
    many = [f"room:{i}" for i in range(101)]
    response, problem = await refused(server, query_of(channels=",".join(many)), bearer)
    assert (response.status, problem["code"]) == (400, "invalid_message")
    stream = await Stream.open(server, *many[:100], token=mint("u"))
    await stream.answers(*many[:100])


@clause("8.sse", "M7")
async def test_a_hundred_channels_all_deliver(server, http):
    names = [channel(ns) for ns in ("room", "long", "urgent", "lazy") for _ in range(25)]
    stream = await follow(server, *names)
    batch = {"publish": [{"channel": name, "data": i} for i, name in enumerate(names)]}
    assert http(server, "POST", "/api/v1/batch", json=batch).status_code == 200
    got = {}
    for _ in names:
        event = await stream.expect(type="message", seq=1)
        got[event.message["channel"]] = event.message["data"]
    assert got == {name: i for i, name in enumerate(names)}
    again = await Stream.open(server, *names, token=mint("u"), last_id=stream.last_id)
    for answer in await again.answers(*names):
        assert (answer["recovered"], answer["seq"], answer["messages"]) == (True, 1, []), answer


@clause("8.sse", "5.subscribed")
async def test_all_answers_come_before_any_delivery(server):
    """§8: "`connected`, a `subscribed` or `error` each, then deliveries" """
    names = [channel(ns) for ns in ("urgent", "long", "room", "long", "room", "short")]
    publisher = await user(server)
    for name in names:
        await publisher.publish(name, 0)

    done = asyncio.Event()

    async def publish():
        while not done.is_set():
            await publisher.publish(names[0], 1)

    publishing = asyncio.create_task(publish())
    for _ in range(20):
        stream = await follow(server, *names)
        await stream.expect(type="message", channel=names[0])
        stream.close()
    done.set()
    await publishing


# -- what a connection is


@clause("8.sse", "7.all")
async def test_a_stream_is_a_connection_like_any_other(server, http):
    """§1: "connection: one WebSocket (or SSE stream)"; §7: "`$all` is every connection of the tenant,
    anonymous and SSE ones too" """
    name = unique("who")
    await eventually(lambda: stats(server, http)["connections"] == 0, "an empty server", 15)
    stream = await follow(server, channel(), token=mint(name))
    other = await Stream.open(server, channel(), query="")
    await other.event()
    assert stats(server, http)["connections"] == 2
    found = http(server, "GET", f"/api/v1/users/{name}").json()
    assert found["online"] == 1
    assert found["connections"][0]["connection_id"] == stream.hello["connection_id"]
    reply = http(server, "POST", "/api/v1/broadcast", json={"event": "notice", "data": [1]})
    assert reply.json()["connections"] >= 2
    for one in (stream, other):
        event = await one.expect(type="message", channel="$all", event="notice")
        assert event.id is None and "seq" not in event.message and event.names == ["data"]


@clause("8.sse", "A3")
async def test_disconnect_ends_a_stream(server, http):
    """§8: "`{"disconnected":n}`" counts streams too"""
    name = unique("out")
    stream = await follow(server, channel(), token=mint(name))
    reply = http(server, "POST", f"/api/v1/users/{name}/disconnect")
    assert reply.json() == {"disconnected": 1}
    assert await stream.rest() == []


@clause("8.sse", "A3")
async def test_revoke_ends_a_stream_with_auth_error(server, http):
    """§8: "live connections end with `auth_error`" """
    name = unique("revoked")
    token = mint(name)
    stream = await follow(server, channel(), token=token)
    assert http(server, "POST", f"/api/v1/users/{name}/revoke").json()["disconnected"] == 1
    (last,) = await stream.rest()
    assert (last.message["type"], last.message["code"]) == ("auth_error", "token_revoked")
    response, problem = await refused(server, "channel=room:1", {"Authorization": f"Bearer {token}"})
    assert (response.status, problem["code"]) == (401, "token_revoked")


@clause("8.sse", "A5")
async def test_a_stream_ends_with_its_token(server):
    """§5: "`auth_expiring` … At its end: `auth_error` with `token_expired`" and the end of the response"""
    stream = await follow(server, channel(), token=mint(unique("u"), ttl_s=4))
    warning = await stream.expect(type="auth_expiring")
    assert warning.names == ["data"]
    (last,) = await stream.rest()
    assert (last.message["type"], last.message["code"]) == ("auth_error", "token_expired")
    assert last.message["retryable"] is False


async def half_close(stream: Stream) -> None:
    stream.raw.sock.shutdown(socket.SHUT_WR)


async def reset(stream: Stream) -> None:
    stream.raw.reset()


async def close(stream: Stream) -> None:
    stream.close()


async def say_too_much(stream: Stream) -> None:
    await stream.raw.send(b"x" * 100_000)


@clause("8.sse", "6.cleanup", "C5")
@pytest.mark.parametrize("end", [half_close, reset, close, say_too_much])
async def test_nothing_is_left_of_a_stream_that_has_ended(server, http, end):
    """C5: nothing of the connection is left in any registry, subscription or memory"""
    await eventually(lambda: stats(server, http)["connections"] == 0, "an empty server", 15)
    files = server.descriptors()
    name = channel()
    streams = await asyncio.gather(*(follow(server, name, channel("long")) for _ in range(10)))
    assert stats(server, http)["connections"] == 10
    await asyncio.gather(*(end(stream) for stream in streams))
    await poll_value(lambda: stats(server, http)["connections"], 0, "connections")
    path = "/api/v1/channels/" + name.replace(":", "%3A")
    await poll_value(lambda: http(server, "GET", path).json()["subscribers"], 0, "subscribers")
    await eventually(lambda: server.descriptors() <= files + 1, f"{files} descriptors", 10)


@clause("8.sse", "C8")
async def test_a_comment_comes_every_heartbeat(start):
    """§8: "a comment line every heartbeat" """
    server = start({"heartbeat": {"interval": "200ms"}})
    stream = await follow(server, channel())
    for _ in range(4):
        block = await stream.block()
        assert block.comment is not None and block.names == [] and block.message is None


# -- the request


@clause("8.sse")
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
async def test_only_get_opens_a_stream(server, method):
    """§2: "405 not GET" """
    raw = await RawSocket.connect(server)
    await raw.send(request_of(server, "channel=room:1", {"Content-Length": "0"}, method=method))
    head = (await raw.read_until(b"\r\n\r\n")).decode()
    assert head.startswith("HTTP/1.1 405 "), head
    assert "allow: get" in head.lower()
    if method == "HEAD":  # no body stands between this answer and the next
        await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await raw.response()).status == 200


@clause("8.sse", "9.origins")
async def test_origins_are_those_of_the_websocket(start):
    """§2: "403 origin not allowed"; §8: "CORS follows `server.allowed_origins`" """
    server = start({"server": {"allowed_origins": ["https://good.example"]}})
    good, bad = {"Origin": "https://good.example"}, {"Origin": "https://bad.example"}
    stream = await Stream.open(server, channel(), headers=good)
    assert stream.response.header("access-control-allow-origin") == "https://good.example"
    assert "origin" in stream.response.header("vary").lower()
    response, problem = await refused(server, "channel=room:1", bad)
    assert (response.status, problem["code"]) == (403, "forbidden")
    assert response.header("access-control-allow-origin") is None
    response, _ = await refused(server, "", good)  # and a script may read why it is refused
    assert (response.status, response.header("access-control-allow-origin")) == (400, "https://good.example")
    response, _ = await refused(server, "channel=a", {"Origin": ["https://good.example"] * 2})
    assert response.status == 400
    assert (await Stream.open(server, channel())).hello  # no browser


@clause("8.sse", "9.origins")
async def test_a_preflight_allows_what_a_stream_may_send(start):
    server = start({"server": {"allowed_origins": ["https://good.example"]}})
    ask = {
        "Origin": "https://good.example",
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization,last-event-id",
    }
    answer = await exchange(server, request_of(server, "channel=a", ask, method="OPTIONS"))
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == "https://good.example"
    allowed = answer.header("access-control-allow-headers").lower()
    assert "authorization" in allowed and "last-event-id" in allowed
    assert "GET" in answer.header("access-control-allow-methods")
    ask["Origin"] = "https://bad.example"
    assert (await exchange(server, request_of(server, "channel=a", ask, method="OPTIONS"))).status == 403


@clause("8.sse")
async def test_http_1_0_gets_the_same_stream(server):
    name = channel()
    stream = await Stream.open(server, name, token=mint("u"), version="HTTP/1.0")
    await stream.answers(name)
    await (await user(server)).publish(name, 1)
    await stream.expect(type="message", seq=1)


@clause("8.sse")
async def test_a_kept_alive_connection_becomes_a_stream(server):
    """An ordinary request before it, one behind it that is never answered, and refusals in between"""
    name = channel()
    raw = await RawSocket.connect(server)
    await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await raw.response()).status == 200
    await raw.send(request_of(server, ""))
    assert (await raw.response()).status == 400
    bearer = {"Authorization": f"Bearer {mint('u')}"}
    behind = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    await raw.send(request_of(server, query_of(channel=name, inbox="manual"), bearer) + behind)
    stream = await Stream.begun(raw)
    await stream.answers(name)
    await (await user(server)).publish(name, 1)
    await stream.expect(type="message", seq=1)
    assert raw.buffer == b""


@clause("8.sse", "C6")
async def test_a_stream_over_tls(start, tmp_path):
    """§9: "both set turn TLS on" """
    write_certificate(tmp_path, "first")
    server = start(
        {"server": {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}}
    )
    name = channel()
    reader, writer = await asyncio.open_connection(
        server.host, server.port, ssl=trusting(tmp_path), limit=1 << 20
    )
    bearer = {"Authorization": f"Bearer {mint('u')}"}
    writer.write(request_of(server, query_of(channel=name, inbox="manual"), bearer))
    await reader.readuntil(b"\r\n\r\n")

    async def message() -> dict:
        block = (await reader.readuntil(b"\n\n")).decode()
        return json.loads(block.rstrip("\n").split("\n")[-1].removeprefix("data: "))

    assert [(await message())["type"] for _ in range(2)] == ["connected", "subscribed"]
    publisher = await Client.connect(server, mint("v"), ssl=trusting(tmp_path))
    sent = ["y" * 300_000, "z", "y" * 600_000]
    for data in sent:
        await publisher.publish(name, data)
    assert [(await message())["data"] for _ in sent] == sent
    server.terminate()
    assert [(await message())["type"]] == ["reconnect"]
    assert await reader.readuntil(b"\n\n") == b"retry: 1300\n\n"
    assert await reader.read() == b""
    writer.close()


# -- who may


@clause("8.sse", "A1")
async def test_a_bad_token_is_401(server):
    """§8: "a bad token is 401"; §2: "the first one present counts, and if it is bad the connection is refused" """
    good = mint("u")
    cases = {
        "not-a-token": "token_malformed",
        mint("u", key="another-secret-of-more-than-thirty-two-bytes"): "token_invalid",
        mint("u", ttl_s=-10): "token_expired",
        "": "token_missing",
    }
    for token, code in cases.items():
        for query, headers in (
            (query_of(channel="room:1", token=token), {}),
            (query_of(channel="room:1", token=good), {"Authorization": f"Bearer {token}"}),
        ):
            response, problem = await refused(server, query, headers)
            assert (response.status, problem["code"]) == (401, code), (token, query)
            assert code != "token_invalid" or "no key" in problem["detail"], problem
            assert response.header("www-authenticate") == "Bearer"
    basic = {"Authorization": "Basic dTpw"}  # another scheme counts as absent
    stream = await Stream.open(server, channel(), query=query_of(token=good), headers=basic)
    assert stream.hello["user"]["id"] == "u"


@clause("8.sse", "A1")
async def test_without_a_token_a_stream_is_anonymous_where_that_is_allowed(server):
    names = [channel(), channel("open")]
    stream = await Stream.open(server, *names)
    assert stream.hello["authenticated"] is False and stream.hello["user"] is None
    answers = await stream.answers(*names)
    assert [a.get("code", a["type"]) for a in answers] == ["unauthorized", "subscribed"]
    await (await Client.connect(server)).publish(names[1], 1)
    await stream.expect(type="message", channel=names[1])


@clause("8.sse", "A1")
async def test_where_authentication_is_required_no_token_is_401(start):
    """§8: "and so is none where `auth.required`" """
    server = start({"auth": {"required": True}})
    response, problem = await refused(server, "channel=room:1")
    assert (response.status, problem["code"]) == (401, "unauthorized")
    assert (await follow(server, "room:1")).hello["authenticated"] is True


@clause("8.sse", "P4")
async def test_failed_attempts_are_429_with_retry_after(start):
    """§2: "(429 with `Retry-After` on `/sse` …)" """
    server = start({"auth": {"attempts_per_minute": 3, "attempts_penalty": "30s"}})
    for _ in range(3):
        response, _ = await refused(server, "channel=room:1&token=bad")
        assert response.status == 401
    for query in ("channel=room:1&token=bad", query_of(channel="room:1", token=mint("u")), "channel=room:1"):
        response, problem = await refused(server, query)
        assert (response.status, problem["code"]) == (429, "rate_limited")
        assert 0 < int(response.header("retry-after")) <= 30
        assert problem["detail"] == "Too many failed connection attempts"
        assert 0 < problem["retry_after_ms"] <= 30_000


@clause("8.sse", "A1")
async def test_a_token_that_is_badly_encoded_is_there_all_the_same(start):
    """§2: "the first one present counts, and if it is bad the connection is refused (no fall-through)" """
    server = start({"auth": {"attempts_per_minute": 3, "attempts_penalty": "30s"}})
    for token in ("%zz", "%", mint("u") + "%zz"):
        response, problem = await refused(server, f"channel=room:1&token={token}")
        assert (response.status, problem["code"]) == (401, "token_malformed")
    response, _ = await refused(server, query_of(channel="room:1", token=mint("u")))
    assert response.status == 429, "each was a failed attempt"


@clause("8.sse", "P1")
async def test_a_stream_counts_as_a_request_of_its_user(start):
    """§6: "five times that per user": a stream is its own `subscribe`"""
    server = start({"limits": {"messages_per_minute": 6, "burst": 1}})
    for _ in range(5):
        await follow(server, channel(), token=mint("busy"))
    response, problem = await refused(server, query_of(channel="room:1", token=mint("busy")))
    assert (response.status, problem["code"]) == (429, "rate_limited")
    assert 0 < int(response.header("retry-after")) <= 10
    assert 0 < problem["retry_after_ms"] <= 1000 * int(response.header("retry-after"))
    await follow(server, channel(), token=mint("another"))


@clause("8.sse", "P4")
async def test_connection_limits_are_503_and_429(start):
    """§9: "past them: 503; 1008 `connection_limit` …; 429", and over HTTP `connection_limit` is 429"""
    for limit, status, code in (
        ("connections", 503, "unavailable"),
        ("connections_per_address", 429, "connection_limit"),
        ("connections_per_user", 429, "connection_limit"),
    ):
        server = start({"limits": {limit: 2}})
        token = mint("many")
        streams = [await follow(server, channel(), token=token) for _ in range(2)]
        response, problem = await refused(server, "channel=room:1", {"Authorization": f"Bearer {token}"})
        assert (response.status, problem["code"]) == (status, code), limit
        assert int(response.header("retry-after")) > 0
        streams[0].close()

        async def open_again(at=server, by=token):
            reply = await exchange_head(at, by)
            return reply.startswith("HTTP/1.1 200 ")

        await eventually(open_again, "room for another")


async def exchange_head(server, token: str) -> str:
    raw = await RawSocket.connect(server)
    await raw.send(request_of(server, "channel=room:1", {"Authorization": f"Bearer {token}"}))
    head = (await raw.read_until(b"\r\n\r\n")).decode()
    raw.close()
    return head


@clause("8.sse", "A2")
async def test_a_stream_waits_for_the_key_set(start):
    """§9: "an unknown `kid` refetches" before the token is judged"""
    with KeySetServer([jwk("p256", "k", "ES256")]) as key_set:
        server = start({"auth": {"hs256_secret": None, "jwks_url": key_set.url, "jwks_min_refresh": "30s"}})
        token = mint("a", alg="ES256", key=private_key("p256"), kid="k")
        streams = await asyncio.gather(*(follow(server, channel(), token=token) for _ in range(5)))
        assert all(s.hello["user"]["id"] == "a" for s in streams)
        response, problem = await refused(server, query_of(channel="room:1", token=mint("a", kid="other")))
        assert (response.status, problem["code"]) == (401, "token_invalid")
    with KeySetServer([]) as key_set:
        key_set.status = 500
        server = start({"auth": {"hs256_secret": None, "jwks_url": key_set.url, "jwks_min_refresh": "30s"}})
        response, problem = await refused(server, query_of(channel="room:1", token=token))
        assert (response.status, problem["code"]) == (503, "unavailable")
        assert int(response.header("retry-after")) > 0


@clause("8.sse", "T1")
async def test_the_tenant_is_that_of_the_host_or_the_token(start, http):
    """§9: "by `Host`, else by the token's `tidewire.tenant`, …, else `default`" """
    secret = "a-secret-of-the-tenant-acme-which-is-long-enough"
    server = start(
        {
            "tenants": {
                "acme": {"hosts": ["acme.example"], "hs256_secret": secret, "api_key": "tw_acme_key_of_tests"}
            }
        }
    )
    name = channel()
    claim = {"tidewire": {"tenant": "acme"}}
    by_host = await follow(server, name, token=mint("u", key=secret), headers={"Host": "acme.example"})
    by_token = await follow(server, name, token=mint("u", key=secret, **claim))
    default = await follow(server, name, token=mint("u"))
    assert [s.hello["tenant"] for s in (by_host, by_token, default)] == ["acme", "acme", "default"]
    http(
        server,
        "POST",
        "/api/v1/publish",
        key="tw_acme_key_of_tests",
        json={"channel": name, "data": "acme"},
    )
    http(server, "POST", "/api/v1/publish", json={"channel": name, "data": "default"})
    for stream, data in ((by_host, "acme"), (by_token, "acme"), (default, "default")):
        await stream.expect(type="message", data=data, seq=1)
    response, problem = await refused(
        server, query_of(channel=name, token=mint("u")), {"Host": "acme.example"}
    )
    assert (response.status, problem["code"]) == (401, "token_invalid")


# -- resuming


async def seqs_until(stream: Stream, last: int) -> list[int]:
    seqs = []
    while not seqs or seqs[-1] != last:
        seqs.append((await stream.expect(type="message")).message["seq"])
    return seqs


@clause("8.sse", "5.resume", "M6")
async def test_a_stream_goes_on_where_the_last_one_ended(server):
    """§8: "`id:` is a resume token over all channels, honoured in `Last-Event-ID`" """
    names = [channel(), channel("long")]
    publisher = await user(server)
    for name in names:
        await publisher.publish_many(name, 3)
    stream = await follow(server, *names)
    await publisher.publish(names[0], "seen")
    await stream.expect(type="message", channel=names[0], seq=4)
    stream.close()
    await publisher.publish(names[0], "missed")
    await publisher.publish_many(names[1], 2, lambda i: f"missed {i}")

    for headers, query in (
        ({"Last-Event-ID": stream.last_id}, ""),
        ({}, query_of(last_event_id=stream.last_id)),
        ({}, query_of(lastEventId=stream.last_id)),
    ):
        again = await Stream.open(server, *names, token=mint("u"), headers=headers, query=query)
        first, second = await again.answers(*names)
        assert (first["recovered"], [m["data"] for m in first["messages"]]) == (True, ["missed"])
        assert second["recovered"] is True
        assert [(m["seq"], m["data"]) for m in second["messages"]] == [(4, "missed 1"), (5, "missed 2")]
    # In another order, and with a channel more.
    other = channel()
    again = await Stream.open(server, names[1], other, names[0], token=mint("u"), last_id=stream.last_id)
    second, new, first = await again.answers(names[1], other, names[0])
    assert (first["recovered"], second["recovered"]) == (True, True)
    assert "recovered" not in new and new["messages"] == []


@clause("8.sse")
async def test_what_has_no_seq_has_no_id(server, http):
    """§8: "what has no seq has no `id:`" """
    name = channel()
    stream = await Stream.open(server, name, token=mint("u"))
    publisher = await user(server)
    first = await stream.expect(type="subscribed")
    assert first.id
    await publisher.publish(name, 1, ephemeral=True)
    http(server, "POST", "/api/v1/broadcast", json={"event": "e", "data": 1})
    for _ in range(2):
        event = await stream.expect(type="message")
        assert event.id is None and "seq" not in event.message
    await publisher.publish(name, 2)
    numbered = await stream.expect(type="message", seq=1)
    assert numbered.id and numbered.id != first.id
    assert not set(numbered.id) - set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@clause("8.sse", "5.resume")
async def test_a_long_absence_is_made_up_for_after_subscribed(server):
    """§5: "More than 500 missed messages, or 256 KiB, all arrive after `subscribed`"; and a stream that is
    cut in the midst of them goes on there"""
    name = channel("long")
    publisher = await user(server)
    stream = await follow(server, name)
    await publisher.publish_many(name, 1200)
    stream.close()
    last_id, seen = stream.last_id, 0
    for stop in (300, 301, 700, 1200):
        stream = await Stream.open(server, name, token=mint("u"), last_id=last_id)
        (answer,) = await stream.answers(name)
        assert answer["recovered"] is True
        seen += len(answer["messages"])
        while seen < stop:
            await stream.expect(type="message", seq=seen + 1)
            seen += 1
        last_id = stream.last_id
        stream.close()


@clause("8.sse", "5.resume")
async def test_much_to_make_up_for_in_many_channels_comes_behind_all_answers(server):
    """§8: "a `subscribed` or `error` each, then deliveries", also where what is missing in the first channels
    is more than the stream's outbound budget"""
    names = [channel("long") for _ in range(12)]
    publisher = await user(server)
    stream = await follow(server, *names)
    stream.close()
    for name in names:
        await publish_bodies(publisher, name, 25)  # 400 KB
    again = await Stream.open(server, *names, token=mint("u"), last_id=stream.last_id)
    for answer in await again.answers(*names):
        assert (answer["recovered"], answer["messages"]) == (True, [])
    seen = dict.fromkeys(names, 0)
    for _ in range(25 * len(names)):
        message = (await again.expect(type="message")).message
        seen[message["channel"]] += 1
        assert message["seq"] == seen[message["channel"]]


@clause("8.sse", "5.resume")
async def test_what_can_not_be_recovered_is_said(server):
    """§5: `recovered` false with `trimmed` or `epoch`, and the retained history as the new start"""
    name = channel("short")
    publisher = await user(server)
    stream = await follow(server, name)
    stream.close()
    await publisher.publish_many(name, 320)
    again = await Stream.open(server, name, token=mint("u"), last_id=stream.last_id)
    (answer,) = await again.answers(name)
    assert (answer["recovered"], answer["reason"]) == (False, "trimmed")
    assert [m["seq"] for m in answer["messages"]] == list(range(21, 321))
    once_more = await Stream.open(server, name, token=mint("u"), last_id=again.last_id)
    (answer,) = await once_more.answers(name)
    assert (answer["recovered"], answer["messages"]) == (True, [])


@clause("8.sse", "5.resume")
@pytest.mark.parametrize(
    "last_id",
    ["17", "not a token", "1" + "A" * 20000, "1AQ==", "1oP9qHVio", "\xff\xfe", "1" + "_" * 40, "2" + "A" * 20],
    ids=range(8),
)
async def test_a_forged_resume_token_is_a_position_that_is_not_known(server, last_id):
    """§5: a position "of another epoch, is not recovered": nothing is lost in silence, and nothing breaks"""
    name = channel("open")
    publisher = await user(server)
    await publisher.publish(name, 1)
    stream = await Stream.open(server, name, last_id=last_id)
    (answer,) = await stream.answers(name)
    assert (answer["recovered"], answer["reason"]) == (False, "epoch"), answer
    assert [m["seq"] for m in answer["messages"]] == [1]


@clause("8.sse", "A1")
async def test_a_resume_token_opens_nothing(server):
    """Another's position, in another's channel, is refused as any subscription of it is"""
    name = channel()
    stream = await follow(server, name)
    await (await user(server)).publish(name, "secret")
    await stream.expect(type="message", seq=1)
    thief = await Stream.open(server, name, last_id=stream.last_id)
    (answer,) = await thief.answers(name)
    assert (answer["type"], answer["code"]) == ("error", "unauthorized")


@clause("8.sse", "M5")
async def test_positions_outlive_a_restart(start, tmp_path):
    """§1 epoch: a durable channel goes on after a restart, a memory one says that it can't"""
    settings = {"namespaces": {"long": {"kind": "stream", "durability": "disk", "history_messages": 1000}}}
    names = [channel("long"), channel()]
    first = start(settings, data=tmp_path / "data")
    stream = await follow(first, *names)
    publisher = await user(first)
    for name in names:
        await publisher.publish_many(name, 3)
    for _ in range(6):
        await stream.expect(type="message")
    last_id = stream.last_id
    stream.close()
    await publisher.publish(names[0], "missed")
    await publisher.close()
    first.stop()
    second = start(settings, data=tmp_path / "data")
    again = await Stream.open(second, *names, token=mint("u"), last_id=last_id)
    kept, lost = await again.answers(*names)
    assert (kept["recovered"], [m["data"] for m in kept["messages"]]) == (True, ["missed"])
    assert (lost["recovered"], lost["reason"], lost["messages"]) == (False, "epoch", [])


@clause("8.sse", "5.resume", "5.order", "M6")
@pytest.mark.slow_clock(90)
@pytest.mark.parametrize("seed", range(3))
async def test_resuming_wherever_it_was_cut_neither_skips_nor_repeats(server, seed):
    """§8: "a resume token over all channels": with lanes that overtake each other, subscriptions that fall
    behind, and a reader that is slow and is cut off at any byte"""
    dice = random.Random(seed)
    names = [channel("lazy"), channel("urgent"), channel("long"), channel("lazy")]
    count, body = 250, "x" * 16000
    half = asyncio.Event()
    publisher = await user(server)

    async def publish():
        for i in range(1, count + 1):
            for name in names:
                await publisher.send({"type": "publish", "channel": name, "data": [i, body], "id": f"{i}{name}"})
            for name in names:
                await publisher.expect(type="published", id=f"{i}{name}")
            if i == count / 2:
                half.set()

    seen = dict.fromkeys(names, 0)
    overtaken = 0

    def take(name: str, message: dict) -> None:
        assert message["seq"] == seen[name] + 1, (name, seen, message["seq"])
        assert message["data"] == [message["seq"], body]
        seen[name] += 1

    stream = await follow(server, *names, receive_buffer=4096)
    publishing = asyncio.create_task(publish())
    await half.wait()
    while min(seen.values()) < count:
        for _ in range(dice.choice((1, 5, 40, 200))):
            if min(seen.values()) == count:
                break
            message = (await stream.expect(type="message")).message
            take(message["channel"], message)
            overtaken += seen[names[1]] > seen[names[0]] + 5
        for some in (dice.randint(0, 3), len(names)):  # it is cut off among the answers, too
            stream.raw.reset()
            if dice.random() < 0.2:
                await asyncio.sleep(0.1)
            stream = await Stream.open(
                server, *names, token=mint("u"), last_id=stream.last_id, receive_buffer=4096
            )
            for name in names[:some]:
                answer = (await stream.expect(type="subscribed", channel=name, recovered=True)).message
                for message in answer["messages"]:
                    take(name, message)
    await publishing
    assert overtaken > 0, "the lanes were never used"


# -- slow readers, write timeouts, drain


async def publish_bodies(publisher: Client, name: str, count: int, bytes_: int = 16000) -> None:
    body = "x" * bytes_
    for i in range(1, count + 1, 50):
        for j in range(i, min(i + 50, count + 1)):
            await publisher.send({"type": "publish", "channel": name, "data": [j, body], "id": j})
        for j in range(i, min(i + 50, count + 1)):
            await publisher.expect(type="published", id=j)


@clause("8.sse", "5.slow-reader", "P7", "M6")
@pytest.mark.slow_clock(90)
async def test_sleeping_streams_cost_no_memory_and_catch_up_with_a_gap(server):
    """§5: "A slow one … is not cut off and does not grow the server's memory" """
    publisher = await user(server)
    warm, name, count = channel("short"), channel("short"), 3000
    await publish_bodies(publisher, warm, 400)
    streams = await asyncio.gather(*(follow(server, name, receive_buffer=4096) for _ in range(10)))
    before = server.memory_kib()
    await publish_bodies(publisher, name, count)
    grown = server.memory_kib() - before
    assert grown < memory_bound_kib(24 * 1024), f"{grown} KiB more for {len(streams)} sleeping streams"
    for stream in streams:
        following, gaps = 1, 0
        while following <= count:
            event = await stream.event(15)
            message = event.message
            if message["type"] == "gap":
                assert message["from"] == following
                following, gaps = message["to"] + 1, gaps + 1
                assert event.id is None
            else:
                assert message["seq"] == following, (following, message["seq"])
                assert event.id
                following += 1
        assert gaps >= 1
    await publisher.publish(name, "live")
    for stream in streams:
        await stream.expect(type="message", data="live", seq=count + 1)


@clause("8.sse", "5.slow-reader", "P7")
@pytest.mark.slow_clock(90)
async def test_a_stream_that_resumes_and_never_reads_costs_no_memory(server):
    """What a hundred answers hold is not made before it can be sent"""
    publisher = await user(server)
    names = [channel("long") for _ in range(30)]
    for name in names:
        await publish_bodies(publisher, name, 15)
    first = await follow(server, *names)
    positions = first.last_id
    for name in names:
        await publish_bodies(publisher, name, 15)  # 240 KiB each
    before = server.memory_kib()
    sleepers = []
    for _ in range(15):
        raw = await RawSocket.connect(server, receive_buffer=4096)
        bearer = {"Authorization": f"Bearer {mint('u')}", "Last-Event-ID": positions}
        await raw.send(request_of(server, query_of(channel=names, inbox="manual"), bearer))
        sleepers.append(raw)
    for _ in range(20):
        assert (await publisher.request({"type": "ping"}))["type"] == "pong"
        await asyncio.sleep(0.02)
    grown = server.memory_kib() - before
    assert grown < memory_bound_kib(48 * 1024), f"{grown} KiB for 105 MB that nobody reads"
    stream = await Stream.begun(sleepers[0])
    for answer in await stream.answers(*names):
        assert answer["recovered"] is True and len(answer["messages"]) == 15


@clause("8.sse", "6.liveness", "P7")
async def test_a_stream_that_takes_nothing_is_cut_off(start, http):
    """§6: "takes not one byte of what is written to it for `server.write_timeout` (60 s), is cut off" """
    server = start({"server": {"write_timeout": "1s"}})
    name = channel()
    await follow(server, name, receive_buffer=4096)
    publisher = await user(server)
    await publish_bodies(publisher, name, 200, 100_000)
    await poll_value(lambda: stats(server, http)["connections"], 1, "only the publisher is left")


@clause("8.sse", "6.liveness", "P7")
async def test_a_stream_behind_an_answer_that_is_still_being_taken(server):
    """A kept-alive connection asks for a stream while it reads its last answer: that is no user with too many"""
    publisher = await user(server)
    name = channel()
    await publish_bodies(publisher, name, 50, 40_000)
    token = mint(unique("sse"))
    raw = await RawSocket.connect(server, receive_buffer=4096)
    await raw.send(
        f"GET /api/v1/channels/{name.replace(':', '%3A')}/history HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    head = await raw.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    length = int(re.search(rb"content-length: (\d+)", head.lower())[1])
    assert length > 1_500_000
    await raw.send(request_of(server, query_of(channel=name, token=token, inbox="manual"), {}))
    await raw.read(length, 30)
    stream = await Stream.begun(raw)
    assert (await stream.answers(name))[0]["seq"] == 50


@clause("8.sse", "5.slow-reader", "6.liveness", "P7")
@pytest.mark.slow_clock(60)
@pytest.mark.parametrize("write_timeout", ["7s", "2s"])
async def test_a_slow_reader_that_takes_bytes_all_the_time_is_not_cut_off(start, http, write_timeout):
    """§6: only who "takes not one byte" for `server.write_timeout`, however much the kernel holds for it"""
    server = start({"server": {"write_timeout": write_timeout}})
    name = channel()
    stream = await follow(server, name, receive_buffer=4096)
    socket = await RawWebSocket.open(
        server, headers={"Authorization": f"Bearer {mint(unique('v'))}"}, receive_buffer=4096
    )
    await socket.text(json.dumps({"type": "subscribe", "channel": name}))
    assert b'"subscribed"' in (await socket.message()).payload
    publisher = await user(server)
    await publish_bodies(publisher, name, 60, 100_000)
    await asyncio.gather(stream.raw.take(175_000, 10_000), socket.take(175_000, 10_000))
    assert stats(server, http)["connections"] == 3


@clause("8.sse", "6.liveness", "C5")
async def test_a_stream_whose_peer_has_vanished_is_gone_after_two_heartbeats(start, http):
    """§6: "Half-open connections are gone from every registry by then" """
    server = start({"heartbeat": {"interval": "1s"}})
    streams = [await follow(server, channel()) for _ in range(5)]
    here = await follow(server, channel())
    for stream in streams:
        stream.raw.vanish()
    await poll_value(lambda: stats(server, http)["connections"], 1, "only who is there is left")
    begun = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < begun + 3:
        await here.raw.read_until(b": heartbeat\n\n")
    assert stats(server, http)["connections"] == 1


@clause("8.sse", "9.drain", "O5")
async def test_a_drain_says_when_to_come_back_and_ends(start):
    """§8: "a drain sends `reconnect`, a `retry:` line and the end"; §9: "the listener stays open and answers
    503" """
    server = start({"server": {"drain_timeout": "2s"}})
    name = channel()
    streams = [await follow(server, name) for _ in range(4)]
    sleeper = await follow(server, name, receive_buffer=4096)
    publisher = await user(server)
    await asyncio.gather(publish_bodies(publisher, name, 300), *(seqs_until(each, 300) for each in streams))
    server.terminate()
    for stream in streams:
        reconnect = await stream.expect(type="reconnect", reason="draining")
        assert 0 < reconnect.message["after_ms"] <= 2000 and reconnect.id is None
    response, problem = await refused(server, query_of(channel=name, token=mint("u")))
    assert (response.status, problem["code"]) == (503, "unavailable")
    assert int(response.header("retry-after")) > 0
    for stream in streams:
        rest = await stream.rest()
        assert [b.names for b in rest] == [["retry"]], rest
        # A browser that is answered 503 never comes again, so not before the drain is over.
        assert 2000 < rest[0].retry_ms <= 5000
    sleeper.close()
    assert server.wait() == 0
