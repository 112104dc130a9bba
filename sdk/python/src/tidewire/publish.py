"""What a publish may ask for (docs/protocol.md, section 4 `publish`), checked before it is sent."""

from __future__ import annotations

from typing import Any

from .errors import misuse
from .names import check_text, check_ttl
from .protocol import Priority, is_count

_PRIORITIES = ("critical", "high", "medium", "low")


def publish_body(
    content: dict[str, Any],
    *,
    event: str | None = None,
    key: str | None = None,
    priority: Priority | None = None,
    ttl_ms: int | None = None,
    echo: bool = True,
    ephemeral: bool = False,
    if_seq: int | None = None,
) -> dict[str, Any]:
    """The request's fields, without type and channel."""
    check_text("event", event, 64)
    check_text("key", key, 128)
    check_ttl(ttl_ms)
    if priority is not None and priority not in _PRIORITIES:
        raise misuse(f"`priority` is one of {', '.join(_PRIORITIES)}")
    if if_seq is not None and not is_count(if_seq):
        raise misuse("`if_seq` is a seq of the document")
    if ephemeral and (key is not None or ttl_ms is not None):
        raise misuse("an ephemeral message is not kept: leave out `key` and `ttl_ms`")
    options = {"event": event, "key": key, "priority": priority, "ttl_ms": ttl_ms, "if_seq": if_seq}
    body = {**content, **{name: value for name, value in options.items() if value is not None}}
    if not echo:
        body["echo"] = False
    if ephemeral:
        body["ephemeral"] = True
    return body
