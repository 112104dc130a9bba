"""Protocol §7, kind `document`: data, merge, patch, if_seq, snapshots, bounds; requirements M7, K2, M6."""

from __future__ import annotations

import asyncio
import json
import pathlib
import re

import pytest
from client import Client, channel, eventually, unique
from model import Copy, Home, folded, history, next_of, patched, post, post_all, publish, refused, same, seqs, sleeper
from raw import CLOSE, RawWebSocket
from server import memory_bound_kib
from tokens import mint

clause = pytest.mark.clause


def document(**options) -> dict:
    return {"kind": "document", "durability": "memory"} | options


SERVER = {
    "settings": {
        "limits": {"outbound_bytes": 65536},
        "namespaces": {
            "mem": document(history_messages=10000),
            "tiny": document(history_messages=5),
            "open": document(subscribe="anyone", publish="anyone"),
            "read": document(subscribe="anyone", publish="server"),
        },
    }
}


async def user(server, name: str | None = None, **claims) -> Client:
    return await Client.connect(server, mint(name or unique("u"), **claims))


async def state(server, name: str) -> dict:
    """The snapshot that a newcomer gets."""
    client = await user(server)
    reply = await client.subscribe(name)
    await client.close()
    assert reply["snapshot"]["seq"] == reply["seq"], reply
    return reply["snapshot"]


async def document_with(server, value: object, namespace: str = "doc") -> tuple[Client, str]:
    """A publisher and its document, which is `value` at seq 1."""
    client, name = await user(server), channel(namespace)
    assert (await post(client, name, data=value))["seq"] == 1
    return client, name


async def unchanged(server, name: str, seq: int, value: object) -> None:
    snapshot = await state(server, name)
    assert snapshot["seq"] == seq and same(snapshot["data"], value), snapshot


# -- snapshots on subscribe


@clause("7.document-empty", "M7")
@pytest.mark.parametrize("namespace", ["doc", "mem"])
async def test_an_empty_document_has_the_snapshot_null_at_seq_0(server, namespace):
    """§7: "An empty document's snapshot is `{"seq":0,"data":null}`"; §5: `"kind":K` [M7]"""
    client = await user(server)
    reply = await client.subscribe(channel(namespace))
    assert (reply["kind"], reply["seq"], reply["messages"]) == ("document", 0, [])
    assert reply["snapshot"] == {"seq": 0, "data": None}
    assert "recovered" not in reply


@clause("7.document", "M7", "K2")
@pytest.mark.parametrize("namespace", ["doc", "mem", "tiny"])
async def test_a_newcomer_gets_the_document_and_then_what_changes(server, namespace):
    """§5: "`snapshot` stands where the kind has one"; then increments [M7, K2]"""
    client, name = await document_with(server, {"a": 1}, namespace)
    await post(client, name, merge={"b": 2})
    reader = await user(server)
    reply = await reader.subscribe(name)
    assert reply["snapshot"] == {"seq": 2, "data": {"a": 1, "b": 2}}
    assert (reply["seq"], reply["messages"]) == (2, [])
    await post(client, name, merge={"a": None})
    message = await next_of(reader, name)
    assert (message["type"], message["seq"], message["merge"]) == ("message", 3, {"a": None})


@clause("4.subscribe-snapshot", "M7")
async def test_snapshot_false_leaves_it_out(server):
    """§4: "`snapshot` (false: leave it out)" [M7]"""
    _, name = await document_with(server, {"a": 1})
    reader, other = await user(server), await user(server)
    reply = await reader.subscribe(name, snapshot=False)
    assert "snapshot" not in reply and (reply["seq"], reply["messages"]) == (1, [])
    assert (await other.subscribe(name, snapshot=True))["snapshot"] == {"seq": 1, "data": {"a": 1}}


@clause("5.recovered", "M7")
@pytest.mark.parametrize("namespace", ["doc", "mem"])
@pytest.mark.parametrize("seen", [0, 1, 3, 4])
async def test_a_recovered_document_has_no_snapshot_but_what_was_missed(server, namespace, seen):
    """§5: "`snapshot` stands where the kind has one, except when `recovered` is true" [M7]"""
    client, name = await document_with(server, {"a": [1]}, namespace)
    await post(client, name, merge={"b": {"c": 2}})
    await post(client, name, patch=[{"op": "add", "path": "/a/-", "value": 2}])
    epoch = (await post(client, name, merge={"b": None}))["epoch"]
    reader = await user(server)
    reply = await reader.subscribe(name, since={"epoch": epoch, "seq": seen})
    assert reply["recovered"] is True and "snapshot" not in reply and "reason" not in reply
    assert seqs(reply["messages"]) == list(range(seen + 1, 5))
    entries = (await history(client, name))["messages"]
    assert same(folded("document", entries[:seen] + reply["messages"]), {"a": [1, 2]})


@clause("5.trimmed", "M7")
async def test_a_position_older_than_the_log_gets_the_snapshot(server):
    """§5: "false, with `"reason"` `trimmed` …, and the snapshot … is the new start" [M7]"""
    client, name = await document_with(server, {}, "tiny")
    for i in range(1, 12):
        epoch = (await post(client, name, merge={f"k{i}": i}))["epoch"]
    reader = await user(server)
    reply = await reader.subscribe(name, since={"epoch": epoch, "seq": 3})
    assert (reply["recovered"], reply["reason"]) == (False, "trimmed")
    assert reply["snapshot"] == {"seq": 12, "data": {f"k{i}": i for i in range(1, 12)}}
    assert seqs(reply["messages"]) in ([], [8, 9, 10, 11, 12])
    await post(client, name, merge={"more": 1})
    assert (await next_of(reader, name))["seq"] == 13


@clause("5.trimmed", "M7")
async def test_within_what_the_log_keeps_a_document_is_recovered(server):
    """§5: `recovered` true with what was missed, as long as the log holds it [M7]"""
    client, name = await document_with(server, {}, "tiny")
    for i in range(2, 13):
        epoch = (await post(client, name, merge={"n": i}))["epoch"]
    for seen in (7, 8, 12):
        reader = await user(server)
        reply = await reader.subscribe(name, since={"epoch": epoch, "seq": seen})
        assert reply["recovered"] is True and seqs(reply["messages"]) == list(range(seen + 1, 13))


