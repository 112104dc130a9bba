"""Requirement P6, protocol §8: connections' health from measured round trips, and what follows."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from client import Client, eventually, unique
from raw import PING, PONG, RawWebSocket
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "heartbeat": {"interval": "500ms"},
        "health": {"interval": "100ms", "max_latency": "200ms", "max_error_rate": 0.2},
    }
}
PATH = "/api/v1/websocket/connection-health"


def health(http, server, user: str) -> list[dict]:
    reply = http(server, "GET", f"{PATH}?user={user}")
    assert reply.status_code == 200, reply.text
    return reply.json()["connections"]


async def slow_reader(raw: RawWebSocket, delay_s: float, seen: list[dict]) -> None:
    """Answers each ping only after a while, and keeps the messages."""
    with contextlib.suppress(Exception):
        while True:
            frame = await raw.frame()
            if frame.opcode == PING:
                asyncio.get_running_loop().call_later(
                    delay_s, lambda data=frame.payload: asyncio.ensure_future(raw.send_frame(PONG, data))
                )
            elif frame.opcode == 1:
                seen.append(json.loads(frame.payload))


async def degraded_connection(server, http, name: str) -> tuple[RawWebSocket, list[dict], asyncio.Task]:
    """One that is DEGRADED, or worse, by its round trips; what it has seen, and its reader."""
    raw = await RawWebSocket.open(server, f"/ws?inbox=manual&token={mint(name)}")
    seen: list[dict] = []
    reader = asyncio.create_task(slow_reader(raw, 0.35, seen))

    async def degraded():
        return health(http, server, name)[0]["status"] in ("DEGRADED", "UNHEALTHY")

    await eventually(degraded, "a degraded connection")
    return raw, seen, reader


@clause("8.connection-health", "P6")
async def test_a_healthy_connection_has_a_measured_round_trip(server, http):
    """§8: "`{"connections":[{"connection_id","score":0..1,"status","latency_ms","error_rate","activity"}]}`" """
    name = unique("well")
    client = await Client.connect(server, mint(name))

    async def measured():
        return health(http, server, name)[0]["latency_ms"] is not None

    await eventually(measured, "a measured round trip")
    (one,) = health(http, server, name)
    assert one["connection_id"] == client.hello["connection_id"]
    assert one["status"] == "HEALTHY" and 0.8 < one["score"] <= 1
    assert 0 <= one["latency_ms"] < 200 and one["error_rate"] == 0 and 0 <= one["activity"] <= 1
    own = http(server, "GET", PATH, key=None, headers={"Authorization": f"Bearer {mint(name)}"}).json()
    assert own["connections"][0]["connection_id"] == one["connection_id"]
    (shown,) = http(server, "GET", f"/api/v1/users/{name}").json()["connections"]
    assert shown["health"] == "HEALTHY"


@clause("8.connection-health", "P6")
async def test_who_never_answers_a_ping_is_the_longer_the_worse(start, http):
    """P6: the age of the oldest ping without an answer counts, however many have followed it"""
    server = start(SERVER["settings"])
    name = unique("deaf")
    raw = await RawWebSocket.open(server, f"/ws?token={mint(name)}")

    async def worse():
        await raw.text('{"type":"ping"}')  # so that it lives
        (one,) = health(http, server, name)
        return one["status"] == "UNHEALTHY" and one["latency_ms"] > 1500

    await eventually(worse, "three pings without an answer")


@clause("8.connection-health", "P6")
async def test_an_idle_peer_with_steady_round_trips_has_a_steady_state(start, http):
    """P6: it is looked at five times for each ping that it answers"""
    server = start(
        {"heartbeat": {"interval": "1s"}, "health": {"interval": "200ms", "max_latency": "2s"}},
    )
    name = unique("idle")
    raw = await RawWebSocket.open(server, f"/ws?inbox=manual&token={mint(name)}")
    reader = asyncio.create_task(slow_reader(raw, 0.6, []))

    def seen() -> dict:
        return health(http, server, name)[0]

    await eventually(lambda: seen()["latency_ms"] is not None, "a measured round trip")
    states = []
    for _ in range(40):
        states.append(seen())
        await asyncio.sleep(0.1)
    assert {s["status"] for s in states} == {"HEALTHY"}, states
    assert max(s["latency_ms"] for s in states) >= 500, "the answers were late"
    reader.cancel()


@clause("8.connection-health", "P6")
async def test_errors_degrade_a_connection_and_are_forgotten(server, http):
    """P6: error rate is a part of the score"""
    name = unique("clumsy")
    client = await Client.connect(server, mint(name))
    worst = "HEALTHY"
    for _ in range(30):
        for _ in range(10):
            await client.expect_error("{", "invalid_json")
        (one,) = health(http, server, name)
        if one["status"] != "HEALTHY":
            worst = one["status"]
            assert one["error_rate"] > 0.2 and one["score"] <= 0.75
            break
        await asyncio.sleep(0.05)
    assert worst == "DEGRADED"

    async def well_again():
        return health(http, server, name)[0]["status"] == "HEALTHY"

    await eventually(well_again, "recovery")


@clause("8.connection-health", "P6")
async def test_a_slow_connection_is_treated_gently_and_loses_nothing(server, http):
    """P6: "unhealthy ones treated gently first (conflation, lower rate)"; §5: no silent loss"""
    name = unique("slow")
    raw, seen, reader = await degraded_connection(server, http, name)
    run = unique("agent:r-")
    writer = await Client.connect(server, mint(name))
    await writer.publish(run, {}, event="start")
    await raw.text(json.dumps({"type": "subscribe", "channel": run}))
    await eventually(lambda: any(m["type"] == "subscribed" for m in seen), "the subscription")
    for i in range(60):
        await writer.publish(run, {"text": f"{i},"}, event="delta")
        await asyncio.sleep(0.01)
    await writer.publish(run, {}, event="complete")

    async def complete():
        return any(m.get("event") == "complete" for m in seen)

    await eventually(complete, "the run's end")
    deltas = [m for m in seen if m.get("type") == "message" and m.get("event") == "delta"]
    assert "".join(m["data"]["text"] for m in deltas) == "".join(f"{i}," for i in range(60))
    assert len(deltas) < 45, "deliveries were not merged"
    reader.cancel()


@clause("8.connection-health", "P6")
async def test_a_slow_connection_gets_documents_merged_and_presence_as_a_list(server, http):
    """P6: conflation, also in a namespace that conflates for nobody; §5: `first_seq`..`seq` covers it all"""
    name, room = unique("slow"), unique("room:p-")
    raw, seen, reader = await degraded_connection(server, http, name)
    doc = unique("doc:d-")
    writer, well = await Client.connect(server, mint(name)), await Client.connect(server, mint(unique("well")))
    await raw.text(json.dumps({"type": "subscribe", "channel": doc}))
    await raw.text(json.dumps({"type": "subscribe", "channel": room, "presence": True}))
    await well.subscribe(doc)
    await eventually(lambda: sum(m["type"] == "subscribed" for m in seen) == 2, "both subscriptions")
    for i in range(80):
        await writer.request({"type": "publish", "channel": doc, "merge": {f"k{i % 7}": i}})
        await writer.request({"type": "presence", "channel": room, "action": "enter", "data": i})
        if i:
            await writer.request({"type": "presence", "channel": room, "action": "update", "data": i})
        await asyncio.sleep(0.01)

    def deliveries():
        return [m for m in seen if m["type"] == "message" and m["channel"] == doc]

    await eventually(lambda: bool(deliveries()) and deliveries()[-1]["seq"] == 80, "the last event")
    state: dict = {}
    next_seq = 1
    for m in deliveries():
        assert m.get("first_seq", m["seq"]) == next_seq, "a hole, or a repeat"
        next_seq = m["seq"] + 1
        state.update(m["merge"])
    assert state == {f"k{i % 7}": max(j for j in range(80) if j % 7 == i % 7) for i in range(7)}
    assert len(deliveries()) < 60, "deliveries were not merged"
    assert [m["seq"] for m in await well.deliveries(doc, 80)] == list(range(1, 81))

    def members():
        lists = [m for m in seen if m["type"] == "presence"]
        events = [m for m in seen if m["type"] == "presence_event"]
        return lists, events

    def last_is_known():
        lists, events = members()
        return any(m["members"][0]["data"] == 79 for m in lists) or any(m["member"]["data"] == 79 for m in events)

    await eventually(last_is_known, "the last presence")
    lists, events = members()
    assert lists and len(events) < 60, "presence was not merged"
    reader.cancel()


@clause("8.connection-health", "P6")
def test_the_distribution_is_in_the_metrics(server, http):
    text = http(server, "GET", "/metrics").text
    for status in ("HEALTHY", "DEGRADED", "UNHEALTHY"):
        assert f'tidewire_connections_by_health{{status="{status}"}}' in text
