"""The HTTP API (docs/protocol.md, section 8) without the network: what is sent, what an answer means, and whether a failure
is worth another try. `Publisher` and `AsyncPublisher` do the sending."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode

import httpx

from .backoff import backoff_s
from .errors import TidewireError, error_of, make_error, misuse
from .names import check_channel, check_text, check_user, encode, random_key
from .protocol import (
    HistoryPage,
    Member,
    Priority,
    Published,
    UserId,
    Wire,
    history_of,
    is_count,
    members_of,
    number_of,
    object_of,
    published_of,
)
from .publish import publish_body

R = TypeVar("R")

# What a status means where no body tells it.
_CODES = {
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "rate_limited",
    503: "unavailable",
}

BATCH_MAX = 1000
TIMEOUT_MAX_S = 240.0
"""Below the server's window for idempotency keys, so that a publish that is tried again is never done twice."""
RESPONSE_MAX = 64 * 1024 * 1024
# A failed try is followed by another one soon: a caller waits.
_BACKOFF_FACTOR = 0.2


@dataclass(frozen=True, slots=True)
class Publication:
    """One message of a batch. `change` is `data`, or for documents `merge` or `patch`."""

    channel: str
    data: Any
    event: str | None = None
    key: str | None = None
    priority: Priority | None = None
    ttl_ms: int | None = None
    ephemeral: bool = False
    if_seq: int | None = None
    change: str = "data"


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    channel: str
    epoch: str
    seq: int
    data: Any


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    channel: str
    kind: str
    epoch: str
    seq: int
    subscribers: int


@dataclass(frozen=True, slots=True)
class ChannelPage:
    channels: tuple[ChannelInfo, ...]
    next: str | None
    """The `cursor` of the next page; None: this is the last one."""


@dataclass(frozen=True, slots=True)
class UserConnection:
    connection_id: str
    connected_at: int
    health: Any


@dataclass(frozen=True, slots=True)
class UserInfo:
    user: UserId
    online: int
    connections: tuple[UserConnection, ...]


@dataclass(frozen=True, slots=True)
class Revoked:
    revoked_before: int
    """Tokens issued in or before this moment (milliseconds since 1970) are no longer accepted."""
    disconnected: int


@dataclass(frozen=True, slots=True)
class Request(Generic[R]):
    method: str
    path: str
    parse: Callable[[Wire], R | None]
    """What the answer means; None: it can't be one."""
    body: str | None = None
    repeatable: bool = True
    """Doing it twice is doing it once."""

    def result(self, status: int, content: bytes) -> R:
        answer = object_of(content)
        parsed = None if answer is None else self.parse(answer)
        if parsed is None:
            raise make_error("protocol_error", f"{self.method} {self.path} was answered with something else", status=status)
        return parsed


class Attempts:
    """One call's tries. `now` is a clock in seconds."""

    def __init__(self, request: Request[Any], timeout: float, now: Callable[[], float]) -> None:
        self._request = request
        self._now = now
        self._end = now() + timeout
        self._timeout = timeout
        self._count = 0

    @property
    def remaining(self) -> float:
        return self._end - self._now()

    def late(self) -> TidewireError:
        what = f"no answer to {self._request.method} {self._request.path} within {self._timeout} s"
        return make_error("timeout", what, request=self._request.path)

    def wait_after(self, failure: Exception) -> float:
        """How long to wait before the next try. Raises where there shall be none."""
        unsent = isinstance(failure, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))
        if isinstance(failure, TidewireError):
            error = failure
            # What is refused for the time being has not been done.
            again = error.code in ("rate_limited", "unavailable") or (self._request.repeatable and (error.status or 0) >= 500)
        else:
            what = f"{self._request.method} {self._request.path}: {failure or type(failure).__name__}"
            kind = "timeout" if isinstance(failure, (httpx.TimeoutException, TimeoutError)) else "connection_lost"
            error = make_error("unavailable" if unsent else kind, what, request=self._request.path)
            again = unsent or self._request.repeatable
        wait = backoff_s(self._count) * _BACKOFF_FACTOR + (error.retry_after_ms or 0) / 1000
        self._count += 1
        if not again or wait >= self.remaining:
            raise error from (None if failure is error else failure)
        return wait


