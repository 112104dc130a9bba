"""A bad network in the test's hands: a TCP proxy that delays, stalls and cuts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class _Pair:
    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.writers = (client, server)
        self.stalled = False

    def cut(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Proxy:
    def __init__(self, target: int) -> None:
        self._target = target
        self._pairs: set[_Pair] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self.delay_s = 0.0
        """Each way."""
        self.is_down = False
        """New connections are cut at once."""
        self.count = 0
        """Connections that were made."""
        self.cuts_after: list[int] = []
        """Each next connection is cut after the next of these many bytes from the server: in the middle of whatever it is."""

    @classmethod
    @contextlib.asynccontextmanager
    async def to(cls, target: int) -> AsyncIterator[Proxy]:
        proxy = cls(target)
        proxy._listener = await asyncio.start_server(proxy._begin, "127.0.0.1", 0)
        try:
            yield proxy
        finally:
            proxy._listener.close()
            proxy.cut()
            for task in tuple(proxy._tasks):
                task.cancel()
            await asyncio.gather(*proxy._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._listener is not None
        return f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Ends all connections, as a lost network does when it comes back."""
        for pair in tuple(self._pairs):
            pair.cut()

    def stall(self) -> None:
        """Nothing comes through any more, and nobody is told. New connections work."""
        for pair in self._pairs:
            pair.stalled = True

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._accept(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        self.count += 1
        limit = self.cuts_after.pop(0) if self.cuts_after else None
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(writer, server_writer)
        self._pairs.add(pair)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(pair, reader, server_writer, None))
                group.create_task(self._pass(pair, server_reader, writer, limit))
        finally:
            self._pairs.discard(pair)
            pair.cut()

    async def _pass(self, pair: _Pair, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                while pair.stalled:
                    await asyncio.sleep(0.01)
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                if limit is not None:
                    data = data[:limit]
                    limit -= len(data)
                writer.write(data)
                await writer.drain()
                if limit == 0:
                    # What was written before still arrives.
                    break
            if writer.can_write_eof():
                writer.write_eof()
            await asyncio.sleep(0.05)
        pair.cut()
