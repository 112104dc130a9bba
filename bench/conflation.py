#!/usr/bin/env python3
"""A dashboard: 1,000 updates a second of one document, read by 1,000 connections (requirement K2).

Starts a server of its own (one shard, one core) with the namespace `dashboard` as it is shipped, and once more with it in
memory only. A publisher, in a process of its own, merges one of 50 figures with each update, open loop, and stamps it with
the time at which it was due. What a reader sees is kept as it comes and folded afterwards. A few readers take nothing for a
while in the middle. Bounded. Exits 1 when an update was refused, when what a reader got has a hole, or when a reader does not
end on the server's final state.

    bench/conflation.py [--seconds 10] [--readers 1000] [--rate 1000] [--binary FILE] [--json FILE] [--markdown FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import time
import urllib.request

from rig.configured import ConfiguredServer, handshake

ROOT = pathlib.Path(__file__).resolve().parents[1]
SECRET = "conflation-bench-secret-conflation-bench"
KEY = "tw_conflation_bench"
BOARD = "dashboard:bench"
FIGURES = 50
STALLED = 10  # readers that take nothing in the middle third
CONFIG = """
[server]
shards = 1
[auth]
hs256_secret = "{secret}"
[api]
key = "{key}"
[limits]
messages_per_minute = 60000000
burst = 1000000
adaptive = false
frames_per_second = 0
[namespaces.dashboard]
durability = "{durability}"
"""


class Server(ConfiguredServer):
    def __init__(self, binary: str, durability: str):
        super().__init__(binary, CONFIG.format(secret=SECRET, key=KEY, durability=durability))

    def token(self, *options: str) -> str:
        command = [self.binary, "token", "--secret", SECRET, *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def snapshot(self) -> dict:
        url = f"http://127.0.0.1:{self.port}/api/v1/channels/{BOARD.replace(':', '%3A')}/snapshot"
        with urllib.request.urlopen(urllib.request.Request(url, headers={"X-API-Key": KEY}), timeout=30) as answer:
            return json.load(answer)

    def cpu_s(self) -> float:
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_mib(self) -> float:
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class WebSocket:
    def __init__(self, port: int, token: str):
        status, self.sock, rest = handshake(port, token=token)
        assert status == 101, status
        self.received = bytearray(rest)

    def send(self, *texts: str) -> None:
        out = bytearray()
        for payload in (text.encode() for text in texts):
            size = len(payload)
            out += bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + size.to_bytes(2, "big")
            out += b"\0\0\0\0" + payload  # a mask of zeros changes nothing
        self.sock.sendall(out)

    def messages(self) -> list[bytes]:
        """What has come in whole. Nothing to read: nothing."""
        with contextlib.suppress(BlockingIOError):
            data = self.sock.recv(262144)
            assert data, "the server ended the connection"
            self.received += data
        found, at, view = [], 0, self.received
        while len(view) - at >= 2:
            size, body = view[at + 1] & 0x7F, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, body = int.from_bytes(view[body : body + width], "big"), body + width
            if len(view) < body + size:
                break
            if view[at] & 15 == 1:
                found.append(bytes(view[body : body + size]))
            at = body + size
        del view[:at]
        return found


def publish(port: int, token: str, rate: float, begin: float, seconds: float, tell) -> None:
    """Runs in a process of its own: open loop, each update stamped with the time at which it was due."""
    feeder = WebSocket(port, token)
    feeder.sock.setblocking(False)
    sent = answered = 0
    refused: list[str] = []
    total = int(rate * seconds)
    latest = begin + seconds + 30
    while answered + len(refused) < total and time.monotonic() < latest:
        now, texts = time.monotonic(), []
        while sent < total and begin + sent / rate <= now:
            due_us = round((begin + sent / rate) * 1e6)
            texts.append(f'{{"type":"publish","channel":"{BOARD}","echo":false,"merge":{{"f{sent % FIGURES}":{sent * 0.37:.2f},"t":{due_us}}}}}')
            sent += 1
        feeder.sock.setblocking(True)
        if texts:
            feeder.send(*texts)
        feeder.sock.setblocking(False)
        for text in feeder.messages():
            if b'"type":"published"' in text[:64]:
                answered += 1
            elif b'"type":"error"' in text[:64]:
                refused.append(text.decode())
        time.sleep(0.001)
    tell.put({"sent": sent, "published": answered, "refused": refused[:5]})


class Reader:
    def __init__(self, port: int, token: str, known: dict[bytes, bytes]):
        self.socket = WebSocket(port, token)
        self.known = known
        self.sees: list[tuple[float, bytes]] = []
        self.socket.send(f'{{"type":"subscribe","channel":"{BOARD}"}}')
        self.socket.sock.setblocking(False)

    def read(self) -> None:
        now = time.monotonic()
        for text in self.socket.messages():
            # Not what the user's inbox says. Equal texts are kept once.
            if BOARD.encode() in text[:80]:
                self.sees.append((now, self.known.setdefault(text, text)))


def merged(target, patch):
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def folded(texts: tuple[bytes, ...], parsed: dict[bytes, dict]) -> tuple[int, object]:
    """The seq and the state that these messages lead to. Raises where one is missing."""
    seq, state = None, None
    for message in (parsed[text] for text in texts):
        if message["type"] in ("subscribed", "snapshot"):
            snapshot = message.get("snapshot", message)
            seq, state = snapshot["seq"], snapshot["data"]
        else:
            assert message["type"] == "message", message
            first = message.get("first_seq", message["seq"])
            assert first == seq + 1, f"a hole: {seq} is followed by {first}"
            seq = message["seq"]
            state = merged(state, message["merge"]) if "merge" in message else message["data"]
    return seq, state


def percentiles(values: list[float]) -> dict:
    values.sort()
    at = lambda share: round(values[min(len(values) - 1, int(share * len(values)))] * 1000, 1)  # noqa: E731
    return {"p50": at(0.5), "p99": at(0.99), "max": round(values[-1] * 1000, 1)}


def run(options: argparse.Namespace, durability: str) -> dict:
    server = Server(options.binary, durability)
    try:
        token, known = server.token("--user", "reader"), {}
        readers = [Reader(server.port, token, known) for _ in range(options.readers)]
        selector = selectors.DefaultSelector()
        for one in readers:
            selector.register(one.socket.sock, selectors.EVENT_READ, one)

        def step_until(done, latest: float) -> None:
            while not done() and time.monotonic() < latest:
                for key, _ in selector.select(0.02):
                    key.data.read()

        step_until(lambda: all(one.sees for one in readers), time.monotonic() + 30)
        grant = server.token("--user", "feeder", "--grant", f"{BOARD}=publish")
        tells, begin = multiprocessing.Queue(), time.monotonic() + 0.5
        feeder = multiprocessing.Process(target=publish, args=(server.port, grant, options.rate, begin, options.seconds, tells))
        feeder.start()
        step_until(lambda: False, begin)
        cpu, slow = server.cpu_s(), readers[: min(STALLED, len(readers) // 2)]
        step_until(lambda: False, begin + options.seconds / 3)
        for one in slow:
            selector.unregister(one.socket.sock)
        step_until(lambda: False, begin + options.seconds * 2 / 3)
        for one in slow:
            selector.register(one.socket.sock, selectors.EVENT_READ, one)
        step_until(lambda: False, begin + options.seconds)
        cpu, end = server.cpu_s() - cpu, time.monotonic()
        step_until(lambda: not tells.empty(), end + 40)
        told = tells.get(timeout=5)
        feeder.join()
        final = server.snapshot()
        # A conflated delivery may be a window away.
        is_last = lambda text: f'"t":{final["data"]["t"]}'.encode() in text  # noqa: E731
        step_until(lambda: all(is_last(one.sees[-1][1]) for one in readers), time.monotonic() + 10)
        selector.close()

        parsed = {text: json.loads(text) for text in known}
        ends: dict[tuple[bytes, ...], bool] = {}
        right, ages, shown = 0, [], []
        steady = [one for one in readers if one not in slow]
        for one in readers:
            texts = tuple(text for _, text in one.sees)
            if texts not in ends:
                ends[texts] = folded(texts, parsed) == (final["seq"], final["data"])
            right += ends[texts]
        for one in steady:
            stamps = [(at, parsed[text]["merge"]["t"] / 1e6) for at, text in one.sees if "merge" in parsed[text]]
            # How old the newest update is when it arrives, and how old it has become when the next one replaces it.
            ages += [at - due for at, due in stamps]
            shown += [at - due for (_, due), (at, _) in zip(stamps, stamps[1:])]
        deliveries = sum(sum(begin <= at <= end for at, _ in one.sees) for one in steady) / len(steady)
        return {
            "durability": durability,
            "updates_per_s": round(told["sent"] / options.seconds, 1),
            "published": told["published"],
            "refused": told["refused"],
            "server_cpu_percent": round(100 * cpu / (end - begin), 1),
            "server_rss_mib": round(server.rss_mib(), 1),
            "deliveries_per_reader_per_s": round(deliveries / (end - begin), 2),
            "cpu_us_per_delivery": round(1e6 * cpu / (deliveries * len(readers)), 2),
            "age_at_arrival_ms": percentiles(ages),
            "age_when_replaced_ms": percentiles(shown),
            "final_seq": final["seq"],
            "readers": len(readers),
            "stalled": len(slow),
            "readers_on_final_state": right,
        }
    finally:
        server.end()


def markdown(results: list[dict], options: argparse.Namespace) -> str:
    lines = [
        f"# A dashboard: {options.rate:,.0f} updates a second, {options.readers:,} readers",
        "",
        f"`bench/conflation.py --seconds {options.seconds:.0f}`, one shard on one core, publisher and readers on another. The namespace is",
        "`dashboard` as it is shipped (`conflate_ms` 100, durable), and the same in memory. Each update merges one of "
        f"{FIGURES} figures.",
        f"{results[0]['stalled']} of the readers take nothing for the middle third of the time. Ages in milliseconds, of the newest update in a",
        "delivery, from the moment at which it was due to be published; the publisher and the readers are Python and share a core, so they are",
        "upper bounds.",
        "",
        "| | server CPU | µs per delivery | deliveries per reader and second | age at arrival p50 / p99 | age when replaced p50 / p99 / max | refused | on the final state |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        age, shown = one["age_at_arrival_ms"], one["age_when_replaced_ms"]
        lines.append(
            f"| {one['durability']} | {one['server_cpu_percent']} % of a core | {one['cpu_us_per_delivery']} | {one['deliveries_per_reader_per_s']} "
            f"| {age['p50']} / {age['p99']} | {shown['p50']} / {shown['p99']} / {shown['max']} | {len(one['refused'])} of {one['final_seq']:,} "
            f"| {one['readers_on_final_state']:,} of {one['readers']:,} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "tidewire"))
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--json")
    parser.add_argument("--markdown")
    options = parser.parse_args()
    options.seconds = min(max(options.seconds, 3), 60)
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    results = [run(options, durability) for durability in ("disk", "memory")]
    print(json.dumps(results, indent=1))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1) + "\n")
    if options.markdown:
        pathlib.Path(options.markdown).write_text(markdown(results, options))
    failures = []
    for one in results:
        if one["refused"] or one["published"] != one["final_seq"]:
            failures.append(f"{one['durability']}: not every update was published: {one['refused']}")
        if one["readers_on_final_state"] != one["readers"]:
            failures.append(f"{one['durability']}: a reader did not end on the final state")
    for failure in failures:
        print("FAILED:", failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
