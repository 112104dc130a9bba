"""Tokens (JWT, HS256) that a back end signs for its users, with nothing but the standard library. The server checks them
with the same secret (`auth.hs256_secret`)."""

from __future__ import annotations

import base64
import hmac
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .errors import misuse
from .names import check_text, check_user, encode
from .protocol import UserId

Action = Literal["subscribe", "publish", "presence", "history"]

DEVELOPMENT_SECRET = "development-secret-not-for-production"  # noqa: S105
"""What `tidewire serve --dev` uses where nothing else is configured. Public knowledge."""

# The server takes no longer ones.
_TOKEN_MAX = 8192
_RESERVED = ("sub", "type", "iat", "exp", "nbf", "iss", "aud", "tidewire")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows beyond what the namespace does. In `channels` `*` matches any run of characters and `{user}` is
    the user's id."""

    channels: str
    do: tuple[Action, ...] = ("subscribe",)


def mint_token(
    secret: str | bytes,
    user: UserId,
    *,
    ttl: float = 3600.0,
    type: str | None = None,  # noqa: A002
    grants: Iterable[Grant] = (),
    tenant: str | None = None,
    issuer: str | None = None,
    audience: str | None = None,
    claims: Mapping[str, Any] | None = None,
    now: float | None = None,
) -> str:
    """A token of this user, valid for `ttl` seconds from `now` (as `time.time()` counts) on. `type` is the user's type,
    `claims` stand beside those that this function writes itself."""
    key = secret.encode() if isinstance(secret, str) else secret
    if not key:
        raise misuse("the secret is empty: give the server's auth.hs256_secret")
    if not isinstance(ttl, (int, float)) or not 0 < ttl < 2**40:
        raise misuse("`ttl` is a number of seconds above 0")
    for name, value in {"type": type, "tenant": tenant, "issuer": issuer, "audience": audience}.items():
        check_text(name, value, 255)
    issued_at = time.time() if now is None else now
    payload: dict[str, Any] = {"sub": check_user(user)}
    optional = {"type": type, "iss": issuer, "aud": audience}
    payload.update({name: value for name, value in optional.items() if value is not None})
    payload.update({"iat": int(issued_at), "exp": int(issued_at + ttl)})
    own: dict[str, Any] = {}
    if tenant is not None:
        own["tenant"] = tenant
    granted = [_grant(grant) for grant in grants]
    if granted:
        own["grants"] = granted
    if own:
        payload["tidewire"] = own
    for name, value in (claims or {}).items():
        if name in _RESERVED:
            raise misuse(f"`claims` can't set {name}: there is an argument for it, or it is written here")
        payload[name] = value
    token = sign(key, payload)
    if len(token) > _TOKEN_MAX:
        raise misuse(f"the token would be {len(token)} bytes long, and the server takes {_TOKEN_MAX}: give fewer grants")
    return token


def sign(key: bytes, payload: Mapping[str, Any]) -> str:
    """A JWT with this payload as it stands."""
    head = _base64url(b'{"alg":"HS256","typ":"JWT"}') + "." + _base64url(encode(payload).encode())
    return head + "." + _base64url(hmac.digest(key, head.encode(), "sha256"))


def _grant(grant: object) -> dict[str, Any]:
    if not isinstance(grant, Grant) or not isinstance(grant.channels, str) or not grant.channels:
        raise misuse('a grant is Grant("room:*", ("subscribe", "publish"))')
    known = get_args(Action)
    if isinstance(grant.do, str) or not grant.do or not all(action in known for action in grant.do):
        raise misuse(f"a grant's `do` is a tuple of {', '.join(known)}")
    return {"channels": grant.channels, "do": list(grant.do)}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
