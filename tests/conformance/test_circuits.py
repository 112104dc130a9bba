"""Requirement P5: a circuit breaker around each outside dependency, shown with its state."""

from __future__ import annotations

import pytest
from client import Client, eventually
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

        async def is_in() -> bool:
            client = await Client.connect(server, token, hello=False)
            return (await client.next())["type"] == "connected"

        await eventually(is_in, "the key set is read")
        assert circuit()["state"] == "closed"


@clause("P5")
async def test_the_store_has_a_circuit_that_is_closed_while_it_is_well(start, http):
    server = start()
    health = http(server, "GET", "/api/health/detailed").json()
    assert health["circuits"]["log"] == {"state": "closed", "since": None, "opened": 0}
    assert health["components"]["circuits"]["state"] == "ok"
    assert health["components"]["directory"]["state"] == "off"
