"""Protocol §7, kind `agent`: runs with streamed text, tools, cancel, orphans. Requirements K6, M7, M6."""

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
    folded,
    history,
    next_of,
    path_of,
    post,
)
from model import post_all, publish, refused, seqs, sleeper
from raw import CLOSE
from tokens import mint

clause = pytest.mark.clause
MEMBERS = {"status", "text", "tools", "started_at", "ended_at", "usage"}
NAMESPACES = ("agent", "memory", "short", "quick", "patient")
SERVER = {
    "settings": {
        "limits": {"outbound_bytes": 65536},
        "namespaces": {
            "memory": {"kind": "agent", "durability": "memory", "history_messages": 100000},
            "short": {"kind": "agent", "durability": "memory", "history_messages": 5},
            "quick": {"kind": "agent", "idle_timeout": "300ms"},
            "patient": {"kind": "agent", "idle_timeout": "2s"},
        },
    }
}
BOTH = pytest.mark.parametrize("namespace", ["agent", "memory"])


async def user(server, name: str | None = None, **claims) -> Client:
    return await Client.connect(server, mint(name or unique("u"), **claims))


def grants(*do: str) -> dict:
    return {"tidewire": {"grants": [{"channels": f"{ns}:*", "do": list(do)} for ns in NAMESPACES]}}


async def staff(server, *do: str) -> Client:
    return await user(server, **grants(*(do or ("subscribe", "history"))))


def delta(text: str) -> dict:
    return {"event": "delta", "data": {"text": text}}


async def run(server, namespace: str = "agent") -> tuple[Client, str]:
    client, name = await user(server), channel(namespace)
    assert (await post(client, name, event="start", data={"model": "m"}))["seq"] == 1
    return client, name


def state(http, server, name: str) -> dict:
    data = api_snapshot(http, server, name)["data"]
    assert data.keys() >= MEMBERS, data
    assert data["status"] in ("pending", "running", "complete", "failed", "cancelled")
    assert isinstance(data["text"], str) and isinstance(data["tools"], list)
    return data


# -- the fold


@clause("7.agent", "K6")
@BOTH
async def test_a_run_from_start_to_end(server, http, namespace):
    """§7: `{"status","text","tools":[…],"started_at","ended_at","usage"}` [K6]"""
    client, name = await run(server, namespace)
    reply = await client.subscribe(name)
    assert (reply["kind"], reply["seq"]) == ("agent", 1)
    data = reply["snapshot"]["data"]
    assert (data["status"], data["text"], data["tools"]) == ("running", "", [])
    assert data["started_at"] is not None and data["ended_at"] is None
    for text in ("Hel", "lo, ", "wörld 🌊"):
        await post(client, name, **delta(text))
    assert state(http, server, name)["text"] == "Hello, wörld 🌊"
    await post(client, name, event="tool_call", data={"id": "t1", "name": "search", "arguments": {"q": "x"}})
    assert len(state(http, server, name)["tools"]) >= 1
    await post(client, name, event="tool_result", data={"id": "t1", "result": [1, 2]})
    await post(client, name, event="status", data={"text": "thinking"})
    assert state(http, server, name)["status"] == "running"
    await post(client, name, event="complete", data={"usage": {"tokens": 7}})
    data = state(http, server, name)
    assert (data["status"], data["text"]) == ("complete", "Hello, wörld 🌊")
    assert data["started_at"] is not None and data["ended_at"] is not None
    got = [await next_of(client, name) for _ in range(7)]
    assert [m["event"] for m in got] == ["delta"] * 3 + ["tool_call", "tool_result", "status", "complete"]
    assert [m["data"] for m in got[:3]] == [{"text": "Hel"}, {"text": "lo, "}, {"text": "wörld 🌊"}]


@clause("7.agent", "K6")
@pytest.mark.parametrize("first", [delta("x"), {"event": "status", "data": {}},
                                   {"event": "tool_call", "data": {"id": "t", "name": "n"}}, {"event": "thought", "data": 1}],
                         ids=lambda f: f["event"])  # fmt: skip
