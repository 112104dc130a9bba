"""What needs neither a server nor a clock."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tidewire import ConflictError, ForbiddenError, LimitError, RefusedError, TidewireError
from tidewire.backoff import after_close, backoff_s
from tidewire.cursor import Cursor, Hole
from tidewire.errors import AuthenticationError, error_of, make_error
from tidewire.json_tree import PatchError, apply_merge, apply_patch, equals
from tidewire.names import check_channel, check_user, encode
from tidewire.pacer import Pacer
from tidewire.protocol import message_of, object_of, wire_of
from tidewire.url import api_url, socket_url

from ..support.server import ROOT

CHANNELS = json.loads((ROOT / "spec/vectors/protocol_channels.json").read_text())["vectors"]
CODES = json.loads((ROOT / "spec/errors.json").read_text())["codes"]


@pytest.mark.parametrize("vector", CHANNELS, ids=lambda vector: vector["channel"][:20] or "empty")
def test_channel_names_are_what_the_shared_vectors_say(vector: dict[str, Any]) -> None:
    if vector["namespace"] is None:
        with pytest.raises(RefusedError, match="room:lobby"):
            check_channel(vector["channel"])
    else:
        assert check_channel(vector["channel"]) == vector["channel"]


@pytest.mark.parametrize("user", ["", " ", "ü", "x" * 201, True, 1.5, None, 2**53])
def test_what_can_t_be_a_user_is_refused(user: Any) -> None:
    with pytest.raises(RefusedError):
        check_user(user)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"x", "\ud800", {(1, 2): 3}])
def test_what_can_t_be_json_is_refused_with_what_to_do(value: Any) -> None:
    with pytest.raises(TidewireError, match="can't be sent as JSON"):
        encode({"data": value})


def test_what_is_too_deep_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(TidewireError):
        encode(value)
    assert object_of("[" * 100_000) is None


@pytest.mark.parametrize("entry", CODES, ids=lambda entry: entry["name"])
def test_every_code_of_the_protocol_has_a_class_and_advice(entry: dict[str, Any]) -> None:
    error = make_error(entry["name"], "text")
    assert type(error) is not TidewireError
    assert "documentation" not in error.advice
    assert str(error) == f"{entry['name']}: text - {error.advice}"
    if entry["in"] == "auth_error":
        assert isinstance(error, AuthenticationError)


def test_an_error_takes_from_the_server_what_it_can_use() -> None:
    told = {"code": "conflict", "message": "moved", "channel": "doc:1", "seq": 5, "retry_after_ms": 30, "request": "publish"}
    error = error_of(told)
    assert isinstance(error, ConflictError)
    assert (error.channel, error.seq, error.retry_after_ms, error.request) == ("doc:1", 5, 30, "publish")
    bad = error_of({"code": 7, "message": [], "seq": "x", "retry_after_ms": -1, "channel": {}})
    assert (bad.code, bad.message, bad.seq, bad.retry_after_ms, bad.channel) == (
        "protocol_error",
        "protocol_error",
        None,
        None,
        None,
    )
    assert isinstance(error_of({"code": "of_a_later_version"}), TidewireError)
    assert (make_error("unavailable", "").passing, make_error("forbidden", "").passing) == (True, False)
    assert isinstance(make_error("forbidden", ""), ForbiddenError) and isinstance(make_error("rate_limited", ""), LimitError)


def test_the_wait_is_full_jitter_up_to_half_a_minute() -> None:
    assert [backoff_s(attempt, lambda: 1.0) for attempt in (0, 1, 2, 6, 1000)] == [0.5, 1, 2, 30, 30]
    assert backoff_s(5, lambda: 0.0) == 0


@pytest.mark.parametrize(
    ("code", "reason", "refusal", "step"),
    [
        (1000, "", "", "stop"),
        (1000, "disconnected", "", "stop"),
        (1001, "heartbeat_timeout", "", "retry"),
        (1006, "", "", "retry"),
        (1011, "internal", "", "retry"),
        (1012, "draining", "", "retry"),
        (1002, "bad frame", "", "poison"),
        (1009, "too large", "", "poison"),
        (1008, "token_expired", "", "token"),
        (1008, "", "user_not_found", "token"),
        (1008, "auth_timeout", "", "token"),
        (1008, "unavailable", "", "retry"),
        (1008, "message_timeout", "", "retry"),
        (1008, "rate_limited", "", "slow"),
        (1008, "Too many failed connection attempts", "", "slow"),
    ],
)
def test_what_to_do_after_a_close(code: int, reason: str, refusal: str, step: str) -> None:
    assert after_close(code, reason, refusal) == step


@pytest.mark.parametrize(
    ("address", "socket", "api"),
    [
        ("https://host", "wss://host/ws?inbox=manual", "https://host"),
        ("http://host:8080/", "ws://host:8080/ws?inbox=manual", "http://host:8080"),
        ("wss://host/ws", "wss://host/ws?inbox=manual", "https://host"),
        ("wss://host/sub/ws?a=b&inbox=auto#x", "wss://host/sub/ws?a=b&inbox=manual", "https://host/sub"),
        ("http://[::1]:80", "ws://[::1]:80/ws?inbox=manual", "http://[::1]:80"),
    ],
)
def test_an_address_is_what_each_side_needs(address: str, socket: str, api: str) -> None:
    assert (socket_url(address), api_url(address)) == (socket, api)


@pytest.mark.parametrize("address", ["", "host", "ftp://host", "http://", "http://host:x", None, 7])
def test_what_is_no_address_is_refused_with_what_to_do(address: Any) -> None:
    for convert in (socket_url, api_url):
        with pytest.raises(RefusedError, match=r"example\.com"):
            convert(address)


class TestCursor:
    def start(self) -> Cursor:
        cursor = Cursor()
        cursor.start("e", 5)
        return cursor

    def test_takes_what_comes_next_and_nothing_twice(self) -> None:
        cursor = self.start()
        assert cursor.admit(6).deliver and not cursor.admit(6).deliver and not cursor.admit(3).deliver
        assert cursor.seq == 6

    def test_sees_what_is_missing(self) -> None:
        cursor = self.start()
        assert cursor.admit(9).hole == Hole(6, 8)
        assert cursor.seq == 9

    def test_takes_a_merged_delivery_for_all_that_it_stands_for(self) -> None:
        cursor = self.start()
        verdict = cursor.admit(9, 6)
        assert verdict.deliver and verdict.hole is None and not verdict.overlap
        assert self.start().admit(8, 4).overlap

    def test_counts_what_an_answer_told_as_delivered(self) -> None:
        cursor = self.start()
        cursor.own(6)
        cursor.own(8)
        assert cursor.seq == 6
        assert cursor.admit(7).hole is None
        assert cursor.seq == 8 and not cursor.admit(8).deliver

    def test_tolerates_as_many_missing_ones_as_answers_are_still_to_come(self) -> None:
        cursor = self.start()
        assert cursor.admit(7, 7, 1).hole is None
        assert cursor.admit(10, 10, 1).hole == Hole(8, 9)

    def test_does_not_know_where_a_catch_up_begins_but_where_it_must_not_end(self) -> None:
        cursor = self.start()
        cursor.start("e", 0, 50)
        assert cursor.catching_up and cursor.admit(41).hole is None
        assert not cursor.catching_up and cursor.admit(42).hole is None
        cursor.start("e", 0, 50)
        assert cursor.admit(53).hole == Hole(51, 52)

    def test_keeps_what_counts_as_delivered_apart_while_it_catches_up(self) -> None:
        cursor = self.start()
        cursor.start("e", 0, 3)
        cursor.own(4)
        assert cursor.seq == 0
        assert cursor.admit(3).deliver and cursor.seq == 4

    def test_jumps_over_a_gap_once(self) -> None:
        cursor = self.start()
        assert cursor.skip(9) and not cursor.skip(8)
        assert not cursor.admit(9).deliver and cursor.admit(10).hole is None

    def test_takes_an_inbox_s_entries_in_any_order_each_once(self) -> None:
        cursor = self.start()
        cursor.loose = True
        assert [cursor.admit(seq).deliver for seq in (8, 6, 8, 5)] == [True, True, False, False]
        assert cursor.seq == 6
        assert cursor.admit(7).deliver and cursor.seq == 8

    def test_holds_a_bounded_number_of_seqs_for_a_server_that_leaves_holes(self) -> None:
        cursor = self.start()
        cursor.loose = True
        for seq in range(10, 60_000, 2):
            cursor.admit(seq)
        assert cursor.seq > 40_000 and len(cursor._ahead) <= 5000


class TestPacer:
    def test_lets_a_burst_through_and_then_as_many_as_the_server_takes(self) -> None:
        pacer = Pacer()
        pacer.refill({"messages_per_minute": 60, "burst": 2}, 0)
        assert [pacer.spend(0), pacer.spend(0)] == [0, 0]
        assert pacer.spend(0) == pytest.approx(1)
        assert pacer.spend(1) == 0 and pacer.spend(1.25) == pytest.approx(0.75)

    def test_fills_up_to_the_burst_and_no_further(self) -> None:
        pacer = Pacer()
        pacer.refill({"messages_per_minute": 60, "burst": 2}, 0)
        assert [pacer.spend(1000), pacer.spend(1000), pacer.spend(1000) > 0] == [0, 0, True]

    def test_waits_as_long_as_a_refusal_says_and_has_one_token_then(self) -> None:
        pacer = Pacer()
        pacer.refill({"messages_per_minute": 60, "burst": 5}, 0)
        pacer.refused(3, 0)
        assert pacer.spend(1) == 2
        assert pacer.spend(3) == 0 and pacer.spend(3) == pytest.approx(1)

    @pytest.mark.parametrize(
        "limits", [{}, {"messages_per_minute": "many", "burst": 1}, {"messages_per_minute": 5, "burst": None}]
    )
    def test_does_not_wait_where_no_limit_is_told_but_where_one_is_met(self, limits: dict[str, Any]) -> None:
        pacer = Pacer()
        pacer.refill(limits, 0)
        assert all(pacer.spend(0) == 0 for _ in range(1000))
        pacer.refused(2, 0)
        assert pacer.spend(1) == 1

    def test_survives_a_clock_that_goes_back(self) -> None:
        pacer = Pacer()
        pacer.refill({"messages_per_minute": 60, "burst": 1}, 100)
        assert pacer.spend(50) == 0 and 0 < pacer.spend(50) <= 1


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        # RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "foo"}, None, None),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merges(target: Any, patch: Any, result: Any) -> None:
    before = json.dumps(target)
    assert apply_merge(target, patch) == result
    assert json.dumps(target) == before


@pytest.mark.parametrize(
    ("document", "operations", "result"),
    [
        ({"a": 1}, [{"op": "add", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
        ({"a": [1, 3]}, [{"op": "add", "path": "/a/1", "value": 2}], {"a": [1, 2, 3]}),
        ({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}], {"a": [1, 2]}),
        ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
        ({"a": 1, "b": 2}, [{"op": "remove", "path": "/a"}], {"b": 2}),
        ({"a": [1, 2, 3]}, [{"op": "remove", "path": "/a/1"}], {"a": [1, 3]}),
        ({"a": {"b": 1}}, [{"op": "move", "from": "/a/b", "path": "/c"}], {"a": {}, "c": 1}),
        ({"a": 1}, [{"op": "copy", "from": "/a", "path": "/b"}], {"a": 1, "b": 1}),
        ({"a/b": 1, "m~n": 2}, [{"op": "replace", "path": "/a~1b", "value": 3}, {"op": "remove", "path": "/m~0n"}], {"a/b": 3}),
        ({"a": {"b": [1, 2.0]}}, [{"op": "test", "path": "/a", "value": {"b": [1.0, 2]}}], {"a": {"b": [1, 2]}}),
        ({"": 1}, [{"op": "remove", "path": "/"}], {}),
        ({"a": None}, [{"op": "test", "path": "/a", "value": None}], {"a": None}),
        ({"a": 1}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": 1}),
    ],
)
def test_patches(document: Any, operations: list[Any], result: Any) -> None:
    before = json.dumps(document)
    assert apply_patch(document, operations) == result
    assert json.dumps(document) == before


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nothing"},
        {"op": "remove", "path": ""},
        {"op": "replace", "path": "/nothing", "value": 1},
        {"op": "add", "path": "/nothing/below", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/list/01", "value": 1},
        {"op": "add", "path": "/list/x", "value": 1},
        {"op": "add", "path": "nothing", "value": 1},
        {"op": "add", "path": "/a~2", "value": 1},
        {"op": "add", "path": "/b"},
        {"op": "test", "path": "/flag", "value": 1},
        {"op": "move", "from": "/list", "path": "/list/0"},
        {"op": "copy", "from": "/nothing", "path": "/b"},
        {"op": "what", "path": "/b"},
        {"op": "add", "path": 7, "value": 1},
        "nothing",
    ],
)
def test_a_patch_that_does_not_apply_is_refused(operation: Any) -> None:
    with pytest.raises(PatchError):
        apply_patch({"list": [1, 2], "flag": True}, [operation])


def test_equality_is_json_s() -> None:
    assert equals({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})
    for a, b in ((True, 1), (False, 0), (0, ""), ({}, []), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (None, False)):
        assert not equals(a, b)


@pytest.mark.parametrize("text", ["", "garbage", "[]", "7", "null", "{}", '{"type":7}', '{"type":"x","a":NaN}', "\x00"])
def test_what_is_no_message_is_none(text: str) -> None:
    assert wire_of(text) is None


@pytest.mark.parametrize(
    "fields", [{"seq": 0}, {"seq": "1"}, {"seq": True}, {"seq": 1.5}, {"seq": 5, "first_seq": 6}, {"first_seq": 1}]
)
def test_a_message_with_a_place_that_is_none_is_none(fields: dict[str, Any]) -> None:
    assert message_of({"type": "message", **fields}, "room:1") is None


def test_a_message_has_what_the_server_says_and_nothing_else() -> None:
    told = {
        "seq": 3,
        "first_seq": 2,
        "timestamp": 5,
        "merge": None,
        "event": "e",
        "flags": ["script_tag", 7],
        "priority": "high",
    }
    message = message_of(
        {**told, "from": {"user": {"id": 7, "type": "admin"}, "connection": "c"}, "redelivered": True}, "doc:1"
    )
    assert message is not None and message.sender is not None and message.sender.user is not None
    assert (message.change, message.data, message.first_seq, message.flags) == ("merge", None, 2, ("script_tag",))
    assert (message.sender.user.id, message.sender.connection, message.priority, message.redelivered) == (7, "c", "high", True)
    odd = message_of({"from": "me", "timestamp": 1e999, "priority": "urgent", "event": 7, "flags": "x"}, "room:1")
    assert odd is not None
    assert (odd.sender, odd.timestamp, odd.priority, odd.event, odd.flags, odd.seq) == (None, 0, None, None, (), None)
