"""Requests and their answers. Each is sent when there is a connection and the rate limit has room, sent again where that
is safe, and always settled: by its answer, its deadline, or an error.

Invariant: until it is settled, a request is in `_in_flight`, or in `_queue` (in the order of the calls), or behind the
first of its lane, which alone is in one of these. So a lane keeps its order whatever is refused."""

from __future__ import annotations

import asyncio
import bisect
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import TidewireError, error_of, make_error
from .pacer import Pacer
from .protocol import Wire, number_of

_TRY_AGAIN_MS = 1000.0
# These have no share in the rate limit.
_UNCOUNTED = frozenset({"ping", "auth", "ack", "unsubscribe"})
# More than an application can wait for; a loop that forgets to await shall not fill the memory.
PENDING_MAX = 20_000


@dataclass(frozen=True, slots=True)
class CallOptions:
    timeout: float
    lane: str | None = None
    """Of one lane only one request is in flight."""
    repeatable: bool = False
    """It may be sent again when a connection has ended without an answer."""
    first: bool = False
    """It is sent before all others that wait."""
    collect: Callable[[Wire], bool] | None = None
    """Several answers: true when this was the last one. It is asked for errors too. The time of such a request begins
    when it is sent, and anew with each answer."""


@dataclass(eq=False, slots=True)
class _Pending:
    id: int
    type: str
    order: int
    text: Callable[[], str | None]
    options: CallOptions
    future: asyncio.Future[Wire]
    not_before: float = -math.inf
    refusal: TidewireError | None = None
    timer: asyncio.TimerHandle | None = field(default=None)


