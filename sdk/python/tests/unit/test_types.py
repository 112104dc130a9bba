"""What an application may write and what it may not. mypy reads this with the rest: each `type: ignore` stands at a mistake
that it finds, and one at no mistake would be an error itself."""

from __future__ import annotations

import inspect

from tidewire import AsyncPublisher, Message, Published, Publisher, Tidewire, UserInfo


def right(publisher: Publisher) -> None:
    published: Published = publisher.publish("room:1", {"text": "hi"}, event="said", priority="high", ttl_ms=5)
    info: UserInfo = publisher.user("ann")
    online: int | None = publisher.notify(7, {}).online
    print(published.seq, info.online, online, publisher.history("room:1", after=3, limit=5).messages)


async def right_later(publisher: AsyncPublisher, client: Tidewire) -> None:
    published: Published = await publisher.publish("room:1", key="k")
    flags: list[str] = [flag async for message in client.channel("room:1") for flag in message.flags]
    print(published.seq, flags)


def wrong(publisher: Publisher) -> None:
    publisher.publish()  # type: ignore[call-arg]
    publisher.publish(7)  # type: ignore[arg-type]
    publisher.publish("room:1", 1, priority="urgent")  # type: ignore[arg-type]
    publisher.publish("room:1", 1, tll_ms=5)  # type: ignore[call-arg]
    publisher.history("room:1", 5)  # type: ignore[call-arg]
    publisher.patch("doc:1", {"op": "add"})  # type: ignore[arg-type]
    publisher.batch([{"channel": "room:1"}])  # type: ignore[list-item]
    print(publisher.user("ann").nothing)  # type: ignore[attr-defined]


async def wrong_later(publisher: AsyncPublisher, client: Tidewire, message: Message) -> None:
    print(publisher.publish("room:1").seq)  # type: ignore[attr-defined]
    await publisher.publish("room:1", event=5)  # type: ignore[arg-type]
    await client.channel("room:1").publish("x", ttl_ms="5")  # type: ignore[arg-type]
    message.flags = ()  # type: ignore[misc]
    document = client.open_document("doc:1")
    await document.set({}, if_seq="5")  # type: ignore[arg-type]
    await document.merge({}, ttl_ms=5)  # type: ignore[call-arg]
    await document.patch({"op": "add"})  # type: ignore[arg-type]


def test_both_publishers_have_the_same_calls_with_names_and_words() -> None:
    calls = [name for name in vars(Publisher) if not name.startswith("_") and name != "close"]
    assert len(calls) == 14
    for name in calls:
        one, other = getattr(Publisher, name), getattr(AsyncPublisher, name)
        assert inspect.signature(one) == inspect.signature(other)
        assert one.__name__ == other.__name__ == name
        assert one.__doc__ == other.__doc__
        assert one.__doc__
        assert inspect.iscoroutinefunction(other)
    assert list(inspect.signature(Publisher("http://127.0.0.1:1", "key").presence).parameters) == ["channel"]
