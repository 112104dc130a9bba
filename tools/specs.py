#!/usr/bin/env python3
"""Writes openapi.json (OpenAPI 3.1) and asyncapi.json (AsyncAPI 3.0): specs.py SPEC_DIR VERSION OUT_DIR.

What they say comes from spec/api/{types,messages,http}.json and spec/errors.json alone, and the same
input gives the same bytes. A type is written there as

  "Seq"           a type of types.json, or any, string, integer, number, boolean, null
  "'a' | 'b'"     one of these; 'a' is the string itself
  "[Entry]"       a list
  {"seq?": ...}   an object; `?` marks a field that may be absent, and {"*": ...} has names of any sort
  {"is": ...}     a type with further words of JSON Schema beside it
  "Seq # why"     a type and what is to be said about it
  "@error"        the codes that stand in that message (spec/errors.json); @all are those of HTTP
"""
import json
import pathlib
import sys

PRIMITIVES = ("string", "integer", "number", "boolean", "null")
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
JSON = "application/json"
PROBLEM = "application/problem+json"
DOORS = {  # door: the statuses with which it refuses, and the ways through it
    "open": ((), None),
    "metrics": ((403,), ({}, {"apiKey": []}, {"apiKeyAsBearer": []})),
    "key": ((403, 503), ({"apiKey": []}, {"apiKeyAsBearer": []})),
    "user": ((401, 403, 429, 503), ({"userToken": []}, {"apiKey": []}, {"apiKeyAsBearer": []})),
    "socket": ((), ({}, {"userToken": []})),
    "stream": ((), ({}, {"userToken": []})),
}


def split(text):
    """The alternatives of a type: parts between ` | ` that stand in no bracket."""
    parts, depth, begin = [], 0, 0
    for at, character in enumerate(text):
        depth += {"[": 1, "]": -1}.get(character, 0)
        if depth == 0 and text.startswith(" | ", at):
            parts.append(text[begin:at])
            begin = at + 3
    return [*parts, text[begin:]]


class Schemas:
    """Types as JSON Schema. Without `siblings` nothing stands beside a $ref (draft 7 does not read it)."""

    def __init__(self, spec, siblings):
        self.types = spec["types"]["types"]
        self.codes = spec["errors"]["codes"]
        self.siblings = siblings

    def of(self, kind):
        if isinstance(kind, dict):
            return self.named(kind) if "is" in kind else self.object(kind)
        text, _, about = kind.partition(" # ")
        schema = self.union(split(text))
        if not about:
            return schema
        if "$ref" in schema and not self.siblings:
            schema = {"allOf": [schema]}
        return schema | {"description": about}

    def named(self, entry):
        schema = self.of(entry["is"])
        extra = {k: v for k, v in entry.items() if k not in ("is", "about", "any_of")}
        return schema | {"description": entry["about"]} | extra

    def object(self, fields):
        schema = {"type": "object"}
        if "*" in fields:
            return schema | {"additionalProperties": self.of(fields["*"])}
        if required := [name for name in fields if not name.endswith("?")]:
            schema["required"] = required
        schema["properties"] = {name.rstrip("?"): self.of(kind) for name, kind in fields.items()}
        return schema

    def union(self, parts):
        if len(parts) == 1:
            return self.single(parts[0])
        if all(part.startswith("'") for part in parts):
            return {"type": "string", "enum": [part.strip("'") for part in parts]}
        if all(part in PRIMITIVES for part in parts):
            return {"type": parts}
        return {"anyOf": [self.single(part) for part in parts]}

    def single(self, text):
        if text.startswith("["):
            return {"type": "array", "items": self.of(text[1:-1])}
        if text.startswith("'"):
            return {"const": text.strip("'")}
        if text.startswith("@"):
            return {"type": "string", "enum": self.names(text[1:])}
        if text == "any":
            return {}
        if text in PRIMITIVES:
            return {"type": text}
        if text not in self.types:
            sys.exit(f"there is no type {text!r}")
        return {"$ref": f"#/components/schemas/{text}"}

    def names(self, where):
        also = {"error": ("user_not_found",), "auth_error": ("unavailable", "rate_limited", "connection_limit"), "all": ()}[where]
        return [c["name"] for c in self.codes if where in ("all", c["in"]) or c["name"] in also]

    def fields(self, kind):
        return self.types[kind]["is"] if isinstance(kind, str) else kind

    def used_by(self, document):
        """The schemas that `document` needs, those that they need included."""
        found = {}
        queue = [document]
        while queue:
            value = queue.pop()
            if isinstance(value, dict):
                name = value.get("$ref", "").removeprefix("#/components/schemas/")
                if name in self.types and name not in found:
                    found[name] = self.of(self.types[name])
                    queue.append(found[name])
                queue.extend(value.values())
            elif isinstance(value, list):
                queue.extend(value)
        return {name: found[name] for name in self.types if name in found}


