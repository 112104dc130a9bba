"""A small JSON client over `websockets`: requests with replies, expectations with time limits.

One Client is one connection. A task reads it all the time; what no test has asked for yet waits in
`inbox`, in order. Every wait has a limit, and a wait that fails tells what did arrive.
"""

from __future__ import annotations

import asyncio
import collections
import itertools
import json
import socket
import uuid
from json import JSONDecoder
from json.decoder import scanstring

from described import watch
from server import Server
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed

WAIT_S = 20.0
_decoder = JSONDecoder()


class Message(dict):
    """A received JSON object that still knows its text."""

    raw: str

    @classmethod
    def parse(cls, text: str) -> Message:
        message = cls(json.loads(text))
        message.raw = text
        return message

    def text_of(self, *path: str | int) -> str:
        """The exact JSON text of one value, e.g. text_of("messages", 0, "data")."""
        return json_slice(self.raw, *path)


def json_slice(text: str, *path: str | int) -> str:
    """The characters of `text` in which the value at `path` is written."""

    def skip(at: int) -> int:
        while text[at] in " \t\r\n":
            at += 1
        return at

    at = skip(0)
    for step in path:
        opening, at, index = text[at], skip(at + 1), 0
        while True:
            if opening == "{":
                name, at = scanstring(text, at + 1, False)
                at = skip(skip(at) + 1)
            else:
                name, index = index, index + 1
            if name == step:
                break
            _, at = _decoder.raw_decode(text, at)
            at = skip(at)
            if text[at] != ",":
                raise KeyError(step)
            at = skip(at + 1)
    _, end = _decoder.raw_decode(text, at)
    return text[at:end]


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}{uuid.uuid4().hex[:10]}"


def channel(namespace: str = "room") -> str:
    return unique(f"{namespace}:t-")


