"""Requirement T6, protocol §8: /openapi.json and /asyncapi.json are valid, and true: what the server
sends is as they say. (conftest.py holds whatever any other test receives against them as well.)"""

from __future__ import annotations

import json
import re
import subprocess
import sys

import jsonschema
import openapi_spec_validator
import pytest
from client import Client, channel, eventually, unique
from described import answer_faults, descriptions, faults_of, operation_of, request_faults
from model import path_of, post, publish
from server import ROOT
from tokens import mint

clause = pytest.mark.clause
SERVER = {
    "settings": {
        "presence": {"grace": "0s"},
        "namespaces": {
            "short": {"kind": "stream", "history_messages": 3},
            "agent": {"kind": "agent", "idle_timeout": "200ms"},
        },
        "demo": {"enabled": True},
        "admin": {"enabled": True},
        "server": {"drain_timeout": "300ms"},
        "auth": {"timeout": "300ms"},
    }
}
REGISTRY = ROOT / "tests" / "clients" / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"


def fetched(server, http, name: str) -> dict:
    answer = http(server, "GET", f"/{name}.json", key=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


# -- the documents


@clause("8.pages", "T6")
def test_what_is_served_is_what_spec_says(server, http):
    version = http(server, "GET", "/api/ws/health", key=None).json()["version"]
    for name, document in descriptions().items():
        served = fetched(server, http, name)
        assert served["info"]["version"] == version
        assert served | {"info": None} == document | {"info": None}, name


@clause("8.pages", "T6")
def test_the_openapi_document_is_valid(server, http):
    openapi_spec_validator.validate(fetched(server, http, "openapi"))


@clause("8.pages", "T6")
def test_the_asyncapi_document_is_valid(server, http):
    """By the JSON Schema that the AsyncAPI project publishes."""
    assert REGISTRY.exists(), "run `npm ci` in tests/clients, or ./dev setup"
    schema = json.loads(REGISTRY.read_text())
    check = jsonschema.validators.validator_for(schema)(schema)
    document = fetched(server, http, "asyncapi")
    assert [f"{e.json_path}: {e.message[:200]}" for e in check.iter_errors(document)] == []
    del document["channels"]["socket"]["messages"]["ping" + "Request"]["$ref"]
    document["operations"]["ping"]["action"] = "dance"
    assert list(check.iter_errors(document)), "the check finds nothing"


@pytest.mark.parametrize("name", ["openapi", "asyncapi"])
def test_every_reference_leads_somewhere_and_every_example_is_right(name):
    document = descriptions()[name]
    for reference in references(document):
        target = document
        for step in reference.removeprefix("#/").split("/"):
            assert step in target, reference
            target = target[step]
    for message in document["components"].get("messages", {}).values():
        for example in message.get("examples", []):
            assert request_faults(example["payload"]) == []


def test_the_same_input_gives_the_same_bytes(tmp_path):
    texts = set()
    for seed in "01":
        command = [sys.executable, ROOT / "tools" / "specs.py", ROOT / "spec", "1", tmp_path / seed]
        subprocess.run(command, check=True, env={"PYTHONHASHSEED": seed})
        texts.add(tuple((tmp_path / seed / f"{name}.json").read_bytes() for name in descriptions()))
    assert len(texts) == 1


@clause("8.pages", "T6")
def test_every_route_of_the_server_is_described():
    table = (ROOT / "src" / "api" / "router.cpp").read_text()
    routes = re.findall(r'Route\{"(\w+)", "([^"]+)"', table)
    assert len(routes) > 20
    described = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path))
        for path, methods in descriptions()["openapi"]["paths"].items()
        for method in methods
    }
    assert set(routes) - described == set(), "add them to spec/api/http.json"
    assert described - set(routes) == {("GET", "/ws"), ("GET", "/sse")}, "not in the table of routes"


def test_requests_that_the_server_takes_are_as_described():
    vectors = json.loads((ROOT / "spec" / "vectors" / "protocol_requests.json").read_text())["vectors"]
    taken = [json.loads(v["text"]) for v in vectors if v["code"] is None]
    for request in taken:
        if request.get("id", "") is None:
            del request["id"]  # counts as absent
        if request != {"type": "auth"} and None not in request.values():
            assert request_faults(request) == [], request
    for wrong in (
        {"type": "publish"},
        {"type": "subscribe"},
        {"type": "subscribe", "channel": "a", "channels": ["b"]},
        {"type": "ack", "channel": "user:1"},
        {"type": "presence", "channel": "room:a", "action": "dance"},
        {"type": "history", "channel": "room:a", "limit": "many"},
    ):
        assert request_faults(wrong), wrong


# -- a walk through everything


