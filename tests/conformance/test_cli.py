"""Protocol §9: the command line, the configuration, drain and reload."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import jwt
import pytest
from client import Client, channel, eventually, reloaded_to, unique
from raw import exchange, upgrade_request
from server import API_KEY, BASE, SECRET, Server, binary, toml
from tokens import mint

clause = pytest.mark.clause
DEVELOPMENT_SECRET = "development-secret-not-for-production"


def run(*args: str, cwd=None, env: dict | None = None, timeout_s: float = 15):
    """Runs the binary to its end: its status, and all that it said."""
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")} | (env or {})
    done = subprocess.run(
        [str(binary()), *args], capture_output=True, text=True, cwd=cwd, env=surroundings, timeout=timeout_s
    )
    return done.returncode, done.stdout, done.stderr


def refused(server: Server) -> tuple[int, str]:
    """Starts a server that must end by itself: its status, and its log."""
    server.launch()
    try:
        return server.wait(), server.log()
    finally:
        server.kill()


# -- secrets


@clause("9.config", "P8")
def test_no_value_of_a_urls_query_is_printed(tmp_path):
    """§9 `config print`: secrets masked"""
    (tmp_path / "tidewire.toml").write_text(
        """
        [auth]
        jwks_url = "https://user:PLANTED-1@id.example/j?apikey=PLANTED-2#PLANTED-3"
        [directory]
        url = "postgres://u:PLANTED-4@db/app?sslmode=require&sslpassword=PLANTED-5"
        query = "select 1 from users where id = $1"
        [tenants.acme]
        jwks_url = "https://id.example/j?PLANTED-6"
        """
    )
    status, out, err = run("config", "print", "--config", "tidewire.toml", cwd=tmp_path)
    assert status == 0, err
    assert "https://user:***@id.example/j?apikey=***#***" in out and "sslpassword=***" in out
    assert "PLANTED" not in out + err


# -- standard streams that take nothing


def run_in_shell(redirected: str, cwd) -> tuple[int, str, str]:
    done = subprocess.run(
        ["sh", "-c", f'"$0" {redirected}', str(binary())], capture_output=True, text=True, cwd=cwd, timeout=15
    )
    return done.returncode, done.stdout, done.stderr


@clause("9.config", "O1")
@pytest.mark.parametrize("where", [">/dev/full", ">&-"])
@pytest.mark.parametrize("command", ["config print", "config print --defaults", "token --user a", "--help"])
def test_what_could_not_be_printed_is_no_success(tmp_path, command, where):
    status, _, err = run_in_shell(f"{command} {where}", tmp_path)
    assert status == 1
    assert command == "--help" or "standard output can't be written to" in err


@clause("9.config", "O1")
@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", ">/dev/full", ">&-", "<&- >&- 2>&-"])
def test_config_check_answers_by_its_status_wherever_its_words_go(tmp_path, where):
    """§9: "exits 0 or 2" """
    assert run_in_shell(f"config check {where}", tmp_path)[0] == 0
    (tmp_path / "bad.toml").write_text("[server]\nlisten = 5\n")
    assert run_in_shell(f"config check --config bad.toml {where}", tmp_path)[0] == 2


@clause("9.serve", "O1")
def test_closed_standard_descriptors_are_held_by_the_null_device(tmp_path):
    command = ["sh", "-c", 'exec "$0" serve --dev --listen 127.0.0.1:0 --data data <&- >&- 2>&-', str(binary())]
    process = subprocess.Popen(command, cwd=tmp_path)
    try:
        opened = pathlib.Path(f"/proc/{process.pid}/fd")
        deadline = time.monotonic() + 15
        while len(list(opened.iterdir())) < 8 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        assert [os.readlink(opened / str(fd)) for fd in range(3)] == ["/dev/null"] * 3
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()


# -- the ready line


@clause("9.ready", "O1")
def test_one_line_on_standard_output_tells_the_real_port(start):
    """§9: "it prints one line to standard output, `tidewire ready on http://127.0.0.1:8080`, with the port
    that it really has …; logs go to standard error" """
    server = start()
    assert server.port > 0
    server.terminate()
    assert server.wait() == 0
    assert server.stdout == [f"tidewire ready on http://127.0.0.1:{server.port}"]


