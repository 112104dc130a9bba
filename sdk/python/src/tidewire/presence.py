"""Who is in a channel (docs/protocol.md, section 4 `presence`), and this client's own place in it, which it takes again
after a reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import TidewireError
from .link import Link
from .protocol import Member, Wire, member_of, members_of


@dataclass(frozen=True, slots=True)
class PresenceChange:
    members: tuple[Member, ...]
    action: str | None = None
    """`enter`, `update` or `leave`; None when the whole list came."""
    member: Member | None = None
    """To whom it happened."""


@dataclass(frozen=True, slots=True)
class _Own:
    data: Any


class Presence:
    def __init__(
        self,
        link: Link,
        channel: str,
        watched: bool,
        watch: Callable[[], None],
        changed: Callable[[PresenceChange], None],
    ) -> None:
        self._link = link
        self._channel = channel
        self._watch = watch
        self._changed = changed
        self.watched = watched
        """Events are asked for with the subscription."""
        self._members: tuple[Member, ...] = ()
        self._own: _Own | None = None
        # The place is being taken again; that request outlives connections by itself.
        self._returning: asyncio.Task[None] | None = None

    @property
    def members(self) -> tuple[Member, ...]:
        """As last told. Kept up to date while the channel is subscribed and watched."""
        return self._members

    def watch(self) -> None:
        """From now on events are asked for, as with the channel's option `presence`."""
        if not self.watched:
            self.watched = True
            self._watch()

    async def enter(self, data: Any = None) -> tuple[Member, ...]:
        """Takes a place in the list, with data for others to see; kept over reconnects until `leave()`."""
        return await self._keep("enter", data)

    async def update(self, data: Any) -> tuple[Member, ...]:
        return await self._keep("update", data)

    async def leave(self) -> tuple[Member, ...]:
        self._own = None
        return await self._ask("leave")

    async def get(self) -> tuple[Member, ...]:
        """The list as it is now."""
        return await self._ask("get")

    def online(self) -> None:
        if self._own is not None and (self._returning is None or self._returning.done()):
            self._returning = asyncio.get_running_loop().create_task(self._return())

    def listed(self, members: object) -> None:
        known = members_of(members)
        if known is not None:
            self._set(PresenceChange(known))

    def heard(self, wire: Wire) -> None:
        if wire["type"] == "presence":
            return self.listed(wire.get("members"))
        action, member = wire.get("action"), member_of(wire.get("member"))
        if not isinstance(action, str) or member is None:
            return None
        members = tuple(one for one in self._members if str(one.user.id) != str(member.user.id))
        if action != "leave":
            members = (*members, member)
        return self._set(PresenceChange(members, action, member))

    async def _return(self) -> None:
        try:
            if self._own is not None:
                await self._ask("enter", self._own.data)
        except TidewireError:
            # Refused now: the list shows that this client is not in it.
            pass

    async def _keep(self, action: str, data: Any) -> tuple[Member, ...]:
        members = await self._ask(action, data)
        self._own = _Own(data)
        return members

    async def _ask(self, action: str, data: Any = None) -> tuple[Member, ...]:
        fields = {"channel": self._channel, "action": action}
        answer = await self._link.call("presence", fields if data is None else {**fields, "data": data})
        self.listed(answer.get("members"))
        return self._members

    def _set(self, change: PresenceChange) -> None:
        self._members = change.members
        self._changed(change)
