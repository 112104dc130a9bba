"""Inboxes: an acknowledged entry is pending until it is acknowledged in turn, whatever crashes between,
and then it never comes back."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field

import httpx
from client import Client, Part, Speaker, receive, send
from server import API_KEY, Fault, Server

USERS = 3
DEVICES = 2  # of each user
PRIORITIES = ("critical", "high", "medium", "low")
OPEN_LIMIT = 400  # unacknowledged entries of one user, far below where the inbox drops any
KEPT_LIMIT = 60  # entries of one user that nobody acknowledges


@dataclass
class Inbox:
    """What all clients together know of one user's inbox."""

    user: str
    noted: dict[int, dict] = field(default_factory=dict)  # acknowledged notifications: seq -> request
    delivered: dict[int, dict] = field(default_factory=dict)
    asked: set[int] = field(default_factory=set)  # an ack was sent, whether or not it was answered
    acked_at: dict[int, float] = field(default_factory=dict)  # ack answered, loop time
    kept: set[int] = field(default_factory=set)
    acks: set[int] = field(default_factory=set)  # seqs that acks themselves have

    @property
    def channel(self) -> str:
        return f"user:{self.user}"

    def full(self) -> bool:
        return max(len(self.noted), len(self.delivered)) - len(self.asked) > OPEN_LIMIT

    def known_up_to(self, seq: int, here: set[int]) -> bool:
        """Whether all up to `seq` are in `here`, or were asked to go before, or are acks."""
        return all(s in here or s in self.asked or s in self.acks for s in range(1, seq + 1))

    def note(self, request: dict, reply: dict) -> None:
        if reply.get("dropped"):
            raise Fault(f"{self.channel} dropped an entry, though it is not full: {reply}")
        if self.noted.setdefault(reply["seq"], request) is not request:
            raise Fault(f"{self.channel}: {reply['seq']} is {self.noted[reply['seq']]} and {request}")

    def see(self, entry: dict) -> None:
        seq = entry["seq"]
        if (before := self.delivered.setdefault(seq, entry))["data"] != entry["data"]:
            raise Fault(f"{self.channel}: {seq} was {before}, and then {entry}")

    def check(self, pending: list[dict]) -> None:
        there = {entry["seq"]: entry for entry in pending}
        for seq, request in self.noted.items():
            if seq not in self.asked and seq not in there:
                raise Fault(f"{self.channel}: {request} was acknowledged as {seq}, nobody acknowledged it, and it is not pending")
            if seq in there and there[seq]["data"] != request["data"]:
                raise Fault(f"{self.channel}: {request} was acknowledged as {seq}, which holds {there[seq]}")
        if back := there.keys() & self.acked_at.keys():
            raise Fault(f"{self.channel}: {sorted(back)[:5]} were acknowledged by a device, and are pending again")
        if unknown := there.keys() - self.noted.keys():
            raise Fault(f"{self.channel}: {sorted(unknown)[:5]} are pending, and nobody was told")

    def check_order(self, backlog: list[dict]) -> None:
        order = [(PRIORITIES.index(entry.get("priority", "medium")), entry["seq"]) for entry in backlog]
        if order != sorted(order):
            raise Fault(f"{self.channel}: its entries do not come by priority and then by age: {order[:20]} ...")


def notification(key: str, chance: random.Random) -> dict:
    return {"data": {"note": key, "pad": "x" * chance.randrange(200)}, "priority": chance.choice(PRIORITIES)}


class SocketNotifier(Speaker):
    """Publishes to the users' inboxes by right of a grant."""

    in_flight = 4
    again_sample = 8
    grants = ({"channels": "user:*", "do": ["publish"]},)

    def __init__(self, user: str, inboxes: list[Inbox], chance: random.Random):
        super().__init__(user, chance)
        self.inboxes = {inbox.channel: inbox for inbox in inboxes}

    def next_request(self, key: str) -> dict | None:
        inbox = self.chance.choice(list(self.inboxes.values()))
        return None if inbox.full() else {"type": "publish", "channel": inbox.channel} | notification(key, self.chance)

    def on_published(self, request: dict, reply: dict) -> None:
        self.inboxes[request["channel"]].note(request, reply)


