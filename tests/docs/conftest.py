"""The pages are run with what the conformance suite has: the server, tokens, the described messages."""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "conformance")]

import pytest  # noqa: E402
from server import Server, binary  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _the_binary_exists():
    if not binary().exists():
        pytest.exit(f"no binary at {binary()}: build it or set TIDEWIRE_BINARY", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for server in Server.live:
            report.sections.append(("log of the server", "\n".join(server.log().splitlines()[-30:])))
