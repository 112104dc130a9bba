"""The kinds of channel against the real binary."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tidewire import AsyncPublisher, ConflictError, ForbiddenError, Grant, Message, RefusedError, TidewireError

from ..support.proxy import Proxy
from ..support.server import KEY, Server
from .test_client import closing, come_back_at_once, name, open_client, until

READ_DASHBOARD, WRITE_DASHBOARD = Grant("dashboard:*"), Grant("dashboard:*", ("subscribe", "publish"))


async def test_a_document_is_the_same_for_all_whoever_edits_it_and_however(server: Server) -> None:
    async with open_client(server, "ann") as ann, open_client(server, "bob") as bob:
        mine = ann.open_document(name("doc"))
        theirs = bob.open_document(mine.name)
        await asyncio.gather(mine.subscribe(), theirs.subscribe())
        assert mine.loaded and mine.value is None
        await mine.set({"title": "Trip", "steps": ["pack"]})
        await theirs.merge({"owner": {"name": "Bob"}})
        await mine.patch(
            [{"op": "add", "path": "/steps/-", "value": "go"}, {"op": "test", "path": "/owner/name", "value": "Bob"}]
        )
        await theirs.merge({"owner": None})
        await until(lambda: mine.seq == 4 and theirs.seq == 4)
        assert mine.value == theirs.value == {"title": "Trip", "steps": ["pack", "go"]}


async def test_a_document_rolls_back_what_conflicts_and_what_does_not_apply(server: Server) -> None:
    async with open_client(server, "ann") as ann, open_client(server, "bob") as bob:
        mine = ann.open_document(name("doc"))
        await mine.subscribe()
        await mine.set({"n": 1})
        await bob.open_document(mine.name).merge({"by": "bob"})
        edit = asyncio.ensure_future(mine.merge({"n": 2}, if_seq=1))
        await asyncio.sleep(0)
        assert mine.value["n"] == 2
        with pytest.raises(ConflictError) as conflict:
            await edit
        assert conflict.value.seq == 2
        await until(lambda: mine.seq == 2)
        assert mine.value == {"n": 1, "by": "bob"}
        with pytest.raises(RefusedError) as refused:
            await mine.patch([{"op": "remove", "path": "/nothing"}])
        assert refused.value.code == "invalid_event"
        assert mine.value == {"n": 1, "by": "bob"}


async def test_a_document_counts_right_when_many_count_at_once(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        clients = [open_client(server, user, proxy.url) for user in "abc"]
        async with closing(*clients):
            channel = name("doc")
            counters = [client.open_document(channel) for client in clients]
            for client in clients:
                come_back_at_once(client)

            async def count(counter: Any) -> None:
                for _ in range(10):
                    await counter.update(lambda old: {"n": ((old or {}).get("n") or 0) + 1}, attempts=1000)

            work = asyncio.gather(*map(count, counters))
            await asyncio.sleep(0.02)
            proxy.cut()
            await work
            await until(lambda: all(counter.value == {"n": 30} for counter in counters))


async def test_a_document_stays_right_over_cuts_snapshots_and_conflation(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        ann, bob = open_client(server, "ann", "", WRITE_DASHBOARD), open_client(server, "bob", proxy.url, READ_DASHBOARD)
        async with closing(ann, bob):
            come_back_at_once(bob)
            writer = ann.open_document(name("dashboard"))
            reader = bob.open_document(writer.name)
            await reader.subscribe()
            for start in range(0, 200, 40):
                await asyncio.gather(*(writer.merge({f"k{i % 7}": i}) for i in range(start, start + 40)))
                await writer.merge({"at": start})
                proxy.cut()
            await until(lambda: reader.value and reader.value.get("at") == 160)
            assert reader.value == {"k0": 196, "k1": 197, "k2": 198, "k3": 199, "k4": 193, "k5": 194, "k6": 195, "at": 160}


async def test_an_inbox_holds_what_came_meanwhile_and_is_in_step_on_all_devices(server: Server) -> None:
    async with Proxy.to(server.port) as proxy, AsyncPublisher(server.url, KEY) as publisher:
        user = name("u").replace(":", "-")
        await publisher.notify(user, "low", priority="low")
        await publisher.notify(user, "first")
        await publisher.notify(user, "urgent", priority="critical")
        phone, laptop = open_client(server, user), open_client(server, user, proxy.url)
        async with closing(phone, laptop):
            await asyncio.gather(phone.connect(), laptop.connect())
            here, there = phone.open_inbox(), laptop.open_inbox()
            given: list[str] = []
            here.on(Message, lambda message: given.append(message.data))
            await asyncio.gather(here.subscribe(), there.subscribe())
            assert [entry.data for entry in here.entries] == ["urgent", "first", "low"]
            assert here.counts == {"critical": 1, "high": 0, "medium": 1, "low": 1}
            await here.ack(here.entries[0])
            await until(lambda: len(there.entries) == 2)
            proxy.cut()
            await here.ack_all()
            assert (await publisher.notify(user, "new")).online is not None
            await until(lambda: [one.data for one in there.entries] == ["new"] and len(here.entries) == 1)
            assert given == ["urgent", "first", "low", "new"]


async def test_an_inbox_is_not_anothers(server: Server) -> None:
    async with open_client(server, "bob") as client:
        with pytest.raises(ForbiddenError):
            await client.open_inbox("ann").subscribe()


async def test_a_session_has_members_who_write_read_type_and_leave(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        ann, bob = open_client(server, "ann"), open_client(server, "bob", proxy.url)
        async with closing(ann, bob):
            come_back_at_once(bob)
            mine = ann.open_session(name("session"), history=50)
            theirs = bob.open_session(mine.name, history=50)
            await mine.join()
            await mine.subscribe()
            await mine.join("bob")
            await mine.publish({"text": "hi"})
            await theirs.subscribe()
            assert [(one.user, one.role) for one in theirs.members] == [("ann", "owner"), ("bob", "member")]
            assert theirs.own is not None and theirs.own.unread == 1
            messages = mine.events(Message)
            theirs.typing()
            typing = await anext(messages)
            assert typing.event == "typing" and typing.sender is not None and typing.sender.user is not None
            assert typing.sender.user.id == "bob"
            proxy.cut()
            await mine.publish({"text": "there?"})
            await until(lambda: theirs.own is not None and theirs.own.unread == 2)
            await theirs.read()
            await until(lambda: mine.members[1].unread == 0 and theirs.own is not None and theirs.own.unread == 0)
            with pytest.raises(ForbiddenError):
                await theirs.edit(3, {"text": "forged"})
            await mine.edit(3, {"text": "hello"})
            await mine.remove(3)
            await theirs.leave()
            await until(lambda: len(mine.members) == 1)
            await until(lambda: theirs.state.name == "failed")


async def test_an_upload_shows_its_progress_and_the_servers_figures_are_the_clients(server: Server) -> None:
    async with Proxy.to(server.port) as proxy, AsyncPublisher(server.url, KEY) as publisher:
        ann, bob = open_client(server, "ann"), open_client(server, "bob", proxy.url, Grant("upload:*"))
        async with closing(ann, bob):
            come_back_at_once(bob)
            upload = ann.open_upload(name("upload"))
            watched = bob.open_upload(upload.name)
            await watched.subscribe()
            for done in range(501):
                upload.progress(done, 1000)
            await upload.progress(600, 1000)
            await until(lambda: watched.value.bytes == 600)
            assert (watched.value.status, watched.value.total, watched.value.percent) == ("active", 1000, 60)
            proxy.cut()
            await upload.progress(700)
            await upload.complete()
            await until(lambda: watched.ended)
            told = (await publisher.snapshot(upload.name)).data
            own = watched.value
            assert (own.status, own.bytes, own.total, own.percent) == tuple(
                told[field] for field in ("status", "bytes", "total", "percent")
            )
            with pytest.raises(RefusedError):
                await upload.progress(800)


async def test_an_agents_run_streams_its_text_over_cuts_no_token_twice_and_none_missing(server: Server) -> None:
    async with Proxy.to(server.port) as proxy:
        ann, bob = open_client(server, "ann"), open_client(server, "bob", proxy.url, Grant("agent:*"))
        carol = open_client(server, "carol", "", Grant("agent:*"))
        async with closing(ann, bob, carol):
            come_back_at_once(bob)
            run = ann.open_agent_run(name("agent"))
            early, late = bob.open_agent_run(run.name), carol.open_agent_run(run.name)
            await early.subscribe()
            await run.start({"model": "m"})
            await run.tool_call({"id": "t1", "name": "search"})
            text = ""
            for i in range(200):
                text += (token := f"{i} é😀 ")
                sent = run.delta(token)
                if i % 20 == 19:
                    await sent
                if i % 50 == 49:
                    proxy.cut()
            await run.tool_result({"id": "t1", "result": {"hits": 3}})
            await late.subscribe()
            await run.complete({"usage": {"tokens": 200}})
            await until(lambda: early.ended and late.ended)
            assert early.value == late.value
            assert early.value.text == text
            assert early.value.tools == ({"id": "t1", "name": "search", "result": {"hits": 3}},)
            assert (early.value.status, early.value.usage) == ("complete", {"tokens": 200})


async def test_an_agents_run_is_cancelled_by_who_reads_it(server: Server) -> None:
    async with open_client(server, "ann") as ann, open_client(server, "bob", "", Grant("agent:*")) as bob:
        run = ann.open_agent_run(name("agent"))
        await run.start()
        await run.subscribe()
        await bob.open_agent_run(run.name).cancel({"reason": "enough"})
        await until(lambda: run.ended)
        assert (run.value.status, run.value.reason) == ("cancelled", "enough")
        with pytest.raises(RefusedError):
            await run.delta("more")


async def test_a_run_that_was_opened_before_it_began_is_followed_once_it_has(server: Server) -> None:
    async with open_client(server, "ann") as client:
        run = client.open_agent_run(name("agent"))
        with pytest.raises(TidewireError) as refused:
            await run.subscribe()
        assert refused.value.code == "forbidden"
        run.delta("Hello")
        await until(lambda: run.value.text == "Hello")
