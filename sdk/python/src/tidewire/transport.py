"""What moves text between this client and the server: a WebSocket, unless an application or a test brings another."""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from .errors import TidewireError, error_of, make_error
from .protocol import number_of, object_of

# The largest answers are documents and pages of a few MiB; more than this is not the server's.
_MESSAGE_MAX = 32 * 1024 * 1024
_CLOSE_S = 2.0
_OUT_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a connection, whoever caused it. `code` as in RFC 6455."""

    code: int
    reason: str = ""
    error: TidewireError | None = None
    """What is known beyond the code: why there was no connection at all."""
    retry_after_s: float | None = None


class TransportEvents(Protocol):
    def message(self, text: str) -> None: ...

    def close(self, ending: Ending) -> None:
        """Nothing comes after it."""


@dataclass(frozen=True, slots=True)
class TransportRequest:
    url: str
    token: Callable[[], Awaitable[str]]
    """Asked for when it is needed; empty: none. Raises: there is no socket."""


class Socket(Protocol):
    """One connection, from the attempt on. After `close` no event comes any more."""

    def send(self, text: str) -> None: ...

    def close(self, code: int, reason: str = "") -> None: ...

    async def wait_closed(self) -> None:
        """Returns, soon after `close`, once nothing of it is left."""


class Transport(Protocol):
    def connect(self, request: TransportRequest, events: TransportEvents) -> Socket:
        """No event comes before this has returned."""


class WebSocketTransport:
    """The default, on the package `websockets`. `ssl_context` is for servers with a certificate of one's own; `options`
    goes to `websockets.connect` as it is (`proxy`, `compression` ...)."""

    def __init__(self, ssl_context: ssl.SSLContext | None = None, **options: Any) -> None:
        self._options = options if ssl_context is None else {**options, "ssl": ssl_context}

    def connect(self, request: TransportRequest, events: TransportEvents) -> Socket:
        return _WebSocket(request, events, self._options)


class _WebSocket:
    def __init__(self, request: TransportRequest, events: TransportEvents, options: dict[str, Any]) -> None:
        self._request = request
        self._events = events
        self._options = options
        self._out: deque[str] = deque()
        self._more = asyncio.Event()
        self._ended = False
        self._socket: ClientConnection | None = None
        self._closing: asyncio.Task[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="tidewire connection")

    def send(self, text: str) -> None:
        if self._ended:
            return
        if len(self._out) >= _OUT_MAX:
            # Only a server that takes nothing lets it come to this; the heartbeat will see that too.
            return
        self._out.append(text)
        self._more.set()

    def close(self, code: int, reason: str = "") -> None:
        if self._closing is None:
            self._ended = True
            self._closing = asyncio.get_running_loop().create_task(self._end(code, reason), name="tidewire close")

    async def wait_closed(self) -> None:
        await asyncio.wait({self._task if self._closing is None else self._closing})

    async def _run(self) -> None:
        ending = Ending(1006)
        try:
            token = await self._request.token()
            ending = await self._talk({"Authorization": f"Bearer {token}"} if token else {})
        except asyncio.CancelledError:
            # The loop is ending: there is nobody left to tell.
            self._ended = True
            raise
        except InvalidStatus as refusal:
            ending = _refused(refusal)
        except (OSError, WebSocketException, TimeoutError, TidewireError, ValueError) as failure:
            known = failure if isinstance(failure, TidewireError) else None
            text = f"no connection to {self._request.url.split('?')[0]}: {failure or type(failure).__name__}"
            ending = Ending(1006, str(failure), known or make_error("connection_lost", text))
        finally:
            if not self._ended:
                self._ended = True
                self._events.close(ending)

    async def _talk(self, headers: dict[str, str]) -> Ending:
        options: dict[str, Any] = {"max_size": _MESSAGE_MAX, "close_timeout": _CLOSE_S, **self._options}
        opening = connect(
            self._request.url,
            subprotocols=[Subprotocol("tidewire.v1")],
            additional_headers=headers,
            open_timeout=None,  # the client has a deadline of its own
            ping_interval=None,  # and a heartbeat
            **options,
        )
        async with opening as socket:
            self._socket = socket
            sending = asyncio.get_running_loop().create_task(self._pump(socket), name="tidewire send")
            try:
                while not self._ended:
                    text = await socket.recv()
                    if not self._ended:
                        self._events.message(text if isinstance(text, str) else "")
            except ConnectionClosed:
                pass
            finally:
                sending.cancel()
                await asyncio.wait({sending})
            return Ending(socket.close_code or 1006, socket.close_reason or "")

    async def _pump(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                while self._out:
                    await socket.send(self._out.popleft())
                self._more.clear()
                await self._more.wait()

    async def _end(self, code: int, reason: str) -> None:
        socket = self._socket
        if socket is not None:
            with contextlib.suppress(TimeoutError, ConnectionClosed, OSError):
                async with asyncio.timeout(_CLOSE_S):
                    await socket.close(code, reason)
        if socket is not None and socket.transport is not None:
            socket.transport.abort()
        self._task.cancel()
        # A token function that can't be cancelled is not waited for.
        await asyncio.wait({self._task}, timeout=_CLOSE_S)


def _refused(refusal: InvalidStatus) -> Ending:
    """The upgrade was answered with an HTTP status: the server's problem+json, or what a proxy says."""
    response = refusal.response
    status = response.status_code
    retry_after = response.headers.get("Retry-After", "")
    retry_after_s = number_of(int(retry_after)) if re.fullmatch("[0-9]{1,9}", retry_after) else None
    problem = object_of(bytes(response.body or b""))
    if problem is not None and isinstance(problem.get("code"), str):
        error = error_of(problem, status=status)
    else:
        code = {401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited", 503: "unavailable"}.get(status)
        error = make_error(code or "connection_lost", f"the upgrade was answered with {status}", status=status)
    # As the close frame would have said it.
    close_code = 1008 if status in (401, 429) else 1006
    return Ending(close_code, error.code, error, retry_after_s)
