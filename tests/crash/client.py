"""Clients that come back: after each crash they connect again and go on where they were."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Iterable

from server import GONE, Fault, Server

ANSWER_S = 20


class Client:
    """Connects again and again until `finished`."""

    user = ""
    grants: tuple[dict, ...] = ()
    manual = True
    narrow = False
    dialed = 0.0  # when the present connection was begun, by the loop's clock

    def finished(self) -> bool:
        raise NotImplementedError

    async def talk(self, ws) -> None:
        raise NotImplementedError

    def progress(self) -> int:
        """Grows while there is any."""
        return 0

    def describe(self) -> str:
        return f"{type(self).__name__} {self.user}"

    async def run(self, server: Server) -> None:
        while not self.finished():
            self.dialed = asyncio.get_running_loop().time()
            with contextlib.suppress(*GONE):
                async with server.connect(self.user, self.grants, self.manual, self.narrow) as ws:
                    if (hello := await receive(ws, 5))["type"] != "connected":
                        raise Fault(f"{self.user} was greeted with {hello}")
                    await self.talk(ws)
            await asyncio.sleep(0.02)


class Speaker(Client):
    """Sends requests that carry idempotency keys, several in flight, and repeats each until it is answered.
    After a crash it also repeats some that were answered: they must be duplicates with the same seq."""

    in_flight = 16
    again_sample = 32

    def __init__(self, user: str, chance: random.Random):
        self.user = user
        self.chance = chance
        self.stopping = False
        self.made = 0
        self.waiting: dict[str, dict] = {}
        self.answered: dict[str, int] = {}  # key -> seq
        self.requests: dict[str, dict] = {}  # of answered keys
        self.repeats = 0

    def next_request(self, key: str) -> dict | None:
        """A new request under this key; None when there is nothing to say right now."""
        raise NotImplementedError

    def on_refusal(self, request: dict, reply: dict) -> None:
        """An error: the request is dropped, unless this raises."""
        raise Fault(f"{request} was answered with {reply}")

    def finished(self) -> bool:
        return self.stopping and not self.waiting

    def progress(self) -> int:
        return len(self.answered) + self.repeats - len(self.waiting)

    async def talk(self, ws) -> None:
        for request in self.waiting.values():
            await send(ws, request)
        sample = self.chance.sample(sorted(self.answered), min(self.again_sample, len(self.answered)))
        again = {await self._say_again(ws, key) for key in sample}
        while again or not self.finished():
            while not self.stopping and len(self.waiting) < self.in_flight:
                key = f"{self.user}-{self.made}"
                if (request := self.next_request(key)) is None:
                    break
                self.made += 1
                self.waiting[key] = request | {"id": key, "key": key}
                await send(ws, self.waiting[key])
            if not self.waiting and not again:
                await asyncio.sleep(0.01)
                continue
            reply = await receive(ws)
            if reply.get("id") in again:
                again.discard(reply["id"])
                self.on_repeat(reply)
            else:
                self.on_reply(reply)

    async def repeat_all(self, server: Server) -> None:
        """Once more every request that was ever acknowledged."""
        keys = iter(list(self.answered))
        async with server.connect(self.user, self.grants) as ws:
            await receive(ws)
            again: set[str] = set()
            while True:
                for key in keys:
                    again.add(await self._say_again(ws, key))
                    if len(again) == 128:
                        break
                if not again:
                    return
                reply = await receive(ws)
                again.discard(reply.get("id"))
                self.on_repeat(reply)

    async def _say_again(self, ws, key: str) -> str:
        again = f"again {key}"
        await send(ws, self.requests[key] | {"id": again})
        return again

    def on_repeat(self, reply: dict) -> None:
        key = str(reply.get("id")).removeprefix("again ")
        if reply["type"] != "published" or not reply.get("duplicate") or reply["seq"] != self.answered[key]:
            raise Fault(f"{key} was acknowledged as {self.answered.get(key)}, and its repeat with {reply}")
        self.repeats += 1

    def on_reply(self, reply: dict) -> None:
        key = reply.get("id")
        request = self.waiting.pop(key, None)
        if request is None:
            raise Fault(f"{self.user}: unexpected message {reply}")
        if reply["type"] == "published":
            self.answered[key] = reply["seq"]
            self.requests[key] = request
            self.on_published(request, reply)
        else:
            self.on_refusal(request, reply)

    def on_published(self, request: dict, reply: dict) -> None:
        pass


class Reader(Client):
    """Follows channels, all in one `subscribe`, and resumes where it was. Every seq must come once."""

    pause_s = 0.0  # after each message, until it has a goal

    def __init__(self, user: str, channels: list[str]):
        self.user = user
        self.channels = channels
        self.positions: dict[str, dict] = {}
        self.goal: dict[str, int] | None = None  # where each channel ends
        self.deliveries = 0

    def seq_in(self, channel: str) -> int:
        return self.positions.get(channel, {"seq": 0})["seq"]

    def finished(self) -> bool:
        return self.goal is not None and all(self.seq_in(channel) >= seq for channel, seq in self.goal.items())

    def progress(self) -> int:
        return self.deliveries

    def describe(self) -> str:
        lacks = {channel: seq - self.seq_in(channel) for channel, seq in (self.goal or {}).items()}
        return f"{super().describe()} lacks {lacks}"

    def first_wish(self) -> dict:
        """What is asked for in a channel of which nothing has been seen."""
        return {}

    async def talk(self, ws) -> None:
        wishes = [{"channel": c} | ({"since": self.positions[c]} if c in self.positions else self.first_wish()) for c in self.channels]
        await send(ws, {"type": "subscribe", "channels": wishes})
        while not self.finished():
            with contextlib.suppress(TimeoutError):
                self.on_message(await receive(ws, 0.2))
            if self.pause_s and self.goal is None:
                await asyncio.sleep(self.pause_s)

    def on_message(self, message: dict) -> None:
        channel = message.get("channel")
        if channel not in self.channels:
            raise Fault(f"{self.user}: unexpected message {message}")
        if message["type"] == "subscribed":
            self.on_subscribed(channel, message)
        elif message["type"] == "message":
            self.on_delivery(channel, message)
        else:
            self.on_other(channel, message)

    def on_subscribed(self, channel: str, message: dict) -> None:
        before = self.positions.get(channel)
        if before and not message.get("recovered"):
            raise Fault(f"{self.user}: {channel} was not recovered from {before}: {message.get('reason')}")
        if before and message["epoch"] != before["epoch"]:
            raise Fault(f"{self.user}: {channel} changed its epoch from {before['epoch']} to {message['epoch']}")
        self.positions.setdefault(channel, {"epoch": message["epoch"], "seq": 0})
        for entry in message["messages"]:
            self.on_delivery(channel, entry)

    def on_other(self, channel: str, message: dict) -> None:
        raise Fault(f"{self.user}: unexpected message {message}")

    def on_delivery(self, channel: str, entry: dict) -> None:
        position = self.positions[channel]
        if entry.get("first_seq", entry["seq"]) != position["seq"] + 1:
            raise Fault(f"{self.user} in {channel}: {entry['seq']} after {position['seq']}")
        position["seq"] = entry["seq"]
        self.deliveries += 1
        self.on_entry(channel, entry)

    def on_entry(self, channel: str, entry: dict) -> None:
        raise NotImplementedError


class Part:
    """One kind of channel: its clients, and what must be true in the end."""

    def speakers(self) -> Iterable[Client]:
        raise NotImplementedError

    def readers(self) -> Iterable[Client]:
        raise NotImplementedError

    def stop_speaking(self) -> None:
        for speaker in self.speakers():
            speaker.stopping = True

    async def set_goals(self, server: Server) -> None:
        """All speakers have been answered; readers may end once they have everything."""
        raise NotImplementedError

    async def audit(self, server: Server) -> None:
        """Nobody speaks or reads any more, and the server has been killed and started once more."""
        raise NotImplementedError

    def figures(self) -> dict[str, int]:
        raise NotImplementedError


async def send(ws, request: dict) -> None:
    await ws.send(json.dumps(request))


async def receive(ws, limit_s: float = ANSWER_S) -> dict:
    async with asyncio.timeout(limit_s):
        return json.loads(await ws.recv())


async def whole_history(server: Server, user: str, channel: str) -> list[dict]:
    entries: list[dict] = []
    async with server.connect(user) as ws:
        await receive(ws)
        while True:
            await send(ws, {"type": "history", "channel": channel, "limit": 1000, "after": entries[-1]["seq"] if entries else 0})
            page = (await receive(ws))["messages"]
            if not page:
                return entries
            entries += page
