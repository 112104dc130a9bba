"""Requirement T1, protocol §9: `tidewire check URL` against our own server, in several configurations, and
against servers that misbehave: each fault must be found, by the check that is about it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import threading

import pytest
from described import value_faults
from server import SECRET, binary
from test_cli import DEVELOPMENT_SECRET
from test_tls import write_certificate
from tokens import mint
from websockets.asyncio.server import serve

clause = pytest.mark.clause
TIMED = {"health.latency", "load.fanout"}  # on a busy machine they may warn
GROUPS = {"tls", "health", "connections", "auth", "subscriptions", "messages", "errors", "resume", "load"}


def check(url: str, folder, *args: str, limit_s: float = 60):
    """Runs it; its status, what it printed, and the JSON report."""
    path = folder / "report.json"
    command = [str(binary()), "check", url, "--json", str(path), *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s)
    report = json.loads(path.read_text()) if path.exists() else None
    assert report is None or value_faults("CheckReport", report) == []
    return done.returncode, done.stdout + done.stderr, report


def outcomes(report: dict) -> dict[str, str]:
    return {row["id"]: row["outcome"] for row in report["checks"]}


def of(report: dict, outcome: str) -> list[tuple[str, str]]:
    rows = [row for row in report["checks"] if row["outcome"] == outcome]
    return [(row["id"], row.get("detail", "")) for row in rows if outcome != "warned" or row["id"] not in TIMED]


# -- a good server


@clause("9.check", "T1")
@pytest.mark.parametrize("way", ["secret", "token"])
def test_a_good_server_is_ready(start, tmp_path, way):
    server = start()
    who = ("--secret", SECRET) if way == "secret" else ("--token", mint("checker"))
    status, text, report = check(server.url(), tmp_path, *who)
    assert of(report, "failed") == [] and of(report, "warned") == [], text
    assert of(report, "skipped") == [("tls.certificate", "plain HTTP on this machine")]
    assert (status, report["ready"]) == (0, True) and report["score"] > 95
    assert {row["id"].split(".")[0] for row in report["checks"]} == GROUPS
    assert sum(report["counts"].values()) == len(report["checks"]) and report["counts"]["skipped"] == 1
    assert f"\nREADY: score {report['score']} of 100" in text and SECRET not in text and "eyJ" not in text + json.dumps(report)


@clause("9.check", "T1")
def test_its_tokens_have_the_claims_that_a_server_demands(start, tmp_path):
    server = start({"auth": {"audience": "app", "issuer": "https://id.example"}})
    status, text, _ = check(server.url(), tmp_path, "--secret", SECRET)
    assert status == 1 and "another issuer" in text
    claims = ("--claim", "aud=app", "--claim", "iss=https://id.example")
    status, text, report = check(server.url(), tmp_path, "--secret", SECRET, *claims)
    assert (status, of(report, "failed")) == (0, []), text


@clause("9.check", "T1", "P1")
def test_it_keeps_to_the_limits_of_production(start, tmp_path):
    """The defaults: 10 at once, 100 a minute. Nothing is refused, nobody is punished."""
    limits = {"messages_per_minute": 100, "burst": 10, "adaptive": True, "frames_per_second": 200, "malformed_per_minute": 20}
    server = start({"limits": limits, "auth": {"attempts_per_minute": 10, "required": True}})
    status, text, report = check(server.url(), tmp_path, "--secret", SECRET, "--connections", "8")
    assert (status, of(report, "failed"), of(report, "warned")) == (0, [], []), text


@clause("9.check", "T1")
def test_the_development_mode_is_ready_with_its_secret(start, tmp_path):
    server = start(bare=True, dev=True)
    status, text, _ = check(server.ws_url(), tmp_path, "--secret", DEVELOPMENT_SECRET)
    assert status == 0, text


@clause("9.check", "T1")
def test_without_an_identity_it_says_what_it_could_not_try(start, tmp_path):
    server = start()
    status, text, report = check(server.url(), tmp_path)
    assert (status, report["ready"], of(report, "failed")) == (1, False, []), text
    assert outcomes(report)["messages.delivered"] == "skipped"
    why = "Nothing failed, but no message was delivered. To have that tried give --token or --secret."
    assert text.rstrip().splitlines()[-1] == why
    public = start({"namespaces": {"open": {"subscribe": "anyone", "publish": "anyone"}}})
    status, text, report = check(public.url(), tmp_path, "--namespace", "open")
    assert (status, of(report, "failed")) == (0, []), text


@clause("9.check", "T1", "C6")
def test_tls_is_judged(start, tmp_path):
    write_certificate(tmp_path, "own")
    server = start({"server": {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}})
    trusted = ("--ca", str(tmp_path / "cert.pem"))
    status, text, report = check(server.url(), tmp_path, "--secret", SECRET, *trusted)
    assert (status, outcomes(report)["tls.certificate"]) == (0, "passed"), text
    status, text, report = check(server.url(), tmp_path, "--secret", SECRET)
    assert (status, outcomes(report)["tls.certificate"]) == (1, "failed"), text
    status, text, report = check(server.url(), tmp_path, "--secret", SECRET, "--insecure")
    assert (status, outcomes(report)["tls.certificate"]) == (0, "warned"), text


@clause("9.check", "T1")
def test_a_server_that_refuses_with_http_is_ready_too(start, tmp_path):
    server = start({"auth": {"reject": "http"}})
    status, text, report = check(server.url(), tmp_path, "--secret", SECRET)
    assert (status, of(report, "failed")) == (0, []), text
    assert ("errors.token", "with HTTP 401") in of(report, "passed")


@clause("9.check", "2.attempts", "T1")
@pytest.mark.parametrize("reject", ["close", "http"])
def test_a_run_costs_one_failed_attempt_and_makes_it_last(start, http, tmp_path, reject):
    """Two attempts are left before the address is turned away: two runs are ready, and the third says why it is not."""
    server = start({"auth": {"attempts_per_minute": 3, "attempts_penalty": "600s", "reject": reject}})
    assert http(server, "GET", "/api/v1/websocket/connection-health", key="x.y.z").status_code == 401
    for _ in range(2):
        status, text, report = check(server.url(), tmp_path, "--secret", SECRET)
        assert (status, of(report, "failed")) == (0, []), text
    status, text, report = check(server.url(), tmp_path, "--secret", SECRET)
    assert (status, report["ready"]) == (1, False)
    (found,) = of(report, "failed")
    assert found[0] == "connections.hello" and "turns this address away" in found[1] and "auth.attempts_penalty" in found[1]
    later = [row for row in report["checks"] if row["id"].split(".")[0] not in ("tls", "health", "connections")]
    assert later and all((row["outcome"], row["detail"]) == ("skipped", "this address is turned away") for row in later)


# -- wrong use


@pytest.mark.parametrize("url", ["", "example.com", "ftp://x", "http://", "http://x:y", "http://[::1", "http://a@b", "http://x:0000080"])
def test_what_is_no_address_is_a_wrong_argument(tmp_path, url):
    status, text, report = check(url, tmp_path)
    assert status == 2 and text and report is None


def test_wrong_arguments_are_named(start, tmp_path):
    server = start()
    assert check(server.url(), tmp_path, "--secret", "a", "--token", "b")[0] == 2
    assert check(server.url(), tmp_path, "--connections", "0")[0] == 2
    status, text, _ = check(server.url(), tmp_path / "nowhere")
    assert status == 2 and "--json" in text


# -- bad servers


def test_nobody_there_is_not_ready(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    status, text, report = check(f"http://127.0.0.1:{port}", tmp_path, "--secret", SECRET)
    assert (status, report["ready"]) == (1, False)
    assert "NOT READY" in text and outcomes(report)["connections.hello"] == "failed"


@contextlib.contextmanager
def peer(answer):
    """A TCP server that hands each connection to `answer`; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping, held = threading.Event(), []

    def accept():
        while not stopping.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                held.append(connection)
                answer(connection)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        listener.close()
        for connection in held:
            connection.close()


