"""Reads along with a run. It may come late, go away and come back: the text so far is there, and then the rest."""

import argparse
import asyncio
import os
import sys

from tidewire import AgentRun, Change, Grant, Tidewire, TidewireError, mint_token

URL = os.environ.get("TIDEWIRE_URL", "http://127.0.0.1:8080")
SECRET = os.environ.get("TIDEWIRE_SECRET", "development-secret-not-for-production")


async def follow(run: AgentRun, shown: int) -> int:
    """Prints what is new, until the run has ended or the connection is closed. Returns how much has been shown."""
    changes = run.events(Change)
    await run.subscribe()
    while True:
        text = run.value.text
        print(text[shown:], end="", flush=True)
        shown = len(text)
        if run.ended or await anext(changes, None) is None:
            return shown


async def leave(client: Tidewire, after: float) -> None:
    await asyncio.sleep(after)
    await client.close()


async def read(channel: str, away_after: float = 0, away_for: float = 0) -> None:
    # The run is its creator's; a grant lets others read it.
    client = Tidewire(URL, token=lambda: mint_token(SECRET, "reader", ttl=300, grants=[Grant(channel)]))
    run = client.open_agent_run(channel)
    try:
        leaving = asyncio.create_task(leave(client, away_after)) if away_for else None
        shown = await follow(run, 0)
        if leaving is not None and not run.ended:
            # As when a laptop is closed. The channel keeps its place.
            print(f"\n[away for {away_for} s after {shown} characters]", file=sys.stderr)
            await leaving
            await asyncio.sleep(away_for)
            await client.connect()
            await follow(run, shown)
        print(f"\n[{run.value.status}, {run.value.usage}]")
    finally:
        await client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("channel")
    parser.add_argument("--away-after", type=float, default=0, metavar="S", help="go away after so many seconds")
    parser.add_argument("--away-for", type=float, default=0, metavar="S", help="and come back after so many")
    options = parser.parse_args()
    try:
        asyncio.run(read(options.channel, options.away_after, options.away_for))
    except TidewireError as error:
        sys.exit(str(error))
