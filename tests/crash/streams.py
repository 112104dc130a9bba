"""Streams: what was acknowledged is there, under its seq and once; what anybody saw is there; everybody
sees everything, once and in order."""

from __future__ import annotations

import asyncio
import random
import zlib

from client import Part, Reader, Speaker, whole_history
from server import Fault, Server

CHANNELS = 4
PUBLISHERS = 8
SUBSCRIBERS = 4
SLOW_PAUSES_S = (0.001, 0.005)


def data_of(key: str) -> str:
    """What is published under a key: of very different lengths, and known to whoever knows the key."""
    size = zlib.crc32(key.encode())
    return key + "/" + "x" * (size % 6000 if size % 4 == 0 else size % 60)


class Publisher(Speaker):
    def __init__(self, user: str, channel: str, chance: random.Random):
        super().__init__(user, chance)
        self.channel = channel

    def next_request(self, key: str) -> dict | None:
        return {"type": "publish", "channel": self.channel, "data": data_of(key)}


class Subscriber(Reader):
    def __init__(self, user: str, channels: list[str]):
        super().__init__(user, channels)
        self.seen: dict[str, dict[int, str]] = {channel: {} for channel in channels}

    def first_wish(self) -> dict:
        return {"history": 1_000_000}

    def on_entry(self, channel: str, entry: dict) -> None:
        self.seen[channel][entry["seq"]] = entry["data"]


class SlowSubscriber(Subscriber):
    narrow = True

    def __init__(self, user: str, channels: list[str], pause_s: float):
        super().__init__(user, channels)
        self.pause_s = pause_s


class Streams(Part):
    def __init__(self, prefix: str, chance: random.Random):
        self.channels = [f"log:{prefix}-{i}" for i in range(CHANNELS)]
        self.publishers = [Publisher(f"{prefix}-publisher-{i}", self.channels[i % CHANNELS], random.Random(chance.random()))
                           for i in range(PUBLISHERS)]
        self.subscribers = [Subscriber(f"{prefix}-subscriber-{i}", self.channels) for i in range(SUBSCRIBERS)]
        self.subscribers += [SlowSubscriber(f"{prefix}-slow-{i}", self.channels, pause_s) for i, pause_s in enumerate(SLOW_PAUSES_S)]
        self.stored: dict[str, list[dict]] = {}
        self.behind = 0  # messages that the slowest reader lacked when the publishers had ended

    def speakers(self) -> list[Publisher]:
        return self.publishers

    def readers(self) -> list[Subscriber]:
        return self.subscribers

    async def set_goals(self, server: Server) -> None:
        for channel in self.channels:
            self.stored[channel] = await whole_history(server, "auditor", channel)
        goal = {channel: len(entries) for channel, entries in self.stored.items()}
        for subscriber in self.subscribers:
            self.behind = max(self.behind, sum(seq - subscriber.seq_in(channel) for channel, seq in goal.items()))
            subscriber.goal = goal

    async def audit(self, server: Server) -> None:
        await asyncio.gather(*(publisher.repeat_all(server) for publisher in self.publishers))
        for channel in self.channels:
            entries = await whole_history(server, "auditor", channel)
            if entries != self.stored[channel]:
                raise Fault(f"{channel}: its history is another after the last crash and the repeats of all keys")
            self.compare(channel, entries)

    def compare(self, channel: str, entries: list[dict]) -> None:
        if [entry["seq"] for entry in entries] != list(range(1, len(entries) + 1)):
            raise Fault(f"{channel}: the seqs of its history are not 1, 2, 3 ...")
        stored = {entry["seq"]: entry["data"] for entry in entries}
        acknowledged = {seq: key for p in self.publishers if p.channel == channel for key, seq in p.answered.items()}
        for seq, key in acknowledged.items():
            if stored.get(seq) != data_of(key):
                raise Fault(f"{channel}: {key} was acknowledged as {seq}, which holds {stored.get(seq)}")
        if extra := stored.keys() - acknowledged.keys():
            raise Fault(f"{channel}: {sorted(extra)[:5]} are there and nobody was told; a key was stored twice")
        for subscriber in self.subscribers:
            if subscriber.seen[channel] != stored:
                wrong = next(seq for seq in sorted(stored.keys() | subscriber.seen[channel].keys())
                             if subscriber.seen[channel].get(seq) != stored.get(seq))
                raise Fault(f"{channel}: {subscriber.user} saw {subscriber.seen[channel].get(wrong)} as {wrong}, "
                            f"which holds {stored.get(wrong)}")

    def figures(self) -> dict[str, int]:
        return {"messages": sum(len(entries) for entries in self.stored.values()),
                "deliveries": sum(s.deliveries for s in self.subscribers), "slow_reader_behind": self.behind,
                "repeats": sum(p.repeats for p in self.publishers)}
