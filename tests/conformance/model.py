"""What a client makes of a channel by the letter of the protocol: the folds of §7, and the rule of §5
that every seq comes once, in order, or is covered. Written from the text alone, to judge the server by.
"""

from __future__ import annotations

import copy
import json
import re

from client import WAIT_S, Client, Message, unique
from raw import RawWebSocket
from server import Server
from tokens import mint

ABSENT = object()  # "nothing stands here", where None is JSON's null
LEVELS = ("critical", "high", "medium", "low")


def same(a: object, b: object) -> bool:
    """Equality of JSON values: 1 is 1.0, but neither is true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def uid(user: object) -> str:
    """The id of a user that is written as `{"id","type"}` or as the bare id."""
    return str(user["id"] if isinstance(user, dict) else user)


# -- RFC 7396 and RFC 6902


def merge(target: object, change: object) -> object:
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    out = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = merge(out.get(name), value)
    return out


class Refused(Exception):
    """The patch does not apply."""


def _steps(pointer: object) -> list[str]:
    if not isinstance(pointer, str) or (pointer and pointer[0] != "/"):
        raise Refused(pointer)
    if re.search("~(?![01])", pointer):
        raise Refused(pointer)
    return [s.replace("~1", "/").replace("~0", "~") for s in pointer.split("/")[1:]]


def _index(step: str, size: int) -> int:
    if not re.fullmatch("0|[1-9][0-9]*", step) or int(step) >= size:
        raise Refused(step)
    return int(step)


def _get(at: object, steps: list[str]) -> object:
    for step in steps:
        if isinstance(at, list):
            at = at[_index(step, len(at))]
        elif isinstance(at, dict) and step in at:
            at = at[step]
        else:
            raise Refused(step)
    return at


def _add(doc: object, steps: list[str], value: object) -> object:
    if not steps:
        return value
    parent, last = _get(doc, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else _index(last, len(parent) + 1), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise Refused(last)
    return doc


def _remove(doc: object, steps: list[str]) -> object:
    value, parent, last = _get(doc, steps), _get(doc, steps[:-1]), steps[-1]
    if isinstance(parent, list):
        del parent[_index(last, len(parent))]
    else:
        del parent[last]
    return value


def patched(doc: object, operations: list) -> object:
    """A new document; Refused when one operation does not apply."""
    doc = copy.deepcopy(doc)
    for one in operations:
        verb, steps = one["op"], _steps(one["path"])
        if verb in ("add", "replace", "test"):
            value = copy.deepcopy(one["value"])
            if verb == "test":
                if not same(_get(doc, steps), value):
                    raise Refused(one)
                continue
            if verb == "replace" and steps:
                _remove(doc, steps)
            doc = _add(doc, steps, value)
        elif verb == "remove":
            _remove(doc, steps)
        else:
            source = _steps(one["from"])
            if verb == "copy":
                value = copy.deepcopy(_get(doc, source))
            elif steps == source:
                _get(doc, source)
                continue
            elif steps[: len(source)] == source:
                raise Refused(one)
            else:
                value = _remove(doc, source)
            doc = _add(doc, steps, value)
    return doc


# -- the folds of section 7, as far as its text fixes them


def _document(state, entry):
    if "merge" in entry:
        return merge(state, entry["merge"])
    if "patch" in entry:
        return patched(state, entry["patch"])
    return entry["data"]


def _agent(state, entry):
    event, data = entry.get("event"), entry.get("data")
    state = dict(state)
    ends = {"complete": "complete", "fail": "failed", "cancel": "cancelled"}
    state["status"] = ends.get(event, "running")
    if event == "delta":
        state["text"] += data["text"]
    return state


def _upload(state, entry):
    event, data = entry.get("event"), entry.get("data")
    state = dict(state)
    ends = {"complete": "complete", "fail": "failed", "cancel": "cancelled"}
    state["status"] = ends.get(event, "active")
    if event == "progress":
        state["bytes"] = data["bytes"]
        state["total"] = data.get("total", state["total"])
    elif event == "complete" and state["total"] is not None:
        state["bytes"] = state["total"]
    return state


def _inbox(state, entry):
    state = dict(state)
    if entry.get("event") == "ack":
        for seq in entry["data"]["seqs"]:
            state.pop(seq, None)
    else:
        state[entry["seq"]] = (entry.get("priority", "medium"), entry.get("data"))
    return state


def _session(state, entry):
    """Members in the order of joining: id → role. An author without a name is an API key."""
    state = dict(state)
    event, data = entry.get("event"), entry.get("data")
    author = uid(entry["from"]["user"]) if entry.get("from") else None
    if event == "join":
        user = uid(data["user"]) if isinstance(data, dict) and "user" in data else author
        state.setdefault(user, "member" if state else "owner")
    elif event == "leave":
        state.pop(author, None)
        if state and "owner" not in state.values():
            state[next(iter(state))] = "owner"
    return state


FOLDS = {
    "document": (None, _document),
    "agent": ({"status": "pending", "text": ""}, _agent),
    "upload": ({"status": "pending", "bytes": 0, "total": None}, _upload),
    "inbox": ({}, _inbox),
    "session": ({}, _session),
}


def essence(kind: str, data):
    """A snapshot's `data`, reduced to what the folds above tell."""
    if kind == "agent":
        return {"status": data["status"], "text": data["text"]}
    if kind == "upload":
        return {k: data[k] for k in ("status", "bytes", "total")}
    if kind == "inbox":
        return {e["seq"]: (e.get("priority", "medium"), e.get("data")) for e in data["pending"]}
    if kind == "session":
        return {uid(m["user"]): "owner" if m["role"] == "owner" else "member" for m in data["members"]}
    return data