@clause("5.epoch", "M7")
@pytest.mark.parametrize("since, reason", [(("another", 1), "epoch"), (("another", 0), "epoch"),
                                           (("another", 99), "epoch"), ((None, 3), "ahead"),
                                           ((None, 2**53 - 1), "ahead")])  # fmt: skip
async def test_a_position_of_another_epoch_or_ahead_gets_the_snapshot(server, since, reason):
    """§5: "`epoch` and `ahead`": the snapshot is the new start [M7]"""
    client, name = await document_with(server, {"a": 1})
    epoch = (await post(client, name, merge={"b": 1}))["epoch"]
    reader = await user(server)
    reply = await reader.subscribe(name, since={"epoch": since[0] or epoch, "seq": since[1]})
    assert (reply["recovered"], reply["reason"], reply["epoch"]) == (False, reason, epoch)
    assert reply["snapshot"] == {"seq": 2, "data": {"a": 1, "b": 1}}
    assert seqs(reply["messages"]) in ([], [1, 2])


@clause("4.subscribe-history", "M7")
async def test_history_and_snapshot_come_together(server):
    """§4: "`history` (n: the last n messages …)": an option beside the snapshot [M7]"""
    client, name = await document_with(server, {"a": 1})
    for i in range(5):
        await post(client, name, merge={"a": i})
    reply = await (await user(server)).subscribe(name, history=2)
    assert reply["snapshot"] == {"seq": 6, "data": {"a": 4}}
    assert [(m["seq"], m["merge"]) for m in reply["messages"]] == [(5, {"a": 3}), (6, {"a": 4})]


@clause("4.subscribe-again", "M7")
async def test_subscribing_again_gives_the_present_snapshot_and_no_messages(server):
    """§4: "Subscribing again is no error …: the reply is the present state, with no messages" [M7]"""
    client, name = await document_with(server, {"a": 1})
    reader = await user(server)
    epoch = (await reader.subscribe(name))["epoch"]
    await post(client, name, merge={"a": 2})
    assert (await next_of(reader, name))["seq"] == 2
    for options in ({}, {"since": {"epoch": epoch, "seq": 0}}, {"history": 5}):
        reply = await reader.subscribe(name, **options)
        assert (reply["seq"], reply["messages"]) == (2, [])
        if "since" not in options:
            assert reply["snapshot"] == {"seq": 2, "data": {"a": 2}}
    await post(client, name, merge={"a": 3})
    assert (await next_of(reader, name))["seq"] == 3
    await post(client, name, merge={"a": 4})
    assert (await next_of(reader, name))["seq"] == 4


@clause("4.subscribe-list", "M7", "C9")
async def test_a_list_of_documents_brings_a_snapshot_or_the_rest_for_each(server):
    """§4: "one `subscribed` or `error` per channel, in order" [M7, C9]"""
    a, first = await document_with(server, {"n": 1})
    _, second = await document_with(server, [2])
    epoch = (await post(a, first, merge={"n": 2}))["epoch"]
    reader = await user(server)
    entries = [{"channel": first, "since": {"epoch": epoch, "seq": 1}}, second, "nowhere:x",
               {"channel": second, "snapshot": False}]  # fmt: skip
    await reader.send({"type": "subscribe", "channels": entries, "id": "all"})
    replies = await reader.take(4, id="all")
    assert [r["type"] for r in replies] == ["subscribed", "subscribed", "error", "subscribed"]
    assert replies[0]["recovered"] is True and seqs(replies[0]["messages"]) == [2]
    assert replies[1]["snapshot"] == {"seq": 1, "data": [2]}
    assert "snapshot" not in replies[3]


@clause("5.accept-br", "M8", "M7")
async def test_with_accept_br_a_large_snapshot_is_brotli(server):
    """§5: "a `subscribed`, `snapshot` or `history` of more than 4 KiB comes as a binary message" [M8]"""
    import brotli

    value = {f"key-{i}": "x" * 100 for i in range(100)}
    _, name = await document_with(server, value)
    reader = await Client.connect(server, mint(unique("u")), query="accept=br")
    await reader.send({"type": "subscribe", "channel": name, "id": 1})
    await eventually(lambda: reader.binary, "a binary message")
    reply = json.loads(brotli.decompress(reader.binary[0]))
    assert (reply["type"], reply["id"], reply["snapshot"]["data"]) == ("subscribed", 1, value)


# -- data


VALUES = [{"a": {"b": [1, None]}}, {}, [], [1, [2]], "text", "", 0, 1.5, True, False, None]


@clause("7.document-data", "M7")
@pytest.mark.parametrize("value", VALUES, ids=json.dumps)
async def test_data_replaces_all_with_any_json_value(server, value):
    """§7: "`data` (replaces all)"; §3: "Application payload … (any JSON value)" [M7]"""
    client, name = await document_with(server, {"before": 1, "x": {"y": 2}})
    assert (await post(client, name, data=value))["seq"] == 2
    await unchanged(server, name, 2, value)


@clause("7.document-data", "M1")
async def test_data_is_delivered_byte_for_byte(server):
    """§3: "the server delivers it byte for byte as it came (insignificant whitespace may go …)" [M1]"""
    name = channel("doc")
    client, reader = await user(server), await user(server)
    await reader.subscribe(name)
    data = '{"z":1.0,"a":1e2,"s":"\\u00e9\\/","n":18446744073709551615,"z2":{"q":-0.0}}'
    await client.send(f'{{"type":"publish","id":1,"channel":"{name}","data":{data}}}')
    assert (await client.expect(id=1))["type"] == "published"
    assert (await next_of(reader, name)).text_of("data") == data


# -- merge: the cases of RFC 7396, appendix A


