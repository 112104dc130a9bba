"""The life of the connection, on a fake server and a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tidewire import (
    AuthenticationError,
    Broadcast,
    ConnectionState,
    RefusedError,
    Session,
    Tidewire,
    TidewireError,
    TransportEvents,
    TransportRequest,
)
from tidewire.errors import make_error

from ..support.fake_server import FakeServer, begin, record, turn


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_begins_when_it_is_asked_for_and_is_done_with_the_servers_first_message() -> None:
    server = FakeServer()
    client = server.client()
    states = record(client, ConnectionState)
    assert [client.state.name] == ["idle"] and not server.sockets
    connecting = asyncio.ensure_future(client.connect())
    await turn()
    assert client.state.name == "connecting" and server.socket.token == "a.b.c"
    server.socket.welcome(expires_at=5)
    session = await connecting
    assert session is client.session and session.user is not None
    assert (session.user.id, session.expires_at, session.authenticated) == (1, 5, True)
    assert [state.name for state in states] == ["connecting", "connected"]
    assert await client.connect() is session
    await client.close()


@pytest.mark.parametrize("token", ["x.y.z", lambda: "x.y.z"])
async def test_brings_the_token(token: Any) -> None:
    server = FakeServer()
    client = await server.connected(token=token)
    assert server.socket.token == "x.y.z"
    await client.close()


async def test_waits_for_a_token_that_takes_its_time() -> None:
    async def slow() -> str:
        await asyncio.sleep(2)
        return "x.y.z"

    server = FakeServer()
    client = server.client(token=slow)
    begin(client.connect())
    await asyncio.sleep(2.1)
    assert server.socket.token == "x.y.z"
    await client.close()


@pytest.mark.parametrize("token", [None, "", lambda: None, lambda: ""])
async def test_is_anonymous_without_a_token(token: Any) -> None:
    server = FakeServer()
    client = await server.connected({"user": None, "authenticated": False}, token=token)
    assert server.socket.token == ""
    assert client.session is not None and not client.session.authenticated
    await client.close()


async def test_makes_do_with_a_welcome_that_says_next_to_nothing() -> None:
    server = FakeServer()
    client = server.client()
    connecting = begin(client.connect())
    await turn()
    server.socket.say({"type": "message", "channel": "room:1"})
    server.socket.say({"type": "connected", "limits": 7, "capabilities": "x", "heartbeat_ms": 1e999, "expires_at": 1e999})
    session = await connecting
    assert (session.user, session.capabilities, session.limits, session.expires_at) == (None, (), {}, None)
    await client.close()


async def test_gives_up_an_attempt_that_takes_too_long_and_makes_another() -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    server = FakeServer()
    client = server.client(connect_timeout=3, token=never)
    begin(client.connect())
    await asyncio.sleep(3.01)
    assert client.state.name == "waiting"
    assert client.state.error is not None and client.state.error.code == "timeout"
    await asyncio.sleep(1)
    assert len(server.sockets) == 2
    for socket in server.sockets:
        socket._opening.cancel()
    await client.close()


async def test_fails_connect_when_nothing_came_in_time_and_goes_on_trying() -> None:
    server = FakeServer()
    client = server.client(timeout=2)
    with pytest.raises(TidewireError) as failed:
        await client.connect()
    assert failed.value.code == "timeout"
    server.socket.welcome()
    assert client.state.name == "connected"
    await client.close()


async def test_tells_a_failing_token_function_from_a_failing_network_and_asks_it_again() -> None:
    tokens: list[Callable[[], str]] = [lambda: 1 / 0, lambda: "x.y.z"]  # type: ignore[list-item, return-value]

    def next_token() -> str:
        return tokens.pop(0)()

    server = FakeServer()
    client = server.client(token=next_token)
    states = record(client, ConnectionState)
    connecting = begin(client.connect())
    while len(server.sockets) < 2:
        await asyncio.sleep(0.05)
    await turn()
    waiting = next(state for state in states if state.name == "waiting")
    assert isinstance(waiting.error, AuthenticationError) and waiting.error.code == "token_failed"
    assert isinstance(waiting.error.__cause__, ZeroDivisionError)
    server.socket.welcome()
    await connecting
    await client.close()


@pytest.mark.parametrize("token", ["not a token", "a b", "Bearer x.y.z", 42, {}, "x\ny", "é"])
async def test_what_is_no_token_is_refused_with_what_it_takes(token: Any) -> None:
    server = FakeServer()
    client = server.client(token=lambda: token, timeout=1)
    with pytest.raises(AuthenticationError, match="`token` is a JWT"):
        await client.connect()
    await client.close()


async def test_waits_with_full_jitter_longer_from_attempt_to_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidewire.connection.backoff_s", lambda attempt: 0.5 * 2**attempt)
    server = FakeServer()
    client = await server.connected()
    waits = []
    for _ in range(4):
        before = now()
        server.socket.cut()
        assert client.state.retry_at is not None
        count = len(server.sockets)
        while len(server.sockets) == count:
            await asyncio.sleep(0.01)
        waits.append(round(now() - before, 1))
        await turn()
    assert waits == [0.5, 1, 2, 4]
    server.socket.welcome()
    await asyncio.sleep(4)
    server.socket.cut()
    assert client.state.attempt == 5, "one that did not last is no good one"
    await server.again()
    await asyncio.sleep(5.5)
    server.socket.cut()
    assert client.state.attempt == 1
    await client.close()


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1000, "disconnected")])
async def test_stops_where_the_server_said_so(code: int, reason: str) -> None:
    server = FakeServer()
    client = await server.connected()
    server.socket.cut(code, reason)
    assert client.state.name == "closed" and client.state.error is not None
    await asyncio.sleep(1000)
    assert len(server.sockets) == 1
    with pytest.raises(TidewireError, match="closed"):
        await client.channel("room:1").publish(1)
    begin(client.connect())
    await turn()
    assert len(server.sockets) == 2
    await client.close()


async def test_comes_back_from_a_drain_when_the_server_said_to() -> None:
    server = FakeServer()
    client = await server.connected()
    server.socket.say({"type": "reconnect", "after_ms": 4000, "reason": "draining"})
    before = now()
    server.socket.cut(1012, "draining")
    await server.again()
    assert 4 <= now() - before < 5
    await client.close()


@pytest.mark.parametrize("after_ms", ["x", None, -5, 1e999, 1e15])
async def test_a_drain_that_says_nonsense_is_not_believed(after_ms: Any) -> None:
    server = FakeServer()
    client = await server.connected()
    server.socket.say({"type": "reconnect", "after_ms": after_ms})
    server.socket.cut(1012, "draining")
    before = now()
    await server.again()
    assert now() - before < 602
    await client.close()


@pytest.mark.parametrize("reason", ["rate_limited", "Too many failed connection attempts"])
async def test_slows_down_where_the_server_asked_for_that(reason: str) -> None:
    server = FakeServer()
    client = await server.connected()
    server.socket.cut(1008, reason)
    assert client.state.error is not None and client.state.error.code == "rate_limited"
    before = now()
    await server.again()
    assert 15 <= now() - before < 31
    await client.close()


async def test_keeps_a_retry_after_of_the_upgrade() -> None:
    server = FakeServer()
    client = server.client()
    begin(client.connect())
    await turn()
    server.socket.cut(1006, "unavailable", make_error("unavailable", "draining", status=503), retry_after_s=7)
    before = now()
    await server.again()
    assert 7 <= now() - before < 8
    await client.close()


async def test_connects_at_once_when_the_application_asks() -> None:
    server = FakeServer()
    client = await server.connected()
    server.socket.cut(1008, "rate_limited")
    begin(client.connect())
    await turn()
    assert len(server.sockets) == 2
    await client.close()


async def test_ignores_what_an_old_socket_still_says() -> None:
    server = FakeServer()
    client = await server.connected()
    seen = record(client, Broadcast)
    old = server.socket
    old.cut()
    await server.again()
    old.ended = None
    old.say({"type": "message", "channel": "$all", "data": 1})
    old.cut()
    assert client.state.name == "connected" and not seen
    await client.close()


async def test_a_refused_token_is_asked_for_again_three_times_in_a_row() -> None:
    server = FakeServer()
    client = server.client()
    connecting = begin(client.connect())
    for attempt in range(3):
        while len(server.sockets) <= attempt:
            await asyncio.sleep(0.05)
        await turn()
        server.socket.say({"type": "auth_error", "code": "token_invalid", "message": "no"})
        server.socket.cut(1008, "token_invalid")
    with pytest.raises(AuthenticationError) as refused:
        await connecting
    assert refused.value.code == "token_invalid" and client.state.error is refused.value
    assert len(server.sockets) == 3
    await client.close()


async def test_a_token_that_is_the_only_one_is_not_tried_again() -> None:
    server = FakeServer()
    client = server.client(token="x.y.z")
    connecting = begin(client.connect())
    await turn()
    server.socket.say({"type": "auth_error", "code": "token_expired", "message": "no"})
    server.socket.cut(1008, "")
    with pytest.raises(AuthenticationError):
        await connecting
    assert client.state.name == "closed"


async def test_a_token_that_could_not_be_checked_is_not_at_fault() -> None:
    server = FakeServer()
    client = server.client(token="x.y.z")
    begin(client.connect())
    await turn()
    server.socket.say({"type": "auth_error", "code": "unavailable", "message": "no keys yet"})
    server.socket.cut(1008, "unavailable")
    assert client.state.name == "waiting"
    await client.close()


async def test_a_refusal_by_status_is_one_of_the_token() -> None:
    server = FakeServer()
    client = server.client(token="x.y.z")
    connecting = begin(client.connect())
    await turn()
    server.socket.cut(1008, "token_expired", make_error("token_expired", "too old", status=401))
    with pytest.raises(AuthenticationError, match="too old"):
        await connecting


async def test_gives_the_connection_a_new_token_before_the_old_one_ends() -> None:
    server = FakeServer()
    tokens = iter(["one.x.x", "two.x.x"])
    client = await server.connected(token=lambda: next(tokens))
    sessions = record(client, Session)
    server.socket.say({"type": "auth_expiring", "expires_at": (1_700_000_000 + now() + 60) * 1000})
    await asyncio.sleep(29)
    assert not server.socket.all("auth")
    await asyncio.sleep(2)
    request = server.socket.last("auth")
    assert request["token"] == "two.x.x"
    user = {"id": 1, "type": "admin"}
    server.socket.say({"type": "auth_success", "id": request["id"], "user": user, "capabilities": ["x"], "expires_at": 9})
    await turn()
    assert client.session is sessions[0] and client.session is not None
    assert (client.session.capabilities, client.session.expires_at, client.session.connection_id) == (("x",), 9, "c-1")
    await client.close()


@pytest.mark.parametrize("expires_at", [0, None, "x", 1e999])
async def test_a_token_that_lives_too_short_is_not_renewed_without_end(expires_at: Any) -> None:
    server = FakeServer()
    client = await server.connected()
    for _ in range(20):
        server.socket.say({"type": "auth_expiring", "expires_at": expires_at})
        await asyncio.sleep(0.5)
        if server.socket.all("auth"):
            break
    assert not server.socket.all("auth"), "each warning puts it off"
    await asyncio.sleep(1)
    assert len(server.socket.all("auth")) == 1
    await client.close()


async def test_tries_again_when_the_token_could_not_be_had_but_not_when_it_is_refused() -> None:
    server = FakeServer()
    tokens: list[Any] = ["one.x.x", None, "two.x.x"]
    client = await server.connected(token=lambda: tokens.pop(0))
    errors = record(client, TidewireError)
    server.socket.say({"type": "auth_expiring", "expires_at": 0})
    await asyncio.sleep(1.1)
    assert [error.code for error in errors] == ["token_failed"]
    await asyncio.sleep(10)
    request = server.socket.last("auth")
    server.socket.say({"type": "auth_error", "id": request["id"], "code": "user_mismatch", "message": "no"})
    await asyncio.sleep(100)
    assert [error.code for error in errors] == ["token_failed", "user_mismatch"]
    assert len(server.socket.all("auth")) == 1 and client.state.name == "connected"
    await client.close()


async def test_renewing_does_not_wait_for_ever_for_the_token() -> None:
    tokens = iter(["a.b.c"])

    async def token() -> str:
        for one in tokens:
            return one
        return await asyncio.Future()

    client = await FakeServer().connected(token=token, timeout=3)
    with pytest.raises(TidewireError) as late:
        await client.renew()
    assert late.value.code == "token_failed"
    await client.close()


async def test_renewing_does_not_wait_for_ever_nor_take_another_answer() -> None:
    server = FakeServer()
    client = await server.connected(timeout=3)
    with pytest.raises(TidewireError, match="no answer to auth"):
        await client.renew()
    renewing = begin(client.renew())
    await turn()
    server.socket.say({"type": "pong", "id": server.socket.last("auth")["id"]})
    with pytest.raises(TidewireError, match="bad"):
        await renewing
    await client.close()


async def test_another_user_s_token_closes_the_client_before_anything_is_sent() -> None:
    server = FakeServer()
    client = await server.connected()
    room = client.channel("room:1")
    begin(room.subscribe())
    await turn()
    server.socket.subscribed()
    server.socket.cut()
    publishing = begin(room.publish("of the first user"))
    await server.again(user={"id": 2, "type": "user"})
    assert server.socket.sent == []
    assert client.state.error is not None and client.state.error.code == "user_mismatch"
    with pytest.raises(AuthenticationError):
        await publishing


async def test_the_same_user_may_be_spelled_otherwise() -> None:
    server = FakeServer()
    client = await server.connected()
    server.socket.cut()
    await server.again(user={"id": "1", "type": "user"})
    assert client.state.name == "connected"
    await client.close()


async def test_silence_is_doubted_with_a_ping_and_broken_by_anything() -> None:
    server = FakeServer()
    server.answers_pings = False
    client = await server.connected(heartbeat=20, ping_timeout=5)
    await asyncio.sleep(19.9)
    assert not server.socket.sent
    await asyncio.sleep(0.2)
    assert server.socket.sent == [{"type": "ping"}]
    server.socket.say({"type": "message", "channel": "room:9", "data": 1})
    await asyncio.sleep(5.1)
    assert client.state.name == "connected"
    await client.close()


async def test_silence_after_a_ping_is_the_end_of_the_connection() -> None:
    server = FakeServer()
    server.answers_pings = False
    client = await server.connected(heartbeat=20, ping_timeout=5)
    states = record(client, ConnectionState)
    await asyncio.sleep(24.9)
    assert not states
    await asyncio.sleep(0.2)
    assert states[0].name == "waiting" and "no answer to a ping" in states[0].error.message
    assert server.sockets[0].ended == 4000
    await client.close()


async def test_silence_is_borne_longer_after_each_connection_that_it_ended_and_half_as_long_after_each_answer() -> None:
    # A message that takes longer than all this would otherwise come from its beginning for ever.
    server = FakeServer()
    server.answers_pings = False
    client = await server.connected(heartbeat=20, ping_timeout=5)
    for wait in (5, 10, 20, 40, 80, 80):
        states = record(client, ConnectionState)
        await asyncio.sleep(20 + wait - 0.1)
        assert not states
        await asyncio.sleep(0.2)
        assert states[0].name == "waiting" and f"within {wait} s" in states[0].error.message
        await server.again()
    for _ in range(3):
        await asyncio.sleep(20.1)
        server.socket.say({"type": "pong", "timestamp": 1})
    states = record(client, ConnectionState)
    await asyncio.sleep(20 + 9.9)
    assert not states
    await asyncio.sleep(0.3)
    assert states[0].name == "waiting"
    await client.close()


async def test_a_connection_on_which_the_server_talks_is_never_doubted() -> None:
    server = FakeServer()
    client = await server.connected({"heartbeat_ms": 3000}, heartbeat=20)
    for _ in range(10):
        await asyncio.sleep(2.9)
        server.socket.say({"type": "anything"})
    assert not server.socket.sent
    await asyncio.sleep(3.1)
    assert server.socket.sent == [{"type": "ping"}]
    await asyncio.sleep(60)
    assert client.state.name == "connected"
    await client.close()


async def test_closing_ends_the_socket_the_waiting_and_the_iterators() -> None:
    server = FakeServer()
    client = await server.connected()
    states = client.events(ConnectionState)
    server.answers_pings = False
    calling = begin(client.call("ping"))
    await turn()
    await client.close()
    assert server.socket.ended == 1000 and client.session is None
    with pytest.raises(TidewireError) as closed:
        await calling
    assert closed.value.code == "closed"
    assert [state.name async for state in states] == ["closed"]
    await client.close()


@pytest.mark.parametrize("phase", ["idle", "connecting", "waiting"])
async def test_closing_works_at_any_time(phase: str) -> None:
    server = FakeServer()
    client = server.client()
    connecting = begin(client.connect()) if phase != "idle" else None
    await turn()
    if phase == "waiting":
        server.socket.cut()
    assert client.state.name == phase
    await client.close()
    if connecting is not None:
        with pytest.raises(TidewireError, match="closed"):
            await connecting
    await asyncio.sleep(100)
    assert client.state.name == "closed" and len(server.sockets) == (phase != "idle")


async def test_a_listener_may_close_and_reopen_it() -> None:
    server = FakeServer()
    client = await server.connected()
    work: list[Any] = []
    client.on(ConnectionState, lambda state: work.append(begin(client.close())) if state.name == "waiting" else None)
    server.socket.cut()
    await turn()
    assert client.state.name == "closed"
    await asyncio.sleep(100)
    assert len(server.sockets) == 1


async def test_a_context_that_can_t_connect_leaves_nothing_behind() -> None:
    server = FakeServer()
    client = server.client(timeout=1)
    with pytest.raises(TidewireError):
        async with client:
            raise AssertionError("never")
    assert client.state.name == "closed"


async def test_a_transport_that_can_t_connect_at_all_closes_the_client() -> None:
    class Broken:
        def connect(self, request: TransportRequest, events: TransportEvents) -> Any:
            raise make_error("invalid_argument", "no network here")

    client = Tidewire("ws://fake", transport=Broken())
    with pytest.raises(RefusedError, match="no network here"):
        await client.connect()


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": float("inf")},
        {"heartbeat": -1},
        {"connect_timeout": "5"},
        {"ping_timeout": float("nan")},
        {"token": 5},
    ],
    ids=str,
)
def test_options_that_can_t_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RefusedError):
        Tidewire("ws://host", **options)


async def test_passes_broadcasts_on_and_tells_of_errors_that_belong_to_no_call() -> None:
    server = FakeServer()
    client = await server.connected()
    seen = record(client, Broadcast, TidewireError)
    server.socket.say({"type": "message", "channel": "$all", "event": "news", "data": 1, "timestamp": 5})
    server.socket.say({"type": "error", "code": "invalid_json", "message": "what was that"})
    server.socket.say("nonsense")
    assert seen[0] == Broadcast(1, "news", 5)
    assert [error.code for error in seen[1:]] == ["invalid_json", "protocol_error"]
    await client.close()
