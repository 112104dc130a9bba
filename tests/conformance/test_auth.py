"""Protocol §2, §6: tokens by four ways, every algorithm, every refusal, renewal and expiry."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from client import Client, channel, eventually, unique
from raw import exchange, upgrade_request
from server import API_KEY, SECRET
from tokens import KEY_OF_ALGORITHM, KeySetServer, b64, jwk, mint, private_key, public_pem, sign

clause = pytest.mark.clause
SERVER = {}
WAYS = ["header", "subprotocol", "query"]


async def by_way(server, way: str, token: str, **options) -> Client:
    """Connects with the token in one of the ways of the upgrade, without waiting for anything."""
    if way == "header":
        return await Client.connect(server, token, hello=False, **options)
    if way == "query":
        return await Client.connect(server, query=f"token={token}", hello=False, **options)
    offer = ["tidewire.v1", f"tidewire.token.{token}"]
    return await Client.connect(server, subprotocols=offer, hello=False, **options)


async def assert_refused(client: Client, code: str) -> None:
    """The only message is `auth_error` with this code; then 1008 with the code as reason."""
    first = await client.next()
    assert first["type"] == "auth_error", first
    assert first["code"] == code, first
    assert isinstance(first["message"], str)
    assert isinstance(first["retryable"], bool)
    assert await client.closed() == (1008, code)
    assert not client.inbox, client.inbox


async def assert_accepted(client: Client, user: object) -> None:
    hello = await client.next()
    assert hello["type"] == "connected", hello
    assert hello["authenticated"] is True and hello["user"]["id"] == user, hello


async def auth(client: Client, token: object = None, **fields):
    message = {"type": "auth", **fields}
    if token is not None:
        message["token"] = token
    return await client.request(message)


# -- the four ways


@clause("2.token-ways", "A1")
@pytest.mark.parametrize("way", WAYS)
async def test_a_token_by_each_way_of_the_upgrade_authenticates(server, way):
    """§2: "A token may come in four ways" """
    user = unique("u")
    client = await by_way(server, way, mint(user))
    await assert_accepted(client, user)
    assert client.ws.subprotocol == ("tidewire.v1" if way == "subprotocol" else None)


@clause("2.token-ways", "A1")
async def test_a_token_in_an_auth_message_authenticates(server):
    """§2: "after connecting, in an `auth` message"; §4: `auth_success` with user, capabilities, expires_at"""
    client = await Client.connect(server)
    exp = int(time.time()) + 900
    user = unique("u")
    reply = await auth(client, mint(user, exp=exp, type="creator"))
    assert reply["type"] == "auth_success", reply
    assert reply["user"] == {"id": user, "type": "creator"}
    assert set(client.hello["capabilities"]) < set(reply["capabilities"])
    assert reply["expires_at"] == exp * 1000
    await client.subscribe(channel())


@clause("2.token-ways", "A1")
async def test_api_ws_takes_a_token_too(server):
    """§2: "and the same under `/api/ws`" """
    await assert_accepted(await by_way(server, "query", mint("q"), path="/api/ws"), "q")


@clause("2.token-ways", "A1")
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
async def test_the_scheme_is_bearer_in_any_case(server, scheme):
    """§2: "Another scheme than `Bearer` (any case) counts as absent" """
    headers = {"Authorization": f"{scheme} {mint('alice')}"}
    await assert_accepted(await Client.connect(server, headers=headers, hello=False), "alice")


@clause("2.token-ways", "A1")
async def test_another_scheme_counts_as_absent(server):
    """§2: "Another scheme than `Bearer` (any case) counts as absent": alone it is anonymous, with a
    token in the query that one counts."""
    headers = {"Authorization": "Basic YTpi"}
    client = await Client.connect(server, headers=headers)
    assert client.hello["authenticated"] is False
    client = await by_way(server, "query", mint("alice"), headers=headers)
    await assert_accepted(client, "alice")


@clause("2.token-precedence", "A1")
async def test_the_first_token_present_counts(server):
    """§2: "the first one present counts": header before subprotocol before query"""
    a, b, c = mint("a"), mint("b"), mint("c")
    offer = ["tidewire.v1", f"tidewire.token.{b}"]
    query = f"token={c}"
    await assert_accepted(await Client.connect(server, a, subprotocols=offer, query=query, hello=False), "a")
    await assert_accepted(await Client.connect(server, subprotocols=offer, query=query, hello=False), "b")


@clause("2.token-precedence", "A1")
async def test_a_bad_token_does_not_fall_through_to_a_good_one(server):
    """§2: "if it is bad the connection is refused (no fall-through)" """
    good, bad = mint("alice"), mint("alice", key="another-secret-of-thirty-two-bytes-or-more")
    offer = ["tidewire.v1", f"tidewire.token.{bad}"]
    clients = [
        await Client.connect(server, bad, query=f"token={good}", hello=False),
        await Client.connect(server, subprotocols=offer, query=f"token={good}", hello=False),
    ]
    for client in clients:
        await assert_refused(client, "token_invalid")


@clause("2.token-missing", "A1")
async def test_an_empty_token_is_token_missing(server):
    """§2: "an empty token, or an `auth` without one, is `token_missing`" """
    await assert_refused(await Client.connect(server, query="token=", hello=False), "token_missing")
    offer = ["tidewire.v1", "tidewire.token."]
    await assert_refused(await Client.connect(server, subprotocols=offer, hello=False), "token_missing")


@clause("2.token-missing", "A1")
async def test_an_auth_without_a_token_is_token_missing(server):
    """§2: "an empty token, or an `auth` without one, is `token_missing`" """
    client = await Client.connect(server)
    for token in (None, ""):
        reply = await auth(client, token)
        assert (reply["type"], reply["code"]) == ("auth_error", "token_missing")
    assert (await client.request({"type": "ping"}))["type"] == "pong"


# -- algorithms


@clause("2.algorithms", "A2")
async def test_every_algorithm_with_its_static_key_is_accepted(start, tmp_path):
    """§9: "`[[auth.keys]]` with `alg`, `kid`, and `secret` or `file` (PEM or JWK)" """
    import json

    keys = []
    for alg, name in KEY_OF_ALGORITHM.items():
        file = tmp_path / f"{alg}.pem"
        if alg in ("ES384", "PS256"):
            file.write_text(json.dumps(jwk(name, f"k-{alg}", alg)))
        else:
            file.write_bytes(public_pem(name))
        keys.append({"alg": alg, "kid": f"k-{alg}", "file": str(file)})
    for bits in (256, 384, 512):
        keys.append({"alg": f"HS{bits}", "kid": f"k-HS{bits}", "secret": f"{SECRET}-{bits}" * 2})
    server = start({"auth": {"hs256_secret": None, "keys": keys}})

    async def one(alg: str):
        hmac = alg.startswith("HS")
        key = f"{SECRET}-{alg[2:]}" * 2 if hmac else private_key(KEY_OF_ALGORITHM[alg])
        token = mint("alice", alg=alg, key=key, kid=f"k-{alg}")
        await assert_accepted(await by_way(server, "header", token), "alice")
        forged = mint("alice", alg=alg, key=key, kid=f"k-{alg}")
        head, body, mac = forged.split(".")
        flipped = ("B" if mac[10] == "A" else "A").join([mac[:10], mac[11:]])
        client = await by_way(server, "header", f"{head}.{body}.{flipped}")
        await assert_refused(client, "token_invalid")

    await asyncio.gather(*(one(alg) for alg in [*KEY_OF_ALGORITHM, "HS256", "HS384", "HS512"]))


@clause("2.algorithms", "A2")
async def test_a_key_serves_its_own_algorithm_only(start, tmp_path):
    """A2: "each key bound to its algorithm; `none`, key confusion … refused" """
    pem = public_pem("rsa")
    (tmp_path / "rsa.pem").write_bytes(pem)
    (tmp_path / "ec.pem").write_bytes(public_pem("p256"))
    keys = [
        {"alg": "RS256", "kid": "rsa", "file": str(tmp_path / "rsa.pem")},
        {"alg": "ES256", "kid": "ec", "file": str(tmp_path / "ec.pem")},
    ]
    server = start({"auth": {"keys": keys}})
    rsa = private_key("rsa")
    body = {"sub": "alice", "exp": int(time.time()) + 600}
    bad = {
        "none": sign({"alg": "none"}, body, None, None),
        "None": sign({"alg": "None", "kid": "rsa"}, body, None, None),
        "none-with-kid": sign({"alg": "none", "kid": "rsa"}, body, None, None),
        "hmac-with-public-pem": mint("alice", alg="HS256", key=pem, kid="rsa"),
        "rs384-with-rs256-key": mint("alice", alg="RS384", key=rsa, kid="rsa"),
        "ps256-with-rs256-key": mint("alice", alg="PS256", key=rsa, kid="rsa"),
        "rs256-with-ec-kid": mint("alice", alg="RS256", key=rsa, kid="ec"),
        "hs512-with-hs256-secret": mint("alice", alg="HS512"),
        "empty-signature": mint("alice").rsplit(".", 1)[0] + ".",
        "unknown-alg": sign({"alg": "HS1024"}, body, "HS256", SECRET.encode()),
        "no-alg": sign({"typ": "JWT"}, body, "HS256", SECRET.encode()),
        "embedded-jwk": mint(
            "alice", alg="ES256", key=private_key("p256b"), header={"jwk": jwk("p256b", "x", "ES256")}
        ),
    }

    async def one(name: str, token: str):
        client = await by_way(server, "header", token)
        first = await client.next()
        assert first["type"] == "auth_error", (name, first)
        allowed = {"token_invalid", "token_malformed"} if name == "no-alg" else {"token_invalid"}
        assert first["code"] in allowed, (name, first)
        assert (await client.closed())[0] == 1008

    await asyncio.gather(*(one(*item) for item in bad.items()))
    await assert_accepted(await by_way(server, "header", mint("a", alg="RS256", key=rsa, kid="rsa")), "a")
    await assert_accepted(await by_way(server, "header", mint("b")), "b")


# -- every refusal


def bad_tokens() -> dict[str, tuple[str, str]]:
    now = int(time.time())
    head = {"alg": "HS256", "typ": "JWT"}
    secret = SECRET.encode()
    good = mint("alice")
    h, p, s = good.split(".")
    return {
        "two-segments": (f"{h}.{p}", "token_malformed"),
        "four-segments": (f"{good}.x", "token_malformed"),
        "one-word": ("garbage", "token_malformed"),
        "header-not-base64": (f"!!!.{p}.{s}", "token_malformed"),
        "payload-not-json": (sign(head, b"{nope", "HS256", secret), "token_malformed"),
        "header-not-json": (sign(b"{nope", {"sub": "a"}, "HS256", secret), "token_malformed"),
        "exp-string": (mint(exp=str(now + 600)), "token_malformed"),
        "nbf-string": (mint(nbf="soon"), "token_malformed"),
        "iat-object": (mint(iat={}), "token_malformed"),
        "wrong-secret": (mint(key="x" * 40), "token_invalid"),
        "expired": (mint(exp=now - 1), "token_expired"),
        "expired-long-ago": (mint(exp=1), "token_expired"),
        "not-yet": (mint(nbf=now + 600), "token_not_yet_valid"),
        "no-sub": (mint(without=("sub",)), "token_invalid"),
        "sub-null": (mint(None), "token_invalid"),
        "sub-object": (mint({"id": 1}), "token_invalid"),
        "sub-bool": (mint(True), "token_invalid"),
        "sub-empty": (mint(""), "token_invalid"),
        "sub-201": (mint("x" * 201), "token_invalid"),
        "sub-space": (mint("a b"), "token_invalid"),
        "sub-umlaut": (mint("ä"), "token_invalid"),
        "sub-fraction": (mint(1.5), "token_invalid"),
        "sub-2^53": (mint(2**53), "token_invalid"),
        "sub-exponent": (
            sign(head, b'{"sub":1e3,"exp":%d}' % (now + 600), "HS256", secret),
            "token_invalid",
        ),
        "sub-1.0": (
            sign(head, b'{"sub":1.0,"exp":%d}' % (now + 600), "HS256", secret),
            "token_invalid",
        ),
        "type-number": (mint(type=7), "token_invalid"),
        "unknown-kid": (mint(kid="nobody"), "token_invalid"),
        "crit": (mint(header={"crit": ["x"], "x": 1}), "token_invalid"),
        "wrong-signature-of-expired": (mint(exp=now - 1, key="x" * 40), "token_invalid"),
    }


@clause("2.token-codes", "A2")
async def test_every_bad_token_is_refused_with_its_code(server):
    """§2, §6: `token_malformed`, `token_invalid`, `token_expired`, `token_not_yet_valid`; "its only
    message is `auth_error`", "and closes with 1008" """

    async def one(name, token, code):
        try:
            await assert_refused(await by_way(server, "query", token), code)
        except AssertionError as error:
            return f"{name}: {error}"

    failures = await asyncio.gather(*(one(n, t, c) for n, (t, c) in bad_tokens().items()))
    assert not any(failures), "\n".join(f for f in failures if f)


