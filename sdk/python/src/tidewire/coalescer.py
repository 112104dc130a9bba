"""Values that come faster than they may be sent: what comes while one is on its way, or too soon after it, becomes one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import TidewireError
from .link import Link
from .protocol import Published, number_of
from .waiters import ignore_result

V = TypeVar("V")

_INTERVAL_S = 0.1


class Coalescer(Generic[V]):
    def __init__(self, merge: Callable[[V, V], V], send: Callable[[V], asyncio.Future[Published]], link: Link) -> None:
        self._merge = merge
        self._send = send
        self._link = link
        self._next: tuple[V, asyncio.Future[Published]] | None = None
        self._in_flight = 0
        self._sent_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def add(self, value: V) -> asyncio.Future[Published]:
        """A future that ends as that does which the value goes with. One that nobody waits for harms nobody."""
        if self._next is None:
            self._next = (value, ignore_result(asyncio.get_running_loop().create_future()))
            self._schedule()
        else:
            self._next = (self._merge(self._next[0], value), self._next[1])
        # One who gives up waiting shall not end the wait of the others.
        return ignore_result(asyncio.shield(self._next[1]))

    def flush(self) -> None:
        """Sends what waits, so that what is sent after this comes after it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._next is None:
            return
        (value, result), self._next = self._next, None
        self._sent_at = asyncio.get_running_loop().time()
        self._in_flight += 1

        def answered(sent: asyncio.Future[Published]) -> None:
            self._in_flight -= 1
            error = None if sent.cancelled() else sent.exception()
            if sent.cancelled():
                result.cancel()
            elif error is not None:
                result.set_exception(error)
            else:
                result.set_result(sent.result())
            self._schedule()

        try:
            self._send(value).add_done_callback(answered)
        except TidewireError as error:
            self._in_flight -= 1
            result.set_exception(error)

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._next is None or self._in_flight:
            return
        # Half of what the rate limit takes, so that it has room for others, and ten times a second at most.
        session = self._link.session
        per_minute = number_of(session.limits.get("messages_per_minute")) if session is not None else None
        interval = max(_INTERVAL_S, 120 / per_minute if per_minute else 0)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._sent_at + interval - loop.time()), self.flush)
