"""Whatever a server does to it, each call of the client ends, and soon."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tidewire import Tidewire, TidewireError, WebSocketTransport

from ..support.hostile import BEHAVIOURS, Behaviour, HostileServer

TIMES: dict[str, Any] = {"timeout": 1.5, "connect_timeout": 0.5, "heartbeat": 1.0, "ping_timeout": 0.5}
# Far past every deadline of the client's, for a machine that is busy.
HANGING_S = 15.0
# What a client may ask of a server meanwhile that is of no use to it.
REQUESTS_MAX = 1500
ATTEMPTS_MAX = 20


async def chain(*steps: Callable[[], Awaitable[Any]]) -> None:
    for step in steps:
        await step()


def everything(client: Tidewire) -> dict[str, Awaitable[Any]]:
    """All that an application may wait for."""
    room = client.channel("room:1", history=5, presence=True)
    other = client.channel("room:2")
    plan, inbox, chat = client.open_document("doc:1"), client.open_inbox("ann"), client.open_session("session:1")
    upload, run = client.open_upload("upload:1"), client.open_agent_run("agent:1")
    return {
        "connect": client.connect(),
        "subscribe": room.subscribe(),
        "publish": room.publish("x"),
        "a second publish": room.publish("y"),
        "ephemeral": room.publish("x", ephemeral=True),
        "history": room.history(),
        "enter": room.presence.enter(1),
        "leave": room.presence.leave(),
        "call": client.call("ping"),
        "renew": client.renew(),
        "set": plan.set({"a": 1}),
        "update": plan.update(lambda old: {**(old or {}), "a": 2}),
        "ack": chain(inbox.subscribe, lambda: inbox.ack(1)),
        "ack at once": inbox.ack(1),
        "join": chat.join(),
        "read": chat.read(),
        "progress": upload.progress(1, 2),
        "uploaded": upload.complete(),
        "delta": run.delta("x"),
        "ran": run.complete(),
        "unsubscribe": chain(other.subscribe, other.unsubscribe),
    }


async def ending(work: Awaitable[Any]) -> str:
    try:
        async with asyncio.timeout(HANGING_S):
            await work
    except TidewireError:
        return "refused"
    except TimeoutError:
        return "hanging"
    except Exception as error:
        return repr(error)
    return "done"


async def wrong_endings(work: dict[str, Awaitable[Any]]) -> dict[str, str]:
    ends = await asyncio.gather(*(ending(one) for one in work.values()))
    return {name: end for name, end in zip(work, ends, strict=True) if end not in ("done", "refused")}


def open_client(server: HostileServer, **options: Any) -> Tidewire:
    return Tidewire(server.url, token=lambda: "a.b.c", transport=WebSocketTransport(proxy=None), **options)


async def against_all(look: Callable[[HostileServer], Awaitable[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What went wrong with each, all at the same time."""

    async def against(behaviour: Behaviour) -> dict[str, Any]:
        async with HostileServer.run(behaviour) as server:
            return await look(server)

    found = await asyncio.gather(*map(against, BEHAVIOURS.values()))
    return {name: wrong for name, wrong in zip(BEHAVIOURS, found, strict=True) if wrong}


async def test_no_server_leaves_anything_hanging_or_is_flooded() -> None:
    async def look(server: HostileServer) -> dict[str, Any]:
        client = open_client(server, **TIMES)
        wrong: dict[str, Any] = await wrong_endings(everything(client))
        if server.requests > REQUESTS_MAX or server.attempts > ATTEMPTS_MAX:
            wrong["asked"] = (server.requests, server.attempts)
        return {**wrong, **await wrong_endings({"close": client.close()})}

    assert await against_all(look) == {}


async def test_no_server_hangs_anything_when_the_client_is_closed() -> None:
    async def look(server: HostileServer) -> dict[str, Any]:
        client = open_client(server)
        work = asyncio.ensure_future(wrong_endings(everything(client)))
        await asyncio.sleep(0.2)
        return {**await wrong_endings({"close": client.close()}), **await work}

    assert await against_all(look) == {}