async def test_the_first_event_implies_start(server, http, first):
    """§7: "The first event implies `start`" [K6]"""
    client, name = await user(server), channel("agent")
    await post(client, name, **first)
    data = state(http, server, name)
    assert data["status"] == "running" and data["started_at"] is not None


@clause("7.agent", "K6")
async def test_a_run_that_has_not_begun_is_pending(server):
    """§7: status `pending` [K6]"""
    reader, client, name = await staff(server), await user(server), channel("agent")
    reply = await reader.subscribe(name)
    assert reply["snapshot"]["seq"] == 0
    assert (reply["snapshot"]["data"]["status"], reply["snapshot"]["data"]["text"]) == ("pending", "")
    await post(client, name, **delta("x"))
    assert (await next_of(reader, name))["data"] == {"text": "x"}


@clause("7.agent", "K6", "K7")
async def test_a_custom_event_is_logged_and_not_folded(server, http):
    """§7: "and any custom name (logged, not folded)" [K6]"""
    client, name = await run(server)
    await client.subscribe(name)
    await post(client, name, **delta("text"))
    before = state(http, server, name)
    await post(client, name, event="thought", data={"text": "not folded", "usage": {"tokens": 9}})
    assert state(http, server, name) == before
    got = [await next_of(client, name) for _ in range(2)]
    assert got[1]["event"] == "thought"
    assert [m["event"] for m in (await history(client, name))["messages"]] == ["start", "delta", "thought"]


@clause("7.agent", "M3", "K6")
@pytest.mark.parametrize("data", [None, {}, 5, "x", [], {"text": 5}, {"text": None}, {"text": ["x"]}, {"txt": "x"}],
                         ids=json.dumps)  # fmt: skip
async def test_a_delta_without_text_is_refused(server, http, data):
    """§7: `delta` `{"text"}`; §6: wrong types `invalid_message`, the kind's refusal `invalid_event` [M3]"""
    client, name = await run(server)
    await post(client, name, **delta("a"))
    await refused(client, publish(name, event="delta", data=data), "invalid_event", "invalid_message")
    assert state(http, server, name)["text"] == "a"
    assert (await post(client, name, **delta("b")))["seq"] == 3


@clause("7.agent", "K6")
async def test_text_of_every_kind_is_concatenated_as_it_is(server, http):
    """§7: "`delta`s fold into `text`": escapes, NUL, quotes, astral characters [K6]"""
    client, name = await run(server)
    pieces = ['"', "\\", "\n", "\u0000", "é", "🌊", "\u2028", "</script>", "", "{}", "\\u0041"]
    for piece in pieces:
        await post(client, name, **delta(piece))
    assert state(http, server, name)["text"] == "".join(pieces)
    reader = await staff(server)
    assert (await reader.subscribe(name))["snapshot"]["data"]["text"] == "".join(pieces)


@clause("7.agent", "M3")
async def test_half_a_surrogate_pair_breaks_no_run(server, http):
    """A model that streams UTF-16 may cut a pair in two; it may be refused, but the run goes on [M3]"""
    client, name = await run(server)
    for i, half in enumerate((r"\ud83c", r"\udf0a")):
        await client.send(
            f'{{"type":"publish","id":{i},"channel":"{name}","event":"delta","data":{{"text":"{half}"}}}}'
        )
        reply = await client.expect(id=i)
        assert reply["type"] == "published" or reply["code"] in ("invalid_event", "invalid_json"), reply
    await post(client, name, **delta("sea"))
    assert state(http, server, name)["text"].endswith("sea")
    reader = await staff(server)
    assert (await reader.subscribe(name))["snapshot"]["data"]["text"].endswith("sea")


@clause("7.agent", "M3")
@pytest.mark.parametrize(
    "fields", [{"merge": {}}, {"patch": []}, {"if_seq": 1}, {"ttl_ms": 1000}], ids=json.dumps
)
async def test_an_option_that_agents_do_not_know_is_invalid_event(server, http, fields):
    """§4: `merge`/`patch`/`if_seq` for documents, `ttl_ms` for streams and inboxes [M3]"""
    client, name = await run(server)
    await refused(client, publish(name, **(delta("x") | fields)), "invalid_event")
    assert state(http, server, name)["text"] == ""


