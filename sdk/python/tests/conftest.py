"""A coroutine as a test runs on a loop of its own: with virtual time in tests/unit, with real time in tests/live."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Iterator
from typing import Any

import pytest

from .support.server import BINARY, Server
from .support.virtual_loop import VirtualLoop

_LIVE_S = 60


def pytest_configure(config: pytest.Config) -> None:
    if not BINARY.exists():
        pytest.exit(f"no binary at {BINARY}: build it, or name it in TIDEWIRE_BINARY", returncode=2)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    live = "live" in pyfuncitem.path.parts
    reported: list[dict[str, Any]] = []

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        async with asyncio.timeout(_LIVE_S if live else 1e6):
            await pyfuncitem.obj(**arguments)

    with asyncio.Runner(loop_factory=None if live else VirtualLoop) as runner:
        runner.run(run())
    expected = pyfuncitem.get_closest_marker("reports") is not None
    assert bool(reported) == expected, reported
    return True


@pytest.fixture(autouse=True)
def _chance(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests are the same in each run, and their wall clock is the loop's."""
    if "unit" not in request.path.parts:
        return
    random.seed(1)
    for module in ("client", "connection"):
        monkeypatch.setattr(f"tidewire.{module}.unix_time", lambda: 1_700_000_000 + asyncio.get_running_loop().time())


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all who do not need one of their own, with limits that are no subject."""
    limits = {"LIMITS_MESSAGES_PER_MINUTE": "1000000", "LIMITS_BURST": "10000", "LIMITS_FRAMES_PER_SECOND": "0"}
    attempts = {"AUTH_ATTEMPTS_PER_MINUTE": "1000000"}
    policy = {"NAMESPACES_LOG_CONTENT_POLICY": "reject"}
    running = Server({f"TIDEWIRE_{name}": value for name, value in {**limits, **attempts, **policy}.items()})
    yield running
    running.dispose()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may kill."""
    running = Server({})
    yield running
    running.dispose()
