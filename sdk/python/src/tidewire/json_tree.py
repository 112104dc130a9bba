"""JSON values that are changed by making new ones: what is not changed stays the same object, and nothing that was given
out changes under its reader. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict


class PatchOperation(TypedDict, total=False):
    """Of RFC 6902."""

    op: Literal["add", "replace", "remove", "move", "copy", "test"]
    path: str
    value: Any


# Deeper than the server lets a document be, and well within Python's own limit.
_DEPTH_MAX = 200


class PatchError(ValueError):
    """It does not apply."""


def apply_merge(target: Any, patch: Any, depth: int = 0) -> Any:
    """JSON Merge Patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    if depth > _DEPTH_MAX:
        raise PatchError("too deep")
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge(result.get(key), value, depth + 1)
    return result


def apply_patch(document: Any, operations: Sequence[Any]) -> Any:
    """JSON Patch (RFC 6902). Raises where it does not apply."""
    for operation in operations:
        document = _apply(document, operation)
    return document


def equals(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal. Python's own `==` takes True for 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return len(a) == len(b) and all(key in b and equals(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(equals, a, b))
    return bool(a == b)


def _apply(document: Any, operation: Any) -> Any:
    if not isinstance(operation, dict):
        raise PatchError("an operation is an object")
    op, path = operation.get("op"), _tokens(operation.get("path"))
    if op in ("add", "replace", "test") and "value" not in operation:
        raise PatchError(f"{op} needs a value")
    match op:
        case "add":
            return _change(document, path, "insert", lambda: operation["value"])
        case "replace":
            return _change(document, path, "replace", lambda: operation["value"])
        case "remove":
            return _change(document, path, "remove", None)
        case "copy":
            value = _find(document, _tokens(operation.get("from")))
            return _change(document, path, "insert", lambda: value)
        case "move":
            return _move(document, operation.get("from"), operation["path"])
        case "test":
            if not equals(_find(document, path), operation["value"]):
                raise PatchError(f'the test of "{operation["path"]}" fails')
            return document
        case _:
            raise PatchError("there is no such operation")


def _move(document: Any, source: Any, target: str) -> Any:
    value = _find(document, _tokens(source))
    if source == target:
        return document
    if target.startswith(f"{source}/"):
        raise PatchError("a value can't move into itself")
    return _change(_change(document, _tokens(source), "remove", None), _tokens(target), "insert", lambda: value)


def _tokens(pointer: Any) -> list[str]:
    """RFC 6901."""
    if pointer == "":
        return []
    if not isinstance(pointer, str) or pointer[0] != "/" or re.search(r"~(?![01])", pointer):
        raise PatchError(f"{pointer!r} is no JSON pointer")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


def _index(token: str, end: int) -> int:
    if re.fullmatch(r"0|[1-9][0-9]{0,15}", token) and int(token) < end:
        return int(token)
    raise PatchError(f"there is no element {token}")


def _find(node: Any, path: list[str]) -> Any:
    for token in path:
        if isinstance(node, list):
            node = node[_index(token, len(node))]
        elif isinstance(node, dict) and token in node:
            node = node[token]
        else:
            raise PatchError(f"there is no {token}")
    return node


def _change(node: Any, path: list[str], how: Literal["insert", "replace", "remove"], value: Callable[[], Any] | None) -> Any:
    if not path:
        if value is None:
            raise PatchError("the whole document can't be removed")
        return value()
    token, rest = path[0], path[1:]
    if len(rest) > _DEPTH_MAX:
        raise PatchError("too deep")
    inserts = not rest and how == "insert"
    if isinstance(node, list):
        items = list(node)
        at = len(items) if inserts and token == "-" else _index(token, len(items) + inserts)  # noqa: S105
        if rest:
            items[at] = _change(items[at], rest, how, value)
        else:
            items[at : at if inserts else at + 1] = [] if value is None else [value()]
        return items
    if not isinstance(node, dict) or not (inserts or token in node):
        raise PatchError(f"there is no {token}")
    copy = dict(node)
    if rest:
        copy[token] = _change(copy[token], rest, how, value)
    elif value is None:
        del copy[token]
    else:
        copy[token] = value()
    return copy
