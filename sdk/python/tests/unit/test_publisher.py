"""The publishers' tries, without a network: both kinds do the same."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tidewire import (
    AsyncPublisher,
    ConflictError,
    ConnectionFailedError,
    LimitError,
    Publication,
    Publisher,
    RefusedError,
    TidewireError,
    UnavailableError,
)

OK = {"channel": "room:1", "epoch": "e", "seq": 1, "duplicate": False}
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]] | Exception


class Script:
    """Answers one request after the other, and keeps what was asked and how long was waited."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content, headers=headers[0] if headers else {})

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.content) for request in self.requests]


@pytest.fixture(params=[Publisher, AsyncPublisher])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A publisher on a script, whose waits take no time but are counted as time."""
    clock = [0.0]
    monkeypatch.setattr("tidewire.publisher.time.monotonic", lambda: clock[0])

    def build(script: Script, **options: Any) -> Any:
        def pause(seconds: float) -> None:
            script.waits.append(seconds)
            clock[0] += seconds

        async def pause_async(seconds: float) -> None:
            pause(seconds)

        publisher = request.param("http://api", "tw_key", transport=httpx.MockTransport(script), **options)
        if request.param is Publisher:
            monkeypatch.setattr(publisher, "_sleep", pause)
        else:
            monkeypatch.setattr("tidewire.publisher.asyncio.sleep", pause_async)
        return publisher

    return build


async def done(answer: Any) -> Any:
    return await answer if inspect.isawaitable(answer) else answer


async def test_asks_as_the_protocol_says(make: Callable[..., Any]) -> None:
    script = Script((200, OK))
    publisher = make(script)
    published = await done(publisher.publish("room:1", {"é": 1}, event="e", priority="high", ttl_ms=5))
    assert (published.seq, published.epoch, published.duplicate) == (1, "e", False)
    request = script.requests[0]
    assert (request.method, str(request.url)) == ("POST", "http://api/api/v1/publish")
    assert request.headers["authorization"] == "Bearer tw_key"
    body = script.bodies[0]
    assert len(body.pop("key")) > 10
    assert body == {"channel": "room:1", "data": {"é": 1}, "event": "e", "priority": "high", "ttl_ms": 5}
    await done(publisher.close())


@pytest.mark.parametrize(
    "failure",
    [
        (503, {"code": "unavailable", "detail": "draining"}),
        (429, {"code": "rate_limited"}),
        (500, {}),
        (502, b"<html>"),
        (504, b""),
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("late"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("closed"),
        (200, b"<html>a page of a proxy"),
    ],
    ids=str,
)
async def test_tries_again_with_the_same_key(make: Callable[..., Any], failure: Answer) -> None:
    script = Script(failure, failure, (200, OK))
    publisher = make(script)
    if isinstance(failure, tuple) and failure[0] == 200:
        with pytest.raises(TidewireError) as nonsense:
            await done(publisher.publish("room:1", 1))
        assert nonsense.value.code == "protocol_error"
    else:
        assert (await done(publisher.publish("room:1", 1))).seq == 1
        assert len(script.requests) == 3 and len({body["key"] for body in script.bodies}) == 1
    await done(publisher.close())


async def test_waits_as_long_as_the_server_says(make: Callable[..., Any]) -> None:
    script = Script(
        (429, {"code": "rate_limited", "retry_after_ms": 1500}, {"Retry-After": "2"}),
        (503, b"", {"Retry-After": "3"}),
        (200, OK),
    )
    publisher = make(script)
    await done(publisher.publish("room:1", 1))
    assert 1.5 <= script.waits[0] < 1.7 and 3 <= script.waits[1] < 3.3
    await done(publisher.close())


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        ((503, {"code": "unavailable", "detail": "no"}), UnavailableError),
        (httpx.ConnectError("refused"), UnavailableError),
        (httpx.ReadTimeout("late"), ConnectionFailedError),
        ((429, {"code": "rate_limited", "retry_after_ms": 60_000}), LimitError),
    ],
    ids=str,
)
async def test_gives_up_in_time_with_the_last_reason(
    make: Callable[..., Any], failure: Answer, kind: type[TidewireError]
) -> None:
    script = Script(failure)
    publisher = make(script, timeout=20)
    with pytest.raises(kind):
        await done(publisher.publish("room:1", 1))
    assert sum(script.waits) <= 20
    await done(publisher.close())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
async def test_what_is_refused_is_raised_at_once(make: Callable[..., Any], status: int) -> None:
    script = Script((status, {"code": "conflict", "detail": "moved on", "seq": 7, "title": "Conflict"}))
    publisher = make(script)
    with pytest.raises(ConflictError) as refused:
        await done(publisher.publish("doc:1", 1, if_seq=5))
    assert (refused.value.status, refused.value.seq, refused.value.message) == (status, 7, "moved on")
    assert len(script.requests) == 1
    await done(publisher.close())


async def test_what_has_no_key_is_not_done_twice(make: Callable[..., Any]) -> None:
    failures: list[Answer] = [httpx.ReadTimeout("late"), (500, {}), (504, b"")]
    for failure in failures:
        for call in ("broadcast", "ephemeral", "batch"):
            script = Script(failure, (200, {**OK, "connections": 1}))
            publisher = make(script)
            with pytest.raises(TidewireError):
                if call == "broadcast":
                    await done(publisher.broadcast("e", 1))
                elif call == "ephemeral":
                    await done(publisher.publish("room:1", 1, ephemeral=True))
                else:
                    await done(publisher.batch([Publication("room:1", 1, ephemeral=True)]))
            assert len(script.requests) == 1
            await done(publisher.close())
    unsent: list[Answer] = [httpx.ConnectError("refused"), (503, {})]
    for failure in unsent:
        script = Script(failure, (200, {"connections": 3}))
        publisher = make(script)
        assert await done(publisher.broadcast("e", 1)) == 3
        await done(publisher.close())


async def test_an_answer_that_makes_no_sense_is_an_error(make: Callable[..., Any]) -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda api: api.publish("room:1", 1),
        lambda api: api.batch([Publication("room:1", 1)]),
        lambda api: api.broadcast("e", 1),
        lambda api: api.notify("ann", 1),
        lambda api: api.history("room:1"),
        lambda api: api.presence("room:1"),
        lambda api: api.snapshot("doc:1"),
        lambda api: api.channel("room:1"),
        lambda api: api.channels(),
        lambda api: api.user("ann"),
        lambda api: api.disconnect("ann"),
        lambda api: api.revoke("ann"),
    ]
    wrong = {"results": [], "channels": 7, "seq": "x", "online": True, "connections": {}, "messages": 1}
    bodies: list[Any] = [{}, [], 7, None, b"", wrong]
    for call in calls:
        for body in bodies:
            publisher = make(Script((200, body)))
            with pytest.raises(TidewireError) as failed:
                await done(call(publisher))
            assert failed.value.code == "protocol_error"
            await done(publisher.close())


@pytest.mark.parametrize(
    "call",
    [
        lambda api: api.publish("not a channel", 1),
        lambda api: api.publish("room:1", object()),
        lambda api: api.publish("room:1", 1, ttl_ms=0),
        lambda api: api.publish("room:1", 1, priority="urgent"),
        lambda api: api.batch([]),
        lambda api: api.batch([Publication("room:1", 1)] * 1001),
        lambda api: api.batch([{"channel": "room:1"}]),
        lambda api: api.batch([Publication("room:1", 1, change="replace")]),
        lambda api: api.notify("not a user", 1),
        lambda api: api.broadcast("x" * 65),
        lambda api: api.history("room:1", limit=-1),
        lambda api: api.snapshot("$all"),
        lambda api: api.user(True),
    ],
)
async def test_what_can_t_be_asked_for_fails_before_it_is_sent(make: Callable[..., Any], call: Callable[[Any], Any]) -> None:
    script = Script((200, OK))
    publisher = make(script)
    with pytest.raises(RefusedError):
        await done(call(publisher))
    assert not script.requests
    await done(publisher.close())


@pytest.mark.parametrize("kind", [Publisher, AsyncPublisher])
@pytest.mark.parametrize(
    "wrong",
    [{"url": "nowhere"}, {"key": ""}, {"key": "a\nb"}, {"key": "é"}, {"key": None}, {"timeout": 0}, {"timeout": 500}],
    ids=str,
)
def test_options_that_can_t_work_are_refused(kind: Any, wrong: dict[str, Any]) -> None:
    arguments = {"url": "http://host", "key": "k", **wrong}
    with pytest.raises(RefusedError):
        kind(arguments.pop("url"), arguments.pop("key"), **arguments)


async def test_a_server_that_never_answers_ends_in_time() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with AsyncPublisher("http://api", "k", timeout=3, transport=httpx.MockTransport(never)) as publisher:
        with pytest.raises(ConnectionFailedError, match="within 3"):
            await publisher.publish("room:1", 1)


async def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.api.RESPONSE_MAX", 1000)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"x" * 5000))
    async with AsyncPublisher("http://api", "k", transport=transport) as publisher:
        with pytest.raises(TidewireError, match="more than"):
            await publisher.snapshot("doc:1")
    with Publisher("http://api", "k", transport=transport) as blocking, pytest.raises(TidewireError, match="more than"):
        blocking.snapshot("doc:1")


async def test_the_lifespan_closes_it_and_it_can_be_used_again() -> None:
    publisher = AsyncPublisher("http://api", "k", transport=httpx.MockTransport(lambda _: httpx.Response(200, json=OK)))
    for _ in range(2):
        async with publisher.lifespan(object()):
            assert await publisher.dependency() is publisher
            assert (await publisher.publish("room:1", 1)).seq == 1
        assert publisher._http is None
