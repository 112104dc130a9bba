"""Protocol §9 `directory.*` (requirement A4): who exists, over WebSocket, SSE and HTTP alike."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from client import Client, channel, eventually, unique
from directories import BackEnd, Postgres
from tokens import mint

clause = pytest.mark.clause


def settings(url: str, **directory) -> dict:
    return {"directory": {"url": url, "cache_ttl": "60s", "absent_ttl": "50ms"} | directory}


@pytest.fixture
def back_end():
    with BackEnd("ada") as running:
        yield running


@pytest.fixture(scope="module")
def _postgres():
    with Postgres() as running:
        running.sql("create table users (id text primary key)")
        yield running


@pytest.fixture
def postgres(_postgres):
    _postgres.sql("truncate users; insert into users values ('ada'), ('7')")
    yield _postgres


async def assert_refused(server, user: object, code: str = "user_not_found") -> None:
    client = await Client.connect(server, mint(user), hello=False)
    first = await client.next()
    assert (first["type"], first["code"]) == ("auth_error", code), first
    assert first["retryable"] is (code == "unavailable")
    assert await client.closed() == (1008, code)


async def assert_agreement(server, http, user: object, exists: bool) -> None:
    """Everything that can say whether a user exists says the same."""
    token = mint(user)
    client = await Client.connect(server, token, hello=False)
    first = await client.next()
    assert (first["type"] == "connected") is exists, first
    anonymous = await Client.connect(server)
    reply = await anonymous.request({"type": "auth", "token": token})
    assert reply["type"] == ("auth_success" if exists else "auth_error"), reply
    answers = {
        "call": await asyncio.to_thread(
            http, server, "POST", "/api/v1/publish", key=token, json={"channel": channel(), "data": 1}
        ),
        "notify": await asyncio.to_thread(
            http, server, "POST", f"/api/v1/users/{user}/notify", json={"data": 1}
        ),
        "look up": await asyncio.to_thread(http, server, "GET", f"/api/v1/users/{user}"),
    }
    if exists:
        assert {name: answer.status_code for name, answer in answers.items()} == {
            "call": 200,
            "notify": 200,
            "look up": 200,
        }
        return
    assert reply["code"] == first["code"] == "user_not_found"
    stream = await asyncio.to_thread(http, server, "GET", f"/sse?channels={channel()}", key=token)
    assert stream.status_code == 401 and stream.json()["code"] == "user_not_found"
    assert answers["call"].status_code == 401
    assert answers["notify"].status_code == answers["look up"].status_code == 404
    assert {answer.json()["code"] for answer in answers.values()} == {"user_not_found"}


@clause("9.directory", "A4")
async def test_over_http_a_user_exists_or_not_for_all_alike(start, http, back_end):
    server = start(settings(back_end.url))
    await assert_agreement(server, http, "ada", True)
    await assert_agreement(server, http, unique("ghost"), False)


@clause("9.directory", "A4")
async def test_in_postgresql_a_user_exists_or_not_for_all_alike(start, http, postgres):
    server = start(settings(postgres.url))
    await assert_agreement(server, http, "ada", True)
    await assert_agreement(server, http, 7, True)
    await assert_agreement(server, http, unique("ghost"), False)


@clause("9.directory", "A4")
async def test_an_inbox_is_that_of_a_user_who_exists_whatever_way_leads_to_it(start, http, back_end):
    """`user_not_found` by name of the channel and by the inbox API, over WebSocket and HTTP"""
    server = start(settings(back_end.url))
    back_end.users.add("bob")
    grants = [{"channels": "user:*", "do": ["publish"]}]
    token = mint("ada", tidewire={"grants": grants})
    client = await Client.connect(server, token)
    for user, exists in (("bob", True), (unique("ghost"), False)):
        inbox = f"user:{user}"
        body = {"channel": inbox, "data": "hello"}
        # Asked about for the first time by the WebSocket: the request waits, and those behind it.
        await client.send({"type": "publish", "id": 1} | body)
        await client.send({"type": "ping", "id": 2})
        first, second = await client.next(), await client.next()
        assert (first["id"], second["id"]) == (1, 2)
        answers = {
            "key": await asyncio.to_thread(http, server, "POST", "/api/v1/publish", json=body),
            "token": await asyncio.to_thread(http, server, "POST", "/api/v1/publish", key=token, json=body),
            "notify": await asyncio.to_thread(
                http, server, "POST", f"/api/v1/users/{user}/notify", json={"data": 1}
            ),
        }
        batch = await asyncio.to_thread(
            http, server, "POST", "/api/v1/batch", json={"publish": [body, {"channel": channel(), "data": 1}]}
        )
        one, two = batch.json()["results"]
        assert two["seq"] == 1
        if exists:
            assert first["type"] == "published" and one["seq"] > 1
            assert {answer.status_code for answer in answers.values()} == {200}
            continue
        assert (first["type"], first["code"]) == ("error", "user_not_found"), first
        assert one["code"] == "user_not_found"
        assert {answer.status_code for answer in answers.values()} == {404}
        assert {answer.json()["code"] for answer in answers.values()} == {"user_not_found"}
    fresh = [{"channel": f"user:{unique('ghost')}", "data": 1} for _ in range(20)]
    fresh.append({"channel": "user:bob", "data": 1})
    batch = await asyncio.to_thread(http, server, "POST", "/api/v1/batch", json={"publish": fresh})
    codes = [one.get("code") for one in batch.json()["results"]]
    assert codes == ["user_not_found"] * 20 + [None]


@clause("9.directory", "A4")
async def test_to_an_inbox_nobody_can_be_asked_about_nothing_is_published(start, http, back_end):
    server = start(settings(back_end.url))
    client = await Client.connect(server, mint("ada", tidewire={"grants": [{"channels": "*", "do": ["publish"]}]}))
    back_end.status = 500
    request = {"type": "publish", "channel": f"user:{unique('u')}", "data": 1}
    reply = await client.expect_error(request, "unavailable")
    assert reply["retry_after_ms"] > 0
    answer = http(server, "POST", "/api/v1/publish", json={"channel": f"user:{unique('u')}", "data": 1})
    assert answer.status_code == 503 and answer.json()["code"] == "unavailable"
    assert (await client.request({"type": "publish", "channel": channel(), "data": 1}))["type"] == "published"


@clause("9.directory", "A4")
async def test_a_reconnect_storm_asks_once_per_user(start, back_end):
    server = start(settings(back_end.url))
    back_end.gate.clear()
    pending = [asyncio.create_task(Client.connect(server, mint("ada"))) for _ in range(50)]
    await eventually(lambda: bool(back_end.asked), "the directory is asked")
    back_end.gate.set()
    for client in await asyncio.gather(*pending):
        assert client.hello["authenticated"] is True
    assert back_end.asked == ["ada"]


@clause("9.directory", "A4")
async def test_requests_behind_an_auth_wait_for_the_answer(start, back_end):
    server = start(settings(back_end.url))
    client = await Client.connect(server)
    back_end.gate.clear()
    await client.send({"type": "auth", "id": 1, "token": mint("ada")})
    room = channel()
    await client.send({"type": "subscribe", "id": 2, "channel": room})
    await eventually(lambda: bool(back_end.asked), "the directory is asked")
    back_end.gate.set()
    first, second = await client.next(), await client.next()
    assert (first["type"], first["id"]) == ("auth_success", 1)
    assert (second["type"], second["id"]) == ("subscribed", 2)


@clause("9.directory", "A4")
async def test_while_the_directory_is_away_the_known_go_on_and_others_are_told_to_come_back(
    start, http, back_end
):
    server = start(settings(back_end.url, cache_ttl="50ms"))
    await Client.connect(server, mint("ada"))
    back_end.status = 500
    await asyncio.sleep(0.1)  # the answer's time is over
    again = await Client.connect(server, mint("ada"))
    assert again.hello["authenticated"] is True
    await assert_refused(server, unique("u"), "unavailable")
    answer = http(server, "POST", f"/api/v1/users/{unique('u')}/notify", json={"data": 1})
    assert answer.status_code == 503 and answer.json()["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) > 0


@clause("9.directory", "6.unavailable", "A4", "P5")
@pytest.mark.parametrize("reject", ["close", "http"])
async def test_whoever_is_told_to_come_back_is_told_when_the_directory_is_asked_again(start, http, back_end, reject):
    """§6: "`unavailable` (with `retry_after_ms`: a needed part is down or its circuit is open)" """
    more = {"circuit": {"failures": 1, "open": "50s"}, "auth": {"reject": reject}}
    server = start(settings(back_end.url) | more)
    back_end.status = 500

    async def wait_of(way: str) -> int:
        if way == "stream":
            answer = http(server, "GET", f"/sse?channel=room:a&token={mint(unique('u'))}", key=None)
        elif way == "call":
            answer = http(server, "GET", "/api/v1/websocket/connection-health", key=mint(unique("u")))
        elif way == "notify":
            answer = http(server, "POST", f"/api/v1/users/{unique('u')}/notify", json={"data": 1})
        elif reject == "close":
            client = await Client.connect(server, mint(unique("u")), hello=False)
            return (await client.next())["retry_after_ms"]
        else:
            with pytest.raises(Exception) as refusal:
                await Client.connect(server, mint(unique("u")))
            answer = refusal.value.response
            assert answer.status_code == 503
            body = json.loads(answer.body)
            assert int(answer.headers["Retry-After"]) == -(-body["retry_after_ms"] // 1000)
            return body["retry_after_ms"]
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) == -(-answer.json()["retry_after_ms"] // 1000)
        return answer.json()["retry_after_ms"]

    last = 50_000
    for way in ("upgrade", "stream", "call", "notify", "upgrade"):
        wait_ms = await wait_of(way)
        assert 20_000 < wait_ms <= last, way
        last = wait_ms


@clause("9.directory", "A4", "P5")
async def test_a_directory_that_is_away_is_left_alone_and_tried_again(start, http, back_end):
    server = start(settings(back_end.url) | {"circuit": {"failures": 3, "open": "300ms"}})
    back_end.status = 503
    for _ in range(8):
        await assert_refused(server, unique("u"), "unavailable")
    assert len(back_end.asked) < 8
    health = http(server, "GET", "/api/health/detailed").json()
    assert health["components"]["directory"]["state"] == "failed"
    assert health["components"]["circuits"]["state"] == "degraded"
    assert health["circuits"]["directory"]["opened"] >= 1
    metrics = http(server, "GET", "/metrics").text
    assert 'tidewire_circuit_opened_total{circuit="directory"}' in metrics
    back_end.status = None

    async def is_back() -> bool:
        client = await Client.connect(server, mint("ada"), hello=False)
        return (await client.next())["type"] == "connected"

    await eventually(is_back, "the directory is used again")
    health = http(server, "GET", "/api/health/detailed").json()
    assert health["circuits"]["directory"]["state"] == "closed"
    assert "circuit" in server.log() and "to=open" in server.log()


@clause("9.directory", "A4")
async def test_a_user_who_is_deleted_while_connected_is_noticed(start, http, postgres):
    server = start(settings(postgres.url, cache_ttl="100ms"))
    client = await Client.connect(server, mint("ada"))
    other = await Client.connect(server, mint(7))
    postgres.sql("delete from users where id = 'ada'")
    last = await client.next()
    assert (last["type"], last["code"]) == ("auth_error", "user_not_found"), last
    assert await client.closed() == (1008, "user_not_found")
    await assert_agreement(server, http, "ada", False)
    assert (await other.request({"type": "ping"}))["type"] == "pong"


@clause("9.directory", "A4")
async def test_a_renewal_asks_anew(start, postgres):
    server = start(settings(postgres.url, cache_ttl="1h"))
    client = await Client.connect(server, mint("ada"))
    reply = await client.request({"type": "auth", "token": mint("ada")})
    assert reply["type"] == "auth_success"
    postgres.sql("delete from users where id = 'ada'")
    reply = await client.request({"type": "auth", "token": mint("ada")})
    assert (reply["type"], reply["code"]) == ("auth_error", "user_not_found"), reply


@clause("9.directory", "A4")
async def test_a_user_who_is_made_later_gets_in_when_the_absence_is_over(start, http, postgres):
    server = start(settings(postgres.url))
    await assert_refused(server, "eve")
    postgres.sql("insert into users values ('eve')")

    async def is_in() -> bool:
        client = await Client.connect(server, mint("eve"), hello=False)
        return (await client.next())["type"] == "connected"

    await eventually(is_in, "the user gets in")
    await assert_agreement(server, http, "eve", True)


@clause("9.directory", "A4")
async def test_a_database_that_restarts_is_found_again(start, postgres):
    server = start(settings(postgres.url, cache_ttl="1h") | {"circuit": {"open": "50ms"}})
    await Client.connect(server, mint("ada"))
    postgres.stop()
    await assert_refused(server, "7", "unavailable")
    await Client.connect(server, mint("ada"))
    postgres.start()

    async def is_in() -> bool:
        client = await Client.connect(server, mint("7"), hello=False)
        return (await client.next())["type"] == "connected"

    await eventually(is_in, "the user gets in")


@clause("9.directory", "A4")
@pytest.mark.parametrize(
    "query, broken, said",
    [
        ("select 1 from accounts where id::bigint = $1::bigint", "insert into accounts values ('n/a', 1)", "n/a"),
        ("select 1 from accounts where id = $1 and 10 / n > 0", "update accounts set n = 0", "division by zero"),
    ],
)
async def test_bad_data_in_a_row_does_not_make_users_unknown(start, http, postgres, query, broken, said):
    """Clarifications: "every other error of the database is no answer" """
    postgres.sql("drop table if exists accounts; create table accounts (id text, n int)")
    postgres.sql("insert into accounts values ('1', 1), ('2', 1)")
    server = start(settings(postgres.url, query=query, cache_ttl="100ms", stale_ttl="1h"))
    known = await Client.connect(server, mint("1"))
    postgres.sql(broken)
    await assert_refused(server, "2", "unavailable")

    async def is_asked_again() -> bool:
        metrics = await asyncio.to_thread(lambda: http(server, "GET", "/metrics").text)
        failed = re.search(r'^tidewire_directory_questions_total\{outcome="failed"\} (\d+)$', metrics, re.M)
        return int(failed[1]) > 1

    await eventually(is_asked_again, "the connected user is asked for again")
    assert (await known.request({"type": "ping"}))["type"] == "pong"
    assert (await Client.connect(server, mint("1"))).hello["user"]["id"] == "1"
    assert said in server.log()


@clause("9.directory", "A4")
async def test_the_back_end_gets_the_secret_and_the_id_in_one_segment(start):
    with BackEnd("a/b#c", secret="directory-secret-1") as back_end:
        server = start(settings(back_end.url + "/{id}", secret="directory-secret-1"))
        client = await Client.connect(server, mint("a/b#c"))
        assert client.hello["user"]["id"] == "a/b#c"
        assert "directory-secret-1" not in server.log()


@clause("9.directory", "A4")
def test_a_bad_url_is_a_configuration_error_that_tells_no_password(start):
    with pytest.raises(AssertionError) as failure:
        start(settings("postgres://u:hunter2@[nowhere/db"))
    assert "directory.url" in str(failure.value) and "hunter2" not in str(failure.value)
