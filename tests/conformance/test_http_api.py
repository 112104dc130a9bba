"""Protocol §8: the HTTP side, for streams; §6: the codes in problem+json."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from urllib.parse import quote

import pytest
from client import Client, channel, eventually, unique
from raw import RawSocket, exchange, upgrade_request
from server import API_KEY
from tokens import mint

clause = pytest.mark.clause
READ_KEY, PUBLISH_KEY, ADMIN_KEY = "tw_only_read", "tw_only_publish", "tw_only_admin"
ORIGIN = "https://app.example.org"
SERVER = {
    "settings": {
        "api": {
            "keys": [
                {"key": READ_KEY, "scopes": ["read"]},
                {"key": PUBLISH_KEY, "scopes": ["publish"]},
                {"key": ADMIN_KEY, "scopes": ["admin"]},
            ]
        },
        "server": {"allowed_origins": [ORIGIN]},
        "presence": {"grace": "200ms"},
        "limits": {"message_bytes": 65536},
        "namespaces": {
            "small": {"kind": "stream", "durability": "memory", "history_messages": 5},
            "large": {"kind": "stream", "durability": "memory", "history_messages": 5000},
        },
    }
}


def one(name: str, rest: str = "") -> str:
    return f"/api/v1/channels/{quote(name, safe='')}{rest}"


def publish(http, server, name, data=1, **fields):
    options = {k: fields.pop(k) for k in ("key", "headers") if k in fields and k == "headers"}
    body = {"channel": name, "data": data} | fields
    reply = http(server, "POST", "/api/v1/publish", json=body, **options)
    assert reply.status_code == 200, reply.text
    return reply.json()


def assert_problem(reply, status: int, code: str) -> dict:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"].startswith("application/problem+json"), reply.headers
    body = reply.json()
    assert body["code"] == code, body
    assert body["status"] == status and isinstance(body["title"], str), body
    return body


# -- publish


@clause("8.publish", "K7", "M2")
async def test_a_publish_reaches_subscribers_without_from(server, http):
    """§8: "answers 200 `{"channel","epoch","seq","duplicate"}`"; §5: `from` is "absent for an API key" """
    name = channel()
    client = await Client.connect(server, mint(unique("u")))
    epoch = (await client.subscribe(name))["epoch"]
    answer = publish(http, server, name, {"message_id": 5, "emotion": "joy"}, event="emotion_update")
    assert (answer["channel"], answer["epoch"], answer["seq"]) == (name, epoch, 1)
    assert not answer.get("duplicate")
    message = (await client.deliveries(name, 1))[0]
    assert message["event"] == "emotion_update" and message["data"]["emotion"] == "joy"
    assert "from" not in message


@clause("8.publish", "M1")
async def test_a_publish_takes_the_options_of_the_request(server, http):
    """§8: "body as the `publish` request (no `type`)": key, priority, ttl_ms, ephemeral"""
    name = channel()
    client = await Client.connect(server, mint(unique("u")))
    await client.subscribe(name)
    idempotent = {"channel": name, "data": 1, "key": "k"}
    first = http(server, "POST", "/api/v1/publish", json=idempotent).json()
    again = http(server, "POST", "/api/v1/publish", json=idempotent).json()
    assert again["duplicate"] is True
    assert (again["seq"], again["epoch"]) == (first["seq"], first["epoch"]) == (1, first["epoch"])
    publish(http, server, name, 2, priority="critical", ttl_ms=60000)
    ephemeral = publish(http, server, name, 3, ephemeral=True)
    assert "seq" not in ephemeral or ephemeral["seq"] is None
    messages = await client.deliveries(name, 3)
    assert [m.get("seq") for m in messages] == [1, 2, None]
    assert messages[1]["priority"] == "critical"


@clause("8.publish", "M1")
async def test_data_is_kept_byte_for_byte_over_http(server, http):
    """§3: "the server delivers it byte for byte as it came" """
    name = channel()
    client = await Client.connect(server, mint(unique("u")))
    await client.subscribe(name)
    data = '{"b":1e999,"a":123456789012345678901,"s":"\\u00e9\\ud800","a":1}'
    body = f'{{"channel":"{name}","data":{data}}}'.encode()
    assert http(server, "POST", "/api/v1/publish", content=body).status_code == 200
    assert (await client.deliveries(name, 1))[0].text_of("data") == data
    history = http(server, "GET", one(name, "/history")).text
    assert data in history


@clause("8.publish", "C3")
def test_the_api_passes_every_access_rule(server, http):
    """§7: "The HTTP API passes every access rule" """
    assert publish(http, server, channel("public"))["seq"] == 1


@clause("6.http-codes", "M3")
@pytest.mark.parametrize(
    "body, status, code",
    [
        (b"{", 400, "invalid_json"),
        (b"[]", 400, "invalid_message"),
        (b"{}", 400, "invalid_message"),
        (b'{"channel":1}', 400, "invalid_message"),
        (b'{"channel":"room:a","channel":"room:b"}', 400, "invalid_message"),
        (b'{"channel":"room:"}', 400, "invalid_channel"),
        (b'{"channel":"nowhere:x","data":1}', 404, "not_found"),
        (b'{"channel":"room:a","merge":{}}', 400, "invalid_event"),
        (b'{"channel":"room:a","key":5}', 400, "invalid_message"),
        (b'{"channel":"room:a","ttl_ms":0}', 400, "invalid_message"),
        (b'{"channel":"room:a","data":' + b"[" * 70 + b"]" * 70 + b"}", 400, "invalid_json"),
        (b'{"channel":"room:a","data":"' + b"x" * 70000 + b'"}', 413, "too_large"),
    ],
    ids=lambda v: v[:40].decode() if isinstance(v, bytes) else str(v),
)
def test_a_refused_publish_is_a_problem_with_its_code(server, http, body, status, code):
    """§6: "The same codes in HTTP, in the member `code` of problem+json: 400 `invalid_*` …" """
    assert_problem(http(server, "POST", "/api/v1/publish", content=body), status, code)


@clause("8.batch", "K7")
async def test_a_batch_is_answered_one_by_one_in_order(server, http):
    """§8: "`{"results":[…]}` in order, each a publish answer or `{"code","detail"}`" """
    name = channel()
    client = await Client.connect(server, mint(unique("u")))
    await client.subscribe(name)
    body = {
        "publish": [
            {"channel": name, "data": "a"},
            {"channel": "nowhere:x", "data": "b"},
            {"channel": name, "data": "c"},
            {"channel": "room:"},
            {"channel": name, "data": "d"},
        ]
    }
    reply = http(server, "POST", "/api/v1/batch", json=body)
    assert reply.status_code == 200, reply.text
    results = reply.json()["results"]
    assert [r.get("seq") for r in results] == [1, None, 2, None, 3]
    assert [r.get("code") for r in results] == [None, "not_found", None, "invalid_channel", None]
    assert isinstance(results[1]["detail"], str)
    assert [m["data"] for m in await client.deliveries(name, 3)] == ["a", "c", "d"]


@clause("8.batch", "K7")
def test_a_batch_takes_up_to_1000_and_16_mib(server, http):
    """§8: "up to 1000"; "Bodies up to `limits.message_bytes`, a batch 16 MiB" """
    name = channel("large")
    many = [{"channel": name, "data": "y" * 1000} for _ in range(1000)]
    reply = http(server, "POST", "/api/v1/batch", json={"publish": many})
    assert reply.status_code == 200, reply.text[:300]
    assert [r["seq"] for r in reply.json()["results"]] == list(range(1, 1001))
    reply = http(server, "POST", "/api/v1/batch", json={"publish": [*many, many[0]]})
    assert reply.status_code in (400, 413), reply.text[:300]
    huge = json.dumps({"publish": [{"channel": name, "data": "z" * (16 * 1024 * 1024)}]})
    assert_problem(http(server, "POST", "/api/v1/batch", content=huge.encode()), 413, "too_large")


# -- scopes and keys


SCOPES = [
    ("POST", "/api/v1/publish", {"channel": "room:s", "data": 1}, "publish"),
    ("POST", "/api/v1/batch", {"publish": [{"channel": "room:s", "data": 1}]}, "publish"),
    ("POST", "/api/v1/broadcast", {"event": "e", "data": 1}, "publish"),
    ("GET", "/api/v1/channels", None, "read"),
    ("GET", "/api/v1/channels/room%3As/history", None, "read"),
    ("GET", "/api/v1/users/nobody", None, "read"),
    ("GET", "/api/ws/stats", None, "read"),
    ("GET", "/api/health/detailed", None, "read"),
    ("POST", "/api/v1/users/nobody/disconnect", None, "admin"),
]


@clause("8.scopes", "O6", "P8")
@pytest.mark.parametrize("method, path, body, scope", SCOPES, ids=[s[1] for s in SCOPES])
def test_every_call_needs_its_scope(server, http, method, path, body, scope):
    """§8: "need an API key of the tenant … with the needed scope, else 403 `forbidden`" """
    keys = {"read": READ_KEY, "publish": PUBLISH_KEY, "admin": ADMIN_KEY}
    options = {"json": body} if body is not None else {}
    if path == "/api/v1/channels/room%3As/history":
        publish(http, server, "room:s")
    for name, key in keys.items():
        reply = http(server, method, path, key=key, **options)
        if name == scope:
            assert reply.status_code == 200, (name, reply.text)
        else:
            assert_problem(reply, 403, "forbidden")
    reply = http(server, method, path, key=None, headers={"X-API-Key": keys[scope]}, **options)
    assert reply.status_code == 200, reply.text
    for bad in (None, "tw_unknown", "tw_", API_KEY + "x", API_KEY[:-1]):
        reply = http(server, method, path, key=bad, **options)
        assert reply.status_code in (401, 403), (bad, reply.status_code)
        assert reply.headers["content-type"].startswith("application/problem+json")


@clause("8.user-token", "A4", "C3")
async def test_a_users_own_token_suffices_for_some_calls(server, http):
    """§8: "A user's own token suffices, with that user's rights and limits, for `publish`, a channel's
    `history`, `presence` and `snapshot`"; §5: `from` "without `connection` for a user's token over HTTP" """
    name, me = channel(), unique("u")
    token = mint(me, type="creator")
    client = await Client.connect(server, mint(unique("v")))
    await client.subscribe(name)
    reply = http(server, "POST", "/api/v1/publish", key=token, json={"channel": name, "data": 1})
    assert reply.status_code == 200, reply.text
    sender = (await client.deliveries(name, 1))[0]["from"]
    assert sender == {"user": {"id": me, "type": "creator"}}
    assert http(server, "GET", one(name, "/history"), key=token).json()["last"] == 1
    assert http(server, "GET", one(name, "/presence"), key=token).json()["members"] == []
    body = {"channel": channel("public"), "data": 1}
    assert_problem(http(server, "POST", "/api/v1/publish", key=token, json=body), 403, "forbidden")
    for method, path, body, _ in SCOPES[1:4] + SCOPES[5:]:
        options = {"json": body} if body is not None else {}
        assert http(server, method, path, key=token, **options).status_code in (401, 403), path


