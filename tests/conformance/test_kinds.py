"""What holds for a channel of every kind (protocol §7), on the WebSocket and over HTTP (§8): snapshots,
positions, keys, foreign options, problems with their codes. Requirements K1-K7, M6, M7."""

from __future__ import annotations

import asyncio
import json
import random

import pytest
from client import Client, channel, unique
from model import (
    Copy,
    Home,
    api_publish,
    api_snapshot,
    assert_problem,
    essence,
    folded,
    history,
    next_of,
    notify,
    path_of,
    post,
    post_all,
    publish,
    refused,
    same,
    seqs,
)
from tokens import mint

clause = pytest.mark.clause
READ_KEY, PUBLISH_KEY = "tw_reads_only", "tw_publishes_only"
SETTINGS = {
    "api": {
        "keys": [
            {"key": READ_KEY, "scopes": ["read"]},
            {"key": PUBLISH_KEY, "scopes": ["publish"]},
        ]
    },
    "namespaces": {
        "files": {"kind": "upload", "durability": "disk", "history_messages": 10000},
        "m-doc": {"kind": "document", "durability": "memory"},
        "m-session": {"kind": "session", "durability": "memory"},
        "m-agent": {"kind": "agent", "durability": "memory"},
    },
}
SERVER = {"settings": SETTINGS}

SPACES = {
    "stream": ["room", "log"],
    "document": ["doc", "m-doc"],
    "session": ["session", "m-session"],
    "inbox": ["user"],
    "upload": ["upload", "files"],
    "agent": ["agent", "m-agent"],
}
EVERY = [(kind, ns) for kind, spaces in SPACES.items() for ns in spaces]
FOLDED = [(kind, ns) for kind, ns in EVERY if kind != "stream"]
DISK = [(k, ns) for k, ns in EVERY if not ns.startswith("m-") and ns not in ("room", "upload")]
every = pytest.mark.parametrize("kind, namespace", EVERY)
folding = pytest.mark.parametrize("kind, namespace", FOLDED)


def nth(kind: str, i: int) -> dict:
    """The i-th event of a channel of this kind, from 1 on; good ones all."""
    return {
        "stream": {"data": {"i": i}},
        "document": {"merge": {"n": i, f"k{i % 4}": i}},
        "session": {"data": {"i": i}},
        "inbox": {"data": {"i": i}, "priority": ("critical", "high", "medium", "low")[i % 4]},
        "upload": {"event": "progress", "data": {"bytes": i, "total": 10**6}},
        "agent": {"event": "delta", "data": {"text": f"{i} "}},
    }[kind]


async def opened(server, kind: str, namespace: str, count: int = 0) -> tuple[Client, str, int]:
    """Someone who may do all, its channel of this kind with `count` events, and the seq of the latest."""
    grants = [{"channels": "*", "do": ["subscribe", "publish", "history", "presence"]}]
    client, name = (
        await Client.connect(server, mint(unique("u"), tidewire={"grants": grants})),
        channel(namespace),
    )
    seq = 0
    if kind == "session":
        seq = (await post(client, name, event="join"))["seq"]
    for i in range(1, count + 1):
        seq = (await post(client, name, **nth(kind, i)))["seq"]
    return client, name, seq


async def other(server) -> Client:
    """Another one who may do all, but owns nothing."""
    grants = [{"channels": "*", "do": ["subscribe", "publish", "history", "presence"]}]
    return await Client.connect(server, mint(unique("v"), tidewire={"grants": grants}))


# -- the WebSocket side


@clause("5.subscribed", "M7")
@every
async def test_subscribed_names_the_kind_and_has_a_snapshot_where_the_kind_has_one(server, kind, namespace):
    """§5: `"kind":K`; "`snapshot` stands where the kind has one"; §4: `snapshot` false [M7]"""
    client, name, seq = await opened(server, kind, namespace, 3)
    reply = await client.subscribe(name)
    assert (reply["kind"], reply["seq"]) == (kind, seq)
    if kind == "stream":
        assert "snapshot" not in reply
    else:
        assert reply["snapshot"]["seq"] == seq and "data" in reply["snapshot"]
    assert "snapshot" not in await (await other(server)).subscribe(name, snapshot=False)


