"""Protocol §6: the record of a user, dry runs, tenants' own limits; how the guard explains itself."""

from __future__ import annotations

import json
import re

import pytest
from client import Client, eventually, reloaded_to, unique
from sse import Stream
from tokens import mint

clause = pytest.mark.clause

# One token every 2 s: no refill disturbs a test that takes less.
SLOW = {"messages_per_minute": 30, "burst": 10, "adaptive": True, "penalty": "1s", "malformed_per_minute": 30}


def history() -> dict:
    return {"type": "history", "channel": "room:guard"}


async def burst_of(server, name: str, **options) -> int:
    """How many requests a fresh connection of the user gets through at once."""
    client = await Client.connect(server, mint(name), **options)
    passed = 0
    while (await client.request(history()))["type"] == "history":
        passed += 1
        assert passed < 100
    await client.close()
    return passed


def metric(http, server, name: str) -> float:
    text = http(server, "GET", "/metrics").text
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
    assert found, name
    return float(found[1])


@clause("6.adaptive", "P2")
async def test_a_bad_record_lowers_the_limit_on_all_connections_of_the_user(start):
    """§6: "between 0.5 and 1.2 times the announced base by the user's record" """
    server = start({"limits": SLOW | {"messages_per_minute": 3}})
    bad, neutral = unique("bad"), unique("new")
    client = await Client.connect(server, mint(bad))
    for _ in range(29):
        await client.expect_error("{", "invalid_json")
    assert await burst_of(server, neutral) == 10
    assert 5 <= await burst_of(server, bad) <= 8
    assert client.hello["limits"]["burst"] == 10  # what is announced is the base


@clause("6.adaptive", "P2")
async def test_without_adaptive_the_limit_is_the_base_whatever_the_record(start):
    """§6: "off pins it to the base" """
    server = start({"limits": SLOW | {"adaptive": False, "messages_per_minute": 3}})
    name = unique("bad")
    client = await Client.connect(server, mint(name))
    for _ in range(29):
        await client.expect_error("{", "invalid_json")
    assert await burst_of(server, name) == 10


@clause("6.dry-run", "P1")
async def test_a_dry_run_refuses_nobody_and_reports(start, http):
    """§9 `limits.dry_run`: counted and reported, and nobody is refused"""
    server = start({"limits": SLOW | {"dry_run": True}, "log": {"format": "json"}})
    name = unique("dry")
    client = await Client.connect(server, mint(name))
    for _ in range(60):
        assert (await client.request(history()))["type"] == "history"
    assert metric(http, server, "tidewire_rate_limit_dry_run_total") >= 45
    assert metric(http, server, "tidewire_rate_limited_requests_total") == 0

    async def told():
        return "rate limits would have refused" in server.log() and name in server.log()

    await eventually(told, "the log's line")


@clause("6.dry-run", "P1")
def test_a_dry_run_counts_http_calls_too(start, http):
    server = start({"limits": SLOW | {"dry_run": True, "burst": 1}})
    headers = {"Authorization": f"Bearer {mint(unique('dry'))}"}
    for _ in range(20):
        reply = http(server, "POST", "/api/v1/publish", key=None, headers=headers, json={"channel": "room:x"})
        assert reply.status_code == 200, reply.text
    assert metric(http, server, "tidewire_rate_limit_dry_run_total") >= 10


@clause("9.tenants", "O6", "P1")
async def test_a_tenant_has_its_own_rate_and_its_own_count_of_connections(start):
    """§9: `tenants.NAME.limits`; §1: "Nothing crosses between tenants" """
    secret = "acme-secret-of-more-than-thirty-two-bytes"
    limits = {"messages_per_minute": 3, "connections": 2}
    server = start({"tenants": {"acme": {"hs256_secret": secret, "limits": limits}}})
    others = [await Client.connect(server, mint(unique("u"))) for _ in range(5)]

    async def at_acme():
        token = mint(unique("a"), key=secret, tidewire={"tenant": "acme"})
        return await Client.connect(server, token)

    one, two = await at_acme(), await at_acme()
    assert one.hello["tenant"] == "acme" and one.hello["limits"]["messages_per_minute"] == 3
    with pytest.raises(Exception) as refusal:
        await at_acme()
    assert refusal.value.response.status_code == 503
    assert int(refusal.value.response.headers["Retry-After"]) > 0
    await two.close()

    async def again():
        try:
            await at_acme()
        except Exception:
            return False
        return True

    await eventually(again, "a free place")
    for client in others:
        assert (await client.request({"type": "ping"}))["type"] == "pong"


