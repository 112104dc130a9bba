"""Protocol §5 guarantee 4, requirement M3: nobody notices another's garbage."""

from __future__ import annotations

import asyncio
import random

import pytest
from client import Client, channel, unique
from raw import CONTINUATION, TEXT, RawSocket, RawWebSocket, encode_frame
from tokens import mint

clause = pytest.mark.clause
SERVER = {"settings": {"limits": {"message_timeout": "1s"}}}


async def garbage(server, seed: int) -> None:
    """One misbehaving peer, different for every seed."""
    chance = random.Random(seed)
    try:
        if seed % 6 == 0:
            raw = await RawSocket.connect(server)
            await raw.send(chance.randbytes(3000))
        else:
            raw = await RawWebSocket.open(server)
            if seed % 6 == 1:
                await raw.send(chance.randbytes(5000))
            elif seed % 6 == 2:
                for _ in range(50):
                    await raw.send_frame(TEXT, chance.choice(['{"type":', "[]", '{"type":"x"}', "{}"]))
            elif seed % 6 == 3:
                await raw.send_frame(TEXT, "x" * 1_500_000)
            elif seed % 6 == 4:
                await raw.send(encode_frame(TEXT, b"y" * 100000)[:50000])
            else:
                await raw.send_frame(TEXT, "{", fin=False)
                for _ in range(2000):
                    await raw.send_frame(CONTINUATION, b" ", fin=False)
        raw.reset()
    except (ConnectionError, EOFError):
        pass


@clause("5.isolation", "M3", "C4")
async def test_no_connections_garbage_is_noticed_by_others(server):
    """§5: "No connection's error, slowness or end affects another's messages" """
    name = channel()
    a, b = await Client.connect(server, mint(unique("u"))), await Client.connect(server, mint(unique("u")))
    await a.subscribe(name)
    await b.subscribe(name)
    storm = [asyncio.create_task(garbage(server, seed)) for seed in range(120)]
    for i in range(1, 101):
        assert (await a.publish(name, i))["seq"] == i
    for client in (a, b):
        assert [m["seq"] for m in await client.deliveries(name, 100)] == list(range(1, 101))
    await asyncio.gather(*storm)
    for client in (a, b):
        assert await client.barrier() == []


@clause("5.isolation", "M3")
async def test_an_error_goes_to_its_connection_alone(server):
    """§5: guarantee 4; §1: "each stands alone" """
    token = mint(unique("u"))
    a, b = await Client.connect(server, token), await Client.connect(server, token)
    await a.expect_error("{", "invalid_json")
    await a.expect_error(b"binary", "invalid_message")
    await a.refused({"type": "subscribe", "channel": "nowhere:x"}, "not_found")
    assert await b.barrier() == []


@clause("5.isolation", "M3")
async def test_a_half_sent_message_holds_nobody_up(server):
    """§5: guarantee 4, for "slowness" """
    name = channel()
    stuck = [await RawWebSocket.open(server) for _ in range(10)]
    for raw in stuck:
        await raw.send(encode_frame(TEXT, b"z" * 60000)[:30000])
    client = await Client.connect(server, mint(unique("u")))
    await client.subscribe(name)
    await client.publish(name, 1)
    assert len(await client.deliveries(name, 1)) == 1
