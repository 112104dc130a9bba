"""What a server finds in its store when it starts: the channels that it lists (§8), and the runs that nobody
ends any more (§7). Requirements M6, O4, K6."""

from __future__ import annotations

import asyncio

import pytest
from client import Client, channel, eventually, unique
from model import Home, api_publish, api_snapshot, path_of, post, publish, refused
from tokens import mint

clause = pytest.mark.clause
SETTINGS = {
    "namespaces": {
        "quick": {"kind": "agent", "idle_timeout": "500ms"},
        "sent": {"kind": "upload", "durability": "disk", "idle_timeout": "500ms"},
        "patient": {"kind": "agent", "idle_timeout": "3s"},
    }
}


async def user(server, name: str | None = None) -> Client:
    return await Client.connect(server, mint(name or unique("u")))


def pages(http, server, **query) -> list[list[dict]]:
    """All pages, to the one without a `next`."""
    out, cursor = [], {}
    while True:
        answer = http(server, "GET", "/api/v1/channels", params=query | cursor)
        assert answer.status_code == 200, answer.text
        out.append(answer.json()["channels"])
        if answer.json()["next"] is None:
            return out
        cursor = {"cursor": answer.json()["next"]}
        assert len(out) < 1000


def listed(http, server, **query) -> list[dict]:
    return [info for page in pages(http, server, **query) for info in page]


# -- the list


@clause("8.channels", "M6")
@pytest.mark.parametrize("end", ["crash", "restart"])
async def test_the_list_is_the_same_after_a_restart(start, http, tmp_path, end):
    """§8, GET /api/v1/channels: channel, kind, epoch, seq, subscribers; after kill -9 as after a drain [M6]"""
    home = Home(start, tmp_path, SETTINGS)
    names = [channel(ns) for ns in ("log", "log", "doc", "agent", "session", "upload")]
    client = await user(home.server)
    for name in names[:3]:
        for data in range(3):
            await client.publish(name, {"n": data})
    await post(client, names[3], event="delta", data={"text": "x"})
    await post(client, names[4], event="join", data={})
    api_publish(http, home.server, names[5], "progress", data={"bytes": 1})
    waiting = unique("zed")
    assert http(home.server, "POST", f"/api/v1/users/{waiting}/notify", json={"data": 1}).status_code == 200
    before = listed(http, home.server)
    expected = {*names, f"user:{waiting}"} - {names[5]}  # uploads are in memory
    assert expected <= {info["channel"] for info in before}
    await client.close()
    server = await asyncio.to_thread(getattr(home, end))
    after = listed(http, server)
    assert after == [
        info | {"subscribers": 0} for info in before if info["channel"] in expected
    ]
    for info in after:  # and so is each alone
        assert http(server, "GET", path_of(info["channel"])).json() == info
    assert listed(http, server) == after


@clause("8.channels", "M6")
async def test_pages_of_stored_and_of_live_channels_miss_nothing(start, http, tmp_path):
    """§8: pages by `limit` and `next`, a `prefix`: stored, live and both alike, in one order, each once [M6]"""
    home, prefix = Home(start, tmp_path, SETTINGS), unique("log:p-")
    client = await user(home.server)
    names = sorted(f"{prefix}-{i}" for i in range(57))
    for name in [*names, channel("log"), channel("doc")]:
        await client.publish(name, 1)
    server = await asyncio.to_thread(home.crash)
    client = await user(server)
    for name in names[::5]:
        await client.publish(name, 2)
    await client.subscribe(names[7])
    live = [f"{prefix}-{i}-live" for i in range(0, 57, 9)]
    for name in live:
        await client.publish(name, 1)
    expected = sorted([*names, *live])
    for limit in (1, 7, 57 + len(live), 100):
        found = pages(http, server, prefix=prefix, limit=limit)
        assert [info["channel"] for page in found for info in page] == expected
        assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)
        by_name = {info["channel"]: info for page in found for info in page}
        assert all(by_name[name]["seq"] == (2 if name in names[::5] else 1) for name in expected)
        assert [name for name in expected if by_name[name]["subscribers"]] == [names[7]]