def folded(kind: str, entries: list[dict], start=ABSENT):
    """Entries of a channel, folded from nothing or from a state."""
    state, fold = FOLDS[kind]
    state = state if start is ABSENT else start
    for entry in entries:
        state = fold(state, entry)
    return state


class Copy:
    """A client's copy of one channel. `take` asserts that each seq comes once, in order, or is covered."""

    def __init__(self, kind: str):
        self.kind, self.epoch, self.seq = kind, None, 0
        self.state, self._fold = FOLDS[kind]
        self.taken: list[dict] = []  # the deliveries that had a seq

    def start(self, reply: dict) -> Copy:
        """`subscribed`: a fresh start with the snapshot, or the rest behind the position."""
        if reply.get("recovered") is True:
            assert "snapshot" not in reply, reply
            assert reply["epoch"] == self.epoch, reply
        else:
            snapshot = reply["snapshot"]
            assert snapshot["seq"] == reply["seq"], reply
            self.epoch, self.seq = reply["epoch"], snapshot["seq"]
            self.state = essence(self.kind, snapshot["data"])
        for entry in reply["messages"]:
            if reply.get("recovered") is True or entry["seq"] > self.seq:
                self.take({"type": "message", **entry})
        return self

    def take(self, message: dict) -> None:
        if message["type"] == "snapshot":
            assert message["seq"] > self.seq, (self.seq, message)
            assert message["epoch"] == self.epoch, message
            self.seq, self.state = message["seq"], essence(self.kind, message["data"])
            return
        assert message["type"] == "message", message
        if "seq" not in message:
            return
        first = message.get("first_seq", message["seq"])
        assert first <= self.seq + 1, f"a hole: {self.seq} was the last, then {str(message)[:300]}"
        assert first <= message["seq"] > self.seq, f"a repeat of {self.seq}: {str(message)[:300]}"
        self.taken.append(message)
        self.seq, self.state = message["seq"], self._fold(self.state, message)

    async def follow(self, client: Client, name: str, seq: int, timeout_s: float = WAIT_S) -> Copy:
        """Takes deliveries until `seq` has come."""
        while self.seq < seq:
            self.take(await next_of(client, name, timeout_s))
        return self

    @property
    def position(self) -> dict:
        return {"epoch": self.epoch, "seq": self.seq}


# -- talking to a channel