MERGES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    (7, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ({"a": 5}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
    ({"a": 1}, {}, {"a": 1}),
    ({"": 1}, {"": {"": 2}}, {"": {"": 2}}),
]


@clause("7.document-merge", "M7")
@pytest.mark.parametrize("before, change, after", MERGES, ids=lambda v: json.dumps(v)[:40])
async def test_a_merge_is_that_of_rfc_7396(server, before, change, after):
    """§7: "`merge` (RFC 7396)" [M7]"""
    client, name = await document_with(server, before)
    assert (await post(client, name, merge=change))["seq"] == 2
    await unchanged(server, name, 2, after)


@clause("7.document-merge", "M7")
async def test_a_merge_into_an_empty_document_makes_an_object(server):
    """RFC 7396: a target that is no object is taken as an empty one [M7]"""
    client, name = await user(server), channel("doc")
    assert (await post(client, name, merge={"a": 1, "b": None}))["seq"] == 1
    await unchanged(server, name, 1, {"a": 1})


@clause("7.document-merge", "M7")
async def test_a_merge_with_null_replaces_or_is_no_merge(server):
    """RFC 7396 makes it null; a server that takes null for "absent" refuses it as no content [M7]"""
    client, name = await document_with(server, {"a": 1})
    reply = await client.request(publish(name, merge=None))
    if reply["type"] == "published":
        await unchanged(server, name, 2, None)
    else:
        assert reply["code"] in ("invalid_message", "invalid_event"), reply
        await unchanged(server, name, 1, {"a": 1})


# -- patch


DOC = {"a": {"b": 1}, "l": [1, 2, 3], "s": "x", "n": None, "t": True, "": 0, "m~n": 8, "p/q": 9}
PATCHES = [
    [{"op": "add", "path": "/new", "value": {"x": []}}],
    [{"op": "add", "path": "/a/b", "value": 2}],
    [{"op": "add", "path": "/l/0", "value": 0}],
    [{"op": "add", "path": "/l/3", "value": 4}],
    [{"op": "add", "path": "/l/-", "value": 4}],
    [{"op": "add", "path": "", "value": [1]}],
    [{"op": "add", "path": "/", "value": 5}],
    [{"op": "remove", "path": "/a/b"}],
    [{"op": "remove", "path": "/l/1"}],
    [{"op": "remove", "path": "/n"}],
    [{"op": "replace", "path": "/l/2", "value": {"z": None}}],
    [{"op": "replace", "path": "/n", "value": 1}],
    [{"op": "replace", "path": "", "value": "all"}],
    [{"op": "replace", "path": "/m~0n", "value": 1}, {"op": "replace", "path": "/p~1q", "value": 2}],
    [{"op": "move", "from": "/a/b", "path": "/b"}],
    [{"op": "move", "from": "/l/0", "path": "/l/2"}],
    [{"op": "move", "from": "/a", "path": "/l/-"}],
    [{"op": "move", "from": "/s", "path": "/s"}],
    [{"op": "copy", "from": "/a", "path": "/c"}, {"op": "replace", "path": "/c/b", "value": 7}],
    [{"op": "copy", "from": "", "path": "/self"}],
    [{"op": "test", "path": "/a", "value": {"b": 1}}, {"op": "test", "path": "/n", "value": None}],
    [{"op": "test", "path": "/a/b", "value": 1.0}],
    [{"op": "test", "path": "/l", "value": [1, 2, 3]}, {"op": "remove", "path": "/l"}],
    [],
    [{"op": "add", "path": "/x", "value": 1, "comment": "unknown members are ignored"}],
]  # fmt: skip


@clause("7.document-patch", "M7")
@pytest.mark.parametrize("change", PATCHES, ids=lambda v: json.dumps(v)[:60])
async def test_a_patch_is_that_of_rfc_6902(server, change):
    """§7: "`patch` (RFC 6902)" [M7]"""
    client, name = await document_with(server, DOC)
    assert (await post(client, name, patch=change))["seq"] == 2
    await unchanged(server, name, 2, patched(DOC, change))


FAILING = [
    [{"op": "remove", "path": "/absent"}],
    [{"op": "replace", "path": "/absent", "value": 1}],
    [{"op": "replace", "path": "/a/absent", "value": 1}],
    [{"op": "add", "path": "/absent/x", "value": 1}],
    [{"op": "add", "path": "/s/x", "value": 1}],
    [{"op": "add", "path": "/n/x", "value": 1}],
    [{"op": "add", "path": "/l/4", "value": 1}],
    [{"op": "add", "path": "/l/01", "value": 1}],
    [{"op": "add", "path": "/l/x", "value": 1}],
    [{"op": "add", "path": "/l/-1", "value": 1}],
    [{"op": "add", "path": "/l/1e0", "value": 1}],
    [{"op": "add", "path": "/l/99999999999999999999999", "value": 1}],
    [{"op": "remove", "path": "/l/3"}],
    [{"op": "remove", "path": "/l/-"}],
    [{"op": "replace", "path": "/l/-", "value": 1}],
    [{"op": "move", "from": "/absent", "path": "/x"}],
    [{"op": "move", "from": "/a", "path": "/a/b"}],
    [{"op": "move", "from": "/a", "path": "/a/c"}],
    [{"op": "copy", "from": "/l/9", "path": "/x"}],
    [{"op": "test", "path": "/a/b", "value": "1"}],
    [{"op": "test", "path": "/t", "value": 1}],
    [{"op": "test", "path": "/absent", "value": None}],
    [{"op": "test", "path": "/l", "value": [3, 2, 1]}],
    [{"op": "test", "path": "/l/-", "value": 3}],
    [{"op": "add", "path": "/x", "value": 1}, {"op": "test", "path": "/x", "value": 2}],
    [{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}],
    [{"op": "replace", "path": "", "value": {}}, {"op": "remove", "path": "/s"}],
    [{"op": "remove", "path": "/l/0"}] * 4,
]


@clause("7.document-patch", "M7", "M3")
@pytest.mark.parametrize("change", FAILING, ids=lambda v: json.dumps(v)[:60])
async def test_a_patch_that_does_not_apply_changes_nothing(server, change):
    """§7: "A patch that does not apply: `invalid_event`, nothing changes": not even its first half [M7]"""
    client, name = await document_with(server, DOC)
    reader = await user(server)
    await reader.subscribe(name)
    await refused(client, publish(name, patch=change), "invalid_event")
    await unchanged(server, name, 1, DOC)
    assert (await post(client, name, merge={"fence": 1}))["seq"] == 2
    assert (await next_of(reader, name))["seq"] == 2


@clause("7.document-patch", "M7")
async def test_a_patch_into_an_empty_document_needs_its_parent(server):
    """RFC 6902: `add` needs the object that holds the place; null is none; the root may be added [M7]"""
    client, name = await user(server), channel("doc")
    await refused(client, publish(name, patch=[{"op": "add", "path": "/a", "value": 1}]), "invalid_event")
    await post(client, name, patch=[{"op": "test", "path": "", "value": None},
                                    {"op": "add", "path": "", "value": {"a": 1}}])  # fmt: skip
    await unchanged(server, name, 1, {"a": 1})


MALFORMED = [
    {}, "x", 5, True, [5], ["x"], [[]], [{}],
    [{"path": "/a"}],
    [{"op": "add", "path": "/x"}],
    [{"op": "test", "path": "/a"}],
    [{"op": "replace", "path": "/a"}],
    [{"op": "remove"}],
    [{"op": "move", "path": "/x"}],
    [{"op": "copy", "path": "/x"}],
    [{"op": "frobnicate", "path": "/a"}],
    [{"op": "ADD", "path": "/x", "value": 1}],
    [{"op": 1, "path": "/a"}],
    [{"op": "add", "path": 1, "value": 1}],
    [{"op": "add", "path": None, "value": 1}],
    [{"op": "add", "path": "x", "value": 1}],
    [{"op": "add", "path": "a/b", "value": 1}],
    [{"op": "add", "path": "/x~2", "value": 1}],
    [{"op": "add", "path": "/x~", "value": 1}],
    [{"op": "copy", "from": 5, "path": "/x"}],
    [{"op": "copy", "from": "a", "path": "/x"}],
    [{"op": "add", "path": "/good", "value": 1}, {"op": "frobnicate", "path": "/a"}],
]  # fmt: skip


@clause("7.document-patch", "M3")
@pytest.mark.parametrize("change", MALFORMED, ids=lambda v: json.dumps(v)[:60])
async def test_what_is_no_patch_is_refused_and_changes_nothing(server, change):
    """§6: a wrong type is `invalid_message`, what the kind refuses `invalid_event` [M3]"""
    client, name = await document_with(server, DOC)
    await refused(client, publish(name, patch=change), "invalid_event", "invalid_message")
    await unchanged(server, name, 1, DOC)
    assert (await post(client, name, merge={}))["seq"] == 2


# -- exactly one of data, merge, patch


@clause("4.publish-one-of", "M3")
@pytest.mark.parametrize("fields", [{}, {"data": 1, "merge": {}}, {"data": 1, "patch": []},
                                    {"merge": {}, "patch": []}, {"data": 1, "merge": {}, "patch": []},
                                    {"data": None, "merge": {"a": 2}}],
                         ids=lambda f: "+".join(f) or "none")  # fmt: skip
async def test_a_document_takes_exactly_one_of_data_merge_and_patch(server, fields):
    """§4: "Documents take exactly one of `data`, `merge`, `patch`" [M3]"""
    client, name = await document_with(server, {"a": 1})
    await refused(client, publish(name, **fields), "invalid_event", "invalid_message")
    await unchanged(server, name, 1, {"a": 1})


@clause("5.message", "M7")
async def test_a_delivery_has_merge_or_patch_in_place_of_data(server):
    """§5: "`merge`/`patch` in place of `data`", with `event`, `from`, `timestamp` as for any [M7]"""
    name = channel("doc")
    alice, reader = await user(server, "alice", type="editor"), await user(server)
    await reader.subscribe(name)
    patch = [{"op": "add", "path": "/b", "value": [1]}]
    await post(alice, name, data={"a": 0})
    await post(alice, name, event="moved", merge={"a": 1}, priority="high")
    await post(alice, name, patch=patch)
    got = [await next_of(reader, name) for _ in range(3)]
    assert [{k for k in ("data", "merge", "patch") if k in m} for m in got] == [
        {"data"},
        {"merge"},
        {"patch"},
    ]
    assert (got[1]["merge"], got[2]["patch"]) == ({"a": 1}, patch)
    assert (got[1]["event"], got[1]["priority"]) == ("moved", "high")
    for message in got:
        assert message["from"]["user"] == {"id": "alice", "type": "editor"}
        assert message["from"]["connection"] == alice.hello["connection_id"]
        assert isinstance(message["timestamp"], int)
        assert "if_seq" not in message and "first_seq" not in message


@clause("4.history", "M7")
async def test_the_history_of_a_document_folds_to_its_snapshot(server):
    """§1: "a snapshot folded from that log"; §4: entries are messages without `type` and `channel` [M7]"""
    client, name = await document_with(server, {"l": []})
    for i in range(20):
        await post(client, name, **[{"merge": {f"k{i % 3}": i}},
                                    {"patch": [{"op": "add", "path": "/l/0", "value": i}]}][i % 2])  # fmt: skip
    reply = await history(client, name, limit=1000)
    assert seqs(reply["messages"]) == list(range(1, 22))
    await unchanged(server, name, 21, folded("document", reply["messages"]))


@clause("4.publish-ephemeral", "M7")
async def test_an_ephemeral_message_does_not_touch_the_document(server):
    """§4: "`ephemeral` (… no seq, no history …; streams, sessions, agents and documents only)" [M7]"""
    client, name = await document_with(server, {"a": 1})
    reader = await user(server)
    await reader.subscribe(name)
    reply = await post(client, name, event="cursor", data={"x": 5}, ephemeral=True)
    assert reply["ephemeral"] is True and "seq" not in reply
    message = await next_of(reader, name)
    assert "seq" not in message and (message["event"], message["data"]) == ("cursor", {"x": 5})
    await unchanged(server, name, 1, {"a": 1})
    assert seqs((await history(client, name))["messages"]) == [1]


@clause("4.publish-ttl", "M3")
async def test_a_document_knows_no_ttl(server):
    """§4: "`ttl_ms` (…; streams and inboxes only …)"; clarified: `invalid_event` [M3]"""
    client, name = await document_with(server, {"a": 1})
    await refused(client, publish(name, merge={"a": 2}, ttl_ms=5000), "invalid_event")
    await unchanged(server, name, 1, {"a": 1})


# -- if_seq


@clause("4.if_seq", "M7")
async def test_if_seq_lets_only_the_one_who_has_seen_the_latest_write(server):
    """§7: "`if_seq` unequal to the document's seq: `conflict`"; §6: "(with the current `seq`)" [M7]"""
    client, name = await user(server), channel("doc")
    reply = await refused(client, publish(name, data=1, if_seq=1), "conflict")
    assert (reply["seq"], reply["channel"]) == (0, name)
    assert (await post(client, name, data={"n": 1}, if_seq=0))["seq"] == 1
    for stale in (0, 2, 2**53 - 1):
        reply = await refused(client, publish(name, merge={"n": 2}, if_seq=stale), "conflict")
        assert reply["seq"] == 1
    await unchanged(server, name, 1, {"n": 1})
    assert (await post(client, name, merge={"n": 2}, if_seq=1))["seq"] == 2
    change = [{"op": "replace", "path": "/n", "value": 3}]
    assert (await refused(client, publish(name, patch=change, if_seq=1), "conflict"))["seq"] == 2
    assert (await post(client, name, patch=change, if_seq=2))["seq"] == 3
    await unchanged(server, name, 3, {"n": 3})


@clause("4.if_seq", "M7")
async def test_a_conflict_is_seen_by_nobody(server):
    """§4: a refused request changes nothing, and no subscriber hears of it [M7]"""
    client, name = await document_with(server, {"n": 1})
    reader = await user(server)
    await reader.subscribe(name)
    for _ in range(5):
        await refused(client, publish(name, data={}, if_seq=7), "conflict")
    await post(client, name, data="fence")
    message = await next_of(reader, name)
    assert (message["seq"], message["data"]) == (2, "fence")


@clause("4.if_seq", "M3")
@pytest.mark.parametrize("value", [-1, 1.5, "1", True, [], {}, None, 2**64], ids=json.dumps)
async def test_an_if_seq_of_the_wrong_type_is_invalid_message(server, value):
    """§6: "`invalid_message` (… a field of the wrong type)"; clarified: so is a value out of bounds [M3]"""
    client, name = await document_with(server, {"a": 1})
    await refused(client, publish(name, data=2, if_seq=value), "invalid_message")
    await unchanged(server, name, 1, {"a": 1})


@clause("4.if_seq", "M7", "M4")
@pytest.mark.parametrize("namespace", ["doc", "mem"])
async def test_writers_who_compare_and_swap_lose_no_increment(server, namespace):
    """M7: "version conflicts": 6 writers on 6 connections, each counts up 8 times [M7, M4]"""
    first, name = await document_with(server, {"n": 0}, namespace)

    async def count_up():
        client, mine, seq, value = await user(server), 0, 1, 0
        conflicts = 0
        while mine < 8:
            reply = await client.request(publish(name, data={"n": value + 1}, if_seq=seq))
            if reply["type"] == "published":
                mine, seq, value = mine + 1, reply["seq"], value + 1
            else:
                assert reply["code"] == "conflict" and reply["seq"] > seq, reply
                conflicts += 1
                last = (await history(client, name, limit=1))["messages"][0]
                seq, value = last["seq"], last["data"]["n"]
        return conflicts

    await asyncio.gather(*(count_up() for _ in range(6)))
    await unchanged(server, name, 49, {"n": 48})


@clause("4.if_seq", "M7", "M4")
async def test_of_pipelined_writers_on_one_seq_exactly_one_wins(server):
    """§4: requests are carried out in the order sent, also where the first is not on the disk yet [M7]"""
    client, name = await user(server), channel("doc")
    for i in range(20):
        await client.send(publish(name, data=i, if_seq=0) | {"id": i})
    replies = [await client.expect(id=i) for i in range(20)]
    assert [r["type"] for r in replies] == ["published"] + ["error"] * 19
    assert {(r["code"], r["seq"]) for r in replies[1:]} == {("conflict", 1)}
    await unchanged(server, name, 1, 0)


@clause("4.if_seq", "M7")
async def test_a_chain_of_if_seq_can_be_pipelined(server):
    """§4: "A client may send the next request without waiting for a reply" [M7]"""
    client, name = await user(server), channel("doc")
    for i in range(30):
        await client.send(publish(name, merge={"n": i}, if_seq=i) | {"id": i})
    replies = [await client.expect(id=i) for i in range(30)]
    assert [r.get("seq") for r in replies] == list(range(1, 31))
    assert {r["type"] for r in replies} == {"published"}


# -- the order of the checks, and keys


@clause("3.order", "M3")
async def test_access_is_checked_before_if_seq(server):
    """§3: "Checks come in this order: … access, idempotency key, `if_seq`, kind, content" [M3]"""
    client, anonymous = await user(server), await Client.connect(server)
    name = channel("read")
    await refused(client, publish(name, merge={}, if_seq=99), "forbidden")
    await refused(client, publish(name, patch="no patch", if_seq=99), "forbidden", "invalid_message")
    await refused(anonymous, publish(channel("doc"), data=1, if_seq=99), "unauthorized")


@clause("3.order", "M6", "M7")
async def test_a_repeated_key_is_answered_before_if_seq_is_looked_at(server):
    """§3: "a repeated `key` is therefore answered before `if_seq` is looked at" [M6]"""
    client, name = await user(server), channel("doc")
    first = await post(client, name, data={"n": 1}, key="k", if_seq=0)
    await post(client, name, merge={"n": 2})
    for stale in (0, 1, 2, 77):
        again = await post(client, name, data={"n": 1}, key="k", if_seq=stale)
        assert again["duplicate"] is True
        assert (again["seq"], again["epoch"]) == (1, first["epoch"])
    await unchanged(server, name, 2, {"n": 2})


@clause("3.order", "M6")
async def test_a_repeated_key_is_answered_before_the_kind_is_asked(server):
    """§3: "… idempotency key, `if_seq`, kind …": a patch that would no longer apply is a duplicate [M6]"""
    client, name = await document_with(server, {"a": 1})
    change = [{"op": "remove", "path": "/a"}]
    assert (await post(client, name, patch=change, key="once"))["seq"] == 2
    again = await post(client, name, patch=change, key="once")
    assert (again["seq"], again["duplicate"]) == (2, True)
    await unchanged(server, name, 2, {})


@clause("3.order", "M7")
async def test_if_seq_is_checked_before_the_kind(server):
    """§3: "… `if_seq`, kind …": a stale patch that does not apply is a `conflict` [M7]"""
    client, name = await document_with(server, {"a": 1})
    change = [{"op": "remove", "path": "/absent"}]
    await refused(client, publish(name, patch=change, if_seq=0), "conflict")
    await refused(client, publish(name, patch=change, if_seq=1), "invalid_event")


@clause("3.order", "M6")
async def test_a_refused_request_uses_up_no_key(server):
    """§3: "a refused request uses up no key" [M6]"""
    client, name = await document_with(server, {"a": 1})
    await refused(client, publish(name, merge={"a": 2}, key="k", if_seq=9), "conflict")
    bad = [{"op": "test", "path": "/a", "value": 5}]
    await refused(client, publish(name, patch=bad, key="k"), "invalid_event")
    reply = await post(client, name, merge={"a": 2}, key="k", if_seq=1)
    assert reply["seq"] == 2 and not reply.get("duplicate")
    assert (await post(client, name, merge={"a": 2}, key="k"))["duplicate"] is True
    await unchanged(server, name, 2, {"a": 2})


@clause("4.publish-key", "M6")
async def test_a_key_is_the_users_own(server):
    """§4: "a repeat by the same user in the same channel" [M6]"""
    a, name = await user(server), channel("doc")
    b = await user(server)
    assert (await post(a, name, merge={"a": 1}, key="k"))["seq"] == 1
    reply = await post(b, name, merge={"b": 1}, key="k")
    assert reply["seq"] == 2 and not reply.get("duplicate")
    await unchanged(server, name, 2, {"a": 1, "b": 1})


@clause("4.publish-key", "M6", "M7")
async def test_of_pipelined_repeats_one_is_folded(server):
    """§4: "a repeat … appends nothing", also while the first is on its way to the disk [M6]"""
    client, name = await document_with(server, {"l": []})
    change = [{"op": "add", "path": "/l/-", "value": 1}]
    for i in range(20):
        await client.send(publish(name, patch=change, key="k", if_seq=1) | {"id": i})
    replies = [await client.expect(id=i) for i in range(20)]
    assert [(r["type"], r["seq"]) for r in replies] == [("published", 2)] * 20
    assert [bool(r.get("duplicate")) for r in replies] == [False] + [True] * 19
    await unchanged(server, name, 2, {"l": [1]})


# -- numbers and text in the folded document


@clause("7.document-numbers", "M7")
@pytest.mark.parametrize("how", ["data", "merge", "patch"])
async def test_integers_keep_their_value_exactly(server, how):
    """§7: "In a folded document numbers keep their value …: integers from -2^63 to 2^64-1 exactly" [M7]"""
    numbers = [-(2**63), -(2**63) + 1, 2**64 - 1, 2**64 - 2, 2**63, 2**63 - 1, 2**53 + 1, -(2**53) - 1, 0, -1]
    client, name = await document_with(server, {"other": 1})
    value = {"numbers": numbers, "other": 1}
    await post(client, name, **{"data": {"data": value}, "merge": {"merge": {"numbers": numbers}},
                                "patch": {"patch": [{"op": "add", "path": "/numbers", "value": numbers}]}}[how])  # fmt: skip
    assert (await post(client, name, merge={"more": 1}))["seq"] == 3  # an unrelated change keeps them, too
    snapshot = (await state(server, name))["data"]
    assert snapshot["numbers"] == numbers
    assert all(isinstance(n, int) for n in snapshot["numbers"]), snapshot


@clause("7.document-numbers", "M7")
async def test_other_numbers_keep_their_value_as_doubles(server):
    """§7: "others as doubles" [M7]"""
    texts = ["0.1", "1.5e300", "5e-324", "2.2250738585072014e-308", "1.7976931348623157e308", "-0.0", "1.0", "1e2",
             "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890",
             "0.30000000000000004", "3.141592653589793238462643383279", "1E+2", "1e-400"]  # fmt: skip
    client, name = await user(server), channel("doc")
    await client.send(f'{{"type":"publish","id":1,"channel":"{name}","data":[{",".join(texts)}]}}')
    assert (await client.expect(id=1))["type"] == "published"
    snapshot = (await state(server, name))["data"]
    assert [float(n) for n in snapshot] == [float(t) for t in texts]


@clause("7.document-numbers", "M3")
@pytest.mark.parametrize("text", ["1e999", "-1e999", '{"a":[1e309]}', "9" * 400])
async def test_a_number_beyond_doubles_leaves_a_valid_document(server, text):
    """§7 fixes no value for it: it may be refused, but never breaks the snapshot's JSON [M3]"""
    client, name = await document_with(server, {"a": 1})
    await client.send(f'{{"type":"publish","id":1,"channel":"{name}","data":{text}}}')
    reply = await client.expect(id=1)
    assert reply["type"] == "published" or reply["code"] in ("invalid_event", "invalid_message"), reply
    got = await (await user(server)).subscribe(name)
    assert not re.search(r"inf|nan", got.text_of("snapshot"), re.I), got.raw
    json.loads(got.raw, parse_constant=lambda c: pytest.fail(f"{c} in {got.raw}"))
    assert (await post(client, name, data=1))["seq"] in (2, 3)


@clause("7.document", "M7")
async def test_text_of_every_kind_survives_the_fold(server):
    """§7: the snapshot is the document: escapes, NUL, astral and right-to-left text as value [M7]"""
    value = {"\u0000": "\u0000", '"\\/': '\b\f\n\r\t"\\/', "é": "e\u0301", "😀": "\U0001f9d1\u200d🚀", "ا": "\u202eabc",
             "\u2028": "\u2029", "\x7f": "\x1f", "k" * 5000: ""}  # fmt: skip
    client, name = await document_with(server, value)
    await post(client, name, merge={"\u0000": {"~/": 1}})
    await unchanged(server, name, 2, value | {"\u0000": {"~/": 1}})


@clause("7.document", "M3")
@pytest.mark.parametrize("data", [r'"\ud800"', r'{"\udfff":1}', r'{"a":"x\ud83dy"}', r'["\ude00\ud83d"]'])
async def test_a_lone_surrogate_is_refused_or_kept_but_breaks_nothing(server, data):
    """JSON allows the escape, Unicode does not: either way the channel goes on [M3]"""
    client, name = await document_with(server, {"a": 1})
    await client.send(f'{{"type":"publish","id":1,"channel":"{name}","data":{data}}}')
    reply = await client.expect(id=1)
    assert reply["type"] == "published" or reply["code"] in ("invalid_event", "invalid_json"), reply
    snapshot = await state(server, name)
    if reply["type"] == "error":
        assert snapshot == {"seq": 1, "data": {"a": 1}}
    assert (await post(client, name, data={"b": 1}))["seq"] == snapshot["seq"] + 1
    await unchanged(server, name, snapshot["seq"] + 1, {"b": 1})


@clause("3.data", "M3")
async def test_a_doubled_key_inside_a_document_breaks_nothing(server):
    """§3: "inside `data` keys are the application's business": delivered as it came, folded somehow [M3]"""
    client, name = await user(server), channel("doc")
    reader = await user(server)
    await reader.subscribe(name)
    await client.send(f'{{"type":"publish","id":1,"channel":"{name}","data":{{"a":1,"a":2}}}}')
    assert (await client.expect(id=1))["type"] == "published"
    assert (await next_of(reader, name)).text_of("data") == '{"a":1,"a":2}'
    assert (await state(server, name))["data"]["a"] in (1, 2)
    await post(client, name, merge={"a": 3})
    await unchanged(server, name, 2, {"a": 3})


# -- bounds


def high_water_kib(server) -> int:
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)[1])


