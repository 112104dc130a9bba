"""Fixtures: one shared server per module (what the module's SERVER says), servers of a test's own,
coroutines as tests, logs of the servers with every failure, a list of the covered clauses."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import inspect
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import httpx  # noqa: E402
import pytest  # noqa: E402
from client import Client  # noqa: E402
from described import watch  # noqa: E402
from raw import RawSocket  # noqa: E402
from server import API_KEY, Server, binary  # noqa: E402

TEST_LIMIT_S = 60


def pytest_addoption(parser):
    parser.addoption("--clauses", action="store_true", help="list the covered clauses, run nothing")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--clauses"):
        return
    table: dict[str, set[str]] = collections.defaultdict(set)
    rows: set[str] = set()
    for item in items:
        for mark in item.iter_markers("clause"):
            table[mark.args[0]].add(item.nodeid.split("[")[0])
            rows.update(mark.args[1:])
    for name in sorted(table):
        print(name)
        for test in sorted(table[name]):
            print(f"    {test}")
    print("requirement rows:", " ".join(sorted(rows)))
    items.clear()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs a coroutine test in a loop of its own, with a limit, and closes what it left open."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    mark = pyfuncitem.get_closest_marker("slow_clock")
    limit_s = mark.args[0] if mark else TEST_LIMIT_S

    async def run():
        try:
            async with asyncio.timeout(limit_s):
                await pyfuncitem.obj(**arguments)
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await Client.close_all()
            Client.open_clients.clear()
            RawSocket.close_all()

    asyncio.run(run())
    return True


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for server in Server.live:
            tail = "\n".join(server.log().splitlines()[-40:])
            report.sections.append((f"log of the server on port {server.port}", tail))


class _Shared:
    """The module's server; started anew when a test before has brought it down."""

    def __init__(self, spec: dict):
        self.spec = spec
        self.server: Server | None = None

    def get(self) -> Server:
        if self.server is None or not self.server.alive():
            if self.server:
                self.server.forget()
            self.server = Server(**self.spec).start()
        return self.server


@pytest.fixture(scope="session", autouse=True)
def _the_binary_exists():
    if not binary().exists():
        pytest.exit(f"no binary at {binary()}: build it or set TIDEWIRE_BINARY", returncode=2)


@pytest.fixture(autouse=True)
def _everything_is_described():
    """Whatever a test's clients receive must be as the descriptions of the API say."""
    watch.take()
    yield
    faults = watch.take()
    assert not faults, "not as described:\n" + "\n".join(faults)


@pytest.fixture(scope="module")
def _shared(request):
    shared = _Shared(getattr(request.module, "SERVER", {}))
    yield shared
    if shared.server:
        shared.server.stop()


@pytest.fixture
def server(_shared):
    """The module's server, which must outlive every test."""
    running = _shared.get()
    yield running
    assert running.alive(), f"the server ended with {running.process.poll()}\n{running.log()[-4000:]}"


@pytest.fixture
def start():
    """start(settings, **options) runs a server for this test alone, and stops it after."""
    started: list[Server] = []

    def run(settings=None, **options) -> Server:
        started.append(Server(settings, **options))
        return started[-1].start()

    yield run
    errors = []
    for one in started:
        if one in Server.live:
            try:
                one.stop()
            except AssertionError as error:
                errors.append(error)
    if errors:
        raise errors[0]


@pytest.fixture
def http():
    """http(server, method, path, …) with the API key, unless `key` says otherwise (None: without)."""
    with httpx.Client(timeout=10, trust_env=False, verify=False) as session:

        def call(server, method, path, *, key=API_KEY, headers=None, **options):
            head = dict(headers or {})
            if key is not None:
                head.setdefault("Authorization", f"Bearer {key}")
            answer = session.request(method, server.url(path), headers=head, **options)
            watch.answer(answer)
            return answer

        yield call
