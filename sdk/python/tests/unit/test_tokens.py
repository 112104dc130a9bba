"""Tokens, against the vectors that the server's own tests read."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tidewire import DEVELOPMENT_SECRET, Grant, RefusedError, mint_token
from tidewire.tokens import sign

from ..support.server import ROOT

TOKENS = json.loads((ROOT / "spec/vectors/auth_tokens.json").read_text())
HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"


def payload_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


SIGNED = [one for one in TOKENS["vectors"] if "user" in one and one["token"].startswith(HEADER)]


@pytest.mark.parametrize("vector", SIGNED, ids=lambda vector: vector["name"])
def test_signs_as_the_shared_vectors_do(vector: dict[str, Any]) -> None:
    payload = payload_of(vector["token"])
    if any(isinstance(value, float) for value in payload.values()):
        pytest.skip("its numbers are spelled otherwise")
    assert sign(TOKENS["secret"].encode(), payload) == vector["token"]


def test_says_who_for_how_long_and_what_beyond_the_namespaces() -> None:
    token = mint_token(
        DEVELOPMENT_SECRET,
        7,
        ttl=60,
        type="admin",
        grants=[Grant("room:{user}:*", ("subscribe", "publish"))],
        tenant="acme",
        issuer="https://issuer",
        audience="app",
        claims={"name": "Ann"},
        now=1000.7,
    )
    assert payload_of(token) == {
        "sub": 7,
        "type": "admin",
        "iss": "https://issuer",
        "aud": "app",
        "iat": 1000,
        "exp": 1060,
        "tidewire": {"tenant": "acme", "grants": [{"channels": "room:{user}:*", "do": ["subscribe", "publish"]}]},
        "name": "Ann",
    }
    assert token.startswith(HEADER + ".") and "=" not in token


@pytest.mark.parametrize(
    "wrong",
    [
        {"user": ""},
        {"user": True},
        {"user": "a b"},
        {"secret": ""},
        {"secret": b""},
        {"ttl": 0},
        {"ttl": "1h"},
        {"grants": ["room:*"]},
        {"grants": [Grant("room:*", "subscribe")]},  # type: ignore[arg-type]
        {"grants": [Grant("room:*", ("everything",))]},  # type: ignore[arg-type]
        {"grants": [Grant("room:*", ())]},
        {"grants": [Grant(f"room:{i}") for i in range(1000)]},
        {"claims": {"sub": "x"}},
        {"claims": {"tidewire": {}}},
        {"claims": {"x": {1, 2}}},
        {"type": ""},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
def test_refuses_what_no_server_would_take(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"secret": "s", "user": "ann", **wrong}
    with pytest.raises(RefusedError):
        mint_token(arguments.pop("secret"), arguments.pop("user"), **arguments)
