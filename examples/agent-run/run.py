"""Both sides at once: an agent tells a story, and its reader is away for the middle of it."""

import asyncio
import secrets
import sys

from agent import work
from reader import read

from tidewire import TidewireError


async def main() -> None:
    channel = f"agent:{secrets.token_hex(8)}"
    print(f"[{channel}]", file=sys.stderr)
    await asyncio.gather(work(channel, "Tell me about the tide."), read(channel, away_after=1.0, away_for=1.5))


try:
    asyncio.run(main())
except TidewireError as error:
    sys.exit(str(error))
