"""A chat or working session (docs/protocol.md, section 7, kind `session`): a stream with a durable list of members, each
with a position up to which it has read."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .channel import Change, Channel
from .errors import TidewireError
from .protocol import Message, Published, UserId, is_count, is_seq
from .publish import publish_body

# How many messages are remembered for counting what is unread.
_WRITTEN_MAX = 5000
# One sign of typing is enough for this long.
_TYPING_S = 3.0


@dataclass(frozen=True, slots=True)
class SessionMember:
    user: UserId
    role: str
    """`owner` or `member`."""
    read: int = 0
    """Everything up to this seq."""
    unread: int = 0
    """Messages behind it that others wrote."""


class SessionChannel(Channel):
    """Made by `Tidewire.open_session()`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._members: tuple[SessionMember, ...] = ()
        # (seq, user) of the latest messages.
        self._written: deque[tuple[int, str | None]] = deque(maxlen=_WRITTEN_MAX)
        self._last_seq = 0
        self._typed_at = -math.inf

    @property
    def members(self) -> tuple[SessionMember, ...]:
        """In the order of joining, the owner first."""
        return self._members

    @property
    def own(self) -> SessionMember | None:
        """This client's own place among them."""
        session = self._link.session
        user = session.user if session is not None else None
        return next((one for one in self._members if user is not None and str(one.user) == str(user.id)), None)

    @property
    def last_seq(self) -> int:
        """The latest seq of the log that is known here."""
        return self._last_seq

    async def join(self, user: UserId | None = None) -> Published:
        """Becomes a member, or makes another user one."""
        return await self._act("join", {} if user is None else {"user": user})

    async def leave(self, user: UserId | None = None) -> Published:
        """Leaves, or takes another user out."""
        return await self._act("leave", {} if user is None else {"user": user})

    async def edit(self, seq: int, fields: Mapping[str, Any]) -> Published:
        """Changes an own message; the fields stand beside its `seq`."""
        return await self._act("edit", {**fields, "seq": seq})

    async def remove(self, seq: int) -> Published:
        """Deletes an own message."""
        return await self._act("delete", {"seq": seq})

    async def read(self, seq: int | None = None) -> None:
        """Marks as read up to `seq`, or all. Without effect where that has been done."""
        upto = self._last_seq if seq is None else seq
        own = self.own
        if upto > (own.read if own is not None else 0):
            await self._act("read", {"seq": upto})

    def typing(self, data: Any = None) -> None:
        """Shows the others that this user is typing. May be called on every key; errors do not matter."""
        now = asyncio.get_running_loop().time()
        if now < self._typed_at + _TYPING_S:
            return
        self._typed_at = now
        try:
            self._send(publish_body({"data": {} if data is None else data}, event="typing", ephemeral=True, echo=False))
        except TidewireError:
            # No connection: nobody is there to see it.
            return

    def _act(self, event: str, data: dict[str, Any]) -> asyncio.Future[Published]:
        return self._send(publish_body({"data": data}, event=event))

    def _recall(self, data: Any, seq: int) -> None:
        fields = data if isinstance(data, dict) else {}
        members, last_seq = fields.get("members"), fields.get("last_seq")
        listed = [_member_of(one) for one in (members if isinstance(members, list) else [])]
        self._members = tuple(one for one in listed if one is not None)
        self._last_seq = last_seq if isinstance(last_seq, int) and is_seq(last_seq) else seq
        self._written.clear()
        self._emit(Change())

    def _fold(self, message: Message) -> bool:
        event = message.event or "message"
        data = message.data if isinstance(message.data, dict) else {}
        author = message.sender.user if message.sender is not None else None
        by = None if author is None else str(author.id)
        named = data.get("user", None if author is None else author.id)
        seq = message.seq or 0
        self._last_seq = seq
        if event == "message":
            self._written.append((seq, by))
            self._count(1, lambda one: str(one.user) != by)
        elif event == "delete":
            self._unwrite(data.get("seq"))
        elif event == "read" and is_count(data.get("seq")):
            self._members = tuple(self._read_to(one, data["seq"]) if str(one.user) == by else one for one in self._members)
        elif event == "join" and isinstance(named, (str, int)):
            self._join(named, seq)
        elif event == "leave" and isinstance(named, (str, int)):
            self._leave(str(named))
        self._emit(Change())
        return True

    def _count(self, change: int, concerns: Any) -> None:
        self._members = tuple(
            replace(one, unread=max(0, one.unread + change)) if concerns(one) else one for one in self._members
        )

    def _unwrite(self, seq: Any) -> None:
        gone = next((written for written in self._written if written[0] == seq), None)
        if gone is not None:
            self._written.remove(gone)
            self._count(-1, lambda one: one.read < gone[0] and str(one.user) != gone[1])

    def _read_to(self, member: SessionMember, seq: int) -> SessionMember:
        """What was written before this client came is not known one by one, so its count can only be a bound."""
        later = sum(at > seq and by != str(member.user) for at, by in self._written)
        earliest = self._written[0][0] if self._written else self._last_seq
        return replace(member, read=seq, unread=min(member.unread, later + max(0, earliest - 1 - seq)))

    def _join(self, user: UserId, seq: int) -> None:
        if not any(str(one.user) == str(user) for one in self._members):
            role = "member" if self._members else "owner"
            self._members = (*self._members, SessionMember(user, role, read=seq))

    def _leave(self, user: str) -> None:
        members = [one for one in self._members if str(one.user) != user]
        if members and not any(one.role == "owner" for one in members):
            members[0] = replace(members[0], role="owner")
        self._members = tuple(members)


def _member_of(value: object) -> SessionMember | None:
    if not isinstance(value, dict) or not isinstance(value.get("user"), (str, int)):
        return None
    read, unread = value.get("read"), value.get("unread")
    return SessionMember(
        value["user"],
        str(value.get("role", "member")),
        read if isinstance(read, int) and is_count(read) else 0,
        unread if isinstance(unread, int) and is_count(unread) else 0,
    )
