"""Listeners and iterators."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from typing import Any

import pytest

from tidewire import RefusedError, TidewireError
from tidewire.emitter import Emitter
from tidewire.errors import ForbiddenError, make_error

from ..support.fake_server import turn


@dataclass(frozen=True)
class Sound:
    name: str


@dataclass(frozen=True)
class Light:
    name: str


class Thing(Emitter):
    def __init__(self) -> None:
        super().__init__(Sound, Light, TidewireError)

    def say(self, *names: str) -> None:
        for name in names:
            self._emit(Sound(name))

    def shine(self, name: str) -> None:
        self._emit(Light(name))

    def end(self, error: TidewireError | None = None) -> None:
        self._end_events(error)

    def fail(self, code: str) -> None:
        self._emit(make_error(code, ""))


async def test_listeners_are_called_in_their_order_until_they_are_taken_off() -> None:
    thing, seen = Thing(), list[str]()
    off = thing.on(Sound, lambda sound: seen.append(f"1{sound.name}"))
    thing.on(Sound, lambda sound: seen.append(f"2{sound.name}"))
    thing.say("a")
    off()
    off()
    thing.say("b")
    assert seen == ["1a", "2a", "2b"]


async def test_the_same_function_may_listen_twice_each_taken_off_alone() -> None:
    thing, seen = Thing(), list[Sound]()
    thing.on(Sound, seen.append)
    thing.on(Sound, seen.append)()
    thing.say("a")
    assert len(seen) == 1


@pytest.mark.reports
async def test_a_listener_that_raises_is_reported_and_harms_nobody() -> None:
    thing, seen = Thing(), list[Sound]()

    def broken(sound: Sound) -> None:
        raise ValueError(sound.name)

    thing.on(Sound, broken)
    thing.on(Sound, seen.append)
    thing.say("a")
    assert seen == [Sound("a")]


async def test_errors_come_whatever_their_class() -> None:
    thing, seen = Thing(), list[TidewireError]()
    thing.on(TidewireError, seen.append)
    thing.fail("forbidden")
    assert isinstance(seen[0], ForbiddenError)


async def test_what_can_t_be_listened_to_is_refused_with_what_to_do() -> None:
    thing = Thing()
    with pytest.raises(RefusedError, match="Sound, Light, TidewireError"):
        thing.on(str, print)
    with pytest.raises(RefusedError, match="needs a function"):
        thing.on(Sound, None)  # type: ignore[arg-type]

    async def listen(sound: Sound) -> None: ...

    with pytest.raises(RefusedError, match="async for"):
        thing.on(Sound, listen)
    for wrong in (thing.events, lambda: thing.events(int), lambda: thing.events(Sound, buffer=0)):
        with pytest.raises(RefusedError):
            wrong()


async def test_an_iterator_gives_what_comes_also_what_came_before_it_was_asked() -> None:
    thing = Thing()
    sounds = thing.events(Sound)
    thing.say("a", "b")
    thing.shine("x")
    assert [await anext(sounds), await anext(sounds)] == [Sound("a"), Sound("b")]
    waiting = asyncio.ensure_future(anext(sounds))
    await turn()
    thing.say("c")
    assert await waiting == Sound("c")


async def test_an_iterator_over_several_types_keeps_their_order() -> None:
    thing = Thing()
    both: Any = thing.events(Sound, Light)
    thing.say("a")
    thing.shine("x")
    thing.say("b")
    thing.end()
    assert [one async for one in both] == [Sound("a"), Light("x"), Sound("b")]


async def test_an_iterator_serves_several_who_wait_and_one_may_give_up() -> None:
    thing = Thing()
    sounds = thing.events(Sound)
    waiting = [asyncio.ensure_future(anext(sounds)) for _ in range(3)]
    await turn()
    waiting[0].cancel()
    await turn()
    thing.say("a", "b")
    assert {await waiting[1], await waiting[2]} == {Sound("a"), Sound("b")}


async def test_an_iterator_ends_with_the_thing_after_what_it_holds() -> None:
    thing = Thing()
    sounds = thing.events(Sound)
    thing.say("a")
    thing.end()
    thing.say("b")
    assert [one async for one in sounds] == [Sound("a")]
    failing = thing.events(Sound)
    thing.say("c")
    thing.end(make_error("forbidden", "no"))
    assert await anext(failing) == Sound("c")
    for _ in range(2):
        with pytest.raises(ForbiddenError):
            await anext(failing)


async def test_an_iterator_can_be_ended_while_somebody_waits() -> None:
    thing = Thing()
    sounds = thing.events(Sound)
    waiting = asyncio.ensure_future(anext(sounds, None))
    await turn()
    sounds.close()
    assert await waiting is None


async def test_an_iterator_that_nobody_reads_ends_with_overflow_instead_of_growing() -> None:
    thing = Thing()
    sounds = thing.events(Sound, buffer=3)
    thing.say("a", "b", "c", "d", "e")
    assert [(await anext(sounds)).name for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(TidewireError) as overflow:
        await anext(sounds)
    assert overflow.value.code == "overflow"


async def test_leaving_the_loop_lets_go_of_the_iterator() -> None:
    thing = Thing()
    sounds = thing.events(Sound)
    thing.say("a")
    async for _ in sounds:
        break
    assert len(thing._streams) == 1
    del sounds
    gc.collect()
    assert len(thing._streams) == 0
