"""Protocol §7, kind `upload`: progress, ends, who may what, at most 10 deliveries a second. Requirement K5."""

from __future__ import annotations

import asyncio
import json
import math
import time

import pytest
from client import Client, channel, eventually, unique
from model import (
    Copy,
    Home,
    api_publish,
    api_snapshot,
    assert_problem,
    history,
    next_of,
    path_of,
    post,
    post_all,
)
from model import publish, refused, seqs
from tokens import mint

clause = pytest.mark.clause
MEMBERS = {"status", "bytes", "total", "percent", "rate_bps", "eta_ms"}
SERVER = {
    "settings": {
        "namespaces": {
            "stored": {"kind": "upload", "durability": "disk"},
            "long": {"kind": "upload", "history_messages": 100000},
            "quick": {"kind": "upload", "idle_timeout": "300ms"},
        }
    }
}


async def user(server, name: str | None = None, **claims) -> Client:
    return await Client.connect(server, mint(name or unique("u"), **claims))


async def staff(server, *do: str) -> Client:
    grants = [{"channels": f"{ns}:*", "do": list(do)} for ns in ("upload", "stored", "long", "quick")]
    return await user(server, tidewire={"grants": grants})


def progress(done: object, total: object = None) -> dict:
    return {"event": "progress", "data": {"bytes": done} | ({} if total is None else {"total": total})}


async def started(server, namespace: str = "upload", total: int = 1000) -> tuple[Client, str]:
    client, name = await user(server), channel(namespace)
    assert (await post(client, name, **progress(0, total)))["seq"] == 1
    return client, name


def state(http, server, name: str) -> dict:
    """The snapshot's `data`, its shape checked."""
    data = api_snapshot(http, server, name)["data"]
    assert data.keys() >= MEMBERS, data
    assert data["status"] in ("pending", "active", "complete", "failed", "cancelled")
    for key in ("percent", "rate_bps", "eta_ms"):
        value = data[key]
        assert value is None or (isinstance(value, int | float) and math.isfinite(value) and value >= 0), data
    return data


def brief(data: dict) -> tuple:
    return data["status"], data["bytes"], data["total"]


# -- progress


@clause("7.upload", "K5")
@pytest.mark.parametrize("namespace", ["upload", "stored"])
async def test_progress_is_folded_with_percent_rate_and_eta(server, http, namespace):
    """§7: `{"status","bytes","total","percent","rate_bps","eta_ms"}` [K5]"""
    client, name = await user(server), channel(namespace)
    await post(client, name, **progress(0, 2000))
    reply = await client.subscribe(name)
    assert (reply["kind"], reply["seq"], reply["snapshot"]["seq"]) == ("upload", 1, 1)
    assert brief(reply["snapshot"]["data"]) == ("active", 0, 2000)
    assert state(http, server, name)["percent"] == 0
    for done, percent in ((500, 25), (1500, 75), (1500, 75), (2000, 100)):
        await post(client, name, **progress(done, 2000))
        data = state(http, server, name)
        assert brief(data) == ("active", done, 2000)
        assert abs(data["percent"] - percent) < 0.5
    await post(client, name, event="complete")
    data = state(http, server, name)
    assert brief(data) == ("complete", 2000, 2000) and data["percent"] == 100
    assert data["eta_ms"] in (0, None)


@clause("7.upload", "K5")
async def test_the_rate_and_the_eta_follow_the_progress(server, http):
    """K5: "progress with rate and ETA": where bytes have flowed there is a rate, and an end in sight [K5]"""
    client, name = await started(server, total=10**9)

    async def has_rate():
        done = state(http, server, name)["bytes"] + 1_000_000
        await post(client, name, **progress(done, 10**9))
        data = state(http, server, name)
        return data["rate_bps"] and data["eta_ms"]

    await eventually(has_rate, "a rate and an ETA")


@clause("7.upload", "K5")
async def test_the_total_may_be_unknown(server, http):
    """§7: "`total` may be unknown (`percent` null)" [K5]"""
    client, name = await user(server), channel("upload")
    await post(client, name, **progress(5))
    data = state(http, server, name)
    assert brief(data) == ("active", 5, None)
    assert data["percent"] is None and data["eta_ms"] is None
    await post(client, name, **progress(10**12))
    assert state(http, server, name)["bytes"] == 10**12
    await post(client, name, event="complete")
    assert state(http, server, name)["status"] == "complete"
    other, name = await user(server), channel("upload")
    await post(other, name, event="progress", data={"bytes": 1, "total": None})
    await post(other, name, **progress(2, 8))  # known now
    assert brief(state(http, server, name)) == ("active", 2, 8)


