"""Protocol §2: the `connected` message, for anonymous and authenticated connections."""

from __future__ import annotations

import asyncio
import time

import pytest
from client import Client, unique
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "auth": {"anonymous_capabilities": ["messaging", "presence"]},
        "limits": {"messages_per_minute": 1234, "burst": 77, "channels": 55, "message_bytes": 65536},
        "heartbeat": {"interval": "20s"},
    }
}


@clause("2.connected", "C2")
async def test_connected_comes_first_and_has_every_member(server):
    """§2: "The first message from the server is `connected`" """
    before = int(time.time() * 1000)
    client = await Client.connect(server, mint("alice", type="creator", exp=int(time.time()) + 600))
    hello = client.hello
    assert hello["type"] == "connected"
    assert hello["protocol"] == 1
    assert isinstance(hello["connection_id"], str) and hello["connection_id"]
    assert hello["tenant"] == "default"
    assert hello["authenticated"] is True
    assert hello["user"] == {"id": "alice", "type": "creator"}
    assert abs(hello["timestamp"] - before) < 5000 and isinstance(hello["timestamp"], int)
    assert isinstance(hello["capabilities"], list)
    assert all(isinstance(c, str) for c in hello["capabilities"])
    assert hello["heartbeat_ms"] == 20000
    assert hello["limits"] == {
        "message_bytes": 65536,
        "messages_per_minute": 1234,
        "burst": 77,
        "channels": 55,
    }


@clause("2.connected", "C2")
async def test_expires_at_is_the_exp_of_the_token_in_milliseconds(server):
    """§2: `"expires_at":1762910634000`"""
    exp = int(time.time()) + 777
    client = await Client.connect(server, mint(exp=exp))
    assert client.hello["expires_at"] == exp * 1000


@clause("2.connected", "C2", "C3")
async def test_an_anonymous_connection_has_no_user_and_no_expiry(server):
    """§2: "It is `null` for a connection that is not authenticated, … and `expires_at` is absent" """
    hello = (await Client.connect(server)).hello
    assert hello["authenticated"] is False
    assert "user" in hello and hello["user"] is None
    assert "expires_at" not in hello
    assert hello["tenant"] == "default"
    assert hello["protocol"] == 1


@clause("2.capabilities", "C3")
async def test_capabilities_differ_between_anonymous_and_authenticated(server):
    """§2: "gets the capabilities that the configuration grants to anonymous clients" """
    anonymous = (await Client.connect(server)).hello["capabilities"]
    known = (await Client.connect(server, mint())).hello["capabilities"]
    assert sorted(anonymous) == ["messaging", "presence"]
    assert sorted(known) == sorted(
        ["messaging", "presence", "state", "notifications", "dashboard", "uploads", "agents"]
    )


@clause("2.user-type", "C2")
async def test_the_type_is_user_where_the_claim_is_absent(server):
    """§2: "`type` (from the configured claim; `"user"` if absent)" """
    client = await Client.connect(server, mint("bob"))
    assert client.hello["user"]["type"] == "user"


@clause("1.user-id", "C2")
@pytest.mark.parametrize(
    "sub", [1, 0, 9007199254740991, -5, "1", "alice", "a.b_c-d:e@f=g,h;i!j~k+l/m#n", "x" * 200]
)
async def test_a_user_id_keeps_its_json_type(server, sub):
    """§1: "`user.id` keeps its JSON type (string or number) on the wire" """
    client = await Client.connect(server, mint(sub))
    got = client.hello["user"]["id"]
    assert got == sub and type(got) is type(sub)


@clause("2.connection-id", "C4")
async def test_connection_ids_are_unique(server):
    """§1: "A user may have many (tabs, devices); each stands alone" """
    token = mint(unique("u"))
    clients = await asyncio.gather(*(Client.connect(server, token) for _ in range(40)))
    assert len({c.hello["connection_id"] for c in clients}) == 40


@clause("2.connected", "C2")
async def test_connected_is_the_only_message_that_comes_unasked_to_a_manual_inbox(server):
    """§7: "unless it connects with `?inbox=manual`" """
    client = await Client.connect(server, mint(unique("u")))
    assert await client.barrier() == []


@clause("2.connected", "C3")
async def test_a_connection_without_exp_has_no_expires_at(server):
    """§2: "A token without `exp` is accepted unless `auth.require_exp`" """
    hello = (await Client.connect(server, mint(ttl_s=None))).hello
    assert hello["authenticated"] is True
    assert "expires_at" not in hello


@clause("2.claims", "A1")
async def test_the_claims_for_user_and_type_can_be_configured(start):
    """§9: `auth.user_claim`, `auth.type_claim`"""
    server = start({"auth": {"user_claim": "uid", "type_claim": "role"}})
    hello = (await Client.connect(server, mint("ignored", uid=17, role="editor"))).hello
    assert hello["user"] == {"id": 17, "type": "editor"}