@clause("9.tenants", "O6", "P1")
async def test_a_tenants_limits_are_its_own_all_of_them(start, http):
    secret = "acme-secret-of-more-than-thirty-two-bytes"
    limits = {
        "messages_per_minute": 30,
        "burst": 3,
        "penalty": "40s",
        "adaptive": False,
        "malformed_per_minute": 5,
        "message_bytes": 500,
        "json_depth": 5,
    }
    tenants = {
        "acme": {"hs256_secret": secret, "api_key": "tw_acme", "limits": limits},
        "trial": {"hs256_secret": secret + "2", "limits": limits | {"dry_run": True}},
    }
    server = start({"tenants": tenants})

    async def at(tenant: str, key: str) -> Client:
        return await Client.connect(server, mint(unique("a"), key=key, tidewire={"tenant": tenant}))

    acme, trial, other = await at("acme", secret), await at("trial", secret + "2"), await Client.connect(server)
    assert acme.hello["limits"] == trial.hello["limits"]
    assert (acme.hello["limits"]["burst"], acme.hello["limits"]["message_bytes"]) == (3, 500)
    for _ in range(10):
        assert (await trial.request(history()))["type"] == "history", "a dry run refused"
    replies = [await acme.request(history()) for _ in range(6)]
    assert [r["type"] for r in replies] == ["history"] * 3 + ["error"] * 3
    assert 30_000 < (await acme.request(history()))["retry_after_ms"] <= 40_000
    long = {"type": "ping", "data": "x" * 600}
    deep = '{"type":"ping","data":' + "[" * 6 + "]" * 6 + "}"
    for _ in range(2):
        await acme.expect_error(long, "too_large")
        await acme.expect_error(deep, "invalid_json")
        assert (await other.request(long))["type"] == "pong"
        assert (await other.request(json.loads(deep)))["type"] == "pong"
    await acme.send("{")
    assert await acme.closed() == (1008, "invalid_message")
    answer = http(server, "POST", "/api/v1/publish", key="tw_acme", json={"channel": "room:x", "data": "x" * 600})
    assert answer.status_code == 413
    assert http(server, "POST", "/api/v1/publish", json={"channel": "room:x", "data": "x" * 600}).status_code == 200


@clause("9.reload", "O6")
async def test_a_reload_never_gives_a_tenants_place_to_another(start, http):
    """§1: "Nothing crosses between tenants", also when tenants come and go with a SIGHUP"""

    def tenant(name: str) -> dict:
        return {"hs256_secret": f"secret-of-{name}-of-more-than-thirty-two-bytes", "api_key": f"tw_{name}"}

    server = start({"tenants": {name: tenant(name) for name in ("bravo", "delta")}})

    async def at(name: str, **options) -> Client:
        token = mint("u", key=tenant(name)["hs256_secret"], tidewire={"tenant": name})
        return await Client.connect(server, token, **options)

    def first_channel(name: str):
        answer = http(server, "GET", "/api/v1/channels", key=f"tw_{name}")
        return answer.json()["channels"][0]["channel"] if answer.status_code == 200 else answer.status_code

    for name in ("bravo", "delta"):
        await (await at(name)).publish(f"room:{name}", 1)
    tenants = {name: tenant(name) for name in ("alpha", "charlie", "delta")}
    server.settings["tenants"] = {}
    await reloaded_to(server, tenants=tenants)
    assert first_channel("delta") == "room:delta"
    assert (await at("delta")).hello["tenant"] == "delta"
    # What came needs a restart, which the log says; what went is gone.
    assert [first_channel(name) for name in ("alpha", "bravo", "charlie")] == [403, 403, 403]
    assert "needs a restart key=tenants.alpha" in server.log()
    for name in ("alpha", "bravo"):
        assert (await (await at(name, hello=False)).next())["code"] == "token_invalid"


@clause("9.limits-development", "P1")
async def test_the_development_profile(start):
    """§9: `--dev`: limits 1000/50/5 s, anonymous connections allowed"""
    server = start(bare=True, dev=True)
    client = await Client.connect(server)
    assert (client.hello["limits"]["messages_per_minute"], client.hello["limits"]["burst"]) == (1000, 50)
    passed = 0
    while (await client.request(history() | {"channel": "public:x"}))["type"] == "history":
        passed += 1
        assert passed < 200
    assert 50 <= passed <= 60
    for _ in range(3):
        last = await client.request(history() | {"channel": "public:x"})
    assert 4000 < last["retry_after_ms"] <= 5000




@clause("6.dry-run", "P1")
async def test_a_dry_run_opens_event_streams_too(start, http):
    server = start({"limits": SLOW | {"dry_run": True, "burst": 1}})
    token = mint(unique("dry"))
    for _ in range(10):
        stream = await Stream.open(server, "room:x", token=token)
        assert stream.response.status == 200
    assert metric(http, server, "tidewire_rate_limit_dry_run_total") >= 1