@clause("7.agent-creator", "K6")
async def test_the_first_user_to_publish_is_the_creator_also_with_an_ephemeral_event(server):
    """§7: "The creator of an upload or agent channel is the first user to publish to it" """
    name = channel("agent")
    first, second = [await Client.connect(server, mint(unique("u"))) for _ in range(2)]
    assert (await first.publish(name, 1, event="status", ephemeral=True))["ephemeral"] is True
    await second.refused({"type": "publish", "channel": name, "event": "start"}, "forbidden")
    await second.refused({"type": "subscribe", "channel": name}, "forbidden")
    await first.subscribe(name)
    await first.publish(name, event="start")


@clause("4.publish-ephemeral", "K6")
async def test_an_ephemeral_event_is_not_folded(server, http):
    """§4: ephemeral in "streams, sessions, agents and documents": "no seq, no history" [K6]"""
    client, name = await run(server)
    await client.subscribe(name)
    reply = await post(client, name, event="cursor", data={"x": 1}, ephemeral=True)
    assert reply["ephemeral"] is True and "seq" not in reply
    message = await next_of(client, name)
    assert (message["event"], message["data"]) == ("cursor", {"x": 1}) and "seq" not in message
    for event in ("complete", "cancel", "delta"):
        reply = await client.request(publish(name, event=event, data={"text": "y"}, ephemeral=True))
        assert reply["type"] == "published" or reply["code"] == "invalid_event", reply
    assert (state(http, server, name)["status"], state(http, server, name)["text"]) == ("running", "")
    assert (await post(client, name, **delta("z")))["seq"] == 2


# -- ends


@clause("7.agent-end", "K6")
@pytest.mark.parametrize(
    "event, status", [("complete", "complete"), ("fail", "failed"), ("cancel", "cancelled")]
)
async def test_after_an_end_event_comes_nothing(server, http, event, status):
    """§7: "nothing after an end event (`invalid_event`)": no delta, no custom name, not by the API [K6]"""
    client, name = await run(server)
    await post(client, name, **delta("so far"))
    await post(client, name, event=event, data={"reason": "x"})
    data = state(http, server, name)
    assert (data["status"], data["text"]) == (status, "so far") and data["ended_at"] is not None
    for again in ("start", "delta", "tool_call", "status", "complete", "fail", "cancel", "custom"):
        await refused(client, publish(name, event=again, data={"text": "more"}), "invalid_event")
        body = {"channel": name, "event": again, "data": {"text": "more"}}
        assert_problem(http(server, "POST", "/api/v1/publish", json=body), 400, "invalid_event")
    assert state(http, server, name) == data
    assert (await history(client, name))["last"] == 3


@clause("7.agent-cancel", "K6", "C3")
async def test_whoever_may_subscribe_may_cancel_and_nothing_else(server, http):
    """§7: "Only the run's creator or the API publishes, but `cancel` is open to whoever may subscribe" [K6]"""
    client, name = await run(server)
    await client.subscribe(name)
    reader, stranger = await staff(server, "subscribe"), await user(server)
    for event in ("start", "delta", "tool_call", "complete", "fail", "status", "custom", "Cancel"):
        await refused(reader, publish(name, event=event, data={"text": "x"}), "forbidden")
    await refused(stranger, publish(name, event="cancel"), "forbidden")
    await refused(await Client.connect(server), publish(name, event="cancel"), "unauthorized", "forbidden")
    await post(reader, name, event="cancel", data={"why": "enough"})  # without a subscription of its own
    message = await next_of(client, name)
    assert (message["event"], message["data"]) == ("cancel", {"why": "enough"})
    assert message["from"]["user"]["id"] == reader.hello["user"]["id"]
    assert state(http, server, name)["status"] == "cancelled"
    await refused(client, publish(name, **delta("late")), "invalid_event")


