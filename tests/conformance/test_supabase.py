"""`auth.preset = "supabase"` (requirement A4): tokens shaped as Supabase Auth makes them."""

from __future__ import annotations

import time
import uuid

import pytest
from client import Client, channel
from tokens import KeySetServer, jwk, mint, private_key

clause = pytest.mark.clause

JWT_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"
PROJECT = "abcdefghijklmnopqrst"
ISSUER = f"https://{PROJECT}.supabase.co/auth/v1"
SETTINGS = {"auth": {"preset": "supabase", "hs256_secret": JWT_SECRET, "issuer": ISSUER}}
SERVER = {"settings": SETTINGS}


def session_claims(user: str, **claims) -> dict:
    """What an access token of a signed-in user holds."""
    return {
        "iss": ISSUER,
        "sub": user,
        "aud": "authenticated",
        "email": "ada@example.com",
        "phone": "",
        "app_metadata": {"provider": "email", "providers": ["email"]},
        "user_metadata": {"email": "ada@example.com", "email_verified": True, "sub": user},
        "role": "authenticated",
        "aal": "aal1",
        "amr": [{"method": "password", "timestamp": int(time.time())}],
        "session_id": str(uuid.uuid4()),
        "is_anonymous": False,
    } | claims


def access_token(user: str, *, kid: str = "hSjvaAClMVk7YbMH", alg: str = "HS256", key=JWT_SECRET, **claims):
    return mint(alg=alg, key=key, kid=kid, **session_claims(user, **claims))


def project_key(role: str) -> str:
    """A project's API key: a token of the same secret that lives for ten years and names nobody."""
    return mint(key=JWT_SECRET, ttl_s=315360000, without=("sub",), iss="supabase", ref=PROJECT, role=role)


async def assert_refused(server, token: str, code: str = "token_invalid") -> None:
    client = await Client.connect(server, token, hello=False)
    first = await client.next()
    assert (first["type"], first["code"]) == ("auth_error", code), first
    assert await client.closed() == (1008, code)


@clause("9.auth.preset", "A4")
async def test_a_users_access_token_authenticates(server):
    user = str(uuid.uuid4())
    client = await Client.connect(server, access_token(user))
    assert client.hello["user"] == {"id": user, "type": "authenticated"}
    await client.subscribe(channel())


@clause("9.auth.preset", "A4")
async def test_an_anonymous_sign_in_is_a_user(server):
    user = str(uuid.uuid4())
    client = await Client.connect(server, access_token(user, is_anonymous=True, email="", app_metadata={}))
    assert client.hello["user"]["id"] == user and client.hello["authenticated"] is True


@clause("9.auth.preset", "A4")
@pytest.mark.parametrize("role", ["anon", "service_role"])
async def test_a_projects_api_key_is_no_user(server, role):
    await assert_refused(server, project_key(role))
    forged = mint(key=JWT_SECRET, **session_claims(str(uuid.uuid4()), role=role))
    await assert_refused(server, forged)


@clause("9.auth.preset", "A4")
async def test_type_and_rights_come_from_app_metadata_and_never_from_user_metadata(server):
    room, other = channel("public"), channel("public")
    rights = {"type": "creator", "tidewire": {"grants": [{"channels": room, "do": ["publish"]}]}}
    client = await Client.connect(server, access_token(str(uuid.uuid4()), app_metadata=rights))
    assert client.hello["user"]["type"] == "creator"
    await client.publish(room, {"n": 1})
    assert (await client.request({"type": "publish", "channel": other, "data": 1}))["code"] == "forbidden"

    own_words = rights | {"role": "admin", "name": "root"}
    client = await Client.connect(server, access_token(str(uuid.uuid4()), user_metadata=own_words))
    assert client.hello["user"]["type"] == "authenticated"
    assert (await client.request({"type": "publish", "channel": room, "data": 1}))["code"] == "forbidden"


@clause("9.auth.preset", "A4")
async def test_another_audience_issuer_or_secret_is_refused(server):
    user = str(uuid.uuid4())
    await assert_refused(server, access_token(user, aud="anon"))
    await assert_refused(server, access_token(user, iss="https://other.supabase.co/auth/v1"))
    await assert_refused(server, access_token(user, key="another-secret-with-at-least-32-characters"))
    await assert_refused(server, access_token(user, exp=int(time.time()) - 1), "token_expired")


@clause("9.auth.preset", "A4")
async def test_the_http_api_takes_the_same_tokens(server, http):
    room = channel()
    body = {"channel": room, "data": 1}
    good = http(server, "POST", "/api/v1/publish", key=access_token(str(uuid.uuid4())), json=body)
    assert good.status_code == 200, good.text
    refused = http(server, "POST", "/api/v1/publish", key=project_key("anon"), json=body)
    assert (refused.status_code, refused.json()["code"]) == (401, "token_invalid")


@clause("9.auth.preset", "A4")
async def test_a_project_with_signing_keys_needs_its_issuer_alone(start):
    """Asymmetric keys: the key set lies below the issuer."""
    with KeySetServer([jwk("p256", "f8a2e2b8-1c2d", "ES256")]) as keys:
        issuer = keys.url.removesuffix("/jwks.json") + "/auth/v1"
        server = start({"auth": {"preset": "supabase", "issuer": issuer, "hs256_secret": None}})
        user = str(uuid.uuid4())
        token = access_token(user, alg="ES256", key=private_key("p256"), kid="f8a2e2b8-1c2d", iss=issuer)
        client = await Client.connect(server, token)
        assert client.hello["user"]["id"] == user
        await assert_refused(server, access_token(user, iss=issuer))