@clause("2.auth-message", "A1", "A2")
async def test_a_bad_token_in_an_auth_message_leaves_the_connection_as_it_was(server):
    """§2: "`auth_error` with the request's `id`, and the connection stays as it was" """

    async def one(name, token, code):
        client = await Client.connect(server)
        reply = await auth(client, token)
        assert (reply["type"], reply["code"]) == ("auth_error", code), (name, reply)
        refused = await client.request({"type": "subscribe", "channel": "room:a"})
        assert refused["code"] == "unauthorized", name
        user = unique("u")
        assert (await auth(client, mint(user)))["user"]["id"] == user, name

    await asyncio.gather(*(one(n, t, c) for n, (t, c) in bad_tokens().items()))


@clause("7.grants", "A1")
async def test_a_token_has_so_many_grants_and_patterns_so_long(server):
    """Clarifications: "at most 64 grants, and the `channels` of each at most 512 bytes"; the refusal says it"""

    def of(*patterns):
        return mint("u", tidewire={"grants": [{"channels": p, "do": ["publish"]} for p in patterns]})

    client = await Client.connect(server)
    for patterns, bound in ((["r:x"] * 65, "64"), (["x" * 513], "512")):
        reply = await auth(client, of(*patterns))
        assert (reply["type"], reply["code"]) == ("auth_error", "token_invalid")
        assert bound in reply["message"]
    for patterns in (["r:x"] * 64, ["x" * 512]):
        assert (await auth(client, of(*patterns)))["type"] == "auth_success"