@clause("7.upload", "K5", "M3")
async def test_bytes_never_decrease_nor_pass_the_total(server, http):
    """§7: "bytes never decrease nor pass `total` (`invalid_event`)" [K5]"""
    client, name = await started(server)
    await post(client, name, **progress(500, 1000))
    for done, total in (
        (499, 1000),
        (0, 1000),
        (1001, 1000),
        (2**53, 1000),
        (600, 599),
        (499, None),
    ):
        await refused(client, publish(name, **progress(done, total)), "invalid_event")
    assert brief(state(http, server, name)) == ("active", 500, 1000)
    await post(client, name, **progress(500, 1000))
    assert (await post(client, name, **progress(1000, 1000)))["seq"] == 4


BAD = [None, {}, 5, "5", [], {"bytes": None}, {"bytes": "5"}, {"bytes": -1}, {"bytes": True}, {"bytes": []},
       {"total": 10}, {"bytes": 5, "total": "10"}, {"bytes": 5, "total": -1}, {"bytes": 5, "total": []},
       {"bytes": 5, "total": True}, {"bytes": -(2**63), "total": 1000}]  # fmt: skip


@clause("7.upload", "K5", "M3")
@pytest.mark.parametrize("data", BAD, ids=json.dumps)
async def test_a_progress_of_the_wrong_shape_is_refused(server, http, data):
    """§7: `progress` `{"bytes","total"}`; §6: wrong types `invalid_message`, the kind's refusal `invalid_event`"""
    client, name = await started(server)
    await post(client, name, **progress(3, 1000))
    await refused(client, publish(name, event="progress", data=data), "invalid_event", "invalid_message")
    assert brief(state(http, server, name)) == ("active", 3, 1000)
    assert (await post(client, name, **progress(4, 1000)))["seq"] == 3


@clause("7.upload", "M3")
@pytest.mark.parametrize(
    "text", ["1.5", "1e300", "1e999", "9" * 40, "18446744073709551616", "5.0", "-0.0", "9007199254740993"]
)
async def test_an_odd_number_of_bytes_leaves_a_sound_state(server, http, text):
    """§7 does not say what numbers bytes are: taken or refused, the snapshot stays valid JSON [M3]"""
    client, name = await user(server), channel("upload")
    await post(client, name, **progress(0))
    await client.send(
        f'{{"type":"publish","id":1,"channel":"{name}","event":"progress","data":{{"bytes":{text},"total":{text}}}}}'
    )
    reply = await client.expect(id=1)
    assert reply["type"] == "published" or reply["code"] in ("invalid_event", "invalid_message"), reply
    state(http, server, name)
    assert (await post(client, name, event="complete"))["seq"] in (2, 3)
    assert state(http, server, name)["status"] == "complete"


@clause("7.upload", "M3")
async def test_an_empty_file_has_a_sound_state(server, http):
    """§7: 0 of 0 bytes: whatever its percent, it is a number or null [K5]"""
    client, name = await started(server, total=0)
    assert brief(state(http, server, name)) == ("active", 0, 0)
    await refused(client, publish(name, **progress(1, 0)), "invalid_event")
    await post(client, name, event="complete")
    assert brief(state(http, server, name)) == ("complete", 0, 0)


@clause("7.upload", "M3", "K5")
@pytest.mark.parametrize(
    "event", [None, "", "notify", "message", "start", "Progress", "PROGRESS", "done", "ack"]
)
async def test_an_event_that_uploads_do_not_know_is_invalid_event(server, http, event):
    """§7: uploads know "`progress`, `complete`, `fail`, `cancel`", and no custom name [M3]"""
    client, name = await started(server)
    request = {"type": "publish", "channel": name, "data": {"bytes": 1}} | (
        {} if event is None else {"event": event}
    )
    await refused(client, request, "invalid_event", *(("invalid_message",) if event == "" else ()))
    assert brief(state(http, server, name)) == ("active", 0, 1000)


@clause("7.upload", "M3")
@pytest.mark.parametrize("fields", [{"merge": {}}, {"patch": []}, {"if_seq": 1}, {"ttl_ms": 1000},
                                    {"ephemeral": True}], ids=json.dumps)  # fmt: skip
