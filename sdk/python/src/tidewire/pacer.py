"""The server's rate limit as the client knows it, so that requests wait here instead of being refused there: three
refusals within ten seconds start a penalty (docs/protocol.md, section 6). Pure; the time is handed in, in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .protocol import number_of


class Pacer:
    def __init__(self) -> None:
        self._per_s = math.inf
        self._burst = math.inf
        self._tokens = math.inf
        self._at = 0.0
        self._blocked_until = -math.inf

    def refill(self, limits: Mapping[str, Any], now: float) -> None:
        """A new connection: the bucket is full. Without limits nothing waits."""
        per_minute = number_of(limits.get("messages_per_minute")) or 0.0
        burst = number_of(limits.get("burst")) or 0.0
        known = per_minute > 0 and burst >= 1
        self._per_s = per_minute / 60 if known else math.inf
        self._tokens = self._burst = burst if known else math.inf
        self._at = now
        self._blocked_until = -math.inf

    def spend(self, now: float) -> float:
        """How long the next request must wait; 0: it may go, and has taken its token."""
        if now < self._blocked_until:
            return self._blocked_until - now
        if math.isinf(self._burst):
            return 0.0
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._per_s)
        self._at = now
        # What rounding leaves of a token counts as one, or a wait for the rest could be too short to pass.
        if self._tokens < 1 - 1e-9:
            return (1 - self._tokens) / self._per_s
        self._tokens = max(0.0, self._tokens - 1)
        return 0.0

    def refused(self, retry_after_s: float, now: float) -> None:
        """The server refused one all the same: others of this user share its limit, or the limit has been lowered."""
        self._blocked_until = max(self._blocked_until, now + retry_after_s)
        if math.isinf(self._burst):
            return
        # One token is there by then.
        self._tokens = 1.0
        self._at = self._blocked_until