@clause("2.auth-message", "A1", "C7")
async def test_the_third_failure_on_one_connection_ends_it(server):
    """§2: "the third failure on one connection ends it with 1008 and that code as the reason" """
    client = await Client.connect(server)
    for i in range(2):
        reply = await auth(client, "bad", id=i)
        assert (reply["id"], reply["code"]) == (i, "token_malformed")
    await client.request({"type": "ping"})
    reply = await auth(client, mint(exp=5), id="third")
    assert (reply["type"], reply["code"]) == ("auth_error", "token_expired")
    assert await client.closed() == (1008, "token_expired")


@clause("2.auth-message", "A1", "M4")
async def test_failures_right_behind_a_success_are_answered_before_the_end(server):
    """§2: "`auth_error` with the request's `id` …; the third failure on one connection ends it" """
    client = await Client.connect(server)
    for i, token in enumerate([mint(unique("u")), "bad", "bad", "bad"]):
        await client.send({"type": "auth", "id": i, "token": token})
    assert (await client.expect(type="auth_success"))["id"] == 0
    assert [m["id"] for m in await client.take(3, type="auth_error")] == [1, 2, 3]
    assert await client.closed() == (1008, "token_malformed")


@clause("2.audience-issuer", "A2")
async def test_issuer_and_audience_must_match_where_configured(start):
    """§6: "`token_invalid` (signature, algorithm, issuer, audience)" """
    server = start({"auth": {"issuer": "https://issuer.example.org", "audience": "app"}})
    good = {"iss": "https://issuer.example.org", "aud": "app"}
    await assert_accepted(await by_way(server, "header", mint("a", **good)), "a")
    in_list = good | {"aud": ["other", "app"]}
    await assert_accepted(await by_way(server, "header", mint("a", **in_list)), "a")
    for change in ({"iss": "https://issuer.example.org/"}, {"iss": None}, {"aud": "App"}, {"aud": []}):
        await assert_refused(await by_way(server, "header", mint("a", **(good | change))), "token_invalid")
    for name in good:
        token = mint("a", without=(name,), **good)
        await assert_refused(await by_way(server, "header", token), "token_invalid")