def refusal_of(status: int, headers: Mapping[str, str], content: bytes) -> TidewireError:
    """The error that a response stands for: problem+json, or what a proxy says."""
    problem = object_of(content) or {}
    retry_after = headers.get("retry-after", "")
    details: dict[str, Any] = {"status": status}
    if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < 6:
        details["retry_after_ms"] = float(retry_after) * 1000
    if number_of(problem.get("retry_after_ms")) is not None:
        details.pop("retry_after_ms", None)
    if isinstance(problem.get("code"), str):
        return error_of({"message": problem.get("detail", problem.get("title")), **problem}, **details)
    # 502 and 504 are a proxy's: what lies behind it may have done it.
    code = _CODES.get(status) or ("internal" if status >= 500 else "protocol_error")
    return make_error(code, f"the server answered with {status}", **details)


# Each of these is one call, with the signature and the words that it has in both publishers.


def publish(
    channel: str,
    data: Any = None,
    *,
    event: str | None = None,
    key: str | None = None,
    priority: Priority | None = None,
    ttl_ms: int | None = None,
    ephemeral: bool = False,
    if_seq: int | None = None,
) -> Request[Published]:
    """Returns once the message is as safe as its namespace promises. `key`: idempotency key, random where not given."""
    return _publish(Publication(channel, data, event, key, priority, ttl_ms, ephemeral, if_seq))


def merge(channel: str, patch: Any, *, key: str | None = None, if_seq: int | None = None) -> Request[Published]:
    """Merges into a document (RFC 7396)."""
    return _publish(Publication(channel, patch, key=key, if_seq=if_seq, change="merge"))


def patch(channel: str, operations: list[Any], *, key: str | None = None, if_seq: int | None = None) -> Request[Published]:
    """Changes places in a document (RFC 6902)."""
    return _publish(Publication(channel, operations, key=key, if_seq=if_seq, change="patch"))


def batch(items: Sequence[Publication]) -> Request[list[Published | TidewireError]]:
    """Up to 1000 messages in one call; a result or an error each, in order."""
    if not 1 <= len(items) <= BATCH_MAX:
        raise misuse(f"a batch has 1 to {BATCH_MAX} messages, not {len(items)}")

    def parse(answer: Wire) -> list[Published | TidewireError] | None:
        results = answer.get("results")
        if not isinstance(results, list) or len(results) != len(items):
            return None
        return [_one_of(result, item.channel) for result, item in zip(results, items, strict=True)]

    body = encode({"publish": [_fields(item) for item in items]})
    return Request("POST", "/api/v1/batch", parse, body, not any(item.ephemeral for item in items))


def broadcast(event: str | None, data: Any = None) -> Request[int]:
    """To every connection of the tenant, at most once. Returns how many there were."""
    check_text("event", event, 64)
    body = encode({"data": data} if event is None else {"event": event, "data": data})
    # It has no key.
    return Request("POST", "/api/v1/broadcast", lambda answer: _count(answer, "connections"), body, repeatable=False)


def notify(
    user: UserId,
    data: Any,
    *,
    event: str | None = None,
    key: str | None = None,
    priority: Priority | None = None,
    ttl_ms: int | None = None,
) -> Request[Published]:
    """Into the user's inbox; `online` of the answer tells how many of the user's connections there are."""
    name = f"user:{check_user(user)}"
    body = publish_body({"data": data}, event=event, key=key or random_key(), priority=priority, ttl_ms=ttl_ms)
    return Request("POST", f"/api/v1/users/{_segment(user)}/notify", lambda answer: published_of(answer, name), encode(body))


def history(
    channel: str, *, after: int | None = None, before: int | None = None, limit: int | None = None
) -> Request[HistoryPage]:
    """A page of the channel's log, ascending; `after` and `before` are exclusive."""
    query = {"after": after, "before": before, "limit": limit}
    for name, value in query.items():
        if value is not None and not is_count(value):
            raise misuse(f"`{name}` is a whole number")
    given = urlencode({name: value for name, value in query.items() if value is not None})
    path = f"/api/v1/channels/{_channel(channel)}/history"
    return Request("GET", f"{path}?{given}" if given else path, lambda answer: history_of(answer, channel))


def presence(channel: str) -> Request[tuple[Member, ...]]:
    """Who is there."""
    return Request("GET", f"/api/v1/channels/{_channel(channel)}/presence", lambda answer: members_of(answer.get("members")))