@clause("7.document-limit", "M3")
async def test_a_document_may_grow_to_1_mib_and_not_over(server):
    """§7: "A document is at most 1 MiB": what would make it larger is refused and changes nothing [M3]"""
    client, name = await document_with(server, {"a": "x" * 500_000})
    assert (await post(client, name, merge={"b": "y" * 500_000}))["seq"] == 2
    for big in ({"merge": {"c": "z" * 60_000}},
                {"patch": [{"op": "copy", "from": "/a", "path": "/c"}]},
                {"patch": [{"op": "add", "path": "/c", "value": "z" * 60_000}]}):  # fmt: skip
        await refused(client, publish(name, **big), "too_large", "invalid_event")
    snapshot = await state(server, name)
    assert snapshot["seq"] == 2 and snapshot["data"].keys() == {"a", "b"}
    await post(client, name, merge={"a": None})
    assert (await post(client, name, merge={"c": "z" * 400_000}))["seq"] == 4


@clause("7.document-limit", "M3", "P4")
async def test_the_limit_counts_what_the_document_is_not_what_was_sent(server):
    """§7: the document, not the message, is at most 1 MiB: nine merges of 120 kB are too many [M3]"""
    client, name = await user(server), channel("doc")
    answers = []
    for i in range(9):
        answers.append((await client.request(publish(name, merge={f"k{i}": "x" * 120_000})))["type"])
    assert answers == ["published"] * 8 + ["error"]
    assert (await state(server, name))["data"].keys() == {f"k{i}" for i in range(8)}