@clause("5.recovered", "M7", "C9")
@every
async def test_a_position_is_recovered_in_every_kind_without_a_snapshot(server, kind, namespace):
    """§5: "`snapshot` …, except when `recovered` is true"; the missed ones are the log's [M7, C9]"""
    client, name, seq = await opened(server, kind, namespace, 10)
    log = await history(client, name, after=0, limit=1000)
    assert seqs(log["messages"]) == list(range(1, seq + 1))
    for seen in (0, 1, seq - 1, seq):
        reply = await (await other(server)).subscribe(name, since={"epoch": log["epoch"], "seq": seen})
        assert reply["recovered"] is True and "snapshot" not in reply
        assert reply["messages"] == log["messages"][seen:]
        for entry in reply["messages"]:
            assert "type" not in entry and "channel" not in entry and "key" not in entry


@clause("5.epoch", "M7")
@folding
async def test_a_position_that_is_not_recovered_gets_the_snapshot_in_every_kind(server, kind, namespace):
    """§5: with `epoch` and `ahead` the snapshot is the new start [M7]"""
    client, name, seq = await opened(server, kind, namespace, 4)
    epoch = (await history(client, name))["epoch"]
    for since, reason in (
        ({"epoch": "another", "seq": 1}, "epoch"),
        ({"epoch": epoch, "seq": seq + 1}, "ahead"),
    ):
        reply = await (await other(server)).subscribe(name, since=since)
        assert (reply["recovered"], reply["reason"], reply["epoch"]) == (False, reason, epoch)
        assert reply["snapshot"]["seq"] == reply["seq"] == seq


@clause("1.snapshot", "M7")
@folding
async def test_the_log_folds_to_the_snapshot_in_every_kind(server, kind, namespace):
    """§1: "a **snapshot** folded from that log" [M7]"""
    client, name, _ = await opened(server, kind, namespace, 30)
    reply = await client.subscribe(name)
    log = await history(client, name, after=0, limit=1000)
    assert same(essence(kind, reply["snapshot"]["data"]), folded(kind, log["messages"]))


@clause("5.order", "M4", "M7")
@folding
async def test_a_snapshot_and_the_later_messages_are_a_fresh_snapshot_in_every_kind(server, kind, namespace):
    """Issue 3: "the property that snapshot plus later messages equals a fresh snapshot, for every kind" [M7]"""
    chance = random.Random(kind)
    client, name, seq = await opened(server, kind, namespace)
    copies = []
    for i in range(1, 81):
        seq = (await post(client, name, **nth(kind, i)))["seq"]
        if chance.random() < 0.1:
            reader = await other(server)
            reply = await reader.subscribe(name)
            copies.append((reader, Copy(kind).start(reply)))
            if kind == "inbox":  # what is pending comes as messages all the same, by priority
                pending = reply["snapshot"]["data"]["pending"]
                assert len(await reader.deliveries(name, len(pending))) == i
    fresh = Copy(kind).start(await (await other(server)).subscribe(name))
    assert fresh.seq == seq
    for reader, mine in copies:
        await mine.follow(reader, name, seq)
        assert same(mine.state, fresh.state), (mine.state, fresh.state)


@clause("5.order", "M4", "M1")
@every
async def test_pipelined_events_are_numbered_and_delivered_in_order_in_every_kind(server, kind, namespace):
    """§1: "grows by exactly 1"; guarantee 1 [M4]"""
    client, name, base = await opened(server, kind, namespace)
    replies = await post_all(client, name, [nth(kind, i) for i in range(1, 101)])
    assert seqs(replies) == list(range(base + 1, base + 101))
    assert len({r["epoch"] for r in replies}) == 1
    reply = await client.subscribe(name)
    assert reply["seq"] == base + 100
    log = await history(client, name, after=0, limit=1000)
    assert seqs(log["messages"]) == list(range(1, base + 101))


