"""Protocol §3: the envelope, its bounds, the order of the checks, `data` byte for byte."""

from __future__ import annotations

import asyncio
import json

import pytest
from client import Client, Message, channel, unique
from raw import BINARY, CONTINUATION, PING, TEXT, RawWebSocket, encode_frame
from tokens import mint

clause = pytest.mark.clause
LIMIT = 65536
SERVER = {
    "settings": {
        "limits": {"message_bytes": LIMIT, "fragments": 50, "message_timeout": "1s"},
        "namespaces": {
            "deep": {"kind": "stream", "durability": "memory", "history_messages": 1000},
        },
    }
}


async def raw_connection(server, token: str | None = None) -> RawWebSocket:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    return await RawWebSocket.open(server, "/ws?inbox=manual", headers=headers)


async def raw_reply(raw: RawWebSocket) -> Message:
    return Message.parse((await raw.message()).payload.decode())


# -- type and id


@clause("3.envelope", "M3")
@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "nope", "{'type':'ping'}", '{"type":"ping"', '{"type":"ping"}}', '{"type":"ping"} x',
     '{"type":"ping",}', '{"type":"ping","data":01}', '{"type":"ping","data":NaN}',
     '{"type":"ping","data":"\t"}', '{"type":"ping","data":"\\x"}', '{"type":"ping","data":"\\ud8"}',
     '{"type":"ping","data":[1,]}', '{"type":"ping","data":tru}',
     '{"type":"ping","data":.5}', '{"type":"ping","data":+1}', '{"type":"ping","data":"a}'],
)  # fmt: skip
async def test_what_is_not_json_is_invalid_json_and_the_connection_goes_on(server, text):
    """§6: "Malformed input … is answered with `error`, and the connection goes on" """
    client = await Client.connect(server)
    reply = await client.expect_error(text, "invalid_json")
    assert "id" not in reply or reply["id"] is None


@clause("3.envelope", "M3")
@pytest.mark.parametrize(
    "text",
    ["[]", "1", '"ping"', "null", "true", "{}", '{"id":1}', '{"type":1}', '{"type":null}',
     '{"type":["ping"]}', '{"type":{}}', '[{"type":"ping"}]'],
)  # fmt: skip
async def test_what_is_no_object_with_a_string_type_is_invalid_message(server, text):
    """§6: "`invalid_message` (not an object, no `type`, a field of the wrong type)" """
    client = await Client.connect(server)
    await client.expect_error(text, "invalid_message")


@clause("3.unknown-type", "M3")
@pytest.mark.parametrize("kind", ["nope", "", "PING", "ping ", "connected", "message", "pong", "\u0000"])
async def test_an_unknown_type_is_unknown_type(server, kind):
    """§6: `unknown_type`"""
    client = await Client.connect(server)
    await client.expect_error({"type": kind, "id": "x"}, "unknown_type", id="x")


@clause("3.unknown-fields", "M1")
async def test_unknown_fields_are_ignored(server):
    """§3: "Unknown fields are ignored" """
    client = await Client.connect(server)
    reply = await client.request({"type": "ping", "future": {"a": [1]}, "x": None, "id": 5})
    assert reply["type"] == "pong"


@clause("3.whitespace", "M1")
async def test_whitespace_and_escapes_in_the_envelope_are_json(server):
    """§3: "A text frame holds one JSON object": written however JSON may be written"""
    client = await Client.connect(server)
    await client.send(' \r\n\t{ "\\u0074ype" :\n"p\\u0069ng" , "id" : "\\u0041" } \n')
    assert (await client.next())["id"] == "A"


@clause("3.id", "M1")
@pytest.mark.parametrize(
    "ident",
    [0, 1, -1, 9007199254740991, 2**63, -(10**40), "", "a", "x" * 64, "ü" * 64, '\u0000"\\\n'],
)
async def test_an_id_is_repeated_as_it_came(server, ident):
    """§3: "`id`, a string of at most 64 characters or an integer, which the reply repeats" """
    client = await Client.connect(server)
    await client.send({"type": "ping", "id": ident})
    reply = await client.next()
    assert reply["type"] == "pong" and reply["id"] == ident and type(reply["id"]) is type(ident)
    await client.send({"type": "history", "channel": "nowhere:x", "id": ident})
    reply = await client.next()
    assert reply["type"] == "error" and reply["id"] == ident