@clause("7.agent-cancel", "K6")
async def test_the_api_cancels_and_so_does_the_creator(server, http):
    """§7: `cancel` by whoever may subscribe: the creator, the API [K6]"""
    _, name = await run(server)
    api_publish(http, server, name, "cancel")
    assert state(http, server, name)["status"] == "cancelled"
    client, name = await run(server)
    tab = await Client.connect(server, mint(client.hello["user"]["id"]))
    await post(tab, name, event="cancel")
    assert state(http, server, name)["status"] == "cancelled"


@clause("7.agent-end", "K6", "M4")
@BOTH
async def test_of_ends_that_meet_one_counts(server, http, namespace):
    """§7: "nothing after an end event": the creator completes while readers and the API cancel [K6, M4]"""
    for _ in range(5):
        client, name = await run(server, namespace)
        readers = [await staff(server, "subscribe") for _ in range(3)]
        for i in range(10):
            await client.send(publish(name, **delta(f"{i}")) | {"id": i})
        replies = await asyncio.gather(
            client.request(publish(name, event="complete")),
            *(r.request(publish(name, event="cancel")) for r in readers),
        )
        assert sorted(r["type"] for r in replies) == ["error"] * 3 + ["published"]
        assert {r["code"] for r in replies if r["type"] == "error"} == {"invalid_event"}
        won = next(r for r in replies if r["type"] == "published")
        log = (await history(client, name))["messages"]
        assert seqs(log) == list(range(1, won["seq"] + 1)) and log[-1]["event"] in ("complete", "cancel")
        expected = "complete" if log[-1]["event"] == "complete" else "cancelled"
        assert state(http, server, name)["status"] == expected


# -- who may


@clause("7.agent-creator", "K6", "C3")
@BOTH
async def test_only_the_creator_publishes_and_reads(server, namespace):
    """§7: `agent`: subscribe "the creator, or a grant", publish "the creator" [K6]"""
    client, name = await run(server, namespace)
    stranger, anonymous = await user(server), await Client.connect(server)
    for request in (
        publish(name, **delta("x")),
        publish(name, event="complete"),
        {"type": "subscribe", "channel": name},
        {"type": "history", "channel": name},
    ):
        await refused(stranger, request, "forbidden")
        await refused(anonymous, request, "unauthorized", "forbidden")
    tab = await Client.connect(server, mint(client.hello["user"]["id"]))
    await tab.subscribe(name)
    assert (await post(tab, name, **delta("x")))["seq"] == 2
    reader = await staff(server)
    await reader.subscribe(name)
    assert seqs((await history(reader, name))["messages"]) == [1, 2]


@clause("7.agent-creator", "K6")
async def test_the_api_publishes_and_never_becomes_the_creator(server, http):
    """§7: "The HTTP API passes every access rule and never becomes creator" [K6]"""
    name = channel("agent")
    api_publish(http, server, name, **delta("from the back end, "))
    first, second = await user(server), await user(server)
    await post(first, name, **delta("then the user, "))
    await refused(second, publish(name, **delta("x")), "forbidden")
    await first.subscribe(name)
    api_publish(http, server, name, **delta("then the back end"))
    assert "from" not in await next_of(first, name)
    assert state(http, server, name)["text"] == "from the back end, then the user, then the back end"


@clause("7.agent-creator", "K6", "M3")
async def test_a_refused_publish_makes_no_creator(server):
    """§3: a refused request changes nothing [K6]"""
    name, first, second = channel("agent"), await user(server), await user(server)
    await refused(first, publish(name, event="delta", data={"text": 5}), "invalid_event", "invalid_message")
    await refused(first, publish(name, data=1, if_seq=0, event="start"), "invalid_event")
    assert (await post(second, name, event="start"))["seq"] == 1
    await refused(first, publish(name, **delta("x")), "forbidden")