@clause("6.http-codes", "A2")
@pytest.mark.parametrize(
    "token, code",
    [
        (lambda: mint(exp=5), "token_expired"),
        (lambda: mint(nbf=int(time.time()) + 600), "token_not_yet_valid"),
        (lambda: mint(key="x" * 40), "token_invalid"),
        (lambda: "a.b", "token_malformed"),
    ],
)
def test_a_bad_token_is_401_with_its_code(server, http, token, code):
    """§6: "401 `unauthorized` and all `token_*`" """
    reply = http(server, "POST", "/api/v1/publish", key=token(), json={"channel": "room:a", "data": 1})
    assert_problem(reply, 401, code)


# -- reading


@clause("8.channels", "O2")
def test_channels_are_listed_by_prefix_in_pages(server, http):
    """§8: `{"channels":[{"channel","kind","epoch","seq","subscribers"}],"next":…}`; `?prefix=`, `?limit=`,
    `?cursor=`"""
    prefix = unique("room:list-")
    names = sorted(f"{prefix}-{i:02}" for i in range(25))
    epochs = {n: publish(http, server, n)["epoch"] for n in names}
    seen, cursor, pages = [], None, 0
    while True:
        query = {"prefix": prefix, "limit": 10} | ({"cursor": cursor} if cursor else {})
        body = http(server, "GET", "/api/v1/channels", params=query).json()
        assert len(body["channels"]) <= 10
        seen += body["channels"]
        pages += 1
        cursor = body.get("next")
        if not cursor:
            break
        assert pages < 10
    assert sorted(c["channel"] for c in seen) == names and pages >= 3
    for entry in seen:
        assert (entry["kind"], entry["seq"], entry["subscribers"]) == ("stream", 1, 0)
        assert entry["epoch"] == epochs[entry["channel"]]
    empty = http(server, "GET", "/api/v1/channels", params={"prefix": unique("room:none")}).json()
    assert empty["channels"] == [] and not empty.get("next")