@clause("2.require-exp", "A2")
async def test_require_exp_and_leeway_are_settings(start):
    """§2: "A token without `exp` is accepted unless `auth.require_exp`. Leeway is 0 unless `auth.leeway` says otherwise" """
    server = start({"auth": {"require_exp": True, "leeway": "30s"}})
    client = await by_way(server, "header", mint("a", ttl_s=None))
    assert (await client.next())["type"] == "auth_error"
    now = int(time.time())
    await assert_accepted(await by_way(server, "header", mint("a", exp=now - 10)), "a")
    await assert_accepted(await by_way(server, "header", mint("a", nbf=now + 10)), "a")
    await assert_refused(await by_way(server, "header", mint("a", exp=now - 40)), "token_expired")
    # As long as the token would be taken, the connection that it opened lives.
    now = int(time.time())
    client = await Client.connect(server, mint("a", exp=now - 27))
    await client.request({"type": "ping"})
    assert (await client.expect(type="auth_error"))["code"] == "token_expired"
    assert await client.closed() == (1008, "token_expired")
    assert time.time() >= now + 3
    await assert_refused(await by_way(server, "header", mint("a", nbf=now + 60)), "token_not_yet_valid")


@clause("9.no-key", "A2")
async def test_without_any_key_every_token_is_invalid(start):
    """§9: "Without any key configured the server starts, warns, and every token is `token_invalid`" """
    server = start({"auth": {"hs256_secret": None}})
    await assert_refused(await by_way(server, "header", mint()), "token_invalid")
    assert "warn" in server.log().lower()


# -- required


@clause("2.auth-required", "A1")
async def test_where_auth_is_required_only_ping_and_auth_are_served(start):
    """§2: "gets `connected` with `authenticated:false`, `user:null`, `capabilities:[]`; until it
    authenticates every request but `ping` and `auth` is `unauthorized`" """
    server = start({"auth": {"required": True, "timeout": "20s"}})
    client = await Client.connect(server)
    hello = client.hello
    assert (hello["authenticated"], hello["user"], hello["capabilities"]) == (False, None, [])
    requests = [
        {"type": "subscribe", "channel": "public:a"},
        {"type": "unsubscribe", "channel": "public:a"},
        {"type": "publish", "channel": "public:a", "data": 1},
        {"type": "history", "channel": "public:a"},
        {"type": "presence", "channel": "room:a", "action": "get"},
        {"type": "ack", "channel": "user:1", "up_to": 1},
    ]
    for request in requests:
        await client.refused(request, "unauthorized")
    assert (await client.request({"type": "ping"}))["type"] == "pong"
    assert (await auth(client, mint("late")))["type"] == "auth_success"
    await client.subscribe(channel())


