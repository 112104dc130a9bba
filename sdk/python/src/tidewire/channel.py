"""A channel as the application holds it: its subscription with a state of its own, what comes in, and what goes out.

Invariant: messages are given out in the order of their seqs, none twice; where some are missing there is a `Gap`, a
`Subscribed` with `recovered` False, or (kinds with a snapshot) a new snapshot. The object outlives connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .backoff import backoff_s
from .connection import closed_error
from .cursor import Cursor, Hole, Position
from .emitter import Emitter, Events
from .errors import PASSING, TidewireError, error_of, make_error, misuse, unexpected
from .link import Link
from .presence import Presence, PresenceChange
from .protocol import HistoryPage, Message, Priority, Published, Wire, history_of, is_count, is_seq, message_of
from .publish import publish_body
from .waiters import Waiters


@dataclass(frozen=True, slots=True)
class ChannelState:
    name: Literal["idle", "subscribing", "subscribed", "failed"]
    """`subscribing`: asked for, or to be asked for once there is a connection. `failed`: the server refused it, or ended
    it; `subscribe()` tries again."""
    error: TidewireError | None = None
    """Of `subscribing`: why the last try failed. Of `failed`: why."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """What a subscription began, or began again, with."""

    kind: str
    epoch: str
    seq: int
    """The channel's latest."""
    recovered: bool | None = None
    """True: nothing is missing since the position. False: something may be. None: there was no position."""
    reason: str | None = None
    """Where `recovered` is False: `trimmed`, `epoch` or `ahead`."""


@dataclass(frozen=True, slots=True)
class Gap:
    """The messages `first` to `last` are gone for this client."""

    epoch: str
    first: int
    last: int
    declared: bool
    """False: the server did not say so; the seqs just went on further up."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a kind that has one (protocol, section 7) was given anew."""

    seq: int
    data: Any


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """The server ended the subscription."""

    code: str


@dataclass(frozen=True, slots=True)
class Change:
    """The folded state of a document, session, inbox, upload or agent's run is another one."""


