"""The life of the connection: attempts, the first message, silence, the end, and coming back.

Invariant: there is a socket exactly in the states `connecting` and `connected`, and a timer in each state that waits for
something, so no state lasts for ever by accident. What an old socket still says is ignored."""

from __future__ import annotations

import asyncio
import inspect
import math
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import time as unix_time
from typing import Any, Literal, Protocol

from .backoff import after_close, backoff_s
from .errors import TidewireError, error_of, make_error
from .protocol import Session, Wire, number_of, user_of, wire_of
from .transport import Ending, Socket, Transport, TransportRequest

# A connection that lived this long was a good one: the next wait is short again.
_STABLE_S = 5.0
# The least wait where the server asked to slow down, or a proxy in its place.
_SLOW_DOWN_S = 15.0
# What a server, or what pretends to be one, may make this client wait.
_NOT_BEFORE_MAX_S = 600.0
# After a connection that fell silent the next ping's answer has twice the time, up to so many times; each answer halves it.
_PATIENCE_MAX = 16
# So many tokens in a row may be refused.
_REFUSALS_MAX = 3
# A close code of the range for private use: this side gave up.
_GAVE_UP = 4000
_HEARTBEAT_MIN_S = 1.0

TokenSource = str | Callable[[], str | Awaitable[str | None] | None]
"""A JWT, or a function (plain or async) that gives one: asked for each connection and before the old one ends. None or
empty: anonymous."""

TOKEN_RULE = "`token` is a JWT, or a function that gives one"  # noqa: S105


@dataclass(frozen=True, slots=True)
class ConnectionState:
    name: Literal["idle", "connecting", "connected", "waiting", "closed"]
    """`idle`: nobody has asked for a connection yet. `waiting`: between two attempts. `closed`: by `close()`, or for good,
    and then `error` says why; `connect()` begins anew."""
    attempt: int = 0
    """Of `connecting` and `waiting`: counts from 0."""
    session: Session | None = None
    """Of `connected`."""
    retry_at: float | None = None
    """Of `waiting`: when the next attempt is, as `time.time()` counts."""
    error: TidewireError | None = None
    """Of `waiting` and `closed`: why."""


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    url: str
    transport: Transport
    token: TokenSource | None
    connect_timeout: float
    heartbeat: float
    ping_timeout: float


class ConnectionEvents(Protocol):
    def state_changed(self, state: ConnectionState) -> None: ...

    def up(self, session: Session) -> None: ...

    def down(self, poison: TidewireError | None) -> None:
        """`poison`: what was in flight caused the end."""

    def heard(self, wire: Wire) -> None: ...

    def problem(self, error: TidewireError) -> None: ...


