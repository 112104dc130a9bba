"""The kinds of channel, on a fake server and a virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidewire import AgentRun, Change, Document, Inbox, Message, RefusedError, SessionChannel, Tidewire, TidewireError, Upload

from ..support.fake_server import FakeServer, begin, record, turn


class World:
    """A client with one channel that is subscribed."""

    def __init__(self, server: FakeServer, client: Tidewire, kind: str) -> None:
        self.server = server
        self.client = client
        self.kind = kind
        self.name = ""

    @classmethod
    async def make(cls, kind: str, **hello: Any) -> World:
        server = FakeServer()
        return cls(server, await server.connected(hello), kind)

    async def subscribe(self, channel: Any, seq: int, data: Any, **fields: Any) -> None:
        self.name = channel.name
        subscribing = begin(channel.subscribe())
        await turn()
        self.server.socket.subscribed(kind=self.kind, seq=seq, snapshot={"seq": seq, "data": data}, **fields)
        await subscribing

    async def document(self, value: Any = None, seq: int = 1) -> Document:
        document = self.client.open_document("doc:1")
        await self.subscribe(document, seq, value)
        return document

    def says(self, seq: int, **fields: Any) -> None:
        self.server.socket.say({"type": "message", "channel": self.name, "seq": seq, "timestamp": 1000 * seq, **fields})

    async def resumed(self, seq: int, **fields: Any) -> None:
        self.server.socket.cut()
        await self.server.again()
        self.server.socket.subscribed(kind=self.kind, seq=seq, **fields)


ME = {"user": {"id": 1, "type": "user"}, "connection": "c-1"}


async def test_a_document_has_no_value_before_it_is_there_and_none_when_it_is_empty() -> None:
    world = await World.make("document")
    document = world.client.open_document("doc:1")
    assert not document.loaded
    await world.subscribe(document, 0, None)
    assert document.loaded and document.value is None and document.seq == 0
    await world.client.close()


async def test_a_document_follows_the_edits_of_others_and_conflated_ones() -> None:
    world = await World.make("document")
    document = await world.document({"a": 1})
    changes = record(document, Change)
    world.says(2, merge={"b": 2})
    world.says(3, patch=[{"op": "remove", "path": "/a"}])
    world.says(7, merge={"c": 3}, first_seq=4)
    assert (document.value, document.seq, len(changes)) == ({"b": 2, "c": 3}, 7, 3)
    world.says(9, data=[1], first_seq=8)
    assert document.value == document.confirmed == [1]
    await world.client.close()


@pytest.mark.parametrize("echo_first", [True, False])
async def test_an_edit_shows_at_once_and_is_confirmed_by_its_delivery_whichever_comes_first(echo_first: bool) -> None:
    world = await World.make("document")
    document = await world.document({"n": 1})
    editing = begin(document.merge({"n": 2}))
    await turn()
    assert (document.value, document.confirmed) == ({"n": 2}, {"n": 1})
    for step in ("echo", "answer") if echo_first else ("answer", "echo"):
        if step == "echo":
            world.says(2, merge={"n": 2}, **{"from": ME})
        else:
            world.server.socket.published(2)
        await turn()
    await editing
    assert document.value == document.confirmed == {"n": 2} and not document._edits
    await world.client.close()


async def test_an_edit_stays_on_top_of_what_others_do_meanwhile() -> None:
    world = await World.make("document")
    document = await world.document({"n": 1})
    begin(document.merge({"n": 2}))
    await turn()
    world.says(2, merge={"n": 9, "m": 9}, **{"from": {"user": {"id": 2}}})
    assert document.value == {"n": 2, "m": 9}
    await world.client.close()


async def test_an_edit_that_is_refused_is_taken_back_alone() -> None:
    world = await World.make("document")
    document = await world.document({"n": 1})
    first, second = begin(document.merge({"n": 2}, if_seq=5)), begin(document.merge({"m": 1}))
    await turn()
    assert world.server.socket.last("publish")["if_seq"] == 5
    world.server.socket.refuse("publish", "conflict", seq=7)
    with pytest.raises(TidewireError) as conflict:
        await first
    assert conflict.value.seq == 7 and document.value == {"n": 1, "m": 1}
    await turn()
    world.server.socket.published(2)
    await second
    await world.client.close()


async def test_an_edit_survives_a_reconnect_without_being_counted_twice() -> None:
    world = await World.make("document")
    document = await world.document({"list": []})
    editing = begin(document.patch([{"op": "add", "path": "/list/-", "value": 1}]))
    await turn()
    change = world.server.socket.last("publish")["patch"]
    await world.resumed(2, recovered=True, messages=[{"seq": 2, "timestamp": 1, "patch": change, "from": ME}])
    assert document.value == {"list": [1]}
    await turn()
    world.server.socket.published(2, duplicate=True)
    assert (await editing).duplicate
    assert document.value == {"list": [1]}
    await world.client.close()


async def test_an_edit_is_what_it_was_when_the_call_was_made_and_one_that_can_t_be_shows_nothing() -> None:
    world = await World.make("document")
    document = await world.document({"n": 1})
    value = {"n": 2}
    editing = begin(document.set(value))
    await turn()
    value["n"] = 3
    assert document.value == {"n": 2}
    for wrong in (document.set(object()), document.patch({"op": "add"}), document.merge({}, if_seq=-1)):  # type: ignore[arg-type]
        with pytest.raises(RefusedError):
            await wrong
    assert document.value == {"n": 2}
    editing.cancel()
    await turn()
    assert document.value == {"n": 1}
    await world.client.close()


async def test_an_edit_of_a_document_that_is_not_followed_is_forgotten_once_it_is_answered() -> None:
    world = await World.make("document")
    document = world.client.open_document("doc:1")
    editing = begin(document.set(1))
    await turn()
    world.server.socket.published(1)
    await editing
    assert not document._edits
    await world.client.close()


async def test_update_reads_changes_and_writes_again_where_somebody_was_faster() -> None:
    world = await World.make("document")
    document = await world.document({"n": 1})
    updating = begin(document.update(lambda old: {"n": old["n"] + 1}))
    await turn()
    world.server.socket.refuse("publish", "conflict", seq=2)
    await turn()
    assert len(world.server.socket.all("publish")) == 1
    world.says(2, data={"n": 10})
    await turn()
    request = world.server.socket.last("publish")
    assert (request["data"], request["if_seq"]) == ({"n": 11}, 2)
    world.server.socket.published(3)
    assert (await updating).seq == 3
    await world.client.close()


async def test_update_gives_up_after_so_many_attempts_and_does_not_wait_for_ever() -> None:
    world = await World.make("document")
    document = await world.document({"n": 1})
    updating = begin(document.update(lambda old: old, attempts=2))
    for seq in (2, 3):
        await turn()
        world.server.socket.refuse("publish", "conflict", seq=seq)
        world.says(seq, data={"n": seq})
    with pytest.raises(TidewireError, match="conflict"):
        await updating
    for end in ("time", "unsubscribe", "close"):
        waiting = begin(document.update(lambda old: old))
        await turn()
        if document.state.name == "subscribing":
            world.server.socket.subscribed(kind="document", seq=3, snapshot={"seq": 3, "data": {}})
            await turn()
        world.server.socket.refuse("publish", "conflict", seq=99)
        await turn()
        if end == "unsubscribe":
            begin(document.unsubscribe())
        elif end == "close":
            await world.client.close()
        with pytest.raises(TidewireError) as ended:
            await waiting
        assert ended.value.code == {"time": "timeout", "unsubscribe": "unsubscribed", "close": "closed"}[end]


@pytest.mark.parametrize(
    "message",
    [
        {"seq": 2, "patch": [{"op": "remove", "path": "/nothing"}]},
        {"seq": 2, "patch": 7},
        {"seq": 3, "merge": {"x": 1}},
        {"seq": 2, "first_seq": 1, "merge": {}},
    ],
    ids=str,
)
async def test_a_document_that_can_t_be_right_is_fetched_anew(message: dict[str, Any]) -> None:
    world = await World.make("document")
    document = await world.document({"n": 1})
    world.says(**message)
    await turn()
    assert [one["type"] for one in world.server.socket.sent[-2:]] == ["unsubscribe", "subscribe"]
    assert world.server.socket.last("subscribe")["channels"] == [{"channel": "doc:1"}]
    world.server.socket.subscribed(kind="document", seq=3, snapshot={"seq": 3, "data": {"n": 5}})
    assert (document.value, document.seq) == ({"n": 5}, 3)
    await world.client.close()


def entry(seq: int, priority: str | None = None, **fields: Any) -> dict[str, Any]:
    told = {"seq": seq, "timestamp": 1, "data": f"d{seq}", "event": "notify"}
    return {**told, **({"priority": priority} if priority else {}), **fields}


async def inbox_of(world: World, *pending: dict[str, Any], seq: int = 5) -> Inbox:
    inbox = world.client.open_inbox()
    await world.subscribe(inbox, seq, {"pending": list(pending)})
    return inbox


async def test_an_inbox_is_the_channel_of_the_tokens_user() -> None:
    world = await World.make("inbox")
    assert world.client.open_inbox().name == "user:1" and world.client.open_inbox("bob").name == "user:bob"
    with pytest.raises(RefusedError):
        world.client.open_inbox("not a user")
    with pytest.raises(RefusedError, match="connect"):
        FakeServer().client().open_inbox()
    await world.client.close()


async def test_an_inbox_holds_what_waits_the_most_important_first_and_gives_each_out_once() -> None:
    world = await World.make("inbox")
    inbox = world.client.open_inbox()
    given = record(inbox, Message)
    await world.subscribe(inbox, 5, {"pending": [entry(3), entry(4, "critical"), entry(2, "low"), 7, {"seq": "x"}]})
    for seq in (4, 3, 2):
        world.says(**entry(seq))
    world.says(**entry(7, "high"))
    world.says(**entry(6))
    assert [one.seq for one in inbox.entries] == [4, 7, 3, 6, 2]
    assert sorted(one.seq or 0 for one in given) == [2, 3, 4, 6, 7]
    assert inbox.counts == {"critical": 1, "high": 1, "medium": 2, "low": 1}
    world.says(seq=8, event="ack", data={"seqs": [4, 6, "x"]})
    world.says(seq=9, event="ack", data="nonsense")
    assert [one.seq for one in inbox.entries] == [7, 3, 2]
    await world.client.close()


async def test_acks_at_once_and_puts_back_what_the_server_did_not_ack() -> None:
    world = await World.make("inbox")
    inbox = await inbox_of(world, entry(3), entry(4), entry(5))
    acking = begin(inbox.ack(inbox.entries[0], 4))
    await turn()
    request = world.server.socket.last("ack")
    assert request["seqs"] == [3, 4] and [one.seq for one in inbox.entries] == [5]
    world.server.socket.refuse("ack", "unavailable", retry_after_ms=60_000)
    await asyncio.sleep(31)
    with pytest.raises(TidewireError):
        await acking
    assert [one.seq for one in inbox.entries] == [3, 4, 5]
    everything = begin(inbox.ack_all())
    await turn()
    request = world.server.socket.last("ack")
    assert request["up_to"] == 5
    world.server.socket.say(
        {"type": "acked", "id": request["id"], "channel": "user:1", "seq": 6, "seqs": [3, 4, 5], "pending": 0}
    )
    await everything
    assert inbox.entries == () and inbox.position is not None and inbox.position.seq == 6
    await inbox.ack_all()
    await inbox.ack()
    await world.client.close()


@pytest.mark.parametrize("wrong", ["x", 0, -1, 1.5, None, Message("user:1", 1)], ids=str)
async def test_acks_only_what_can_be_acked(wrong: Any) -> None:
    world = await World.make("inbox")
    with pytest.raises(RefusedError):
        await world.client.open_inbox().ack(wrong)
    await world.client.close()


async def test_an_inbox_gives_out_after_a_reconnect_only_what_is_new() -> None:
    world = await World.make("inbox")
    inbox = await inbox_of(world, entry(3))
    given = record(inbox, Message)
    world.server.socket.cut()
    acking = begin(inbox.ack(3))
    await world.server.again()
    pending = {"seq": 9, "data": {"pending": [entry(3), entry(8)]}}
    world.server.socket.subscribed(kind="inbox", seq=9, recovered=False, reason="trimmed", snapshot=pending)
    assert [one.seq for one in inbox.entries] == [8] and [one.seq for one in given] == [8]
    world.server.socket.say({"type": "acked", "id": world.server.socket.last("ack")["id"], "seqs": [3], "seq": 10})
    await acking
    assert [one.seq for one in inbox.entries] == [8]
    await world.client.close()


async def session_of(world: World, *members: Any, seq: int = 5) -> SessionChannel:
    session = world.client.open_session("session:1")
    await world.subscribe(session, seq, {"members": list(members), "last_seq": seq})
    return session


def by(user: Any) -> dict[str, Any]:
    return {"from": {"user": {"id": user, "type": "user"}}}


async def test_a_session_counts_what_others_wrote_as_unread_until_it_is_read_or_deleted() -> None:
    world = await World.make("session")
    session = await session_of(
        world, {"user": "1", "role": "owner", "read": 5}, {"user": 2, "role": "member", "read": 3, "unread": 2}
    )
    world.says(6, data={"text": "a"}, **by(2))
    world.says(7, data={"text": "b"}, event="message", **by(1))
    assert [(one.read, one.unread) for one in session.members] == [(5, 1), (3, 3)]
    world.says(8, event="delete", data={"seq": 6}, **by(2))
    assert session.own is not None and session.own.unread == 0
    world.says(9, event="read", data={"seq": 4}, **by(2))
    assert (session.members[1].read, session.members[1].unread) == (4, 3)
    world.says(10, event="read", data={"seq": 7}, **by(2))
    assert (session.members[1].read, session.members[1].unread, session.last_seq) == (7, 0, 10)
    await world.client.close()


async def test_a_session_follows_who_joins_and_leaves_and_believes_no_nonsense() -> None:
    world = await World.make("session")
    session = await session_of(world, {"user": "ann", "role": "owner", "read": "x", "unread": -5}, 7, {"user": []})
    world.says(6, event="join", data={}, **by("bob"))
    world.says(7, event="join", data={"user": 3}, **by("ann"))
    world.says(8, event="join", data={"user": "3"}, **by("ann"))
    world.says(9, event="leave", data={}, **by("ann"))
    assert [(one.user, one.role) for one in session.members] == [("bob", "owner"), (3, "member")]
    for seq, event in enumerate(("join", "leave", "read", "delete", "edit", "custom"), 10):
        world.says(seq, event=event, data={"seq": [], "user": {}})
    assert len(session.members) == 2 and session.state.name == "subscribed"
    await world.client.close()


async def test_a_session_s_acts_go_out_as_events() -> None:
    world = await World.make("session")
    session = await session_of(world, {"user": 1, "role": "owner", "read": 5})
    acts = [
        session.join(),
        session.join("bob"),
        session.edit(3, {"text": "x"}),
        session.remove(3),
        session.read(),
        session.read(7),
        session.leave("bob"),
        session.leave(),
    ]
    for act in acts:
        doing = begin(act)
        await turn()
        if not doing.done():
            world.server.socket.published(6)
            await doing
    assert [(one["event"], one["data"]) for one in world.server.socket.all("publish")] == [
        ("join", {}),
        ("join", {"user": "bob"}),
        ("edit", {"text": "x", "seq": 3}),
        ("delete", {"seq": 3}),
        ("read", {"seq": 7}),
        ("leave", {"user": "bob"}),
        ("leave", {}),
    ]
    await world.client.close()


async def test_typing_is_shown_now_and_then_whatever_comes_of_it() -> None:
    world = await World.make("session")
    session = await session_of(world)
    for _ in range(10):
        session.typing()
        await asyncio.sleep(0.5)
    sent = world.server.socket.all("publish")
    assert len(sent) == 2 and (sent[0]["event"], sent[0]["ephemeral"], sent[0]["echo"]) == ("typing", True, False)
    world.server.socket.refuse("publish", "forbidden")
    await asyncio.sleep(3)
    world.server.socket.cut()
    session.typing()
    await world.client.close()


async def test_an_upload_begins_with_the_servers_figures_and_goes_on_from_them() -> None:
    world = await World.make("upload")
    upload = world.client.open_upload("upload:1")
    await world.subscribe(
        upload, 1, {"status": "active", "bytes": 100, "total": 1000, "percent": 10, "rate_bps": None, "eta_ms": None}
    )
    world.says(2, event="progress", data={"bytes": 200})
    world.says(3, event="progress", data={"bytes": 999})
    value = upload.value
    assert (value.status, value.bytes, value.percent, value.rate_bps, value.eta_ms) == ("active", 999, 99.9, 799, 1)
    world.says(4, event="complete", data={})
    assert (upload.value.status, upload.value.bytes, upload.value.percent, upload.value.eta_ms, upload.ended) == (
        "complete",
        1000,
        100,
        0,
        True,
    )
    await world.client.close()


async def test_an_upload_fails_for_a_reason_and_believes_no_nonsense() -> None:
    world = await World.make("upload")
    upload = world.client.open_upload("upload:1")
    await world.subscribe(upload, 0, {"bytes": "x", "total": [], "rate_bps": 1e999})
    world.says(1, event="progress", data={"bytes": [], "total": "x"})
    world.says(2, event="custom", data=7)
    world.says(3, event="progress", data={"bytes": 5})
    assert (upload.value.bytes, upload.value.total, upload.value.percent) == (5, None, None)
    world.says(4, event="fail", data={"reason": "orphaned"})
    assert (upload.value.status, upload.value.reason) == ("failed", "orphaned")
    await world.client.close()


async def test_progress_is_sent_as_often_as_the_server_takes_it_the_last_one_always() -> None:
    world = await World.make("upload")
    upload = world.client.open_upload("upload:1")
    for done in range(1, 11):
        upload.progress(done, 100)
    await asyncio.sleep(0.01)
    assert [one["data"] for one in world.server.socket.all("publish")] == [{"bytes": 10, "total": 100}]
    later = [upload.progress(done) for done in (20, 30)]
    await asyncio.sleep(1)
    assert len(world.server.socket.all("publish")) == 1, "one is on its way"
    later[0].cancel()
    world.server.socket.published(1)
    await asyncio.sleep(0.2)
    assert world.server.socket.last("publish")["data"] == {"bytes": 30}
    world.server.socket.refuse("publish", "invalid_event")
    with pytest.raises(TidewireError) as refused:
        await later[1]
    assert refused.value.code == "invalid_event"
    upload.progress(40)
    completing = begin(upload.complete())
    await turn()
    world.server.socket.published(3)
    await turn()
    assert [one["event"] for one in world.server.socket.all("publish")][-2:] == ["progress", "complete"]
    world.server.socket.published(4)
    await completing
    for wrong in ((-1, None), (1.5, None), ("5", None), (5, -1), (5, "10")):
        with pytest.raises(RefusedError):
            upload.progress(*wrong)
    await world.client.close()


async def run_of(world: World, seq: int = 1, **snapshot: Any) -> AgentRun:
    run = world.client.open_agent_run("agent:1")
    await world.subscribe(run, seq, {"status": "running", "text": "Once", "tools": [], "started_at": 5, **snapshot})
    return run


async def test_a_run_begins_with_the_text_so_far_and_has_no_token_twice_over_a_reconnect() -> None:
    world = await World.make("agent")
    run = await run_of(world)
    world.says(2, event="delta", data={"text": " upon"})
    await world.resumed(
        4, recovered=True, messages=[{"seq": seq, "event": "delta", "data": {"text": f" {seq}"}} for seq in (2, 3, 4)]
    )
    world.says(6, event="delta", data={"text": " 5 6"}, first_seq=5)
    assert (run.value.text, run.value.status, run.value.started_at) == ("Once upon 3 4 5 6", "running", 5)
    world.says(8, event="delta", data={"text": " 8"})
    await turn()
    assert world.server.socket.last("subscribe")["channels"] == [{"channel": "agent:1"}], "7 is missing"
    await world.client.close()


async def test_a_run_brings_calls_and_results_of_tools_together_and_ends() -> None:
    world = await World.make("agent")
    run = await run_of(world)
    events: list[tuple[str, Any]] = [
        ("tool_call", {"id": "a"}),
        ("tool_call", "bare"),
        ("tool_result", {"id": "a", "result": 1}),
        ("tool_result", "two"),
        ("tool_result", {"id": "none", "result": 3}),
        ("status", {"step": 2}),
        ("custom", 7),
        ("delta", {"text": 7}),
        ("delta", "x"),
        ("complete", {"usage": {"tokens": 4}}),
    ]
    for seq, (event, data) in enumerate(events, 2):
        world.says(seq, event=event, data=data)
    assert run.value.tools == ({"id": "a", "result": 1}, {"data": "bare", "result": "two"})
    assert (run.value.detail, run.value.status, run.value.usage, run.value.ended_at, run.value.text) == (
        {"step": 2},
        "complete",
        {"tokens": 4},
        11_000,
        "Once",
    )
    await world.client.close()


async def test_a_run_sends_tokens_together_and_everything_else_in_its_place() -> None:
    world = await World.make("agent")
    run = world.client.open_agent_run("agent:1")
    for token in ("Once", " upon", " a", " time"):
        run.delta(token)
    calling = begin(run.tool_call({"id": 1}))
    await turn()
    run.delta(".")
    ending = begin(run.complete())
    for seq in range(1, 5):
        await turn()
        world.server.socket.published(seq)
    await asyncio.gather(calling, ending)
    assert [(one["event"], one["data"]) for one in world.server.socket.all("publish")] == [
        ("delta", {"text": "Once upon a time"}),
        ("tool_call", {"id": 1}),
        ("delta", {"text": "."}),
        ("complete", {}),
    ]
    with pytest.raises(RefusedError):
        run.delta(7)  # type: ignore[arg-type]
    await world.client.close()


async def test_a_run_leaves_room_in_the_rate_limit() -> None:
    world = await World.make("agent", limits={"messages_per_minute": 60, "burst": 5})
    run = world.client.open_agent_run("agent:1")
    for i in range(100):
        run.delta(f"{i} ")
        await asyncio.sleep(0.1)
        if (sent := world.server.socket.all("publish")) and run._deltas._in_flight:
            world.server.socket.published(len(sent))
    assert 4 <= len(world.server.socket.all("publish")) <= 6
    await world.client.close()


async def test_a_run_that_nobody_may_read_yet_is_followed_once_it_has_begun() -> None:
    world = await World.make("agent")
    run = world.client.open_agent_run("agent:1")
    subscribing = begin(run.subscribe())
    await turn()
    world.server.socket.refuse("subscribe", "forbidden", channel="agent:1")
    with pytest.raises(TidewireError):
        await subscribing
    starting = begin(run.start({"model": "m"}))
    await turn()
    world.server.socket.published(1)
    await starting
    await turn()
    assert len(world.server.socket.all("subscribe")) == 2
    for act, event in (
        (run.fail("broken"), "fail"),
        (run.cancel(), "cancel"),
        (run.status("x"), "status"),
        (run.tool_result(1), "tool_result"),
    ):
        doing = begin(act)
        await turn()
        assert world.server.socket.last("publish")["event"] == event
        world.server.socket.published(2)
        await doing
    await world.client.close()


async def test_a_delta_without_a_connection_fails_whoever_waits_and_troubles_nobody_else() -> None:
    world = await World.make("agent")
    run: AgentRun = world.client.open_agent_run("agent:1")
    upload: Upload = world.client.open_upload("upload:1")
    await world.client.close()
    upload.progress(5)
    with pytest.raises(TidewireError, match="closed"):
        await run.delta("x")