class HttpNotifier(Client):
    """The same over HTTP with an API key, one at a time."""

    def __init__(self, name: str, inboxes: list[Inbox], chance: random.Random):
        self.name = name
        self.inboxes = inboxes
        self.chance = chance
        self.stopping = False
        self.waiting: tuple[Inbox, dict] | None = None
        self.answered: list[tuple[Inbox, dict, int]] = []
        self.repeats = 0

    def finished(self) -> bool:
        return self.stopping and self.waiting is None

    def progress(self) -> int:
        return len(self.answered) + self.repeats

    async def run(self, server: Server) -> None:
        while not self.finished():
            with contextlib.suppress(httpx.TransportError):
                async with self._client(server) as client:
                    for entry in self.chance.sample(self.answered, min(8, len(self.answered))):
                        await self._repeat(client, *entry)
                    while not self.finished():
                        await self._next(client)
            await asyncio.sleep(0.02)

    async def _next(self, client: httpx.AsyncClient) -> None:
        if self.waiting is None:
            inbox = self.chance.choice(self.inboxes)
            if inbox.full():
                await asyncio.sleep(0.01)
                return
            key = f"{self.name}-{len(self.answered)}"
            self.waiting = inbox, {"key": key} | notification(key, self.chance)
        inbox, request = self.waiting
        reply = await self._notify(client, inbox, request)
        inbox.note(request, reply)
        self.answered.append((inbox, request, reply["seq"]))
        self.waiting = None

    async def repeat_all(self, server: Server) -> None:
        async with self._client(server) as client:
            for entry in self.answered:
                await self._repeat(client, *entry)

    async def _repeat(self, client: httpx.AsyncClient, inbox: Inbox, request: dict, seq: int) -> None:
        reply = await self._notify(client, inbox, request)
        if not reply.get("duplicate") or reply["seq"] != seq:
            raise Fault(f"{request} was acknowledged as {seq}, and its repeat with {reply}")
        self.repeats += 1

    @staticmethod
    def _client(server: Server) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=server.url(""), headers={"X-API-Key": API_KEY}, timeout=20)

    @staticmethod
    async def _notify(client: httpx.AsyncClient, inbox: Inbox, request: dict) -> dict:
        reply = await client.post(f"/api/v1/users/{inbox.user}/notify", json=request)
        if reply.status_code != 200:
            raise Fault(f"{request} was answered with {reply.status_code} {reply.text}")
        return reply.json()


