#!/usr/bin/env python3
"""What Brotli saves against permessage-deflate, on real documents: brotli.py [--repeats N] [--out FOLDER].

Starts the server, puts documents into it, asks for them again and again over a WebSocket that takes plain
text, permessage-deflate (both of the server's modes) or Brotli (`?accept=br`), and writes the bytes of the
reply's frame and the server's CPU time for a reply. Needs what tests/requirements.txt names.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import pathlib
import random
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "conformance"))

from client import Client  # noqa: E402
from raw import RawWebSocket  # noqa: E402
from server import Server  # noqa: E402
from tokens import mint  # noqa: E402

DEFLATE = {"Sec-WebSocket-Extensions": "permessage-deflate"}
FORMS = {  # name: compression.mode, query, headers
    "plain": ("shared", "", {}),
    "deflate, shared": ("shared", "", DEFLATE),
    "deflate, dedicated": ("dedicated", "", DEFLATE),
    "Brotli": ("shared", "&accept=br", DEFLATE),
}
NAMESPACES = {
    "doc": {"kind": "document", "durability": "memory"},
    "room": {"history_messages": 1000},
    "agent": {"kind": "agent", "durability": "memory", "subscribe": "authenticated"},
}


def sentences() -> list[str]:
    text = re.sub(r"[|`*#>]", "", (ROOT / "docs" / "protocol.md").read_text())
    return [s.strip() for s in re.split(r"(?<=[.:;])\s+", text) if 20 < len(s) < 300]


def dashboard() -> dict:
    """Twenty services with their figures of the last hour; the same in every run."""
    noise = random.Random(1)
    return {
        f"service-{i}": {
            "status": "ok",
            "requests": noise.randrange(10**6),
            "latency_ms": {p: round(noise.uniform(1, 90), 2) for p in ("p50", "p90", "p99")},
            "by_minute": [noise.randrange(500, 900) for _ in range(60)],
        }
        for i in range(20)
    }


async def fill(server: Server) -> dict[str, dict]:
    """Puts everything in; the request that asks for each."""
    client, talk = await Client.connect(server, mint("writer")), sentences()
    documents = {
        "this project's settings": json.loads((ROOT / "spec" / "settings.json").read_text()),
        "dashboard of 20 services": dashboard(),
        "an npm lock file": json.loads((ROOT / "sdk" / "typescript" / "package-lock.json").read_text()),
    }
    asked = {}
    for i, (name, value) in enumerate(documents.items()):
        await client.publish(f"doc:{i}", value)
        asked[name] = {"type": "subscribe", "channel": f"doc:{i}"}
    for i in range(1000):
        await client.publish("room:chat", {"text": talk[i % len(talk)], "id": f"m-{i:06d}"})
    asked["a chat's last 100 messages"] = {"type": "history", "channel": "room:chat", "limit": 100}
    asked["a chat's last 1000 messages"] = {"type": "history", "channel": "room:chat", "limit": 1000}
    for sentence in talk:
        await client.publish("agent:1", {"text": sentence + " "}, event="delta")
    asked["text of an agent's run"] = {"type": "subscribe", "channel": "agent:1"}
    return asked


def cpu_ns(server: Server) -> int:
    tasks = pathlib.Path(f"/proc/{server.process.pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())


async def measure(server: Server, request: dict, query: str, headers: dict, repeats: int) -> tuple[int, float]:
    """Bytes of a connection's first such reply, microseconds of the server's time for one."""
    headers = headers | {"Authorization": f"Bearer {mint('reader')}"}
    raw = await RawWebSocket.open(server, "/ws?inbox=manual" + query, headers=headers, hello=False)
    await raw.message()  # `connected`
    sizes, text = [], json.dumps(request)
    undo = json.dumps({"type": "unsubscribe", "channel": request["channel"]})
    await raw.text(text)
    sizes.append(len((await raw.message()).payload))
    began = cpu_ns(server)
    for _ in range(repeats):
        if request["type"] == "subscribe":  # what is subscribed has no snapshot again
            await raw.text(undo)
            await raw.message()
        await raw.text(text)
        sizes.append(len((await raw.message()).payload))
    spent = cpu_ns(server) - began
    raw.close()
    return sizes[0], spent / repeats / 1000


async def table(repeats: int) -> list[str]:
    rows: dict[str, dict[str, tuple[int, float]]] = {}
    for form, (mode, query, headers) in FORMS.items():
        with Server({"compression": {"mode": mode}, "namespaces": NAMESPACES, "server": {"shards": 1}}) as server:
            for name, request in (await fill(server)).items():
                rows.setdefault(name, {})[form] = await measure(server, request, query, headers, repeats)
            await Client.close_all()
    lines = ["| reply | " + " | ".join(FORMS) + " | Brotli saves |", "|---|" + "---:|" * (len(FORMS) + 1)]
    for name, cells in rows.items():
        saved = 1 - cells["Brotli"][0] / cells["deflate, shared"][0]
        # A kept context makes of the same reply again almost nothing, so its time says little.
        timed = {form: f", {cpu:,.0f} us" if "dedicated" not in form else "" for form, (_, cpu) in cells.items()}
        shown = [f"{size:,} B{timed[form]}" for form, (size, _) in cells.items()]
        lines.append(f"| {name} | " + " | ".join(shown) + f" | {saved:.0%} |")
    return lines


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--repeats", type=int, default=200)
    p.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results")
    options = p.parse_args()
    lines = asyncio.run(table(options.repeats))
    about = [
        f"# Brotli and permessage-deflate on whole replies, {datetime.date.today()}",
        "",
        f"Bytes of a connection's first reply on the wire, and the server's CPU time for one reply ({options.repeats} each, the"
        " request included; one shard). The last column compares bytes with `deflate, shared`. `bench/brotli.py` makes this page.",
        "",
        *lines,
        "",
        machine_line(),
    ]
    text = "\n".join(about) + "\n"
    print(text)
    (options.out / f"{datetime.date.today()}-brotli.md").write_text(text)


def machine_line() -> str:
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return f"Machine: {model[1] if model else 'unknown'}, shared with other work, so CPU times are good to a tenth or so."


if __name__ == "__main__":
    main()
