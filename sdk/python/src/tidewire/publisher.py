"""What a back end publishes with, over HTTP: `Publisher` for plain code, `AsyncPublisher` for asyncio. Both try again what
may be tried again, with the same idempotency key, until the answer is there or the time is over."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from . import api
from .api import Attempts, Request
from .errors import TidewireError, make_error, misuse
from .url import api_url

P = ParamSpec("P")
R = TypeVar("R")
M = TypeVar("M", bound=Callable[..., Any])


class _Settings:
    """What both kinds are made of. `url`: the server's address. `key`: an API key (or a user's token, with that user's
    rights). `timeout`: of a whole call with its tries, in seconds, at most 240. `options` go to the httpx client as they
    are (`verify`, `proxy`, `limits`, `transport` ...)."""

    def __init__(self, url: str, key: str, *, timeout: float = 10.0, **options: Any) -> None:
        if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable():
            raise misuse("`key` is the API key, as `api.key` of the server's configuration has it")
        if not isinstance(timeout, (int, float)) or not 0 < timeout <= api.TIMEOUT_MAX_S:
            raise misuse(f"`timeout` is a number of seconds, up to {api.TIMEOUT_MAX_S:.0f}")
        self._url = api_url(url)
        self._timeout = float(timeout)
        self._options = options
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": "tidewire-python"}

    def _result(self, request: Request[R], status: int, headers: Mapping[str, str], content: bytes) -> R:
        if 200 <= status < 300:
            return request.result(status, content)
        raise api.refusal_of(status, headers, content)


def _blocking(make: Callable[P, Request[R]]) -> Callable[Concatenate[Publisher, P], R]:
    """The call that `make` describes, as a method of `Publisher`."""

    def method(self: Publisher, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._call(make(*args, **kwargs))

    return _named(method, make)


def _awaited(make: Callable[P, Request[R]]) -> Callable[Concatenate[AsyncPublisher, P], Coroutine[Any, Any, R]]:
    """The same, as a method of `AsyncPublisher`."""

    async def method(self: AsyncPublisher, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._call(make(*args, **kwargs))

    return _named(method, make)


def _named(method: M, make: Callable[..., Any]) -> M:
    """What `help()` and an editor without types show."""
    own = inspect.signature(make)
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = inspect.Signature([me, *own.parameters.values()])
    vars(method).update(__signature__=signature)
    method.__name__, method.__doc__ = make.__name__, make.__doc__
    return method


class Publisher(_Settings):
    """Blocking. May be used by several threads. Close it, or use it as a context manager."""

    def __init__(self, url: str, key: str, *, timeout: float = 10.0, **options: Any) -> None:
        super().__init__(url, key, timeout=timeout, **options)
        self._http = httpx.Client(**self._options)

    publish = _blocking(api.publish)
    merge = _blocking(api.merge)
    patch = _blocking(api.patch)
    batch = _blocking(api.batch)
    broadcast = _blocking(api.broadcast)
    notify = _blocking(api.notify)
    history = _blocking(api.history)
    presence = _blocking(api.presence)
    snapshot = _blocking(api.snapshot)
    channel = _blocking(api.channel)
    channels = _blocking(api.channels)
    user = _blocking(api.user)
    disconnect = _blocking(api.disconnect)
    revoke = _blocking(api.revoke)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _call(self, request: Request[R]) -> R:
        attempts = Attempts(request, self._timeout, time.monotonic)
        while True:
            try:
                return self._try(request, attempts)
            except (httpx.TransportError, TidewireError) as failure:
                wait = attempts.wait_after(failure)
            self._sleep(wait)

    def _try(self, request: Request[R], attempts: Attempts) -> R:
        left = max(attempts.remaining, 0.001)
        url, content = self._url + request.path, None if request.body is None else request.body.encode()
        with self._http.stream(request.method, url, content=content, headers=self._headers, timeout=left) as response:
            parts, size = [], 0
            for part in response.iter_bytes():
                parts.append(part)
                size += len(part)
                if size > api.RESPONSE_MAX:
                    raise _too_long()
                if attempts.remaining <= 0:
                    raise attempts.late()
        return self._result(request, response.status_code, response.headers, b"".join(parts))

    def _sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class AsyncPublisher(_Settings):
    """For asyncio. Close it, use it as an async context manager, or give its `lifespan` to FastAPI:

    publisher = AsyncPublisher("http://127.0.0.1:8080", key)
    app = FastAPI(lifespan=publisher.lifespan)

    @app.post("/say")
    async def say(text: str, tidewire: Annotated[AsyncPublisher, Depends(publisher.dependency)]): ...
    """

    def __init__(self, url: str, key: str, *, timeout: float = 10.0, **options: Any) -> None:
        super().__init__(url, key, timeout=timeout, **options)
        self._http: httpx.AsyncClient | None = None

    publish = _awaited(api.publish)
    merge = _awaited(api.merge)
    patch = _awaited(api.patch)
    batch = _awaited(api.batch)
    broadcast = _awaited(api.broadcast)
    notify = _awaited(api.notify)
    history = _awaited(api.history)
    presence = _awaited(api.presence)
    snapshot = _awaited(api.snapshot)
    channel = _awaited(api.channel)
    channels = _awaited(api.channels)
    user = _awaited(api.user)
    disconnect = _awaited(api.disconnect)
    revoke = _awaited(api.revoke)

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def dependency(self) -> AsyncPublisher:
        """For FastAPI's `Depends`."""
        return self

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """For FastAPI's and Starlette's `lifespan`: closes it with the application."""
        async with self:
            yield

    async def __aenter__(self) -> AsyncPublisher:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, request: Request[R]) -> R:
        attempts = Attempts(request, self._timeout, time.monotonic)
        while True:
            try:
                async with asyncio.timeout(max(attempts.remaining, 0.001)):
                    return await self._try(request)
            except TimeoutError as failure:
                raise attempts.late() from failure
            except (httpx.TransportError, TidewireError) as failure:
                wait = attempts.wait_after(failure)
            await asyncio.sleep(wait)

    async def _try(self, request: Request[R]) -> R:
        if self._http is None:
            self._http = httpx.AsyncClient(**self._options)
        url, content = self._url + request.path, None if request.body is None else request.body.encode()
        left = self._timeout
        async with self._http.stream(request.method, url, content=content, headers=self._headers, timeout=left) as response:
            parts, size = [], 0
            async for part in response.aiter_bytes():
                parts.append(part)
                size += len(part)
                if size > api.RESPONSE_MAX:
                    raise _too_long()
        return self._result(request, response.status_code, response.headers, b"".join(parts))


def _too_long() -> TidewireError:
    return make_error("protocol_error", f"the server answered with more than {api.RESPONSE_MAX} bytes")
