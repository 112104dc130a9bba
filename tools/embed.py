#!/usr/bin/env python3
"""Writes the files of a folder as a C++ source that defines one function returning them.

embed.py FOLDER OUTPUT FUNCTION: FUNCTION is declared in api/pages.h. Bytes are copied as they are, and once more as
Brotli makes them at its best, if the program `brotli` is here and it gains something.
"""

import pathlib
import shutil
import subprocess
import sys

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
BYTES_PER_LINE = 32


def array(name, data):
    lines = [f"constexpr char {name}[] = {{"]
    for at in range(0, len(data), BYTES_PER_LINE):
        values = (byte - 256 if byte > 127 else byte for byte in data[at : at + BYTES_PER_LINE])
        lines.append("".join(f"{value}," for value in values))
    # An array may not be empty; the page's size leaves this byte out.
    lines.append("0};")
    return "\n".join(lines)


def compressed(path):
    """b"" where that is not worth it, or not possible: then the server compresses each answer by itself."""
    program = shutil.which("brotli")
    if program is None or path.stat().st_size <= 1024:
        return b""
    data = subprocess.run([program, "-q", "11", "-c", path], check=True, capture_output=True).stdout
    return data if len(data) < path.stat().st_size else b""


def source(folder, function):
    arrays, rows = [], []
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    for number, path in enumerate(files):
        content_type = CONTENT_TYPES.get(path.suffix)
        if content_type is None:
            sys.exit(f"{path}: no content type is known for {path.suffix or 'a name without a suffix'}")
        arrays.append(array(f"kFile{number}", path.read_bytes()))
        arrays.append(array(f"kBrotli{number}", compressed(path)))
        rows.append(
            f'    {{"{path.name}", "{content_type}", {{kFile{number}, sizeof kFile{number} - 1}}, '
            f"{{kBrotli{number}, sizeof kBrotli{number} - 1}}}},"
        )
    if not rows:
        sys.exit(f"{folder}: no files")
    return "\n".join(
        [
            f"// Made from {folder.parent.name}/{folder.name}/ by tools/embed.py.",
            '#include "api/pages.h"',
            "namespace tidewire::api {",
            "namespace {",
            *arrays,
            "constexpr Page kPages[] = {",
            *rows,
            "};",
            "}  // namespace",
            f"std::span<const Page> {function}() {{ return kPages; }}",
            "}  // namespace tidewire::api",
            "",
        ]
    )


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    folder, output, function = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(source(folder, function))


if __name__ == "__main__":
    main()
