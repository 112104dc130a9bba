"""What a channel needs of its client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from .connection import ConnectionState
from .errors import TidewireError
from .protocol import Published, Session, Wire


class Subscribable(Protocol):
    """A channel as a batch of subscriptions sees it."""

    @property
    def name(self) -> str: ...

    @property
    def resumable(self) -> bool:
        """There is a position to resume from."""

    @property
    def wanted(self) -> bool:
        """It has not been given up meanwhile."""

    def entry(self) -> dict[str, Any]: ...

    def answered(self, answer: Wire) -> None: ...

    def refused(self, error: TidewireError) -> None: ...


class Link(Protocol):
    @property
    def state(self) -> ConnectionState: ...

    @property
    def session(self) -> Session | None: ...

    @property
    def timeout(self) -> float:
        """How long an answer may take, in seconds."""

    async def call(self, type: str, fields: Mapping[str, Any] | None = None) -> Wire:  # noqa: A002
        """A request that may be repeated."""

    def post(self, channel: str, body: dict[str, Any], timeout: float | None) -> asyncio.Future[Published]: ...

    def want(self, channel: Subscribable) -> None:
        """Subscribes as soon as that can be done."""

    def let_go(self, channel: Subscribable) -> asyncio.Future[Any] | None:
        """Takes that back, or unsubscribes."""
