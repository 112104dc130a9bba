"""Which channels are still to be subscribed, and the batches that ask for them (docs/protocol.md, section 4 `subscribe`):
all that wait go into one request, and after a reconnect everything that was followed goes first, each from its position."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from .calls import CallOptions, Calls
from .errors import TidewireError, error_of
from .link import Subscribable
from .names import encode
from .protocol import Wire

# The protocol's bound of one request.
_BATCH_MAX = 100


class Subscriber:
    def __init__(self, calls: Calls, timeout: float, stuck: Callable[[TidewireError], None]) -> None:
        """`stuck`: the server left a batch unanswered. What it did of it is unknown, so only another connection helps."""
        self._calls = calls
        self._timeout = timeout
        self._stuck = stuck
        self._waiting: dict[Subscribable, None] = {}
        # The batch that last asked for a channel: what an earlier one is answered is out of date.
        self._latest: WeakKeyDictionary[Subscribable, _Batch] = WeakKeyDictionary()
        self._asked = False

    def want(self, channel: Subscribable) -> None:
        self._waiting[channel] = None
        if not self._asked:
            self._ask(first=False)
        self._asked = True

    def forget(self, channel: Subscribable) -> bool:
        """False: it was not waiting, so the server may know of it."""
        if channel not in self._waiting:
            return False
        del self._waiting[channel]
        return True

    def resubscribe(self, channels: Iterable[Subscribable]) -> None:
        """A new connection; these are wanted. One that was never subscribed keeps its place behind earlier requests."""
        resuming = False
        for channel in channels:
            if channel.resumable:
                self._waiting[channel] = None
                resuming = True
            else:
                self.want(channel)
        if resuming:
            self._ask(first=True)

    def _ask(self, first: bool) -> None:
        batch = _Batch()

        def text() -> str | None:
            if not first:
                self._asked = False
            # Sent again after a refusal, it asks for what is still wanted.
            for channel in batch.channels.values():
                if channel.wanted:
                    self._waiting[channel] = None
            batch.channels.clear()
            for channel in tuple(self._waiting):
                if len(batch.channels) == _BATCH_MAX:
                    self._ask(first)
                    break
                if first and not channel.resumable:
                    continue
                del self._waiting[channel]
                self._latest[channel] = batch
                batch.channels[channel.name] = channel
            entries = [channel.entry() for channel in batch.channels.values()]
            return encode({"type": "subscribe", "channels": entries}) if entries else None

        def collect(answer: Wire) -> bool:
            error = error_of(answer) if answer["type"] == "error" else None
            name = answer.get("channel")
            if error is not None and not name:
                about = list(batch.channels.values())
            else:
                about = [batch.channels[name]] if isinstance(name, str) and name in batch.channels else []
            for channel in about:
                batch.channels.pop(channel.name, None)
                if self._latest.get(channel) is not batch:
                    continue
                if error is not None:
                    channel.refused(error)
                else:
                    channel.answered(answer)
            return not batch.channels

        def done(asked: asyncio.Future[Wire]) -> None:
            error = None if asked.cancelled() else asked.exception()
            if isinstance(error, TidewireError):
                self._asked = False
                if error.code == "timeout":
                    self._stuck(error)

        options = CallOptions(timeout=self._timeout, collect=collect, first=first)
        self._calls.call("subscribe", text, options).add_done_callback(done)


class _Batch:
    def __init__(self) -> None:
        self.channels: dict[str, Subscribable] = {}