@clause("7.document-limit", "P7", "M3")
async def test_a_patch_that_doubles_the_document_again_and_again_costs_no_memory(start):
    """§7: at most 1 MiB, in every step of a patch: 18 copies of all would make 256 MiB of 1 KiB [P7]"""
    server = start()
    client, name = await document_with(server, {"a": "x" * 1000})
    before = high_water_kib(server)
    bomb = [{"op": "copy", "from": "", "path": f"/{i}"} for i in range(18)]
    await refused(client, publish(name, patch=bomb), "too_large", "invalid_event")
    await unchanged(server, name, 1, {"a": "x" * 1000})
    grown = high_water_kib(server) - before
    assert grown < memory_bound_kib(64 * 1024), f"{grown} KiB for a patch of {len(json.dumps(bomb))} bytes"


@clause("7.document-limit", "P4", "M3")
async def test_nesting_beyond_any_message_is_refused_or_held(start):
    """P4: "deep or huge JSON": patches can nest deeper than `limits.json_depth` lets a message [P4]"""
    server = start()
    client, name = await document_with(server, {})
    value, step, levels, held = {}, 56, 0, True
    for _ in range(step - 1):
        value = {"a": value}
    while held and levels < 30_000:
        patch, size = [], 0
        while size < 800_000 and levels < 30_000:
            patch.append({"op": "add", "path": "/a" * (levels + 1), "value": value})
            size += 2 * levels + 400
            levels += step
        reply = await client.request(publish(name, patch=patch))
        held = reply["type"] == "published"
        assert held or reply["code"] in ("invalid_event", "too_large"), reply
    reader = await RawWebSocket.open(
        server, "/ws?inbox=manual", headers={"Authorization": f"Bearer {mint(unique('u'))}"}
    )
    await reader.text(json.dumps({"type": "subscribe", "channel": name}))
    got = (await reader.message()).payload
    assert b'"subscribed"' in got[:400], got[:400]
    if held:
        assert got.count(b'{"a":') == levels, got[:400]
    seq = (await post(client, name, data={"flat": 1}))["seq"]
    await unchanged(server, name, seq, {"flat": 1})
    assert server.alive()


