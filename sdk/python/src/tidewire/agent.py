"""An agent's run (docs/protocol.md, section 7, kind `agent`), for the agent and for who reads along: text that streams,
tools, an end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

from .channel import Change
from .coalescer import Coalescer
from .errors import misuse
from .protocol import Message, Published, number_of
from .publish import publish_body
from .run import ENDS, Run


@dataclass(frozen=True, slots=True)
class AgentState:
    status: str = "pending"
    """`pending`, `running`, `complete`, `failed` or `cancelled`."""
    text: str = ""
    tools: tuple[dict[str, Any], ...] = ()
    """The calls; `result` stands in one once it has one."""
    started_at: int | None = None
    ended_at: int | None = None
    usage: Any = None
    detail: Any = None
    """The last `status` event."""
    reason: Any = None
    """What the last event of a failed or cancelled run gave as its reason."""


class AgentRun(Run):
    """Made by `Tidewire.open_agent_run()`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._current = AgentState()
        self._deltas: Coalescer[str] = Coalescer(lambda earlier, later: earlier + later, self._send_delta, self._link)

    @property
    def value(self) -> AgentState:
        """The state as the events so far make it; another object after each change."""
        return self._current

    @property
    def ended(self) -> bool:
        return self._current.status in ENDS.values()

    async def start(self, data: Any = None) -> Published:
        return await self._event("start", data)

    def delta(self, text: str) -> asyncio.Future[Published]:
        """More text. Call it for every token: they are sent together, as often as the server takes them, whether the
        result is awaited or not."""
        if not isinstance(text, str):
            raise misuse("delta(text) takes a string")
        return self._deltas.add(text)

    async def tool_call(self, data: Any) -> Published:
        return await self._event("tool_call", data)

    async def tool_result(self, data: Any) -> Published:
        return await self._event("tool_result", data)

    async def status(self, data: Any) -> Published:
        return await self._event("status", data)

    async def complete(self, data: Any = None) -> Published:
        return await self._event("complete", data)

    def _flush(self) -> None:
        self._deltas.flush()

    def _send_delta(self, text: str) -> asyncio.Future[Published]:
        return self._send(publish_body({"data": {"text": text}}, event="delta"))

    def _recall(self, data: Any, seq: int) -> None:
        if not isinstance(data, dict):
            return
        text, tools = data.get("text"), data.get("tools")
        self._set(
            AgentState(
                status=str(data.get("status", "pending")),
                text=text if isinstance(text, str) else "",
                tools=tuple(tool for tool in tools if isinstance(tool, dict)) if isinstance(tools, list) else (),
                started_at=_ms(data.get("started_at")),
                ended_at=_ms(data.get("ended_at")),
                usage=data.get("usage"),
                detail=data.get("detail"),
                reason=data.get("reason"),
            )
        )

    def _fold(self, message: Message) -> bool:
        event, data = message.event or "", message.data
        fields = data if isinstance(data, dict) else {}
        before = self._current
        started_at = message.timestamp if before.started_at is None else before.started_at
        state = replace(before, status="running", started_at=started_at)
        if event == "delta" and isinstance(fields.get("text"), str):
            state = replace(state, text=before.text + fields["text"])
        elif event == "status":
            state = replace(state, detail=data)
        elif event == "tool_call":
            state = replace(state, tools=(*before.tools, dict(data) if isinstance(data, dict) else {"data": data}))
        elif event == "tool_result":
            state = replace(state, tools=_with_result(before.tools, fields.get("id"), fields.get("result", data)))
        elif event in ENDS:
            state = replace(
                state,
                status=ENDS[event],
                ended_at=message.timestamp,
                usage=fields.get("usage", before.usage),
                reason=fields.get("reason", before.reason),
            )
        self._set(state)
        return True

    def _set(self, state: AgentState) -> None:
        self._current = state
        self._emit(Change())


def _with_result(tools: tuple[dict[str, Any], ...], tool_id: Any, result: Any) -> tuple[dict[str, Any], ...]:
    """A result belongs to the last call without one that has its id, or to the last of all when it names none."""
    waiting = [at for at, tool in enumerate(tools) if "result" not in tool and (tool_id is None or tool.get("id") == tool_id)]
    if not waiting:
        return tools
    at = waiting[-1]
    return (*tools[:at], {**tools[at], "result": result}, *tools[at + 1 :])


def _ms(value: object) -> int | None:
    number = number_of(value)
    return None if number is None else int(number)