@clause("9.check", "T1")
@pytest.mark.parametrize(
    "answer",
    [
        lambda c: None,
        lambda c: c.sendall(b"220 smtp.example.com ready\r\n"),
        lambda c: c.close(),
        lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        lambda c: c.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"),
    ],
    ids=["silent", "smtp", "closes", "always-ok", "broken-upgrade"],
)
def test_what_is_no_such_server_is_not_ready_and_holds_nobody_up(tmp_path, answer):
    with peer(answer) as url:
        status, text, report = check(url, tmp_path, "--secret", SECRET, "--timeout", "0.3", limit_s=40)
    assert (status, outcomes(report)["connections.hello"]) == (1, "failed"), text


class Liar:
    """Speaks enough of the protocol to pass for a server, with one fault at a time."""

    def __init__(self, fault: str):
        self.fault, self.seqs, self.log, self.readers = fault, {}, {}, {}
        self.keys, self.connections = {}, 0

    async def talk(self, socket) -> None:
        headers = socket.request.headers
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        for part in (headers.get("Sec-WebSocket-Protocol") or "").split(","):
            if part.strip().startswith("tidewire.token."):
                token = part.strip().removeprefix("tidewire.token.")
        if "token=" in socket.request.path:
            token = socket.request.path.split("token=")[1]
        send = lambda message: socket.send(json.dumps(message))  # noqa: E731
        if token and not self.accepts(token):
            await send({"type": "auth_error", "code": "token_invalid", "message": "no", "retryable": False})
            await socket.close(1000 if self.fault == "close-code" else 1008, "token_invalid")
            return
        self.connections += 1
        number = 1 if self.fault == "same-id" else self.connections
        user = {"id": "checker", "type": "user"} if token else None
        limits = {"message_bytes": 1 << 20, "messages_per_minute": 60000, "burst": 1000, "channels": 1000}
        hello = {"type": "connected", "protocol": 1, "connection_id": f"c-{number}", "authenticated": bool(token), "user": user}
        if self.fault != "no-hello":
            await send(hello | {"limits": limits})
        async for text in socket:
            await self.answer(socket, send, text)

    def accepts(self, token: str) -> bool:
        if self.fault == "accepts-forged":
            return token.split(".")[1] == self.token.split(".")[1]
        if self.fault == "accepts-unsigned" and token.endswith("."):
            return True
        return token == self.token

    async def answer(self, socket, send, text) -> None:
        if isinstance(text, bytes):
            return await send({"type": "error", "code": "invalid_message", "message": "binary"})
        try:
            request = json.loads(text)
        except ValueError:
            if self.fault == "dies-of-json":
                return await socket.close(1011)
            return await send({"type": "error", "code": "invalid_json", "message": "no JSON"})
        kind, name = request["type"], request.get("channel", "")
        reply = {"id": request.get("id")}
        if kind == "ping":
            if self.fault != "no-pong":
                await send(reply | {"type": "pong", "data": request.get("data"), "timestamp": 1})
        elif kind == "auth":
            await send(reply | {"type": "auth_success", "user": {"id": "checker", "type": "user"}, "capabilities": []})
        elif kind == "dance" or isinstance(name, int) or " " in name:
            code = {"dance": "unknown_type", "history": "invalid_message"}.get(kind, "invalid_channel")
            await send(reply | {"type": "error", "code": code, "message": "no"})
        elif kind == "subscribe":
            for one in request.get("channels") or [request]:
                await self.subscribe(socket, send, reply, {"channel": one} if isinstance(one, str) else one)
        elif kind == "unsubscribe":
            await send(reply | {"type": "unsubscribed", "channel": name})
        elif kind == "history":
            await send(reply | {"type": "history", "channel": name, "epoch": "e", "messages": self.log.get(name, [])})
        elif kind == "publish":
            await self.publish(send, reply, request, text)

    async def subscribe(self, socket, send, reply, item) -> None:
        name, log = item["channel"], self.log.setdefault(item["channel"], [])
        self.readers.setdefault(name, set()).add(socket)
        out = reply | {"type": "subscribed", "channel": name, "kind": "stream", "epoch": "e", "seq": len(log), "messages": []}
        if since := item.get("since"):
            good = since["epoch"] == "e" or self.fault == "recovers-all"
            missed = log[since["seq"] :] if good else []
            if self.fault == "forgets" and missed:
                missed = missed[1:]
            out |= {"recovered": good, "messages": missed} | ({} if good else {"reason": "epoch"})
        await send(out)

    async def publish(self, send, reply, request, text) -> None:
        name, key = request["channel"], request.get("key")
        log = self.log.setdefault(name, [])
        duplicate = key in self.keys and self.fault != "no-keys"
        seq = self.keys[key] if duplicate else len(log) + 1
        if key:
            self.keys[key] = seq
        await send(reply | {"type": "published", "channel": name, "epoch": "e", "seq": seq} | ({"duplicate": True} if duplicate else {}))
        if duplicate:
            return
        log.append({"seq": seq, "timestamp": 1, "data": request["data"]})
        data = text[text.index('"data":') + 7 : -1] if text.endswith("}") and '"id":"p"' in text else json.dumps(request["data"])
        if self.fault == "rewrites":
            data = json.dumps(json.loads(data))
        delivery = f'{{"type":"message","channel":"{name}","seq":{seq},"timestamp":1,"data":{data}}}'
        ordered, loaded = name.endswith("-ordered"), name.endswith("-load")
        times = 0 if (self.fault == "loses" and ordered and seq == 3) or (self.fault == "loses-under-load" and loaded and seq == 5) else 1
        times = 2 if self.fault == "repeats" and ordered and seq == 3 else times
        for reader in list(self.readers.get(name, ())):
            for _ in range(times):
                with contextlib.suppress(Exception):
                    await reader.send(delivery)


