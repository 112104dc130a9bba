"""A server in the test's hands: it sees what the client sends and says what the test wants it to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

from tidewire import Ending, Socket, Tidewire, TransportEvents, TransportRequest

HELLO: dict[str, Any] = {
    "type": "connected",
    "protocol": 1,
    "connection_id": "c-1",
    "tenant": "default",
    "authenticated": True,
    "user": {"id": 1, "type": "user"},
    "timestamp": 1_700_000_000_000,
    "capabilities": ["messaging"],
    "heartbeat_ms": 30_000,
    "limits": {"message_bytes": 1_048_576, "messages_per_minute": 60_000, "burst": 1000, "channels": 1000},
}


class FakeSocket:
    def __init__(self, server: FakeServer, request: TransportRequest, events: TransportEvents) -> None:
        self._server = server
        self._events = events
        self.sent: list[dict[str, Any]] = []
        self.token: str | None = None
        self.ended: int | None = None
        self._opening = asyncio.get_running_loop().create_task(self._open(request))

    async def _open(self, request: TransportRequest) -> None:
        try:
            self.token = await request.token()
        except Exception as error:
            self.cut(1006, error=error)

    def send(self, text: str) -> None:
        message = json.loads(text)
        self.sent.append(message)
        if self._server.answers_pings and message["type"] == "ping":
            asyncio.get_running_loop().call_soon(self.say, {**message, "type": "pong"})

    def close(self, code: int, reason: str = "") -> None:
        self.ended = code

    async def wait_closed(self) -> None:
        await asyncio.wait({self._opening})

    def say(self, message: object) -> None:
        if self.ended is None:
            # A number beyond all numbers is JSON as well.
            self._events.message(message if isinstance(message, str) else json.dumps(message).replace("Infinity", "1e999"))

    def cut(self, code: int = 1006, reason: str = "", error: Any = None, retry_after_s: float | None = None) -> None:
        if self.ended is None:
            self.ended = code
            self._events.close(Ending(code, reason, error, retry_after_s))

    def welcome(self, **fields: Any) -> None:
        self.say({**HELLO, **fields})

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The requests of one type, oldest first."""
        return [message for message in self.sent if message["type"] == kind]

    def last(self, kind: str) -> dict[str, Any]:
        found = self.all(kind)
        assert found, f"no {kind} was sent, but {self.sent}"
        return found[-1]

    def subscribed(self, **fields: Any) -> None:
        """Answers every entry of the last subscribe."""
        request = self.last("subscribe")
        for entry in request["channels"]:
            base = {"type": "subscribed", "id": request["id"], "channel": entry["channel"], "kind": "stream"}
            self.say({**base, "epoch": "e1", "seq": 0, "messages": [], **fields})

    def message(self, channel: str, seq: int, data: Any = None, **fields: Any) -> None:
        self.say(
            {"type": "message", "channel": channel, "seq": seq, "timestamp": 1_700_000_000_000 + seq, "data": data, **fields}
        )

    def published(self, seq: int, **fields: Any) -> None:
        request = self.last("publish")
        answer = {"type": "published", "id": request["id"], "channel": request["channel"], "epoch": "e1", "seq": seq}
        self.say({**answer, **fields})

    def refuse(self, kind: str, code: str, **fields: Any) -> None:
        request = self.last(kind)
        known = {"channel": request["channel"]} if "channel" in request else {}
        self.say({"type": "error", "id": request["id"], "request": kind, **known, "code": code, "message": "no", **fields})


class FakeServer:
    """A transport."""

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        self.answers_pings = True

    def connect(self, request: TransportRequest, events: TransportEvents) -> Socket:
        socket = FakeSocket(self, request, events)
        self.sockets.append(socket)
        return socket

    @property
    def socket(self) -> FakeSocket:
        """The present connection."""
        return self.sockets[-1]

    def client(self, **options: Any) -> Tidewire:
        return Tidewire("ws://fake/ws", **{"transport": self, "token": lambda: "a.b.c", **options})

    async def connected(self, hello: dict[str, Any] | None = None, **options: Any) -> Tidewire:
        """A client with a connection."""
        client = self.client(**options)
        connecting = asyncio.ensure_future(client.connect())
        await turn()
        self.socket.welcome(**(hello or {}))
        await connecting
        return client

    async def again(self, **fields: Any) -> FakeSocket:
        """Lets the client come back."""
        before = len(self.sockets)
        while len(self.sockets) == before:
            await asyncio.sleep(0.05)
        await turn()
        self.socket.welcome(**fields)
        await turn()
        return self.socket


async def turn() -> None:
    """Lets everything happen that waits for no timer."""
    for _ in range(30):
        await asyncio.sleep(0)


def begin(work: Awaitable[Any]) -> asyncio.Future[Any]:
    """Starts it; that it fails is looked at later, or not at all."""
    future = asyncio.ensure_future(work)
    future.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return future


def record(source: Any, *types: type) -> list[Any]:
    """What happens from now on, in order."""
    seen: list[Any] = []
    for one in types:
        source.on(one, seen.append)
    return seen
