"""The words of the protocol (docs/protocol.md) as this library shows them, and how they come off the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ChannelKind = Literal["stream", "document", "session", "inbox", "upload", "agent"]
Priority = Literal["critical", "high", "medium", "low"]
UserId = str | int
Wire = dict[str, Any]
"""A message of the server: an object with a string `type`; nothing else is known of it."""

SEQ_MAX = 2**53


@dataclass(frozen=True, slots=True)
class User:
    id: UserId
    type: str = "user"
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """The author of a message. `user` is None for an anonymous connection, `connection` where it came by HTTP."""

    user: User | None
    connection: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    channel: str
    data: Any
    timestamp: int = 0
    """Milliseconds since 1970 by the server's clock."""
    seq: int | None = None
    """None in an ephemeral message, which has no place in the log."""
    event: str | None = None
    sender: Sender | None = None
    """None for an API key."""
    priority: Priority | None = None
    first_seq: int | None = None
    """This delivery stands for `first_seq` to `seq`, merged."""
    change: Literal["data", "merge", "patch"] = "data"
    """Of a document: what `data` is: all of it, an RFC 7396 merge patch, or a list of RFC 6902 operations."""
    redelivered: bool = False
    """Of an inbox: it was sent to this user before."""
    flags: tuple[str, ...] = ()
    """What the content policy noticed."""


@dataclass(frozen=True, slots=True)
class Member:
    """Who is present in a channel."""

    user: User
    connections: int = 1
    """0 while the grace time of the last one runs."""
    data: Any = None
    since: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    channel: str
    epoch: str | None = None
    """None for an ephemeral message, and so is `seq`."""
    seq: int | None = None
    duplicate: bool = False
    """An earlier publish with the same key was answered again; nothing was appended."""
    dropped: bool = False
    """A full inbox had only more important entries."""
    ephemeral: bool = False
    online: int | None = None
    """Of a notification by HTTP: how many of the user's connections there are."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who this client is on the present connection, and what it may do."""

    connection_id: str
    tenant: str
    user: User | None
    capabilities: tuple[str, ...] = ()
    expires_at: int | None = None
    """When the token ends, in milliseconds since 1970; None without one, or for one that does not end."""
    limits: Mapping[str, Any] = field(default_factory=dict)

    @property
    def authenticated(self) -> bool:
        return self.user is not None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    epoch: str
    first: int
    """The oldest and the newest seq that the log holds; 0 when it is empty."""
    last: int
    messages: tuple[Message, ...]


def is_seq(value: object) -> bool:
    return is_count(value) and value != 0


def is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < SEQ_MAX


def number_of(value: object) -> float | None:
    """A number that can be calculated with, or None: a server may say anything."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and -SEQ_MAX <= value <= SEQ_MAX:
        return float(value)
    return None


def object_of(text: str | bytes) -> Wire | None:
    """The JSON object that this text holds; None: it holds none."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def wire_of(text: str) -> Wire | None:
    """The message that this text holds; None: it holds none."""
    value = object_of(text)
    return value if value is not None and isinstance(value.get("type"), str) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def user_of(value: object) -> User | None:
    if not isinstance(value, dict):
        return None
    user, kind, name = value.get("id"), value.get("type"), value.get("name")
    if not isinstance(user, (str, int)) or isinstance(user, bool):
        return None
    return User(user, kind if isinstance(kind, str) else "user", name if isinstance(name, str) else None)


def message_of(value: object, channel: str) -> Message | None:
    """A `message`, or an entry of a `messages` list; None: it is none."""
    if not isinstance(value, dict):
        return None
    seq, first_seq = value.get("seq"), value.get("first_seq")
    if seq is not None and not is_seq(seq):
        return None
    if first_seq is not None and not (is_seq(first_seq) and seq is not None and first_seq <= seq):
        return None
    change: Literal["data", "merge", "patch"] = "merge" if "merge" in value else "patch" if "patch" in value else "data"
    event, sent_by, flags = value.get("event"), value.get("from"), value.get("flags")
    priority = value.get("priority")
    connection = sent_by.get("connection") if isinstance(sent_by, dict) else None
    return Message(
        channel=channel,
        data=value.get(change),
        timestamp=int(number_of(value.get("timestamp")) or 0),
        seq=seq,
        event=event if isinstance(event, str) else None,
        sender=Sender(user_of(sent_by.get("user")), connection if isinstance(connection, str) else None)
        if isinstance(sent_by, dict)
        else None,
        priority=priority if priority in ("critical", "high", "medium", "low") else None,
        first_seq=first_seq,
        change=change,
        redelivered=value.get("redelivered") is True,
        flags=tuple(flag for flag in flags if isinstance(flag, str)) if isinstance(flags, list) else (),
    )


def member_of(value: object) -> Member | None:
    if not isinstance(value, dict):
        return None
    user = user_of(value.get("user"))
    if user is None:
        return None
    connections, since = number_of(value.get("connections")), number_of(value.get("since"))
    return Member(
        user=user,
        connections=1 if connections is None else int(connections),
        data=value.get("data"),
        since=None if since is None else int(since),
    )


def members_of(value: object) -> tuple[Member, ...] | None:
    """A list of members as far as its entries are some; None: it is no list."""
    if not isinstance(value, list):
        return None
    return tuple(member for member in map(member_of, value) if member is not None)


def published_of(value: Mapping[str, Any], channel: str) -> Published | None:
    """The answer to a publish, if it is one."""
    seq, epoch = value.get("seq"), value.get("epoch")
    dropped, ephemeral = value.get("dropped") is True, value.get("ephemeral") is True
    if not (dropped or ephemeral or (is_seq(seq) and isinstance(epoch, str))):
        return None
    online = value.get("online")
    return Published(
        channel=channel,
        epoch=epoch if isinstance(epoch, str) else None,
        seq=seq if is_seq(seq) else None,
        duplicate=value.get("duplicate") is True,
        dropped=dropped,
        ephemeral=ephemeral,
        online=online if isinstance(online, int) else None,
    )


def history_of(value: Mapping[str, Any], channel: str) -> HistoryPage | None:
    first, last, entries, epoch = value.get("first"), value.get("last"), value.get("messages"), value.get("epoch")
    if not (isinstance(first, int) and isinstance(last, int) and isinstance(entries, list) and isinstance(epoch, str)):
        return None
    messages = tuple(message for message in (message_of(entry, channel) for entry in entries) if message is not None)
    return HistoryPage(epoch, first, last, messages)
