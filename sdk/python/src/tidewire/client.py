"""The client: one connection, the channels that are used over it, and what waits to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from time import time as unix_time
from types import TracebackType
from typing import Any, TypeVar

from .agent import AgentRun
from .calls import CallOptions, Calls
from .channel import Channel
from .connection import (
    TOKEN_RULE,
    Connection,
    ConnectionOptions,
    ConnectionState,
    TokenSource,
    closed_error,
    session_of,
)
from .cursor import Position
from .document import Document
from .emitter import Emitter
from .errors import PASSING, TidewireError, error_of, make_error, misuse, unexpected
from .inbox import Inbox
from .link import Subscribable
from .names import check_channel, check_user, encode, random_key
from .protocol import Published, Session, User, UserId, Wire, message_of, number_of, published_of
from .session import SessionChannel
from .subscriber import Subscriber
from .transport import Transport, WebSocketTransport
from .upload import Upload
from .url import socket_url
from .waiters import Waiters, ignore_result

_RENEW_AGAIN_S = 10.0
# The server warns a minute before the end.
_RENEW_MAX_S = 30.0

C = TypeVar("C", bound=Channel)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What the server sent to all connections."""

    data: Any
    event: str | None = None
    timestamp: int = 0


class Tidewire(Emitter):
    """Events: ConnectionState, Session (a connection, or new rights on the present one), Broadcast, TidewireError (what
    went wrong beside any call). Belongs to the event loop in which it is first used, and to one thread.

    `url` is the server's address, `https://host` or `wss://host/ws`. `token` is a JWT or a function that gives one; without
    it the connection is anonymous. All times are seconds: `timeout` is how long an answer may take from the call on,
    `connect_timeout` an attempt to connect, the token included; silence of `heartbeat` is doubted with a ping (the server
    may ask for less), and ends the connection after `ping_timeout`; later, up to 16 times, where that has ended others."""

    def __init__(
        self,
        url: str,
        *,
        token: TokenSource | None = None,
        transport: Transport | None = None,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        heartbeat: float = 25.0,
        ping_timeout: float = 8.0,
    ) -> None:
        super().__init__(ConnectionState, Session, Broadcast, TidewireError)
        times = {
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "heartbeat": heartbeat,
            "ping_timeout": ping_timeout,
        }
        for name, value in times.items():
            _check_seconds(name, value)
        if not (token is None or isinstance(token, str) or callable(token)):
            raise misuse(TOKEN_RULE)
        self._timeout = timeout
        self._renews = callable(token)
        options = ConnectionOptions(
            socket_url(url), transport or WebSocketTransport(), token, connect_timeout, heartbeat, ping_timeout
        )
        self._connection = Connection(options, self)
        self._calls = Calls(self._connection.send)
        self._subscriber = Subscriber(self._calls, timeout, self._connection.restart)
        self._channels: dict[str, Channel] = {}
        self._waiters: Waiters[Session] = Waiters()
        self._session: Session | None = None
        self._user: User | None = None
        self._renewal: asyncio.TimerHandle | None = None
        self._renewing: asyncio.Future[Any] | None = None
        self._tasks: set[asyncio.Future[Any]] = set()

    @property
    def state(self) -> ConnectionState:
        return self._connection.state

    @property
    def session(self) -> Session | None:
        """Who this client is on the present connection; None while there is none."""
        return self._session

    @property
    def timeout(self) -> float:
        return self._timeout

    async def connect(self) -> Session:
        """Connects, which anything that needs the server does too. Returns once there is a connection; raises when there
        will be none, or none came in time (the attempts go on)."""
        if self._session is not None:
            return self._session

        def late() -> TidewireError:
            why = self.state.error if self.state.name == "waiting" else None
            return why or make_error("timeout", f"no connection within {self._timeout} s")

        connected = self._waiters.wait(self._timeout, late)
        self._connection.open()
        return await connected

    async def close(self) -> None:
        """Ends the connection and every call that waits. `connect()` begins anew."""
        self._connection.close()
        if self._renewing is not None:
            self._renewing.cancel()
        await self._connection.wait_closed()

    async def __aenter__(self) -> Tidewire:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def channel(self, name: str, *, history: int = 0, since: Position | None = None, presence: bool = False) -> Channel:
        """A channel by its name: always the same object; the options are those of the first call. `history`: the last n
        messages, when there is no position to resume from. `since`: where an earlier process left off (`position`).
        `presence`: follow who is there."""
        return self._open(Channel, name, history=history, since=since, presence=presence)

    def open_document(self, name: str, *, presence: bool = False) -> Document:
        """A document that many edit."""
        return self._open(Document, name, presence=presence)

    def open_session(
        self, name: str, *, history: int = 0, since: Position | None = None, presence: bool = False
    ) -> SessionChannel:
        """A chat or working session."""
        return self._open(SessionChannel, name, history=history, since=since, presence=presence)

    def open_inbox(self, user: UserId | None = None) -> Inbox:
        """A user's inbox: without an id that of the user whom the client's token names, which it knows once connected."""
        if user is None and self._user is None:
            raise misuse("whose inbox? await client.connect() first, with a token, or give the user's id")
        return self._open(Inbox, f"user:{self._user.id if user is None and self._user else check_user(user)}")

    def open_upload(self, name: str) -> Upload:
        """The progress of an upload, made or watched."""
        return self._open(Upload, name)

    def open_agent_run(self, name: str) -> AgentRun:
        """An agent's run, made or watched."""
        return self._open(AgentRun, name)

    async def renew(self) -> Session:
        """Asks the token function and gives the connection the new token, after a sign-in for example."""
        if self._session is None:
            return await self.connect()
        try:
            async with asyncio.timeout(self._timeout):
                token = await self._connection.token()
        except TimeoutError:
            raise make_error("token_failed", f"the token function gave no answer within {self._timeout} s") from None
        if not token:
            raise make_error("token_failed", "there is no token to renew with")
        text = encode({"type": "auth", "token": token})
        answer = await self._calls.call("auth", lambda: text, CallOptions(timeout=self._timeout))
        if answer["type"] != "auth_success" or self._session is None:
            raise unexpected(answer, "auth")
        session = session_of(answer, self._session)
        self._user = session.user or self._user
        self._connection.renewed(session)
        self._emit(session)
        return session

    async def call(self, type: str, fields: Mapping[str, Any] | None = None) -> Wire:  # noqa: A002
        """A request by its name (`ping`), for what has no method here. It is repeated until it is answered."""
        text = encode({"type": type, **(fields or {})})
        return await self._call(type, text, CallOptions(timeout=self._timeout, repeatable=True))

    def post(self, channel: str, body: dict[str, Any], timeout: float | None) -> asyncio.Future[Published]:
        limit = self._timeout if timeout is None else timeout
        _check_seconds("timeout", limit)
        if body.get("ephemeral"):
            if self.state.name == "waiting":
                raise make_error("not_connected", "an ephemeral message needs a connection", channel=channel)
            options = CallOptions(timeout=limit)
        else:
            # Of one channel, one message after the other: its order holds whatever is refused and sent again.
            options = CallOptions(timeout=limit, lane=channel, repeatable=True)
            body = {**body, "key": body.get("key") or random_key()}
        answer = self._call("publish", encode({"type": "publish", "channel": channel, **body}), options)
        return self._spawn(_published(answer, channel))

    def want(self, channel: Subscribable) -> None:
        self._begin()
        self._subscriber.want(channel)

    def let_go(self, channel: Subscribable) -> asyncio.Future[Any] | None:
        if self._subscriber.forget(channel) or self._session is None:
            return None
        text = encode({"type": "unsubscribe", "channel": channel.name})
        # Whatever the answer, it is not subscribed any more.
        return ignore_result(self._call("unsubscribe", text, CallOptions(timeout=self._timeout)))

    def _open(self, kind: type[C], name: str, **options: Any) -> C:
        check_channel(name)
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = kind(self, name, **options)
        if not isinstance(channel, kind):
            raise misuse(f'"{name}" is in use as another kind of channel: open it as this kind first')
        return channel

    def _call(self, kind: str, text: str, options: CallOptions) -> asyncio.Future[Wire]:
        self._begin()
        if self.state.name == "closed":
            raise closed_error(self.state)
        return self._calls.call(kind, lambda: text, options)

    def _begin(self) -> None:
        """Begins what has not begun. What was closed stays so until `connect()`."""
        if self.state.name == "idle":
            self._connection.open()

    def _spawn(self, work: Coroutine[Any, Any, V]) -> asyncio.Future[V]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return ignore_result(task)

    # What the connection tells.

    def state_changed(self, state: ConnectionState) -> None:
        if state.session is not None:
            self._session = state.session
            self._waiters.resolve(state.session)
        if state.name == "closed":
            error = closed_error(state)
            self._waiters.reject(error)
            self._calls.fail_all(error)
            for channel in tuple(self._channels.values()):
                channel.closed(error, asked=state.error is None)
        self._emit(state)
        if state.name == "closed":
            self._end_events(state.error)

    def up(self, session: Session) -> None:
        user = session.user
        if user is not None and self._user is not None and str(user.id) != str(self._user.id):
            return self._connection.close(make_error("user_mismatch", "the token is another user's"))
        self._user = user or self._user
        channels = tuple(self._channels.values())
        self._subscriber.resubscribe([channel for channel in channels if channel.wanted])
        self._calls.online(session.limits)
        for channel in channels:
            channel.online()
        self._emit(session)
        return None

    def down(self, poison: TidewireError | None) -> None:
        self._session = None
        if self._renewal is not None:
            self._renewal.cancel()
        self._calls.offline(poison)
        for channel in tuple(self._channels.values()):
            channel.offline()

    def heard(self, wire: Wire) -> None:
        kind, name = wire["type"], wire.get("channel")
        if wire.get("id") is not None:
            self._calls.settle(wire)
        elif kind == "auth_expiring":
            expires_at = number_of(wire.get("expires_at"))
            if self._renews:
                self._renew_soon(0 if expires_at is None else (expires_at / 1000 - unix_time()) / 2)
        elif kind == "error":
            self._emit(error_of(wire))
        elif name == "$all":
            message = message_of(wire, "$all")
            if message is not None:
                self._emit(Broadcast(message.data, message.event, message.timestamp))
        elif isinstance(name, str) and name in self._channels:
            self._channels[name].heard(wire)

    def problem(self, error: TidewireError) -> None:
        self._emit(error)

    def _renew_soon(self, wait: float) -> None:
        """Never at once: a token that lives too short to be renewed in time shall not be renewed without end."""
        if self._renewal is not None:
            self._renewal.cancel()
        wait = max(1.0, min(wait, _RENEW_MAX_S))

        def begin() -> None:
            self._renewing = self._spawn(self._renew())

        self._renewal = asyncio.get_running_loop().call_later(wait, begin)

    async def _renew(self) -> None:
        try:
            await self.renew()
        except TidewireError as error:
            self._emit(error)
            # The old token stays in force until its end; the connection after that asks for another one anyway.
            if self._session is not None and error.code in PASSING:
                self._renew_soon((error.retry_after_ms or _RENEW_AGAIN_S * 1000) / 1000)


async def _published(answer: asyncio.Future[Wire], channel: str) -> Published:
    wire = await answer
    published = published_of(wire, channel) if wire["type"] == "published" else None
    if published is None:
        raise unexpected(wire, "publish")
    return published


def _check_seconds(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= 2**31 / 1000:
        raise misuse(f"`{name}` is a number of seconds, above 0 and up to 2,147,483")
