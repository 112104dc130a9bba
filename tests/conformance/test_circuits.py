"""Requirement P5: a circuit breaker around each outside dependency, shown with its state."""

from __future__ import annotations

import json

import pytest
from client import Client, channel, eventually, unique
from model import sleeper
from tokens import KeySetServer, jwk, mint, private_key

clause = pytest.mark.clause


@clause("P5", "A2")
async def test_a_key_set_that_cannot_be_had_opens_its_circuit_and_closes_it_again(start, http):
    with KeySetServer([jwk("p256", "k1", "ES256")]) as keys:
        keys.status = 500
        server = start(
            {
                "auth": {"jwks_url": keys.url, "hs256_secret": None, "jwks_min_refresh": "10ms"},
                "circuit": {"failures": 2, "open": "200ms"},
            }
        )
        token = mint("ada", alg="ES256", key=private_key("p256"), kid="k1")

        def circuit() -> dict:
            return http(server, "GET", "/api/health/detailed").json()["circuits"]["jwks"]

        async def opened() -> bool:
            client = await Client.connect(server, token, hello=False)
            answer = await client.next()
            assert (answer["type"], answer["code"]) == ("auth_error", "unavailable")
            return circuit()["opened"] >= 1

        await eventually(opened, "the circuit opens")
        assert 'tidewire_circuit_state{circuit="jwks"}' in http(server, "GET", "/metrics").text
        keys.status = 200

        def components() -> dict:
            return http(server, "GET", "/api/health/detailed").json()["components"]

        assert components()["circuits"]["state"] == "degraded"

        async def is_in() -> bool:
            client = await Client.connect(server, token, hello=False)
            return (await client.next())["type"] == "connected"

        await eventually(is_in, "the key set is read")
        assert circuit()["state"] == "closed" and components()["circuits"]["state"] == "ok"


@clause("P5")
async def test_the_store_has_a_circuit_that_is_closed_while_it_is_well(start, http):
    server = start()
    health = http(server, "GET", "/api/health/detailed").json()
    assert health["circuits"]["log"] == {"state": "closed", "since": None, "opened": 0}
    assert health["components"]["circuits"]["state"] == "ok"
    assert health["components"]["directory"]["state"] == "off"


async def publish(client: Client, name: str, first: int, count: int) -> int:
    """The next seq after these."""
    for i in range(first, first + count):
        await client.send({"type": "publish", "channel": name, "data": [i, "x" * 16000], "id": i})
    for i in range(first, first + count):
        assert (await client.expect(id=i))["type"] == "published"
    return first + count


@clause("P5", "P7")
@pytest.mark.slow_clock(90)
@pytest.mark.parametrize("outbound_mib", [1, 64], ids=["over its budget", "within its budget"])
async def test_a_connection_that_takes_nothing_is_queued_nothing_until_it_takes_again(start, http, outbound_mib):
    """P5: a breaker around every connection's sending side"""
    server = start(
        {
            "circuit": {"failures": 1},
            "limits": {"outbound_bytes": outbound_mib * 1024 * 1024},
            "namespaces": {"long": {"kind": "stream", "durability": "disk", "history_messages": 100000}},
        }
    )

    def metric(name: str) -> float:
        lines = http(server, "GET", "/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))

    name = channel("long")
    publisher = await Client.connect(server, mint(unique("u")))
    raw, _ = await sleeper(server, name)
    seq = await publish(publisher, name, 1, 500)  # more than the system takes for it

    async def is_open() -> bool:
        nonlocal seq
        seq = await publish(publisher, name, seq, 1)
        return metric("tidewire_send_circuits_open") == 1

    await eventually(is_open, "the sending side opens")
    assert metric("tidewire_subscriptions_fell_behind_total") >= 1
    seq = await publish(publisher, name, seq, 20)
    for expected in range(1, seq):
        message = json.loads((await raw.message(timeout_s=15)).payload)
        assert (message["type"], message["seq"]) == ("message", expected)
    assert metric("tidewire_send_circuits_open") == 0
    assert metric("tidewire_send_circuits_opened_total") == 1
