"""Tokens for thousands of users, as `tidewire token` would print them one by one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

DEVELOPMENT_SECRET = b"development-secret-not-for-production"


def tokens(folder: Path, count: int) -> Path:
    """A file with one line for each of `count` users."""
    target = folder / f"tokens-{count}"
    if not target.exists():
        head = _segment({"alg": "HS256", "typ": "JWT"})
        issued = int(time.time())
        with open(target, "w") as lines:
            for i in range(count):
                text = f"{head}.{_segment({'sub': f'u{i}', 'iat': issued, 'exp': issued + 86400})}"
                mac = hmac.new(DEVELOPMENT_SECRET, text.encode(), hashlib.sha256).digest()
                lines.write(f"{text}.{_text(mac)}\n")
    return target


def _segment(value: dict[str, object]) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
