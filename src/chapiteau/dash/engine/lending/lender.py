"""On the node: relays of load tests, for whoever its owner allows it.

A relay runs the scenario that an admin of the hub brings: that is running their program. So a node
lends itself only when somebody on it said so (`chapiteau node lend`), and as the agent's user.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from chapiteau.dash.engine.cluster.link import Args
from chapiteau.dash.errors import NotAllowedError

__all__ = ["Lender", "lend", "lends"]

FLAG: Final = "lend"  # in the node's papers
_MODULE: Final = "chapiteau.load.engine.cluster.relay"
_MOST: Final = 2  # relays at once
_START: Final = 10.0  # seconds
_GOODBYE: Final = 5.0  # seconds for a relay whose line has ended
_LINE: Final = 8 << 20  # bytes of a relay's report: one frame a second


def lends(papers: Path) -> bool:
    """Whether this node lends itself."""
    return (papers / FLAG).exists()


def lend(papers: Path, *, on: bool) -> None:
    """Say so, or take it back."""
    if on:
        (papers / FLAG).touch(mode=0o600)
    else:
        (papers / FLAG).unlink(missing_ok=True)


class Lender:
    """Runs relays; each ends with the stream that its reports go by."""

    def __init__(self, papers: Path) -> None:
        self._papers = papers
        self._relays: dict[str, asyncio.subprocess.Process] = {}
        self._news = asyncio.Condition()  # a relay has started

    @property
    def lends(self) -> bool:
        """As its owner said."""
        return lends(self._papers)

    async def relay(self, args: Args) -> AsyncIterator[str]:
        """Start a relay; its reports, line by line, until it leaves or nobody listens."""
        test = str(args["test"])
        if not self.lends:
            raise NotAllowedError(
                "this node does not lend itself for load tests",
                hint="on it: chapiteau node lend",
            )
        if test in self._relays or len(self._relays) >= _MOST:
            raise NotAllowedError(f"{len(self._relays)} load tests run here already")
        relay = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # What belongs to the supervisor that started the agent is none of a scenario's.
            env={k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG", "TZ")},
            limit=_LINE,
        )
        self._relays[test] = relay
        async with self._news:
            self._news.notify_all()
        try:
            assert relay.stdout is not None  # noqa: S101 — asked for above
            async for line in relay.stdout:
                yield line.decode()
        finally:
            del self._relays[test]
            if relay.stdin is not None:
                relay.stdin.close()  # it then leaves by itself, and nothing behind
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await relay.wait()
            with contextlib.suppress(ProcessLookupError):
                relay.kill()  # its load processes end with it
            await relay.wait()

    async def push(self, args: Args) -> Any:
        """Bytes of orders for a relay's stdin, in the order of the calls."""
        test = str(args["test"])
        # The first order may overtake the call that starts the relay.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START), self._news:
                await self._news.wait_for(lambda: test in self._relays)
        relay = self._relays.get(test)
        if relay is None or relay.stdin is None:
            raise NotAllowedError("no such load test runs here")
        with contextlib.suppress(ConnectionError):
            relay.stdin.write(str(args["part"]).encode())
            await relay.stdin.drain()
        return None