# -- access and presence


@clause("7.access", "K2", "C3")
async def test_a_dashboard_is_read_by_users_and_written_by_the_server_or_a_grant(server):
    """§7: `dashboard`: subscribe authenticated, publish "server, or a grant" [K2]"""
    name = channel("dashboard")
    grants = [{"channels": "dashboard:*", "do": ["publish"]}]
    reader, writer = await user(server), await user(server, tidewire={"grants": grants})
    anonymous = await Client.connect(server)
    assert (await reader.subscribe(name))["kind"] == "document"
    await refused(reader, publish(name, merge={"a": 1}), "forbidden")
    await refused(anonymous, {"type": "subscribe", "channel": name}, "unauthorized")
    await post(writer, name, merge={"a": 1})
    assert (await next_of(reader, name))["seq"] == 1
    await unchanged(server, name, 1, {"a": 1})


@clause("7.access", "C3")
async def test_an_anonymous_client_reads_and_writes_where_anyone_may(server):
    """§9: `.subscribe`, `.publish`: also for documents [C3]"""
    anonymous, reader = await Client.connect(server), await Client.connect(server)
    name = channel("open")
    await reader.subscribe(name)
    await post(anonymous, name, merge={"a": 1}, if_seq=0)
    assert (await next_of(reader, name))["from"]["user"] is None