def info(title, version, about):
    return {"title": title, "version": version, "description": about, "license": LICENSE}


# -- OpenAPI


def problem(status, spec):
    codes = [c["name"] for c in spec["errors"]["codes"] if c["http"] == status]
    text = {401: "The token is missing or not accepted", 403: "Not allowed", 404: "Not there", 429: "Too many"}
    about = text.get(status, "Refused" if status < 500 else "Not available now")
    answer = {
        "description": about + (": " + ", ".join(f"`{name}`" for name in codes) if codes else "") + ".",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return answer


def parameters(schemas, route):
    out = []
    for place, fields in (("path", route.get("path_parameters", {})), ("query", route.get("query", {}))):
        for name, kind in fields.items():
            schema = schemas.of(kind)
            about = schema.pop("description", None) if "$ref" not in schema else None
            row = {"name": name.rstrip("?"), "in": place, "required": not name.endswith("?"), "schema": schema}
            out.append(row | ({"description": about} if about else {}))
    return out


def operation(schemas, route, spec):
    refusals, security = DOORS[route["door"]]
    answer = {"description": route["about"]}
    if "answer" in route:
        answer["content"] = {JSON: {"schema": schemas.of(route["answer"])}}
    elif "content" in route:
        answer["content"] = {route["content"]: {}}
    statuses = sorted({*refusals, *route.get("problems", ())})
    about = route["about"]
    if route["door"] in ("key", "user"):
        about += f" API keys need the scope `{route['scope']}`."
    out = {"operationId": route["name"], "tags": [route["group"]], "summary": route["about"], "description": about}
    if rows := parameters(schemas, route):
        out["parameters"] = rows
    if "body" in route:
        content = {"schema": schemas.of(route["body"])}
        if "example" in route:
            content["example"] = route["example"]
        out["requestBody"] = {"required": True, "content": {JSON: content}}
    out["responses"] = {str(route.get("status", 200)): answer}
    out["responses"] |= {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in statuses}
    if security is not None:
        out["security"] = list(security)
    return out, statuses


def openapi(spec, version):
    schemas, paths, statuses = Schemas(spec, siblings=True), {}, set()
    for route in spec["http"]["routes"]:
        row, refused = operation(schemas, route, spec)
        paths.setdefault(route["path"], {})[route["method"].lower()] = row
        statuses.update(refused)
    responses = {f"Problem{status}": problem(status, spec) for status in sorted(statuses)}
    return {
        "openapi": "3.1.0",
        "info": info("Tidewire over HTTP", version, "What a back end, an operator and a browser may call."),
        "servers": [{"url": "/", "description": "The server that this description comes from."}],
        "tags": [{"name": name, "description": about} for name, about in spec["http"]["groups"].items()],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key that begins with tw_."},
                "apiKeyAsBearer": {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token."},
                "userToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A user's own token."},
            },
            # The last one is no answer; what `tidewire check --json` writes is fixed here (protocol, section 5).
            "schemas": schemas.used_by([paths, responses, schemas.of("CheckReport")]),
            "responses": responses,
        },
    }


# -- AsyncAPI


def envelope(schemas, entry, may_have_id):
    fields = {"type": f"'{entry['type']}'"} | ({"id?": "RequestId"} if may_have_id else {})
    return schemas.object(fields | schemas.fields(entry["fields"]))


