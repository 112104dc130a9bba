"""Protocol §7, content policy: what breaks a rule is flagged or refused, by namespace, in decoded strings and
keys; the flags stay with the message. Requirement P4."""

from __future__ import annotations

import pytest
from client import Client, channel, unique
from model import Home
from tokens import mint

clause = pytest.mark.clause

STREAM = {"kind": "stream", "durability": "memory", "history_messages": 100}
SERVER = {
    "settings": {
        "namespaces": {
            "strict": STREAM | {"content_policy": "reject"},
            "free": STREAM | {"content_policy": "off"},
            "kept": STREAM | {"durability": "disk", "content_policy": "flag"},
            "page": {"kind": "document", "durability": "memory", "content_policy": "flag"},
            "stern": {"kind": "document", "durability": "memory", "content_policy": "reject"},
            "board": {"kind": "document", "durability": "memory", "content_policy": "flag", "conflate_ms": 150},
            "run": {"kind": "agent", "durability": "memory", "content_policy": "reject"},
        }
    }
}
ATTACKS = {
    "script_tag": "<script>alert(1)</script>",
    "javascript_uri": "<a href='javascript:alert(1)'>x</a>",
    "iframe": "<iframe src='//e.example'></iframe>",
    "event_handler": "<img src=x onerror=alert(1)>",
    "sql_injection": "' OR 1=1 --",
    "nosql_operator": {"user": {"$ne": None}},
}
INNOCENT = [
    "SELECT * FROM users WHERE id = 1",
    "it's fine, isn't it?",
    "if (a == 'x' || b == 'y') { return; }",
    {"$schema": "x", "price": "$5"},
    "a < b and b > c",
]


async def user(server) -> Client:
    return await Client.connect(server, mint(unique("u")))


@clause("§7 content policy", "P4")
@pytest.mark.parametrize("rule", ATTACKS)
async def test_room_flags_by_default(server, rule):
    reader, writer = await user(server), await user(server)
    name = channel("room")
    await reader.subscribe(name)
    await writer.publish(name, ATTACKS[rule])
    (live,) = await reader.deliveries(name, 1)
    assert live["flags"] == [rule]
    assert live["data"] == ATTACKS[rule]
    page = await reader.request({"type": "history", "channel": name})
    assert page["messages"][0]["flags"] == [rule]
    late = await user(server)
    state = await late.subscribe(name, since={"epoch": page["epoch"], "seq": 0})
    assert state["messages"][0]["flags"] == [rule]


@clause("§7 content policy", "P4")
async def test_innocent_messages_have_no_flags(server):
    reader = await user(server)
    name = channel("room")
    await reader.subscribe(name)
    for text in INNOCENT:
        await reader.publish(name, text)
    for message in await reader.deliveries(name, len(INNOCENT)):
        assert "flags" not in message


@clause("§7 content policy", "P4")
@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (r'"\u003cscript>x"', "script_tag"),
        (r'{"\u003c\u0073cript>":1}', "script_tag"),
        (r'"java\tscript:alert(1)"', "javascript_uri"),
        (r'{"a":{"\u0024ne":null}}', "nosql_operator"),
        (r'"\u0027 OR 1=1 --"', "sql_injection"),
    ],
)
async def test_escapes_hide_nothing(server, data, rule):
    writer = await user(server)
    name = channel("strict")
    await writer.send(f'{{"type":"publish","id":"e","channel":"{name}","data":{data}}}')
    reply = await writer.expect(id="e")
    assert (reply["type"], reply["code"], reply["rule"]) == ("error", "content_rejected", rule)


@clause("§7 content policy", "P4")
@pytest.mark.parametrize("rule", ATTACKS)
async def test_reject_appends_nothing(server, rule):
    writer = await user(server)
    name = channel("strict")
    await writer.subscribe(name)
    refused = await writer.refused({"type": "publish", "channel": name, "data": ATTACKS[rule], "key": "k"}, "content_rejected")
    assert refused["rule"] == rule
    again = await writer.request({"type": "publish", "channel": name, "data": "fine", "key": "k"})
    assert again["seq"] == 1 and "duplicate" not in again, "a refused request uses up no key and no seq"
    ephemeral = await writer.refused(
        {"type": "publish", "channel": name, "data": ATTACKS[rule], "ephemeral": True}, "content_rejected"
    )
    assert ephemeral["rule"] == rule


