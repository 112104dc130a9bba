"""Protocol §7 `$all`, §8 `broadcast`; requirement M2."""

from __future__ import annotations

import asyncio

import pytest
from client import Client, unique
from tokens import mint

clause = pytest.mark.clause
SERVER = {}


def broadcast(http, server, body: dict):
    return http(server, "POST", "/api/v1/broadcast", json=body)


@clause("7.all", "M2")
async def test_every_connection_gets_a_broadcast_without_subscribing(server, http):
    """§7: "`$all` is every connection of the tenant, anonymous … ones too; …, with no seq and no history.
    Nobody subscribes: each connection just gets it"; §8: `{"connections":n}`"""
    known = [Client.connect(server, mint(unique("u"))) for _ in range(30)]
    clients = await asyncio.gather(*known, *(Client.connect(server) for _ in range(10)))
    reply = broadcast(http, server, {"event": "notice", "data": {"text": "hello"}})
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"connections": 40}
    for client in clients:
        message = await client.expect(type="message")
        assert (message["channel"], message["event"]) == ("$all", "notice")
        assert message["data"] == {"text": "hello"}
        assert "seq" not in message and "from" not in message
        assert await client.barrier() == []


@clause("7.all", "M2")
async def test_a_later_connection_does_not_get_an_earlier_broadcast(server, http):
    """§7: "no history" """
    broadcast(http, server, {"event": "early", "data": 1})
    client = await Client.connect(server, mint(unique("u")))
    assert await client.barrier() == []
    await client.refused({"type": "history", "channel": "$all"}, "forbidden")


@clause("7.all", "M2")
async def test_broadcasts_keep_their_order(server, http):
    """§5: order, for what has no seq"""
    client = await Client.connect(server)
    for i in range(20):
        broadcast(http, server, {"event": "n", "data": i})
    got = await client.take(20, type="message", channel="$all")
    assert [m["data"] for m in got] == list(range(20))


@clause("7.all", "O6")
async def test_only_the_api_publishes_to_all(server, http):
    """§7: "only the HTTP API publishes to it" """
    client = await Client.connect(server, mint(unique("u")))
    await client.refused({"type": "publish", "channel": "$all", "data": 1}, "forbidden")
    reply = http(server, "POST", "/api/v1/broadcast", key=mint(unique("u")), json={"event": "e", "data": 1})
    assert reply.status_code in (401, 403)
    assert await client.barrier() == []
