"""Every example, started for real with its one command."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import BINARY, ROOT
from websockets.asyncio.client import connect

EXAMPLES = ROOT / "examples"
KEY = {"Authorization": "Bearer tw_dev"}


def answers(url: str) -> httpx.Response:
    """Its answer, once it listens; an example's first start installs what it needs."""
    end = time.monotonic() + 300
    while True:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < end, f"{url} does not answer"
            time.sleep(0.05)


def in_browser(script: str, *arguments: str) -> None:
    """Runs a script of this folder, which drives pages in Chromium."""
    done = subprocess.run(["node", Path(__file__).with_name(script), *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


def history(server: str, channel: str) -> list[Any]:
    path = f"{server}/api/v1/channels/{channel.replace(':', '%3A')}/history"
    return [(one.get("event"), one["data"]) for one in httpx.get(path, headers=KEY).raise_for_status().json()["messages"]]


def test_every_example_is_listed_and_has_its_readme() -> None:
    names = sorted(path.parent.name for path in EXAMPLES.glob("*/start.sh"))
    assert names == ["agent-run", "dashboard-curl", "fastapi", "node", "react-chat"]
    for name in names:
        assert f"[{name}]({name}/README.md)" in (EXAMPLES / "README.md").read_text()
        assert f"examples/run {name}\n" in (EXAMPLES / name / "README.md").read_text()
    sources = [path for path in EXAMPLES.glob("*/*.*") if path.suffix in (".html", ".mjs", ".py", ".sh")]
    assert len(sources) > 10
    for path in [*sources, *EXAMPLES.glob("*/src/*")]:
        assert not re.search(r"(src|href|from|import)[ =(]*[\"']https?:", path.read_text()), f"{path} loads from elsewhere"


def test_run_says_what_there_is(start: Callable[..., Any]) -> None:
    assert "agent-run|dashboard-curl|fastapi|node|react-chat" in start(EXAMPLES / "run", "nothing").ends(status=2)


def test_fastapi(start: Callable[..., Any], server: str, port: str) -> None:
    start(EXAMPLES / "run", "fastapi", TIDEWIRE_URL=server, PORT=port)
    site = f"http://127.0.0.1:{port}"
    assert "Orders" in answers(site).text
    with httpx.Client(base_url=site) as ann, httpx.Client(base_url=site) as bob:
        assert ann.get("/token").status_code == 401
        assert ann.post("/orders", json={"item": "tea"}).status_code == 401
        for name, password in (("ann", "moon"), ("nobody", ""), ("", "")):
            assert ann.post("/login", json={"name": name, "password": password}).status_code == 403
        assert ann.post("/login", json={"name": "ann", "password": "tide"}).json() == {"name": "ann"}
        assert bob.post("/login", json={"name": "bob", "password": "moon"}).status_code == 200
        assert httpx.get(f"{site}/token", cookies={"session": "ann.00"}).status_code == 401
        number = ann.post("/orders", json={"item": "tea"}).json()["number"]
        assert bob.post("/orders/999/ready").status_code == 404
        assert ann.post("/orders", json={"item": ""}).status_code == 422
        token = ann.get("/token").json()

        async def inbox() -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {token['token']}"}
            async with asyncio.timeout(20), connect(f"{server.replace('http', 'ws')}/ws", additional_headers=headers) as socket:
                await asyncio.to_thread(bob.post, f"/orders/{number}/ready")
                while True:
                    message: dict[str, Any] = json.loads(await socket.recv())
                    if message.get("channel") == "user:ann" and message["type"] == "message":
                        return message

        assert token["url"] == server
        message = asyncio.run(inbox())
        assert (message["event"], message["data"]) == ("ready", {"number": number, "by": "bob"})
        assert history(server, "room:orders") == [
            ("placed", {"number": number, "item": "tea", "by": "ann"}),
            ("ready", {"number": number}),
        ]
    in_browser("fastapi.mjs", site)


def test_fastapi_says_when_tidewire_is_down(start: Callable[..., Any], port: str) -> None:
    start(EXAMPLES / "run", "fastapi", TIDEWIRE_URL="http://127.0.0.1:1", PORT=port)
    site = f"http://127.0.0.1:{port}"
    answers(site)
    with httpx.Client(base_url=site, timeout=30) as ann:
        ann.post("/login", json={"name": "ann", "password": "tide"})
        response = ann.post("/orders", json={"item": "tea"})
        assert response.status_code == 503 and "unavailable" in response.json()["detail"]


def test_node(start: Callable[..., Any], server: str, port: str) -> None:
    program = start(EXAMPLES / "run", "node", TIDEWIRE_URL=server, PORT=port)
    program.until("open http://127.0.0.1:")
    site = f"http://127.0.0.1:{port}"
    assert httpx.post(f"{site}/say", json={"name": "ann", "text": "hello"}).json()["seq"] == 1
    assert history(server, "room:node") == [("said", {"name": "ann", "text": "hello"})]
    for bad in (b"", b"{", b"null", b"{}", b'{"name":"ann","text":7}', b"x" * 20_000):
        assert httpx.post(f"{site}/say", content=bad).status_code in (400, 413)
    assert httpx.get(f"{site}/token?name=a b").status_code == 400
    assert httpx.get(f"{site}/nothing").status_code == 404
    in_browser("node.mjs", site)


def test_react_chat(start: Callable[..., Any], server: str, port: str) -> None:
    start(EXAMPLES / "run", "react-chat", TIDEWIRE_URL=server, PORT=port).until("open http://127.0.0.1:")
    site = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{site}/token?name=a b").status_code == 400
    in_browser("react_chat.mjs", site)


def story() -> str:
    source = (EXAMPLES / "agent-run/agent.py").read_text()
    return " ".join(re.findall(r'STORY = """(.*?)"""', source, re.DOTALL)[0].split())


def test_agent_run_with_a_server_for_the_time_being(start: Callable[..., Any]) -> None:
    program = start(EXAMPLES / "run", "agent-run", LISTEN="127.0.0.1:0", TIDEWIRE_BINARY=str(BINARY))
    output = program.ends()
    url = re.findall(r"tidewire ready on (\S+)", output)[0]
    assert "[away for 1.5 s after" in output
    text = re.sub(r"\n?\[[^\]]*\]\n?|tidewire ready on \S+\n|installing.*\n", "", output)
    assert text.strip() == story()
    assert f"[complete, {{'tokens': {len(story().split())}}}]" in output
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/healthz")


def test_a_reader_that_is_killed_has_the_whole_text_when_it_is_started_again(start: Callable[..., Any], server: str) -> None:
    start(EXAMPLES / "run", "agent-run", TIDEWIRE_URL=server).ends()
    python, folder = EXAMPLES / ".venv/bin/python", EXAMPLES / "agent-run"
    channel = "agent:killed"
    agent = start(python, folder / "agent.py", channel, TIDEWIRE_URL=server)
    reader = start(python, folder / "reader.py", channel, TIDEWIRE_URL=server)
    reader.until("harbour")
    reader.kill()
    again = start(python, folder / "reader.py", channel, TIDEWIRE_URL=server).ends()
    agent.ends()
    assert again.startswith(story()) and "[complete" in again


def test_dashboard_curl(start: Callable[..., Any], server: str) -> None:
    watching = start(EXAMPLES / "dashboard-curl/watch.sh", TIDEWIRE_URL=server)
    watching.until('"type":"subscribed"')
    start(EXAMPLES / "run", "dashboard-curl", TIDEWIRE_URL=server, COUNT="5", INTERVAL="0.15").ends()
    document = httpx.get(f"{server}/api/v1/channels/dashboard%3Amachine/snapshot", headers=KEY).json()["data"]
    assert document["updates"] == 5
    assert set(document["figures"]) == {"load", "memory_used_percent", "uptime_s"}
    watching.until('"updates":5')
    wrong = {"TIDEWIRE_URL": server, "TIDEWIRE_KEY": "tw_wrong", "COUNT": "1"}
    assert "403" in start(EXAMPLES / "run", "dashboard-curl", **wrong).ends(status=None)