@clause("9.serve", "O1", "O4")
def test_json_logs_are_json_lines(start):
    """§9: `--log-format text|json`"""
    server = start(args=("--log-format", "json", "--log-level", "debug"))
    server.terminate()
    assert server.wait() == 0
    lines = [line for line in server.log().splitlines() if line.strip()]
    assert lines
    for line in lines:
        assert isinstance(json.loads(line), dict)


@clause("9.serve", "O1")
def test_an_unknown_flag_or_subcommand_is_an_error():
    """§9: the subcommands are `serve`, `check`, `tail`, `bench`, `token`, `config`"""
    for args, named in ((("serve", "--no-such-flag"), "no-such-flag"), (("nonsense",), "nonsense"), (("config", "foo"), "foo")):
        status, _, err = run(*args)
        assert status == 2 and named in err and "required" not in err


# -- configuration


@clause("9.config", "O1")
def test_config_check_exits_0_or_2(tmp_path):
    """§9: "`tidewire config check [--config FILE]` exits 0 or 2" """
    good = tmp_path / "good.toml"
    good.write_text(toml(BASE))
    assert run("config", "check", "--config", str(good))[0] == 0
    bad = tmp_path / "bad.toml"
    bad.write_text("[server]\nshards = 2\nnonsense_key = 1\n")
    status, out, err = run("config", "check", "--config", str(bad))
    assert status == 2
    assert "nonsense_key" in out + err and "bad.toml" in out + err
    assert re.search(r"\b3\b", out + err), "the line of the key"


BAD = {
    "unknown-table": ("[nowhere]\nx = 1\n", "nowhere"),
    "unknown-key": ("[auth]\nrequierd = true\n", "requierd"),
    "wrong-type": ('[limits]\nburst = "many"\n', "limits.burst"),
    "bad-duration": ('[auth]\ntimeout = "10 parsecs"\n', "auth.timeout"),
    "bad-choice": ('[compression]\nmode = "zip"\n', "compression.mode"),
    "negative": ("[limits]\nburst = -5\n", "limits.burst"),
    "bad-kind": ('[namespaces.x]\nkind = "strem"\n', "namespaces.x.kind"),
    "bad-address": ('[server]\nlisten = "nowhere"\n', "server.listen"),
    "no-scopes": ('[[api.keys]]\nkey = "tw_abc"\n', "api.keys[0].scopes"),
    "bad-scope": ('[[api.keys]]\nkey = "tw_abc"\nscopes = ["root"]\n', "scopes"),
}


@clause("9.config", "O1")
@pytest.mark.parametrize("text, key", BAD.values(), ids=BAD.keys())
def test_a_configuration_error_names_the_key_and_exits_2(tmp_path, text, key):
    """§9: "A configuration error, an unknown key among them, names the key, the file and line, and exits 2" """
    file = tmp_path / "settings.toml"
    file.write_text("# first line\n" + text)
    for args in (
        ("config", "check", "--config", str(file)),
        ("serve", "--config", str(file), "--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0"),
    ):
        if key == "server.listen" and args[0] == "serve":
            continue
        status, out, err = run(*args)
        assert status == 2, (args, out, err)
        assert key in out + err, out + err
        assert "settings.toml" in out + err, out + err


LINES = {
    "second-api-key": (
        '[[api.keys]]\nkey = "tw_a"\nscopes = ["read"]\n\n[[api.keys]]\nkey = "tw_a"\nscopes = ["read"]\n',
        "settings.toml:6: api.keys[1].key: ",
    ),
    "second-auth-key": (
        '[[auth.keys]]\nalg = "HS256"\nsecret = "s"\n\n[[auth.keys]]\nalg = "ES256"\n',
        "settings.toml:5: auth.keys[1]: ",
    ),
    "kind-without-its-rules": ('\n[namespaces.user]\nkind = "stream"\n', "settings.toml:3: namespaces.user.kind: "),
    "empty-tenant": ("\n[tenants.default]\n", "settings.toml:2: tenants.default: "),
    "host-with-port": (
        '[tenants.beta]\nhosts = ["a.example",\n "beta.example:8080"]\n',
        'settings.toml:2: tenants.beta.hosts: "beta.example:8080" must be a host name without a port',
    ),
}


