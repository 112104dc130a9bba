"""An agent that streams its text into a run: whoever may read it sees every token, in order, once."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator

from tidewire import Tidewire, mint_token

URL = os.environ.get("TIDEWIRE_URL", "http://127.0.0.1:8080")
SECRET = os.environ.get("TIDEWIRE_SECRET", "development-secret-not-for-production")

STORY = """Twice a day the harbour breathes. The water leaves without a word, and the boats lie down in the mud like cattle
at noon. Nobody worries. The fishermen mend what is torn, the children look for what was lost, and the clock on the customs
house goes on as if it knew. Then a thread of silver comes up the channel, no wider than a hand. It finds every hull in turn,
and lifts it."""


async def model(prompt: str) -> AsyncIterator[str]:
    """Stands for a language model: tokens at an uneven pace."""
    for word in STORY.split():
        await asyncio.sleep(random.expovariate(20))
        yield word + " "


async def work(channel: str, prompt: str) -> None:
    # Each connection asks for a token of its own.
    async with Tidewire(URL, token=lambda: mint_token(SECRET, "storyteller", ttl=300)) as client:
        run = client.open_agent_run(channel)
        await run.start({"prompt": prompt})
        await run.tool_call({"id": "tides", "name": "tide_table", "arguments": {"port": "here"}})
        await run.tool_result({"id": "tides", "result": {"high": "06:12", "low": "12:31"}})
        count = 0
        try:
            async for token in model(prompt):
                run.delta(token)  # not awaited: tokens go out together, as often as the server takes them
                count += 1
        except Exception as error:
            await run.fail(str(error))
            raise
        await run.complete({"usage": {"tokens": count}})


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], "Tell me about the tide."))
