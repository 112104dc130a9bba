"""What is installed: all modules, the mark that they are typed, and two dependencies."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[2]


def test_the_wheel_has_what_it_needs(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=HERE, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = {name for name in wheel.namelist() if name.startswith("tidewire/")}
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    sources = {f"tidewire/{source.name}" for source in (HERE / "src/tidewire").iterdir() if source.is_file()}
    assert names == sources and "tidewire/py.typed" in names
    needed = [re.split("[<>]", line.split()[1])[0] for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    assert needed == ["httpx", "websockets"]
