"""Every code block of README.md and docs/ works, every link leads somewhere, every code is explained."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile

import pytest
from blocks import ROOT, blocks_of, pages
from pages import SDK, Page, joined

NAMES = [str(page.relative_to(ROOT)) for page in pages()]
KNOWN = {"sh", "python", "js", "ts", "tsx", "json", "toml", "text", "", "nginx", "ini", "sql", "yaml"}


@pytest.mark.parametrize("name", NAMES)
def test_the_blocks_of(name):
    blocks = blocks_of(ROOT / name)
    for block in blocks:
        assert block.language in KNOWN, f"{block}: `{block.language}`"
    fences = re.findall(r"^ *```", (ROOT / name).read_text(), re.M)
    assert len(fences) == 2 * len(blocks), f"{name}: a block is not closed, or not seen"
    with Page(blocks) as page:
        page.run()


def test_the_typescript_compiles():
    """All pages at once; each page's blocks are one program. `npm run build` makes what they import."""
    assert (SDK / "dist").exists(), "run `npm ci && npm run build` in sdk/typescript"
    folder = tempfile.mkdtemp(prefix="docs-", dir=SDK / "test")
    try:
        files = []
        for name in NAMES:
            blocks = [b for b in blocks_of(ROOT / name) if b.language in ("ts", "tsx")]
            for kind in ("ts", "tsx"):
                alone = [[b] for b in blocks if b.language == kind and (b.has("file") or b.has("not-run"))]
                together = [b for b in blocks if b.language == kind and not (b.has("file") or b.has("not-run"))]
                for parts in [*alone, *([together] if together else [])]:
                    files.append(f"{name.replace('/', '-')}-{parts[0].line}.{kind}")
                    with open(f"{folder}/{files[-1]}", "w") as out:
                        out.write(joined(parts) + "export {};\n")
        options = {"target": "ES2022", "lib": ["ES2022", "DOM"], "module": "NodeNext", "moduleResolution": "NodeNext"}
        options |= {"jsx": "react-jsx", "strict": True, "noEmit": True, "types": ["node"]}
        with open(f"{folder}/tsconfig.json", "w") as out:
            json.dump({"compilerOptions": options, "files": files}, out)
        found = subprocess.run([SDK / "node_modules" / ".bin" / "tsc", "-p", folder], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout
        assert files
    finally:
        shutil.rmtree(folder)


def anchors_of(text: str) -> set[str]:
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", NAMES)
def test_the_links_of(name):
    page = ROOT / name
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors_of(linked.read_text()), target


def test_the_index_leads_to_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    for name in NAMES:
        if name.startswith("docs/") and name != "docs/README.md":
            assert f"]({name.removeprefix('docs/')})" in index, name


def test_every_error_code_and_every_close_is_explained():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    for code in json.loads((ROOT / "spec" / "errors.json").read_text())["codes"]:
        assert f"| `{code['name']}` |" in text, code["name"]
    for close in json.loads((ROOT / "spec" / "api" / "messages.json").read_text())["closes"]:
        assert f"| {close['code']} |" in text, close["code"]


def test_every_requirement_that_a_test_names_is_listed():
    text = (ROOT / "docs" / "requirements.md").read_text()
    for file in (ROOT / "tests" / "conformance").glob("test_*.py"):
        for mark in re.findall(r"^@clause\((.*)\)$", file.read_text(), re.M):
            for row in re.findall(r'"([A-Z]\d)"', mark):
                assert f"| {row} |" in text, f"{file.name}: {row}"


def test_every_setting_that_is_named_exists():
    keys = {s["key"] for s in json.loads((ROOT / "spec" / "settings.json").read_text())["settings"]}
    groups = {key.split(".")[0] for key in keys}
    for name in NAMES:
        for word in re.findall(rf"`((?:{'|'.join(groups)})\.[a-z0-9_]+)`", (ROOT / name).read_text()):
            known = any(key == word or key.startswith(word + ".") or key.startswith(word + "[") for key in keys)
            assert known, f"{name}: there is no setting {word}"
