"""Protocol §8, requirement O2: statistics, analytics, metrics, and what deploy/ makes of them."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import subprocess

import pytest
from client import Client, channel, eventually, unique
from raw import RawSocket
from server import ROOT
from tokens import mint

clause = pytest.mark.clause
ACME_KEY = "tw_acme_everything"
ACME_SECRET = "acme-secret-of-more-than-thirty-two-bytes"
PATH = "/api/admin/websocket-analytics"
SERVER = {
    "settings": {
        "heartbeat": {"interval": "1s"},
        "api": {"keys": [{"key": "tw_only_read", "scopes": ["read"]}]},
        "tenants": {"acme": {"hs256_secret": ACME_SECRET, "api_key": ACME_KEY}},
    }
}


def analytics(http, server, query: str = "?window=5m", **options) -> dict:
    reply = http(server, "GET", PATH + query, **options)
    assert reply.status_code == 200, reply.text
    return reply.json()


@clause("8.analytics", "O2")
async def test_refused_tokens_count_wherever_they_are_shown(start, http):
    """O2: whoever tries tokens is seen, by whichever door"""
    server = start()
    await Client.connect(server, "bad", hello=False)
    await (await Client.connect(server)).request({"type": "auth", "token": "bad"})
    assert http(server, "GET", f"/sse?channels={channel()}", key="bad").status_code == 401
    call = http(server, "POST", "/api/v1/publish", key="bad", json={"channel": channel(), "data": 1})
    assert call.status_code == 401

    async def counted():
        return analytics(http, server)["refusals"]["auth_failures"] == 4

    await eventually(counted, "four refused tokens")


@clause("8.analytics", "O2")
async def test_the_analytics_count_traffic_by_type_latency_and_talkers(server, http):
    """§8: "traffic by type, latency percentiles, health distribution, top talkers, anomalies, circuit history" """
    before = analytics(http, server)
    loud, quiet = unique("loud"), unique("quiet")
    name = channel()
    talker, listener = await Client.connect(server, mint(loud)), await Client.connect(server, mint(quiet))
    await listener.subscribe(name)
    for i in range(200):
        await talker.publish(name, i)

    async def pinged():
        return analytics(http, server)["latency"]["round_trip"]["count"] > 0

    await eventually(pinged, "a measured ping")
    now = analytics(http, server)
    assert now["connections"]["open"] >= 2 and now["connections"]["opened"] >= 2
    by_type = now["traffic"]["by_type"]
    assert by_type["publish"] - before["traffic"]["by_type"]["publish"] == 200
    assert by_type["subscribe"] >= 1
    assert now["traffic"]["messages_out"] >= 400 and now["traffic"]["bytes_in"] > 200 * 40
    assert 0 < now["window_s"] < 400 and now["traffic"]["rates"]["messages_in"] > 0
    request = now["latency"]["request"]
    assert request["count"] >= 200
    assert 0 < request["p50_ms"] <= request["p90_ms"] <= request["p99_ms"] <= request["max_ms"]
    assert set(now["health"]) == {"HEALTHY", "DEGRADED", "UNHEALTHY"}
    assert sum(now["health"].values()) == now["connections"]["open"]
    talkers = {one["user"]: one for one in now["top_talkers"]}
    assert talkers[loud]["messages"] - talkers[loud]["messages_error"] <= 201
    assert talkers[loud]["messages"] >= 200 and talkers[loud]["bytes"] > 200 * 40
    assert isinstance(now["anomalies"], list) and isinstance(now["circuits"], list)
    assert now["overload"]["step"] == "calm"


@clause("8.analytics", "8.metrics", "O2")
async def test_calls_over_http_are_counted_too(start, http):
    """O2, Clarifications: publishes over HTTP count by type, and HTTP calls have their own latency"""
    server = start({"limits": {"messages_per_minute": 6, "burst": 1}})
    user, room = unique("caller"), channel()
    token = mint(user)
    done = [
        http(server, "POST", "/api/v1/publish", key=token, json={"channel": room, "data": i}).status_code
        for i in range(20)
    ]
    batch = [{"channel": room, "data": 1}] * 30
    assert http(server, "POST", "/api/v1/batch", json={"publish": batch}).status_code == 200
    assert http(server, "POST", f"/api/v1/users/{user}/notify", json={"data": 1}).status_code == 200
    assert set(done) == {200, 429}
    page = analytics(http, server)
    assert page["traffic"]["by_type"]["publish"] == 20 + 30 + 1
    assert page["latency"]["http"]["count"] == 20 + 2
    assert 0 < page["latency"]["http"]["p50_ms"] <= page["latency"]["http"]["max_ms"] < 5000
    (talker,) = page["top_talkers"]
    assert (talker["user"], talker["messages"]) == (user, 20)
    rows = dict(line.rsplit(" ", 1) for line in http(server, "GET", "/metrics").text.splitlines() if line[0] != "#")
    refused = done.count(429)
    assert int(rows['tidewire_http_requests_total{route="/api/v1/publish",status="4xx"}']) == refused
    assert int(rows['tidewire_http_requests_total{route="/api/v1/batch",status="2xx"}']) == 1
    assert int(rows["tidewire_rate_limited_requests_total"]) == refused
    assert int(rows["tidewire_rate_checked_requests_total"]) == 20, "those of a key are not limited"


@clause("8.analytics", "O2", "O6")
async def test_a_tenant_does_not_see_another_tenants_talkers(server, http):
    """§1: "Nothing crosses between tenants" """
    mine, theirs = unique("mine"), unique("theirs")
    one = await Client.connect(server, mint(mine))
    two = await Client.connect(server, mint(theirs, key=ACME_SECRET, tidewire={"tenant": "acme"}))
    for client in (one, two):
        for _ in range(50):
            await client.request({"type": "ping"})
    assert theirs not in json.dumps(analytics(http, server))
    acme = json.dumps(analytics(http, server, key=ACME_KEY))
    assert theirs in acme and mine not in acme


@clause("8.stats", "O6", "O2")
async def test_a_tenants_key_sees_its_own_tenant_and_nothing_of_others(start, http):
    """O6: "isolation of names, keys, limits and statistics" """
    settings = SERVER["settings"] | {"metrics": {"public": False}}
    rival = {"hs256_secret": ACME_SECRET + "-2", "api_key": "tw_rival_everything"}
    server = start(settings | {"tenants": settings["tenants"] | {"rival": rival}})
    name, room = unique("same"), channel()

    async def at(tenant: str, secret: str) -> Client:
        return await Client.connect(server, mint(name, key=secret, tidewire={"tenant": tenant}), inbox=True)

    acme, other = await at("acme", ACME_SECRET), await at("rival", rival["hs256_secret"])
    for client, count in ((acme, 3), (other, 40)):
        await client.subscribe(room)
        await client.request({"type": "presence", "channel": room, "action": "enter", "data": client.hello["tenant"]})
        for _ in range(count):
            await client.publish(room, f"of {client.hello['tenant']}")
    await Client.connect(server, mint(unique("default")))

    def get(path: str, key: str = ACME_KEY):
        return http(server, "GET", path, key=key)

    stats = get("/api/ws/stats").json()
    assert (stats["connections"], stats["users"], stats["channels"]) == (1, 1, 2)
    assert stats["messages_in"] == 5 and 5 <= stats["messages_out"] < 20
    rivals = get("/api/ws/stats", "tw_rival_everything").json()
    assert rivals["messages_in"] == 42
    assert 0 < stats["rates"]["messages_in"] < rivals["rates"]["messages_in"]
    listed = get("/api/v1/channels").json()["channels"]
    assert [(c["channel"], c["subscribers"]) for c in listed] == [(room, 1), (f"user:{name}", 1)]
    assert get(f"/api/v1/channels/{room}").json()["seq"] == 3
    (entry,) = get(f"/api/v1/users/{name}").json()["connections"]
    assert entry["connection_id"] == acme.hello["connection_id"]
    (shown,) = get("/api/admin/connections").json()["connections"]
    assert shown["connection_id"] == acme.hello["connection_id"]
    (one,) = get(f"/api/v1/websocket/connection-health?user={name}").json()["connections"]
    assert one["connection_id"] == acme.hello["connection_id"]
    page = get(PATH).json()
    assert page["connections"] == {"open": 1, "opened": 1, "users": 1}
    assert page["traffic"]["by_type"]["publish"] == 3 and sum(page["health"].values()) == 1
    assert http(server, "POST", "/api/v1/broadcast", key=ACME_KEY, json={"data": 1}).json() == {"connections": 1}
    paths = [
        "/api/ws/stats",
        "/api/v1/channels",
        f"/api/v1/channels/{room}/history",
        f"/api/v1/channels/{room}/presence",
        f"/api/v1/users/{name}",
        "/api/admin/connections",
        "/api/health/detailed",
        PATH,
    ]
    for path in paths:
        text = get(path).text
        assert "rival" not in text and other.hello["connection_id"] not in text, path
    assert get("/metrics").status_code == 403
    assert http(server, "GET", "/metrics").status_code == 200
    assert http(server, "POST", f"/api/v1/users/{name}/disconnect", key=ACME_KEY).json() == {"disconnected": 1}
    assert (await other.request({"type": "ping"}))["type"] == "pong"


@clause("8.analytics", "O2")
@pytest.mark.parametrize("window", ["10s", "5m", "1h", "15m"])
def test_windows_are_taken_up_to_what_is_remembered(server, http, window):
    assert analytics(http, server, f"?window={window}")["window_s"] <= 16 * 60
    assert analytics(http, server, "")["window_s"] >= 0


@clause("8.analytics", "O2")
@pytest.mark.parametrize("window", ["", "5", "m", "-5m", "0m", "5x", "5mm", "99999999999999999999m"])
def test_a_window_that_is_none_is_refused(server, http, window):
    reply = http(server, "GET", f"{PATH}?window={window}")
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_message")


@clause("8.analytics", "O2")
def test_the_analytics_need_the_scope_admin(server, http):
    """§8: "`admin` for disconnect, revoke and `/api/admin/*`" """
    assert http(server, "GET", PATH, key="tw_only_read").status_code == 403
    assert http(server, "GET", PATH, key=None).status_code == 403
    headers = {"Authorization": f"Bearer {mint('me')}"}
    assert http(server, "GET", PATH, key=None, headers=headers).status_code == 403


@clause("8.health-detailed", "O2", "P7")
def test_detailed_health_tells_of_the_load(server, http):
    overload = http(server, "GET", "/api/health/detailed").json()["overload"]
    assert overload["step"] == "calm" and overload["publish_share"] == 1


# -- metrics, rules and dashboard


@clause("8.metrics", "O2")
async def test_what_is_refused_before_it_is_a_call_is_counted_as_well(start, http):
    """O2: at `/ws` and `/sse`, with a body that nobody takes, and what is no HTTP; each once"""
    server = start()

    def counted() -> dict[str, int]:
        rows = [line.rsplit(" ", 1) for line in http(server, "GET", "/metrics").text.splitlines()]
        rows = [(name, count) for name, count in rows if name.startswith("tidewire_http_requests_total")]
        return {name.split("{")[1]: int(count) for name, count in rows if "/metrics" not in name}

    async def refused(request: bytes, status: int) -> None:
        raw = await RawSocket.connect(server)
        await raw.send(request)
        assert (await raw.response()).status == status

    def head(start_line: str, fields: str = "") -> bytes:
        return f"{start_line} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n{fields}\r\n".encode()

    for request, status, row in (
        (head("GET /sse?channels=room:a&token=x"), 401, 'route="/sse",status="4xx"}'),
        (head("POST /sse"), 405, 'route="/sse",status="4xx"}'),
        (head("POST /sse", "Content-Length: 999999\r\n"), 413, 'route="/sse",status="4xx"}'),
        (head("OPTIONS /sse"), 204, 'route="/sse",status="2xx"}'),
        (head("GET /ws"), 426, 'route="/ws",status="4xx"}'),
        (head("GET /api/ws"), 426, 'route="/ws",status="4xx"}'),
        (head("GET /ws", "Content-Length: 5\r\n"), 400, 'route="/ws",status="4xx"}'),
        (head("POST /api/v1/publish", "Content-Length: 99999999\r\n"), 413, 'route="/api/v1/publish",status="4xx"}'),
        (head("POST /api/v1/publish", "Content-Length: 999999\r\n"), 401, 'route="/api/v1/publish",status="4xx"}'),
        (head("GET /no/such/path"), 404, 'route="other",status="4xx"}'),
        (b"GARBAGE\r\n\r\n", 400, 'route="other",status="4xx"}'),
    ):
        before = counted()
        await refused(request, status)
        after = counted()
        assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {row: 1}, request


def families(http, server) -> dict[str, set[str]]:
    """Every family of /metrics with the names of its labels."""
    out: dict[str, set[str]] = {}
    for line in http(server, "GET", "/metrics").text.splitlines():
        if line.startswith("# TYPE "):
            out[line.split()[2]] = set()
        elif line and not line.startswith("#"):
            name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
            base = name if name in out else re.sub(r"_(bucket|count|sum)$", "", name)
            out[base] |= set(re.findall(r'(\w+)="', labels or ""))
    return out


def expressions() -> list[str]:
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    found = re.findall(r"expr: (?:>-\n((?: {10,}.*\n)+)|(.*))", rules)
    out = [" ".join((folded or plain).split()) for folded, plain in found]
    board = json.loads((ROOT / "deploy" / "grafana" / "tidewire.json").read_text())
    for panel in board["panels"]:
        out += [target["expr"] for target in panel["targets"]]
    return out


@clause("8.metrics", "O2")
async def test_rules_and_dashboard_speak_of_metrics_that_exist(server, http):
    """O2: "alert rules and a Grafana dashboard shipped" """
    await Client.connect(server, mint("someone"))
    known = families(http, server)
    used = expressions()
    assert len(used) > 20
    for expression in used:
        names = set(re.findall(r"\btidewire_\w+", expression))
        assert names, expression
        for name in names:
            base = name if name in known else re.sub(r"_(bucket|count|sum)$", "", name)
            assert base in known, f"{name} in {expression}"
        for label in re.findall(r'(\w+)=~?"', expression) + [
            one.strip() for by in re.findall(r"by \(([^)]*)\)", expression) for one in by.split(",")
        ]:
            labels = set().union(*known.values()) | {"instance", "job", "le"}
            assert label in labels, f"{label} in {expression}"


@clause("8.metrics", "O2")
def test_what_tells_of_trouble_stands_in_the_rules_and_on_the_dashboard():
    rules = (ROOT / "deploy" / "prometheus" / "alerts.yml").read_text()
    board = (ROOT / "deploy" / "grafana" / "tidewire.json").read_text()
    for name in (
        "circuit_state",
        "circuit_opened_total",
        "anomalies_total",
        "send_circuits_open",
        "unhealthy_ended_total",
        "dropped_log_lines_total",
        "http_requests_total",
        "rate_checked_requests_total",
    ):
        assert f"tidewire_{name}" in rules and f"tidewire_{name}" in board, name


@clause("8.metrics", "O2")
def test_promtool_takes_the_rules_and_the_metrics(server, http):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    rules = ROOT / "deploy" / "prometheus" / "alerts.yml"
    subprocess.run(["promtool", "check", "rules", str(rules)], check=True, capture_output=True)
    histories = pathlib.Path(__file__).with_name("alerts_test.yml")
    done = subprocess.run(["promtool", "test", "rules", str(histories)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = http(server, "GET", "/metrics").text
    subprocess.run(["promtool", "check", "metrics"], input=text.encode(), check=True, capture_output=True)


@clause("8.metrics", "O2")
async def test_labels_stay_bounded_whatever_users_and_channels_there_are(server, http):
    """O2: labels come from fixed sets, never from clients"""
    before = http(server, "GET", "/metrics").text.count("\n")
    for _ in range(20):
        client = await Client.connect(server, mint(unique("bounded")))
        await client.subscribe(channel())
        await client.expect_error({"type": unique("nonsense")}, "unknown_type")
    text = http(server, "GET", "/metrics").text
    assert "bounded" not in text and "nonsense" not in text and text.count("\n") == before


# -- secrets


PLANTED = {
    "hs256": "planted-hs256-secret-0123456789abcdefghijkl",
    "acme": "planted-acme-secret-0123456789abcdefghijklm",
    "directory": "planted-directory-secret-0123456789abcdef",
}
PLANTED_KEYS = ("tw_planted_default_key", "tw_planted_scoped_key", "tw_planted_acme_key", "tw_planted_wrong_key")


@clause("8.logs", "O4", "P8")
@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("reject", ["close", "http"])
async def test_no_planted_secret_is_ever_in_a_log(start, http, form, reject):
    """P8: "secrets never in logs": tokens and keys in every place where one may stand, at level trace"""
    server = start(
        {
            "auth": {"hs256_secret": PLANTED["hs256"], "reject": reject, "attempts_per_minute": 5},
            "api": {"key": PLANTED_KEYS[0], "keys": [{"key": PLANTED_KEYS[1], "scopes": ["read"]}]},
            "tenants": {"acme": {"hs256_secret": PLANTED["acme"], "api_key": PLANTED_KEYS[2]}},
            "directory": {"secret": PLANTED["directory"]},
            "limits": {"dry_run": True, "messages_per_minute": 30, "burst": 1},
            "log": {"level": "trace", "format": form},
        }
    )
    good = mint("ann", key=PLANTED["hs256"])
    bad = [
        mint("ann", key="another-secret-of-more-than-thirty-two-bytes"),
        mint("ann", key=PLANTED["hs256"], ttl_s=-60),
        mint("ann", key=PLANTED["acme"], tidewire={"tenant": "nowhere"}),
        good[:-4] + "AAAA",
        "planted-token-that-is-no-jwt",
    ]
    tokens = [good, *bad]
    for token in tokens:
        for options in (
            {"query": f"token={token}"},
            {"headers": {"Authorization": f"Bearer {token}"}},
            {"subprotocols": ["tidewire.v1", f"tidewire.token.{token}"]},
        ):
            try:
                client = await Client.connect(server, hello=False, **options)
                await client.send({"type": "ping"})
                await client.close()
            except Exception:
                pass
        client = None
        try:
            client = await Client.connect(server)
            for _ in range(3):
                await client.send({"type": "auth", "token": token})
            await client.send('{"type":"auth","token":"' + token)  # not JSON
            await client.send({"type": "auth", "token": [token]})
            await client.send({"type": "publish", "channel": f"nowhere:{token[:100]}", "data": token})
            await client.send({"type": token})
        except Exception:
            pass
        for path in (f"/sse?channels=public:a&token={token}", f"/nothing?token={token}", f"/api/v1/x/{token}"):
            http(server, "HEAD", path, key=None)
        http(server, "POST", "/api/v1/publish", key=None, headers={"Authorization": f"Bearer {token}"}, json={})
        http(server, "GET", "/api/ws/stats", key=None, headers={"X-API-Key": token, "Cookie": f"session={token}"})
    for key in PLANTED_KEYS:
        http(server, "GET", "/api/ws/stats", key=key)
        http(server, "GET", f"/api/ws/stats?key={key}", key=None, headers={"X-API-Key": key})
    server.config.write_text(server.config.read_text() + "\n[nonsense]\nkey = 1\n")
    server.process.send_signal(1)
    await eventually(lambda: "reload refused" in server.log(), "the refused reload")
    log = server.log()
    assert "token refused" in log
    for secret in (*PLANTED.values(), *PLANTED_KEYS):
        assert secret not in log, secret
    for token in tokens:
        assert token not in log
        for part in token.split("."):
            assert len(part) < 12 or part not in log, part
    if form == "json":
        for line in log.splitlines():
            assert {"level", "event"} <= set(json.loads(line)) or "level" in json.loads(line), line
    assert pathlib.Path(server.stderr).stat().st_size > 0