async def sleeper(server: Server, name: str, *, options: str = "", **claims) -> tuple[RawWebSocket, Message]:
    """A subscriber with a small receive buffer that reads no more than its `subscribed` until a test does; and that."""
    raw = await RawWebSocket.open(
        server,
        "/ws?inbox=manual" + options,
        headers={"Authorization": f"Bearer {mint(unique('slow'), **claims)}"},
        receive_buffer=4096,
    )
    await raw.text(json.dumps({"type": "subscribe", "channel": name}))
    subscribed = Message.parse((await raw.message()).payload)
    assert subscribed["type"] == "subscribed", subscribed
    return raw, subscribed


async def next_of(client: Client, name: str, timeout_s: float = WAIT_S) -> Message:
    """The next delivery of this channel, of whatever type."""
    types = ("message", "snapshot", "gap")

    def find():
        for i, message in enumerate(client.inbox):
            if message.get("channel") == name and message["type"] in types:
                del client.inbox[i]
                return message
        return None

    return await client._wait(find, timeout_s, f"delivery of {name}")


def publish(name: str, event: str | None = None, **fields) -> dict:
    """A publish request with exactly these fields."""
    return {"type": "publish", "channel": name} | ({"event": event} if event else {}) | fields


async def post(client: Client, name: str, event: str | None = None, **fields) -> Message:
    """Publishes; the `published`."""
    reply = await client.request(publish(name, event, **fields))
    assert reply["type"] == "published", (fields, reply)
    return reply


async def post_all(client: Client, name: str, events: list[dict]) -> list[Message]:
    """Publishes without waiting in between; the replies in order."""
    tag = f"all-{id(events)}-{len(client.inbox)}"
    for i, fields in enumerate(events):
        await client.send(publish(name, **fields) | {"id": f"{tag}-{i}"})
    return [await client.expect(type="published", id=f"{tag}-{i}") for i in range(len(events))]


async def refused(client: Client, request: dict, *codes: str) -> Message:
    """The `error` with which the request is answered; its code must be one of these."""
    reply = await client.request(request)
    assert reply["type"] == "error", (request, reply)
    assert reply["code"] in codes, (request, reply)
    assert reply["request"] == request["type"], reply
    return reply


async def history(client: Client, name: str, **fields) -> Message:
    reply = await client.request({"type": "history", "channel": name, **fields})
    assert reply["type"] == "history", reply
    return reply


def seqs(messages: list[dict]) -> list[int]:
    return [m["seq"] for m in messages]


# -- the same over HTTP, with the API key


def path_of(name: str, rest: str = "") -> str:
    from urllib.parse import quote

    return f"/api/v1/channels/{quote(name, safe='')}{rest}"


def api_publish(http, server, name: str, event: str | None = None, **fields) -> dict:
    body = publish(name, event, **fields)
    del body["type"]
    answer = http(server, "POST", "/api/v1/publish", json=body)
    assert answer.status_code == 200, (body, answer.text)
    return answer.json()


def api_snapshot(http, server, name: str) -> dict:
    answer = http(server, "GET", path_of(name, "/snapshot"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def api_pending(http, server, user: object) -> list[dict]:
    """What waits in a user's inbox, which may never have been used."""
    answer = http(server, "GET", path_of(f"user:{user}", "/snapshot"))
    if answer.status_code == 404:
        return []
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["pending"]


def notify(http, server, user: object, **body) -> dict:
    from urllib.parse import quote

    answer = http(server, "POST", f"/api/v1/users/{quote(str(user), safe='')}/notify", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def assert_problem(answer, status: int, *codes: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.headers
    body = answer.json()
    assert body["code"] in codes and body["status"] == status, body
    return body


# -- one data folder, many lives


class Home:
    """Servers one after another on the same data: `crash` is kill -9, `restart` a drain."""

    def __init__(self, start, folder, settings: dict | None = None):
        self._start, self.data, self.settings = start, folder / "data", settings
        self.server = start(settings, data=self.data)

    def crash(self):
        self.server.kill()
        return self.again()

    def restart(self):
        self.server.stop()
        return self.again()

    def again(self):
        self.server = self._start(self.settings, data=self.data)
        return self.server