class Connection:
    def __init__(self, options: ConnectionOptions, events: ConnectionEvents) -> None:
        self._options = options
        self._events = events
        self.state = ConnectionState("idle")
        self._socket: Socket | None = None
        # Sockets that are on their way out.
        self._leaving: set[asyncio.Task[None]] = set()
        # Grows with each socket; what belongs to an older one is void.
        self._generation = 0
        self._attempt = 0
        self._refusals = 0
        self._refusal: TidewireError | None = None
        self._up_at = 0.0
        self._heard_at = 0.0
        self._probing = False
        self._heartbeat = 0.0
        self._patience = 1
        # Not before: the server said when to come back, or to slow down.
        self._not_before = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begins, or tries again at once."""
        if self.state.name in ("connecting", "connected"):
            return
        if self.state.name != "waiting":
            self._attempt = self._refusals = 0
        self._try()

    def close(self, error: TidewireError | None = None) -> None:
        """Ends it; with an error where something made it impossible to go on."""
        if self.state.name == "closed":
            return
        was_up = self.state.name == "connected"
        self._let_go(1000)
        if was_up:
            self._events.down(None)
        self._set_state(ConnectionState("closed", error=error))

    async def wait_closed(self) -> None:
        """Returns once no socket is on its way out."""
        if self._leaving:
            await asyncio.wait(set(self._leaving))

    def send(self, text: str) -> None:
        if self._socket is not None:
            self._socket.send(text)

    def restart(self, error: TidewireError) -> None:
        """What was done on this connection failed in a way that only another connection mends."""
        if self._socket is not None:
            self._lost(Ending(_GAVE_UP, "", error))

    def renewed(self, session: Session) -> None:
        """The connection goes on with other rights."""
        self._set_state(ConnectionState("connected", session=session))

    async def token(self) -> str:
        """The present token; empty: none."""
        token = self._options.token
        try:
            value = token() if callable(token) else token
            if inspect.isawaitable(value):
                value = await value
        except Exception as cause:
            raise make_error("token_failed", f"the token function failed: {cause!r}") from cause
        if value is None:
            return ""
        if isinstance(value, str) and re.fullmatch(r"[\w.-]*", value, re.ASCII):
            return value
        raise make_error("token_failed", TOKEN_RULE)

    def _try(self) -> None:
        self._generation += 1
        generation = self._generation
        timeout = self._options.connect_timeout
        self._refusal = None
        self._set_state(ConnectionState("connecting", attempt=self._attempt))
        if generation != self._generation or self.state.name != "connecting":
            return None  # A listener has closed it.
        late = make_error("timeout", f"no connection within {timeout} s")
        self._after(timeout, lambda: self._lost(Ending(_GAVE_UP, "", late)))
        listener = _Listener(self, generation)
        try:
            socket = self._options.transport.connect(TransportRequest(self._options.url, self.token), listener)
        except TidewireError as error:
            return self.close(error)
        self._socket = socket
        return None

    def is_current(self, generation: int) -> bool:
        return generation == self._generation

    def hear(self, text: str) -> None:
        self._heard_at = self._now()
        wire = wire_of(text)
        if wire is None:
            return self._events.problem(make_error("protocol_error", f"the server sent no message: {text[:60]}"))
        kind = wire["type"]
        if self.state.name == "connecting":
            if kind == "connected":
                self._welcome(wire)
            elif kind == "auth_error":
                self._refusal = error_of(wire)
            return None
        if kind == "pong" and wire.get("id") is None:
            self._patience = (self._patience + 1) // 2
            return self._listen()
        after_ms = number_of(wire.get("after_ms"))
        if kind == "reconnect" and after_ms is not None:
            self._not_before = self._now() + min(max(after_ms / 1000, 0), _NOT_BEFORE_MAX_S)
        elif kind == "auth_error" and wire.get("id") is None:
            self._refusal = error_of(wire)
        else:
            self._events.heard(wire)
        return None

    def _welcome(self, wire: Wire) -> None:
        session = session_of(wire)
        if session.authenticated:
            self._refusals = 0
        self._up_at = self._now()
        self._not_before = -math.inf
        told_ms = number_of(wire.get("heartbeat_ms"))
        told_s = told_ms / 1000 if told_ms else math.inf
        self._heartbeat = max(_HEARTBEAT_MIN_S, min(self._options.heartbeat, told_s))
        self._probing = False
        self._listen()
        generation = self._generation
        self._set_state(ConnectionState("connected", session=session))
        if self.is_current(generation):
            self._events.up(session)

    def _listen(self) -> None:
        """Silence for a heartbeat is doubted, silence after a ping is the end of it."""
        wait = self._heard_at + self._heartbeat - self._now()
        # A timer may fire a little early.
        if wait <= 0.001:
            self._probe()
        else:
            self._after(wait, self._listen)

    def _probe(self) -> None:
        timeout = self._options.ping_timeout * self._patience
        asked_at = self._now()
        self._heard_at = -math.inf
        self.send('{"type":"ping"}')

        def judge() -> None:
            if self._heard_at >= asked_at:
                return self._listen()
            # One long message on a slow link is silence too, and would begin anew on each connection, and never end.
            self._patience = min(2 * self._patience, _PATIENCE_MAX)
            self._lost(Ending(_GAVE_UP, "", make_error("timeout", f"no answer to a ping within {timeout} s")))
            return None

        self._after(timeout, judge)

    def lose(self, ending: Ending) -> None:
        self._lost(ending)

    def _lost(self, ending: Ending) -> None:
        was_up = self.state.name == "connected"
        refusal = self._refusal
        self._let_go(_GAVE_UP)
        code = ending.code
        step = "retry" if code == _GAVE_UP else after_close(code, ending.reason, refusal.code if refusal else "")
        why = refusal or ending.error or _close_error(code, ending.reason)
        if was_up:
            self._events.down(why if step == "poison" else None)
        # A listener may have closed or reopened it.
        if self.state.name not in ("connecting", "connected"):
            return None
        if step == "token":
            if not callable(self._options.token):
                return self.close(why)
            self._refusals += 1
        if step == "stop" or self._refusals >= _REFUSALS_MAX:
            return self.close(why)
        now = self._now()
        if was_up and now - self._up_at >= _STABLE_S:
            self._attempt = 0
        if ending.retry_after_s is not None:
            self._not_before = now + min(max(ending.retry_after_s, 0), _NOT_BEFORE_MAX_S)
        elif step == "slow":
            self._not_before = now + _SLOW_DOWN_S * (1 + random.random())
        wait = max(self._not_before - now, 0) + backoff_s(self._attempt)
        self._attempt += 1
        self._after(wait, self._try)
        self._set_state(ConnectionState("waiting", self._attempt, retry_at=unix_time() + wait, error=why))
        return None

    def _let_go(self, code: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._generation += 1
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.close(code)
            leaving = asyncio.get_running_loop().create_task(socket.wait_closed())
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)

    def _after(self, wait: float, action: Callable[[], Any]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(wait, action)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _set_state(self, state: ConnectionState) -> None:
        self.state = state
        self._events.state_changed(state)


class _Listener:
    """Hears one socket, as long as that is the present one."""

    def __init__(self, connection: Connection, generation: int) -> None:
        self._connection = connection
        self._generation = generation

    def message(self, text: str) -> None:
        if self._connection.is_current(self._generation):
            self._connection.hear(text)

    def close(self, ending: Ending) -> None:
        if self._connection.is_current(self._generation):
            self._connection.lose(ending)


def _close_error(code: int, reason: str) -> TidewireError:
    kind = "connection_lost"
    if code == 1000:
        kind = "closed"
    elif code == 1008:
        kind = reason if re.fullmatch(r"[a-z_]+", reason) else "rate_limited"
    return make_error(kind, f"the server ended the connection: {code} {reason}".rstrip())


def closed_error(state: ConnectionState) -> TidewireError:
    """Why there will be no connection."""
    return state.error or make_error("closed", "the client is closed")


def session_of(wire: Wire, before: Session | None = None) -> Session:
    """What `connected` says, or `auth_success` on top of that."""
    capabilities, limits, expires_at = wire.get("capabilities"), wire.get("limits"), number_of(wire.get("expires_at"))
    told = before or Session(
        connection_id=str(wire.get("connection_id", "")),
        tenant=str(wire.get("tenant", "")),
        user=None,
        limits=limits if isinstance(limits, dict) else {},
    )
    return Session(
        connection_id=told.connection_id,
        tenant=told.tenant,
        user=user_of(wire.get("user")),
        capabilities=tuple(one for one in capabilities if isinstance(one, str)) if isinstance(capabilities, list) else (),
        expires_at=None if expires_at is None else int(expires_at),
        limits=told.limits,
    )
