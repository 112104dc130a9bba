#!/usr/bin/env python3
"""Runs an installed Autobahn test suite (`wstest`) against /echo and judges its report.

    tests/autobahn/run_wstest.py [--mode shared|dedicated|off ...] [--cases 1.* 12.1.* ...] [--keep FOLDER]

Every case must be OK (`INFORMATIONAL` where the suite has no opinion, `UNIMPLEMENTED` only for groups 12
and 13 with compression off), in what was answered and in how the connection was closed; NON-STRICT counts
as a failure. `wstest` is taken from TIDEWIRE_WSTEST or the search path; without one nothing is run.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "conformance"))

from server import Server  # noqa: E402

MODES = ("shared", "dedicated", "off")
GOOD = {"OK", "INFORMATIONAL"}
COMPRESSION_GROUPS = {"12", "13"}


def find_wstest() -> str | None:
    return os.environ.get("TIDEWIRE_WSTEST") or shutil.which("wstest")


def run_suite(wstest: str, url: str, agent: str, cases: list[str], folder: pathlib.Path) -> dict[str, dict]:
    """The suite's verdict by case number."""
    spec = folder / f"{agent}.json"
    spec.write_text(
        json.dumps(
            {
                "outdir": str(folder / agent),
                "servers": [{"agent": agent, "url": url, "options": {"version": 18}}],
                "cases": cases,
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    with open(folder / f"{agent}.log", "wb") as log:
        subprocess.run(
            [wstest, "--mode", "fuzzingclient", "--spec", str(spec)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            check=True,
        )
    report = folder / agent / "index.json"
    if not report.exists():
        raise SystemExit(f"wstest wrote no report; its log is {folder / agent}.log")
    return json.loads(report.read_text())[agent]


def is_good(number: str, verdict: dict, mode: str) -> bool:
    if number.split(".", maxsplit=1)[0] in COMPRESSION_GROUPS and mode == "off":
        return verdict["behavior"] == "UNIMPLEMENTED"
    return verdict["behavior"] in GOOD and verdict["behaviorClose"] in GOOD


def print_table(mode: str, verdicts: dict[str, dict]) -> list[str]:
    """One row a group; answers the cases that are not good."""
    groups: dict[int, collections.Counter] = collections.defaultdict(collections.Counter)
    bad = []
    for number, verdict in verdicts.items():
        groups[int(number.split(".")[0])][verdict["behavior"]] += 1
        if not is_good(number, verdict, mode):
            bad.append(f"{number}: {verdict['behavior']}, close {verdict['behaviorClose']}")
    print(f"compression.mode {mode}: {len(verdicts)} cases, {len(bad)} not as they must be")
    for group in sorted(groups):
        counts = ", ".join(f"{count} {name}" for name, count in sorted(groups[group].items()))
        print(f"  group {group:>2}: {sum(groups[group].values()):>3} cases: {counts}")
    for line in sorted(bad):
        print(f"  {line}")
    sys.stdout.flush()
    return bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mode", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--cases", nargs="+", default=["*"])
    parser.add_argument("--keep", type=pathlib.Path, help="leave the suite's reports in this folder")
    arguments = parser.parse_args()
    wstest = find_wstest()
    if wstest is None:
        print("no wstest here: install the Autobahn test suite, or name it in TIDEWIRE_WSTEST")
        return 0
    bad = []
    with tempfile.TemporaryDirectory(prefix="tidewire-autobahn-") as temporary:
        folder = (arguments.keep or pathlib.Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for mode in arguments.mode:
            with Server(echo=True, env={"TIDEWIRE_COMPRESSION_MODE": mode}) as server:
                verdicts = run_suite(
                    wstest, server.ws_url("/echo"), f"tidewire-{mode}", arguments.cases, folder
                )
            bad += print_table(mode, verdicts)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
