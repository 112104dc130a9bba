"""When to come back after a connection has ended (docs/protocol.md, section 6, close codes)."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Literal

_BASE_S = 0.5
_CAP_S = 30.0

NextStep = Literal["retry", "slow", "token", "poison", "stop"]
"""`poison`: what was in flight caused the end, and must not be sent again. `token`: the next attempt needs another one."""


def backoff_s(attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Full jitter: anything between nothing and the exponential bound, so that clients cut off together spread out."""
    return chance() * min(_CAP_S, _BASE_S * 2.0 ** min(attempt, 16))


def after_close(code: int, reason: str, refusal: str = "") -> NextStep:
    """`refusal` is the code of an `auth_error` that came before the close."""
    if code == 1000:
        return "stop"
    if code in (1002, 1003, 1007, 1009):
        return "poison"
    why = refusal or reason
    if code != 1008 or why in ("unavailable", "message_timeout"):
        return "retry"
    return "token" if re.match(r"(token|user|auth)_", why) else "slow"
