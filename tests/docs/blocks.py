"""The code blocks of a Markdown page, with what stands in the comment before each:

    <!-- test: background; ready=subscribed; prints=hello -->

    file=NAME         only written to that file; a later block runs it
    not-run=WHY       only checked for its syntax, because
    background        started, and left running until the page ends
    ready=TEXT        in the background: go on once it has printed this
    prints=TEXT       what it must print, in the background until the page ends; may stand several times
    serve             a configuration: the server is started anew with it, without --dev
    run               TypeScript: run the page's program up to here (without it, at the last block)
    fails             a command that must not succeed
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^(?:<!-- test: (?P<options>.*?) -->\n)?(?P<indent> *)```(?P<language>[\w+-]*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S)
OPTIONS = {"file", "not-run", "background", "ready", "prints", "serve", "run", "fails"}


@dataclasses.dataclass
class Block:
    page: pathlib.Path
    line: int
    language: str
    code: str
    options: dict[str, list[str]]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def has(self, option: str) -> bool:
        return option in self.options

    def one(self, option: str) -> str | None:
        return self.options.get(option, [None])[0]


def pages() -> list[pathlib.Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def options_of(text: str, where: str) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in (text or "").split(";"))):
        name, _, value = part.partition("=")
        assert name in OPTIONS, f"{where}: there is no option {name}"
        out.setdefault(name, []).append(value)
    return out


def blocks_of(page: pathlib.Path) -> list[Block]:
    text, out = page.read_text(), []
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        indent = found["indent"]
        code = "".join(row.removeprefix(indent) for row in found["code"].splitlines(keepends=True))
        out.append(Block(page, line, found["language"], code, options_of(found["options"], f"{page}:{line}")))
    return out