@clause("3.id", "M1")
@pytest.mark.parametrize("ident", ["true", "1.5", "[]", "{}", '"' + "x" * 65 + '"'])
async def test_an_id_of_another_type_is_invalid_message_without_id(server, ident):
    """§3: "An `id` of another type is `invalid_message`, answered without `id`" """
    client = await Client.connect(server)
    reply = await client.expect_error(f'{{"type":"ping","id":{ident}}}', "invalid_message")
    assert "id" not in reply


@clause("3.id", "M1")
async def test_a_null_id_counts_as_absent(server):
    """§3: "`null` counts as absent" """
    client = await Client.connect(server)
    await client.send('{"type":"ping","id":null}')
    reply = await client.next()
    assert reply["type"] == "pong" and "id" not in reply
    await client.send('{"type":"ping"}')
    assert "id" not in await client.next()


@clause("3.typed-replies", "M1")
async def test_every_reply_names_its_own_type(server):
    """§3: "A reply always names its own type; there is no generic acknowledgement" """
    client = await Client.connect(server, mint(unique("u")))
    name = channel()
    expected = [
        ({"type": "ping"}, "pong"),
        ({"type": "subscribe", "channel": name}, "subscribed"),
        ({"type": "publish", "channel": name, "data": 1}, "published"),
        ({"type": "history", "channel": name}, "history"),
        ({"type": "presence", "channel": name, "action": "get"}, "presence"),
        ({"type": "unsubscribe", "channel": name}, "unsubscribed"),
        ({"type": "nothing"}, "error"),
    ]
    for request, kind in expected:
        assert (await client.request(request))["type"] == kind


@clause("3.duplicate-keys", "M3")
@pytest.mark.parametrize(
    "text",
    [
        '{"type":"ping","type":"ping"}',
        '{"type":"ping","id":1,"id":1}',
        '{"type":"ping","data":1,"data":2}',
        '{"type":"ping","unknown":1,"unknown":2}',
        '{"type":"ping","id":1,"\\u0069d":2}',
        '{"type":"subscribe","channel":"room:a","since":{"epoch":"e","seq":1,"seq":2}}',
        '{"type":"subscribe","channels":["room:b",{"channel":"room:a","history":1,"history":2}]}',
    ],
)
async def test_a_key_twice_in_the_envelope_is_invalid_message(server, text):
    """§3: "A key that stands twice in the envelope is `invalid_message`" """
    client = await Client.connect(server)
    await client.expect_error(text, "invalid_message")


@clause("3.depth", "M3", "P4")
@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
async def test_deep_nesting_is_invalid_json(server, opening, closing):
    """§3: "JSON nested deeper than `limits.json_depth` (64) is `invalid_json`" """
    client = await Client.connect(server)
    for depth in (65, 100, 3000):
        data = opening * depth + "1" + closing * depth
        await client.expect_error(f'{{"type":"ping","data":{data}}}', "invalid_json")
    data = opening * 62 + "1" + closing * 62
    await client.send(f'{{"type":"ping","data":{data}}}')
    assert (await client.next())["type"] == "pong"


# -- binary and size


@clause("3.binary", "M3")
async def test_a_binary_message_is_invalid_message(server):
    """§3: "A binary message is answered with `error` `invalid_message`" """
    client = await Client.connect(server)
    for payload in (b"", b"\0\xff\xfe", b'{"type":"ping"}'):
        await client.expect_error(payload, "invalid_message")


@clause("3.binary", "M3")
async def test_a_fragmented_binary_message_is_answered_once(server):
    """§3: "A binary message", not each of its frames"""
    raw = await raw_connection(server)
    await raw.send_frame(BINARY, b"\xff" * 10, fin=False)
    await raw.send_frame(CONTINUATION, b"\xff" * 10)
    await raw.text('{"type":"ping"}')
    assert (await raw_reply(raw))["code"] == "invalid_message"
    assert (await raw_reply(raw))["type"] == "pong"


