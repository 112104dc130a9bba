"""The progress of one upload (docs/protocol.md, section 7, kind `upload`), for who does it and for who watches."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from .channel import Change
from .coalescer import Coalescer
from .errors import misuse
from .protocol import Message, Published, is_count, number_of
from .publish import publish_body
from .run import ENDS, Run

# How fast an old rate is forgotten.
_RATE_WINDOW_MS = 5000


@dataclass(frozen=True, slots=True)
class UploadState:
    status: str = "pending"
    """`pending`, `active`, `complete`, `failed` or `cancelled`."""
    bytes: int = 0
    total: int | None = None
    """None: not known. So are the others."""
    percent: float | None = None
    rate_bps: float | None = None
    eta_ms: float | None = None
    reason: Any = None
    """What the last event of a failed or cancelled one gave as its reason."""


class Upload(Run):
    """Made by `Tidewire.open_upload()`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._current = UploadState()
        # (ms, bytes) of the last progress.
        self._at: tuple[int, int] | None = None
        self._progress: Coalescer[dict[str, int]] = Coalescer(
            lambda earlier, later: {**earlier, **later}, self._send_progress, self._link
        )

    @property
    def value(self) -> UploadState:
        """The state as the events so far make it; another object after each change."""
        return self._current

    @property
    def ended(self) -> bool:
        return self._current.status in ENDS.values()

    def progress(self, done: int, total: int | None = None) -> asyncio.Future[Published]:
        """How far it is, in bytes. Call it for every chunk: it is sent as often as the server takes it, the last one
        always, whether the result is awaited or not."""
        if not is_count(done) or not (total is None or is_count(total)):
            raise misuse("progress(done, total) takes whole numbers of bytes")
        return self._progress.add({"bytes": done} if total is None else {"bytes": done, "total": total})

    async def complete(self, data: Any = None) -> Published:
        return await self._event("complete", data)

    def _flush(self) -> None:
        self._progress.flush()

    def _send_progress(self, data: dict[str, int]) -> asyncio.Future[Published]:
        return self._send(publish_body({"data": data}, event="progress"))

    def _recall(self, data: Any, seq: int) -> None:
        if not isinstance(data, dict):
            return
        self._at = None
        total = number_of(data.get("total"))
        self._set(
            UploadState(
                status=str(data.get("status", "pending")),
                bytes=int(number_of(data.get("bytes")) or 0),
                total=None if total is None else int(total),
                percent=number_of(data.get("percent")),
                rate_bps=number_of(data.get("rate_bps")),
                eta_ms=number_of(data.get("eta_ms")),
                reason=data.get("reason"),
            )
        )

    def _fold(self, message: Message) -> bool:
        event = message.event or ""
        fields = message.data if isinstance(message.data, dict) else {}
        before = self._current
        end = ENDS.get(event)
        if end is None and event != "progress":
            return True
        told_total, told_bytes = number_of(fields.get("total")), number_of(fields.get("bytes"))
        total = before.total if told_total is None else int(told_total)
        done = before.bytes if told_bytes is None else int(told_bytes)
        if event == "complete":
            done = before.bytes if total is None else total
        rate = self._rate(done, message.timestamp) if event == "progress" else before.rate_bps
        eta: float | None = None
        if event == "complete":
            eta = 0
        elif end is None and total is not None and rate:
            eta = round((total - done) / rate * 1000)
        percent = None if total is None else 100.0 if total == 0 else math.floor(done / total * 1000) / 10
        reason = fields.get("reason", before.reason)
        self._set(UploadState(end or "active", done, total, percent, rate, eta, reason))
        return True

    def _rate(self, done: int, ms: int) -> float | None:
        before, rate = self._at, self._current.rate_bps
        if before is not None and ms - before[0] < 1:
            return rate
        self._at = (ms, done)
        if before is None:
            return rate
        now = (done - before[1]) / (ms - before[0]) * 1000
        return now if rate is None else now + (rate - now) * math.exp(-(ms - before[0]) / _RATE_WINDOW_MS)

    def _set(self, state: UploadState) -> None:
        self._current = state
        self._emit(Change())
