"""The client against the real binary, over a network that delays, stalls and cuts."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import tidewire
from tidewire import (
    AsyncPublisher,
    AuthenticationError,
    Broadcast,
    Channel,
    ConflictError,
    ConnectionState,
    ForbiddenError,
    Gap,
    Grant,
    Message,
    NotFoundError,
    PresenceChange,
    RefusedError,
    Session,
    Subscribed,
    Tidewire,
    TidewireError,
    WebSocketTransport,
)

from ..support.proxy import Proxy
from ..support.server import KEY, Server

_serial = itertools.count(1)


def name(namespace: str = "room") -> str:
    """A channel that no other test uses."""
    return f"{namespace}:py{next(_serial)}"


async def until(done: Callable[[], Any]) -> None:
    while not done():
        await asyncio.sleep(0.005)


def open_client(server: Server, user: str | int | None, url: str = "", *grants: Grant, **options: Any) -> Tidewire:
    token = None if user is None else server.token(user, *grants)
    given = {} if token is None else {"token": lambda: token}
    return Tidewire(url or server.url, **{**given, **options})


@contextlib.asynccontextmanager
async def closing(*clients: Tidewire) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for client in clients:
            await client.close()


class Follower:
    def __init__(self, channel: Channel) -> None:
        self.seqs: list[int] = []
        self.data: list[Any] = []
        self.gaps: list[tuple[int, int]] = []
        self.verdicts: list[bool | None] = []
        channel.on(Message, self._heard)
        channel.on(Gap, lambda gap: self.gaps.append((gap.first, gap.last)))
        channel.on(Subscribed, lambda subscribed: self.verdicts.append(subscribed.recovered))

    def _heard(self, message: Message) -> None:
        self.seqs.append(message.seq or 0)
        self.data.append(message.data)


def come_back_at_once(client: Tidewire) -> None:
    """The wait between attempts is not what a test is about."""
    client.on(ConnectionState, lambda state: asyncio.get_running_loop().call_soon(again, state))

    def again(state: ConnectionState) -> None:
        if client.state is state and state.name == "waiting":
            client._connection.open()


async def test_has_a_first_message_after_five_lines(server: Server) -> None:
    async with open_client(server, "ann") as client:
        room = client.channel(name())
        await room.subscribe()
        messages = aiter(room)
        await room.publish({"text": "hello"})
        assert (await anext(messages)).data == {"text": "hello"}


async def test_knows_who_it_is(server: Server) -> None:
    async with open_client(server, 7) as client, open_client(server, None) as anonymous:
        assert client.session is not None and client.session.user is not None
        assert (client.session.user.id, client.session.tenant, client.session.authenticated) == (7, "default", True)
        assert anonymous.session is not None and not anonymous.session.authenticated


async def test_is_told_what_is_wrong_with_its_token(server: Server) -> None:
    for token, code in (("x.y.z", "token_malformed"), (server.token("ann", ttl=0.001), "token_expired")):
        client = Tidewire(server.url, token=token)
        with pytest.raises(AuthenticationError) as refused:
            await client.connect()
        assert refused.value.code == code
        assert client.state.name == "closed"
        await client.close()


async def test_renews_its_token_on_the_live_connection(server: Server) -> None:
    async with Tidewire(server.url, token=lambda: server.token("ann", ttl=6)) as client:
        first = client.session
        assert first is not None
        await until(lambda: client.session is None or client.session.expires_at != first.expires_at)
        assert client.session is not None and client.session.connection_id == first.connection_id


async def test_is_refused_where_it_may_not_go_with_the_code(server: Server) -> None:
    async with open_client(server, "ann") as client, open_client(server, None) as anonymous:
        with pytest.raises(NotFoundError) as lost:
            await client.channel("nowhere:1").subscribe()
        assert lost.value.channel == "nowhere:1"
        with pytest.raises(ForbiddenError) as refused:
            await client.channel("public:1").publish(1)
        assert refused.value.request == "publish"
        with pytest.raises(AuthenticationError):
            await anonymous.channel(name()).publish(1)


async def test_tells_what_the_content_policy_noticed_live_and_later_and_what_it_refuses(server: Server) -> None:
    async with open_client(server, "ann") as client:
        room = client.channel(name())
        await room.subscribe()
        messages = aiter(room)
        await room.publish({"text": "<script>alert(1)</script>"})
        await room.publish({"text": "hello"})
        heard = [(await anext(messages)).flags for _ in range(2)]
        assert heard == [("script_tag",), ()]
        assert [message.flags for message in (await room.history()).messages] == heard
        with pytest.raises(RefusedError) as refused:
            await client.channel(name("log")).publish("<iframe src=x>")
        assert (refused.value.code, refused.value.rule) == ("content_rejected", "iframe")


async def test_an_address_without_a_server_is_named(server: Server) -> None:
    client = Tidewire("http://127.0.0.1:1/", timeout=0.3)
    with pytest.raises(TidewireError, match=r"no connection to ws://127\.0\.0\.1:1/ws"):
        await client.connect()
    await client.close()


async def test_a_path_without_a_socket_is_named(server: Server) -> None:
    client = Tidewire(f"{server.url}/api/v1/nothing", timeout=0.3)
    with pytest.raises(TidewireError) as refused:
        await client.connect()
    assert refused.value.status in (401, 403, 404, 426)
    await client.close()


async def test_a_refusal_by_status_is_understood() -> None:
    settings = {"TIDEWIRE_AUTH_REJECT": "http", "TIDEWIRE_LIMITS_CONNECTIONS": "1"}
    server = await asyncio.to_thread(Server, settings)
    try:
        refused = Tidewire(server.url, token=server.token("ann", ttl=0.001))
        with pytest.raises(AuthenticationError) as expired:
            await refused.connect()
        assert (expired.value.code, expired.value.status) == ("token_expired", 401)
        await refused.close()
        late = open_client(server, "bob", timeout=0.5)
        async with closing(late), open_client(server, "ann"):
            with pytest.raises(TidewireError) as full:
                await late.connect()
            assert full.value.status == 503 and late.state.name == "waiting"
    finally:
        server.dispose()


def test_a_client_that_nobody_closed_ends_with_its_loop_without_a_word(server: Server) -> None:
    script = """