async def test_an_option_that_uploads_do_not_know_is_invalid_event(server, http, fields):
    """§4: `merge`/`patch`/`if_seq` for documents, `ttl_ms` for streams and inboxes, `ephemeral` for "streams,
    sessions, agents and documents only" [M3]"""
    client, name = await started(server)
    await refused(client, publish(name, **(progress(1, 1000) | fields)), "invalid_event")
    assert brief(state(http, server, name)) == ("active", 0, 1000)


# -- ends


@clause("7.upload-end", "K5")
@pytest.mark.parametrize(
    "event, status", [("complete", "complete"), ("fail", "failed"), ("cancel", "cancelled")]
)
async def test_after_an_end_event_comes_nothing(server, http, event, status):
    """§7: "nothing after an end event": not even by the API [K5]"""
    client, name = await started(server)
    await client.subscribe(name)
    await post(client, name, **progress(400, 1000))
    end = await post(client, name, event=event, data={"reason": "x"})
    expected = (status, 1000 if event == "complete" else 400, 1000)
    assert brief(state(http, server, name)) == expected
    for again in ("progress", "complete", "fail", "cancel"):
        data = {"bytes": 1000, "total": 1000}
        await refused(client, publish(name, event=again, data=data), "invalid_event")
        body = {"channel": name, "event": again, "data": data}
        assert_problem(http(server, "POST", "/api/v1/publish", json=body), 400, "invalid_event")
    assert brief(state(http, server, name)) == expected
    last = None
    while not last or last["seq"] < end["seq"]:
        last = await next_of(client, name)
    assert (last["event"], last["data"]) == (event, {"reason": "x"})


@clause("7.upload-end", "K5")
async def test_complete_sets_bytes_to_total(server, http):
    """§7: "`complete` sets bytes to total" [K5]"""
    client, name = await started(server, total=12345)
    await post(client, name, event="complete")
    data = state(http, server, name)
    assert brief(data) == ("complete", 12345, 12345) and data["percent"] == 100


@clause("7.upload-cancel", "K5", "C3")
async def test_the_creator_a_grant_or_the_api_cancels(server, http):
    """§7: "`cancel` by the creator, a grant or the API" [K5]"""
    for who in ("creator", "tab", "grant", "api"):
        client, name = await started(server)
        stranger = await user(server)
        await refused(stranger, publish(name, event="cancel"), "forbidden")
        if who == "api":
            api_publish(http, server, name, "cancel")
        else:
            canceller = {"creator": client}.get(who) or (
                await Client.connect(server, mint(client.hello["user"]["id"]))
                if who == "tab"
                else await staff(server, "publish", "subscribe")
            )
            await post(canceller, name, event="cancel")
        assert state(http, server, name)["status"] == "cancelled"


# -- who may


@clause("7.upload-creator", "K5", "C3")
@pytest.mark.parametrize("namespace", ["upload", "stored"])
async def test_only_the_creator_publishes_and_reads(server, http, namespace):
    """§7: `upload`: subscribe "the creator, or a grant", publish "the creator"; "The creator … is the first user
    to publish to it" [K5]"""
    client, name = await started(server, namespace)
    stranger, anonymous = await user(server), await Client.connect(server)
    for request in (
        publish(name, **progress(5, 1000)),
        publish(name, event="complete"),
        publish(name, event="fail"),
        {"type": "subscribe", "channel": name},
        {"type": "history", "channel": name},
    ):
        await refused(stranger, request, "forbidden")
        await refused(anonymous, request, "unauthorized", "forbidden")
    tab = await Client.connect(server, mint(client.hello["user"]["id"]))
    await tab.subscribe(name)
    await post(tab, name, **progress(5, 1000))
    assert (await next_of(tab, name))["seq"] == 2
    assert seqs((await history(client, name))["messages"]) == [1, 2]
    reader = await staff(server, "subscribe")
    await reader.subscribe(name)
    await refused(reader, publish(name, **progress(6, 1000)), "forbidden")


@clause("7.upload-creator", "K5")
async def test_the_api_never_becomes_the_creator(server, http):
    """§7: "The HTTP API … never becomes creator": the first user to publish does [K5]"""
    name = channel("upload")
    api_publish(http, server, name, **progress(1, 10))
    assert brief(state(http, server, name)) == ("active", 1, 10)
    first, second = await user(server), await user(server)
    await post(first, name, **progress(2, 10))
    await refused(second, publish(name, **progress(3, 10)), "forbidden")
    await first.subscribe(name)
    api_publish(http, server, name, **progress(4, 10))
    assert brief(state(http, server, name)) == ("active", 4, 10)
    assert "from" not in await next_of(first, name)