@clause("7.agent-creator", "K6", "M4")
async def test_of_two_who_begin_at_once_one_is_the_creator(server):
    """§7: "the first user to publish to it", whatever the race [K6]"""
    for namespace in ("agent", "memory") * 3:
        name = channel(namespace)
        clients = [await user(server) for _ in range(4)]
        replies = await asyncio.gather(*(c.request(publish(name, **delta("x"))) for c in clients))
        assert sorted(r["type"] for r in replies) == ["error"] * 3 + ["published"]
        assert {r["code"] for r in replies if r["type"] == "error"} == {"forbidden"}


@clause("8.user-token", "K6")
async def test_a_run_is_read_over_http_by_its_creator(server, http):
    """§8: "A user's own token suffices, with that user's rights" [K6]"""
    client, name = await run(server)
    await post(client, name, **delta("x"))
    own, other = mint(client.hello["user"]["id"]), mint(unique("v"))
    assert http(server, "GET", path_of(name, "/snapshot"), key=own).json()["data"]["text"] == "x"
    for path in ("/snapshot", "/history"):
        assert_problem(http(server, "GET", path_of(name, path), key=other), 403, "forbidden")
    body = {"channel": name, "event": "cancel"}
    assert_problem(http(server, "POST", "/api/v1/publish", key=other, json=body), 403, "forbidden")
    reader = mint(unique("w"), **grants("subscribe"))
    assert http(server, "POST", "/api/v1/publish", key=reader, json=body).status_code == 200


# -- readers who come late, go, or are slow


@clause("7.agent-text", "K6", "M7")
@BOTH
async def test_a_reader_who_arrives_late_gets_the_text_so_far_and_then_the_rest(server, namespace):
    """§7: "a reader who arrives late or reconnects gets the text so far and then the rest, and no token twice" """
    client, name = await run(server, namespace)
    words = [f"w{i} " for i in range(120)]
    readers = []
    for i, word in enumerate(words):
        await post(client, name, **delta(word))
        if i % 15 == 7:
            reader = await staff(server)
            mine = Copy("agent").start(await reader.subscribe(name))
            assert mine.state["text"] == "".join(words[: i + 1])
            readers.append((reader, mine))
    end = await post(client, name, event="complete")
    for reader, mine in readers:
        await mine.follow(reader, name, end["seq"])
        assert mine.state == {"status": "complete", "text": "".join(words)}


@clause("7.agent-text", "K6", "M7", "C9")
@pytest.mark.parametrize("namespace", ["agent", "memory", "short"])
async def test_a_reader_who_reconnects_in_the_middle_of_a_sentence_gets_each_token_once(server, namespace):
    """K6: "resume in the middle of a sentence", also where the log is too short (then by snapshot) [K6, C9]"""
    client, name = await run(server, namespace)
    words = [f"{i}," for i in range(600)]
    reader = await staff(server)
    first = Copy("agent").start(await reader.subscribe(name))
    await reader.close()

    async def write():
        for i in range(0, 600, 10):
            await post_all(client, name, [delta(w) for w in words[i : i + 10]])
        await post(client, name, event="complete")

    async def wander(seed: int) -> Copy:
        chance, mine, epoch = random.Random(seed), first, first.epoch
        mine = Copy("agent")
        mine.epoch, mine.seq, mine.state = epoch, first.seq, dict(first.state)
        while mine.state["status"] == "running":
            reader = await staff(server)
            reply = await reader.subscribe(name, since=mine.position)
            if reply["recovered"] is False:
                assert reply["reason"] == "trimmed", reply
                mine = Copy("agent")
            mine.start(reply)
            for _ in range(chance.randint(1, 60)):
                if mine.state["status"] != "running":
                    break
                mine.take(await next_of(reader, name))
            await (reader.reset() if chance.random() < 0.5 else reader.close())
        return mine

    copies = await asyncio.gather(*(wander(s) for s in range(4)), write())
    for mine in copies[:4]:
        assert mine.state == {"status": "complete", "text": "".join(words)}


