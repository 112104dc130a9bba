"""Callers that wait for the same thing, each with a deadline of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import TidewireError

V = TypeVar("V")


class Waiters(Generic[V]):
    def __init__(self) -> None:
        self._futures: set[asyncio.Future[V]] = set()

    def wait(self, timeout: float, late: Callable[[], TidewireError]) -> asyncio.Future[V]:
        """A future that is settled with the others, or with the error that `late` gives once `timeout` has passed. To be
        awaited; whoever gives up cancels it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V] = loop.create_future()

        def expire() -> None:
            if not future.done():
                future.set_exception(late())

        timer = loop.call_later(timeout, expire)

        def done(_: asyncio.Future[V]) -> None:
            timer.cancel()
            self._futures.discard(future)

        future.add_done_callback(done)
        self._futures.add(future)
        return future

    def resolve(self, value: V) -> None:
        for future in tuple(self._futures):
            if not future.done():
                future.set_result(value)

    def reject(self, error: TidewireError) -> None:
        for future in tuple(self._futures):
            if not future.done():
                future.set_exception(error)


def ignore_result(future: asyncio.Future[V]) -> asyncio.Future[V]:
    """The same future; that it failed and nobody asked is not reported."""
    future.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)
    return future