@clause("7.upload-creator", "K5", "M3")
async def test_a_refused_publish_makes_no_creator(server, http):
    """§3: a refused request changes nothing: the creator is the first whose publish was taken [K5]"""
    name = channel("upload")
    first, second = await user(server), await user(server)
    await refused(
        first, publish(name, event="progress", data={"bytes": -1}), "invalid_event", "invalid_message"
    )
    await refused(first, publish(name, event="nonsense"), "invalid_event")
    assert (await post(second, name, **progress(1, 10)))["seq"] == 1
    await refused(first, publish(name, **progress(2, 10)), "forbidden")


@clause("7.upload-creator", "K5", "M4")
async def test_of_two_who_begin_at_once_one_is_the_creator(server):
    """§7: "the first user to publish to it", whatever the race [K5]"""
    for namespace in ("upload", "stored") * 3:
        name = channel(namespace)
        clients = [await user(server) for _ in range(4)]
        replies = await asyncio.gather(*(c.request(publish(name, **progress(1, 10))) for c in clients))
        assert sorted(r["type"] for r in replies) == ["error"] * 3 + ["published"]
        assert {r["code"] for r in replies if r["type"] == "error"} == {"forbidden"}


@clause("8.user-token", "K5")
async def test_a_user_uploads_over_http(server, http):
    """§8: "A user's own token suffices, with that user's rights": also to become creator [K5]"""
    name, token, other = channel("upload"), mint(unique("u")), mint(unique("v"))
    body = {"channel": name, **progress(5, 10)}
    assert http(server, "POST", "/api/v1/publish", key=token, json=body).status_code == 200
    assert_problem(http(server, "POST", "/api/v1/publish", key=other, json=body), 403, "forbidden")
    answer = http(server, "GET", path_of(name, "/snapshot"), key=token)
    assert brief(answer.json()["data"]) == ("active", 5, 10)
    assert_problem(http(server, "GET", path_of(name, "/snapshot"), key=other), 403, "forbidden")


@clause("7.upload", "K5")
async def test_an_upload_that_has_not_begun_is_pending(server):
    """§7: status `pending`, for a reader with a grant who comes before the first event [K5]"""
    reader, client, name = await staff(server, "subscribe"), await user(server), channel("upload")
    reply = await reader.subscribe(name)
    assert reply["seq"] == 0 and reply["snapshot"]["seq"] == 0
    assert reply["snapshot"]["data"]["status"] == "pending"
    await post(client, name, **progress(1, 10))
    assert (await next_of(reader, name))["data"]["bytes"] == 1


# -- deliveries


@clause("7.upload-rate", "K5", "P7")
@pytest.mark.parametrize("namespace", ["upload", "long", "stored"])
async def test_at_most_10_deliveries_a_second_and_the_last_one_always(server, http, namespace):
    """§7: "at most 10 deliveries a second per subscriber, the last one always"; §5: `first_seq` covers what a
    merged delivery stands for [K5]"""
    client, name = await started(server, namespace, total=400)
    reader = await staff(server, "subscribe")
    mine = Copy("upload").start(await reader.subscribe(name))
    began = time.monotonic()
    for i in range(1, 401, 20):
        await post_all(client, name, [progress(n, 400) for n in range(i, i + 20)])
    end = await post(client, name, event="complete", data={"file": "x"})
    await mine.follow(reader, name, end["seq"])  # asserts that no seq is missing
    elapsed_s = time.monotonic() - began
    assert len(mine.taken) <= 10 * (math.floor(elapsed_s) + 1) + 1, (elapsed_s, seqs(mine.taken))
    assert (mine.taken[-1]["seq"], mine.taken[-1]["event"]) == (402, "complete")
    assert mine.state == {"status": "complete", "bytes": 400, "total": 400}
    assert mine.taken[-1]["data"] == {"file": "x"}


@clause("7.upload-rate", "K5")
async def test_the_last_progress_comes_though_nothing_follows_it(server):
    """§7: "the last one always": without an end event, too [K5]"""
    client, name = await started(server, "long")
    tab = await Client.connect(server, mint(client.hello["user"]["id"]))
    mine = Copy("upload").start(await tab.subscribe(name))
    await post_all(client, name, [progress(n, 1000) for n in range(1, 101)])
    await mine.follow(tab, name, 101)
    assert mine.state == {"status": "active", "bytes": 100, "total": 1000}