@clause("2.auth-timeout", "A1")
async def test_after_the_timeout_comes_auth_timeout_and_1008(start):
    """§2: "after `auth.timeout` (10 s) it gets `auth_error` with `auth_timeout`, and 1008"; whoever
    has authenticated by then stays"""
    server = start({"auth": {"required": True, "timeout": "1s"}})
    stays = await Client.connect(server)
    assert (await auth(stays, mint()))["type"] == "auth_success"
    also = await by_way(server, "query", mint("b"))
    await assert_accepted(also, "b")
    late = await Client.connect(server)
    error = await late.expect(type="auth_error")
    assert error["code"] == "auth_timeout"
    assert await late.closed() == (1008, "auth_timeout")
    for client in (stays, also):
        assert (await client.request({"type": "ping"}))["type"] == "pong"


@clause("9.auth-required", "A1")
async def test_auth_is_required_by_default_outside_development(start):
    """§9: "`auth.required` — `false` in development, `true` otherwise" """
    server = start({"auth": {"required": None}})
    assert (await Client.connect(server)).hello["capabilities"] == []


# -- auth.reject = http


@clause("2.auth-reject", "A1", "C1")
async def test_reject_http_answers_401_to_a_bad_token(start):
    """§2: "(`auth.reject = "http"` in the configuration answers 401 instead.)"; §6: 401 for all `token_*`"""
    server = start({"auth": {"reject": "http"}})
    for token, code in ((mint(exp=5), "token_expired"), ("garbage", "token_malformed")):
        request = upgrade_request(server, headers={"Authorization": f"Bearer {token}"})
        response = await exchange(server, request)
        assert response.status == 401, response
        assert response.header("content-type").startswith("application/problem+json")
        assert f'"{code}"'.encode() in response.body.replace(b" ", b"")
    await assert_accepted(await by_way(server, "query", mint("a")), "a")


# -- renewal, expiry


@clause("4.auth", "A3")
async def test_an_auth_on_an_authenticated_connection_renews_the_token(server):
    """§4: "On an authenticated connection it renews the token" """
    now = int(time.time())
    client = await Client.connect(server, mint("alice", exp=now + 4))
    assert (await client.expect(type="auth_expiring"))["expires_at"] == (now + 4) * 1000
    reply = await auth(client, mint("alice", exp=now + 900))
    assert (reply["type"], reply["expires_at"]) == ("auth_success", (now + 900) * 1000)
    await asyncio.sleep(max(0, now + 5 - time.time()))  # past the old end
    assert (await client.request({"type": "ping"}))["type"] == "pong"
    assert not [m for m in client.inbox if m["type"] == "auth_error"]


@clause("4.auth", "A3")
async def test_another_users_token_is_user_mismatch_and_the_old_one_stays(server):
    """§4: "the user must stay the same (`user_mismatch` otherwise, and the old token stays in force)" """
    client = await Client.connect(server, mint("alice"))
    reply = await auth(client, mint("bob"))
    assert (reply["type"], reply["code"]) == ("auth_error", "user_mismatch")
    name = channel()
    await client.subscribe(name)
    await client.publish(name, 1)
    assert (await client.deliveries(name, 1))[0]["from"]["user"]["id"] == "alice"


@clause("4.auth", "A3")
async def test_a_renewal_by_the_same_user_in_another_json_type_is_no_mismatch(server):
    """§1: "identity is that form: `1` and `"1"` are one user" """
    client = await Client.connect(server, mint(1))
    assert (await auth(client, mint("1")))["type"] == "auth_success"


@clause("5.auth_expiring", "A3")
async def test_expiry_is_warned_of_and_then_enforced(server):
    """§5: "a minute before the token ends (at once, if it lives shorter). At its end: `auth_error`
    with `token_expired`, then 1008" """
    exp = int(time.time()) + 4
    client = await Client.connect(server, mint("alice", exp=exp))
    warning = await client.next()
    assert (warning["type"], warning["expires_at"]) == ("auth_expiring", exp * 1000)
    error = await client.next()
    assert (error["type"], error["code"]) == ("auth_error", "token_expired")
    assert time.time() >= exp
    assert await client.closed() == (1008, "token_expired")


@clause("5.auth_expiring", "A3")
async def test_a_token_that_lives_long_is_not_warned_of_at_once(server):
    """§5: "a minute before the token ends" """
    client = await Client.connect(server, mint(exp=int(time.time()) + 120))
    assert await client.barrier() == []