@clause("7.presence", "K3")
async def test_presence_is_on_in_doc_and_off_in_dashboard(server):
    """§7: "Presence is on in `default`, `room`, `session` and `doc`"; §4: off is `forbidden` [K3]"""
    client, name = await user(server), channel("doc")
    reply = await client.request({"type": "presence", "channel": name, "action": "enter", "data": 1})
    assert [m["data"] for m in reply["members"]] == [1]
    assert (await (await user(server)).subscribe(name, presence=True))["members"] == reply["members"]
    request = {"type": "presence", "channel": channel("dashboard"), "action": "enter"}
    await refused(client, request, "forbidden")


# -- slow readers


@clause("5.snapshot", "M7", "P7")
@pytest.mark.slow_clock(90)
async def test_a_slow_reader_whose_missed_changes_are_gone_gets_the_document(server):
    """§5: `snapshot`: "the server replaces the client's copy, because what it missed is no longer in the
    log"; a `gap` is for streams [M7, P7]"""
    name, count = channel("tiny"), 1200
    raw, subscribed = await sleeper(server, name)
    mine = Copy("document").start(subscribed)
    publisher = await user(server)
    for first in range(0, count, 100):
        events = [{"merge": {"n": i, f"k{i % 7}": "x" * 20000}} for i in range(first + 1, first + 101)]
        await post_all(publisher, name, events)
    snapshots = 0
    while mine.seq < count:
        frame = await raw.message(timeout_s=15)
        assert frame.opcode != CLOSE, frame
        message = json.loads(frame.payload)
        snapshots += message["type"] == "snapshot"
        mine.take(message)
    assert snapshots >= 1 and len(mine.taken) < count
    assert same(mine.state, (await state(server, name))["data"])
    await post(publisher, name, merge={"live": 1})
    mine.take(json.loads((await raw.message()).payload))
    assert mine.seq == count + 1 and mine.state["live"] == 1