@clause("7.upload", "K5", "M7")
async def test_a_late_reader_gets_the_state_so_far(server):
    """§5: the snapshot, and then what changes [K5, M7]"""
    client, name = await started(server)
    for i in (100, 300, 700):
        await post(client, name, **progress(i, 1000))
    reader = await staff(server, "subscribe")
    mine = Copy("upload").start(await reader.subscribe(name))
    assert mine.state == {"status": "active", "bytes": 700, "total": 1000}
    await post(client, name, **progress(800, 1000))
    await post(client, name, event="fail", data={"reason": "disk full"})
    await mine.follow(reader, name, 6)
    assert mine.state == {"status": "failed", "bytes": 800, "total": 1000}
    late = await staff(server, "subscribe")
    reply = await late.subscribe(name)
    assert brief(reply["snapshot"]["data"]) == ("failed", 800, 1000)
    resumed = await staff(server, "subscribe")
    reply = await resumed.subscribe(name, since={"epoch": reply["epoch"], "seq": 4})
    assert reply["recovered"] is True and "snapshot" not in reply
    assert [m["event"] for m in reply["messages"]] == ["progress", "fail"]


# -- orphans


@clause("7.upload-orphan", "K5", "C5")
async def test_an_upload_whose_creator_is_gone_fails_as_orphaned(server, http):
    """§7: "A run whose creator has no connection left and that has been silent for `idle_timeout` … is ended by
    the server: `fail` with `{"reason":"orphaned"}`; the same for an upload" (300 ms here) [K5, C5]"""
    client, name = await started(server, "quick")
    reader = await staff(server, "subscribe")
    await reader.subscribe(name)
    await client.reset()
    message = await next_of(reader, name)
    assert (message["event"], message["data"], message["seq"]) == ("fail", {"reason": "orphaned"}, 2)
    assert "from" not in message
    assert brief(state(http, server, name)) == ("failed", 0, 1000)


@clause("7.upload-orphan", "K5")
async def test_an_upload_whose_creator_is_there_may_be_silent(server, http):
    """§7: only one "whose creator has no connection left" is ended, whichever connection it is [K5]"""
    client, name = await started(server, "quick")
    tab = await Client.connect(server, mint(client.hello["user"]["id"]))  # not subscribed to anything
    await client.close()
    reader = await staff(server, "subscribe")
    await reader.subscribe(name)
    for _ in range(2):  # two others end as orphans, one after another: the time is more than up
        gone, other = await started(server, "quick")
        await reader.subscribe(other)
        await gone.close()
        assert (await next_of(reader, other))["data"] == {"reason": "orphaned"}
    assert state(http, server, name)["status"] == "active"
    await tab.close()
    assert (await next_of(reader, name))["data"] == {"reason": "orphaned"}


@clause("7.upload-orphan", "K5")
async def test_a_finished_upload_is_not_orphaned(server, http):
    """§7: "nothing after an end event": not by the server, either [K5]"""
    client, name = await started(server, "quick")
    await post(client, name, event="complete")
    await client.close()
    other, second = await started(server, "quick")
    reader = await staff(server, "subscribe")
    await reader.subscribe(second)
    await other.close()
    assert (await next_of(reader, second))["event"] == "fail"
    assert brief(state(http, server, name)) == ("complete", 1000, 1000)


# -- over a crash


@clause("5.durable", "M6", "K5")
async def test_a_stored_upload_survives_kill_9_with_its_creator(start, http, tmp_path):
    """§7: a namespace may be on disk: then state, creator and keys are there again [M6, K5]"""
    home = Home(start, tmp_path, SERVER["settings"])
    client, name = await started(home.server, "stored")
    epoch = (await post(client, name, key="k", **progress(600, 1000)))["epoch"]
    server = home.crash()
    assert brief(state(http, server, name)) == ("active", 600, 1000)
    await refused(await user(server), publish(name, **progress(700, 1000)), "forbidden")
    again = await Client.connect(server, mint(client.hello["user"]["id"]))
    await refused(again, publish(name, **progress(599, 1000)), "invalid_event")
    reply = await post(again, name, key="k", **progress(600, 1000))
    assert (reply["duplicate"], reply["seq"], reply["epoch"]) == (True, 2, epoch)
    assert (await post(again, name, event="complete"))["seq"] == 3
    assert brief(state(http, home.crash(), name)) == ("complete", 1000, 1000)