@clause("2.token-ways", "A1")
@pytest.mark.parametrize("tail", ["%zz", "%", "%2", "jwt%zz"])
async def test_a_token_that_is_badly_encoded_is_there_all_the_same(server, tail):
    """§2: "the first one present counts, and if it is bad the connection is refused (no fall-through)" """
    token = tail.replace("jwt", mint("alice"))
    await assert_refused(await by_way(server, "query", token), "token_malformed")


@clause("2.token-ways", "A1")
@pytest.mark.parametrize("way", WAYS)
async def test_an_api_key_in_a_tokens_place_is_named_as_one(server, way):
    """§2: a token is the user's; a key is for HTTP calls (§8)"""
    client = await by_way(server, way, API_KEY)
    first = await client.next()
    assert (first["type"], first["code"]) == ("auth_error", "token_malformed"), first
    assert "API key" in first["message"] and "token (JWT)" in first["message"], first


# -- repeated failures


@clause("2.attempts", "C7")
async def test_a_badly_encoded_token_is_a_failed_attempt(start):
    server = start({"auth": {"attempts_per_minute": 3, "attempts_penalty": "30s"}})
    for _ in range(3):
        await assert_refused(await by_way(server, "query", "%zz"), "token_malformed")
    client = await by_way(server, "query", mint("alice"))
    assert await client.closed() == (1008, "Too many failed connection attempts")


@clause("2.attempts", "C7")
async def test_too_many_failures_of_an_address_are_refused_until_the_penalty_ends(start):
    """§2: "Repeated failures from one address, 10 in a minute by default, are answered at once with
    close 1008 and the reason `Too many failed connection attempts`, until the penalty ends"; "(its
    only message is `auth_error`) or its address (none)" """
    server = start({"auth": {"attempts_per_minute": 10, "attempts_penalty": "2s"}})
    for _ in range(10):
        await assert_refused(await by_way(server, "query", mint(exp=5)), "token_expired")
    for token in ("garbage", mint("alice")):
        client = await by_way(server, "query", token)
        assert await client.closed() == (1008, "Too many failed connection attempts")
        assert not client.inbox
    elsewhere = await by_way(server, "query", mint("alice"), local="127.0.0.9")
    await assert_accepted(elsewhere, "alice")

    async def again():
        client = await by_way(server, "query", mint("alice"))
        try:
            return (await client.next())["type"] == "connected"
        except AssertionError:
            return False

    await eventually(again, "the end of the penalty")
    for _ in range(5):
        await assert_accepted(await by_way(server, "query", mint("alice")), "alice")


@clause("2.attempts", "C7")
async def test_failures_in_auth_messages_count_for_the_address(start):
    """§2: "each counts as a failed attempt of the address" """
    server = start({"auth": {"attempts_per_minute": 4, "attempts_penalty": "30s"}})
    for _ in range(2):
        client = await Client.connect(server)
        for _ in range(2):
            assert (await auth(client, "bad"))["code"] == "token_malformed"
    refused = await Client.connect(server, mint(), hello=False)
    assert await refused.closed() == (1008, "Too many failed connection attempts")


@clause("2.attempts", "O4", "C7")
@pytest.mark.parametrize("way", ["query", "message", "sse", "http"])
async def test_a_refused_token_is_logged_however_it_came_and_not_while_its_address_is_turned_away(start, http, way):
    """Requirement O4: the same line for all, with the code, the reason and the address, and never the token;
    then one that the address is turned away, and for how long"""
    server = start({"auth": {"attempts_per_minute": 2, "attempts_penalty": "30s"}, "log": {"format": "json"}})
    bad = mint("mallory", key="another-secret-of-more-than-thirty-two-bytes")
    talker = await Client.connect(server)

    async def show(expected: int):
        if way == "query":
            await (await by_way(server, "query", bad)).closed()
        elif way == "message":
            assert (await auth(talker, bad))["code"] == "token_invalid"
        elif way == "sse":
            assert http(server, "GET", f"/sse?channels=room:a&token={bad}", key=None).status_code == expected
        else:
            call = http(server, "GET", "/api/v1/websocket/connection-health", key=bad)
            assert call.status_code == expected

    for status in (401, 401, 429):
        await show(status)
    await assert_refused(await by_way(server, "query", bad, local="127.0.0.9"), "token_invalid")

    def refusals():
        return [line for line in map(json.loads, server.log().split("\n")[:-1]) if line["event"] == "token refused"]

    await eventually(lambda: any(line["address"] == "127.0.0.9" for line in refusals()), "the last line")
    lines = refusals()
    assert [line["address"] for line in lines] == ["127.0.0.1", "127.0.0.1", "127.0.0.9"]
    assert {line["code"] for line in lines} == {"token_invalid"}
    assert all(line["reason"] and set(line) == set(lines[0]) for line in lines)
    assert bad not in server.log() and bad.split(".")[2] not in server.log()
    (turned_away,) = [line for line in map(json.loads, server.log().splitlines()) if line["event"] == "address turned away"]
    assert (turned_away["level"], turned_away["address"], turned_away["for_ms"]) == ("warn", "127.0.0.1", 30_000)
    assert "\ntidewire_auth_penalties_total 1\n" in http(server, "GET", "/metrics").text