def ping_of(size: int, ident: int = 1) -> str:
    head, tail = f'{{"type":"ping","id":{ident},"data":"', '"}'
    return head + "x" * (size - len(head) - len(tail)) + tail


@clause("3.too_large", "M3", "P4")
async def test_a_message_of_exactly_the_limit_is_served(server):
    """§3: "A message over `limits.message_bytes`": at the limit is not over it"""
    client = await Client.connect(server)
    text = ping_of(LIMIT)
    assert len(text) == LIMIT
    await client.send(text)
    reply = await client.next()
    assert reply["type"] == "pong" and len(reply["data"]) > LIMIT - 100


@clause("3.too_large", "M3", "P4")
@pytest.mark.parametrize("size", [LIMIT + 1, 2 * LIMIT, 15 * LIMIT])
async def test_a_message_over_the_limit_is_discarded_and_the_connection_goes_on(server, size):
    """§3: "is discarded as it arrives and answered with `error` `too_large`, and the connection goes on" """
    client = await Client.connect(server)
    await client.expect_error(ping_of(size), "too_large")
    await client.expect_error(b"\xff" * size, "too_large")
    await client.expect_error("x" * size, "too_large")  # size is checked before JSON


@clause("3.too_large", "M3")
async def test_an_oversized_fragmented_message_is_discarded_as_it_arrives(server):
    """§3: "is discarded as it arrives": the fragments after the limit are not kept, a ping between
    them is answered, the answer comes once"""
    raw = await raw_connection(server)
    part = b"x" * (LIMIT // 2)
    await raw.send_frame(TEXT, part, fin=False)
    for _ in range(8):
        await raw.send_frame(CONTINUATION, part, fin=False)
    await raw.send_frame(PING, b"between")
    await raw.send_frame(CONTINUATION, part)
    await raw.text('{"type":"ping","id":"after"}')
    errors = []
    while (reply := await raw_reply(raw))["type"] != "pong":
        errors.append(reply["code"])
    assert errors == ["too_large"]
    assert reply["id"] == "after"


@clause("3.too_large-16", "M3", "P7")
async def test_announcing_16_times_the_limit_ends_with_1009_at_once(server):
    """§3: "one that announces or reaches 16 times the limit … end[s] it with 1009" """
    raw = await raw_connection(server)
    await raw.send_frame(TEXT, b"", length=16 * LIMIT + 1, form=64)
    assert (await raw.close_frame())[0] == 1009
    raw = await raw_connection(server)
    await raw.send_frame(TEXT, b"", length=(1 << 63) - 1, form=64)
    assert (await raw.close_frame())[0] == 1009


@clause("3.too_large-16", "M3", "P7")
async def test_reaching_16_times_the_limit_in_fragments_ends_with_1009(server):
    """§3: "one that announces or reaches 16 times the limit" """
    raw = await raw_connection(server)
    part = b"x" * (LIMIT * 2)
    try:
        await raw.send_frame(TEXT, part, fin=False)
        for _ in range(9):
            await raw.send_frame(CONTINUATION, part, fin=False)
    except ConnectionError:
        pass
    assert (await raw.close_frame())[0] in (1009, None)


@clause("3.fragments", "M3", "P7")
async def test_more_fragments_than_allowed_end_with_1009(server):
    """§3: "one of more than `limits.fragments` fragments end[s] it with 1009" """
    raw = await raw_connection(server)
    text = ping_of(50)
    for i, char in enumerate(text):  # exactly 50
        await raw.send_frame(TEXT if i == 0 else CONTINUATION, char, fin=i == 49)
    assert (await raw_reply(raw))["type"] == "pong"
    await raw.send_frame(TEXT, "{", fin=False)
    for _ in range(50):
        await raw.send_frame(CONTINUATION, " ", fin=False)
    assert (await raw.close_frame())[0] == 1009


@clause("3.message_timeout", "M3", "P8")
@pytest.mark.parametrize("shape", ["fragment", "frame", "trickle", "header"])
async def test_a_message_not_complete_in_time_ends_with_1008(server, shape):
    """§3: "one that is not complete within `limits.message_timeout` ends it with 1008 `message_timeout`" """
    raw = await raw_connection(server)
    if shape == "fragment":
        await raw.send_frame(TEXT, '{"type":', fin=False)
    elif shape == "header":
        await raw.send(encode_frame(TEXT, b"x" * 200)[:3])
    else:
        # Masked with zeros, so that the zero bytes of the trickle are text.
        await raw.send(encode_frame(TEXT, b"x" * 200, mask=b"\0\0\0\0")[:20])

    async def trickle():
        while True:
            await raw.send(b"\0")
            await asyncio.sleep(0.2)

    task = asyncio.create_task(trickle()) if shape == "trickle" else None
    got = await raw.close_frame()
    if task:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert got == (1008, "message_timeout")


# -- data, byte for byte

DATA = [
    "123456789012345678901234567890",
    "-0",
    "-0.0",
    "1e999",
    "1E+2",
    "1.0000000000000000000000000001",
    "0.1e-400",
    '"\\u0041\\u00e9\\ud83d\\ude00"',
    '"\\ud800"',
    '"\\udc00 lone"',
    '"\\/\\b\\f\\n\\r\\t\\u0000"',
    '"</script>&\'<!--"',
    '"é😀\u2028\u2029\ufeff"',
    '{"b":1,"a":2,"B":3,"":4}',
    '{"a":1,"a":2,"a":{"a":1}}',
    '{"type":"x","id":1,"channel":"y","data":{"data":[]}}',
    "[[],{},[{}],null,true,false]",
    "null",
    "false",
    '""',
    '"' + "x" * 20000 + '"',
]


@clause("3.data-verbatim", "M1", "M3")
@pytest.mark.parametrize("namespace", ["room", "log"])
async def test_data_is_delivered_byte_for_byte(server, namespace):
    """§3: "the server delivers it byte for byte as it came (…; numbers, key order and escapes stay)",
    live, in history, in `subscribed` and in a pong"""
    publisher = await Client.connect(server, mint("alice"))
    live = await Client.connect(server, mint("bob"))
    name = channel(namespace)
    await live.subscribe(name)
    for i, data in enumerate(DATA):
        await publisher.send(f'{{"type":"publish","id":{i},"data":{data},"channel":"{name}"}}')
        assert (await publisher.expect(id=i))["type"] == "published"
        await publisher.send(f'{{"type":"ping","id":"p{i}","data":{data}}}')
        assert (await publisher.expect(id=f"p{i}")).text_of("data") == data
    seen = await live.deliveries(name, len(DATA))
    assert [m.text_of("data") for m in seen] == DATA
    history = await live.request({"type": "history", "channel": name})
    assert [history.text_of("messages", i, "data") for i in range(len(DATA))] == DATA
    late = await Client.connect(server, mint("carol"))
    reply = await late.subscribe(name, history=100)
    assert [reply.text_of("messages", i, "data") for i in range(len(DATA))] == DATA


@clause("3.data-verbatim", "M1")
async def test_only_insignificant_whitespace_of_data_may_go(server):
    """§3: "(insignificant whitespace may go; …)", whitespace in strings stays"""
    client = await Client.connect(server)
    await client.send('{"type":"ping","data": { "a b" : [ 1 , " \\t x " ] , "n" : 1.50 } }')
    text = (await client.next()).text_of("data")
    assert json.loads(text) == {"a b": [1, " \t x "], "n": 1.5}
    assert '"a b"' in text and '" \\t x "' in text and "1.50" in text


# -- order of the checks


@clause("3.check-order", "M1", "M3")
async def test_the_checks_come_in_their_order(server):
    """§3: "size, JSON, envelope, rate, channel name, access, idempotency key, `if_seq`, kind, content" """
    client = await Client.connect(server)  # anonymous: `room` is closed to it
    huge = "[" * 70 + "x" * LIMIT
    await client.expect_error(huge, "too_large")  # size before JSON
    deep = "[" * 70 + "]" * 70
    await client.expect_error(f'{{"data":{deep}}}', "invalid_json")  # JSON before envelope
    await client.expect_error('{"type":"publish","type":"x","channel":"room:"}', "invalid_message")
    # the envelope before the channel's name, the name before access, access before the kind
    await client.expect_error({"type": "publish", "channel": "room:", "data": 1, "id": {}}, "invalid_message")
    await client.refused({"type": "publish", "channel": "room:", "data": 1}, "invalid_channel")
    await client.refused({"type": "publish", "channel": "room:a", "merge": {}}, "unauthorized")


@clause("3.key-before-if_seq", "M1")
async def test_a_refused_request_uses_up_no_key(server):
    """§3: "a refused request uses up no key" """
    client = await Client.connect(server, mint(unique("u")))
    name = channel()
    await client.refused({"type": "publish", "channel": name, "merge": {}, "key": "k"}, "invalid_event")
    reply = await client.publish(name, 1, key="k")
    assert reply["seq"] == 1 and not reply.get("duplicate")


@clause("5.error", "M3")
async def test_an_error_names_the_request_and_the_channel(server):
    """§5: `{"type":"error","id":…,"request":"publish","channel":C,"code":…,"message":…}`"""
    client = await Client.connect(server)
    reply = await client.request({"type": "publish", "channel": "room:a", "data": 1, "id": "e1"})
    assert reply["type"] == "error"
    assert reply["id"] == "e1"
    assert reply["request"] == "publish"
    assert reply["channel"] == "room:a"
    assert reply["code"] == "unauthorized"
    assert isinstance(reply["message"], str)


@clause("6.malformed", "M3", "P1")
async def test_the_20th_malformed_message_is_answered_and_ends_the_connection(start):
    """§6: "The 20th in a minute (`limits.malformed_per_minute`) is answered and then ends it with
    1008 `invalid_message`"; all four codes count"""
    server = start({"limits": {"malformed_per_minute": None, "message_bytes": 65536}})
    client = await Client.connect(server)
    bad = ["{", '{"type":7}', '{"type":"nope"}', "x" * 70000]
    for i in range(19):
        await client.expect_error(
            bad[i % 4], ["invalid_json", "invalid_message", "unknown_type", "too_large"][i % 4]
        )
    await client.send("{")
    assert (await client.expect(type="error"))["code"] == "invalid_json"
    assert await client.closed() == (1008, "invalid_message")


@clause("6.malformed", "M3", "M4")
@pytest.mark.parametrize("first", ["publish", "subscribe", "history"])
async def test_what_ends_a_connection_comes_behind_the_answers_that_are_due(start, first):
    """§4: replies leave in the order of their requests; §6: "is answered and then ends it" """
    server = start({"limits": {"malformed_per_minute": 3}})
    client = await Client.connect(server, mint(unique("u")))
    name = channel("log")
    asked = {"type": first, "id": 1, "channel": name} | ({"data": 1} if first == "publish" else {})
    for text in (json.dumps(asked), "x", "y", "z", '{"type":"ping"}'):
        await client.send(text)
    answer = await client.expect(id=1)
    assert answer["type"] in ("published", "subscribed", "history"), answer
    assert [m["code"] for m in await client.take(3, type="error")] == ["invalid_json"] * 3
    assert await client.closed() == (1008, "invalid_message")


@clause("6.malformed", "M3")
async def test_errors_that_are_not_malformed_input_do_not_end_the_connection(start):
    """§5: "Never ends the connection by itself" """
    server = start({"limits": {"malformed_per_minute": None}})
    client = await Client.connect(server)
    for i in range(60):
        await client.refused({"type": "unsubscribe", "channel": f"room:{i}"}, "not_subscribed")
        await client.refused({"type": "publish", "channel": "nowhere:x", "data": 1}, "not_found")
