"""aiohttp as a client: URL SECONDS CONNECTIONS."""

import asyncio
import sys
import time

import aiohttp


async def main(url: str, seconds: float, users: int) -> None:
    until = time.monotonic() + seconds
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def user() -> None:
            while time.monotonic() < until:
                async with session.get(url) as answer:
                    await answer.read()
                    assert answer.status == 200

        await asyncio.gather(*(user() for _ in range(users)))


asyncio.run(main(sys.argv[1] + "/", float(sys.argv[2]), int(sys.argv[3])))
