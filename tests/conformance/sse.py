"""A client of `GET /sse` on a bare socket, which reads the stream as the HTML standard says.

Nothing is read in the background: a test decides when, so that it can also be slow or end anywhere.
"""

from __future__ import annotations

import dataclasses
import urllib.parse

from client import Message
from described import watch
from raw import WAIT_S, RawSocket, Response
from server import Server


@dataclasses.dataclass
class Event:
    """A block of the stream between two empty lines."""

    message: Message | None = None
    id: str | None = None
    names: list[str] = dataclasses.field(default_factory=list)  # of its fields, in order
    comment: str | None = None
    retry_ms: int | None = None


def query_of(**parameters) -> str:
    """A query string; a list repeats its parameter."""
    return urllib.parse.urlencode(parameters, doseq=True)


def request_of(
    server: Server,
    query: str,
    headers: dict[str, str | list[str]] | None = None,
    *,
    method: str = "GET",
    version: str = "HTTP/1.1",
) -> bytes:
    fields: dict[str, str | list[str]] = {
        "Host": f"{server.host}:{server.port}",
        "Accept": "text/event-stream",
    } | (headers or {})
    lines = [f"{method} /sse{'?' + query if query else ''} {version}"]
    for name, value in fields.items():
        lines += [f"{name}: {one}" for one in (value if isinstance(value, list) else [value])]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Stream:
    """An open stream. `last_id` is what a browser would come back with."""

    def __init__(self, raw: RawSocket, response: Response):
        self.raw = raw
        self.response = response
        self.last_id = ""
        self.hello: Message | None = None

    @classmethod
    async def open(
        cls,
        server: Server,
        *channels: str,
        token: str | None = None,
        last_id: str | None = None,
        query: str = "",
        headers: dict | None = None,
        version: str = "HTTP/1.1",
        hello: bool = True,
        inbox: bool = False,
        **options,
    ) -> Stream:
        """Follows `channels`; the token goes into the Authorization header. Unless `inbox` is wanted, the
        inbox is not followed (§7)."""
        fields = dict(headers or {})
        if token is not None:
            fields["Authorization"] = f"Bearer {token}"
        if last_id is not None:
            fields["Last-Event-ID"] = last_id
        own = {} if inbox else {"inbox": "manual"}
        both = "&".join(part for part in (query_of(channel=list(channels), **own), query) if part)
        raw = await RawSocket.connect(server, **options)
        await raw.send(request_of(server, both, fields, version=version))
        stream = await cls.begun(raw, hello=hello)
        stream.last_id = stream.last_id or last_id or ""
        return stream

    @classmethod
    async def begun(cls, raw, *, hello: bool = True) -> Stream:
        """The stream that a request which was sent already is answered with."""
        head = (await raw.read_until(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ")[1])
        headers = [(k.strip().lower(), v.strip()) for k, _, v in (x.partition(":") for x in head[1:] if x)]
        assert status == 200, (head, bytes(raw.buffer[:500]))
        stream = cls(raw, Response(status, headers, b""))
        if hello:
            stream.hello = (await stream.event()).message
            assert stream.hello["type"] == "connected", stream.hello
        return stream

    async def block(self, timeout_s: float = WAIT_S) -> Event:
        """The next block, whatever it is; EOFError at the end of the stream."""
        text = (await self.raw.read_until(b"\n\n", timeout_s)).decode()[:-2]
        out, data = Event(), []
        for line in text.split("\n"):
            assert "\r" not in line and "\0" not in line, line
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not name:
                out.comment = value
                continue
            out.names.append(name)
            if name == "data":
                data.append(value)
            elif name == "id":
                out.id = value
            elif name == "retry":
                out.retry_ms = int(value)
        if data:
            out.message = Message.parse("\n".join(data))
            watch.message(out.message)
            if out.id is not None:
                self.last_id = out.id
        return out

    async def event(self, timeout_s: float = WAIT_S) -> Event:
        """The next block with data."""
        while (event := await self.block(timeout_s)).message is None:
            pass
        return event

    async def message(self, timeout_s: float = WAIT_S) -> Message:
        return (await self.event(timeout_s)).message

    async def expect(self, timeout_s: float = WAIT_S, **fields) -> Event:
        """The very next event, which has all these fields."""
        event = await self.event(timeout_s)
        found = event.message
        assert all(k in found and found[k] == v for k, v in fields.items()), (found, fields)
        return event

    async def answers(self, *channels: str) -> list[Message]:
        """One `subscribed` or `error` for each channel, in order."""
        found = [await self.message() for _ in channels]
        assert [m.get("channel", "") for m in found] == list(channels), found
        assert all(m["type"] in {"subscribed", "error"} for m in found), found
        return found

    async def rest(self, timeout_s: float = WAIT_S) -> list[Event]:
        """Everything up to the end of the stream, which must come."""
        events = []
        while True:
            try:
                events.append(await self.block(timeout_s))
            except EOFError:
                return events

    def close(self) -> None:
        self.raw.close()