@clause("8.channels", "O2")
async def test_one_channel_is_404_until_it_is_first_used(server, http):
    """§8: "one of these (404 until it is first used)" """
    name = channel()
    assert_problem(http(server, "GET", one(name)), 404, "not_found")
    client = await Client.connect(server, mint(unique("u")))
    await client.subscribe(name)
    publish(http, server, name)
    publish(http, server, name)
    body = http(server, "GET", one(name)).json()
    assert (body["channel"], body["kind"], body["seq"], body["subscribers"]) == (name, "stream", 2, 1)
    assert_problem(http(server, "GET", one(name, "/snapshot")), 404, "not_found")


@clause("8.channels", "O2", "M1")
@pytest.mark.parametrize("namespace", ["room", "log", "doc", "session", "upload", "agent", "user"])
async def test_a_look_at_a_channel_is_no_use_of_it(server, http, namespace):
    """§8: "404 until it is first used"; what one GET does not know no list names"""
    name = unique(f"{namespace}:")
    for path in ("/history", "/presence", "/snapshot"):
        http(server, "GET", one(name, path))
    listed = http(server, "GET", f"/api/v1/channels?prefix={name}").json()["channels"]
    assert listed == []
    assert_problem(http(server, "GET", one(name)), 404, "not_found")


@clause("8.channels", "O2")
@pytest.mark.parametrize("query", ["prefix=%zz", "prefix=%ff", "cursor=%z", "prefix=a&cursor=%"])
def test_a_badly_encoded_query_is_refused(server, http, query):
    """Bad input gets an error that names it: not the list of everything"""
    assert_problem(http(server, "GET", f"/api/v1/channels?{query}"), 400, "invalid_message")