def snapshot(channel: str) -> Request[ChannelSnapshot]:
    """Of a channel whose kind has one; `not_found` for a stream."""

    def parse(answer: Wire) -> ChannelSnapshot | None:
        epoch, seq = answer.get("epoch"), _count(answer, "seq")
        known = isinstance(epoch, str) and seq is not None and "data" in answer
        return ChannelSnapshot(channel, str(epoch), seq or 0, answer["data"]) if known else None

    return Request("GET", f"/api/v1/channels/{_channel(channel)}/snapshot", parse)


def channel(channel: str) -> Request[ChannelInfo]:
    """One channel in short; `not_found` until it is first used."""
    return Request("GET", f"/api/v1/channels/{_channel(channel)}", _info_of)


def channels(*, prefix: str | None = None, limit: int | None = None, cursor: str | None = None) -> Request[ChannelPage]:
    """Channels that are in use, by name and page by page."""
    query = {name: value for name, value in {"prefix": prefix, "limit": limit, "cursor": cursor}.items() if value is not None}

    def parse(answer: Wire) -> ChannelPage | None:
        entries, following = answer.get("channels"), answer.get("next")
        if not isinstance(entries, list):
            return None
        found = tuple(info for info in (_info_of(entry) for entry in entries if isinstance(entry, dict)) if info is not None)
        return ChannelPage(found, following if isinstance(following, str) and following else None)

    return Request("GET", "/api/v1/channels" + (f"?{urlencode(query)}" if query else ""), parse)


def user(user: UserId) -> Request[UserInfo]:
    """Where the user is connected."""

    def parse(answer: Wire) -> UserInfo | None:
        online, listed = _count(answer, "online"), answer.get("connections")
        if online is None or not isinstance(listed, list):
            return None
        connections = tuple(_connection_of(one) for one in listed if isinstance(one, dict))
        told = answer.get("user")
        return UserInfo(told if isinstance(told, (str, int)) else user, online, connections)

    return Request("GET", f"/api/v1/users/{_segment(user)}", parse)


def disconnect(user: UserId) -> Request[int]:
    """Ends the user's connections. Returns how many."""
    return Request("POST", f"/api/v1/users/{_segment(user)}/disconnect", lambda answer: _count(answer, "disconnected"))


def revoke(user: UserId) -> Request[Revoked]:
    """Ends the user's connections and makes all tokens issued until now void."""

    def parse(answer: Wire) -> Revoked | None:
        before, disconnected = _count(answer, "revoked_before"), _count(answer, "disconnected")
        return None if before is None or disconnected is None else Revoked(before, disconnected)

    return Request("POST", f"/api/v1/users/{_segment(user)}/revoke", parse)


def _publish(item: Publication) -> Request[Published]:
    body = encode(_fields(item))
    # What is ephemeral has no key that would keep it from being done twice.
    return Request("POST", "/api/v1/publish", lambda answer: published_of(answer, item.channel), body, not item.ephemeral)


def _fields(item: Publication) -> dict[str, Any]:
    if not isinstance(item, Publication) or item.change not in ("data", "merge", "patch"):
        raise misuse("a batch is a list of Publication(channel, data, ...), with `change` one of data, merge, patch")
    body = publish_body(
        {item.change: item.data},
        event=item.event,
        key=item.key,
        priority=item.priority,
        ttl_ms=item.ttl_ms,
        ephemeral=item.ephemeral,
        if_seq=item.if_seq,
    )
    if not item.ephemeral:
        body.setdefault("key", random_key())
    return {"channel": check_channel(item.channel), **body}


def _one_of(result: Any, channel: str) -> Published | TidewireError:
    known = result if isinstance(result, dict) else {}
    if "code" in known:
        return error_of(known, channel=channel)
    return published_of(known, channel) or make_error("protocol_error", "the server sent a bad result", channel=channel)


def _info_of(entry: Wire) -> ChannelInfo | None:
    name, kind, epoch, seq = entry.get("channel"), entry.get("kind"), entry.get("epoch"), _count(entry, "seq")
    if not isinstance(name, str) or seq is None:
        return None
    return ChannelInfo(name, str(kind), str(epoch), seq, _count(entry, "subscribers") or 0)


def _connection_of(one: Wire) -> UserConnection:
    return UserConnection(str(one.get("connection_id")), int(number_of(one.get("connected_at")) or 0), one.get("health"))


def _count(answer: Wire, name: str) -> int | None:
    value = answer.get(name)
    return value if isinstance(value, int) and is_count(value) else None


def _channel(name: str) -> str:
    return quote(check_channel(name), safe="")


def _segment(user: UserId) -> str:
    return quote(str(check_user(user)), safe="")
