#!/usr/bin/env python3
"""What a server does with three times the work that it can do (requirement P7).

Starts a server of its own (one shard, one core), measures how many costly publishes it carries out in a
second, then offers three times as many in open loop: once without load shedding and once with it. Latency
counts from the moment at which a publish was due, in the second half of the time. Bounded. Exits 1 when accepted work
does not keep its latency, when too little is accepted, or when the server does not recover.

    bench/overload.py [--binary build/release/tidewire] [--seconds 10] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import selectors
import sys
import time

from rig.configured import ConfiguredServer, handshake

ROOT = pathlib.Path(__file__).resolve().parents[1]
KEY = "tw_overload_bench"
CONNECTIONS = 48
ITEMS = 6000  # of the document that each publish copies: about a millisecond of the server's time
PATCH = '[{"op":"copy","from":"/big","path":"/tmp"},{"op":"remove","path":"/tmp"}]'
CONFIG = """
[server]
shards = 1
[auth]
required = false
[api]
key = "{key}"
[limits]
messages_per_minute = 60000000
burst = 1000000
adaptive = false
frames_per_second = 0
[overload]
max_lag = "{max_lag}"
[namespaces.heavy]
kind = "document"
durability = "memory"
subscribe = "anyone"
publish = "anyone"
presence = false
history_messages = 1
"""


class Server(ConfiguredServer):
    def __init__(self, binary: str, max_lag: str):
        super().__init__(binary, CONFIG.format(key=KEY, max_lag=max_lag))

    def get(self, path: str) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"X-API-Key": KEY})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def load(self) -> dict:
        return self.get("/api/health/detailed")[1]["overload"]


class Connection:
    """A WebSocket that publishes to a document of its own, and knows when each publish was due."""

    def __init__(self, port: int, number: int):
        status, self.sock, rest = handshake(port)
        assert status == 101, status
        self.sock.setblocking(False)
        self.received, self.unsent = bytearray(rest), bytearray()
        self.channel = f"heavy:{number}"
        self.due: dict[str, float] = {}
        self.accepted: list[float] = []
        self.refused: list[float] = []
        self.others = 0

    def send(self, text: str) -> None:
        payload = text.encode()
        size = len(payload)
        if size < 126:
            head = bytes([0x81, 0x80 | size])
        elif size < 65536:
            head = bytes([0x81, 0xFE]) + size.to_bytes(2, "big")
        else:
            head = bytes([0x81, 0xFF]) + size.to_bytes(8, "big")
        self.unsent += head + b"\0\0\0\0" + payload  # a mask of zeros changes nothing
        self.write()

    def publish(self, ident: str, due: float) -> None:
        self.due[ident] = due
        self.send(f'{{"type":"publish","channel":"{self.channel}","id":"{ident}","patch":{PATCH}}}')

    def write(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.unsent:
                del self.unsent[: self.sock.send(self.unsent[:262144])]

    def read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := self.sock.recv(262144):
                self.received += data
        now, at, view = time.monotonic(), 0, self.received
        while len(view) - at >= 2:
            size, body = view[at + 1] & 0x7F, at + 2
            if size == 126:
                if len(view) < body + 2:
                    break
                size, body = int.from_bytes(view[body : body + 2], "big"), body + 2
            elif size == 127:
                if len(view) < body + 8:
                    break
                size, body = int.from_bytes(view[body : body + 8], "big"), body + 8
            if len(view) < body + size:
                break
            if view[at] & 15 == 1:
                self.take(json.loads(bytes(view[body : body + size])), now)
            at = body + size
        del view[:at]

    def take(self, message: dict, now: float) -> None:
        due = self.due.pop(str(message.get("id")), None)
        if due is None:
            self.others += 1
        elif message["type"] == "published":
            self.accepted.append(now - due)
        elif message.get("code") == "unavailable" and message["retry_after_ms"] > 0:
            self.refused.append(now - due)
        else:
            raise AssertionError(message)


class Crowd:
    def __init__(self, server: Server):
        self.server = server
        self.selector = selectors.DefaultSelector()
        self.all = [Connection(server.port, i) for i in range(CONNECTIONS)]
        for one in self.all:
            self.selector.register(one.sock, selectors.EVENT_READ, one)
        document = json.dumps({"big": [f"item {i}" for i in range(ITEMS)]})
        for one in self.all:
            one.due["seed"] = time.monotonic()
            one.send(f'{{"type":"publish","channel":"{one.channel}","id":"seed","data":{document}}}')
        self.until(lambda: not any(one.due for one in self.all), 30)
        self.forget()

    def forget(self) -> None:
        for one in self.all:
            one.accepted, one.refused = [], []

    def step(self, wait_s: float) -> None:
        for key, _ in self.selector.select(wait_s):
            key.data.read()
        for one in self.all:
            if one.unsent:
                one.write()

    def until(self, done, most_s: float) -> bool:
        end = time.monotonic() + most_s
        while not done():
            if time.monotonic() > end:
                return False
            self.step(0.01)
        return True

    def capacity(self, seconds: float) -> float:
        """Publishes carried out in a second, with two under way on each connection."""
        begin, number = time.monotonic(), 0
        while time.monotonic() < begin + seconds:
            for one in self.all:
                while len(one.due) < 2:
                    number += 1
                    one.publish(f"c{number}", time.monotonic())
            self.step(0.005)
        took = time.monotonic() - begin
        count = sum(len(one.accepted) for one in self.all)
        self.until(lambda: not any(one.due for one in self.all), 30)
        self.forget()
        return count / took

    def offer(self, rate: float, seconds: float) -> dict:
        """Open loop: what is due is sent, whatever has been answered."""
        begin, settled = time.monotonic(), False
        number, next_look, statuses, ready, steps = 0, begin, {}, set(), set()
        while (now := time.monotonic()) < begin + seconds:
            while begin + number / rate <= now:
                self.all[number % CONNECTIONS].publish(f"o{number}", begin + number / rate)
                number += 1
                if number % 64 == 0:
                    self.step(0)
            self.step(0.002)
            if not settled and now >= begin + seconds / 2:
                # The first half is for the server to notice; what it does then is what counts.
                settled, counted_from, before = True, now, number
                first = percentiles(sorted(latency for one in self.all for latency in one.accepted))
                self.forget()
            if now >= next_look and now < begin + seconds - 1:
                next_look = now + 1
                with contextlib.suppress(OSError):
                    status, sock, _ = handshake(self.server.port, 3)
                    statuses[status] = statuses.get(status, 0) + 1
                    if sock:
                        sock.close()
                    ready.add(self.server.get("/readyz")[0])
                    steps.add(self.server.load()["step"])
        took, number = time.monotonic() - counted_from, number - before
        accepted = sorted(latency for one in self.all for latency in one.accepted)
        refused = sorted(latency for one in self.all for latency in one.refused)
        # What is still unanswered has waited at least so long.
        waiting = [time.monotonic() - due for one in self.all for due in one.due.values()]
        return {
            "offered_per_s": round(number / took, 1),
            "accepted_per_s": round(len(accepted) / took, 1),
            "refused_per_s": round(len(refused) / took, 1),
            "accepted_ms": percentiles(accepted),
            "accepted_ms_first_half": first,
            "refused_ms": percentiles(refused),
            "unanswered": len(waiting),
            "oldest_unanswered_ms": round(max(waiting, default=0) * 1000, 1),
            "new_connections": statuses,
            "readyz": sorted(ready),
            "steps_seen": sorted(steps),
        }

    def close(self) -> None:
        for one in self.all:
            one.sock.close()
        self.selector.close()


def percentiles(values: list[float]) -> dict | None:
    if not values:
        return None
    at = lambda share: round(values[min(len(values) - 1, int(share * len(values)))] * 1000, 1)  # noqa: E731
    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": round(values[-1] * 1000, 1)}


def run(binary: str, max_lag: str, seconds: float, rate: float | None) -> tuple[float, dict]:
    """Without a rate the capacity is measured first, and three times as much is offered."""
    server = Server(binary, max_lag)
    try:
        crowd = Crowd(server)
        capacity = rate / 3 if rate else crowd.capacity(3)
        result = crowd.offer(3 * capacity, seconds)
        if max_lag != "0s":
            began = time.monotonic()
            crowd.until(lambda: False, 0.1)
            while server.load()["step"] != "calm" and time.monotonic() - began < 60:
                crowd.until(lambda: False, 0.25)
            result["recovered_after_s"] = round(time.monotonic() - began, 1)
            result["step_after"] = server.load()["step"]
            result["shed"] = server.load()["shed_publishes"]
        crowd.close()
        return capacity, result
    finally:
        server.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "tidewire"))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--max-lag", default="100ms")
    parser.add_argument("--json")
    options = parser.parse_args()
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    seconds = min(max(options.seconds, 3), 30)
    capacity, without = run(options.binary, "0s", seconds, None)
    _, shedding = run(options.binary, options.max_lag, seconds, 3 * capacity)
    result = {"capacity_per_s": round(capacity, 1), "max_lag": options.max_lag, "shedding": shedding, "without": without}
    print(json.dumps(result, indent=1))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")

    # Without shedding what is unanswered at the end is part of the picture: it is late already.
    late_without = max(without["oldest_unanswered_ms"], (without["accepted_ms"] or {}).get("p99", 0))
    accepted = shedding["accepted_ms"]
    failures = []
    if accepted is None or accepted["p90"] * 3 > late_without:
        failures.append("accepted work did not keep its latency")
    if shedding["accepted_per_s"] < 0.25 * capacity:
        failures.append("too little was accepted")
    if shedding["refused_per_s"] <= 0:
        failures.append("nothing was shed")
    if shedding["step_after"] != "calm":
        failures.append("the server did not recover")
    if shedding["readyz"] not in ([200], []):
        failures.append("readiness was withdrawn")
    for failure in failures:
        print("FAILED:", failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
