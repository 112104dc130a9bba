"""Both publishers against the real binary: they have the same methods, so the same tests."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tidewire import (
    AsyncPublisher,
    AuthenticationError,
    ConflictError,
    ForbiddenError,
    Grant,
    NotFoundError,
    Publication,
    Published,
    Publisher,
    RefusedError,
    Tidewire,
    TidewireError,
)

from ..support.server import KEY, Server
from .test_client import name, open_client, until


class Either:
    """A publisher of one kind, all of whose answers are awaited."""

    def __init__(self, publisher: Publisher | AsyncPublisher) -> None:
        self._publisher = publisher

    def __getattr__(self, method: str) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            answer = getattr(self._publisher, method)(*args, **options)
            return await answer if inspect.isawaitable(answer) else answer

        return call


@pytest.fixture(params=[Publisher, AsyncPublisher])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_publishes_once_whatever_is_repeated(server: Server, kind: Any) -> None:
    publisher = Either(kind(server.url, KEY))
    channel = name("log")
    first = await publisher.publish(channel, {"text": "hello"}, event="greeting", key="k1")
    assert isinstance(first, Published) and first.seq == 1 and not first.duplicate
    again = await publisher.publish(channel, {"text": "hello"}, event="greeting", key="k1")
    assert (again.seq, again.duplicate) == (1, True)
    page = await publisher.history(channel, limit=10)
    assert [(one.seq, one.data, one.event, one.sender) for one in page.messages] == [(1, {"text": "hello"}, "greeting", None)]
    info = await publisher.channel(channel)
    assert (info.kind, info.seq) == ("stream", 1)
    listed = await publisher.channels(prefix=channel)
    assert [one.channel for one in listed.channels] == [channel] and listed.next is None
    await publisher.close()


async def test_a_batch_tells_of_each_what_became_of_it(server: Server, kind: Any) -> None:
    publisher = Either(kind(server.url, KEY))
    doc = name("doc")
    results = await publisher.batch(
        [
            Publication(name("log"), 1),
            Publication("nowhere:1", 1),
            Publication(doc, {"a": 1}),
            Publication(doc, {"b": 2}, change="merge"),
            Publication(doc, {"b": 3}, change="merge", if_seq=1),
            Publication(name("room"), "typing", ephemeral=True),
        ]
    )
    ends = [getattr(one, "code", None) or getattr(one, "seq", None) for one in results]
    assert ends == [1, "not_found", 1, 2, "conflict", None]
    assert isinstance(results[1], NotFoundError) and results[1].channel == "nowhere:1"
    assert (await publisher.snapshot(doc)).data == {"a": 1, "b": 2}
    await publisher.close()


async def test_documents_are_edited(server: Server, kind: Any) -> None:
    publisher = Either(kind(server.url, KEY))
    doc = name("doc")
    await publisher.publish(doc, {"n": 1})
    await publisher.merge(doc, {"m": 2})
    await publisher.patch(doc, [{"op": "replace", "path": "/n", "value": 5}])
    with pytest.raises(ConflictError) as conflict:
        await publisher.merge(doc, {"m": 3}, if_seq=1)
    assert (conflict.value.seq, conflict.value.status) == (3, 409)
    with pytest.raises(RefusedError):
        await publisher.patch(doc, [{"op": "remove", "path": "/nothing"}])
    snapshot = await publisher.snapshot(doc)
    assert (snapshot.data, snapshot.seq) == ({"n": 5, "m": 2}, 3)
    with pytest.raises(NotFoundError):
        await publisher.snapshot("room:none")
    await publisher.close()


async def test_users_are_found_told_and_sent_away(server: Server, kind: Any) -> None:
    publisher = Either(kind(server.url, KEY))
    user = name("u")
    assert (await publisher.user(user)).online == 0
    client = open_client(server, user)
    await client.connect()
    room = client.channel(name(), presence=True)
    await room.presence.enter({"mood": "fine"})
    info = await publisher.user(user)
    assert info.online == 1 and client.session is not None
    assert info.connections[0].connection_id == client.session.connection_id
    assert [one.data for one in await publisher.presence(room.name)] == [{"mood": "fine"}]
    assert (await publisher.notify(user, {"hi": 1}, event="greeting", priority="high")).online == 1
    assert await publisher.broadcast("news", 1) >= 1
    assert await publisher.disconnect(user) == 1
    await until(lambda: client.state.name == "closed")
    await client.close()
    late = open_client(server, user)  # with a token from before
    revoked = await publisher.revoke(user)
    assert revoked.revoked_before > 0
    with pytest.raises(AuthenticationError) as refused:
        await late.connect()
    assert refused.value.code == "token_revoked"
    await late.close()
    await publisher.close()


async def test_a_user_s_token_publishes_with_that_user_s_rights(server: Server, kind: Any) -> None:
    publisher = Either(kind(server.url, server.token("ann", Grant("public:*", ("publish",)))))
    assert (await publisher.publish("public:py", 1)).seq
    with pytest.raises(TidewireError):
        await publisher.broadcast("news", 1)
    await publisher.close()


async def test_refusals_have_the_servers_code_and_status(server: Server, kind: Any) -> None:
    publisher = Either(kind(server.url, "tw_wrong"))
    with pytest.raises(ForbiddenError) as refused:
        await publisher.publish("room:1", 1)
    assert refused.value.status == 403
    await publisher.close()
    publisher = Either(kind(server.url, KEY))
    with pytest.raises(TidewireError) as unknown:
        await publisher.publish("nowhere:1", 1)
    assert (unknown.value.code, unknown.value.status) == ("not_found", 404)
    await publisher.close()


async def test_odd_names_arrive_as_they_are(server: Server, kind: Any) -> None:
    publisher = Either(kind(server.url, KEY))
    channel, user = f"{name('log')}/a#b+c=d,e;f!~@", "a/b#c+d"
    await publisher.publish(channel, 1)
    assert (await publisher.channel(channel)).seq == 1
    assert [one.data for one in (await publisher.history(channel)).messages] == [1]
    assert (await publisher.notify(user, 1)).channel == f"user:{user}"
    assert (await publisher.user(7)).user == 7 or (await publisher.user(7)).user == "7"
    await publisher.close()


async def test_is_answered_again_once_the_server_is_back(own_server: Server, kind: Any) -> None:
    publisher = Either(kind(own_server.url, KEY, timeout=1.0))
    own_server.kill()
    with pytest.raises(TidewireError) as down:
        await publisher.publish("log:1", 1)
    assert down.value.code in ("unavailable", "timeout")
    own_server.restart()
    assert (await publisher.publish("log:1", 1)).seq == 1
    await publisher.close()


async def test_what_is_published_reaches_a_client(server: Server) -> None:
    async with Tidewire(server.url, token=server.token("ann")) as client, AsyncPublisher(server.url, KEY) as publisher:
        room = client.channel(name())
        await room.subscribe()
        messages = aiter(room)
        await publisher.publish(room.name, {"text": "from the back end"})
        message = await anext(messages)
        assert message.data == {"text": "from the back end"} and message.sender is None
