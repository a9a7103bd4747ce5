"""The node's side: dials the hub for ever, and answers what the hub may ask. Nothing listens."""

import asyncio
import dataclasses
import ssl
from collections.abc import AsyncIterator
from random import Random
from typing import Any, Final

from chapiteau.core.backoff import Backoff
from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.dash.engine.cluster.ca import HUB_NAME, make_request, needs_renewal
from chapiteau.dash.engine.cluster.ledger import Ledger
from chapiteau.dash.engine.cluster.link import Answers, Args, Link
from chapiteau.dash.engine.cluster.membership import Membership
from chapiteau.dash.engine.node import Node, Request
from chapiteau.dash.errors import NodeAwayError, NotAllowedError

__all__ = ["Agent"]

# Spread widely: a hundred nodes that lost their hub must not all come back in the same second.
_RETRY: Final = Backoff(first=0.3, factor=1.8, cap=15.0, jitter=0.5)
_DIAL: Final = 10.0  # seconds
_VERBS: Final = frozenset(("start", "stop", "restart", "reload", "scale", "signal"))


class Agent:
    """Keeps one connection to the hub."""

    def __init__(
        self, membership: Membership, node: Node, ledger: Ledger, *, clock: Clock, chance: Random
    ) -> None:
        self._membership = membership
        self._node = node
        self._ledger = ledger
        self._clock = clock
        self._chance = chance
        self.connected = asyncio.Event()
        self.trouble = ""

    async def run(self) -> None:
        """Dial, serve, dial again; ends only when cancelled."""
        attempt = 0
        while True:
            began = self._clock.now()
            try:
                await self._serve_once()
            except NodeAwayError as exc:
                self.trouble = exc.what
            self.connected.clear()
            attempt = 1 if self._clock.now() - began > 30 else attempt + 1
            await asyncio.sleep(_RETRY.delay(attempt, self._chance))

    async def _serve_once(self) -> None:
        reader, writer = await self._dial()
        link = Link(reader, writer, self._answers(), name="hub")
        serving = asyncio.create_task(link.run())
        try:
            await link.call("hello", {"name": self._membership.name}, within=_DIAL)
            self.trouble = ""
            self.connected.set()
            await self._renew(link)
            await serving
        except ChapiteauError as exc:
            raise NodeAwayError(exc.what, hint=exc.hint) from exc
        finally:
            link.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._membership.address
        try:
            async with asyncio.timeout(_DIAL):
                return await asyncio.open_connection(
                    host, port, ssl=self._membership.context(), server_hostname=HUB_NAME
                )
        except (OSError, ssl.SSLError, TimeoutError) as exc:
            raise NodeAwayError(f"the hub at {host}:{port} can't be reached: {exc}") from exc

    async def _renew(self, link: Link) -> None:
        """A third of the certificate's time is over: ask for the next one, with a new key."""
        if not needs_renewal(self._membership.certificate, self._clock.wall()):
            return
        key, request = await asyncio.to_thread(make_request, self._membership.name)
        signed = await link.call("renew", {"request": request}, within=_DIAL)
        self._membership.renew(key, signed["certificate"])

    def _answers(self) -> Answers:
        node = self._node
        return Answers(
            calls={"status": lambda _: node.status(), "config": self._config, "fetch": self._fetch},
            streams={
                "events": lambda args: node.events(int(args["after"])),
                "logs": lambda args: node.logs({k: str(v) for k, v in args.items()}),
                "stats": lambda _: node.stats(),
                "command": self._command,
            },
        )

    async def _config(self, args: Args) -> Any:
        return await self._node.config(dry_run=bool(args["dry_run"]), who=str(args["who"]))

    async def _fetch(self, args: Args) -> Any:
        return dataclasses.asdict(await self._node.fetch(Request(**args)))

    async def _command(self, args: Args) -> AsyncIterator[Any]:
        verb = str(args["verb"])
        if verb not in _VERBS:
            raise NotAllowedError(f"{verb!r} is no command of a node")
        # The hub counts the time to live from when it sent this; what waited longer than that
        # in a buffer never comes here, since the link would have been given up before.
        if float(args["ttl"]) <= 0:
            raise NotAllowedError("the command has expired")
        yield {"accepted": True}

        async def work() -> dict[str, Any]:
            try:
                return await self._node.command(
                    verb, str(args["service"]), dict(args["options"]), str(args["who"])
                )
            except ChapiteauError as exc:
                return {
                    "ok": False,
                    "error": exc.what,
                    "hint": exc.hint,
                    "exit_code": exc.exit_code,
                    "data": {},
                }

        yield {"outcome": await self._ledger.once(str(args["id"]), work)}
