"""The cases of the Autobahn test suite as tests of our own, against `tidewire serve --echo`.

Every module runs once for each compression.mode. Groups 1 to 10 offer permessage-deflate too, so that with
compression agreed the uncompressed messages obey the same rules; with mode `off` the offer must be ignored.
The end of the run has one line a group. TIDEWIRE_AUTOBAHN_FULL=1 sends the full number of messages in
groups 9.7, 9.8, 12 and 13.
"""

from __future__ import annotations

import asyncio
import collections
import inspect
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "conformance")]

import pytest  # noqa: E402
from raw import RawSocket  # noqa: E402
from server import Server, binary  # noqa: E402

MODES = ("shared", "dedicated", "off")
TEST_LIMIT_S = 600
NUMBER = re.compile(r"\[.*?(\d+)(?:\.\d+)+")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}

    async def limited():
        async with asyncio.timeout(TEST_LIMIT_S):
            await pyfuncitem.obj(**arguments)

    try:
        asyncio.run(limited())
    finally:
        RawSocket.close_all()
    return True


@pytest.fixture(scope="session", autouse=True)
def _the_binary_exists():
    if not binary().exists():
        pytest.exit(f"no binary at {binary()}: build it or set TIDEWIRE_BINARY", returncode=2)


@pytest.fixture(scope="module", params=MODES)
def mode(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def _running(mode):
    with Server(echo=True, env={"TIDEWIRE_COMPRESSION_MODE": mode}) as running:
        yield running


@pytest.fixture
def server(_running):
    """The module's server, which must outlive every case."""
    yield _running
    assert _running.alive(), f"the server ended with {_running.process.poll()}\n{_running.log()[-4000:]}"


@pytest.fixture
def offer() -> str:
    return "permessage-deflate; client_max_window_bits"


def pytest_terminal_summary(terminalreporter):
    """One line a group: how many cases ran, in how many modes, and how many were not strictly right."""
    table: dict[int, collections.Counter] = collections.defaultdict(collections.Counter)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            found = NUMBER.search(report.nodeid)
            if found and (report.when == "call" or outcome == "error"):
                table[int(found[1])][outcome] += 1
    if table:
        terminalreporter.section("cases by group, all modes")
    for group in sorted(table):
        counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(table[group].items()))
        terminalreporter.write_line(f"group {group:>2}: {counts}")
