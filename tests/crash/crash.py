#!/usr/bin/env python3
"""Kills the server with SIGKILL at random moments under load and checks that nothing acknowledged or
seen is lost, repeated or renumbered (requirement M6, protocol §5 guarantees 1 to 3).

    crash.py [--rounds 5] [--seed N] [--json FILE] [--with inbox,documents | --without inbox,documents]

Publishers send messages with idempotency keys from many connections, several in flight, and after each
crash repeat what was not answered, and some of what was. Subscribers, slow ones among them, resume several
channels in one request. Users are notified over HTTP and WebSocket, and their devices acknowledge; documents
are merged and patched: both as soon as the server says that it has them (`capabilities`). Every ten rounds
all is brought to an end, killed once more, and compared with every answer and every delivery that any client
has seen; then it goes on with new channels.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import pathlib
import platform
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time

from client import Client, Part, receive
from documents import Documents
from inboxes import Inboxes
from server import Fault, Server
from streams import Streams

GENERATION_ROUNDS = 10
STALLED_S = 90  # without any progress; how long all takes depends on who else uses the machine
OPTIONAL = {"inbox": ("notifications", Inboxes), "documents": ("state", Documents)}


async def chosen_parts(server: Server, wanted: set[str], unwanted: set[str]) -> dict[str, type[Part]]:
    async with server.connect("auditor") as ws:
        capabilities = (await receive(ws))["capabilities"]
    found = {name for name, (capability, _) in OPTIONAL.items() if capability in capabilities}
    return {"streams": Streams} | {name: part for name, (_, part) in OPTIONAL.items() if name in (found | wanted) - unwanted}


async def watch(tasks: list[asyncio.Task], seconds: float) -> None:
    """Waits, and raises what any client has found wrong meanwhile."""
    await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        if task.done():
            task.result()


async def finish(tasks: list[asyncio.Task], clients: list[Client], what: str) -> None:
    """Waits for all. A slow reader's narrow socket takes some 4 KiB each time that this process has the CPU, so
    that on a busy machine it may need minutes; it is stalled when it gets nothing more."""
    progress = -1
    loop = asyncio.get_running_loop()
    moved_at = loop.time()
    late = set(tasks)
    while late:
        _, late = await asyncio.wait(late, timeout=1, return_when=asyncio.FIRST_EXCEPTION)
        for task in tasks:
            if task.done():
                task.result()
        if (now := sum(client.progress() for client in clients)) != progress or not late:
            progress, moved_at = now, loop.time()
        elif loop.time() - moved_at > STALLED_S:
            raise Fault(f"{len(late)} {what} have had nothing for {STALLED_S} s: "
                        f"{sorted(client.describe() for client in clients if not client.finished())}")


async def generation(server: Server, parts: list[Part], rounds: int, chance: random.Random) -> None:
    speakers = [client for part in parts for client in part.speakers()]
    readers = [client for part in parts for client in part.readers()]
    speaking = [asyncio.create_task(client.run(server)) for client in speakers]
    reading = [asyncio.create_task(client.run(server)) for client in readers]
    try:
        for _ in range(rounds):
            await watch(speaking + reading, chance.uniform(0.3, 1.5))
            server.crash(chance)
        await watch(speaking + reading, 0.3)
        for part in parts:
            part.stop_speaking()
        await finish(speaking, speakers, "speakers")
        for part in parts:
            await part.set_goals(server)
        await finish(reading, readers, "readers")
        server.crash(chance)
        for part in parts:
            await part.audit(server)
    finally:
        for task in speaking + reading:
            task.cancel()
        await asyncio.gather(*speaking, *reading, return_exceptions=True)


async def run(arguments: argparse.Namespace, folder: str) -> dict:
    chance = random.Random(arguments.seed)
    server = Server(folder)
    server.start()
    began = time.monotonic()
    figures: dict[str, float] = {"rounds": 0}
    try:
        kinds = await chosen_parts(server, arguments.wanted, arguments.unwanted)
        print(f"with {', '.join(kinds)}", flush=True)
        while figures["rounds"] < arguments.rounds:
            rounds = min(GENERATION_ROUNDS, arguments.rounds - int(figures["rounds"]))
            parts = [part(f"g{int(figures['rounds'])}", chance) for part in kinds.values()]
            await generation(server, parts, rounds, chance)
            figures["rounds"] += rounds
            for part in parts:
                for name, value in part.figures().items():
                    figures[name] = figures.get(name, 0) + value
            print(f"{time.monotonic() - began:6.1f} s  {figures | {'kills': server.kills}}", flush=True)
        code = server.end(signal.SIGTERM)
        if code != 0:
            raise Fault(f"the server ended with {code}")
    finally:
        if server.process.poll() is None:
            server.end(signal.SIGKILL)
    return figures | {"kills": server.kills, "lost": 0, "repeated": 0, "checked": sorted(kinds), "seconds": round(time.monotonic() - began, 1),
                      "recovery_s_median": round(statistics.median(server.starts_s[1:]), 3), "recovery_s_max": round(max(server.starts_s[1:]), 3)}


def names(text: str) -> set[str]:
    chosen = {name for name in text.split(",") if name}
    if unknown := chosen - OPTIONAL.keys():
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(OPTIONAL)}")
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--json", type=pathlib.Path, help="write the result to this file")
    parser.add_argument("--with", dest="wanted", type=names, default=set(), help="also these, whatever `capabilities` says")
    parser.add_argument("--without", dest="unwanted", type=names, default=set(), help="not these")
    arguments = parser.parse_args()
    print(f"crash test, seed {arguments.seed}, {arguments.rounds} rounds", flush=True)
    folder = tempfile.mkdtemp(prefix="tidewire-crash-")
    try:
        result = asyncio.run(run(arguments, folder))
    except Fault as fault:
        sys.exit(f"FAILED: {fault}\nseed {arguments.seed}; the server's data is kept in {folder}")
    shutil.rmtree(folder)
    result |= {"seed": arguments.seed, "date": time.strftime("%Y-%m-%d"), "kernel": platform.release()}
    print(json.dumps(result))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