@clause("8.percent", "M1")
def test_a_channel_is_one_percent_encoded_segment(server, http):
    """§8: "In a path `{c}` and `{id}` are one percent-encoded segment" """
    name = unique("room:a/b#c+d@e=f,g;h!~")
    publish(http, server, name, "odd")
    body = http(server, "GET", one(name, "/history")).json()
    assert (body["channel"], body["messages"][0]["data"]) == (name, "odd")
    for bad in ("/api/v1/channels/room%3", "/api/v1/channels/room%zzx", "/api/v1/channels/room%3Aa%20b"):
        assert http(server, "GET", bad).status_code in (400, 404)


@clause("8.history", "M7")
def test_history_over_http_is_as_the_reply(server, http):
    """§8: "as the `history` reply" """
    name = channel("large")
    for i in range(1, 13):
        last = publish(http, server, name, i)

    def page(**query):
        reply = http(server, "GET", one(name, "/history"), params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    body = page()
    assert (body["channel"], body["epoch"], body["first"], body["last"]) == (name, last["epoch"], 1, 12)
    assert [m["seq"] for m in page(after=3, limit=4)["messages"]] == [4, 5, 6, 7]
    assert [m["seq"] for m in page(before=4)["messages"]] == [1, 2, 3]
    reply = http(server, "GET", one(name, "/history"), params={"epoch": "another"})
    assert_problem(reply, 409, "conflict")
    reply = http(server, "GET", one(name, "/history"), params={"after": "x"})
    assert_problem(reply, 400, "invalid_message")


@clause("8.presence", "K3")
async def test_presence_over_http(server, http):
    """§8: `{"channel","members"}`"""
    name = channel()
    client = await Client.connect(server, mint(unique("u")))
    reply = await client.request({"type": "presence", "channel": name, "action": "enter", "data": 7})
    body = http(server, "GET", one(name, "/presence")).json()
    assert (body["channel"], body["members"]) == (name, reply["members"])


@clause("8.users", "M2", "O2")
async def test_a_users_connections_are_listed_and_disconnected(server, http):
    """§8: `{"user":id,"online":n,"connections":[…]}`; "`{"disconnected":n}` (close 1000 `disconnected`)" """
    me = unique("u@x/")
    path = f"/api/v1/users/{quote(me, safe='')}"
    tabs = [await Client.connect(server, mint(me)) for _ in range(3)]
    bystander = await Client.connect(server, mint(unique("v")))
    body = http(server, "GET", path).json()
    assert (body["user"], body["online"]) == (me, 3)
    ids = {c["connection_id"] for c in body["connections"]}
    assert ids == {t.hello["connection_id"] for t in tabs}
    assert all({"connected_at", "health"} <= set(c) for c in body["connections"])
    assert http(server, "POST", path + "/disconnect").json() == {"disconnected": 3}
    for tab in tabs:
        assert await tab.closed() == (1000, "disconnected")
    await eventually(lambda: http(server, "GET", path).json()["online"] == 0, "offline")
    assert http(server, "GET", path).json()["connections"] == []
    assert http(server, "POST", path + "/disconnect").json() == {"disconnected": 0}
    assert (await bystander.request({"type": "ping"}))["type"] == "pong"


@clause("8.revoke", "A3")
async def test_revoked_tokens_are_refused_from_then_on(start, http):
    """§8: "tokens issued in or before that second, or without `iat`, are `token_revoked` from then on, also
    after a restart; live connections end with `auth_error` and 1008" """
    server = start()
    me = unique("u")
    old = mint(me, iat=int(time.time()) - 5)
    live = await Client.connect(server, old)
    bystander = await Client.connect(server, mint(unique("v")))
    before = int(time.time() * 1000)
    body = http(server, "POST", f"/api/v1/users/{me}/revoke").json()
    assert body["disconnected"] == 1 and abs(body["revoked_before"] - before) <= 2000
    error = await live.expect(type="auth_error")
    assert error["code"] == "token_revoked"
    assert (await live.closed())[0] == 1008

    async def refused(running, token):
        client = await Client.connect(running, token, hello=False)
        first = await client.next()
        assert (first["type"], first["code"]) == ("auth_error", "token_revoked"), first
        assert await client.closed() == (1008, "token_revoked")

    second = body["revoked_before"] // 1000
    tokens = [old, mint(me, iat=second), mint(me, without=("iat",))]
    for token in tokens:
        await refused(server, token)
    newer = mint(me, iat=second + 1)
    fresh = await Client.connect(server, newer, hello=False)
    assert (await fresh.next())["type"] == "connected"
    assert (await bystander.request({"type": "ping"}))["type"] == "pong"
    call = http(server, "POST", "/api/v1/publish", key=old, json={"channel": "room:a", "data": 1})
    assert_problem(call, 401, "token_revoked")
    server.terminate()
    assert server.wait() == 0
    again = start(data=server.data)
    for token in tokens:
        await refused(again, token)
    fresh = await Client.connect(again, newer, hello=False)
    assert (await fresh.next())["type"] == "connected"


@clause("8.connection-health", "P6")
async def test_a_user_reads_the_health_of_the_own_connections(server, http):
    """§8: `{"connections":[{"connection_id","score":0..1,"status":"HEALTHY","latency_ms","error_rate",
    "activity"}]}` of the caller (user token), or of `?user=` (API key)"""
    me = unique("u")
    client = await Client.connect(server, mint(me))
    path = "/api/v1/websocket/connection-health"
    for reply in (
        http(server, "GET", path, key=mint(me)),
        http(server, "GET", path, params={"user": me}),
    ):
        (entry,) = reply.json()["connections"]
        assert entry["connection_id"] == client.hello["connection_id"]
        assert 0 <= entry["score"] <= 1
        assert entry["status"] in ("HEALTHY", "DEGRADED", "UNHEALTHY")
        assert {"latency_ms", "error_rate", "activity"} <= set(entry)


# -- health, statistics, metrics


@clause("8.health", "O2")
def test_the_public_endpoints_answer_without_a_key(server, http):
    """§8: "`{"status":"ok",…}`, public, no detail"; "liveness, readiness …, Prometheus (public …)" """
    assert http(server, "GET", "/api/ws/health", key=None).json()["status"] == "ok"
    assert http(server, "GET", "/healthz", key=None).status_code == 200
    assert http(server, "GET", "/readyz", key=None).status_code == 200
    metrics = http(server, "GET", "/metrics", key=None)
    assert metrics.status_code == 200
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "# TYPE " in metrics.text and "# HELP " in metrics.text


@clause("8.metrics", "O2", "P8")
def test_metrics_need_a_key_where_they_are_not_public(start, http):
    """§8: "Prometheus (public unless `metrics.public` is false)" """
    server = start({"metrics": {"public": False}})
    assert http(server, "GET", "/metrics", key=None).status_code in (401, 403)
    assert http(server, "GET", "/metrics").status_code == 200


@clause("8.stats", "O2")
async def test_statistics_count_connections_users_channels_and_messages(start, http):
    """§8: `{"connections","users","channels","messages_in","messages_out","rates":{…},"uptime_s"}`"""
    server = start()
    before = http(server, "GET", "/api/ws/stats").json()
    token = mint(unique("u"))
    tabs = [await Client.connect(server, token) for _ in range(2)]
    anonymous = await Client.connect(server)
    name = channel()
    await tabs[0].subscribe(name)
    await tabs[0].publish(name, 1)
    after = http(server, "GET", "/api/ws/stats").json()
    assert after["connections"] == before["connections"] + 3
    assert after["users"] == before["users"] + 1
    assert after["channels"] == before["channels"] + 1
    assert after["messages_in"] >= before["messages_in"] + 2
    assert after["messages_out"] > before["messages_out"]
    assert isinstance(after["rates"], dict)
    assert after["uptime_s"] >= before["uptime_s"] >= 0
    for client in (*tabs, anonymous):
        await client.close()

    def gone():
        now = http(server, "GET", "/api/ws/stats").json()
        return (now["connections"], now["users"]) == (before["connections"], before["users"])

    await eventually(gone, "statistics back where they were")


@clause("8.health-detailed", "O2")
def test_detailed_health_names_the_components(server, http):
    """§8: "every component (listener, store, engine, directory, webhooks, circuits)" """
    text = http(server, "GET", "/api/health/detailed").text
    for component in ("listener", "store", "engine"):
        assert f'"{component}"' in text, text[:500]
    publish(http, server, channel("log"), 1)
    components = http(server, "GET", "/api/health/detailed").json()["components"]
    assert components["store"]["latency_ms"] > 0 and components["listener"]["latency_ms"] >= 0


# -- HTTP itself


@clause("8.compression", "M8")
def test_large_answers_are_compressed_as_asked(server, http):
    """§8: "Responses over 1 KiB are compressed as `Accept-Encoding` asks (Brotli, gzip)" """
    import brotli

    name = channel("large")
    publish(http, server, name, "x" * 5000)
    for accept, expected, tool in (
        ("gzip", "gzip", gzip.decompress),
        ("br", "br", brotli.decompress),
        ("identity", None, bytes),
        ("gzip;q=0, br", "br", brotli.decompress),
        ("identity, gzip;q=0.5", None, bytes),
        ("identity;q=1, *;q=0.5", None, bytes),
    ):
        import httpx

        url = server.url(one(name, "/history"))
        headers = {"Accept-Encoding": accept, "X-API-Key": API_KEY}
        with httpx.Client(trust_env=False) as session, session.stream("GET", url, headers=headers) as r:
            body = b"".join(r.iter_raw())
            assert r.headers.get("content-encoding") == expected, accept
        assert json.loads(tool(body))["messages"][0]["data"] == "x" * 5000
    small = http(server, "GET", "/api/ws/health", headers={"Accept-Encoding": "gzip, br"})
    assert "content-encoding" not in small.headers


@clause("8.compression", "M8")
def test_a_compressed_body_is_refused_by_name_of_its_coding(server, http):
    """RFC 9110 §15.5.16"""
    body = gzip.compress(json.dumps({"channel": channel(), "data": 1}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    for path in ("/api/v1/publish", "/api/v1/batch"):
        reply = http(server, "POST", path, content=body, headers=headers)
        assert reply.status_code == 415 and "gzip" in reply.json()["detail"]
        assert reply.headers["accept-encoding"] == "identity"


@clause("8.cors", "P8")
def test_cors_follows_the_allowed_origins(server, http):
    """§8: "CORS follows `server.allowed_origins`" """
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    good = http(server, "OPTIONS", "/api/v1/publish", key=None, headers={"Origin": ORIGIN, **ask})
    assert good.status_code in (200, 204), good.text
    assert good.headers["access-control-allow-origin"] in (ORIGIN, "*")
    assert "POST" in good.headers["access-control-allow-methods"]
    assert "authorization" in good.headers["access-control-allow-headers"].lower()
    answer = http(server, "GET", "/api/ws/health", key=None, headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] in (ORIGIN, "*")
    evil = {"Origin": "https://evil.example.org"}
    for reply in (
        http(server, "OPTIONS", "/api/v1/publish", key=None, headers=evil | ask),
        http(server, "GET", "/api/ws/health", key=None, headers=evil),
    ):
        assert "access-control-allow-origin" not in reply.headers


@clause("8.cors", "P8")
@pytest.mark.parametrize(
    "request_line, fields, status",
    [
        ("POST /api/v1/batch", {"Content-Length": 16 * 1024 * 1024 + 1}, 413),
        ("POST /api/v1/publish", {"Content-Length": 16 * 1024 * 1024 + 1}, 413),
        ("GET /api/v1/channels/%zz", {}, 400),
        ("GET /" + "a" * 9000, {}, 414),
        ("GET /healthz", {"X-Large": "x" * 40_000}, 431),
    ],
)
async def test_an_origin_may_read_also_what_is_refused_unread(server, request_line, fields, status):
    """§8: "CORS follows `server.allowed_origins`": whatever the answer is"""
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://evil.example.org", None)):
        lines = [f"{request_line} HTTP/1.1", "Host: x", f"Origin: {origin}"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        answer = await exchange(server, ("\r\n".join(lines) + "\r\n\r\n").encode())
        assert answer.status == status, answer
        assert answer.header("access-control-allow-origin") == allowed
        assert answer.header("content-type") == "application/problem+json"


@clause("8.keep-alive", "C1")
async def test_http_1_0_is_told_that_its_connection_is_kept(server):
    """RFC 9112, C.2.2: in HTTP/1.0 it is so only where the answer says so"""
    raw = await RawSocket.connect(server)
    for _ in range(2):
        await raw.send(b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await raw.response()
        assert answer.status == 200 and answer.header("connection") == "keep-alive"
    await raw.send(b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (await raw.response()).header("connection") == "close"
    assert await raw.at_end()
    raw = await RawSocket.connect(server)
    await raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await raw.response()).header("connection") is None


@clause("4.publish-key", "M6")
@pytest.mark.parametrize("namespace", ["room", "log"])
def test_the_keys_of_each_api_key_are_its_own(start, http, namespace):
    """§4: "a repeat by the same user in the same channel": each API key is a publisher, also after a restart"""
    settings = {"api": {"keys": [{"key": PUBLISH_KEY, "scopes": ["publish"]}]}}
    server, name = start(settings), channel(namespace)

    def order(by: str, data: str) -> tuple[int, bool]:
        body = {"channel": name, "data": data, "key": "order-1"}
        reply = http(server, "POST", "/api/v1/publish", json=body, key=by).json()
        return reply["seq"], reply["duplicate"]

    assert order(API_KEY, "a") == (1, False)
    assert order(PUBLISH_KEY, "b") == (2, False)
    assert order(API_KEY, "c") == (1, True)
    if namespace == "log":
        server.kill()
        server = start(settings, data=server.data)
    assert order(PUBLISH_KEY, "d") == (2, True)
    assert order(API_KEY, "e") == (1, True)


@clause("8.errors", "M3")
@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("GET", "/api/v1/publish", (404, 405)),
        ("DELETE", "/api/v1/channels", (404, 405)),
        ("POST", "/healthz", (404, 405)),
        ("GET", "/admin/", 404),
        ("GET", "/demo/", 404),
    ],
)
def test_errors_are_problems(server, http, method, path, status):
    """§8: "Errors are problem+json"; "the pages 404 unless on" """
    reply = http(server, method, path)
    assert reply.status_code in (status if isinstance(status, tuple) else (status,)), reply.text
    assert reply.headers["content-type"].startswith("application/problem+json")
    body = reply.json()
    assert body["status"] == reply.status_code and isinstance(body["title"], str)


@clause("8.errors", "C1")
@pytest.mark.parametrize("path", ["/", "/websocket", "/api/v1/nowhere"])
async def test_who_looks_for_the_websocket_elsewhere_is_told_where_it_is(server, http, path):
    answer = await exchange(server, upgrade_request(server, path=path))
    assert answer.status == 404 and json.loads(answer.body)["code"] == "not_found"
    assert json.loads(answer.body)["detail"].endswith("WebSockets open at /ws")
    assert "/ws" not in assert_problem(http(server, "GET", path), 404, "not_found")["detail"]


@clause("8.errors", "C1", "P8")
async def test_requests_on_one_connection_are_answered_in_order(server):
    """HTTP/1.1 pipelining: each answer belongs to its request, a body cut anywhere is a body"""
    name = channel()
    body = json.dumps({"channel": name, "data": 1}).encode()
    post = (
        f"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    chunked = (
        (
            f"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ).encode()
        + b"5\r\n"
        + body[:5]
        + b"\r\n"
        + f"{len(body) - 5:x}\r\n".encode()
        + body[5:]
        + b"\r\n0\r\n\r\n"
    )
    raw = await RawSocket.connect(server)
    await raw.send(post + post + chunked + post[:-7])
    for seq in (1, 2, 3):
        response = await raw.response()
        assert response.status == 200, response
        assert json.loads(response.body)["seq"] == seq
    await raw.send(post[-7:])
    assert json.loads((await raw.response()).body)["seq"] == 4


@clause("8.errors", "C8", "P8")
async def test_who_asks_without_reading_the_answers_is_not_read_from(server, http):
    """C8: nothing is queued without bound, the answers of pipelined requests neither"""
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    body = http(server, "GET", "/openapi.json").content
    asked = 64 * 2**20 // len(body)
    before = server.memory_kib()
    raw = await RawSocket.connect(server, receive_buffer=4096)
    await raw.send(ask * asked)
    for i in range(asked):
        assert (await raw.response()).body == body
        if i == 0:  # what the server answers at a time is on its way
            assert server.memory_kib() - before < 16 * 1024


@clause("8.errors", "P8")
async def test_a_request_that_could_smuggle_is_refused(server):
    """P8: both a length and chunks, or two lengths, are 400"""
    for extra in (
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Content-Length: 3\r\nContent-Length: 4",
    ):
        request = f"POST /api/v1/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n{extra}\r\n\r\n"
        response = await exchange(server, request.encode() + b"0\r\n\r\n")
        assert response.status == 400, response


@clause("8.concurrency", "M4")
async def test_concurrent_http_publishes_get_contiguous_seqs(server):
    """§1: "grows by exactly 1", over HTTP as well"""
    import httpx

    name = channel()
    head = {"X-API-Key": API_KEY}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as session:

        async def one_of(i):
            body = {"channel": name, "data": i}
            reply = await session.post(server.url("/api/v1/publish"), headers=head, json=body)
            return reply.json()["seq"]

        seqs = await asyncio.gather(*(one_of(i) for i in range(100)))
    assert sorted(seqs) == list(range(1, 101))