# -- durability


@clause("5.durable", "M6", "M7")
async def test_a_document_survives_kill_9_with_seq_epoch_and_keys(start, tmp_path):
    """§5 guarantee 3: "After `kill -9` … everything acknowledged is there, under the same epoch and seq" """
    home = Home(start, tmp_path)
    token, name = mint(unique("u")), channel("doc")
    client = await Client.connect(home.server, token)
    await post(client, name, data={"l": [], "big": 2**64 - 1})
    for i in range(50):
        reply = await post(client, name, patch=[{"op": "add", "path": "/l/-", "value": i}], key=f"k{i}")
    home.crash()
    client = await Client.connect(home.server, token)
    got = await client.subscribe(name)
    assert (got["epoch"], got["seq"]) == (reply["epoch"], 51)
    assert got["snapshot"] == {"seq": 51, "data": {"l": list(range(50)), "big": 2**64 - 1}}
    again = await post(client, name, patch=[{"op": "add", "path": "/l/-", "value": 9}], key="k9", if_seq=3)
    assert (again["duplicate"], again["seq"], again["epoch"]) == (True, 11, reply["epoch"])
    assert (await refused(client, publish(name, merge={}, if_seq=50), "conflict"))["seq"] == 51
    assert (await post(client, name, merge={"after": 1}, if_seq=51))["seq"] == 52


@clause("5.durable", "M6", "M7")
async def test_a_document_outlives_the_log_that_made_it(start, tmp_path):
    """§1: the snapshot is folded from the log; trimming the log must not lose it, nor a restart [M6, M7]"""
    settings = {"namespaces": {"short": {"kind": "document", "durability": "disk", "history_messages": 3}}}
    home = Home(start, tmp_path, settings)
    client, name = await document_with(home.server, {"first": 1}, "short")
    for i in range(40):
        await post(client, name, merge={f"k{i}": i})
    expected = {"first": 1} | {f"k{i}": i for i in range(40)}
    for _ in range(2):
        await unchanged(home.server, name, 41, expected)
        reply = await history(await user(home.server), name)
        assert reply["last"] == 41 and len(reply["messages"]) <= 41
        home.crash()
    await unchanged(home.server, name, 41, expected)
    client = await user(home.server)
    reply = await client.subscribe(name, since={"epoch": reply["epoch"], "seq": 5})
    assert (reply["recovered"], reply["reason"]) == (False, "trimmed")
    assert same(reply["snapshot"]["data"], expected)
    assert (await post(client, name, merge={"k0": None}, if_seq=41))["seq"] == 42


@clause("5.durable", "M6", "M7")
async def test_a_document_outlives_the_age_of_its_log(start, tmp_path):
    """§9: `.history_ttl` trims the log, never the document [M6, M7]"""
    settings = {"namespaces": {"brief": {"kind": "document", "durability": "disk", "history_ttl": "300ms"}}}
    home = Home(start, tmp_path, settings)
    client, name = await document_with(home.server, {"a": 1}, "brief")
    epoch = (await post(client, name, merge={"b": 2}))["epoch"]

    async def gone():
        return (await history(client, name))["messages"] == []

    await eventually(gone, "the end of the log's entries")
    await unchanged(home.server, name, 2, {"a": 1, "b": 2})
    home.crash()
    client = await user(home.server)
    reply = await client.subscribe(name)
    assert (reply["epoch"], reply["seq"]) == (epoch, 2)
    assert reply["snapshot"] == {"seq": 2, "data": {"a": 1, "b": 2}}
    assert (await post(client, name, merge={"c": 3}, if_seq=2))["seq"] == 3


@clause("1.epoch", "M7")
async def test_a_memory_document_begins_anew_after_a_restart(start, tmp_path):
    """§1: an epoch "changes when a channel's numbering starts anew (a memory-only channel after a restart)" """
    home = Home(start, tmp_path, SERVER["settings"])
    client, name = await document_with(home.server, {"a": 1}, "mem")
    epoch = (await post(client, name, merge={"b": 1}))["epoch"]
    home.restart()
    client = await user(home.server)
    reply = await client.subscribe(name, since={"epoch": epoch, "seq": 2})
    assert (reply["recovered"], reply["reason"]) == (False, "epoch") and reply["epoch"] != epoch
    assert reply["snapshot"] == {"seq": 0, "data": None}
    assert (await post(client, name, data=1, if_seq=0))["seq"] == 1