@clause("7.agent-text", "K6", "P7")
@pytest.mark.slow_clock(90)
@pytest.mark.parametrize("namespace", ["memory", "short"])
async def test_for_a_slow_reader_deltas_are_merged(server, http, namespace):
    """§7: "for a slow reader deltas are merged (`first_seq`, concatenated text)", and the whole is the same; where
    the log is too short a `snapshot` covers it [K6, P7]"""
    client, name = await run(server, namespace)
    raw, subscribed = await sleeper(server, name, **grants("subscribe"))
    mine = Copy("agent").start(subscribed)
    pieces = [f"{i:05} " for i in range(1200)]
    rest = "x" * 8000  # beside the text, and past what the sockets hold
    for i in range(0, 1200, 100):
        events = [{"event": "delta", "data": {"text": p, "debug": rest}} for p in pieces[i : i + 100]]
        await post_all(client, name, events)
    end = await post(client, name, event="complete")
    while mine.seq < end["seq"]:
        frame = await raw.message(timeout_s=15)
        assert frame.opcode != CLOSE, frame
        mine.take(json.loads(frame.payload))
    assert mine.state["text"] == "".join(pieces)
    assert len(mine.taken) < 1201, "nothing was merged"
    assert state(http, server, name)["text"] == "".join(pieces)


@clause("7.agent", "K6", "M7")
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_snapshot_and_the_later_messages_are_a_fresh_snapshot(server, seed):
    """Issue 3: the property for every kind, with random events; and the log folds to the snapshot [M7, K6]"""
    chance = random.Random(seed)
    client, name = await run(server)
    copies, calls = [], 0
    for _ in range(100):
        fields = chance.choice([
            delta(chance.choice(["a ", "ü", ""])), delta("b"), {"event": "status", "data": {"n": 1}},
            {"event": "tool_call", "data": {"id": f"t{calls}", "name": "n"}},
            {"event": "custom", "data": {"text": "no"}},
        ])  # fmt: skip
        if fields["event"] == "tool_call":
            calls += 1
            await post(client, name, **fields)
            fields = {"event": "tool_result", "data": {"id": f"t{calls - 1}", "result": 1}}
        await post(client, name, **fields)
        if chance.random() < 0.1:
            reader = await staff(server)
            copies.append((reader, Copy("agent").start(await reader.subscribe(name))))
    reader = await staff(server)
    fresh = Copy("agent").start(await reader.subscribe(name))
    assert fresh.state == folded("agent", (await history(reader, name, after=0, limit=1000))["messages"])
    for other, mine in copies:
        await mine.follow(other, name, fresh.seq)
        assert mine.state == fresh.state


# -- orphans


@clause("7.agent-orphan", "K6", "C5")
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_run_whose_creator_is_gone_fails_as_orphaned(server, http, how):
    """§7: "A run whose creator has no connection left and that has been silent for `idle_timeout` (60 s) is ended
    by the server: `fail` with `{"reason":"orphaned"}`" (300 ms here) [K6, C5]"""
    client, name = await run(server, "quick")
    await post(client, name, **delta("half a sen"))
    reader = await staff(server)
    await reader.subscribe(name)
    await (client.close() if how == "close" else client.reset())
    message = await next_of(reader, name)
    assert (message["event"], message["data"], message["seq"]) == ("fail", {"reason": "orphaned"}, 3)
    assert "from" not in message
    data = state(http, server, name)
    assert (data["status"], data["text"]) == ("failed", "half a sen") and data["ended_at"] is not None
    again = await Client.connect(server, mint(client.hello["user"]["id"]))
    await refused(again, publish(name, **delta("late")), "invalid_event")


@clause("7.agent-orphan", "K6")
async def test_a_readers_leaving_never_cancels_a_run(server, http):
    """§7: "A reader's leaving never cancels a run"; nor is one whose creator is there ended for silence [K6]"""
    client, name = await run(server, "quick")
    readers = [await staff(server) for _ in range(3)]
    for reader in readers:
        await reader.subscribe(name)
    await readers[0].close()
    await readers[1].reset()
    gone, other = await run(server, "quick")
    await readers[2].subscribe(other)
    await gone.close()
    assert (await next_of(readers[2], other))["data"] == {"reason": "orphaned"}  # the time is up
    await readers[2].close()
    assert state(http, server, name)["status"] == "running"
    assert (await post(client, name, **delta("still here")))["seq"] == 2


