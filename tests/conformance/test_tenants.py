"""Protocol §9: which tenant a connection belongs to."""

from __future__ import annotations

import json

import pytest
from client import channel
from raw import RawWebSocket
from sse import Stream
from tokens import mint

clause = pytest.mark.clause
SECRET = "beta-secret-of-more-than-thirty-two-bytes-long"
KEY = "tw_beta_key_of_tests"


@clause("9.tenants", "T1")
@pytest.mark.parametrize(
    "host",
    [
        "beta.example",
        "BETA.example",
        "Beta.Example:8080",
        "mixed.example",
        "MIXED.EXAMPLE:443",
        "beta.example.",
        "mixed.example.:443",
    ],
)
async def test_a_host_name_is_the_same_in_any_case_absolute_and_with_any_port(start, http, host):
    """§9: "a WebSocket's tenant: by `Host`"; RFC 9110 §4.2.3: "the host is … normally provided in lowercase
    and compared in a case-insensitive manner"; RFC 3986 §3.2.2: a name may end with a dot """
    server = start(
        {"tenants": {"beta": {"hosts": ["beta.example", "Mixed.Example"], "hs256_secret": SECRET, "api_key": KEY}}}
    )
    token = mint("u", key=SECRET)
    headers = {"Host": host, "Authorization": f"Bearer {token}"}

    socket = await RawWebSocket.open(server, headers=headers, hello=False)
    hello = json.loads((await socket.message()).payload)
    assert (hello["type"], hello.get("tenant")) == ("connected", "beta"), hello

    name = channel()
    stream = await Stream.open(server, name, headers=headers)
    assert stream.hello["tenant"] == "beta", stream.hello
    stream.close()

    published = http(server, "POST", "/api/v1/publish", key=None, headers=headers, json={"channel": name, "data": 1})
    assert published.status_code == 200, published.text
    page = http(server, "GET", f"/api/v1/channels/{name}/history", key=KEY).json()
    assert [message["data"] for message in page["messages"]] == [1]