class Client:
    open_clients: set[Client] = set()

    def __init__(self, ws):
        self.ws = ws
        self.inbox: collections.deque[Message] = collections.deque()
        self.binary: list[bytes] = []
        self.ended = False
        self.described = True  # what comes must be as /asyncapi.json says
        self.hello: Message | None = None
        self._ids = itertools.count(1)
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())
        Client.open_clients.add(self)

    @classmethod
    async def connect(
        cls,
        server: Server,
        token: str | None = None,
        *,
        path: str = "/ws",
        query: str = "",
        headers: dict | None = None,
        subprotocols: list[str] | None = None,
        hello: bool = True,
        inbox: bool = False,
        local: str | None = None,
        **options,
    ) -> Client:
        """Opens a connection; `token` goes into the Authorization header. With `hello` (the rule)
        it waits for `connected`. Unless `inbox` is wanted, the inbox is not followed (§7)."""
        if not inbox:
            query = "inbox=manual" + ("&" + query if query else "")
        headers = dict(headers or {})
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if local:
            options["local_addr"] = (local, 0)
        options.setdefault("compression", None)
        ws = await ws_connect(
            server.ws_url(path + ("?" + query if query else "")),
            additional_headers=headers,
            subprotocols=subprotocols,
            max_size=None,
            ping_interval=None,
            open_timeout=WAIT_S,
            close_timeout=2,
            proxy=None,
            **options,
        )
        client = cls(ws)
        if hello:
            client.hello = await client.next()
            assert client.hello["type"] == "connected", client.hello
        return client

    async def _read(self) -> None:
        try:
            async for frame in self.ws:
                async with self._news:
                    if isinstance(frame, bytes):
                        self.binary.append(frame)
                    else:
                        self.inbox.append(Message.parse(frame))
                        if self.described:
                            watch.message(self.inbox[-1])
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        finally:
            async with self._news:
                self.ended = True
                self._news.notify_all()

    # -- sending

    async def send(self, message: dict | str | bytes) -> None:
        await self.ws.send(json.dumps(message) if isinstance(message, dict) else message)

    async def request(self, message: dict, timeout_s: float = WAIT_S) -> Message:
        """Sends a request with an id of its own (or the one it has); the reply with that id."""
        message = {"id": f"r{next(self._ids)}"} | message
        await self.send(message)
        return await self.expect(timeout_s=timeout_s, id=message["id"])

    async def subscribe(self, name: str, **options) -> Message:
        reply = await self.request({"type": "subscribe", "channel": name, **options})
        assert reply["type"] == "subscribed", reply
        return reply

    async def publish(self, name: str, data: object = None, **options) -> Message:
        reply = await self.request({"type": "publish", "channel": name, "data": data, **options})
        assert reply["type"] == "published", reply
        return reply

    async def publish_many(self, name: str, count: int, make=lambda i: i) -> list[Message]:
        """Publishes make(1)..make(count) without waiting in between; the replies, in order."""
        tag = unique("m")
        for i in range(1, count + 1):
            await self.send({"type": "publish", "channel": name, "data": make(i), "id": f"{tag}-{i}"})
        return [await self.expect(type="published", id=f"{tag}-{i}") for i in range(1, count + 1)]

    # -- receiving

    async def _wait(self, ready, timeout_s: float, what: str):
        async def loop():
            async with self._news:
                while (found := ready()) is None:
                    if self.ended:
                        raise AssertionError(
                            f"connection ended ({self.ws.close_code} {self.ws.close_reason!r}) "
                            f"before {what}; unread: {list(self.inbox)[:10]}"
                        )
                    await self._news.wait()
                return found

        try:
            return await asyncio.wait_for(loop(), timeout_s)
        except TimeoutError:
            raise AssertionError(
                f"no {what} in {timeout_s} s; {len(self.inbox)} unread: {list(self.inbox)[:10]}"
            ) from None

    async def next(self, timeout_s: float = WAIT_S) -> Message:
        """The very next message, whatever it is."""
        return await self._wait(lambda: self.inbox.popleft() if self.inbox else None, timeout_s, "message")

    async def expect(self, timeout_s: float = WAIT_S, **fields) -> Message:
        """The next message with all these fields; others stay unread."""

        def find():
            for i, message in enumerate(self.inbox):
                if all(k in message and message[k] == v for k, v in fields.items()):
                    del self.inbox[i]
                    return message
            return None

        return await self._wait(find, timeout_s, str(fields))

    async def take(self, count: int, timeout_s: float = WAIT_S, **fields) -> list[Message]:
        """The next `count` messages with these fields, in order."""
        return [await self.expect(timeout_s, **fields) for _ in range(count)]

    async def deliveries(self, name: str, count: int, timeout_s: float = WAIT_S) -> list[Message]:
        return await self.take(count, timeout_s, type="message", channel=name)

    async def barrier(self) -> list[Message]:
        """A ping and its pong; everything that was unread when the pong came, taken out.

        The pong comes from the connection's own shard: it is behind what the same connection's earlier
        replies were behind, not behind what another connection caused or what is still read from the log.
        For those, wait for the messages themselves (`next`, `deliveries`) or ask the channel first."""
        tag = unique("barrier-")
        await self.request({"type": "ping", "id": tag})
        before = list(self.inbox)
        self.inbox.clear()
        return before

    async def expect_error(self, message: dict | str | bytes, code: str, **fields) -> Message:
        """Sends what must be refused; the `error` with this code, and the connection still lives."""
        await self.send(message)
        reply = await self.expect(type="error")
        assert reply["code"] == code, reply
        assert isinstance(reply["message"], str) and reply["message"], reply
        for key, value in fields.items():
            assert reply.get(key) == value, reply
        pong = await self.request({"type": "ping", "data": "alive"})
        assert pong["type"] == "pong"
        return reply

    async def refused(self, message: dict, code: str) -> Message:
        """A request whose reply is `error` with this code, with `request` and `channel` named."""
        reply = await self.request(message)
        assert reply["type"] == "error", reply
        assert reply["code"] == code, reply
        assert reply["request"] == message["type"], reply
        return reply

    async def closed(self, timeout_s: float = WAIT_S) -> tuple[int | None, str | None]:
        """Waits for the end of the connection; the close code and reason that the server sent."""

        async def loop():
            async with self._news:
                while not self.ended:
                    await self._news.wait()

        try:
            await asyncio.wait_for(loop(), timeout_s)
        except TimeoutError:
            raise AssertionError(f"not closed in {timeout_s} s; unread: {list(self.inbox)[:10]}") from None
        await self.ws.wait_closed()
        received = self.ws.protocol.close_rcvd
        return (received.code, received.reason) if received else (None, None)

    # -- ending

    async def close(self) -> None:
        Client.open_clients.discard(self)
        await self.ws.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def reset(self) -> None:
        """Ends the TCP connection with a reset, without a close frame."""
        Client.open_clients.discard(self)
        sock = self.ws.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.ws.transport.abort()
        await asyncio.gather(self._reader, return_exceptions=True)

    @classmethod
    async def close_all(cls) -> None:
        await asyncio.gather(*(c.close() for c in list(cls.open_clients)), return_exceptions=True)


async def reloaded_to(server: Server, /, **settings) -> None:
    """Has the server reload, with these settings over the present ones; every shard goes by them then."""
    done = server.log().count("reload done")
    server.reload(settings)
    await eventually(lambda: server.log().count("reload done") > done, "the end of the reload")


async def eventually(check, what: str, timeout_s: float = WAIT_S):
    """Asks again until `check()` (may be a coroutine function) returns something true. For states
    that only polling shows, such as statistics and descriptors."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert loop.time() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.05)


async def poll_value(read, wanted, what: str, timeout_s: float = WAIT_S) -> None:
    """Asks again until read() equals `wanted`; on failure tells the last value."""
    last: list = [None]

    async def check():
        value = read()
        last[0] = await value if asyncio.iscoroutine(value) else value
        return last[0] == wanted

    try:
        await eventually(check, what, timeout_s)
    except AssertionError:
        raise AssertionError(f"{what}: {last[0]!r} in place of {wanted!r}") from None