@clause("8.channels", "K3")
async def test_an_empty_inbox_is_not_listed_after_a_restart_either(start, http, tmp_path):
    """Clarifications: "An inbox that is empty and has no subscriber is not in `/api/v1/channels`" [K3]"""
    home = Home(start, tmp_path, SETTINGS)
    read, unread = unique("read"), unique("unread")
    for name in (read, unread):
        assert http(home.server, "POST", f"/api/v1/users/{name}/notify", json={"data": 1}).status_code == 200
    client = await user(home.server, read)
    await client.request({"type": "ack", "channel": f"user:{read}", "seqs": [1]})
    server = await asyncio.to_thread(home.crash)
    assert [info["channel"] for info in listed(http, server, prefix="user:")] == [f"user:{unread}"]


# -- runs


@clause("7.agent-orphan", "K6", "M6")
@pytest.mark.parametrize("end", ["crash", "restart"])
async def test_a_run_whose_creator_went_with_the_server_ends_while_nobody_looks(start, http, tmp_path, end):
    """§7: "A run whose creator has no connection left and that has been silent for `idle_timeout` (60 s) is ended
    by the server"; "the same for an upload": also when the server ended meanwhile [K6, M6]"""
    home = Home(start, tmp_path, SETTINGS)
    run, sent, ended, clock = channel("quick"), channel("sent"), channel("quick"), channel("patient")
    client = await user(home.server)
    await post(client, run, event="delta", data={"text": "half a sen"})
    await post(client, sent, event="progress", data={"bytes": 1})
    await post(client, ended, event="complete", data={})
    await post(client, clock, event="start", data={})
    server = await asyncio.to_thread(getattr(home, end))

    def seqs() -> dict:
        return {info["channel"]: info["seq"] for info in listed(http, server)}

    await eventually(lambda: seqs() == {run: 2, sent: 2, ended: 1, clock: 2}, "all have ended")
    assert api_snapshot(http, server, run)["data"]["status"] == "failed"
    assert api_snapshot(http, server, sent)["data"]["status"] == "failed"
    assert api_snapshot(http, server, ended)["data"]["status"] == "complete"
    entries = http(server, "GET", path_of(run, "/history")).json()["messages"]
    assert (entries[1]["event"], entries[1]["data"]) == ("fail", {"reason": "orphaned"})
    again = await asyncio.to_thread(home.crash)
    await asyncio.sleep(1)
    assert {info["channel"]: info["seq"] for info in listed(http, again)} == {run: 2, sent: 2, ended: 1, clock: 2}


@clause("7.agent-orphan", "K6", "M6")
async def test_a_run_whose_creator_comes_back_to_the_new_server_goes_on(start, http, tmp_path):
    """§7: its creator has a connection, however long the server was away [K6, M6]"""
    home = Home(start, tmp_path, SETTINGS)
    mine, others = channel("patient"), channel("quick")
    name = unique("u")
    client, other = await user(home.server, name), await user(home.server)
    await post(client, mine, event="delta", data={"text": "a"})
    await post(other, others, event="delta", data={"text": "b"})
    home.server.kill()
    await asyncio.sleep(3.1)
    server = await asyncio.to_thread(home.again)
    client = await user(server, name)

    def seq_of(run: str) -> int:
        return http(server, "GET", path_of(run)).json()["seq"]

    await eventually(lambda: seq_of(others) == 2, "the other has ended")
    assert (await post(client, mine, event="delta", data={"text": "c"}))["seq"] == 2
    assert api_snapshot(http, server, mine)["data"]["text"] == "ac"
    gone = await user(server)
    await refused(gone, publish(mine, "delta", data={"text": "no"}), "forbidden")
