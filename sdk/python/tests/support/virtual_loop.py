"""An event loop whose clock jumps to the next timer as soon as nothing else is to be done. If nothing is ever to be done,
what is awaited would hang, and that is an error here."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class Hanging(Exception):
    """Something is awaited that nothing will ever settle."""


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:
            raise Hanging("nothing will ever happen")
        self.loop.virtual_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.virtual_s = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual_s