@clause("4.publish-key", "M6")
@every
async def test_a_key_makes_an_event_once_in_every_kind(server, kind, namespace):
    """§4: `key`: "a repeat … appends nothing and is answered with the first one's position" [M6]"""
    client, name, seq = await opened(server, kind, namespace, 2)
    first = await post(client, name, key="k", **nth(kind, 3))
    await post(client, name, **nth(kind, 4))
    for fields in (nth(kind, 3), nth(kind, 9), {"event": "nonsense", "data": None}):
        again = await post(client, name, key="k", **fields)
        assert again["duplicate"] is True
        assert (again["seq"], again["epoch"]) == (first["seq"], first["epoch"]) == (seq + 1, first["epoch"])
    assert (await history(client, name))["last"] == seq + 2


@clause("3.order", "M6")
@folding
async def test_a_refused_event_uses_up_no_key_and_no_seq_in_every_kind(server, kind, namespace):
    """§3: "a refused request uses up no key"; §1: seqs without a hole [M6]"""
    client, name, seq = await opened(server, kind, namespace, 2)
    bad = {
        "document": {"patch": [{"op": "remove", "path": "/absent"}]},
        "session": {"event": "read", "data": {"seq": 10**6}},
        "inbox": {"data": 1, "if_seq": 1},
        "upload": {"event": "progress", "data": {"bytes": 0, "total": 10**6}},
        "agent": {"event": "delta", "data": {"text": 5}},
    }[kind]
    for _ in range(3):
        await refused(client, publish(name, key="k", **bad), "invalid_event", "invalid_message")
    reply = await post(client, name, key="k", **nth(kind, 3))
    assert reply["seq"] == seq + 1 and not reply.get("duplicate")


@clause("4.publish", "M3")
@pytest.mark.parametrize("kind, namespace", [(k, n) for k, n in EVERY if k != "document"])
@pytest.mark.parametrize(
    "fields", [{"merge": {"a": 1}}, {"patch": []}, {"if_seq": 0}, {"if_seq": 2}], ids=json.dumps
)
async def test_document_fields_are_invalid_event_elsewhere(server, kind, namespace, fields):
    """§4: "elsewhere `data` may be absent, and `merge`/`patch`/`if_seq` are `invalid_event`" [M3]"""
    client, name, seq = await opened(server, kind, namespace, 2)
    await refused(client, publish(name, **(nth(kind, 3) | fields)), "invalid_event")
    assert (await post(client, name, **nth(kind, 3)))["seq"] == seq + 1


@clause("4.publish-ttl", "M3")
@every
async def test_a_ttl_is_for_streams_and_inboxes(server, kind, namespace):
    """§4: "`ttl_ms` (…; streams and inboxes only …)"; clarified: else `invalid_event` [M3]"""
    client, name, _ = await opened(server, kind, namespace, 1)
    reply = await client.request(publish(name, ttl_ms=60_000, **nth(kind, 2)))
    if kind in ("stream", "inbox"):
        assert reply["type"] == "published", reply
    else:
        assert (reply["type"], reply.get("code")) == ("error", "invalid_event"), reply


@clause("4.publish-ephemeral", "M3")
@every
async def test_ephemeral_is_for_streams_sessions_agents_and_documents(server, kind, namespace):
    """§4: "streams, sessions, agents and documents only"; clarified: else `invalid_event` [M3]"""
    client, name, seq = await opened(server, kind, namespace, 1)
    await client.subscribe(name)
    event = {"upload": "progress"}.get(kind, "cursor")
    data = {"bytes": 2, "total": 10**6} if kind == "upload" else {"x": 1}
    reply = await client.request(publish(name, event=event, data=data, ephemeral=True))
    if kind in ("inbox", "upload"):
        assert (reply["type"], reply.get("code")) == ("error", "invalid_event"), reply
    else:
        assert reply["ephemeral"] is True and "seq" not in reply
        message = await next_of(client, name)
        assert "seq" not in message and (message["event"], message["data"]) == (event, data)
    assert (await history(client, name))["last"] == seq


@clause("4.subscribe-list", "M7", "C9")
async def test_all_kinds_resume_in_one_request(server):
    """§4: "This is how a client resumes": whatever its channels are [M7, C9]"""
    channels = [await opened(server, kind, ns, 5) + (kind,) for kind, ns in EVERY]
    entries = []
    for client, name, seq, _ in channels:
        epoch = (await history(client, name))["epoch"]
        entries.append({"channel": name, "since": {"epoch": epoch, "seq": seq - 2}})
    reader = await other(server)
    await reader.send({"type": "subscribe", "channels": entries, "id": 1})
    for _, name, seq, kind in channels:
        reply = await reader.expect(id=1)
        assert (reply["channel"], reply["kind"], reply["recovered"]) == (name, kind, True)
        assert seqs(reply["messages"]) == [seq - 1, seq]


