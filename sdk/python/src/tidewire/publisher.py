"""What a back end publishes with, over HTTP: `Publisher` for plain code, `AsyncPublisher` for asyncio. Both try again what
may be tried again, with the same idempotency key, until the answer is there or the time is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, TypeVar

import httpx

from . import api
from .api import Attempts, ChannelInfo, ChannelPage, ChannelSnapshot, Publication, Request, Revoked, UserInfo
from .errors import TidewireError, make_error, misuse
from .protocol import HistoryPage, Member, Priority, Published, UserId
from .url import api_url

R = TypeVar("R")


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


class Publisher(_Settings):
    """Blocking. May be used by several threads. Close it, or use it as a context manager."""

    def __init__(self, url: str, key: str, *, timeout: float = 10.0, **options: Any) -> None:
        super().__init__(url, key, timeout=timeout, **options)
        self._http = httpx.Client(**self._options)

    def publish(
        self,
        channel: str,
        data: Any = None,
        *,
        event: str | None = None,
        key: str | None = None,
        priority: Priority | None = None,
        ttl_ms: int | None = None,
        ephemeral: bool = False,
        if_seq: int | None = None,
    ) -> Published:
        """Returns once the message is as safe as its namespace promises. `key`: idempotency key, random where not given."""
        return self._call(api.publish(Publication(channel, data, event, key, priority, ttl_ms, ephemeral, if_seq)))

    def merge(self, channel: str, patch: Any, *, key: str | None = None, if_seq: int | None = None) -> Published:
        """Merges into a document (RFC 7396)."""
        return self._call(api.publish(Publication(channel, patch, key=key, if_seq=if_seq, change="merge")))

    def patch(self, channel: str, operations: list[Any], *, key: str | None = None, if_seq: int | None = None) -> Published:
        """Changes places in a document (RFC 6902)."""
        return self._call(api.publish(Publication(channel, operations, key=key, if_seq=if_seq, change="patch")))

    def batch(self, items: Sequence[Publication]) -> list[Published | TidewireError]:
        """Up to 1000 messages in one call; a result or an error each, in order."""
        return self._call(api.batch(items))

    def broadcast(self, event: str | None, data: Any = None) -> int:
        """To every connection of the tenant, at most once. Returns how many there were."""
        return self._call(api.broadcast(event, data))

    def notify(
        self,
        user: UserId,
        data: Any,
        *,
        event: str | None = None,
        key: str | None = None,
        priority: Priority | None = None,
        ttl_ms: int | None = None,
    ) -> Published:
        """Into the user's inbox; `online` of the answer tells how many of the user's connections there are."""
        return self._call(api.notify(user, data, event=event, key=key, priority=priority, ttl_ms=ttl_ms))

    def history(
        self, channel: str, *, after: int | None = None, before: int | None = None, limit: int | None = None
    ) -> HistoryPage:
        return self._call(api.history(channel, after, before, limit))

    def presence(self, channel: str) -> tuple[Member, ...]:
        return self._call(api.presence(channel))

    def snapshot(self, channel: str) -> ChannelSnapshot:
        """Of a channel whose kind has one; `not_found` for a stream."""
        return self._call(api.snapshot(channel))

    def channel(self, channel: str) -> ChannelInfo:
        return self._call(api.channel_info(channel))

    def channels(self, *, prefix: str | None = None, limit: int | None = None, cursor: str | None = None) -> ChannelPage:
        return self._call(api.channels(prefix, limit, cursor))

    def user(self, user: UserId) -> UserInfo:
        """Where the user is connected."""
        return self._call(api.user_info(user))

    def disconnect(self, user: UserId) -> int:
        """Ends the user's connections. Returns how many."""
        return self._call(api.disconnect(user))

    def revoke(self, user: UserId) -> Revoked:
        """Ends the user's connections and makes all tokens issued until now void."""
        return self._call(api.revoke(user))

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

    async def publish(
        self,
        channel: str,
        data: Any = None,
        *,
        event: str | None = None,
        key: str | None = None,
        priority: Priority | None = None,
        ttl_ms: int | None = None,
        ephemeral: bool = False,
        if_seq: int | None = None,
    ) -> Published:
        """Returns once the message is as safe as its namespace promises. `key`: idempotency key, random where not given."""
        return await self._call(api.publish(Publication(channel, data, event, key, priority, ttl_ms, ephemeral, if_seq)))

    async def merge(self, channel: str, patch: Any, *, key: str | None = None, if_seq: int | None = None) -> Published:
        """Merges into a document (RFC 7396)."""
        return await self._call(api.publish(Publication(channel, patch, key=key, if_seq=if_seq, change="merge")))

    async def patch(
        self, channel: str, operations: list[Any], *, key: str | None = None, if_seq: int | None = None
    ) -> Published:
        """Changes places in a document (RFC 6902)."""
        return await self._call(api.publish(Publication(channel, operations, key=key, if_seq=if_seq, change="patch")))

    async def batch(self, items: Sequence[Publication]) -> list[Published | TidewireError]:
        """Up to 1000 messages in one call; a result or an error each, in order."""
        return await self._call(api.batch(items))

    async def broadcast(self, event: str | None, data: Any = None) -> int:
        """To every connection of the tenant, at most once. Returns how many there were."""
        return await self._call(api.broadcast(event, data))

    async def notify(
        self,
        user: UserId,
        data: Any,
        *,
        event: str | None = None,
        key: str | None = None,
        priority: Priority | None = None,
        ttl_ms: int | None = None,
    ) -> Published:
        """Into the user's inbox; `online` of the answer tells how many of the user's connections there are."""
        return await self._call(api.notify(user, data, event=event, key=key, priority=priority, ttl_ms=ttl_ms))

    async def history(
        self, channel: str, *, after: int | None = None, before: int | None = None, limit: int | None = None
    ) -> HistoryPage:
        return await self._call(api.history(channel, after, before, limit))

    async def presence(self, channel: str) -> tuple[Member, ...]:
        return await self._call(api.presence(channel))

    async def snapshot(self, channel: str) -> ChannelSnapshot:
        """Of a channel whose kind has one; `not_found` for a stream."""
        return await self._call(api.snapshot(channel))

    async def channel(self, channel: str) -> ChannelInfo:
        return await self._call(api.channel_info(channel))

    async def channels(self, *, prefix: str | None = None, limit: int | None = None, cursor: str | None = None) -> ChannelPage:
        return await self._call(api.channels(prefix, limit, cursor))

    async def user(self, user: UserId) -> UserInfo:
        """Where the user is connected."""
        return await self._call(api.user_info(user))

    async def disconnect(self, user: UserId) -> int:
        """Ends the user's connections. Returns how many."""
        return await self._call(api.disconnect(user))

    async def revoke(self, user: UserId) -> Revoked:
        """Ends the user's connections and makes all tokens issued until now void."""
        return await self._call(api.revoke(user))

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
