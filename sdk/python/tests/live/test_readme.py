"""Every code block of the README passes the type checker, and those that stand alone run."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import tidewire

from ..support.server import KEY, Server

HERE = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)
_GIVEN = {
    "fetch_token": "def fetch_token() -> str: ...",
    "client": "client = Tidewire('')",
}


def complete(block: str) -> str:
    """The block with what it takes as given."""
    if re.search(r"^import|^from", block, re.MULTILINE):
        return block
    given = [text for name, text in _GIVEN.items() if name in block and f"{name} = " not in block]
    lines = [
        "from tidewire import *",
        "async def block() -> None:",
        *textwrap.indent("\n".join(given) + "\n" + block, "    ").split("\n"),
    ]
    return "\n".join(lines) + "\n"


def test_the_blocks_pass_the_type_checker(tmp_path: Path) -> None:
    assert len(BLOCKS) > 5
    pytest.importorskip("mypy")
    files = []
    for at, block in enumerate(BLOCKS):
        files.append(tmp_path / f"block{at}.py")
        files[-1].write_text(complete(block))
    arguments = [
        "--config-file=",
        "--ignore-missing-imports",
        "--allow-untyped-decorators",
        "--cache-dir",
        str(tmp_path / "cache"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--disable-error-code=empty-body", *arguments, *map(str, files)],
        env={"MYPYPATH": str(HERE / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_kinds_do_as_it_says(server: Server) -> None:
    block = next(block for block in BLOCKS if "open_agent_run" in block)
    body = textwrap.indent(block, "        ")
    code = f"""
import asyncio
from tidewire import *

async def main():
    async with Tidewire("http://127.0.0.1:8080", token="eyJ…") as client:
{body}
asyncio.run(main())
"""
    output, errors = run(code, server).communicate(timeout=30)
    assert errors == ""
    assert output.endswith("Once upon a time complete\n") and "'count': 1" in output


def run(code: str, server: Server) -> subprocess.Popen[str]:
    code = code.replace("http://127.0.0.1:8080", server.url).replace("eyJ…", server.token("ann"))
    path = {"PYTHONPATH": str(HERE / "src")}
    return subprocess.Popen([sys.executable, "-c", code], env=path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_first_message_comes_after_five_lines(server: Server) -> None:
    process = run(BLOCKS[0], server)
    with process:
        assert process.stdout is not None and process.stdout.readline() == "hello\n"
        process.kill()


def test_a_back_end_publishes_as_it_says(server: Server) -> None:
    process = run(BLOCKS[1], server)
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert output.count("Published(") == 2 and "{'today': 42}" in output
    with tidewire.Publisher(server.url, KEY) as publisher:
        assert [one.data for one in publisher.history("room:lobby").messages][-1] == {"text": "The tide is coming in."}
