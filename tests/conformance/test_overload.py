"""Requirement P7: what an overloaded server gives up, in which order, and how it recovers. Memory is the
pressure here, since a reload can switch it on and off; bench/overload.py does it with real work."""

from __future__ import annotations

import asyncio
import signal

import pytest
from client import Client, channel, eventually, unique
from server import merged
from tokens import mint

clause = pytest.mark.clause
SETTINGS = {
    "namespaces": {
        "bulk": {"kind": "stream", "durability": "memory", "priority": "low", "history_messages": 1000},
        "urgent": {"kind": "stream", "durability": "memory", "priority": "critical"},
    },
    "log": {"format": "json"},
}


def health(http, server) -> tuple[str, str, str]:
    """What detailed health says of the server, and of its load."""
    found = http(server, "GET", "/api/health/detailed").json()
    return found["status"], found["overload"]["state"], found["overload"]["step"]


def step(http, server) -> str:
    return http(server, "GET", "/api/health/detailed").json()["overload"]["step"]


async def set_memory(http, server, limit: int, wanted: str) -> None:
    server.write_config(merged(server.settings, {"overload": {"max_memory": limit}}))
    server.process.send_signal(signal.SIGHUP)
    await eventually(lambda: step(http, server) == wanted, wanted, 30)


async def refused_connection(server) -> tuple[int, int]:
    with pytest.raises(Exception) as refusal:
        await Client.connect(server, mint(unique("new")))
    return refusal.value.response.status_code, int(refusal.value.response.headers["Retry-After"])


@clause("P7.order", "P7")
@pytest.mark.slow_clock(90)
async def test_load_is_shed_in_the_announced_order_and_taken_back(start, http):
    """P7: "admission control and load shedding before collapse"; §2: "503 draining or full (with `Retry-After`)";
    §6: "`unavailable` (with `retry_after_ms`)" """
    server = start(SETTINGS)
    client, reader = await Client.connect(server, mint("ann")), await Client.connect(server, mint("bob"))
    bulk, urgent = channel("bulk"), channel("urgent")
    await reader.subscribe(bulk)
    await reader.subscribe(urgent)
    await client.publish(bulk, -1)
    await set_memory(http, server, 4096, "shed_publishes")

    assert (await refused_connection(server))[0] == 503
    assert (await refused_connection(server))[1] > 0
    sse = http(server, "GET", "/sse?channel=public:x", key=None)
    assert sse.status_code == 503 and int(sse.headers["Retry-After"]) > 0
    taken, refused = [], 0
    for i in range(400):
        reply = await client.request({"type": "publish", "channel": bulk, "data": i})
        if reply["type"] == "published":
            taken.append(i)
        else:
            assert reply["code"] == "unavailable" and reply["retry_after_ms"] > 0, reply
            refused += 1
        await asyncio.sleep(0.002)
    assert refused > 200 and taken
    for i in range(20):
        await client.publish(urgent, i)  # what is critical is never shed
    assert [m["data"] for m in await reader.deliveries(urgent, 20)] == list(range(20))
    answers = [http(server, "POST", "/api/v1/publish", json={"channel": bulk, "data": -2}) for _ in range(20)]
    late = [a for a in answers if a.status_code == 503]
    assert late and late[0].json()["code"] == "unavailable" and int(late[0].headers["Retry-After"]) > 0
    assert http(server, "GET", "/readyz").status_code == 200
    assert health(http, server) == ("degraded", "degraded", "shed_publishes")
    assert (await client.request({"type": "ping"}))["type"] == "pong"

    # Low priority comes in bursts, and nothing of it is lost.
    wanted = [-1, *taken, *[-2 for a in answers if a.status_code == 200]]
    assert [m["data"] for m in await reader.deliveries(bulk, len(wanted), 20)] == wanted

    await set_memory(http, server, 0, "calm")
    assert health(http, server) == ("ok", "ok", "calm")
    fresh = await Client.connect(server, mint(unique("new")))
    for i in range(50):
        await fresh.publish(bulk, i)
    log = [line for line in server.log().splitlines() if '"event":"overload"' in line]
    order = ["calm", "no_new_connections", "defer_low_priority", "shed_publishes"]
    steps = [line.split('"step":"')[1].split('"')[0] for line in log]
    assert steps == [*order[1:], *reversed(order[:-1])]
    text = http(server, "GET", "/metrics").text
    assert "tidewire_overload_step 0" in text
    assert 'tidewire_shed_total{what="connection"} 3' in text
    assert f'tidewire_shed_total{{what="publish"}} {refused + len(late)}' in text


@clause("P7.memory", "P7")
async def test_after_a_peak_of_memory_it_is_calm_again(http, start):
    """Issue 4: "recovery": what the allocator keeps for later is no load"""
    server = start(SETTINGS)
    limit = (server.memory_kib() << 10) + (32 << 20)
    await set_memory(http, server, limit, "calm")
    batch = {"publish": [{"channel": channel(), "data": "x" * 15_000, "ephemeral": True} for _ in range(1000)]}

    async def post() -> None:
        await asyncio.to_thread(http, server, "POST", "/api/v1/batch", json=batch)

    async with asyncio.TaskGroup() as posts:
        for _ in range(12):
            posts.create_task(post())
    assert '"step":"no_new_connections"' in server.log()
    await eventually(lambda: step(http, server) == "calm", "calm", 60)
    assert http(server, "POST", "/api/v1/publish", json={"channel": channel(), "data": 1}).status_code == 200
