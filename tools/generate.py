#!/usr/bin/env python3
"""Turns the tables in spec/ into X-macro files for C++: generate.py SPEC_DIR OUT_DIR.

spec/errors.json   -> errors.inc    TIDEWIRE_ERROR(name, http_status, "text")
spec/settings.json -> settings.inc  TIDEWIRE_SETTING("key", type, "default", "unit", "meaning", reloadable,
                                    owner, member, "name", "development", secret, min, max)

`owner` is the struct of config/settings.h that holds the setting as `member`; `name` is the key inside it.
"""
import json
import pathlib
import sys


def quoted(text):
    """A C++ string literal; JSON's escapes are C++'s for the ASCII that the tables hold."""
    return json.dumps(text)


def errors(table):
    return [f'TIDEWIRE_ERROR({e["name"]}, {e["http"]}, {quoted(e["text"])})' for e in table["codes"]]


OWNERS = {
    "namespaces.NAME.": "NamespaceSettings",
    "tenants.NAME.": "TenantSettings",
    "auth.keys[].": "KeySettings",
    "api.keys[].": "ApiKeySettings",
}


def setting(s):
    key, flag = s["key"], lambda value: "true" if value else "false"
    prefix = next((p for p in OWNERS if key.startswith(p)), "")
    name = key.removeprefix(prefix)
    member = s.get("member", name + ("_ms" if s["type"] == "duration" else ""))
    return (
        f'TIDEWIRE_SETTING({quoted(key)}, {s["type"]}, {quoted(s["default"])}, {quoted(s.get("unit", ""))}, '
        f'{quoted(s["meaning"])}, {flag(s.get("reload"))}, {OWNERS.get(prefix, "Settings")}, {member}, '
        f'{quoted(name)}, {quoted(s.get("development", s["default"]))}, {flag(s.get("secret"))}, '
        f'{s.get("min", 0)}, {s.get("max", 0)})'
    )


def settings(table):
    return [setting(s) for s in table["settings"]]


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