class Walk:
    """Connections whose every message is looked at, and counted by its type."""

    def __init__(self, server):
        self.server, self.clients = server, []

    async def open(self, token: str | None = None, **options) -> Client:
        self.clients.append(await Client.connect(self.server, token, **options))
        self.clients[-1].seen = [self.clients[-1].hello] if self.clients[-1].hello else []
        return self.clients[-1]

    def note(self, *messages: dict) -> None:
        self.clients[-1].seen += messages

    def types(self) -> dict[str, set[str]]:
        """Every type that came, with the fields that came in it."""
        out: dict[str, set[str]] = {}
        for client in self.clients:
            for message in (*client.seen, *client.inbox):
                assert faults_of(message) == [], message
                out.setdefault(message["type"], set()).update(message)
        return out


async def all_of(client: Client, *requests: dict) -> None:
    """Sends each and keeps its answer."""
    for request in requests:
        assert request_faults(request) == [], request
        client.seen.append(await client.request(request))


@clause("5.types", "T6")
async def test_what_a_walk_through_all_requests_receives_is_as_described(server, http):
    walk, name, short = Walk(server), channel(), channel("short")
    other = await walk.open(mint("other"))
    user = await walk.open(mint("walker", name="Ada"))
    since = {"epoch": "another", "seq": 5}
    await all_of(other, {"type": "subscribe", "channel": name, "presence": True})
    await all_of(
        user,
        {"type": "ping", "data": [1]},
        {"type": "auth", "token": mint("walker")},
        {"type": "auth", "token": "nonsense"},
        {"type": "subscribe", "channel": name, "presence": True, "history": 5},
        {"type": "subscribe", "channel": channel(), "since": since},
        {"type": "publish", "channel": name, "data": {"a": 1}, "event": "e", "key": "k", "priority": "high", "ttl_ms": 60000},
        {"type": "publish", "channel": name, "data": {"a": 1}, "key": "k"},
        {"type": "publish", "channel": name, "data": 1, "ephemeral": True},
        {"type": "publish", "channel": name, "data": "<script>alert(1)</script>"},
        {"type": "presence", "channel": name, "action": "enter", "data": {"mood": "fine"}},
        {"type": "presence", "channel": name, "action": "update", "data": 2},
        {"type": "presence", "channel": name, "action": "get"},
        {"type": "presence", "channel": name, "action": "leave"},
        {"type": "history", "channel": name, "limit": 10},
        {"type": "history", "channel": name, "epoch": "another"},
        {"type": "subscribe", "channel": "nowhere:x"},
        {"type": "unsubscribe", "channel": name},
        {"type": "unsubscribe", "channel": name},
    )
    # A reader who was away too long, and one for whom a hole has opened.
    for i in range(6):
        await all_of(user, {"type": "publish", "channel": short, "data": i, "ttl_ms": 1 if i == 4 else 60000})
    first = user.seen[-1]
    await all_of(other, {"type": "subscribe", "channel": short, "since": {"epoch": first["epoch"], "seq": 1}})
    http(server, "POST", "/api/v1/broadcast", json={"event": "all", "data": 1})
    await other.expect(channel="$all")

    # An inbox that the server follows by itself.
    for priority in ("critical", "low"):
        http(server, "POST", "/api/v1/users/boxed/notify", json={"data": 1, "priority": priority})
    boxed = await walk.open(mint("boxed"), inbox=True)
    await boxed.deliveries("user:boxed", 2)
    await all_of(boxed, {"type": "ack", "channel": "user:boxed", "seqs": [1]}, {"type": "ack", "channel": "user:boxed", "up_to": 1})

    # Ends: a token that runs out, one that is bad, and the server's own.
    ending = await walk.open(mint("ending", ttl_s=4), inbox=True)
    walk.note(await ending.expect(type="auth_expiring"), await ending.expect(type="auth_error"))
    bad = await walk.open("nonsense", hello=False)
    walk.note(await bad.expect(type="auth_error"))
    types = walk.types()
    missing = {"connected", "pong", "auth_success", "auth_error", "subscribed", "unsubscribed", "published", "history"}
    missing |= {"presence", "acked", "message", "presence_event", "auth_expiring", "error"}
    assert missing - types.keys() == set()
    assert {"duplicate", "ephemeral", "seq"} <= types["published"]
    assert {"recovered", "reason", "members"} <= types["subscribed"]
    assert {"event", "from", "priority", "seq"} <= types["message"]


@clause("5.types", "T6")
async def test_a_drain_a_gap_and_a_new_epoch_are_as_described(start, http):
    server = start({"namespaces": {"room": {"history_messages": 3}}})
    client, name = await Client.connect(server, mint("a")), channel()
    for i in range(5):
        reply = await client.publish(name, i, ttl_ms=1 if i == 3 else 60000)

    async def expired() -> bool:
        return len((await client.request({"type": "history", "channel": name}))["messages"]) == 2

    await eventually(expired, "message 4 is gone")
    found = [await client.request({"type": "subscribe", "channel": name, "since": {"epoch": reply["epoch"], "seq": 2}})]
    found.append(await client.expect(type="gap"))
    server.terminate()
    found.append(await client.expect(type="reconnect"))
    await client.closed()
    assert [fault for message in found for fault in faults_of(message)] == []


