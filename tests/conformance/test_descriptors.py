"""P7: running out of file descriptors is survived, and said."""

from __future__ import annotations

import asyncio
import resource

import pytest
from client import eventually
from raw import RawSocket, exchange

clause = pytest.mark.clause


@clause("9.listen", "P7")
async def test_running_out_of_descriptors_is_one_line_of_the_log(start):
    server = start()
    limit = server.descriptors() + 4
    _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (limit, hard))
    held = [await RawSocket.connect(server) for _ in range(20)]
    await eventually(lambda: "out of file descriptors" in server.log(), "the line")
    await asyncio.sleep(1)  # connections are turned away all the time
    lines = [line for line in server.log().splitlines() if "out of file descriptors" in line]
    assert len(lines) == 1 and f"limit={limit}" in lines[0], lines
    for raw in held:
        raw.close()

    async def served() -> bool:
        try:
            ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            return (await exchange(server, ask)).status == 200
        except (EOFError, ConnectionError):
            return False

    await eventually(served, "an answer once there are descriptors again")
