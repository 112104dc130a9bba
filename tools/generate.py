#!/usr/bin/env python3
"""Turns the tables in spec/ into X-macro files for C++: generate.py SPEC_DIR OUT_DIR.

spec/errors.json   -> errors.inc    TIDEWIRE_ERROR(name, http_status, "text")
spec/settings.json -> settings.inc  TIDEWIRE_SETTING("key", type, "default", "unit", "meaning", reloadable)
"""
import json
import pathlib
import sys


def quoted(text):
    """A C++ string literal; JSON's escapes are C++'s for the ASCII that the tables hold."""
    return json.dumps(text)


def errors(table):
    return [f'TIDEWIRE_ERROR({e["name"]}, {e["http"]}, {quoted(e["text"])})' for e in table["codes"]]


def settings(table):
    return [
        f'TIDEWIRE_SETTING({quoted(s["key"])}, {s["type"]}, {quoted(s["default"])}, '
        f'{quoted(s.get("unit", ""))}, {quoted(s["meaning"])}, {"true" if s.get("reload") else "false"})'
        for s in table["settings"]
    ]


def main():
    spec, out = map(pathlib.Path, sys.argv[1:3])
    for name, render in (("errors", errors), ("settings", settings)):
        source = spec / f"{name}.json"
        if not source.exists():
            continue
        text = "\n".join(render(json.loads(source.read_text()))) + "\n"
        target = out / f"{name}.inc"
        if not target.exists() or target.read_text() != text:
            target.write_text(text)
    (out / "stamp").touch()


main()
