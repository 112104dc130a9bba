"""What can go wrong, with one family of exceptions for all of it: an error that the server answered, or one of this
library's own. Each has a `code` to branch on and `advice`, which says what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What each code asks of whoever meets it. The codes of the protocol (docs/protocol.md, section 6) first.
_ADVICE = {
    "invalid_json": "send valid JSON",
    "invalid_message": "correct the field that the message names",
    "unknown_type": "check the request's name; the server may be of an older version",
    "invalid_channel": 'name the channel like "room:lobby"',
    "unauthorized": "connect with a token, or call with an API key",
    "forbidden": "give the token a grant for this, or change the namespace's access rule",
    "not_found": "check the name; a namespace has to be configured before it is used",
    "not_subscribed": "subscribe first",
    "channel_limit": "unsubscribe from channels that are not needed, or raise limits.channels",
    "rate_limited": "wait retry_after_ms, send less often, or raise the limits",
    "conflict": "read the present state (its seq is in `seq`) and try again on top of it",
    "connection_limit": "close other connections of this user, or raise the limits",
    "content_rejected": "change the content; `rule` names what the content policy found",
    "invalid_event": "check the rules of the channel's kind: it refuses this event in its present state",
    "unavailable": "try again after retry_after_ms; the server's health page names the part that is down",
    "too_large": "send less at once, or raise limits.message_bytes",
    "internal": "try again; the server's log has the cause",
    "token_missing": "give a token",
    "token_malformed": "give a JWT of three segments, without spaces or prefix",
    "token_invalid": "check the signing key, the algorithm, issuer and audience, and the clock of who signs",
    "token_expired": "give a fresh token; with a function as `token` this happens by itself",
    "token_not_yet_valid": "check the clock of who signs the token",
    "token_revoked": "sign the user in again and give a token issued after that",
    "user_not_found": "create the user in the directory first",
    "user_mismatch": "make a new client for another user",
    "auth_timeout": "give the token when connecting",
    # This library's own.
    "timeout": "check that the server can be reached, or allow more time",
    "connection_lost": "find out whether it was done before doing it again",
    "not_connected": "wait for the connection; what is ephemeral is not kept for later",
    "closed": "call connect() to begin anew",
    "unsubscribed": "subscribe() again if the channel is still wanted",
    "token_failed": "make the `token` function return a JWT; its own exception is the cause",
    "overflow": "read the iterator faster, or give it a larger buffer",
    "protocol_error": "check the versions of server and client, and what stands between them",
    "invalid_argument": "correct the call as the message says",
}

# A server that asks for a longer wait than this is not believed.
_RETRY_MAX_MS = 24 * 3_600_000

# Failures that time may mend.
PASSING = frozenset({"rate_limited", "unavailable", "internal", "protocol_error", "token_failed", "timeout"})


class TidewireError(Exception):
    """Everything that fails in this library fails with one of these. The subclasses group codes for `except`."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        channel: str | None = None,
        request: str | None = None,
        retry_after_ms: float | None = None,
        seq: int | None = None,
        rule: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.channel = channel
        """The channel that it is about."""
        self.request = request
        """The type of the request that failed."""
        self.retry_after_ms = retry_after_ms
        """Of `rate_limited` and `unavailable`: when another try makes sense."""
        self.seq = seq
        """Of `conflict`: the channel's present seq."""
        self.rule = rule
        """Of `content_rejected`: the rule."""
        self.status = status
        """Of a call of the HTTP API: the status of the response."""

    @property
    def advice(self) -> str:
        """What to do about it."""
        return _ADVICE.get(self.code, "see the server's documentation of this code")

    @property
    def passing(self) -> bool:
        """Whether the same may work later."""
        return self.code in PASSING

    def __str__(self) -> str:
        about = f" ({self.channel})" if self.channel else ""
        return f"{self.code}{about}: {self.message} - {self.advice}"


class AuthenticationError(TidewireError):
    """There is no token, or it is not accepted."""


class ForbiddenError(TidewireError):
    """This identity may not do that."""


class NotFoundError(TidewireError):
    """There is no such channel, namespace or thing."""


class ConflictError(TidewireError):
    """Somebody else was faster; `seq` is where the channel is now."""


class LimitError(TidewireError):
    """Too much, too fast, too many or too large."""


class RefusedError(TidewireError):
    """The request is wrong, and the same request will be wrong again."""


class UnavailableError(TidewireError):
    """The server, or a part of it, can't do it now."""


class ConnectionFailedError(TidewireError):
    """There is no connection, or no answer came over it."""


class ClosedError(TidewireError):
    """The client or the subscription has been ended."""


_CLASSES: dict[str, type[TidewireError]] = {
    "unauthorized": AuthenticationError,
    "user_not_found": AuthenticationError,
    "user_mismatch": AuthenticationError,
    "auth_timeout": AuthenticationError,
    "forbidden": ForbiddenError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "rate_limited": LimitError,
    "channel_limit": LimitError,
    "connection_limit": LimitError,
    "too_large": LimitError,
    "overflow": LimitError,
    "content_rejected": RefusedError,
    "unknown_type": RefusedError,
    "not_subscribed": RefusedError,
    "unavailable": UnavailableError,
    "internal": UnavailableError,
    "timeout": ConnectionFailedError,
    "connection_lost": ConnectionFailedError,
    "not_connected": ConnectionFailedError,
    "closed": ClosedError,
    "unsubscribed": ClosedError,
}


def make_error(code: str, message: str, **details: Any) -> TidewireError:
    """The exception for a code, of the class that the code belongs to."""
    group = _CLASSES.get(code)
    if group is None and code.startswith("token_"):
        group = AuthenticationError
    if group is None and code.startswith("invalid_"):
        group = RefusedError
    return (group or TidewireError)(code, message, **details)


def misuse(message: str) -> TidewireError:
    """A call that can't work."""
    return make_error("invalid_argument", message)


def error_of(wire: Mapping[str, Any], **details: Any) -> TidewireError:
    """The exception that an `error`, an `auth_error` or a problem+json body stands for, whatever the server put into it."""
    code = wire.get("code")
    message = wire.get("message", wire.get("detail"))
    known: dict[str, Any] = {}
    for name in ("channel", "request", "rule"):
        if isinstance(wire.get(name), str):
            known[name] = wire[name]
    seq, retry_after_ms = wire.get("seq"), wire.get("retry_after_ms")
    if isinstance(seq, int) and not isinstance(seq, bool):
        known["seq"] = seq
    if isinstance(retry_after_ms, (int, float)) and 0 <= retry_after_ms <= _RETRY_MAX_MS:
        known["retry_after_ms"] = float(retry_after_ms)
    code = code if isinstance(code, str) and code else "protocol_error"
    return make_error(code, message if isinstance(message, str) else code, **{**known, **details})


def unexpected(wire: Mapping[str, Any], request: str) -> TidewireError:
    """An answer that can't be one."""
    return make_error("protocol_error", f'the server answered {request} with a bad "{wire.get("type")}"', request=request)
