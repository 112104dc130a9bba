"""What the server describes of itself (/openapi.json, /asyncapi.json), held against what it sends.

The descriptions are made from spec/ as the build makes them. Clients are to ignore fields they don't
know; the server, however, must not send a field that is not described, so objects are closed here.
A shape that has been seen a few times is not looked at again, so that whole suites can be watched.
"""

from __future__ import annotations

import collections
import functools
import importlib.util
import re

import jsonschema
from server import ROOT

EACH_SHAPE = 3


@functools.cache
def descriptions() -> dict[str, dict]:
    """Both documents, written from spec/ by tools/specs.py."""
    place = importlib.util.spec_from_file_location("specs", ROOT / "tools" / "specs.py")
    specs = importlib.util.module_from_spec(place)
    place.loader.exec_module(specs)
    spec = specs.load(ROOT / "spec")
    return {"openapi": specs.openapi(spec, "0"), "asyncapi": specs.asyncapi(spec, "0")}


def closed(schema):
    """The schema with every object refusing what it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        out["additionalProperties"] = False
    return out


@functools.cache
def _document(name: str) -> dict:
    document = closed(descriptions()[name])
    return {"components": {"schemas": document["components"]["schemas"]}}


def _validator(name: str, schema: dict, close=closed):
    kind = {"openapi": jsonschema.Draft202012Validator, "asyncapi": jsonschema.Draft7Validator}[name]
    return kind(close(schema) | _document(name))


@functools.cache
def _message_validator(name: str):
    """Of a message from the server, or of a request, which may have fields that the server ignores."""
    entry = descriptions()["asyncapi"]["components"]["messages"].get(name)
    return _validator("asyncapi", entry["payload"], dict if name.endswith("Request") else closed) if entry else None


def faults_of(message: dict) -> list[str]:
    """What is wrong with a message from the server; nothing: it is as described."""
    validator = _message_validator(message.get("type", ""))
    if validator is None:
        return [f"there is no message of this type: {str(message)[:300]}"]
    return [f"{e.json_path}: {e.message[:300]} in {str(message)[:300]}" for e in validator.iter_errors(message)]


def request_faults(request: dict) -> list[str]:
    """What is wrong with a request, as far as the description says."""
    validator = _message_validator(request["type"] + "Request")
    return [f"{e.json_path}: {e.message[:200]}" for e in validator.iter_errors(request)]


@functools.cache
def _routes() -> list[tuple[str, re.Pattern, dict]]:
    out = []
    for path, methods in descriptions()["openapi"]["paths"].items():
        pattern = re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) + "$")
        out += [(method.upper(), pattern, operation) for method, operation in methods.items()]
    return out


def operation_of(method: str, path: str) -> dict | None:
    """The description of a call; the more exact path goes first."""
    method = "GET" if method == "HEAD" else method
    found = [(len(p.pattern), op) for m, p, op in _routes() if m == method and p.match(path.split("?", maxsplit=1)[0])]
    return max(found, key=lambda row: row[0])[1] if found else None


def answer_faults(method: str, path: str, status: int, content_type: str, body) -> list[str]:
    """What is wrong with an HTTP answer. Faults of the request line and unknown paths are not described."""
    operation = operation_of(method, path)
    if operation is None or status in (404, 405) or method == "OPTIONS":
        return []
    described = operation["responses"].get(str(status))
    if described is None:
        return [f"{method} {path}: {status} is not described: {str(body)[:200]}"]
    if "$ref" in described:
        described = descriptions()["openapi"]["components"]["responses"][described["$ref"].split("/")[-1]]
    content = described.get("content", {})
    kind = content_type.split(";", maxsplit=1)[0]
    if kind not in content and "*/*" not in content:
        return [f"{method} {path}: {status} as {kind or 'nothing'} is not described"] if kind else []
    schema = content.get(kind, {}).get("schema")
    if schema is None or body is None:
        return []
    faults = _validator("openapi", schema).iter_errors(body)
    return [f"{method} {path} {status} {e.json_path}: {e.message[:300]}" for e in faults]


def value_faults(type_: str, value) -> list[str]:
    """What is wrong with a value of one of the types of /openapi.json."""
    validator = _validator("openapi", {"$ref": f"#/components/schemas/{type_}"})
    return [f"{e.json_path}: {e.message[:300]}" for e in validator.iter_errors(value)]


def _shape(value, depth: int = 0):
    if isinstance(value, dict):
        if depth == 3:
            return "{}"
        return tuple(sorted((k, _shape(v, depth + 1)) for k, v in value.items() if k not in ("data", "merge", "patch")))
    if isinstance(value, list):
        return ("[]", _shape(value[0], depth + 1) if value else None)
    return type(value).__name__


class Watch:
    """Looks at everything that a test's clients receive; `faults` is what was not as described."""

    def __init__(self):
        self.faults: list[str] = []
        self._seen: collections.Counter = collections.Counter()

    def _new(self, *key) -> bool:
        self._seen[key] += 1
        return self._seen[key] <= EACH_SHAPE

    def message(self, message: dict) -> None:
        if self._new(message.get("type"), _shape(message)):
            self.faults += faults_of(message)

    def answer(self, response) -> None:
        method, path = response.request.method, response.request.url.raw_path.decode()
        kind = response.headers.get("content-type", "")
        body = response.json() if "json" in kind and response.content else None
        operation = (operation_of(method, path) or {}).get("operationId")
        if self._new(operation, response.status_code, _shape(body)):
            self.faults += answer_faults(method, path, response.status_code, kind, body)

    def take(self) -> list[str]:
        faults, self.faults = self.faults, []
        return faults


watch = Watch()
