"""RFC 7396 (merge patch) and RFC 6902 (patch) in their plainest form: the model that the server is
compared with. Arguments are not changed."""

from __future__ import annotations

import copy


class DoesNotApply(Exception):
    pass


def apply_merge(target: object, change: object) -> object:
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge(result.get(name), value)
    return result


def apply_patch(target: object, steps: list[dict]) -> object:
    document = copy.deepcopy(target)
    for step in steps:
        document = _apply(document, step)
    return document


def _apply(document: object, step: dict) -> object:
    path = step["path"]
    match step["op"]:
        case "test":
            if not _same(_get(document, path), step["value"]):
                raise DoesNotApply(f"{path} is not {step['value']}")
            return document
        case "add":
            return _put(document, path, copy.deepcopy(step["value"]), adds=True)
        case "replace":
            _get(document, path)
            return _put(document, path, copy.deepcopy(step["value"]), adds=False)
        case "remove":
            return _remove(document, path)
        case "move":
            if path.startswith(step["from"] + "/"):
                raise DoesNotApply("a value cannot move into itself")
            value = _get(document, step["from"])
            return _put(_remove(document, step["from"]), path, value, adds=True)
        case "copy":
            return _put(document, path, copy.deepcopy(_get(document, step["from"])), adds=True)
        case other:
            raise DoesNotApply(f"no operation {other}")


def _same(one: object, other: object) -> bool:
    """JSON's equality: unlike Python's, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    return one == other


def _parts(path: str) -> list[str]:
    if path == "":
        return []
    if not path.startswith("/"):
        raise DoesNotApply(f"{path} is no pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]


def _index(part: str, length: int) -> int:
    if not part.isdecimal() or (part != "0" and part.startswith("0")) or int(part) >= length:
        raise DoesNotApply(f"no element {part}")
    return int(part)


def _step(node: object, part: str) -> object:
    if isinstance(node, dict) and part in node:
        return node[part]
    if isinstance(node, list):
        return node[_index(part, len(node))]
    raise DoesNotApply(f"no member {part}")


def _get(document: object, path: str) -> object:
    node = document
    for part in _parts(path):
        node = _step(node, part)
    return node


def _put(document: object, path: str, value: object, adds: bool) -> object:
    parts = _parts(path)
    if not parts:
        return value
    node = document
    for part in parts[:-1]:
        node = _step(node, part)
    last = parts[-1]
    if isinstance(node, dict):
        node[last] = value
    elif isinstance(node, list) and adds:
        node.insert(len(node) if last == "-" else _index(last, len(node) + 1), value)
    elif isinstance(node, list):
        node[_index(last, len(node))] = value
    else:
        raise DoesNotApply(f"nothing at {path}")
    return document


def _remove(document: object, path: str) -> object:
    parts = _parts(path)
    if not parts:
        raise DoesNotApply("the whole document cannot be removed")
    node = document
    for part in parts[:-1]:
        node = _step(node, part)
    _step(node, parts[-1])
    if isinstance(node, dict):
        del node[parts[-1]]
    elif isinstance(node, list):
        del node[_index(parts[-1], len(node))]
    return document