@clause("5.durable", "M6", "M7")
@pytest.mark.parametrize("kind, namespace", DISK)
async def test_every_kind_is_the_same_after_kill_9(start, http, tmp_path, kind, namespace):
    """Guarantee 3 for state, log, epoch and keys of every kind on disk [M6]"""
    home = Home(start, tmp_path, SETTINGS)
    client, name, seq = await opened(home.server, kind, namespace, 20)
    last = await post(client, name, key="k", **nth(kind, 21))
    before = None if kind == "stream" else api_snapshot(http, home.server, name)
    log = (await history(client, name))["messages"]
    me = client.hello["user"]["id"]
    server = home.crash()
    if before:
        assert api_snapshot(http, server, name) == before
    reader = await other(server)
    reply = await history(reader, name)
    assert (reply["epoch"], reply["last"], reply["messages"]) == (last["epoch"], seq + 1, log)
    again = await Client.connect(
        server, mint(me, tidewire={"grants": [{"channels": "*", "do": ["publish"]}]})
    )
    duplicate = await post(again, name, key="k", **nth(kind, 21))
    assert (duplicate["duplicate"], duplicate["seq"], duplicate["epoch"]) == (True, seq + 1, last["epoch"])
    assert (await post(again, name, **nth(kind, 22)))["seq"] == seq + 2
    reply = await reader.subscribe(name, since={"epoch": last["epoch"], "seq": 5})
    assert reply["recovered"] is True and seqs(reply["messages"]) == list(range(6, seq + 3))


@clause("5.durable", "M6", "M7")
async def test_pipelined_events_of_every_kind_survive_a_kill_in_the_middle(start, http, tmp_path):
    """M6: all that was acknowledged is folded again, and nothing is folded twice [M6, M7]"""
    home = Home(start, tmp_path, SETTINGS)
    channels = {kind: await opened(home.server, kind, ns) for kind, ns in DISK if kind != "stream"}
    for i in range(1, 400):
        for kind, (client, name, _) in channels.items():
            await client.send(publish(name, **nth(kind, i)) | {"id": i})
    for client, _, _ in channels.values():
        await client.expect(id=60, timeout_s=20)
    home.server.kill()
    acknowledged = {}
    for kind, (client, _, base) in channels.items():
        await client.closed()
        acknowledged[kind] = max([base, *(m["seq"] for m in client.inbox if m["type"] == "published")])
    server = home.again()
    reader = await other(server)
    for kind, (_, name, _) in channels.items():
        log = await history(reader, name, after=0, limit=1000)
        assert (
            seqs(log["messages"]) == list(range(1, log["last"] + 1)) and log["last"] >= acknowledged[kind] > 0
        )
        snapshot = api_snapshot(http, server, name)
        assert (snapshot["seq"], snapshot["epoch"]) == (log["last"], log["epoch"])
        assert same(essence(kind, snapshot["data"]), folded(kind, log["messages"]))


BARE = {
    f"bare-{kind}": {"kind": kind, "durability": "disk", "history_messages": 0}
    for kind in ("document", "session", "agent", "upload")
} | {"user": {"kind": "inbox", "durability": "disk", "history_messages": 0}}


