"""Names and values that an application hands in, checked before they are sent (docs/protocol.md, section 1)."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from .errors import misuse

_CHARACTERS = "A-Za-z0-9._:@=,;!~+/#-"
_CHANNEL = re.compile(rf"[{_CHARACTERS}]{{1,255}}")
_USER = re.compile(rf"[{_CHARACTERS}]{{1,200}}")
_USER_MAX = 2**53 - 1
TTL_MAX_MS = 2**41


def check_channel(name: object) -> str:
    """The name, if it is one of a channel. Raises `invalid_argument` where it is not."""
    if isinstance(name, str) and _CHANNEL.fullmatch(name) and not name.startswith(":") and name.find(":") != len(name) - 1:
        return name
    raise misuse(f'{name!r} is no channel name like "room:lobby": up to 255 of {_CHARACTERS}')


def check_user(user: object) -> str | int:
    """The id, if it can be one of a user."""
    if isinstance(user, str) and _USER.fullmatch(user):
        return user
    if isinstance(user, int) and not isinstance(user, bool) and -_USER_MAX <= user <= _USER_MAX:
        return user
    raise misuse(f"{user!r} is no user id: an integer up to 2^53-1, or a string of 1 to 200 of {_CHARACTERS}")


def check_text(name: str, value: object, length: int) -> None:
    if value is None or (isinstance(value, str) and 0 < len(value) <= length):
        return
    raise misuse(f"`{name}` is a string of 1 to {length} characters")


def check_ttl(ttl_ms: object) -> None:
    if ttl_ms is None or (isinstance(ttl_ms, int) and not isinstance(ttl_ms, bool) and 1 <= ttl_ms <= TTL_MAX_MS):
        return
    raise misuse("`ttl_ms` is a whole number of milliseconds from 1 to 2^41")


def encode(message: Any) -> str:
    """The JSON text of a request. Done when the call is made, so that later changes to the value do not matter."""
    try:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise misuse(f"this can't be sent as JSON: {error}") from error
    return text


def random_key() -> str:
    """An idempotency key that nobody else has."""
    return secrets.token_urlsafe(16)