KINDS = {
    "doc": ("DocumentSnapshot", [{"data": {"a": 1}}, {"merge": {"b": 2}}, {"patch": [{"op": "add", "path": "/c", "value": 3}]}]),
    "session": ("SessionSnapshot", [{"event": "join"}, {"data": "hi"}, {"event": "read", "data": {"seq": 2}}, {"event": "typing", "ephemeral": True}]),
    "upload": ("UploadSnapshot", [{"event": "progress", "data": {"bytes": 1, "total": 2}}, {"event": "complete"}]),
    "agent": (
        "AgentSnapshot",
        [
            {"event": "start", "data": {"model": "m"}},
            {"event": "delta", "data": {"text": "a"}},
            {"event": "tool_call", "data": {"id": "1", "name": "t", "arguments": {}}},
            {"event": "tool_result", "data": {"id": "1", "result": 1}},
            {"event": "status", "data": {"step": 2}},
            {"event": "complete", "data": {"usage": {"tokens": 1}}},
        ],
    ),
    "user": ("InboxSnapshot", [{"data": 1}, {"data": 2, "priority": "critical"}]),
}


@clause("7.kinds", "T6")
@pytest.mark.parametrize("namespace", list(KINDS))
async def test_every_kind_s_snapshots_and_deliveries_are_as_described(server, http, namespace):
    """At every step, over the WebSocket and over HTTP, before and after the first event."""
    type_, events = KINDS[namespace]
    user = unique("u")
    name = f"user:{user}" if namespace == "user" else channel(namespace)
    token = mint(user, tidewire={"grants": [{"channels": name, "do": ["publish", "subscribe"]}]})
    writer = await Client.connect(server, token)
    schemas = descriptions()["asyncapi"]["components"]["schemas"]
    schema = {"$ref": f"#/components/schemas/{type_}", "components": {"schemas": schemas}}

    async def look() -> None:
        reader = await Client.connect(server, token)
        reply = await reader.subscribe(name)
        assert faults_of(reply) == []
        jsonschema.Draft7Validator(schema).validate(reply["snapshot"]["data"])
        await reader.close()

    await look()
    follower = await Client.connect(server, token)
    await follower.subscribe(name)
    last = 0
    for fields in events:
        assert request_faults(publish(name, **fields)) == []
        published = await post(writer, name, **fields)
        assert faults_of(published) == []
        last = published.get("seq", last)
        await look()
        answer = http(server, "GET", path_of(name, "/snapshot"))
        assert answer_faults("GET", answer.request.url.path, 200, "application/json", answer.json()) == []
        jsonschema.Draft7Validator(schema).validate(answer.json()["data"])
    seen = 0
    while seen < last:
        message = await follower.expect(channel=name)
        assert faults_of(message) == [], message
        seen = message.get("seq", seen)


@clause("8.routes", "T6")
async def test_every_route_answers_as_described(server, http):
    """With the API key, with a user's token, and without anything."""
    name, token = channel(), mint("caller")
    client = await Client.connect(server, token)
    await client.publish(name, 1)
    bodies = {operation["operationId"]: operation["requestBody"]["content"]["application/json"]["example"]
              for methods in descriptions()["openapi"]["paths"].values() for operation in methods.values()
              if "requestBody" in operation}
    seen, every = set(), set()
    for pattern, methods in descriptions()["openapi"]["paths"].items():
        if pattern in ("/ws", "/sse"):
            continue
        every.update(operation["operationId"] for operation in methods.values())
        path = pattern.replace("{c}", name.replace(":", "%3A")).replace("{id}", "someone")
        path = path.replace("{file}", "admin.js" if pattern.startswith("/admin/") else "demo.js")
        for method, operation in methods.items():
            assert operation_of(method.upper(), path)["operationId"] == operation["operationId"]
            for key in (server.settings["api"]["key"], token, "tw_wrong", None):
                answer = http(server, method.upper(), path, key=key, json=bodies.get(operation["operationId"]))
                body = answer.json() if "json" in answer.headers.get("content-type", "") else None
                faults = answer_faults(method.upper(), path, answer.status_code, answer.headers.get("content-type", ""), body)
                assert faults == []
                seen.add((operation["operationId"], answer.status_code))
    done = {operation for operation, status in seen if status < 400}
    # A stream has no snapshot; the page for a demo token asks for a name.
    assert every - done == {"getSnapshot", "getDemoToken"}