class Calls:
    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._queue: list[_Pending] = []
        self._in_flight: dict[int, _Pending] = {}
        # All of one lane, the first one first.
        self._lanes: dict[str, deque[_Pending]] = {}
        self._count = 0
        self._pacer = Pacer()
        self._online = False
        self._bytes_max = math.inf
        self._next_id = 1
        self._timer: asyncio.TimerHandle | None = None
        self._scheduled = False

    def call(self, kind: str, text: Callable[[], str | None], options: CallOptions) -> asyncio.Future[Wire]:
        """The text is asked for when the request is sent, and comes without its `id`, as `{"type":...}`; None: there is
        nothing to do any more. Cancelling the future gives the request up."""
        future: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()
        if self._count >= PENDING_MAX:
            future.set_exception(make_error("overflow", f"{PENDING_MAX} requests wait already", request=kind))
            return future
        pending = _Pending(self._next_id, kind, self._next_id - (2**52 if options.first else 0), text, options, future)
        self._next_id += 1
        self._count += 1
        future.add_done_callback(lambda _: self._forget(pending))
        if options.collect is None:
            self._arm(pending)
        line = None if options.lane is None else self._lanes.get(options.lane)
        if line is not None:
            line.append(pending)
        else:
            if options.lane is not None:
                self._lanes[options.lane] = deque([pending])
            self._enqueue(pending)
        return future

    def online(self, limits: Mapping[str, Any]) -> None:
        """A connection is there."""
        self._online = True
        self._bytes_max = number_of(limits.get("message_bytes")) or math.inf
        self._pacer.refill(limits, self._now())
        self._pump()

    def offline(self, poison: TidewireError | None = None) -> None:
        """The connection has ended. `poison`: what was in flight caused it, and is not sent again."""
        self._online = False
        lost = list(self._in_flight.values())
        self._in_flight.clear()
        for pending in lost:
            if pending.options.repeatable and poison is None:
                self._enqueue(pending)
            else:
                text = f"no answer to {pending.type} before the connection ended"
                self._fail(pending, poison or make_error("connection_lost", text, request=pending.type))

    def fail_all(self, error: TidewireError) -> None:
        """Settles everything."""
        all_of_them = {*self._in_flight.values(), *self._queue, *(one for line in self._lanes.values() for one in line)}
        # Nothing moves up.
        self._lanes.clear()
        self._queue.clear()
        self._in_flight.clear()
        for pending in sorted(all_of_them, key=lambda one: one.order):
            self._fail(pending, error)

    def settle(self, answer: Wire) -> None:
        """An answer, perhaps to a request that nobody waits for any more."""
        request_id = answer.get("id")
        pending = self._in_flight.get(request_id) if isinstance(request_id, int) else None
        if pending is None:
            return
        collect = pending.options.collect
        error = error_of(answer) if answer["type"].endswith("error") else None
        if error is not None and self._try_again(pending, error, answer):
            return
        if collect is not None:
            if collect(answer):
                self._succeed(pending, answer)
            else:
                self._arm(pending)
        elif error is not None:
            self._fail(pending, error)
        else:
            self._succeed(pending, answer)

    def _try_again(self, pending: _Pending, error: TidewireError, answer: Wire) -> bool:
        """The server did not do it, and may do it later."""
        limited = error.code == "rate_limited"
        if not limited and not (error.code == "unavailable" and pending.options.repeatable):
            return False
        if pending.options.collect is not None and answer.get("channel") is not None:
            return False
        retry_after = max((_TRY_AGAIN_MS if error.retry_after_ms is None else error.retry_after_ms) / 1000, 0.01)
        if limited and pending.type not in _UNCOUNTED:
            self._pacer.refused(retry_after, self._now())
        else:
            pending.not_before = self._now() + retry_after
        pending.refusal = error
        if pending.options.collect is not None and pending.timer is not None:
            pending.timer.cancel()
        self._in_flight.pop(pending.id, None)
        self._enqueue(pending)
        return True

    def _arm(self, pending: _Pending) -> None:
        if pending.timer is not None:
            pending.timer.cancel()
        timeout = pending.options.timeout

        def late() -> None:
            text = f"no answer to {pending.type} within {timeout} s"
            self._fail(pending, pending.refusal or make_error("timeout", text, request=pending.type))

        pending.timer = asyncio.get_running_loop().call_later(timeout, late)

    def _succeed(self, pending: _Pending, answer: Wire) -> None:
        self._leave(pending)
        if not pending.future.done():
            pending.future.set_result(answer)

    def _fail(self, pending: _Pending, error: TidewireError) -> None:
        self._leave(pending)
        if not pending.future.done():
            pending.future.set_exception(error)

    def _forget(self, pending: _Pending) -> None:
        """Runs once for each, when its future is done: by an answer, or because who waited has been cancelled."""
        self._count -= 1
        self._leave(pending)

    def _leave(self, pending: _Pending) -> None:
        """It is over, and the next one of its lane moves up."""
        if pending.timer is not None:
            pending.timer.cancel()
        self._drop(pending)
        lane = pending.options.lane
        line = None if lane is None else self._lanes.get(lane)
        if lane is None or line is None or pending not in line:
            return
        was_first = line[0] is pending
        line.remove(pending)
        if not line:
            del self._lanes[lane]
        elif was_first:
            self._enqueue(line[0])

    def _drop(self, pending: _Pending) -> None:
        self._in_flight.pop(pending.id, None)
        if pending in self._queue:
            self._queue.remove(pending)

    def _enqueue(self, pending: _Pending) -> None:
        bisect.insort(self._queue, pending, key=lambda one: one.order)
        if not self._scheduled:
            # One turn's calls go together: a batch of subscriptions is made when it is sent.
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._pump()

    def _pump(self) -> None:
        """Sends what may be sent now, and comes back when more may."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._online:
            return
        now = self._now()
        wake = math.inf
        pace = 0.0
        for pending in tuple(self._queue):
            wait = pending.not_before - now
            if wait <= 0 and pending.type not in _UNCOUNTED:
                pace = pace or self._pacer.spend(now)
                wait = pace
            if wait > 0:
                wake = min(wake, wait)
            else:
                self._transmit(pending)
        if wake < math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(wake, 0.001), self._pump)

    def _transmit(self, pending: _Pending) -> None:
        self._drop(pending)
        text = pending.text()
        if text is None:
            return self._succeed(pending, {"type": ""})
        whole = f'{text[:-1]},"id":{pending.id}}}'
        # A character is at most four bytes of UTF-8.
        if len(whole) * 4 > self._bytes_max and len(whole.encode()) > self._bytes_max:
            too_large = make_error("too_large", f"over the server's limit of {self._bytes_max:.0f} bytes", request=pending.type)
            return self._fail(pending, too_large)
        self._in_flight[pending.id] = pending
        pending.refusal = None
        if pending.options.collect is not None:
            self._arm(pending)
        self._send(whole)
        return None

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
