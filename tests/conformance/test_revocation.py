"""Protocol §8 `…/revoke` (requirement A3): all ways in agree, before and after the server's end."""

from __future__ import annotations

import asyncio
import time

import pytest
from client import Client, channel, unique
from tokens import mint

clause = pytest.mark.clause


async def verdicts(server, http, token: str) -> set[str]:
    """What each way in says of a token; one word when they agree."""
    by_header = await Client.connect(server, token, hello=False)
    by_query = await Client.connect(server, query=f"token={token}", hello=False)
    said = {"upgrade": await by_header.next(), "query": await by_query.next()}
    anonymous = await Client.connect(server)
    said["auth"] = await anonymous.request({"type": "auth", "token": token})
    words = {
        "ok" if answer["type"] in ("connected", "auth_success") else answer["code"] for answer in said.values()
    }
    call = await asyncio.to_thread(
        http, server, "POST", "/api/v1/publish", key=token, json={"channel": channel(), "data": 1}
    )
    words.add("ok" if call.status_code == 200 else call.json()["code"])
    if words != {"ok"}:
        stream = await asyncio.to_thread(http, server, "GET", f"/sse?channels={channel()}", key=token)
        assert stream.status_code == 401
        words.add(stream.json()["code"])
    return words


@clause("8.revoke", "A3")
@pytest.mark.parametrize("end", ["terminate", "kill"])
async def test_every_way_in_agrees_on_a_revoked_token_also_after_the_servers_end(start, http, end):
    """§8: "`token_revoked` from then on, also after a restart"; A4: HTTP and WebSocket never disagree"""
    server = start()
    user, other = unique("u"), unique("v")
    old, others = mint(user, iat=int(time.time()) - 5), mint(other, iat=int(time.time()) - 5)
    assert await verdicts(server, http, old) == {"ok"}
    before = http(server, "POST", f"/api/v1/users/{user}/revoke").json()["revoked_before"]
    if end == "kill":
        server.process.kill()  # the answer has promised it
        server.process.wait()
        server.forget()
        server = start(data=server.data)
        assert await verdicts(server, http, old) == {"token_revoked"}
    else:
        assert await verdicts(server, http, old) == {"token_revoked"}
        server.terminate()
        assert server.wait() == 0
        server = start(data=server.data)
        assert await verdicts(server, http, old) == {"token_revoked"}
    assert await verdicts(server, http, others) == {"ok"}
    assert await verdicts(server, http, mint(user, iat=before // 1000 + 1)) == {"ok"}


@clause("8.revoke", "A3")
async def test_a_user_is_one_user_however_the_token_spells_the_id(start, http):
    """§1: "`1` and `"1"` are one user" """
    server = start()
    assert http(server, "POST", "/api/v1/users/41/revoke").status_code == 200
    for spelled in (41, "41"):
        assert await verdicts(server, http, mint(spelled, iat=int(time.time()) - 5)) == {"token_revoked"}


@clause("8.revoke", "A3")
async def test_a_later_revocation_replaces_an_earlier_one_for_good(start, http):
    server = start()
    user = unique("u")
    path = f"/api/v1/users/{user}/revoke"
    first = http(server, "POST", path).json()["revoked_before"]
    between = mint(user, iat=first // 1000 + 1)
    assert await verdicts(server, http, between) == {"ok"}
    while int(time.time()) < first // 1000 + 1:
        await asyncio.sleep(0.05)
    http(server, "POST", path)
    assert await verdicts(server, http, between) == {"token_revoked"}
    server.terminate()
    assert server.wait() == 0
    assert await verdicts(start(data=server.data), http, between) == {"token_revoked"}