@clause("§7 content policy", "P4")
async def test_off_looks_at_nothing(server):
    writer = await user(server)
    name = channel("free")
    await writer.subscribe(name)
    for attack in ATTACKS.values():
        await writer.publish(name, attack)
    for message in await writer.deliveries(name, len(ATTACKS)):
        assert "flags" not in message


@clause("§7 content policy", "P4")
async def test_several_rules_and_ephemeral_messages(server):
    writer = await user(server)
    name = channel("room")
    await writer.subscribe(name)
    await writer.publish(name, ["<iframe>", "<script>", "' OR 1=1 --"], ephemeral=True)
    (message,) = await writer.deliveries(name, 1)
    assert message["flags"] == ["script_tag", "iframe", "sql_injection"]
    assert "seq" not in message


@clause("§7 content policy", "P4")
async def test_over_http_it_is_the_same(server, http):
    reader = await user(server)
    name = channel("room")
    await reader.subscribe(name)
    answer = http(server, "POST", "/api/v1/publish", json={"channel": name, "data": "<script>"})
    assert answer.status_code == 200
    (message,) = await reader.deliveries(name, 1)
    assert message["flags"] == ["script_tag"]
    refused = http(server, "POST", "/api/v1/publish", json={"channel": channel("strict"), "data": "<script>"})
    assert refused.status_code == 422
    assert refused.json()["code"] == "content_rejected" and refused.json()["rule"] == "script_tag"
    strict = channel("strict")
    batch = http(server, "POST", "/api/v1/batch", json={"publish": [{"channel": strict, "data": "<iframe>"}, {"channel": strict, "data": "ok"}]})
    first, second = batch.json()["results"]
    assert first["code"] == "content_rejected" and second["seq"] == 1
    page = http(server, "GET", f"/api/v1/channels/{name}/history")
    assert page.json()["messages"][0]["flags"] == ["script_tag"]


@clause("§3 order of checks", "P4")
async def test_content_is_looked_at_last(server):
    writer = await user(server)
    name = channel("stern")
    await writer.publish(name, {"a": 1})
    bad = {"type": "publish", "channel": name, "data": "<script>"}
    conflict = await writer.refused(bad | {"if_seq": 7}, "conflict")
    assert conflict["seq"] == 1
    patch = {"type": "publish", "channel": name, "patch": [{"op": "replace", "path": "/no", "value": "<script>"}]}
    await writer.refused(patch, "invalid_event")
    await writer.refused(patch | {"patch": [{"op": "add", "path": "/b", "value": "<script>"}]}, "content_rejected")
    await writer.refused({"type": "publish", "channel": name, "merge": {"b": "<script>"}}, "content_rejected")
    await writer.refused({"type": "publish", "channel": "nowhere:x", "data": "<script>"}, "not_found")
    first = await writer.request({"type": "publish", "channel": name, "data": {"ok": 1}, "key": "k"})
    repeat = await writer.request(bad | {"key": "k"})
    assert repeat["duplicate"] is True and repeat["seq"] == first["seq"]
    state = await writer.subscribe(name)
    assert state["snapshot"]["data"] == {"ok": 1}, "what was refused changed nothing"


@clause("§3 order of checks", "P4")
async def test_a_kind_refuses_before_the_content_does(server):
    writer = await user(server)
    name = channel("run")
    await writer.publish(name, {"text": "hi"}, event="delta")
    await writer.refused({"type": "publish", "channel": name, "event": "delta", "data": "<script>"}, "invalid_event")
    await writer.refused({"type": "publish", "channel": name, "event": "delta", "data": {"text": "<script>"}}, "content_rejected")
    await writer.publish(name, None, event="complete")
    await writer.refused({"type": "publish", "channel": name, "event": "delta", "data": {"text": "<script>"}}, "invalid_event")
    state = await writer.subscribe(name)
    assert state["snapshot"]["data"]["text"] == "hi"


@clause("§7 content policy", "P4")
async def test_documents_flag_merges_and_patches(server):
    writer = await user(server)
    name = channel("page")
    await writer.subscribe(name)
    await writer.request({"type": "publish", "channel": name, "merge": {"a": "<script>"}})
    await writer.request(
        {"type": "publish", "channel": name, "patch": [{"op": "add", "path": "/b", "value": "<iframe>"}]}
    )
    merge, patch = await writer.deliveries(name, 2)
    assert merge["flags"] == ["script_tag"] and merge["merge"] == {"a": "<script>"}
    assert patch["flags"] == ["iframe"]