def status_of(connection, request):
    """The HTTP side: healthy, with nothing open that must not be."""
    path = request.path.split("?")[0]
    if path == "/ws":
        return None
    code = {"/healthz": 200, "/readyz": 200, "/openapi.json": 200, "/asyncapi.json": 200}.get(path, 403)
    return connection.respond(code, "{}\n")


def against(liar: Liar, tmp_path):
    def chosen(_, offered):
        return "tidewire.v1" if "tidewire.v1" in offered else None

    async def run():
        async with serve(liar.talk, "127.0.0.1", 0, process_request=status_of, select_subprotocol=chosen) as server:
            port = server.sockets[0].getsockname()[1]
            liar.token = mint("checker")
            return await asyncio.to_thread(
                check, f"http://127.0.0.1:{port}", tmp_path, "--token", liar.token, "--timeout", "1", "--connections", "5"
            )

    return asyncio.run(run())


@clause("9.check", "T1")
def test_the_liar_that_tells_the_truth_is_ready(tmp_path):
    """Else the next test would show nothing."""
    status, text, report = against(Liar("none"), tmp_path)
    assert (status, of(report, "failed")) == (0, []), text


@clause("9.check", "T1")
@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("no-hello", "connections.hello"),
        ("no-pong", "connections.ping"),
        ("same-id", "connections.several"),
        ("close-code", "errors.token"),
        ("accepts-forged", "errors.token"),
        ("accepts-unsigned", "errors.token"),
        ("rewrites", "messages.delivered"),
        ("loses", "messages.ordered"),
        ("repeats", "messages.ordered"),
        ("no-keys", "messages.once"),
        ("dies-of-json", "errors.json"),
        ("forgets", "resume.position"),
        ("recovers-all", "resume.epoch"),
        ("loses-under-load", "load.fanout"),
    ],
)
def test_a_server_that_lies_is_found_out(tmp_path, fault, found):
    status, text, report = against(Liar(fault), tmp_path)
    assert (status, report["ready"]) == (1, False), text
    assert outcomes(report)[found] == "failed", text
    assert report["score"] < 100
