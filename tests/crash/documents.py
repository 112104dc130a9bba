"""Documents: the folded document is the fold of what was acknowledged, for the server's snapshot as for
everybody who followed it through the crashes; what was refused has changed nothing."""

from __future__ import annotations

import asyncio
import copy
import random

from client import Part, Reader, Speaker, receive, send
from patch import DoesNotApply, apply_merge, apply_patch
from server import Fault, Server

CHANNELS = 2
WRITERS = 4
READERS = 2


def fold(document: object, event: dict) -> object:
    if "merge" in event:
        return apply_merge(document, event["merge"])
    if "patch" in event:
        return apply_patch(document, event["patch"])
    return copy.deepcopy(event["data"])


class Writer(Speaker):
    """Changes its own part of the document, sometimes on a condition, sometimes with a patch that can't apply."""

    in_flight = 4

    def __init__(self, user: str, channel: str, chance: random.Random):
        super().__init__(user, chance)
        self.channel = channel
        self.last_seq = 0
        self.refused = 0

    def next_request(self, key: str) -> dict | None:
        request = {"type": "publish", "channel": self.channel} | self._change()
        if self.chance.random() < 0.1:
            request["if_seq"] = self.last_seq
        return request

    def _change(self) -> dict:
        me, n = self.user, self.made
        way = self.chance.random()
        if n == 0 or way < 0.5:
            return {"merge": {me: {"n": n, "list": [n], f"field-{n % 7}": None if n % 3 == 0 else {"deep": [n, {"a": n}]}}}}
        if way < 0.9:
            return {"patch": [{"op": "add", "path": f"/{me}/list/-", "value": n}, {"op": "replace", "path": f"/{me}/n", "value": n}]}
        if way < 0.97:
            return {"patch": [{"op": "replace", "path": f"/{me}/n", "value": -1}, {"op": "test", "path": f"/{me}/n", "value": "never"}]}
        return {"data": {me: {"n": n, "list": []}}}

    def on_published(self, request: dict, reply: dict) -> None:
        if any(step["op"] == "test" for step in request.get("patch", ())):
            raise Fault(f"{request} does not apply, and was answered with {reply}")
        self.last_seq = max(self.last_seq, reply["seq"])

    def on_refusal(self, request: dict, reply: dict) -> None:
        # Another writer may have replaced the whole document, so that an honest patch does not apply either.
        allowed = {"invalid_event"} if "patch" in request else set()
        if "if_seq" in request:
            allowed.add("conflict")
        if reply["type"] != "error" or reply["code"] not in allowed:
            raise Fault(f"{request} was answered with {reply}")
        if reply["code"] == "conflict":
            self.last_seq = max(self.last_seq, reply["seq"])
        self.refused += 1


class DocumentReader(Reader):
    def __init__(self, user: str, channels: list[str]):
        super().__init__(user, channels)
        self.documents: dict[str, object] = dict.fromkeys(channels)

    def on_subscribed(self, channel: str, message: dict) -> None:
        if message.get("recovered") or message.get("reason") not in (None, "trimmed"):
            return super().on_subscribed(channel, message)
        # A new start, at first or because what it missed is only in the snapshot by now.
        self._take(channel, message["epoch"], message["snapshot"])
        for entry in message["messages"]:
            if entry["seq"] > self.seq_in(channel):
                self.on_delivery(channel, entry)

    def on_other(self, channel: str, message: dict) -> None:
        if message["type"] != "snapshot" or message["seq"] < self.seq_in(channel):
            super().on_other(channel, message)
        self._take(channel, message["epoch"], message)

    def _take(self, channel: str, epoch: str, snapshot: dict) -> None:
        self.positions[channel] = {"epoch": epoch, "seq": snapshot["seq"]}
        self.documents[channel] = snapshot["data"]

    def on_entry(self, channel: str, entry: dict) -> None:
        try:
            self.documents[channel] = fold(self.documents[channel], entry)
        except DoesNotApply as reason:
            raise Fault(f"{self.user}: {entry} of {channel} does not apply: {reason}") from reason


class Documents(Part):
    def __init__(self, prefix: str, chance: random.Random):
        self.channels = [f"doc:{prefix}-{i}" for i in range(CHANNELS)]
        self.writers = [Writer(f"{prefix}-writer-{i}", self.channels[i % CHANNELS], random.Random(chance.random())) for i in range(WRITERS)]
        self.followers = [DocumentReader(f"{prefix}-reader-{i}", self.channels) for i in range(READERS)]

    def speakers(self) -> list[Writer]:
        return self.writers

    def readers(self) -> list[DocumentReader]:
        return self.followers

    def changes(self, channel: str) -> dict[int, dict]:
        return {seq: w.requests[key] for w in self.writers if w.channel == channel for key, seq in w.answered.items()}

    async def set_goals(self, server: Server) -> None:
        goal = {channel: max(self.changes(channel), default=0) for channel in self.channels}
        for follower in self.followers:
            follower.goal = goal

    async def audit(self, server: Server) -> None:
        await asyncio.gather(*(writer.repeat_all(server) for writer in self.writers))
        for channel in self.channels:
            changes = self.changes(channel)
            if sorted(changes) != list(range(1, len(changes) + 1)):
                raise Fault(f"{channel}: the acknowledged seqs are not 1, 2, 3 ...")
            document: object = None
            for seq in sorted(changes):
                try:
                    document = fold(document, changes[seq])
                except DoesNotApply as reason:
                    raise Fault(f"{channel}: {changes[seq]} was accepted as {seq} and does not apply: {reason}") from reason
            kept = await snapshot_of(server, channel)
            if kept != {"seq": len(changes), "data": document}:
                raise Fault(f"{channel}: its snapshot is {kept}, and the fold of its {len(changes)} changes {document}")
            for follower in self.followers:
                if follower.documents[channel] != document:
                    raise Fault(f"{channel}: {follower.user} has {follower.documents[channel]} in place of {document}")

    def figures(self) -> dict[str, int]:
        return {"document_changes": sum(len(w.answered) for w in self.writers), "document_refusals": sum(w.refused for w in self.writers),
                "document_deliveries": sum(f.deliveries for f in self.followers), "repeats": sum(w.repeats for w in self.writers)}


async def snapshot_of(server: Server, channel: str) -> dict:
    async with server.connect("auditor") as ws:
        await receive(ws)
        await send(ws, {"type": "subscribe", "channel": channel})
        return (await receive(ws))["snapshot"]
