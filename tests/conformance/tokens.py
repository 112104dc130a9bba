"""Mints tokens, good and bad, with every algorithm; holds the test keys and serves a key set."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import threading
import time

import jwt.algorithms
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from server import SECRET

ALGORITHMS = jwt.algorithms.get_default_algorithms()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header: dict | bytes, payload: dict | bytes, alg: str, key) -> str:
    """A JWS over exactly these two parts, whatever they hold; `alg` None leaves the signature empty."""
    parts = [p if isinstance(p, bytes) else json.dumps(p).encode() for p in (header, payload)]
    text = ".".join(b64(p) for p in parts)
    if alg is None:
        return text + "."
    tool = ALGORITHMS[alg]
    prepared = key if isinstance(key, bytes) else tool.prepare_key(key)
    return text + "." + b64(tool.sign(text.encode(), prepared))


def mint(
    sub: object = "alice",
    *,
    alg: str = "HS256",
    key=SECRET,
    kid: str | None = None,
    ttl_s: float | None = 3600,
    header: dict | None = None,
    without: tuple[str, ...] = (),
    **claims,
) -> str:
    """A token for `sub`; a claim given as keyword wins, one named in `without` is left out."""
    now = int(time.time())
    payload = {"sub": sub, "iat": now}
    if ttl_s is not None:
        payload["exp"] = now + int(ttl_s)
    payload |= claims
    for name in without:
        payload.pop(name, None)
    head = {"alg": alg, "typ": "JWT"} | ({"kid": kid} if kid else {}) | (header or {})
    return sign(head, payload, alg, key.encode() if isinstance(key, str) else key)


@functools.cache
def private_key(name: str):
    """A key made once a run: `rsa`, `rsa2`, `rsa1024`, `p256`, `p384`, `p521`, `ed25519` …"""
    if name == "rsa1024":
        return rsa.generate_private_key(65537, 1024)
    if name.startswith("rsa"):
        return rsa.generate_private_key(65537, 2048)
    if name.startswith("p256"):
        return ec.generate_private_key(ec.SECP256R1())
    if name.startswith("p384"):
        return ec.generate_private_key(ec.SECP384R1())
    if name.startswith("p521"):
        return ec.generate_private_key(ec.SECP521R1())
    return ed25519.Ed25519PrivateKey.generate()


def public_pem(name: str) -> bytes:
    return (
        private_key(name)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def jwk(name: str, kid: str, alg: str | None) -> dict:
    """The public half of a test key as a JWK."""
    public = private_key(name).public_key()
    if isinstance(public, rsa.RSAPublicKey):
        out = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        out = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        out = jwt.algorithms.OKPAlgorithm.to_jwk(public, as_dict=True)
    out.pop("key_ops", None)
    return out | {"kid": kid, "use": "sig"} | ({"alg": alg} if alg else {})


KEY_OF_ALGORITHM = {
    "RS256": "rsa",
    "RS384": "rsa",
    "RS512": "rsa",
    "PS256": "rsa",
    "PS384": "rsa",
    "PS512": "rsa",
    "ES256": "p256",
    "ES384": "p384",
    "ES512": "p521",
    "EdDSA": "ed25519",
}


class KeySetServer:
    """A real HTTP server on loopback that answers with `keys`, or with `status` alone."""

    def __init__(self, keys: list[dict] | None = None):
        self.keys = keys or []
        self.status = 200
        self.hits = 0
        outer = self

        class Answer(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.hits += 1
                body = json.dumps({"keys": outer.keys}).encode() if outer.status == 200 else b""
                self.send_response(outer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> KeySetServer:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
