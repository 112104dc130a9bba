"""The address of a server as an application writes it, and as each side of this library needs it."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

from .errors import misuse

_SOCKET = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_HTTP = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


def socket_url(address: str) -> str:
    """`https://host` becomes `wss://host/ws`. The inbox is followed when the application asks for it, not by itself."""
    parts = _split(address)
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "inbox"]
    path = "/ws" if parts.path in ("", "/") else parts.path
    return urlunsplit((_SOCKET[parts.scheme], parts.netloc, path, urlencode([*query, ("inbox", "manual")]), ""))


def api_url(address: str) -> str:
    """`wss://host/ws` and `https://host/` both become `https://host`; a path of a proxy stays."""
    parts = _split(address)
    path = parts.path.rstrip("/")
    return urlunsplit((_HTTP[parts.scheme], parts.netloc, path.removesuffix("/ws"), "", ""))


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        if parts.scheme in _SOCKET and parts.hostname and (parts.port is None or parts.port > 0):
            return parts
    except (ValueError, AttributeError, TypeError):
        pass
    raise misuse(f'{address!r} is no address like "https://example.com" or "wss://example.com/ws"')