@clause("2.attempts", "C7")
async def test_a_success_is_not_a_failure(start):
    """C7: good connections never add up to a refusal."""
    server = start({"auth": {"attempts_per_minute": 3, "attempts_penalty": "30s"}})
    for _ in range(12):
        await assert_accepted(await by_way(server, "query", mint("alice")), "alice")


@clause("2.attempts", "C7")
async def test_with_reject_http_the_refusal_is_429_with_retry_after(start, http):
    """§2: "(429 with `Retry-After` on `/sse`, on HTTP calls with a user's token, and with
    `auth.reject = "http"`; a valid API key is never refused for it)" """
    server = start({"auth": {"reject": "http", "attempts_per_minute": 3, "attempts_penalty": "30s"}})
    bad = upgrade_request(server, headers={"Authorization": "Bearer garbage"})
    for _ in range(3):
        assert (await exchange(server, bad)).status == 401
    good = upgrade_request(server, headers={"Authorization": f"Bearer {mint()}"})
    response = await exchange(server, good)
    assert response.status == 429, response
    assert int(response.header("retry-after")) >= 1
    call = http(server, "POST", "/api/v1/publish", key=mint(), json={"channel": "room:a", "data": 1})
    assert call.status_code == 429 and int(call.headers["retry-after"]) >= 1
    call = http(server, "POST", "/api/v1/publish", json={"channel": "room:a", "data": 1})
    assert call.status_code == 200, call.text


@clause("2.attempts", "C7")
async def test_behind_a_trusted_proxy_the_forwarded_address_counts(start):
    """§2: "Behind a proxy the address is the right-most one in `X-Forwarded-For` that
    `server.trusted_proxies` does not list" """
    server = start(
        {
            "auth": {"attempts_per_minute": 2, "attempts_penalty": "30s"},
            "server": {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]},
        }
    )
    guilty = {"X-Forwarded-For": "203.0.113.9, 198.51.100.1, 10.1.1.1"}
    for _ in range(2):
        client = await by_way(server, "query", "garbage", headers=guilty)
        await assert_refused(client, "token_malformed")
    client = await by_way(server, "query", mint(), headers=guilty)
    assert await client.closed() == (1008, "Too many failed connection attempts")
    for other in ("203.0.113.9", "198.51.100.2", "198.51.100.1, 198.51.100.2"):
        client = await by_way(server, "query", mint("a"), headers={"X-Forwarded-For": other})
        await assert_accepted(client, "a")


@clause("2.handshake", "P8")
@pytest.mark.parametrize("proto, status", [("https", 101), ("HTTPS", 101), ("wss", 101), ("https, http", 101), ("http", 403), ("ws", 403), (None, 403)])
async def test_behind_a_trusted_proxy_the_scheme_is_the_one_that_it_names(start, http, proto, status):
    """§2: "scheme, host and port are compared"; §9: "same host otherwise": a page on the proxy's own
    host is at home"""
    forwarded = {"Host": "tide.example", "Origin": "https://tide.example", "X-Forwarded-Proto": proto}
    for proxies, expected in ((["127.0.0.1"], status), ([], 403)):
        server = start({"server": {"trusted_proxies": proxies}})
        assert (await exchange(server, upgrade_request(server, headers=forwarded))).status == expected
        fields = {name: value for name, value in forwarded.items() if value}
        answer = http(server, "GET", "/healthz", headers=fields)
        shared = answer.headers.get("Access-Control-Allow-Origin")
        assert shared == ("https://tide.example" if expected == 101 else None)


# -- key sets


def jwks_settings(url: str, **auth) -> dict:
    return {"auth": {"hs256_secret": None, "jwks_url": url, **auth}}


@clause("9.jwks", "A2")
async def test_a_key_set_serves_tokens_and_is_fetched_once(start):
    """§9: `auth.jwks_url`; A2: "a JWKS URL with caching" """
    keys = [
        jwk("rsa", "r", "RS256"),
        jwk("p256", "e", "ES256"),
        jwk("ed25519", "d", "EdDSA"),
        jwk("p384", "no-alg", None),
    ]
    with KeySetServer(keys) as key_set:
        server = start(jwks_settings(key_set.url))
        tokens = [
            mint("a", alg="RS256", key=private_key("rsa"), kid="r"),
            mint("a", alg="ES256", key=private_key("p256"), kid="e"),
            mint("a", alg="EdDSA", key=private_key("ed25519"), kid="d"),
            mint("a", alg="ES384", key=private_key("p384"), kid="no-alg"),
        ]
        for _ in range(3):
            for token in tokens:
                await assert_accepted(await by_way(server, "header", token), "a")
        assert key_set.hits == 1
        confused = mint("a", alg="RS512", key=private_key("rsa"), kid="r")
        await assert_refused(await by_way(server, "header", confused), "token_invalid")


