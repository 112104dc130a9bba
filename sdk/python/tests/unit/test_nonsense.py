"""A server that says anything: no exception gets out, nothing is left waiting, and what makes sense still works."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tidewire import TidewireError

from ..support.fake_server import FakeServer, begin, turn

NAMES = ["room:1", "doc:1", "session:1", "user:1", "upload:1", "agent:1"]
KINDS = ["stream", "document", "session", "inbox", "upload", "agent"]
TYPES = ["connected", "subscribed", "message", "snapshot", "gap", "presence", "presence_event", "unsubscribed", "published"]
TYPES += ["acked", "history", "error", "auth_error", "auth_success", "auth_expiring", "reconnect", "pong", "?"]
EVENTS = [
    "delta", "tool_call", "tool_result", "status", "complete", "progress", "join", "leave", "read", "delete", "ack",
    "notify",
]  # fmt: skip
FIELDS = [
    "seq", "epoch", "messages", "snapshot", "members", "data", "merge", "patch", "event", "from", "priority",
    "first_seq", "timestamp", "recovered", "reason", "kind", "code", "retry_after_ms", "user", "capabilities",
    "expires_at", "limits", "heartbeat_ms", "after_ms", "action", "member", "to", "seqs", "text", "tools", "pending",
    "channel", "id", "flags", "last_seq", "read", "unread", "role", "bytes", "total", "usage",
]  # fmt: skip


def value(chance: random.Random, depth: int = 0) -> Any:
    plain = [
        None,
        True,
        -1,
        0,
        1,
        2,
        3,
        1.5,
        1e999,
        10**30,
        "",
        "x",
        "ann",
        *NAMES,
        *EVENTS,
        "e1",
        "e2",
        "unavailable",
        "forbidden",
    ]
    if depth > 3 or chance.random() < 0.6:
        return chance.choice(plain)
    if chance.random() < 0.4:
        return [value(chance, depth + 1) for _ in range(chance.randrange(3))]
    return {chance.choice([*FIELDS, "op", "path", "value", "id"]): value(chance, depth + 1) for _ in range(chance.randrange(4))}


def message(chance: random.Random, seq: int) -> dict[str, Any]:
    told: dict[str, Any] = {"type": chance.choice(TYPES), "channel": chance.choice(NAMES), "seq": seq, "epoch": "e1"}
    told.update({"event": chance.choice(EVENTS), "data": value(chance), "timestamp": seq})
    for _ in range(chance.randrange(4)):
        told[chance.choice(FIELDS)] = value(chance)
    return told


@pytest.mark.parametrize("seed", range(8))
async def test_a_server_that_says_anything_harms_nobody(seed: int) -> None:
    chance = random.Random(seed)
    server = FakeServer()
    client = await server.connected(timeout=20)
    channels: list[Any] = [
        client.channel("room:1", history=5, presence=True),
        client.open_document("doc:1"),
        client.open_session("session:1"),
        client.open_inbox(),
        client.open_upload("upload:1"),
        client.open_agent_run("agent:1"),
    ]
    work: list[Any] = []
    seq = 0
    for step in range(3000):
        if client.state.name == "closed":
            begin(client.connect())
        if step % 50 == 0:
            work += [begin(channel.subscribe()) for channel in channels]
            work += [begin(channels[0].publish(step)), begin(channels[0].history()), begin(client.call("ping"))]
            work += [begin(channels[1].merge({"n": step})), begin(channels[3].ack(3)), begin(channels[0].presence.enter(step))]
            work += [begin(channels[4].complete()), begin(channels[5].tool_call(step)), begin(channels[5].delta("x"))]
        seq += chance.randrange(3)
        told = message(chance, seq)
        sent = server.socket.sent
        if sent and chance.random() < 0.3:
            told["id"] = chance.choice(sent[-5:]).get("id")
        server.socket.say(told)
        if chance.random() < 0.05:
            await asyncio.sleep(chance.random() * 3)
            if client.state.name == "connecting":
                server.socket.welcome()
            for entry in server.socket.all("subscribe")[-1:]:
                for one in entry["channels"]:
                    answer = {"type": "subscribed", "id": entry["id"], "channel": one["channel"], "epoch": "e1", "seq": seq}
                    kind = KINDS[NAMES.index(one["channel"])]
                    server.socket.say({**answer, "kind": kind, "messages": [], "snapshot": {"seq": seq, "data": value(chance)}})
        if chance.random() < 0.01:
            server.socket.cut(chance.choice([1000, 1001, 1006, 1008, 1009, 1012]), chance.choice(["", "token_expired", "x"]))
        for channel in channels:
            assert channel.position is None or channel.position.seq >= 0
    await asyncio.sleep(100)
    assert all(one.done() for one in work)
    failures = [one.exception() for one in work if not one.cancelled()]
    assert {type(failure).__module__ for failure in failures if failure is not None} <= {TidewireError.__module__}
    await client.close()
    await turn()