@clause("5.trimmed", "M6", "M7")
@pytest.mark.parametrize("kind", ["document", "session", "agent", "upload", "inbox"])
async def test_a_state_needs_no_history_not_even_after_kill_9(start, http, tmp_path, kind):
    """§9: `.history_messages` 0; §1: the state is folded from the log, and must outlive what is trimmed [M6]"""
    home = Home(start, tmp_path, {"namespaces": BARE})
    namespace = "user" if kind == "inbox" else f"bare-{kind}"
    client, name, seq = await opened(home.server, kind, namespace, 15)
    before = api_snapshot(http, home.server, name)
    assert before["seq"] == seq
    reply = await (await other(home.server)).subscribe(name, since={"epoch": before["epoch"], "seq": seq})
    assert (reply["recovered"], reply["messages"]) == (True, [])
    if kind != "inbox":  # whose log keeps what is pending
        reply = await (await other(home.server)).subscribe(name, since={"epoch": before["epoch"], "seq": 1})
        if reply["recovered"] is False:
            assert reply["reason"] == "trimmed" and reply["snapshot"]["seq"] == seq
    for _ in range(2):
        server = home.crash()
        assert api_snapshot(http, server, name) == before
    reader = await other(server)
    mine = Copy(kind).start(await reader.subscribe(name))
    grants = [{"channels": "*", "do": ["publish"]}]
    again = await Client.connect(server, mint(client.hello["user"]["id"], tidewire={"grants": grants}))
    assert (await post(again, name, **nth(kind, 16)))["seq"] == seq + 1
    await mine.follow(reader, name, seq + 1) if kind != "inbox" else None
    assert api_snapshot(http, server, name)["seq"] == seq + 1
    if kind != "inbox":
        assert same(mine.state, essence(kind, api_snapshot(http, server, name)["data"]))


# -- the HTTP side


@clause("8.snapshot", "M7")
@folding
async def test_the_snapshot_over_http_is_that_of_subscribed(server, http, kind, namespace):
    """§8: `{"channel","epoch","seq","data"}` [M7]"""
    client, name, seq = await opened(server, kind, namespace, 6)
    body = api_snapshot(http, server, name)
    assert body.keys() >= {"channel", "epoch", "seq", "data"}
    reply = await client.subscribe(name)
    assert (body["channel"], body["epoch"], body["seq"]) == (name, reply["epoch"], seq)
    assert same(essence(kind, body["data"]), essence(kind, reply["snapshot"]["data"]))
    assert http(server, "GET", path_of(name, "/snapshot"), key=READ_KEY).status_code == 200
    assert_problem(http(server, "GET", path_of(name, "/snapshot"), key=PUBLISH_KEY), 403, "forbidden")
    assert http(server, "GET", path_of(name, "/snapshot"), key=None).status_code in (401, 403)


@clause("8.snapshot", "M3")
def test_a_snapshot_of_what_has_none_is_404(server, http):
    """§8: "(404 for a stream)"; §6: `not_found` for a namespace that is not configured [M3]"""
    name = channel()
    api_publish(http, server, name, data=1)
    assert_problem(http(server, "GET", path_of(name, "/snapshot")), 404, "not_found")
    assert_problem(http(server, "GET", path_of("nowhere:x", "/snapshot")), 404, "not_found")
    assert_problem(http(server, "GET", path_of("doc:", "/snapshot")), 400, "invalid_channel")
    unused = http(server, "GET", path_of(channel("doc"), "/snapshot"))
    if unused.status_code != 404:  # "An empty document's snapshot is `{"seq":0,"data":null}`"
        assert unused.status_code == 200 and (unused.json()["seq"], unused.json()["data"]) == (0, None)


@clause("8.snapshot", "M8", "M7")
def test_a_large_snapshot_is_compressed_as_asked(server, http):
    """§8: "Responses over 1 KiB are compressed as `Accept-Encoding` asks" [M8]"""
    name, value = channel("doc"), {f"k{i}": "x" * 50 for i in range(100)}
    api_publish(http, server, name, data=value)
    for encoding in ("gzip", "br"):
        answer = http(server, "GET", path_of(name, "/snapshot"), headers={"Accept-Encoding": encoding})
        assert answer.headers["content-encoding"] == encoding
        if encoding == "gzip":
            assert answer.json()["data"] == value


@clause("8.channels", "O2")
@every
async def test_a_channel_is_listed_with_its_kind(server, http, kind, namespace):
    """§8: `{"channel","kind","epoch","seq","subscribers"}` [O2]"""
    client, name, seq = await opened(server, kind, namespace, 2)
    epoch = (await client.subscribe(name))["epoch"]
    expected = {"channel": name, "kind": kind, "epoch": epoch, "seq": seq, "subscribers": 1}
    body = http(server, "GET", path_of(name)).json()
    assert expected.items() <= body.items(), body
    listed = http(server, "GET", "/api/v1/channels", params={"prefix": name}).json()["channels"]
    assert [expected.items() <= c.items() for c in listed] == [True], listed