import asyncio, sys
from tidewire import Tidewire

async def main():
    client = Tidewire(sys.argv[1], token=sys.argv[2])
    room = client.channel("room:py-unclosed")
    await room.subscribe()
    reading = asyncio.create_task(anext(aiter(room)))
    publishing = asyncio.create_task(room.publish(1))
    await asyncio.sleep(0)

asyncio.run(main(), debug=True)
"""
    command = [sys.executable, "-X", "dev", "-c", script, server.url, server.token("ann")]
    path = {"PYTHONPATH": str(Path(tidewire.__file__).parents[1])}
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=False, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


async def test_gets_history_in_its_subscription_and_by_pages(server: Server) -> None:
    async with open_client(server, "ann") as client, open_client(server, "bob") as other:
        log = client.channel(name("log"))
        for i in range(1, 8):
            await log.publish(i)
        page = await log.history(after=2, limit=3)
        assert (page.first, page.last, [one.seq for one in page.messages]) == (1, 7, [3, 4, 5])
        with pytest.raises(ConflictError):
            await log.history(epoch="another")
        late = other.channel(log.name, history=3)
        seen = Follower(late)
        await late.subscribe()
        assert seen.seqs == [5, 6, 7]
        assert late.position is not None and late.position.seq == 7


async def test_takes_a_long_history_that_follows_the_answer(server: Server) -> None:
    async with open_client(server, "ann") as client, open_client(server, "bob") as other:
        log = client.channel(name("log"))
        for _ in range(7):
            await asyncio.gather(*(log.publish("x" * 20) for _ in range(100)))
        late = other.channel(log.name, history=650)
        seen = Follower(late)
        await late.subscribe()
        await until(lambda: len(seen.seqs) == 650)
        assert seen.seqs == list(range(51, 701))


async def test_a_later_process_goes_on_from_the_position(server: Server) -> None:
    channel = name("log")
    async with open_client(server, "ann") as client:
        log = client.channel(channel)
        await log.subscribe()
        await log.publish(1)
        await until(lambda: log.position is not None and log.position.seq == 1)
        position = log.position
    async with open_client(server, "bob") as client:
        await client.channel(channel).publish(2)
    async with open_client(server, "ann") as client:
        log = client.channel(channel, since=position)
        seen = Follower(log)
        assert (await log.subscribe()).recovered is True
        assert seen.seqs == [2]


async def test_sees_who_is_there(server: Server) -> None:
    async with open_client(server, "ann") as ann, open_client(server, "bob") as bob:
        watcher = ann.channel(name(), presence=True)
        await watcher.subscribe()
        changes: list[PresenceChange] = []
        watcher.on(PresenceChange, changes.append)
        there = bob.channel(watcher.name)
        entered = await there.presence.enter({"mood": "fine"})
        assert [(one.user.id, one.data) for one in entered] == [("bob", {"mood": "fine"})]
        await until(lambda: len(watcher.presence.members) == 1)
        await there.presence.update({"mood": "better"})
        await until(lambda: watcher.presence.members[0].data == {"mood": "better"})
        await there.presence.leave()
        await until(lambda: not watcher.presence.members)
        assert [one.action for one in changes] == ["enter", "update", "leave"]


async def test_takes_its_place_again_after_a_cut(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        ann, bob = open_client(server, "ann"), open_client(server, "bob", proxy.url)
        async with closing(ann, bob):
            watcher = ann.channel(name(), presence=True)
            await watcher.subscribe()
            await bob.channel(watcher.name).presence.enter(1)
            await until(lambda: [one.connections for one in watcher.presence.members] == [1])
            before = bob.session
            proxy.cut()
            await until(lambda: bob.session is not None and bob.session is not before)
            assert [one.user.id for one in await watcher.presence.get()] == ["bob"]


async def test_sends_ephemeral_messages_and_keeps_its_own_to_itself(server: Server) -> None:
    async with open_client(server, "ann") as ann, open_client(server, "bob") as bob:
        mine, theirs = ann.channel(name()), bob.channel(f"room:py{next(_serial)}")
        theirs = bob.channel(mine.name)
        mine_seen, theirs_seen = Follower(mine), Follower(theirs)
        await asyncio.gather(mine.subscribe(), theirs.subscribe())
        published = await mine.publish("typing", event="typing", ephemeral=True, echo=False)
        assert published.ephemeral and published.seq is None
        await mine.publish("a", echo=False)
        await theirs.publish("b")
        await until(lambda: len(theirs_seen.seqs) == 3 and len(mine_seen.seqs) == 1)
        assert (mine_seen.seqs, mine_seen.gaps, theirs_seen.seqs) == ([2], [], [0, 1, 2])


async def test_hears_broadcasts(server: Server) -> None:
    async with open_client(server, "ann") as client, AsyncPublisher(server.url, KEY) as publisher:
        heard = client.events(Broadcast)
        assert await publisher.broadcast("maintenance", {"at": 5}) >= 1
        broadcast = await anext(heard)
        assert (broadcast.event, broadcast.data) == ("maintenance", {"at": 5})


async def test_is_ended_by_an_operator_for_good(server: Server) -> None:
    async with open_client(server, "op1") as client, AsyncPublisher(server.url, KEY) as publisher:
        assert await publisher.disconnect("op1") == 1
        await until(lambda: client.state.name == "closed")
        assert client.state.error is not None and client.state.error.code == "closed"


async def test_gives_up_when_its_token_is_revoked_and_no_other_comes(server: Server) -> None:
    token = server.token("rev1")
    client = Tidewire(server.url, token=lambda: token)
    async with closing(client), AsyncPublisher(server.url, KEY) as publisher:
        await client.connect()
        await publisher.revoke("rev1")
        await until(lambda: client.state.name == "closed")
        assert client.state.error is not None and client.state.error.code == "token_revoked"


async def test_misses_nothing_and_repeats_nothing_over_many_cuts(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        ann, bob = open_client(server, "ann", proxy.url), open_client(server, "bob")
        async with closing(ann, bob):
            come_back_at_once(ann)
            reader = ann.channel(name("log"))
            seen = Follower(reader)
            await reader.subscribe()
            writer = bob.channel(reader.name)
            for i in range(1, 301):
                await writer.publish(i)
                if i % 20 == 0:
                    proxy.cut()
            await until(lambda: len(seen.seqs) >= 300)
            assert (seen.seqs, seen.gaps) == (list(range(1, 301)), [])
            assert seen.verdicts[0] is None and set(seen.verdicts[1:]) == {True}


async def test_publishes_each_message_once_over_many_cuts_in_their_order(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        writer, reader = open_client(server, "ann", proxy.url), open_client(server, "bob")
        async with closing(writer, reader):
            come_back_at_once(writer)
            log = writer.channel(name("log"))
            await writer.connect()

            async def publish(i: int) -> int | None:
                published = await log.publish(i)
                if i % 5 == 0:
                    # While the next one is on its way, whose answer is lost or not.
                    asyncio.get_running_loop().call_soon(proxy.cut)
                return published.seq

            assert await asyncio.gather(*(publish(i) for i in range(1, 61))) == list(range(1, 61))
            assert proxy.count > 5
            page = await reader.channel(log.name).history(limit=1000)
            assert [one.data for one in page.messages] == list(range(1, 61))


async def test_goes_on_where_it_was_cut_in_the_middle_of_a_catch_up(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        plain = WebSocketTransport(compression=None)  # bytes are counted below
        ann, bob = open_client(server, "ann", proxy.url, transport=plain), open_client(server, "bob")
        async with closing(ann, bob):
            reader = ann.channel(name("log"))
            seen = Follower(reader)
            await reader.subscribe()
            proxy.is_down = True
            proxy.cut()
            writer = bob.channel(reader.name)
            for _ in range(6):
                await asyncio.gather(*(writer.publish("x" * 200) for _ in range(100)))
            # In the middle of messages, in the middle of an answer, in the first message.
            proxy.cuts_after.extend([60_000, 60_000, 300])
            proxy.is_down = False
            come_back_at_once(ann)
            ann._connection.open()
            await until(lambda: len(seen.seqs) >= 600)
            assert (seen.seqs, seen.gaps) == (list(range(1, 601)), [])
            assert proxy.count == 5


async def test_notices_a_connection_that_has_gone_silent(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        client = open_client(server, "ann", proxy.url, heartbeat=1.0, ping_timeout=0.3)
        async with closing(client):
            room = client.channel(name())
            await room.subscribe()
            proxy.stall()
            states = client.events(ConnectionState)
            answer = asyncio.ensure_future(room.publish("through"))
            state = await anext(states)
            assert state.name == "waiting" and state.error is not None and state.error.code == "timeout"
            assert (await answer).seq == 1
            assert proxy.count == 2


async def test_works_with_delay(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        proxy.delay_s = 0.04
        async with open_client(server, "ann", proxy.url) as client:
            room = client.channel(name())
            seen = Follower(room)
            await room.subscribe()
            await asyncio.gather(*(room.publish(i) for i in range(5)))
            await until(lambda: len(seen.seqs) == 5)
            assert seen.data == list(range(5))


async def test_keeps_trying_while_there_is_no_way_and_tells_so(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        proxy.is_down = True
        client = open_client(server, "ann", proxy.url, timeout=0.3)
        async with closing(client):
            with pytest.raises(TidewireError) as failed:
                await client.connect()
            assert failed.value.code in ("timeout", "connection_lost")
            with pytest.raises(TidewireError) as late:
                await client.channel(name()).publish(1)
            assert late.value.code == "timeout"
            proxy.is_down = False
            await until(lambda: client.state.name == "connected")


async def test_resumes_hundreds_of_channels_at_once(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        client = open_client(server, "ann", proxy.url)
        async with closing(client):
            rooms = [client.channel(f"{name()}-{i}") for i in range(300)]
            await asyncio.gather(*(room.subscribe() for room in rooms))
            seen = [Follower(room) for room in rooms]
            proxy.cut()
            await until(lambda: all(len(one.verdicts) == 1 for one in seen))
            assert all(one.verdicts == [True] for one in seen)


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_a_durable_channel_is_resumed_and_a_memory_one_says_what_it_lost(own_server: Server, how: str) -> None:
    client = open_client(own_server, "ann")
    async with closing(client):
        log, room = client.channel("log:1"), client.channel("room:1")
        verdicts: dict[str, tuple[bool | None, str | None]] = {}
        for channel in (log, room):
            await channel.subscribe()
        log.on(Subscribed, lambda one: verdicts.update(log=(one.recovered, one.reason)))
        room.on(Subscribed, lambda one: verdicts.update(room=(one.recovered, one.reason)))
        await asyncio.gather(log.publish(1), room.publish(1))
        await asyncio.to_thread(getattr(own_server, how))
        waiting = asyncio.ensure_future(log.publish(2))
        await asyncio.to_thread(own_server.restart)
        assert (await waiting).seq == 2
        await until(lambda: len(verdicts) == 2)
        assert verdicts == {"log": (True, None), "room": (False, "epoch")}
        await until(lambda: log.position is not None and log.position.seq == 2)


async def test_the_servers_limits_are_met_by_waiting() -> None:
    limits = {"MESSAGES_PER_MINUTE": "600", "BURST": "5", "ADAPTIVE": "false"}
    server = await asyncio.to_thread(Server, {f"TIDEWIRE_LIMITS_{key}": value for key, value in limits.items()})
    try:
        async with open_client(server, "ann") as client:
            errors: list[TidewireError] = []
            client.on(TidewireError, errors.append)
            room = client.channel("room:1")
            answers = await asyncio.gather(*(room.publish(i) for i in range(25)))
            assert [one.seq for one in answers] == list(range(1, 26))
            assert not errors
    finally:
        server.dispose()


async def test_a_closed_client_leaves_nobody_waiting(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        client = open_client(server, "ann", proxy.url)
        room = client.channel(name())
        await room.subscribe()
        sessions = client.events(Session)
        proxy.stall()
        work = [asyncio.ensure_future(one) for one in (room.publish(1), room.history(), anext(aiter(room)), anext(sessions))]
        await asyncio.sleep(0.05)
        await client.close()
        ends = await asyncio.gather(*work, return_exceptions=True)
        assert [getattr(end, "code", type(end).__name__) for end in ends] == [
            "closed",
            "closed",
            "StopAsyncIteration",
            "StopAsyncIteration",
        ]