def requests_of(schemas, spec):
    out = {}
    for entry in spec["messages"]["requests"]:
        payload = envelope(schemas, entry, True)
        alternatives = {"subscribe": ("channel", "channels"), "ack": ("seqs", "up_to")}.get(entry["type"])
        if alternatives:
            payload["oneOf"] = [{"required": [name]} for name in alternatives]
        out[f"{entry['type']}Request"] = {
            "name": entry["type"],
            "title": entry["type"],
            "summary": entry["about"],
            "contentType": JSON,
            "payload": payload,
            "examples": [{"payload": entry["example"]}],
        }
    return out


def messages_of(schemas, spec):
    return {
        entry["type"]: {
            "name": entry["type"],
            "title": entry["type"],
            "summary": entry["about"],
            "contentType": JSON,
            "payload": envelope(schemas, entry, entry.get("reply", False)),
        }
        for entry in spec["messages"]["messages"]
    }


def operations_of(spec):
    def refer(name):
        return {"$ref": f"#/channels/socket/messages/{name}"}

    socket, out = {"$ref": "#/channels/socket"}, {}
    for entry in spec["messages"]["requests"]:
        out[entry["type"]] = {
            "action": "receive",
            "channel": socket,
            "summary": entry["about"],
            "messages": [refer(entry["type"] + "Request")],
            "reply": {"channel": socket, "messages": [refer(name) for name in entry["replies"]]},
        }
    out["deliver"] = {
        "action": "send",
        "channel": socket,
        "summary": "What the server sends by itself.",
        "messages": [refer(e["type"]) for e in spec["messages"]["messages"] if not e.get("reply")],
    }
    return out


def closes(spec):
    rows = [f"| {c['code']} | {c['reason'] or '-'} | {c['about']} | {c['then']} |" for c in spec["messages"]["closes"]]
    return "\n".join(["| close code | reason | | the client should |", "|---|---|---|---|", *rows])


def asyncapi(spec, version):
    schemas = Schemas(spec, siblings=False)
    messages = requests_of(schemas, spec) | messages_of(schemas, spec)
    socket = next(route for route in spec["http"]["routes"] if route["door"] == "socket")
    query = {name.rstrip("?"): schemas.of(kind) for name, kind in socket["query"].items()}
    about = "JSON objects in text frames. A request may have an `id`, which its replies repeat; replies come in the order of the requests.\n\n"
    return {
        "asyncapi": "3.0.0",
        "info": info("Tidewire over WebSocket", version, about + closes(spec))
        | {"license": {"name": LICENSE["name"], "url": "https://www.apache.org/licenses/LICENSE-2.0"}},
        "defaultContentType": JSON,
        "servers": {
            "plain": {"host": "127.0.0.1:8080", "protocol": "ws", "description": "A server for development."},
            "tls": {"host": "{host}", "protocol": "wss", "variables": {"host": {"description": "Your server."}}, "security": [{"$ref": "#/components/securitySchemes/userToken"}]},
        },
        "channels": {
            "socket": {
                "address": socket["path"],
                "title": "The WebSocket",
                "description": "Subprotocol tidewire.v1. A token comes in the header Authorization, as the subprotocol tidewire.token.<jwt>, as ?token= or in an `auth` message.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "query": {"type": "object", "properties": query}, "bindingVersion": "0.1.0"}},
            }
        },
        "operations": operations_of(spec),
        "components": {
            "securitySchemes": {"userToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "messages": messages,
            "schemas": schemas.used_by(messages),
        },
    }


def load(folder):
    spec = {name: json.loads((folder / "api" / f"{name}.json").read_text()) for name in ("types", "messages", "http")}
    return spec | {"errors": json.loads((folder / "errors.json").read_text())}


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    folder, version, out = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    spec = load(folder)
    out.mkdir(parents=True, exist_ok=True)
    for name, write in (("openapi", openapi), ("asyncapi", asyncapi)):
        (out / f"{name}.json").write_text(json.dumps(write(spec, version), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
