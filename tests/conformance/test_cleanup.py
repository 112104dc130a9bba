"""Requirement C5, protocol §6 (liveness): nothing is left of a connection, however it ended."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from client import Client, channel, eventually, poll_value, unique
from model import sleeper
from raw import TEXT, RawWebSocket, encode_frame
from server import memory_bound_kib
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "presence": {"grace": "300ms"},
        "heartbeat": {"interval": "1s"},
        "limits": {"message_timeout": "20s"},
    }
}


def stats(server, http) -> dict:
    """Read on a connection that is closed at once, so that it is not itself among the descriptors."""
    reply = http(server, "GET", "/api/ws/stats", headers={"Connection": "close"})
    assert reply.status_code == 200, reply.text
    return reply.json()


async def raw_member(server, name: str) -> RawWebSocket:
    """A raw connection that is subscribed and present in `name`."""
    headers = {"Authorization": f"Bearer {mint(unique('raw'))}"}
    raw = await RawWebSocket.open(server, "/ws?inbox=manual", headers=headers)
    await raw.text(json.dumps({"type": "subscribe", "channel": name, "id": 1}))
    await raw.text(json.dumps({"type": "presence", "channel": name, "action": "enter", "id": 2}))
    seen = set()
    while seen != {1, 2}:
        frame = await raw.message()
        seen.add(json.loads(frame.payload).get("id"))
        seen.discard(None)
    return raw


async def assert_back(server, http, baseline: dict, files: int, name: str, seer: Client) -> None:
    """Statistics, presence, subscribers and descriptors return to where they were."""

    def now():
        found = stats(server, http)
        return {k: found[k] for k in ("connections", "users")}

    await poll_value(now, {k: baseline[k] for k in ("connections", "users")}, "statistics")

    async def members():
        reply = await seer.request({"type": "presence", "channel": name, "action": "get"})
        return [m["user"]["id"] for m in reply["members"]]

    await poll_value(members, [], "members")

    def subscribers():
        path = "/api/v1/channels/" + name.replace(":", "%3A")
        return http(server, "GET", path, headers={"Connection": "close"}).json()["subscribers"]

    await poll_value(subscribers, 0, "subscribers")
    await eventually(lambda: server.descriptors() <= files, f"{files} descriptors", 10)


async def settled(server, http) -> tuple[Client, dict, int]:
    """An observer, and the state with nobody else there."""
    seer = await Client.connect(server, mint(unique("seer")))
    await eventually(lambda: stats(server, http)["connections"] == 1, "an empty server", 15)
    base = stats(server, http)
    previous = [-1]

    def steady():
        files = server.descriptors()
        same = files == previous[0]
        previous[0] = files
        return same

    await eventually(steady, "steady descriptors")
    return seer, base, server.descriptors()


async def end_normal(raw: RawWebSocket) -> None:
    await raw.send_frame(8, b"\x03\xe8")


async def end_reset(raw: RawWebSocket) -> None:
    raw.reset()


async def end_cut(raw: RawWebSocket) -> None:
    raw.close()


async def end_in_message(raw: RawWebSocket) -> None:
    await raw.send(encode_frame(TEXT, b"x" * 50000)[:20000])
    raw.reset()


async def end_in_fragments(raw: RawWebSocket) -> None:
    await raw.send_frame(TEXT, '{"type":"pub', fin=False)
    raw.close()


async def end_by_error(raw: RawWebSocket) -> None:
    await raw.send_frame(3, b"reserved")


async def end_with_pending_replies(raw: RawWebSocket) -> None:
    for _ in range(20):
        await raw.text('{"type":"ping","data":"' + "x" * 5000 + '"}')
    raw.reset()


ENDS = [
    end_normal,
    end_reset,
    end_cut,
    end_in_message,
    end_in_fragments,
    end_by_error,
    end_with_pending_replies,
]


@clause("6.cleanup", "C5", "K3")
@pytest.mark.parametrize("end", ENDS, ids=[e.__name__ for e in ENDS])
async def test_nothing_is_left_after_a_connection_has_ended(server, http, end):
    """C5: "after a normal close, an abrupt reset, …, an error in the middle of a message or a failed
    close, nothing of the connection is left in any registry, presence list, subscription or memory" """
    seer, base, files = await settled(server, http)
    name = channel()
    members = await asyncio.gather(*(raw_member(server, name) for _ in range(20)))
    assert stats(server, http)["connections"] == base["connections"] + 20
    await asyncio.gather(*(end(raw) for raw in members))
    await assert_back(server, http, base, files, name, seer)


@clause("6.liveness", "C5", "C8")
async def test_half_open_peers_are_gone_after_two_heartbeats(server, http):
    """§6: "ends a connection that has sent nothing for 2 of these …. Half-open connections are gone from
    every registry by then" """
    seer, base, _ = await settled(server, http)
    name = channel()
    members = await asyncio.gather(*(raw_member(server, name) for _ in range(20)))

    def gone():
        return stats(server, http)["connections"] == base["connections"]

    await eventually(gone, "half-open peers gone")

    async def empty():
        reply = await seer.request({"type": "presence", "channel": name, "action": "get"})
        return reply["members"] == []

    await eventually(empty, "an empty presence list")
    for raw in members[:3]:
        pings = 0
        while (frame := await raw.frame()).opcode == 9:
            pings += 1
        assert pings >= 1
        assert frame.opcode == 8, frame
        assert frame.payload == b"\x03\xe9heartbeat_timeout"