@clause("7.agent-orphan", "K6")
async def test_a_run_that_is_not_silent_goes_on_without_its_creator(server, http):
    """§7: "and that has been silent for `idle_timeout`": the API's events keep it alive [K6]"""
    client, name = await run(server, "patient")
    reader = await staff(server)
    await reader.subscribe(name)
    gone, clock = await run(server, "patient")
    await reader.subscribe(clock)
    await client.close()
    await gone.close()
    ended = asyncio.create_task(next_of(reader, clock))
    beats = 0
    while not ended.done():  # the other run's end shows that the time is up
        api_publish(http, server, name, **delta("."))
        beats += 1
        await asyncio.wait({ended}, timeout=0.05)
    assert ended.result()["data"] == {"reason": "orphaned"}
    api_publish(http, server, name, **delta("."))
    assert state(http, server, name)["text"] == "." * (beats + 1)


@clause("7.agent-orphan", "K6", "C9")
async def test_a_creator_who_comes_back_in_time_keeps_its_run(server, http):
    """§7: orphaned is a run "whose creator has no connection left": a reload leaves none of it [K6, C9]"""
    client, name = await run(server, "patient")
    reader = await staff(server)
    await reader.subscribe(name)
    await client.reset()
    again = await Client.connect(server, mint(client.hello["user"]["id"]))
    gone, clock = await run(server, "patient")
    await reader.subscribe(clock)
    await gone.close()
    assert (await next_of(reader, clock))["data"] == {"reason": "orphaned"}  # the time is up
    assert state(http, server, name)["status"] == "running"
    assert (await post(again, name, **delta("back")))["seq"] == 2


# -- over a crash


@clause("5.durable", "M6", "K6")
async def test_a_run_survives_kill_9_with_text_and_creator(start, http, tmp_path):
    """§7: `agent` is on disk; guarantee 3 [M6, K6]"""
    home = Home(start, tmp_path)
    client, name = await run(home.server)
    replies = await post_all(client, name, [delta(f"{i} ") for i in range(100)])
    await post(client, name, event="tool_call", data={"id": "t", "name": "search"})
    before = api_snapshot(http, home.server, name)
    server = home.crash()
    assert api_snapshot(http, server, name) == before
    await refused(await user(server), publish(name, **delta("x")), "forbidden")
    again = await Client.connect(server, mint(client.hello["user"]["id"]))
    assert (await post(again, name, **delta("end")))["seq"] == 103
    reader = await staff(server)
    reply = await reader.subscribe(name, since={"epoch": replies[0]["epoch"], "seq": 51})
    assert reply["recovered"] is True and "snapshot" not in reply
    assert seqs(reply["messages"]) == list(range(52, 104))
    assert state(http, server, name)["text"] == "".join(f"{i} " for i in range(100)) + "end"


@clause("7.agent-orphan", "K6", "M6")
async def test_a_run_whose_creator_does_not_come_back_after_a_crash_is_orphaned(start, http, tmp_path):
    """§7: "A run whose creator has no connection left and that has been silent": the crash ended it [K6, M6]"""
    home = Home(start, tmp_path, SERVER["settings"])
    client, name = await run(home.server, "quick")
    epoch = (await post(client, name, **delta("half")))["epoch"]
    server = home.crash()
    reader = await staff(server)
    reply = await reader.subscribe(name, since={"epoch": epoch, "seq": 2})
    assert reply["recovered"] is True
    message = reply["messages"][0] if reply["messages"] else await next_of(reader, name)
    assert (message["event"], message["data"]) == ("fail", {"reason": "orphaned"})
    assert (state(http, server, name)["status"], state(http, server, name)["text"]) == ("failed", "half")