@clause("9.jwks", "A2")
async def test_a_rotated_key_set_is_fetched_for_an_unknown_kid(start):
    """§9: "an unknown `kid` refetches at most this often [auth.jwks_min_refresh]" """
    with KeySetServer([jwk("p256", "old", "ES256")]) as key_set:
        server = start(jwks_settings(key_set.url, jwks_min_refresh="1s"))
        old = mint("a", alg="ES256", key=private_key("p256"), kid="old")
        new = mint("a", alg="ES256", key=private_key("p256b"), kid="new")
        await assert_accepted(await by_way(server, "header", old), "a")
        key_set.keys = [jwk("p256b", "new", "ES256")]

        async def accepted():
            client = await by_way(server, "header", new)
            return (await client.next())["type"] == "connected"

        await eventually(accepted, "the new key")
        await assert_refused(await by_way(server, "header", old), "token_invalid")


@clause("9.jwks", "A2", "P7")
async def test_a_storm_of_unknown_kids_does_not_storm_the_key_set(start):
    """§9: "an unknown `kid` refetches at most this often" """
    with KeySetServer([jwk("p256", "k", "ES256")]) as key_set:
        server = start(jwks_settings(key_set.url, jwks_min_refresh="30s"))
        good = mint("a", alg="ES256", key=private_key("p256"), kid="k")
        await assert_accepted(await by_way(server, "header", good), "a")

        async def one(i):
            token = mint("a", alg="ES256", key=private_key("p256b"), kid=f"no-{i}")
            await assert_refused(await by_way(server, "header", token), "token_invalid")

        await asyncio.gather(*(one(i) for i in range(20)))
        assert key_set.hits <= 2


@clause("9.jwks", "A2")
async def test_oct_keys_of_a_set_are_ignored(start):
    """§9: "`oct` keys ignored" """
    secret = b"a-symmetric-key-that-stands-in-a-public-set"
    oct_key = {"kty": "oct", "kid": "s", "alg": "HS256", "k": b64(secret)}
    with KeySetServer([oct_key, jwk("p256", "e", "ES256")]) as key_set:
        server = start(jwks_settings(key_set.url, jwks_min_refresh="1s"))
        token = mint("a", alg="HS256", key=secret, kid="s")
        await assert_refused(await by_way(server, "header", token), "token_invalid")
        token = mint("a", alg="ES256", key=private_key("p256"), kid="e")
        await assert_accepted(await by_way(server, "header", token), "a")


@clause("9.jwks", "A2", "P5")
async def test_a_key_set_that_was_never_fetched_is_unavailable(start):
    """§9: "never fetched yet and down: `unavailable`"; it recovers by itself"""
    with KeySetServer([jwk("p256", "e", "ES256")]) as key_set:
        key_set.status = 500
        server = start(jwks_settings(key_set.url, jwks_min_refresh="1s"))
        token = mint("a", alg="ES256", key=private_key("p256"), kid="e")
        client = await by_way(server, "header", token)
        first = await client.next()
        assert (first["type"], first["code"]) == ("auth_error", "unavailable"), first
        assert first["retryable"] is True
        assert (await client.closed())[0] is not None
        key_set.status = 200

        async def accepted():
            client = await by_way(server, "header", token)
            return (await client.next())["type"] == "connected"

        await eventually(accepted, "a key set that is up again", timeout_s=15)


@clause("9.jwks", "A2", "P5")
async def test_a_fetched_key_set_outlives_its_server(start):
    """§9: "never fetched yet and down": what was fetched serves on."""
    with KeySetServer([jwk("p256", "e", "ES256")]) as key_set:
        server = start(jwks_settings(key_set.url, jwks_refresh="1s", jwks_min_refresh="1s"))
        token = mint("a", alg="ES256", key=private_key("p256"), kid="e")
        await assert_accepted(await by_way(server, "header", token), "a")
        key_set.status = 503
        hits = key_set.hits
        await eventually(lambda: key_set.hits > hits, "a refetch")
        await assert_accepted(await by_way(server, "header", token), "a")


# -- secrets


@clause("2.query-not-logged", "P8", "A1")
async def test_a_token_is_never_written_to_the_log(start):
    """§2: "The server never writes it to a log", at the most talkative level either"""
    server = start(args=("--log-level", "trace"))
    tokens = [mint("alice"), mint("alice", exp=5), "secret-garbage-in-place-of-a-token"]
    for token in tokens:
        for way in WAYS:
            client = await by_way(server, way, token)
            await client.next()
    client = await Client.connect(server)
    for token in tokens:
        await auth(client, token)
    server.terminate()
    server.wait()
    for token in tokens:
        assert token.rsplit(".", 1)[-1] not in server.log()
