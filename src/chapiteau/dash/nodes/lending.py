"""At the hub: load tests whose relays run on nodes; each lives as long as it is listened to."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.errors import BadRequestError, NotAllowedError
from chapiteau.dash.fleet.fleet import Fleet
from chapiteau.dash.nodes.link import Args
from chapiteau.dash.nodes.remote import LinkedRelays

__all__ = ["Lender", "LendingDesk", "lend", "lends"]

_WAITING: Final = 10_000  # reports that may wait for the reader


class LendingDesk:
    """Every test that is going on."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._tests: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._relays: dict[tuple[str, str], asyncio.Task[None]] = {}

    def hosts(self) -> list[str]:
        """Nodes that are there and lend themselves."""
        return [
            watch.node.name
            for watch in self._fleet.watches()
            if watch.health.get("lends") and not watch.away_since
        ]

    async def reports(self, test: str) -> AsyncIterator[dict[str, Any]]:
        """{"host", "line"} or {"host", "lost": why}; when nobody reads any more, all ends."""
        if test in self._tests:
            raise BadRequestError(f"the load test {test!r} is read already")
        queue = self._tests[test] = asyncio.Queue(_WAITING)
        try:
            while True:
                yield await queue.get()
        finally:
            del self._tests[test]
            mine = [key for key in self._relays if key[0] == test]
            tasks = [self._relays.pop(key) for key in mine]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def push(self, test: str, host: str, part: str) -> None:
        """Orders for one host; its relay starts with the first. Raises ChapiteauError."""
        if test not in self._tests:
            raise BadRequestError("nobody reads this load test's reports", hint="read them first")
        lent = getattr(self._fleet.watch(host).node, "lent", None)
        if not isinstance(lent, LinkedRelays):
            raise BadRequestError(f"{host} can't be reached for load tests")
        if (test, host) not in self._relays:
            self._relays[test, host] = asyncio.create_task(self._relay(test, host, lent))
        await lent.push(test, part)

    async def _relay(self, test: str, host: str, lent: LinkedRelays) -> None:
        queue, why = self._tests[test], "its relay ended"
        try:
            async with contextlib.aclosing(lent.relay(test)) as lines:
                async for line in lines:
                    await queue.put({"host": host, "line": line})
        except ChapiteauError as exc:
            why = f"{exc.what}{f' ({exc.hint})' if exc.hint else ''}"
        await queue.put({"host": host, "lost": why})


# On the node: relays of load tests, for whoever its owner allows it.
#
# A relay runs the scenario that an admin of the hub brings: that is running their program. So a
# node lends itself only when somebody on it said so (`chapiteau node lend`), and as the agent's
# user.

FLAG: Final = "lend"  # in the node's papers
_MODULE: Final = "chapiteau.load.cluster.relay"
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
