"""Runs a page: its blocks in their order, in one folder, against a server of its own.

Addresses of the pages become those of the test: 127.0.0.1:8080 is the server, 127.0.0.1:8000 an
application's own port, the key set's address one on loopback.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib

from blocks import ROOT, Block
from described import faults_of, request_faults
from server import Server, binary
from tokens import KeySetServer, jwk, mint, private_key

WAIT_S = 20
DONE = "-- the page's script has come to its end --"
ENDS_WITH = f'\nconsole.log("{DONE}");\n'
SDK = ROOT / "sdk" / "typescript"
KEY_SET = "https://your-tenant.example.com/.well-known/jwks.json"
ISSUER = "https://your-tenant.example.com/"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run:
    """A process of a page. Its output goes to a file, so that nothing has to read along."""

    def __init__(self, block: Block, command: list[str], page: Page):
        self.block, self.out = block, page.folder / f".output-{len(page.runs)}"
        # In the environment that the shell blocks before it have left behind.
        script = 'set -a; source ./.state; set +a; exec "$@"'
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                ["bash", "-c", script, "-", *command], cwd=page.folder, env=page.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,
            )
        page.runs.append(self)

    def output(self) -> str:
        return self.out.read_text(errors="replace")

    def wait_for(self, text: str, *, alive: bool = True) -> None:
        deadline = time.monotonic() + WAIT_S
        while text not in self.output():
            ended = alive and self.process.poll() is not None and text not in self.output()
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{self.block}: {text!r} was not printed, but\n{self.output()}")
            time.sleep(0.02)

    def wait(self) -> int:
        try:
            return self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.block} runs for more than {WAIT_S} s:\n{self.output()}") from None

    def end(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Page:
    def __init__(self, blocks: list[Block]):
        self.blocks = blocks
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="tidewire-docs-"))
        self.runs: list[Run] = []
        self.server: Server | None = None
        self.key_set: KeySetServer | None = None
        self.ports = {"127.0.0.1:8000": f"127.0.0.1:{free_port()}"}
        self.environment: dict[str, str] = {}

    def __enter__(self) -> Page:
        tools = self.folder / ".bin"
        tools.mkdir()
        (tools / "tidewire").symlink_to(binary())
        (self.folder / "build" / "release").mkdir(parents=True)
        (self.folder / "build" / "release" / "tidewire").symlink_to(binary())
        for name in ("python", "uvicorn"):
            tool = tools / name
            tool.write_text(f'#!/bin/sh\nexec {pathlib.Path(sys.executable).parent / name} "$@"\n')
            tool.chmod(0o755)
        modules = self.folder / "node_modules"
        (modules / "@tidewire").mkdir(parents=True)
        (modules / "@tidewire" / "client").symlink_to(SDK)
        (modules / "ws").symlink_to(ROOT / "tests" / "clients" / "node_modules" / "ws")
        for name in ("react", "@types"):
            (modules / name).symlink_to(SDK / "node_modules" / name)
        preload = pathlib.Path(__file__).parent / "browser.mjs"
        shutil.copy(preload, self.folder / "browser.mjs")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")} | {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
            "NODE_OPTIONS": f"--import {self.folder}/browser.mjs",
        }
        (self.folder / ".state").write_text("")
        (self.folder / "package.json").write_text('{"type": "module"}')
        return self

    def __exit__(self, kind, value, trace) -> None:
        for run in self.runs:
            run.end()
        if self.key_set:
            self.key_set.__exit__()
        if self.server:
            self.server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- the server

    def serve(self, settings: dict | None = None) -> None:
        """Development mode, or with `settings` exactly these."""
        if self.server:
            self.server.kill()
        self.server = Server(settings, bare=True, dev=settings is None).start()
        self.ports["127.0.0.1:8080"] = f"127.0.0.1:{self.server.port}"
        self.environment["PAGE_ADDRESS"] = f"http://127.0.0.1:{self.server.port}/demo/"
        self.export("TOKEN", mint("ada", key="development-secret-not-for-production"))

    def export(self, name: str, value: str) -> None:
        with open(self.folder / ".state", "a") as state:
            state.write(f"{name}={value}\n")

    def serve_block(self, block: Block) -> None:
        settings = tomllib.loads(block.code)
        auth = settings.get("auth", {})
        if auth.get("jwks_url") == KEY_SET:
            self.key_set = KeySetServer([jwk("rsa", "key-1", "RS256")]).__enter__()
            auth["jwks_url"] = self.key_set.url
        self.serve(settings)
        # What the page's identity service would hand out.
        token = mint("ada", alg="RS256", key=private_key("rsa"), kid="key-1", iss=ISSUER, aud=auth.get("audience"))
        self.export("IDENTITY_TOKEN", token)

    def placed(self, code: str) -> str:
        for address, port in self.ports.items():
            code = code.replace(address, port)
        return code

    # -- the blocks

    def run(self) -> None:
        scripts = [b for b in self.blocks if b.language in ("ts", "tsx") and not (b.has("file") or b.has("not-run"))]
        if any(b.language in ("sh", "js", "python", "ts") and not b.has("not-run") for b in self.blocks):
            self.serve()
        for block in self.blocks:
            if block.has("serve"):
                self.serve_block(block)
            elif block in scripts:
                if block is scripts[-1] or block.has("run"):
                    self.run_scripts(scripts[: scripts.index(block) + 1])
            elif block.has("not-run"):
                self.check(block)
            else:
                self.run_block(block)
        for run in self.runs:
            for text in run.block.options.get("prints", ()):
                run.wait_for(text, alive=False)

    def run_block(self, block: Block) -> None:
        if block.language == "sh":
            self.shell(block)
        elif block.language == "json":
            check_json(block)
        elif block.language == "toml":
            self.config(block)
        elif block.language in ("python", "js"):
            name = block.one("file") or f"block{block.line}.{'py' if block.language == 'python' else 'mjs'}"
            (self.folder / name).write_text(self.placed(block.code))
            if block.has("file"):
                uses = [b for b in self.blocks if b.line > block.line and b.language == "sh" and pathlib.Path(name).stem in b.code]
                assert uses, f"{block}: nothing runs {name}"
                self.check(block)
            else:
                self.follow(block, [{"python": "python", "js": "node"}[block.language], name])
        else:
            assert block.language in ("", "text"), f"{block}: nothing runs `{block.language}`; say not-run and why"

    def shell(self, block: Block) -> None:
        script = self.folder / f".block{block.line}.sh"
        script.write_text(f"set -euo pipefail; set -a; source ./.state\n{self.placed(block.code)}\n{{ export -p; declare -f; }} >.state\n")
        self.follow(block, ["bash", script.name])

    def follow(self, block: Block, command: list[str]) -> None:
        run = Run(block, command, self)
        if block.has("background"):
            run.wait_for(block.one("ready") or "")
            return
        status = run.wait()
        assert (status != 0) == block.has("fails"), f"{block} ended with {status}:\n{run.output()}"

    def run_scripts(self, scripts: list[Block]) -> None:
        """The TypeScript of a page is one program, whose parts follow on one another."""
        last = scripts[-1]
        # What an earlier run of a part has printed need not come again.
        begun = max((i for i, block in enumerate(scripts[:-1]) if block.has("run")), default=-1)
        prints = [text for block in scripts[begun + 1 :] for text in block.options.get("prints", ())]
        program = Block(last.page, last.line, "ts", joined(scripts), {"prints": prints})
        source = self.folder / f"page{last.line}.ts"
        source.write_text(self.placed(program.code) + ENDS_WITH)
        subprocess.run(
            [SDK / "node_modules" / ".bin" / "esbuild", source, "--format=esm", "--target=es2022", f"--outfile={source.with_suffix('.mjs')}", "--log-level=error"],
            check=True, env=self.environment | {"NODE_OPTIONS": ""},
        )
        Run(program, ["node", source.with_suffix(".mjs").name], self).wait_for(DONE)

    # -- what can't be run

    def config(self, block: Block) -> None:
        path = self.folder / f"block{block.line}.toml"
        path.write_text(block.code)
        found = subprocess.run(
            [binary(), "config", "check", "--config", path], capture_output=True, text=True, env=self.environment, cwd=self.folder
        )
        assert found.returncode == 0, f"{block}: {found.stdout}{found.stderr}"

    def check(self, block: Block) -> None:
        assert block.has("file") or block.one("not-run"), f"{block}: say why it is not run"
        if block.language == "python":
            compile(block.code, str(block), "exec")
        elif block.language == "json":
            check_json(block)
        elif block.language == "toml":
            tomllib.loads(block.code)
        elif block.language in ("sh", "js"):
            suffix, command = {"sh": ("sh", ["bash", "-n"]), "js": ("mjs", ["node", "--check"])}[block.language]
            path = self.folder / f"check{block.line}.{suffix}"
            path.write_text(block.code)
            found = subprocess.run([*command, path], capture_output=True, text=True, env=self.environment)
            assert found.returncode == 0, f"{block}: {found.stderr}"


def joined(blocks: list[Block]) -> str:
    """One program of several blocks; an import that stands twice is there once."""
    seen, lines = set(), []
    for block in blocks:
        for line in block.code.splitlines():
            if line.startswith("import "):
                if line in seen:
                    continue
                seen.add(line)
            lines.append(line)
    return "\n".join(lines) + "\n"


def check_json(block: Block) -> None:
    """A message of the protocol must be as it is described, whoever sends it."""
    for value in json_values(block.code):
        if isinstance(value, dict) and isinstance(value.get("type"), str):
            try:
                as_request = request_faults(value)
            except AttributeError:
                as_request = ["no such request"]
            assert not as_request or not faults_of(value), f"{block}: {as_request} {faults_of(value)}"


def json_values(text: str):
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        value, at = decoder.raw_decode(text, at)
        yield value