@clause("9.config", "O1")
@pytest.mark.parametrize("text, place", LINES.values(), ids=LINES.keys())
def test_a_configuration_error_names_the_line_of_what_is_wrong(tmp_path, text, place):
    """§9: "A configuration error … names the key, the file and line" """
    (tmp_path / "settings.toml").write_text(text)
    status, out, err = run("config", "check", "--config", "settings.toml", cwd=tmp_path)
    assert status == 2 and f"error: {place}" in err, out + err


@clause("9.config", "O1", "A1")
def test_a_file_that_does_not_fit_is_named_with_its_key_and_line(tmp_path):
    """§9: "A configuration error … names the key, the file and line, and exits 2": `config check` and `serve`
    alike, also for what stands in a key file, and for a URL to which no request could go"""
    (tmp_path / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\nnothing\n-----END PUBLIC KEY-----\n")
    (tmp_path / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    (tmp_path / "tls.pem").write_text("-----BEGIN PRIVATE KEY-----\nnothing\n-----END PRIVATE KEY-----\n")
    good = '[[auth.keys]]\nalg = "HS256"\nsecret = "s"\n'
    bad = '[[auth.keys]]\nalg = "ES256"\nfile = "key.pem"\n'
    for text, place in (
        (good + bad, "settings.toml:6: auth.keys[1].file: "),
        (good + bad.replace("auth", "tenants.acme"), "settings.toml:6: tenants.acme.keys[0].file: "),
        ('[server]\ntls_cert = "cert.pem"\ntls_key = "tls.pem"\n', "settings.toml:2: server.tls_cert: "),
        ('[directory]\nurl = "postgres://u:hunter2@[db/app"\n', "settings.toml:2: directory.url: "),
        ('[directory]\nurl = "postgres://u:hunter2@db:99999/app"\n', "settings.toml:2: directory.url: "),
        ('[directory]\nurl = "https://u:hunter2@app..example/{id}"\n', "settings.toml:2: directory.url: "),
        ('[directory]\nurl = "https://u:hunter2/3@app.example/{id}"\n', "settings.toml:2: directory.url: "),
        ('[directory]\nurl = "postgres://u:hunter2/3@db/app"\n', "settings.toml:2: directory.url: "),
        ('[auth]\nleeway = "1s"\njwks_url = "https://id.example:x/keys"\n', "settings.toml:3: auth.jwks_url: "),
        ('[auth]\njwks_url = "https:///keys"\n', "settings.toml:2: auth.jwks_url: "),
        ('[auth]\njwks_url = "http://id.example/keys"\n', "settings.toml:2: auth.jwks_url: plain http"),
        ('[tenants.acme]\njwks_url = "https://[::1/keys"\n', "settings.toml:2: tenants.acme.jwks_url: "),
        ('[engine]\nurl = "redis://h:0"\n', "settings.toml:2: engine.url: "),
        ('[webhooks]\nurl = "https://"\n', "settings.toml:2: webhooks.url: "),
    ):
        (tmp_path / "settings.toml").write_text(text)
        for args in (("config", "check"), ("serve", "--data", "d", "--listen", "127.0.0.1:0")):
            status, out, err = run(*args, "--config", "settings.toml", cwd=tmp_path)
            assert status == 2 and f": {place}" in err and "hunter2" not in err, (args, out, err)


@clause("9.config", "O1")
@pytest.mark.parametrize(
    "variable, value, key",
    [
        ("TIDEWIRE_ENGINE_URL", "redis://127.0.0.1:1", "engine.url"),
        ("TIDEWIRE_ENGINE_URL", "rediss://127.0.0.1:1", "engine.url"),
        ("TIDEWIRE_WEBHOOKS_URL", "https://app.example.com/hook", "webhooks.url"),
        ("TIDEWIRE_WEBHOOKS_EVENTS", "connected", "webhooks.events"),
    ],
)
def test_what_is_not_served_is_refused_and_not_passed_over(variable, value, key):
    """Clarifications: "This version serves neither … both are refused" """
    status, out, err = run("config", "check", env={variable: value})
    assert status == 2 and f"{variable}: {key}: " in err and "this version does not serve" in err, err
    status, log = refused(Server(env={variable: value}))
    assert status == 2 and f"{variable}: {key}: " in log, log


@clause("9.config", "O1", "P8")
def test_printed_settings_with_hidden_secrets_are_no_configuration(tmp_path):
    """Clarifications: "A secret that reads `***` … is refused" """
    secrets = {"TIDEWIRE_AUTH_HS256_SECRET": SECRET, "TIDEWIRE_API_KEY": API_KEY}
    status, out, err = run("config", "print", env=secrets, cwd=tmp_path)
    assert status == 0 and SECRET not in out and API_KEY not in out, err
    (tmp_path / "printed.toml").write_text(out)
    status, out, err = run("config", "check", "--config", "printed.toml", cwd=tmp_path)
    assert status == 2, out
    lines = err.splitlines()
    assert len(lines) == 2 and all("`config print`" in line for line in lines), err
    assert "auth.hs256_secret: " in err and "api.key: " in err, err
    assert run("config", "check", "--config", "printed.toml", cwd=tmp_path, env=secrets)[0] == 0


@clause("9.config", "O1")
def test_broken_toml_and_a_missing_file_exit_2(tmp_path):
    """§9: "names the key, the file and line, and exits 2" """
    file = tmp_path / "broken.toml"
    file.write_text("[server\nx = = 1")
    status, out, err = run("config", "check", "--config", str(file))
    assert status == 2 and "broken.toml" in out + err
    status, out, err = run("config", "check", "--config", str(tmp_path / "absent.toml"))
    assert status == 2 and "absent.toml" in out + err


@clause("9.config", "O1")
def test_the_defaults_are_listed(tmp_path):
    """§9: "`tidewire config print --defaults` lists every key with its default, unit and meaning" """
    status, out, err = run("config", "print", "--defaults", cwd=tmp_path)
    assert status == 0, err
    for key in ("shards", "drain_timeout", "jwks_min_refresh", "messages_per_minute", "idempotency_window",
                "min_bytes", "connections_per_address", "grace", "max_error_rate"):  # fmt: skip
        assert key in out, key


@clause("9.environment", "O1")
async def test_the_environment_wins_over_the_file(start):
    """§9: "the environment variable is its path in capitals with underscores …, and it wins over the file" """
    server = start(
        {"limits": {"burst": 7}},
        env={
            "TIDEWIRE_LIMITS_BURST": "99",
            "TIDEWIRE_HEARTBEAT_INTERVAL": "12s",
            "TIDEWIRE_AUTH_ANONYMOUS_CAPABILITIES": "messaging,presence",
        },
    )
    hello = (await Client.connect(server)).hello
    assert hello["limits"]["burst"] == 99
    assert hello["heartbeat_ms"] == 12000
    assert sorted(hello["capabilities"]) == ["messaging", "presence"]


@clause("9.environment", "O1")
async def test_a_flag_wins_over_both(start):
    """§9: "a flag wins over both" (the fixture's `--listen` and `--data`)"""
    server = start(
        {"server": {"listen": "127.0.0.1:1"}},
        env={"TIDEWIRE_SERVER_LISTEN": "127.0.0.1:2", "TIDEWIRE_STORE_PATH": "/nonexistent/x"},
    )
    assert server.port > 2 and server.data.exists()


@clause("9.environment", "O1")
def test_an_unknown_variable_is_a_warning_and_a_bad_value_an_error(start):
    """§9: "an unknown `TIDEWIRE_` variable is a warning" """
    server = start(env={"TIDEWIRE_NO_SUCH_THING": "1"})
    assert "TIDEWIRE_NO_SUCH_THING" in server.log()
    status, log = refused(Server(env={"TIDEWIRE_LIMITS_BURST": "many"}))
    assert status == 2 and "TIDEWIRE_LIMITS_BURST" in log


# -- refusals to start


@clause("9.start", "O1")
def test_a_port_in_use_exits_1_and_names_it():
    """§9: "a port in use or a locked store exits 1 and names it" """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, log = refused(Server(listen=f"127.0.0.1:{port}"))
    assert status == 1 and str(port) in log


@clause("9.start", "O1")
def test_a_second_server_on_the_same_port_exits_1(start):
    """§9: "a port in use … exits 1", though event loops share a port among themselves"""
    server = start()
    status, log = refused(Server(listen=f"127.0.0.1:{server.port}"))
    assert status == 1 and str(server.port) in log


@clause("9.start", "O1", "M6")
def test_a_locked_store_exits_1_and_names_it(start):
    """§9: "a port in use or a locked store exits 1 and names it" """
    server = start()
    status, log = refused(Server(data=server.data))
    assert status == 1 and str(server.data) in log


# -- development


@clause("9.dev", "O1")
async def test_the_development_profile(start, http):
    """§9: "`--dev` sets the `development` profile (anonymous connections allowed, limits 1000/50/5 s, …), and,
    where none is configured, the signing secret … and the API key `tw_dev`; it prints a warning" """
    server = start(bare=True, dev=True)
    anonymous = await Client.connect(server)
    assert anonymous.hello["capabilities"] == ["messaging"]
    limits = anonymous.hello["limits"]
    assert (limits["messages_per_minute"], limits["burst"]) == (1000, 50)
    client = await Client.connect(server, mint("dev", key=DEVELOPMENT_SECRET))
    assert client.hello["authenticated"] is True
    body = {"channel": channel(), "data": 1}
    assert http(server, "POST", "/api/v1/publish", key="tw_dev", json=body).status_code == 200
    assert "warn" in server.log().lower()
    far = {"Origin": "https://anywhere.example.org"}
    assert (await exchange(server, upgrade_request(server, headers=far))).status == 101


@clause("9.dev", "O1")
async def test_a_configured_secret_stands_under_dev(start, http):
    """§9: "where none is configured" """
    server = start(dev=True)
    refusal = await Client.connect(server, mint("dev", key=DEVELOPMENT_SECRET), hello=False)
    assert (await refusal.next())["code"] == "token_invalid"
    assert (await Client.connect(server, mint("a"))).hello["authenticated"] is True
    assert http(server, "GET", "/api/ws/stats", key="tw_dev").status_code in (401, 403)


@clause("9.dev", "P8")
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_dev_listens_on_loopback_only(address):
    """§9: "refuses to listen on anything but loopback (exit 2)" """
    status, _ = refused(Server(bare=True, dev=True, listen=address))
    assert status == 2


# -- drain


@clause("9.drain", "O5")
async def test_sigterm_drains(start, http):
    """§5: `reconnect`; §6: "1012 `draining`"; §9: "SIGTERM and SIGINT drain (the listener stays open and
    answers 503, live connections end within …) and exit 0"; §8: "readiness (503 while draining)" """
    server = start({"server": {"drain_timeout": "3s"}})
    clients = await asyncio.gather(*(Client.connect(server, mint(unique("u"))) for _ in range(20)))
    name = channel("log")
    for client in clients:
        await client.subscribe(name)
    server.terminate()
    waits = []
    for client in clients:
        message = await client.expect(type="reconnect")
        assert message["reason"] == "draining"
        assert 0 <= message["after_ms"] <= 3000
        waits.append(message["after_ms"])
    assert len(set(waits)) > 1, "the returns are spread"
    response = await exchange(server, upgrade_request(server))
    assert response.status == 503 and int(response.header("retry-after")) >= 0
    assert http(server, "GET", "/readyz", key=None).status_code == 503
    last = clients[waits.index(max(waits))]  # "each connection is served until it is closed"
    assert (await last.publish(name, "still here"))["seq"] == 1
    for client in clients:
        assert await client.closed() == (1012, "draining")
    assert server.wait() == 0


@clause("9.drain", "O5")
async def test_sigint_drains_too(start):
    """§9: "SIGTERM and SIGINT drain … and exit 0" """
    server = start()
    client = await Client.connect(server)
    server.process.send_signal(signal.SIGINT)
    assert (await client.expect(type="reconnect"))["reason"] == "draining"
    assert await client.closed() == (1012, "draining")
    assert server.wait() == 0


@clause("9.drain", "O5")
async def test_live_connections_end_within_5_s_at_most(start):
    """§9: "live connections end within min(`server.drain_timeout`, 5 s)" """
    server = start({"server": {"drain_timeout": "60s"}})
    client = await Client.connect(server)
    began = time.monotonic()
    server.terminate()
    assert await client.closed(20) == (1012, "draining")
    assert time.monotonic() - began < 20, "nearer to 5 s than to the 60 that are set"
    assert await asyncio.to_thread(server.wait) == 0


@clause("9.drain", "O5")
async def test_a_second_signal_ends_at_once(start):
    """§9: "a second one ends at once" """
    server = start({"server": {"drain_timeout": "5s"}})
    clients = await asyncio.gather(*(Client.connect(server) for _ in range(20)))
    server.terminate()
    await asyncio.gather(*(c.expect(type="reconnect") for c in clients))
    began = time.monotonic()
    server.terminate()
    await asyncio.to_thread(server.wait)
    assert time.monotonic() - began < 4, "the drain takes 5 s"
    server.forget()


@clause("9.drain", "O5", "M6")
async def test_nothing_published_before_the_end_of_a_drain_is_lost(start):
    """O5: "graceful drain and restart; nothing lost" """
    server = start({"server": {"drain_timeout": "2s"}})
    name = channel("log")
    client = await Client.connect(server, mint(unique("u")))
    acknowledged = 0

    async def pump():
        nonlocal acknowledged
        while True:
            acknowledged = (await client.publish(name, acknowledged + 1))["seq"]

    pumping = asyncio.create_task(pump())
    await eventually(lambda: acknowledged > 50, "some messages")
    server.terminate()
    await client.closed()
    await asyncio.gather(pumping, return_exceptions=True)
    assert server.wait() == 0
    again = start(data=server.data)
    other = await Client.connect(again, mint(unique("u")))
    reply = await other.request({"type": "history", "channel": name, "after": 0, "limit": 1})
    assert reply["last"] >= acknowledged and reply["first"] == 1


# -- reload


@clause("9.reload", "O1")
async def test_sighup_reloads_limits_keys_namespaces_and_origins(start, http):
    """§9: "SIGHUP reloads limits, keys, namespaces, origins, TLS files and log level" """
    server = start({"limits": {"burst": 70}})
    client = await Client.connect(server, mint("a"))
    other_secret = "another-secret-of-more-than-thirty-two-bytes"
    await client.refused({"type": "subscribe", "channel": "fresh:x"}, "not_found")
    await reloaded_to(
        server,
        limits={"burst": 71},
        auth={"hs256_secret": other_secret},
        api={"key": "tw_another_key"},
        namespaces={"fresh": {"kind": "stream", "durability": "memory"}},
        server={"allowed_origins": ["https://new.example.org"]},
    )
    for _ in range(8):  # whichever shard it comes to
        assert (await Client.connect(server)).hello["limits"]["burst"] == 71
    assert (await client.request({"type": "ping"}))["type"] == "pong"
    assert (await Client.connect(server, mint("b", key=other_secret))).hello["authenticated"]
    stale = await Client.connect(server, mint("b"), hello=False)
    assert (await stale.next())["code"] == "token_invalid"
    assert http(server, "GET", "/api/ws/stats", key="tw_another_key").status_code == 200
    assert http(server, "GET", "/api/ws/stats", key=API_KEY).status_code in (401, 403)
    renewed = await Client.connect(server, mint("c", key=other_secret))
    await renewed.subscribe("fresh:x")
    for origin, status in (("https://new.example.org", 101), (f"http://127.0.0.1:{server.port}", 403)):
        request = upgrade_request(server, headers={"Origin": origin})
        assert (await exchange(server, request)).status == status


@clause("9.reload", "O1", "K4", "K5", "K6")
async def test_a_reload_reaches_channels_that_are_open(start, http):
    """§9: "SIGHUP reloads … namespaces": for channels that are there as for those that come"""
    server = start({"namespaces": {"session": {"kind": "session"}, "agent": {"kind": "agent"}}})
    owner, guest = await Client.connect(server, mint("owner")), await Client.connect(server, mint("guest"))
    meeting, run, inbox = channel("session"), channel("agent"), "user:reader"
    await owner.publish(meeting, None, event="join")
    await guest.refused({"type": "publish", "channel": meeting, "event": "join", "data": None}, "forbidden")
    await owner.publish(run, {}, event="start")

    def pending() -> int:
        state = http(server, "GET", f"/api/v1/channels/{inbox}/snapshot", key=API_KEY)
        return len(state.json()["data"]["pending"])

    def notify(count: int) -> None:
        for i in range(count):
            body = {"channel": inbox, "data": i}
            assert http(server, "POST", "/api/v1/publish", key=API_KEY, json=body).status_code == 200

    notify(1)
    assert pending() == 1
    await reloaded_to(
        server,
        namespaces={
            "session": {"kind": "session", "join": "open"},
            "agent": {"kind": "agent", "idle_timeout": "300ms"},
        },
        inbox={"max_entries": 2},
    )

    await guest.publish(meeting, event="join")
    notify(3)
    assert pending() == 2
    await owner.close()

    async def failed():
        state = http(server, "GET", f"/api/v1/channels/{run}/snapshot", key=API_KEY).json()
        return state["data"]["status"] == "failed"

    await eventually(failed, "the end of the orphaned run")


@clause("9.reload", "O1", "A2")
async def test_a_reload_that_demands_authentication_demands_it_of_everybody(start):
    """§2: "Where the configuration demands authentication … until it authenticates every request but `ping` and
    `auth` is `unauthorized`, and after `auth.timeout` … `auth_timeout`, and 1008" """
    server = start({"auth": {"required": False, "timeout": "3s"}})
    silent, late = await Client.connect(server), await Client.connect(server)
    await late.subscribe("public:x")
    await reloaded_to(server, auth={"required": True})
    await late.refused({"type": "history", "channel": "public:x"}, "unauthorized")
    assert (await late.request({"type": "auth", "token": mint("late")}))["type"] == "auth_success"
    await late.subscribe("public:y")
    assert (await silent.next())["code"] == "auth_timeout"
    assert (await silent.closed())[0] == 1008


@clause("9.reload", "O1", "M6")
async def test_a_namespaces_durability_needs_a_restart(start, http):
    """§5.3: "In a `disk` namespace neither `published` nor any delivery leaves before the message is on stable
    storage": channels that are open in memory would not keep it"""
    server = start({"namespaces": {"ev": {"kind": "stream", "durability": "memory"}}})
    await reloaded_to(server, namespaces={"ev": {"kind": "stream", "durability": "disk"}})
    assert "needs a restart key=namespaces.ev.durability" in server.log()
    assert "reloaded key=namespaces.ev.durability" not in server.log()


@clause("9.serve", "O1")
@pytest.mark.parametrize("flag", ["--data", "--listen", "--config", "--log-level", "--log-format"])
def test_an_empty_flag_is_no_default(flag):
    """§9: "a flag wins over both": an empty one, of a variable that is not set, is named and refused"""
    status, out, err = run("serve", flag, "")
    assert status == 2 and out == "" and err


@clause("9.origins", "P8", "O1")
@pytest.mark.parametrize("origin, good", [("null", True), ("https://*.example.com", False), ("*", True)])
async def test_origins_that_can_be_allowed(start, origin, good):
    """§9 `server.allowed_origins`; a pattern would match nothing, so it is refused"""
    settings = {"server": {"allowed_origins": [origin]}}
    if not good:
        status, log = refused(Server(settings))
        assert status == 2 and "server.allowed_origins" in log
        return
    answer = await exchange(start(settings), upgrade_request(start(settings), headers={"Origin": "null"}))
    assert answer.status == (101 if origin == "null" else 403)


@clause("9.reload", "O1")
async def test_what_cannot_be_reloaded_is_named_in_the_log(start):
    """§9: "what can't be reloaded is named in the log" """
    server = start()
    await reloaded_to(server, server={"shards": 3}, limits={"burst": 55})
    assert (await Client.connect(server)).hello["limits"]["burst"] == 55
    assert "needs a restart key=server.shards" in server.log()


@clause("9.reload", "O1")
async def test_a_file_with_an_error_changes_nothing(start):
    """§9: "a file with an error changes nothing" """
    server = start({"limits": {"burst": 70}})
    server.reload({"limits": {"burst": 71, "nonsense": 1}})
    await eventually(lambda: "nonsense" in server.log(), "the key in the log")
    assert (await Client.connect(server)).hello["limits"]["burst"] == 70
    server.settings["limits"].pop("nonsense")
    await reloaded_to(server)
    assert (await Client.connect(server)).hello["limits"]["burst"] == 71


# -- token, check


@clause("9.token", "A5")
async def test_tidewire_token_mints_what_the_server_accepts(start):
    """§9: "`tidewire token --user ID [--type T] [--ttl 1h] [--secret S] [--grant …] [--claim k=v]` prints a JWT
    (the development secret when none is given)" """
    status, out, err = run("token", "--user", "alice")
    assert status == 0, err
    claims = jwt.decode(out.strip(), DEVELOPMENT_SECRET, algorithms=["HS256"])
    assert claims["sub"] == "alice"
    status, out, err = run(
        "token", "--user", "bob", "--type", "creator", "--ttl", "10m", "--secret", SECRET,
        "--grant", "public:*=publish,history", "--claim", "team=blue",
    )  # fmt: skip
    assert status == 0, err
    claims = jwt.decode(out.strip(), SECRET, algorithms=["HS256"])
    assert claims["team"] == "blue" and claims["type"] == "creator"
    assert 590 <= claims["exp"] - time.time() <= 610
    assert claims["tidewire"]["grants"] == [{"channels": "public:*", "do": ["publish", "history"]}]
    server = start()
    client = await Client.connect(server, out.strip())
    assert client.hello["user"] == {"id": "bob", "type": "creator"}
    assert (await client.publish(channel("public"), 1))["seq"] == 1


@clause("9.token", "A5")
def test_a_claim_for_the_server_keeps_the_tenant_and_the_grants():
    """§9: `[--grant …] [--claim k=v]`: none takes away what another one says"""
    said = ("token", "--user", "alice", "--tenant", "acme", "--grant", "public:*=publish")
    grants = [{"channels": "public:*", "do": ["publish"]}]
    for claim, rest in (("{}", {}), ('{"plan":{"seats":5}}', {"plan": {"seats": 5}})):
        status, out, err = run(*said, "--claim", f"tidewire={claim}")
        assert status == 0, err
        claims = jwt.decode(out.strip(), options={"verify_signature": False})
        assert claims["tidewire"] == {"tenant": "acme", "grants": grants} | rest
    for claim in ('{"tenant":"beta"}', '{"grants":[]}', "x", "[]"):
        status, out, err = run(*said, "--claim", f"tidewire={claim}")
        assert status == 2 and "tidewire" in err and not out, (claim, out, err)


@clause("9.token", "A5")
@pytest.mark.parametrize("claim", ["exp=soon", "nbf=null", 'iat="5"', "exp=[1]"])
def test_a_time_that_the_server_would_refuse_is_not_put_into_a_token(claim):
    """§2: a token whose `exp`, `nbf` or `iat` is no number is `token_malformed`"""
    status, out, err = run("token", "--user", "alice", "--claim", claim)
    assert status == 2 and f"`{claim[:3]}` must be a number" in err and not out, (out, err)
    status, out, err = run("token", "--user", "alice", "--claim", f"{claim[:3]}=1.5e9")
    assert status == 0 and out, err


@clause("9.token", "A5")
def test_a_token_lives_for_exactly_its_time():
    """§9: `[--ttl 1h]`"""
    for ttl, seconds in (("1s", 1), ("10m", 600), ("1h", 3600)):
        status, out, err = run("token", "--user", "alice", "--ttl", ttl)
        assert status == 0, err
        claims = jwt.decode(out.strip(), options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == seconds
    for ttl in ("0s", "500ms", "1500ms", "-1s", ""):
        status, out, err = run("token", "--user", "alice", "--ttl", ttl)
        assert status == 2 and "--ttl" in err and not out, (ttl, out, err)
