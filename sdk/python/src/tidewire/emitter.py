"""Events with types for names, as listeners or as async iterators. A listener that raises harms nobody else."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from .errors import TidewireError, make_error, misuse

E = TypeVar("E")

BUFFER_MAX = 10_000
"""What an iterator holds for a reader that does not keep up; past it the iterator ends with `overflow`."""


class Events(Generic[E]):
    """The events of some types from its making on, until the thing ends. Letting go of it ends it, and so does `close()`."""

    def __init__(self, types: tuple[type[E], ...], buffer: int) -> None:
        self._types = types
        self._max = buffer
        self._buffer: deque[E] = deque()
        self._wake = asyncio.Event()
        self._ended = False
        self._failure: TidewireError | None = None

    def __aiter__(self) -> Events[E]:
        return self

    async def __anext__(self) -> E:
        while not self._buffer:
            if self._failure:
                raise self._failure
            if self._ended:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._buffer.popleft()

    def close(self) -> None:
        """Ends it; what it holds can still be read."""
        self._end(None)

    def _push(self, event: E) -> None:
        if self._ended or not isinstance(event, self._types):
            return None
        if len(self._buffer) >= self._max:
            return self._end(make_error("overflow", f"an iterator was left unread with {self._max} events"))
        self._buffer.append(event)
        self._wake.set()
        return None

    def _end(self, error: TidewireError | None) -> None:
        if not self._ended:
            self._ended = True
            self._failure = error
        self._wake.set()


class Emitter:
    def __init__(self, *types: type) -> None:
        self._types = types
        self._listeners: dict[type, list[Callable[[Any], object]]] = {one: [] for one in types}
        # Weak: an iterator that nobody reads any more, after a `break` say, shall not fill up.
        self._streams: WeakSet[Events[Any]] = WeakSet()

    def on(self, event: type[E], listener: Callable[[E], object]) -> Callable[[], None]:
        """Calls `listener` for each event of this type. Returns what ends it."""
        self._check(event)
        if inspect.iscoroutinefunction(listener):
            raise misuse("a listener is a plain function; for `async` code iterate: async for event in thing.events(Type)")
        if not callable(listener):
            raise misuse("on(Type, listener) needs a function")

        def own(value: E) -> object:
            return listener(value)

        listeners = self._listeners[event]
        listeners.append(own)

        def off() -> None:
            if own in listeners:
                listeners.remove(own)

        return off

    def events(self, *types: type[E], buffer: int = BUFFER_MAX) -> Events[E]:
        """An async iterator over the events of these types from now on, in the order in which they happen."""
        if not types:
            raise misuse("events() needs at least one type of event")
        for one in types:
            self._check(one)
        if buffer < 1:
            raise misuse("`buffer` is a number of events, at least 1")
        stream = Events(types, buffer)
        self._streams.add(stream)
        return stream

    def _emit(self, event: object) -> None:
        for listener in tuple(self._listeners[self._type_of(event)]):
            try:
                listener(event)
            except Exception as error:
                context = {"message": f"a listener of {type(event).__name__} raised", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
        for stream in tuple(self._streams):
            stream._push(event)

    def _end_events(self, error: TidewireError | None = None) -> None:
        """Ends all iterators: after what they still hold, with the error if there is one."""
        for stream in tuple(self._streams):
            stream._end(error)
        self._streams.clear()

    def _type_of(self, event: object) -> type:
        # Errors have subclasses.
        return type(event) if type(event) in self._listeners else next(one for one in self._types if isinstance(event, one))

    def _check(self, event: object) -> None:
        if event not in self._listeners:
            raise misuse(f"no event {event!r}, but {', '.join(one.__name__ for one in self._types)}")