@clause("8.history", "M7")
@every
async def test_the_history_over_http_is_that_of_the_websocket(server, http, kind, namespace):
    """§8: "as the `history` reply": with `merge`, `patch`, events and priorities [M7]"""
    client, name, _ = await opened(server, kind, namespace, 6)
    if kind == "document":
        await post(client, name, patch=[{"op": "add", "path": "/p", "value": 1}])
    mine = await history(client, name, after=1, limit=4)
    body = http(server, "GET", path_of(name, "/history"), params={"after": 1, "limit": 4}).json()
    assert body["messages"] == mine["messages"]
    assert all(body[k] == mine[k] for k in ("channel", "epoch", "first", "last"))


@clause("8.publish", "K7", "M7")
async def test_documents_are_changed_over_http(server, http):
    """§8: "body as the `publish` request (no `type`)": `merge`, `patch`, `data`, `if_seq`, `key` [M7, K2]"""
    name, reader = channel("doc"), await other(server)
    await reader.subscribe(name)
    assert api_publish(http, server, name, data={"a": [1]}, if_seq=0)["seq"] == 1
    assert api_publish(http, server, name, merge={"b": 2}, if_seq=1)["seq"] == 2
    first = api_publish(http, server, name, patch=[{"op": "add", "path": "/a/-", "value": 3}], key="k")
    again = api_publish(
        http, server, name, patch=[{"op": "add", "path": "/a/-", "value": 3}], key="k", if_seq=0
    )
    assert (again["duplicate"], again["seq"], again["epoch"]) == (True, 3, first["epoch"])
    got = [await next_of(reader, name) for _ in range(3)]
    assert [m.keys() & {"data", "merge", "patch"} for m in got] == [{"data"}, {"merge"}, {"patch"}]
    assert not any("from" in m for m in got)
    assert api_snapshot(http, server, name)["data"] == {"a": [1, 3], "b": 2}


@clause("6.http-codes", "M7", "M3")
def test_a_conflict_over_http_is_409_with_the_seq(server, http):
    """§6: "409 `conflict`"; "(with the current `seq`)" [M7]"""
    name = channel("doc")
    for body in ({"data": 1, "if_seq": 5}, {"merge": {}, "if_seq": 1}):
        answer = http(server, "POST", "/api/v1/publish", json={"channel": name, **body})
        assert assert_problem(answer, 409, "conflict")["seq"] == 0
    api_publish(http, server, name, data={"a": 1})
    answer = http(server, "POST", "/api/v1/publish", json={"channel": name, "merge": {}, "if_seq": 0})
    assert assert_problem(answer, 409, "conflict")["seq"] == 1
    assert api_snapshot(http, server, name)["seq"] == 1


@clause("6.http-codes", "M3")
@pytest.mark.parametrize(
    "fields, status, codes",
    [
        ({}, 400, ("invalid_event", "invalid_message")),
        ({"data": 1, "merge": {}}, 400, ("invalid_event", "invalid_message")),
        ({"patch": [{"op": "remove", "path": "/absent"}]}, 400, ("invalid_event",)),
        ({"patch": 5}, 400, ("invalid_event", "invalid_message")),
        ({"merge": {}, "if_seq": "1"}, 400, ("invalid_message",)),
        ({"merge": {}, "if_seq": -1}, 400, ("invalid_message",)),
        ({"merge": {}, "ttl_ms": 5}, 400, ("invalid_event",)),
        ({"merge": {}, "key": "x" * 129}, 400, ("invalid_message",)),
    ],
    ids=lambda v: json.dumps(v)[:40],
)
def test_a_refused_change_over_http_is_a_problem_with_its_code(server, http, fields, status, codes):
    """§6: "The same codes in HTTP": 400 `invalid_*` [M3]"""
    name = channel("doc")
    api_publish(http, server, name, data={"a": 1})
    assert_problem(http(server, "POST", "/api/v1/publish", json={"channel": name, **fields}), status, *codes)
    assert api_snapshot(http, server, name)["data"] == {"a": 1}


