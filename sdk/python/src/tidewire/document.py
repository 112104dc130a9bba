"""A document that many edit (docs/protocol.md, section 7, kind `document`). An edit shows at once; what the server refuses
is taken back.

Invariant: `_confirmed` is the server's document as of `_seq`; the value is that with the edits on it that are not in it
yet."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from .channel import Change, Channel, ChannelState
from .errors import TidewireError, misuse
from .json_tree import PatchOperation, apply_merge, apply_patch, equals
from .names import encode
from .protocol import Message, Priority, Published
from .publish import publish_body
from .waiters import Waiters

_Kind = Literal["data", "merge", "patch"]


class EditOptions(TypedDict, total=False):
    """What `Document.set()`, `merge()` and `patch()` take by name."""

    if_seq: int | None
    """Refused with `conflict` when the document is not at this seq."""
    event: str | None
    key: str | None
    """Idempotency key; random where not given."""
    priority: Priority | None
    timeout: float | None
    """How long to wait for the answer, in seconds."""


@dataclass(eq=False, slots=True)
class _Edit:
    kind: _Kind
    content: Any
    seq: int | None = None
    """Its place in the log, once it has one."""


class Document(Channel):
    """Made by `Tidewire.open_document()`. A value that was given out never changes: treat it as read-only."""

    _folds = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._confirmed: Any = None
        self._loaded = False
        self._seq = 0
        self._edits: list[_Edit] = []
        self._value: Any = None
        # Per wanted seq: who waits for the document to be there.
        self._reaching: dict[int, Waiters[None]] = {}

    @property
    def loaded(self) -> bool:
        """Whether the document is here: an empty one is None as well."""
        return self._loaded

    @property
    def value(self) -> Any:
        """With the edits that are not answered yet."""
        return self._value

    @property
    def confirmed(self) -> Any:
        """As the server has it."""
        return self._confirmed

    @property
    def seq(self) -> int:
        """Which state of the document `confirmed` is: what `if_seq` compares."""
        return self._seq

    async def set(self, value: Any, **options: Unpack[EditOptions]) -> Published:
        """Replaces the document."""
        return await self._edit("data", value, **options)

    async def merge(self, patch: Any, **options: Unpack[EditOptions]) -> Published:
        """Merges into it (RFC 7396): members that are there replace, None deletes, the others stay."""
        return await self._edit("merge", patch, **options)

    async def patch(self, operations: Sequence[PatchOperation | dict[str, Any]], **options: Unpack[EditOptions]) -> Published:
        """Changes places in it (RFC 6902); all operations are done or none."""
        if isinstance(operations, (str, bytes, dict)) or not isinstance(operations, Sequence):
            raise misuse("patch() takes a list of operations: [{'op': ..., 'path': ..., 'value': ...}]")
        return await self._edit("patch", list(operations), **options)

    async def update(self, change: Callable[[Any], Any], *, attempts: int = 10) -> Published:
        """Reads, changes and writes: when somebody else was faster, `change` is asked again with what they wrote. It
        returns the new document and leaves the old one as it is."""
        await self.subscribe()
        while True:
            attempts -= 1
            try:
                return await self.set(change(self._confirmed), if_seq=self._seq)
            except TidewireError as error:
                if error.code != "conflict" or attempts <= 0:
                    raise
                await self._reach(self._seq if error.seq is None else error.seq)

    def _recall(self, data: Any, seq: int) -> None:
        self._confirmed = data
        self._loaded = True
        self._passed(seq)

    def _fold(self, message: Message) -> bool:
        try:
            self._confirmed = _applied(self._confirmed, message.change, message.data)
        except (ValueError, TypeError, RecursionError):
            return False
        self._loaded = True
        if self._is_own(message):
            # Before its answer an edit is known by what it says.
            for edit in self._edits:
                if edit.seq is None and edit.kind == message.change and equals(edit.content, message.data):
                    self._edits.remove(edit)
                    break
        self._passed(message.seq or self._seq)
        return True

    def _is_own(self, message: Message) -> bool:
        session, sender = self._link.session, message.sender
        if session is None or sender is None:
            return False
        if sender.user is not None:
            return session.user is not None and str(sender.user.id) == str(session.user.id)
        return sender.connection is not None and sender.connection == session.connection_id

    async def _edit(
        self,
        kind: _Kind,
        content: Any,
        *,
        if_seq: int | None = None,
        event: str | None = None,
        key: str | None = None,
        priority: Priority | None = None,
        timeout: float | None = None,
    ) -> Published:
        # As the server will have it, whatever becomes of the value that was handed in.
        edit = _Edit(kind, json.loads(encode(content)))
        body = publish_body({kind: edit.content}, if_seq=if_seq, event=event, key=key, priority=priority)
        sent = self._send(body, timeout)
        self._edits.append(edit)
        self._show()
        try:
            published = await sent
        except BaseException:
            self._forget(edit)
            raise
        if self.state.name == "subscribed" and published.seq is not None and published.seq > self._seq:
            edit.seq = published.seq
        else:
            self._forget(edit)
        return published

    def _forget(self, edit: _Edit) -> None:
        if edit in self._edits:
            self._edits.remove(edit)
            self._show()

    def _passed(self, seq: int) -> None:
        self._seq = seq
        self._edits = [edit for edit in self._edits if edit.seq is None or edit.seq > seq]
        for wanted in [one for one in self._reaching if one <= seq]:
            self._reaching.pop(wanted).resolve(None)
        self._show()

    def _show(self) -> None:
        value = self._confirmed
        for edit in self._edits:
            try:
                value = _applied(value, edit.kind, edit.content)
            except (ValueError, TypeError, RecursionError):
                # It does not fit any more; whether it ever did is for the server to say.
                continue
        self._value = value
        self._emit(Change())

    async def _reach(self, seq: int) -> None:
        """Waits for the document to be at `seq` or beyond."""
        if self._seq >= seq:
            return
        timeout = self._link.timeout
        waiters = self._reaching.setdefault(seq, Waiters())
        text = f"the document did not reach {seq} within {timeout} s"
        await waiters.wait(timeout, lambda: self._error("timeout", text))

    def _set_state(self, state: ChannelState) -> None:
        if state.name in ("idle", "failed"):
            error = state.error or self._error("unsubscribed", "unsubscribe() was called")
            for waiters in self._reaching.values():
                waiters.reject(error)
            self._reaching.clear()
        super()._set_state(state)

    def closed(self, error: TidewireError, asked: bool) -> None:
        for waiters in self._reaching.values():
            waiters.reject(error)
        self._reaching.clear()
        super().closed(error, asked)


def _applied(value: Any, kind: _Kind, content: Any) -> Any:
    if kind == "data":
        return content
    return apply_merge(value, content) if kind == "merge" else apply_patch(value, content)