class Channel(Emitter):
    """Made by `Tidewire.channel()`. Events: ChannelState, Subscribed, Message, Gap, Snapshot, PresenceChange,
    Unsubscribed, Change, TidewireError."""

    _folds = False
    """Whether the state is worth nothing once an event is missing."""

    def __init__(
        self, link: Link, name: str, *, history: int = 0, since: Position | None = None, presence: bool = False
    ) -> None:
        super().__init__(ChannelState, Subscribed, Message, Gap, Snapshot, PresenceChange, Unsubscribed, Change, TidewireError)
        if not is_count(history):
            raise misuse("`history` is a number of messages")
        if since is not None and not (isinstance(since, Position) and since.epoch and is_count(since.seq)):
            raise misuse("`since` is a Position(epoch, seq), as `position` tells it")
        self.name = name
        self._link = link
        self._history = history
        self._cursor = Cursor()
        self._waiters: Waiters[Subscribed] = Waiters()
        self._state = ChannelState("idle")
        self._last: Subscribed | None = None
        self._folded_seq = 0
        self._tries = 0
        # `echo=False` publishes on their way: each may show as a missing seq until its answer tells it.
        self._hidden = 0
        self._timer: asyncio.TimerHandle | None = None
        self.presence = Presence(link, name, presence, self._watch, self._emit)
        if since is not None:
            self._cursor.start(since.epoch, since.seq)

    @property
    def state(self) -> ChannelState:
        return self._state

    @property
    def position(self) -> Position | None:
        """How far this channel has been seen. Stored, it goes into `since` of a later process."""
        return self._cursor.position

    async def subscribe(self, listener: Callable[[Message], object] | None = None) -> Subscribed:
        """Follows the channel from here on, over all reconnects, until `unsubscribe()`. Returns once it does; raises when
        the server refuses or nothing came of it in time; in the latter case the channel goes on trying."""
        if self._link.state.name == "closed":
            raise closed_error(self._link.state)
        if listener is not None:
            self.on(Message, listener)
        if self._state.name == "subscribed" and self._last is not None:
            return self._last
        self._begin()
        timeout = self._link.timeout

        def late() -> TidewireError:
            error = self._state.error if self._state.name == "subscribing" else None
            return error or self._error("timeout", f"not subscribed within {timeout} s")

        return await self._waiters.wait(timeout, late)

    async def unsubscribe(self) -> None:
        """Ends the subscription, its iterators, and the position: the next `subscribe()` is a new beginning."""
        if self._state.name == "idle":
            return
        gone = self._link.let_go(self) if self.wanted else None
        self._end(ChannelState("idle"), self._error("unsubscribed", "unsubscribe() was called"))
        self._end_events()
        if gone is not None:
            await asyncio.wait({gone})

    async def publish(
        self,
        data: Any,
        *,
        event: str | None = None,
        key: str | None = None,
        priority: Priority | None = None,
        ttl_ms: int | None = None,
        echo: bool = True,
        ephemeral: bool = False,
        timeout: float | None = None,
    ) -> Published:
        """Returns once the message is as safe as its namespace promises; it is sent until then, over reconnects, with an
        idempotency key (`key`, or a random one). `ttl_ms`: after this long it leaves the log. `echo=False`: not back to
        this client. `ephemeral`: for those connected now, never sent twice, refused while there is no connection.
        `timeout`: how long to wait for the answer, in seconds."""
        body = publish_body(
            {"data": data}, event=event, key=key, priority=priority, ttl_ms=ttl_ms, echo=echo, ephemeral=ephemeral
        )
        return await self._send(body, timeout)

    async def history(
        self, *, after: int | None = None, before: int | None = None, limit: int | None = None, epoch: str | None = None
    ) -> HistoryPage:
        """A page of the channel's log, ascending: the oldest messages after `after`, or the newest before `before` (both
        exclusive). `limit`: 100 where not given, at most 1000. Refused with `conflict` when `epoch` is not the present one."""
        query = {"after": after, "before": before, "limit": limit, "epoch": epoch}
        fields = {name: value for name, value in query.items() if value is not None}
        answer = await self._link.call("history", {"channel": self.name, **fields})
        page = history_of(answer, self.name)
        if page is None:
            raise unexpected(answer, "history")
        return page

    def __aiter__(self) -> Events[Message]:
        """The messages from now on; subscribes if that has not been done. Ends with the subscription."""
        if self._link.state.name == "closed":
            raise closed_error(self._link.state)
        messages = self.events(Message)
        if not self.wanted:
            self._begin()
        return messages

    # What the kinds build on.

    def _recall(self, data: Any, seq: int) -> None:
        """A snapshot of the state, as of `seq`; nothing older will be folded."""

    def _fold(self, message: Message) -> bool:
        """The next event of the log. False: it does not fit, so the state has to be fetched anew."""
        return True

    def _send(self, body: dict[str, Any], timeout: float | None = None) -> asyncio.Future[Published]:
        """Sent from now on, whether somebody awaits it or not."""
        sent = self._link.post(self.name, body, timeout)
        if body.get("echo") is False:
            self._hidden += 1
            sent.add_done_callback(self._unhide)
        return sent

    def _delivered(self, seq: int) -> None:
        """A seq that an answer gave counts as delivered."""
        self._cursor.own(seq)

    def _resync(self) -> None:
        """Fetches the state anew, since what is here can't be right."""
        if self._state.name != "subscribed":
            return
        self._link.let_go(self)
        self._cursor.start("", 0)
        self._set_state(ChannelState("subscribing"))
        self._link.want(self)

    # What the connection tells.

    @property
    def wanted(self) -> bool:
        return self._state.name in ("subscribing", "subscribed")

    @property
    def resumable(self) -> bool:
        return self._last is not None

    def entry(self) -> dict[str, Any]:
        """Of a `subscribe` request."""
        entry: dict[str, Any] = {"channel": self.name}
        if self.presence.watched:
            entry["presence"] = True
        if self._state.name == "subscribed":
            return entry
        cursor = self._cursor
        # Cut off before it was clear where the history begins: asked for as at first.
        vague = cursor.catching_up and cursor.seq == 0 and self._history
        if cursor.epoch and not vague:
            entry["since"] = {"epoch": cursor.epoch, "seq": cursor.seq}
        elif self._history:
            entry["history"] = self._history
        return entry

    def answered(self, wire: Wire) -> None:
        """The server's `subscribed`."""
        epoch, seq = wire.get("epoch"), wire.get("seq")
        if not isinstance(epoch, str) or not epoch or not isinstance(seq, int) or not is_count(seq):
            return self.refused(self._nonsense(wire))
        if self._state.name == "subscribed" and wire.get("id") is not None:
            # Asked again on a live subscription, for its members only.
            return self.presence.listed(wire.get("members"))
        if not self.wanted:
            return None
        return self._subscribed(wire, epoch, seq)

    def refused(self, error: TidewireError) -> None:
        if not self.wanted:
            return None
        if self._state.name == "subscribed":
            # Only its members were refused.
            self.presence.watched = False
            return self._emit(error)
        if error.code not in PASSING:
            return self._fail(error)
        self._emit(error)
        self._set_state(ChannelState("subscribing", error))
        if self._state.name != "subscribing":
            return None
        wait = max((error.retry_after_ms or 0) / 1000, 1.0) + backoff_s(self._tries)
        self._tries += 1
        self._after(wait, lambda: self._link.want(self))
        return None

    def heard(self, wire: Wire) -> None:
        """A message of the server about this channel."""
        kind = wire["type"]
        if kind in ("presence", "presence_event"):
            return self.presence.heard(wire)
        if self._state.name != "subscribed":
            return None
        if kind == "message":
            message = message_of(wire, self.name)
            if message is None:
                self._emit(self._nonsense(wire))
            else:
                self._deliver(message)
        elif kind == "subscribed":
            self.answered(wire)
        elif kind == "unsubscribed":
            self._ended(wire)
        elif kind == "gap":
            self._gap(wire)
        elif kind == "snapshot":
            self._snapshot(wire)
        return None

    def online(self) -> None:
        """There is a connection."""
        self.presence.online()

    def offline(self) -> None:
        """The connection has ended; the next one resumes."""
        self._stop_timer()
        if self._state.name == "subscribed":
            self._set_state(ChannelState("subscribing"))

    def closed(self, error: TidewireError, asked: bool) -> None:
        """There will be no connection, unless the application asks for one."""
        self.offline()
        self._waiters.reject(error)
        self._end_events(None if asked else error)

    def _begin(self) -> None:
        if self._state.name != "subscribing":
            self._set_state(ChannelState("subscribing"))
            self._link.want(self)

    def _subscribed(self, wire: Wire, epoch: str, seq: int) -> None:
        cursor = self._cursor
        before, vague = cursor.epoch, cursor.catching_up
        listed = wire.get("messages")
        messages = self._messages(listed if isinstance(listed, list) else [])
        told = _snapshot_of(wire.get("snapshot"))
        cursor.loose = wire.get("kind") == "inbox"
        same_epoch = before == epoch
        recovered: bool | None = None
        missing: Hole | None = None
        if wire.get("recovered") is True and same_epoch:
            recovered = True
        else:
            first = messages[0].seq if messages else None
            missing = self._start(wire, epoch, seq, first, told)
            # Of a position that was never complete nothing is lost beyond what `missing` says.
            if before and not (vague and same_epoch):
                recovered = False
        reason = wire.get("reason") if recovered is False else None
        result = Subscribed(str(wire.get("kind")), epoch, seq, recovered, reason if isinstance(reason, str) else None)
        self._tries = 0
        self._last = result
        if told is not None:
            self._take(told)
        self.presence.listed(wire.get("members"))
        self._set_state(ChannelState("subscribed"))
        self._emit(result)
        self._waiters.resolve(result)
        if missing is not None:
            self._emit(Gap(epoch, missing.first, missing.last, declared=False))
        for message in messages:
            self._deliver(message)

    def _start(self, wire: Wire, epoch: str, seq: int, first: int | None, snapshot: Snapshot | None) -> Hole | None:
        """A new beginning of the cursor. Returns what of an unfinished catch-up is missing."""
        cursor = self._cursor
        vague = cursor.catching_up and cursor.epoch == epoch
        horizon = cursor.horizon
        # After a loss a snapshot is the whole of the new beginning; without one, what is retained comes.
        may_follow = bool(self._history) if wire.get("recovered") is None else snapshot is None
        self._folded_seq = 0
        if first is not None:
            cursor.start(epoch, first - 1)
            if vague and first > horizon + 1:
                return Hole(horizon + 1, first - 1)
        elif seq > 0 and may_follow:
            # As messages, from a seq that is not told.
            cursor.start(epoch, 0, horizon if vague else seq)
        else:
            cursor.start(epoch, seq if snapshot is None else snapshot.seq, seq)
        return None

    def _deliver(self, message: Message) -> None:
        # A listener of the one before may have ended it.
        if self._state.name != "subscribed":
            return None
        if message.seq is not None:
            verdict = self._cursor.admit(message.seq, message.first_seq, self._hidden)
            if not verdict.deliver:
                return None
            if verdict.hole is not None:
                self._emit(Gap(self._cursor.epoch, verdict.hole.first, verdict.hole.last, declared=False))
            if self._folds and (verdict.hole is not None or verdict.overlap):
                return self._resync()
            if message.seq > self._folded_seq and not self._fold(message):
                return self._resync()
        self._emit(message)
        return None

    def _gap(self, wire: Wire) -> None:
        first, last = wire.get("from"), wire.get("to")
        if not isinstance(first, int) or not isinstance(last, int) or not is_seq(first) or not is_seq(last):
            return self._emit(self._nonsense(wire))
        if self._cursor.skip(last):
            self._emit(Gap(self._cursor.epoch, first, last, declared=True))
            if self._folds:
                self._resync()
        return None

    def _snapshot(self, wire: Wire) -> None:
        epoch, seq = wire.get("epoch"), wire.get("seq")
        if not isinstance(epoch, str) or not isinstance(seq, int) or not is_seq(seq):
            return self._emit(self._nonsense(wire))
        if seq >= self._cursor.seq or epoch != self._cursor.epoch:
            self._cursor.start(epoch, seq)
            self._take(Snapshot(seq, wire.get("data")))
        return None

    def _take(self, snapshot: Snapshot) -> None:
        self._folded_seq = snapshot.seq
        self._recall(snapshot.data, snapshot.seq)
        self._emit(snapshot)

    def _ended(self, wire: Wire) -> None:
        error = error_of({"code": "unsubscribed", "message": "the server ended the subscription", **wire})
        self._emit(Unsubscribed(error.code))
        self.offline()
        self.refused(error)

    def _fail(self, error: TidewireError) -> None:
        self._end(ChannelState("failed", error), error)
        self._end_events(error)

    def _end(self, state: ChannelState, error: TidewireError) -> None:
        self._stop_timer()
        self._cursor.start("", 0)
        self._last = None
        self._set_state(state)
        self._waiters.reject(error)

    def _watch(self) -> None:
        if self._state.name == "subscribed":
            self._link.want(self)

    def _unhide(self, sent: asyncio.Future[Published]) -> None:
        self._hidden -= 1
        if not sent.cancelled() and sent.exception() is None:
            published = sent.result()
            if published.seq is not None and published.epoch == self._cursor.epoch:
                self._cursor.own(published.seq)

    def _messages(self, entries: list[Any]) -> list[Message]:
        messages = []
        for entry in entries:
            message = message_of(entry, self.name)
            if message is None:
                self._emit(self._nonsense({"type": "messages"}))
            else:
                messages.append(message)
        return messages

    def _after(self, wait: float, action: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(wait, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _nonsense(self, wire: Wire) -> TidewireError:
        return self._error("protocol_error", f'the server sent a bad "{wire["type"]}"')

    def _error(self, code: str, message: str) -> TidewireError:
        return make_error(code, message, channel=self.name)

    def _set_state(self, state: ChannelState) -> None:
        self._state = state
        self._emit(state)


def _snapshot_of(value: object) -> Snapshot | None:
    if not isinstance(value, dict):
        return None
    seq = value.get("seq")
    return Snapshot(seq, value.get("data")) if isinstance(seq, int) and is_count(seq) else None
