"""The user's inbox (docs/protocol.md, section 7, kind `inbox`): entries that wait until one of the user's devices acks
them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .channel import Change, Channel
from .errors import TidewireError, misuse
from .protocol import Message, Priority, is_seq, message_of

_ORDER: tuple[Priority, ...] = ("critical", "high", "medium", "low")


class Inbox(Channel):
    """Made by `Tidewire.open_inbox()`."""

    _folds = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._entries: tuple[Message, ...] = ()
        # Acked here, not yet answered: gone from the list, kept for the case that the server refuses.
        self._acking: dict[int, Message] = {}

    @property
    def entries(self) -> tuple[Message, ...]:
        """What waits, the most important first. Each comes as a message once, too."""
        return self._entries

    @property
    def counts(self) -> dict[Priority, int]:
        return {priority: sum(_priority(entry) == priority for entry in self._entries) for priority in _ORDER}

    async def ack(self, *entries: Message | int) -> None:
        """Takes entries off the list on all of the user's devices."""
        seqs = [entry.seq if isinstance(entry, Message) else entry for entry in entries]
        known = [seq for seq in seqs if isinstance(seq, int) and is_seq(seq)]
        if len(known) != len(seqs):
            raise misuse("ack() takes entries of this inbox, or their seqs")
        if known:
            wanted = set(known)
            await self._ack({"seqs": known}, lambda seq: seq in wanted)

    async def ack_all(self) -> None:
        """Takes off everything that is in the list now."""
        last = max((entry.seq or 0 for entry in self._entries), default=0)
        if last:
            await self._ack({"up_to": last}, lambda seq: seq <= last)

    def _recall(self, data: Any, seq: int) -> None:
        known = {entry.seq for entry in self._entries}
        pending = data.get("pending") if isinstance(data, dict) else None
        entries = [message_of(entry, self.name) for entry in (pending if isinstance(pending, list) else [])]
        self._set(entry for entry in entries if entry is not None and entry.seq and entry.seq not in self._acking)
        for entry in self._entries:
            if entry.seq not in known:
                self._emit(entry)

    def _fold(self, message: Message) -> bool:
        if message.event != "ack":
            self._set((*self._entries, message))
        elif isinstance(message.data, dict) and isinstance(message.data.get("seqs"), list):
            self._remove({seq for seq in message.data["seqs"] if isinstance(seq, int)})
        return True

    async def _ack(self, what: dict[str, Any], covers: Callable[[int], bool]) -> None:
        taken = {entry.seq: entry for entry in self._entries if entry.seq and covers(entry.seq)}
        self._acking.update(taken)
        self._remove(set(taken))
        try:
            answer = await self._link.call("ack", {"channel": self.name, **what})
            seq = answer.get("seq")
            if isinstance(seq, int) and is_seq(seq):
                self._delivered(seq)
        except TidewireError:
            self._set((*self._entries, *taken.values()))
            raise
        finally:
            for seq in taken:
                self._acking.pop(seq, None)

    def _remove(self, seqs: set[int]) -> None:
        self._set(entry for entry in self._entries if entry.seq not in seqs)

    def _set(self, entries: Iterable[Message]) -> None:
        unique = {entry.seq: entry for entry in entries}
        self._entries = tuple(sorted(unique.values(), key=lambda entry: (_ORDER.index(_priority(entry)), entry.seq or 0)))
        self._emit(Change())


def _priority(entry: Message) -> Priority:
    return entry.priority or "medium"