@clause("8.batch", "K7", "M7")
async def test_a_batch_over_channels_of_all_kinds_is_answered_one_by_one(server, http):
    """§8: "each a publish answer or `{"code","detail"}`" [K7]"""
    doc, upload, agent, me = channel("doc"), channel("upload"), channel("agent"), unique("u")
    body = [
        {"channel": doc, "data": {"n": 1}, "if_seq": 0},
        {"channel": doc, "merge": {"n": 2}, "if_seq": 0},
        {"channel": doc, "merge": {"n": 3}, "if_seq": 1},
        {"channel": doc, "patch": [{"op": "test", "path": "/n", "value": 9}]},
        {"channel": upload, "event": "progress", "data": {"bytes": 1, "total": 2}},
        {"channel": upload, "event": "progress", "data": {"bytes": 3, "total": 2}},
        {"channel": agent, "event": "complete"},
        {"channel": agent, "event": "delta", "data": {"text": "late"}},
        {"channel": f"user:{me}", "data": "hi", "priority": "high"},
        {"channel": channel("session"), "event": "typing"},
    ]
    results = http(server, "POST", "/api/v1/batch", json={"publish": body}).json()["results"]
    assert [r.get("seq") if "code" not in r else r["code"] for r in results] == [
        1, "conflict", 2, "invalid_event", 1, "invalid_event", 1, "invalid_event", 1, "invalid_event"]  # fmt: skip
    assert all(isinstance(r["detail"], str) for r in results if "code" in r)
    assert api_snapshot(http, server, doc)["data"] == {"n": 3}
    assert [e["data"] for e in api_snapshot(http, server, f"user:{me}")["data"]["pending"]] == ["hi"]


@clause("8.user-token", "C3", "M7")
async def test_a_user_changes_and_reads_a_document_with_its_own_token(server, http):
    """§8: "A user's own token suffices, with that user's rights …"; §5: `from` without `connection` [M7]"""
    name, me, reader = channel("doc"), unique("u"), await other(server)
    token = mint(me)
    await reader.subscribe(name)
    body = {"channel": name, "merge": {"a": 1}, "if_seq": 0}
    assert http(server, "POST", "/api/v1/publish", key=token, json=body).json()["seq"] == 1
    assert (await next_of(reader, name))["from"]["user"]["id"] == me
    answer = http(server, "POST", "/api/v1/publish", key=token, json=body)
    assert assert_problem(answer, 409, "conflict")["seq"] == 1
    assert http(server, "GET", path_of(name, "/snapshot"), key=token).json()["data"] == {"a": 1}
    body = {"channel": channel("dashboard"), "merge": {"a": 1}}
    assert_problem(http(server, "POST", "/api/v1/publish", key=token, json=body), 403, "forbidden")
    assert_problem(
        http(server, "GET", path_of(f"user:{unique('x')}", "/snapshot"), key=token), 403, "forbidden"
    )
    own = http(server, "GET", path_of(f"user:{me}", "/snapshot"), key=token)
    assert own.status_code in (200, 404), own.text


# -- notify


@clause("8.notify", "K1", "K7")
async def test_notify_answers_as_publish_with_who_is_online(server, http):
    """§8: "to the user's inbox, as publish: its answer and `"online":n`" [K1, K7]"""
    me = unique("u")
    for online in range(3):
        answer = notify(http, server, me, event="emotion_update", data={"n": online})
        assert (answer["channel"], answer["seq"], answer["online"]) == (f"user:{me}", online + 1, online)
        assert isinstance(answer["epoch"], str) and not answer.get("duplicate")
        await Client.connect(server, mint(me))  # `?inbox=manual`: online all the same


@clause("8.notify", "K1")
async def test_notify_takes_the_options_of_publish(server, http):
    """§8: "as publish": event, key, priority, ttl_ms [K1]"""
    me = unique("u")
    first = notify(http, server, me, data=1, key="k", priority="critical", event="alarm", ttl_ms=60_000)
    again = notify(http, server, me, data=2, key="k")
    assert (again["duplicate"], again["seq"], again["epoch"], again["online"]) == (True, 1, first["epoch"], 0)
    (entry,) = api_snapshot(http, server, f"user:{me}")["data"]["pending"]
    assert (entry["event"], entry["priority"], entry["data"]) == ("alarm", "critical", 1)