@clause("6.liveness", "C8")
async def test_pongs_pings_or_json_pings_keep_a_connection(server):
    """§6: "the server sends a WebSocket ping every `heartbeat_ms` …; a client's `ping` counts as life" """

    async def answers():
        raw = await RawWebSocket.open(server)
        for _ in range(4):
            frame = await raw.frame()
            assert frame.opcode == 9, frame
            await raw.send_frame(10, frame.payload)

    async def json_pings():
        raw = await RawWebSocket.open(server)
        pings = 0
        while pings < 4:  # never answered
            frame = await raw.frame()
            assert frame.opcode in (9, 1), frame
            if frame.opcode == 9:
                pings += 1
                await raw.text('{"type":"ping"}')

    await asyncio.gather(answers(), json_pings())


@clause("6.liveness", "C5")
async def test_a_peer_that_does_not_answer_a_close_is_cut_off_after_5_s(start, http):
    """§6: "A peer that does not answer a close within 5 s … is cut off" """
    server = start()
    me = unique("u")
    headers = {"Authorization": f"Bearer {mint(me)}"}
    raw = await RawWebSocket.open(server, "/ws?inbox=manual", headers=headers)
    assert http(server, "POST", f"/api/v1/users/{me}/disconnect").json() == {"disconnected": 1}
    assert await raw.close_frame() == (1000, "disconnected")
    assert await raw.at_end()


@clause("6.cleanup", "C5")
@pytest.mark.slow_clock(90)
async def test_several_hundred_connections_leave_nothing(server, http):
    """C5, under numbers: 400 connections, ended in every way, leave no descriptor, no user, no member"""
    seer, base, files = await settled(server, http)
    name = channel()
    for _ in range(2):
        members: list[RawWebSocket] = []
        for _ in range(4):
            members += await asyncio.gather(*(raw_member(server, name) for _ in range(50)))
            for raw in members:  # what has come meanwhile is of no interest; stay alive
                await raw.text('{"type":"ping"}')
        await asyncio.gather(
            *(ENDS[i % len(ENDS)](raw) for i, raw in enumerate(members)), return_exceptions=True
        )
        await assert_back(server, http, base, files, name, seer)
        for raw in members:
            raw.close()


@clause("6.cleanup", "C5", "P7")
async def test_memory_returns_after_many_short_lives(server, http):
    """C5: "nothing of the connection is left in … memory": 3000 lives cost no lasting memory"""

    async def live():
        raw = await RawWebSocket.open(server)
        await raw.text('{"type":"ping"}')
        raw.reset()

    for _ in range(10):
        await asyncio.gather(*(live() for _ in range(50)))
    await eventually(lambda: stats(server, http)["connections"] == 0, "an empty server")
    before = server.memory_kib()
    for _ in range(50):
        await asyncio.gather(*(live() for _ in range(50)))
    await eventually(lambda: stats(server, http)["connections"] == 0, "an empty server")
    grown = server.memory_kib() - before
    assert grown < memory_bound_kib(4096), f"{grown} KiB left of 2500 connections"


@clause("6.liveness", "5.slow-reader", "C8")
@pytest.mark.slow_clock(60)
async def test_a_ping_behind_what_a_slow_peer_is_still_taking_may_be_answered_late(start):
    """§5: "a slow one (it takes bytes now and then) is not cut off", nor when it has not come to the ping yet
    and the socket is nearly empty already"""
    server = start({"heartbeat": {"interval": "3s"}})
    publisher = await Client.connect(server, mint(unique("u")))
    name = channel()
    raw, _ = await sleeper(server, name)
    await publisher.publish(name, "x" * 60_000)
    # The first ping, after 3 s, waits behind half of it; after 6 s nearly all of it is through.
    await raw.take(58_000, 10_800)
    await asyncio.sleep(1.2)
    await raw.read_until(b"\x89\x08")
    await raw.send_frame(10, await raw.read(8))
    await raw.text('{"type":"ping","id":1}')
    assert b'"pong"' in (await raw.message()).payload


@clause("6.liveness", "C5", "P7")
async def test_who_talks_but_never_listens_is_cut_off(start, http):
    """§6: "takes not one byte of what is written to it for `server.write_timeout` … is cut off", and what it
    sends meanwhile does not count"""
    server = start({"server": {"write_timeout": "1s"}, "heartbeat": {"interval": "2s"}})
    publisher = await Client.connect(server, mint(unique("u")))
    name = channel()
    raw = await RawWebSocket.open(
        server, headers={"Authorization": f"Bearer {mint(unique('v'))}"}, receive_buffer=4096
    )
    await raw.text(json.dumps({"type": "subscribe", "channel": name}))
    await poll_value(lambda: stats(server, http)["connections"], 2, "both are there")
    for _ in range(100):
        await publisher.publish(name, "x" * 100_000)

    async def talk():
        with contextlib.suppress(ConnectionError, TimeoutError):
            while True:
                await raw.text('{"type":"ping"}')
                await asyncio.sleep(0.2)

    talking = asyncio.create_task(talk())
    await poll_value(lambda: stats(server, http)["connections"], 1, "the one that never listens is gone")
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)
    assert (await publisher.request({"type": "ping"}))["type"] == "pong"
