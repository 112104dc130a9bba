#!/usr/bin/env python3
"""Checks that includes only go downward (the table of layers in ARCHITECTURE.md)."""
import pathlib
import re
import sys

GENERATED = {"spec", "testing"}
BELOW_HUB = {"base", "wire", "net", "telemetry", "log", "protocol", "auth", "guard", "kinds"}
MAY_INCLUDE = {
    "base": set(),
    "wire": {"base"},
    "net": {"base", "telemetry"},
    "telemetry": {"base"},
    "log": {"base"},
    "protocol": {"base", "wire"},
    "auth": {"base"},
    "guard": {"base"},
    "kinds": {"base", "protocol"},
    "hub": {"base", "protocol", "auth", "guard", "kinds", "log"},
    "directory": {"base", "net", "guard"},
    "gateway": BELOW_HUB | {"hub"},
    "api": BELOW_HUB | {"hub"},
    "config": {"base", "telemetry"},
    "server": BELOW_HUB | {"directory", "hub", "gateway", "api", "config"},
}


def main():
    faults = []
    for path in sorted(pathlib.Path("src").rglob("*")):
        if path.suffix not in (".h", ".cpp"):
            continue
        layer = path.parts[1]
        if layer not in MAY_INCLUDE:
            faults.append(f"{path}: the folder is not in the table of layers")
            continue
        text = path.read_text()
        if path.suffix == ".h" and "#pragma once" not in text:
            faults.append(f"{path}: no #pragma once")
        for included in re.findall(r'^#include "([a-z]+)/', text, re.M):
            if included != layer and included not in GENERATED and included not in MAY_INCLUDE[layer]:
                faults.append(f"{path}: {layer} may not include {included}/")
    print("\n".join(faults) if faults else "layers: includes only go downward")
    sys.exit(1 if faults else 0)


main()
