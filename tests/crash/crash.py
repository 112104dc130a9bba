#!/usr/bin/env python3
"""Kills the server with SIGKILL at random moments under load and checks that nothing acknowledged or
seen is lost, repeated or renumbered (requirement M6, protocol §5 guarantees 1 to 3).

    crash.py [--rounds 5] [--seed N] [--json FILE]

Publishers send messages with idempotency keys from many connections, several in flight, and after each
crash repeat what was not answered. Subscribers resume from their positions. At the end the whole history
is compared with every answer and every delivery that any client has seen.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

import websockets

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("TIDEWIRE_BINARY", ROOT / "build" / "release" / "tidewire"))
CHANNELS = [f"log:crash-{i}" for i in range(4)]
PUBLISHERS = 8
SUBSCRIBERS = 4
IN_FLIGHT = 16
GONE = (OSError, websockets.WebSocketException, asyncio.TimeoutError)
WIDE = {
    "TIDEWIRE_LIMITS_MESSAGES_PER_MINUTE": "100000000",
    "TIDEWIRE_LIMITS_BURST": "1000000",
    "TIDEWIRE_LIMITS_FRAMES_PER_SECOND": "0",
    "TIDEWIRE_SERVER_SHARDS": os.environ.get("TIDEWIRE_TEST_SHARDS", "2"),
}


class Fault(Exception):
    pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    def __init__(self, folder: str):
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen | None = None

    def start(self) -> float:
        """Seconds until it was ready."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            [BINARY, "serve", "--dev", "--listen", f"127.0.0.1:{self.port}", "--data", self.folder,
             "--log-level", "error"],
            stdout=subprocess.PIPE, env=os.environ | WIDE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("tidewire ready"):
            raise Fault(f"the server did not start again (exit {self.process.wait()})")
        return time.monotonic() - began

    def end(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        code = self.process.wait()
        self.process.stdout.close()
        return code

    def connect(self, user: str):
        token = subprocess.run([BINARY, "token", "--user", user], capture_output=True, text=True, check=True).stdout.strip()
        return websockets.connect(f"ws://127.0.0.1:{self.port}/ws", max_size=None, open_timeout=5,
                                  additional_headers={"Authorization": f"Bearer {token}"})


class Publisher:
    """Sends key after key to one channel, and repeats a key until it is answered."""

    def __init__(self, number: int):
        self.channel = CHANNELS[number % len(CHANNELS)]
        self.user = f"publisher-{number}"
        self.next = 0
        self.waiting: dict[str, bool] = {}
        self.answered: dict[str, int] = {}  # key -> seq

    async def run(self, server: Server, stopping: asyncio.Event) -> None:
        while not (stopping.is_set() and not self.waiting):
            with contextlib.suppress(*GONE):
                async with server.connect(self.user) as ws:
                    await self.talk(ws, stopping)
            await asyncio.sleep(0.05)

    async def talk(self, ws, stopping: asyncio.Event) -> None:
        await asyncio.wait_for(ws.recv(), 5)
        for key in list(self.waiting):
            await self.send(ws, key)
        while self.waiting or not stopping.is_set():
            while len(self.waiting) < IN_FLIGHT and not stopping.is_set():
                key = f"{self.user}-{self.next}"
                self.next += 1
                self.waiting[key] = True
                await self.send(ws, key)
            self.on_reply(json.loads(await asyncio.wait_for(ws.recv(), 10)))

    async def send(self, ws, key: str) -> None:
        await ws.send(json.dumps({"type": "publish", "id": key, "channel": self.channel, "key": key, "data": key}))

    def on_reply(self, reply: dict) -> None:
        if reply["type"] != "published":
            raise Fault(f"unexpected answer {reply}")
        key, seq = reply["id"], reply["seq"]
        if self.answered.setdefault(key, seq) != seq:
            raise Fault(f"{key} was answered with {self.answered[key]} and then with {seq}")
        self.waiting.pop(key, None)


class Subscriber:
    """Follows every channel, and resumes where it was."""

    def __init__(self, number: int):
        self.user = f"subscriber-{number}"
        self.positions: dict[str, dict] = {}
        self.seen: dict[str, dict[int, str]] = {channel: {} for channel in CHANNELS}

    async def run(self, server: Server, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            with contextlib.suppress(*GONE):
                async with server.connect(self.user) as ws:
                    await self.talk(ws, stopping)
            await asyncio.sleep(0.05)

    async def talk(self, ws, stopping: asyncio.Event) -> None:
        await asyncio.wait_for(ws.recv(), 5)
        wanted = [{"channel": channel} | ({"since": self.positions[channel]} if channel in self.positions else {"history": 1000000})
                  for channel in CHANNELS]
        await ws.send(json.dumps({"type": "subscribe", "channels": wanted}))
        while not stopping.is_set():
            with contextlib.suppress(asyncio.TimeoutError):
                self.on_message(json.loads(await asyncio.wait_for(ws.recv(), 0.2)))

    def on_message(self, message: dict) -> None:
        channel = message.get("channel")
        if message["type"] == "subscribed":
            before = self.positions.get(channel)
            if before and not message.get("recovered"):
                raise Fault(f"{channel} was not recovered from {before}: {message.get('reason')}")
            self.positions.setdefault(channel, {"epoch": message["epoch"], "seq": 0})
            for entry in message["messages"]:
                self.on_delivery(channel, entry)
        elif message["type"] == "message":
            self.on_delivery(channel, message)
        else:
            raise Fault(f"unexpected message {message}")

    def on_delivery(self, channel: str, entry: dict) -> None:
        position = self.positions[channel]
        if entry["seq"] != position["seq"] + 1:
            raise Fault(f"{self.user} in {channel}: {entry['seq']} after {position['seq']}")
        position["seq"] = entry["seq"]
        self.seen[channel][entry["seq"]] = entry["data"]


async def whole_history(server: Server, channel: str) -> list[dict]:
    entries: list[dict] = []
    async with server.connect("auditor") as ws:
        await ws.recv()
        while True:
            await ws.send(json.dumps({"type": "history", "channel": channel, "limit": 1000,
                                      "after": entries[-1]["seq"] if entries else 0}))
            page = json.loads(await ws.recv())["messages"]
            if not page:
                return entries
            entries += page


def compare(channel: str, entries: list[dict], publishers: list[Publisher], subscribers: list[Subscriber]) -> None:
    if [entry["seq"] for entry in entries] != list(range(1, len(entries) + 1)):
        raise Fault(f"{channel}: the seqs of its history are not 1, 2, 3 ...")
    stored = {entry["seq"]: entry["data"] for entry in entries}
    if len(set(stored.values())) != len(stored):
        raise Fault(f"{channel}: a key was stored twice")
    for publisher in publishers:
        if publisher.channel != channel:
            continue
        for key, seq in publisher.answered.items():
            if stored.get(seq) != key:
                raise Fault(f"{channel}: {key} was acknowledged as {seq}, which holds {stored.get(seq)}")
        order = [data for data in stored.values() if data.startswith(publisher.user + "-")]
        if len(order) != len(publisher.answered):
            raise Fault(f"{channel}: {publisher.user} has {len(order)} messages and {len(publisher.answered)} answers")
    for subscriber in subscribers:
        for seq, data in subscriber.seen[channel].items():
            if stored.get(seq) != data:
                raise Fault(f"{channel}: {subscriber.user} saw {data} as {seq}, which holds {stored.get(seq)}")


async def run(rounds: int, chance: random.Random) -> dict:
    with tempfile.TemporaryDirectory(prefix="tidewire-crash-") as folder:
        server = Server(folder)
        server.start()
        publishers = [Publisher(i) for i in range(PUBLISHERS)]
        subscribers = [Subscriber(i) for i in range(SUBSCRIBERS)]
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(client.run(server, stopping)) for client in (*publishers, *subscribers)]
        starts = []
        try:
            for _ in range(rounds):
                _, _ = await asyncio.wait(tasks, timeout=chance.uniform(0.4, 1.6), return_when=asyncio.FIRST_EXCEPTION)
                for task in tasks:
                    if task.done():
                        task.result()
                server.end(signal.SIGKILL)
                starts.append(server.start())
            await asyncio.sleep(0.5)
            stopping.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 30)
            total = 0
            for channel in CHANNELS:
                entries = await whole_history(server, channel)
                compare(channel, entries, publishers, subscribers)
                total += len(entries)
            code = server.end(signal.SIGTERM)
            if code != 0:
                raise Fault(f"the server ended with {code}")
        finally:
            for task in tasks:
                task.cancel()
            if server.process.poll() is None:
                server.end(signal.SIGKILL)
        return {"rounds": rounds, "messages": total,
                "deliveries": sum(len(seen) for s in subscribers for seen in s.seen.values()),
                "restart_s_max": round(max(starts), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--json", help="append the result to this file")
    arguments = parser.parse_args()
    print(f"crash test, seed {arguments.seed}, {arguments.rounds} rounds", flush=True)
    try:
        result = asyncio.run(run(arguments.rounds, random.Random(arguments.seed)))
    except Fault as fault:
        sys.exit(f"FAILED: {fault}")
    print(f"nothing lost, nothing repeated: {result}")
    if arguments.json:
        with open(arguments.json, "a") as out:
            out.write(json.dumps(result | {"seed": arguments.seed}) + "\n")


main()