class Device(Client):
    """One of a user's connections, which follows the inbox by itself. It acknowledges most of what it gets,
    in handfuls, now and then all up to a seq, and what it left out when it gets it again."""

    manual = False

    def __init__(self, inbox: Inbox, chance: random.Random):
        self.user = inbox.user
        self.inbox = inbox
        self.chance = chance
        self.stopping = False
        self.entries = 0
        self.acks = 0

    def finished(self) -> bool:
        return self.stopping

    async def talk(self, ws) -> None:
        here: set[int] = set()
        to_ack: set[int] = set()
        waiting: dict[int, set[int]] = {}
        while not self.stopping:
            message = None
            with contextlib.suppress(TimeoutError):
                message = await receive(ws, 0.1)
            if message is not None:
                self._on_message(message, here, to_ack, waiting)
            if to_ack and (message is None or len(to_ack) >= self.chance.randint(1, 20)):
                self.acks += 1
                await self._ack(ws, here, to_ack, waiting)

    def _on_message(self, message: dict, here: set[int], to_ack: set[int], waiting: dict[int, set[int]]) -> None:
        if message.get("channel") != self.inbox.channel:
            raise Fault(f"{self.user}: unexpected message {message}")
        if message["type"] == "acked":
            self.inbox.acks.add(message.get("seq", 0))
            for seq in waiting.pop(message["id"]):  # what it leaves out was not pending any more
                self.inbox.acked_at.setdefault(seq, asyncio.get_running_loop().time())
        elif message["type"] == "message" and message.get("event") == "ack":
            self.inbox.acks.add(message["seq"])
        elif message["type"] == "message":
            seq = message["seq"]
            if seq in here:
                raise Fault(f"{self.user}: {seq} came twice on one connection")
            if self.inbox.acked_at.get(seq, self.dialed) < self.dialed:
                raise Fault(f"{self.user}: {seq} was acknowledged, and came again on a later connection")
            here.add(seq)
            self.entries += 1
            self.inbox.see(message)
            if seq in self.inbox.kept or (len(self.inbox.kept) < KEPT_LIMIT and self.chance.random() < 0.05):
                if seq not in self.inbox.asked:
                    self.inbox.kept.add(seq)
                    return
            to_ack.add(seq)
        elif message["type"] != "subscribed":
            raise Fault(f"{self.user}: unexpected message {message}")

    async def _ack(self, ws, here: set[int], to_ack: set[int], waiting: dict[int, set[int]]) -> None:
        number = self.acks
        highest = max(to_ack)
        # All up to a seq covers what this connection may not have seen, so only where there is nothing such.
        kept = any(seq <= highest for seq in self.inbox.kept)
        if not kept and self.chance.random() < 0.2 and self.inbox.known_up_to(highest, here):
            waiting[number] = {seq for seq in here if seq <= highest}
            request = {"up_to": highest}
        else:
            waiting[number] = set(to_ack)
            request = {"seqs": sorted(to_ack)}
        self.inbox.asked |= waiting[number]
        to_ack.clear()
        await send(ws, {"type": "ack", "id": number, "channel": self.inbox.channel} | request)


class Inboxes(Part):
    def __init__(self, prefix: str, chance: random.Random):
        self.inboxes = [Inbox(f"{prefix}-user-{i}") for i in range(USERS)]
        self.over_socket = [SocketNotifier(f"{prefix}-notifier-{i}", self.inboxes, random.Random(chance.random())) for i in range(2)]
        self.over_http = [HttpNotifier(f"{prefix}-http-{i}", self.inboxes, random.Random(chance.random())) for i in range(2)]
        self.devices = [Device(inbox, random.Random(chance.random())) for inbox in self.inboxes for _ in range(DEVICES)]

    def speakers(self) -> list[Client]:
        return [*self.over_socket, *self.over_http]

    def readers(self) -> list[Device]:
        return self.devices

    async def set_goals(self, server: Server) -> None:
        for device in self.devices:
            device.stopping = True

    async def audit(self, server: Server) -> None:
        await asyncio.gather(*(n.repeat_all(server) for n in (*self.over_socket, *self.over_http)))
        for inbox in self.inboxes:
            snapshot, came = await backlog_of(server, inbox)
            inbox.check(came)
            inbox.check_order(came)
            if {e["seq"] for e in came} != {e["seq"] for e in snapshot["pending"]}:
                raise Fault(f"{inbox.channel}: its snapshot and its backlog differ")
            counts = {p: sum(1 for e in came if e.get("priority", "medium") == p) for p in PRIORITIES}
            if snapshot["counts"] != counts:
                raise Fault(f"{inbox.channel}: counts {snapshot['counts']}, and there are {counts}")

    def figures(self) -> dict[str, int]:
        return {"inbox_entries": sum(len(inbox.noted) for inbox in self.inboxes), "inbox_deliveries": sum(d.entries for d in self.devices),
                "inbox_acked": sum(len(inbox.acked_at) for inbox in self.inboxes),
                "repeats": sum(n.repeats for n in (*self.over_socket, *self.over_http))}


async def backlog_of(server: Server, inbox: Inbox) -> tuple[dict, list[dict]]:
    """The snapshot after a subscribe without a position, and the pending entries that follow it."""
    async with server.connect(inbox.user) as ws:
        await receive(ws)
        await send(ws, {"type": "subscribe", "channel": inbox.channel})
        reply = await receive(ws)
        snapshot = reply["snapshot"]["data"]
        came = [entry for entry in reply["messages"]]
        while len(came) < len(snapshot["pending"]):
            came.append(await receive(ws))
        return snapshot, came