@clause("8.notify", "M3", "O6")
@pytest.mark.parametrize(
    "path, content, status",
    [
        ("ok", b"{", 400),
        ("ok", b"[]", 400),
        ("ok", b'{"data":1,"priority":"urgent"}', 400),
        ("ok", b'{"data":1,"key":5}', 400),
        ("ok", b'{"data":1,"ttl_ms":-5}', 400),
        ("ok", b'{"data":1,"event":5}', 400),
        ("ok", b'{"data":1,"merge":{}}', 400),
        ("ok", b'{"data":1,"ephemeral":true}', 400),
        ("a%20b", b'{"data":1}', 400),
        ("%C3%A9", b'{"data":1}', 400),
        ("%00", b'{"data":1}', 400),
        ("%zz", b'{"data":1}', 400),
        ("x" * 201, b'{"data":1}', 400),
        ("ok", b'{"data":"' + b"x" * 1_100_000 + b'"}', 413),
    ],
    ids=lambda v: str(v)[:30],
)
def test_a_bad_notify_is_a_problem(server, http, path, content, status):
    """§1: which ids there are; §6: the codes [M3]"""
    answer = http(server, "POST", f"/api/v1/users/{path}/notify", content=content)
    assert answer.status_code == status or (answer.status_code == 404 and path == "%zz"), answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")


@clause("8.scopes", "O6", "P8")
def test_notify_needs_the_scope_publish(server, http):
    """§8: "`publish` for publish, batch, broadcast and notify"; no user's token [O6]"""
    me = unique("u")
    path = f"/api/v1/users/{me}/notify"
    assert http(server, "POST", path, key=PUBLISH_KEY, json={"data": 1}).status_code == 200
    assert_problem(http(server, "POST", path, key=READ_KEY, json={"data": 1}), 403, "forbidden")
    for key in (None, "tw_wrong", mint(me)):
        assert http(server, "POST", path, key=key, json={"data": 1}).status_code in (401, 403)
    assert len(api_snapshot(http, server, f"user:{me}")["data"]["pending"]) == 1


@clause("8.publish", "K7")
@pytest.mark.parametrize("kind, namespace", [(k, n) for k, n in EVERY if k not in ("upload", "document")])
async def test_one_call_brings_a_typed_event_to_a_channel(server, http, kind, namespace):
    """K7: "typed application events … by one HTTP call from a back end" [K7]"""
    _, name, seq = await opened(server, kind, namespace, 1)
    reader = await other(server)
    await reader.subscribe(name)
    if kind == "inbox":
        await next_of(reader, name)
    data = {"message_id": 7, "emotion": "joy"}
    answer = api_publish(http, server, name, "emotion_update", data=data)
    assert answer["seq"] == seq + 1
    message = await next_of(reader, name)
    assert (message["seq"], message["event"], message["data"]) == (seq + 1, "emotion_update", data)
    assert "from" not in message


@clause("8.concurrency", "M4", "M7")
async def test_concurrent_changes_over_http_and_websocket_are_all_folded(server, http):
    """§1: one order for both doors: 60 counters, each set once [M4, M7]"""
    import httpx

    name, clients = channel("doc"), [await other(server) for _ in range(3)]
    head = {"X-API-Key": PUBLISH_KEY}
    async with httpx.AsyncClient(trust_env=False, timeout=10) as session:

        async def call(i: int):
            body = {"channel": name, "merge": {f"h{i}": i}}
            answer = await session.post(server.url("/api/v1/publish"), headers=head, json=body)
            return answer.json()["seq"]

        calls = [call(i) for i in range(30)]
        sends = [post(clients[i % 3], name, merge={f"w{i}": i}) for i in range(30)]
        results = await asyncio.gather(*calls, *sends)
    assert sorted(r if isinstance(r, int) else r["seq"] for r in results) == list(range(1, 61))
    expected = {f"h{i}": i for i in range(30)} | {f"w{i}": i for i in range(30)}
    snapshot = api_snapshot(http, server, name)
    assert snapshot["seq"] == 60 and snapshot["data"] == expected