@clause("§7 content policy", "K2")
async def test_a_merged_delivery_has_the_flags_of_all(server):
    writer = await user(server)
    name = channel("board")
    await writer.subscribe(name)
    merges = [{"a": 1}, {"b": "<script>"}, {"c": "<iframe>"}, {"d": 2}]
    for i, merge in enumerate(merges):
        await writer.send({"type": "publish", "channel": name, "merge": merge, "id": i})
    flags, last = set(), 0
    while last < len(merges):
        message = await writer.expect(type="message", channel=name)
        flags |= set(message.get("flags", []))
        last = message["seq"]
    assert flags == {"script_tag", "iframe"}


@clause("§7 content policy", "P4", "M6")
async def test_flags_survive_a_restart(start, tmp_path):
    home = Home(start, tmp_path, SERVER["settings"])
    writer = await user(home.server)
    name = channel("kept")
    epoch = (await writer.publish(name, "<script>x"))["epoch"]
    await writer.publish(name, "fine")
    await Client.close_all()
    reader = await user(home.restart())
    state = await reader.subscribe(name, since={"epoch": epoch, "seq": 0})
    flagged, fine = state["messages"]
    assert flagged["flags"] == ["script_tag"] and "flags" not in fine


@clause("§7 content policy", "K3")
async def test_a_session_flags_and_so_does_the_inbox_of_the_absent(server):
    owner_id, absent_id = unique("o"), unique("a")
    owner = await Client.connect(server, mint(owner_id))
    name = channel("session")
    await owner.publish(name, event="join")
    await owner.publish(name, {"user": absent_id}, event="join")
    await owner.publish(name, "<script>hello")
    absent = await Client.connect(server, mint(absent_id), inbox=True)
    entry = await absent.expect(type="message", event="session_message")
    assert entry["flags"] == ["script_tag"]
    assert entry["data"]["data"] == "<script>hello"


@clause("§7 content policy", "P4")
async def test_the_names_in_a_patchs_paths_are_keys(server):
    client = await user(server)
    for space, refused in (("stern", True), ("page", False)):
        name = channel(space)
        await client.publish(name, {"x": {}})
        patch = [{"op": "test", "path": "/x", "value": {}}, {"op": "add", "path": "/x/$where", "value": "1"}]
        if refused:
            answer = await client.refused({"type": "publish", "channel": name, "patch": patch}, "content_rejected")
            assert answer["rule"] == "nosql_operator"
        else:
            await client.subscribe(name)
            await client.request({"type": "publish", "channel": name, "patch": patch})
            (live,) = await client.deliveries(name, 1)
            assert live["flags"] == ["nosql_operator"]


@clause("§7 content policy", "P4")
async def test_escapes_in_a_patchs_paths_are_undone(server):
    client, name = await user(server), channel("stern")
    await client.publish(name, {})
    for path, rule in (("/<img~1src=x onerror=alert(1)>", "event_handler"), ("/<script~1x>", "script_tag")):
        patch = [{"op": "add", "path": path, "value": 1}]
        answer = await client.refused({"type": "publish", "channel": name, "patch": patch}, "content_rejected")
        assert answer["rule"] == rule


@clause("§7 content policy", "P4")
async def test_code_in_a_chat_between_programmers_is_innocent(server):
    """Issue 4: "code blocks in a chat between programmers are innocent"; only `reject` looks there, too"""
    client = await user(server)
    room, strict = channel("room"), channel("strict")
    await client.subscribe(room)
    code = "Try this:\n```html\n<script src=\"app.js\"></script>\n```\nand `<body onload=x()>` as well."
    await client.publish(room, {"text": code})
    await client.publish(room, {"text": code + " <script>"})
    innocent, guilty = await client.deliveries(room, 2)
    assert "flags" not in innocent and guilty["flags"] == ["script_tag"]
    await client.refused({"type": "publish", "channel": strict, "data": {"text": code}}, "content_rejected")


@clause("§7 content policy", "P4")
async def test_event_names_and_what_members_say_of_themselves_are_looked_at(start):
    server = start({"namespaces": {"strict": STREAM | {"content_policy": "reject", "presence": True}}})
    client, name = await user(server), channel("strict")
    bad = ATTACKS["script_tag"]
    await client.refused({"type": "publish", "channel": name, "event": bad, "data": 1}, "content_rejected")
    presence = {"type": "presence", "channel": name, "action": "enter"}
    answer = await client.refused(presence | {"data": {"name": bad}}, "content_rejected")
    assert answer["rule"] == "script_tag"
    (member,) = (await client.request(presence))["members"]
    assert member["data"] is None
