"""What an upload and an agent's run have in common (docs/protocol.md, section 7): a creator, who publishes, events that end
it, and `cancel` for others."""

from __future__ import annotations

import asyncio
from typing import Any

from .channel import Channel
from .protocol import Published
from .publish import publish_body

ENDS = {"complete": "complete", "fail": "failed", "cancel": "cancelled"}
"""The events that end it, and the status after each."""


class Run(Channel):
    _folds = True

    async def fail(self, reason: Any = None) -> Published:
        """Ends it as failed."""
        return await self._event("fail", {"reason": reason})

    async def cancel(self, data: Any = None) -> Published:
        """Ends it as cancelled. Open to whoever may subscribe to an agent's run."""
        return await self._event("cancel", data)

    def _flush(self) -> None:
        """Sends what waits before an event that must come after it."""

    def _event(self, event: str, data: Any = None) -> asyncio.Future[Published]:
        self._flush()
        return self._send(publish_body({"data": {} if data is None else data}, event=event))

    def _send(self, body: dict[str, Any], timeout: float | None = None) -> asyncio.Future[Published]:
        sent = super()._send(body, timeout)
        sent.add_done_callback(self._sent)
        return sent

    def _sent(self, sent: asyncio.Future[Published]) -> None:
        # Before its creator has published, a run is nobody's to read.
        if not sent.cancelled() and sent.exception() is None and self.state.name == "failed":
            self._begin()
