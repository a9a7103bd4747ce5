"""Sends every line of output to a collector of OpenTelemetry, by OTLP/HTTP."""

import asyncio
import gzip
import json
import random
import socket
from typing import Any, Final

from chapiteau.plumbing.version import own_version
from chapiteau.run.client.plugin import Plugin
from chapiteau.run.client.plugins.delivery import DeliveryError, post
from chapiteau.run.logic.lines.level import at_least
from chapiteau.run.logic.messages import LogLine
from chapiteau.run.logic.plugins.otlp import export_request
from chapiteau.run.logic.plugins.settings import Otlp
from chapiteau.run.logic.spec import SecretRef

__all__ = ["LogExporter"]

_FIRST_PAUSE: Final = 1.0  # seconds before the second try
_LONGEST_PAUSE: Final = 60.0


class LogExporter(Plugin):
    """A collector that is away is waited for: the lines stay in their files meanwhile."""

    Options = Otlp
    options: Otlp

    async def started(self) -> None:
        """Put together what every request carries."""
        rule = self.options
        self._facts = {
            "service.namespace": self.around.project,
            "host.name": socket.gethostname(),
            **rule.attributes,
        }
        self._headers = {
            "Content-Type": "application/json",
            "Content-Encoding": "gzip",
            **{
                name: self.secret(f"headers.{name}", value).reveal()
                if isinstance(value, SecretRef)
                else value
                for name, value in rule.headers.items()
            },
        }
        self._chance = random.Random()  # noqa: S311 — jitter, not secrets
        self._away = False

    def wants(self, service: str) -> bool:
        """Those that the setting names."""
        return self.fits(service, self.options.services)

    async def on_lines(self, lines: list[LogLine]) -> None:
        """Send them; come back only when they have been taken, or refused for good."""
        level = self.options.level
        chosen = [line for line in lines if not level or at_least(line.text, level)]
        if not chosen:
            return
        body = json.dumps(export_request(chosen, self._facts, own_version())).encode()
        data = await asyncio.to_thread(gzip.compress, body, 6)
        pause = _FIRST_PAUSE
        while True:
            try:
                answer = await asyncio.to_thread(
                    post, self.options.url, data, self._headers, self.options.timeout
                )
            except DeliveryError as exc:
                if exc.lasting:
                    await self._lost(len(chosen), str(exc))
                    return
                await self._wait(exc, pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
            else:
                await self._taken(answer)
                return

    async def _wait(self, exc: DeliveryError, pause: float) -> None:
        if not self._away:
            self._away = True
            await self.say(f"the collector does not take lines: {exc}; they wait in their files")
        await asyncio.sleep(max(exc.again_in, pause * self._chance.uniform(0.8, 1.2)))

    async def _taken(self, answer: bytes) -> None:
        if self._away:
            self._away = False
            await self.say("the collector takes lines again", resolved=True)
        try:
            partial: dict[str, Any] = json.loads(answer or b"{}").get("partialSuccess") or {}
            refused = int(partial.get("rejectedLogRecords", 0))
        except (ValueError, AttributeError, TypeError):
            return
        if refused:
            await self._lost(refused, str(partial.get("errorMessage", "refused")))

    async def _lost(self, count: int, why: str) -> None:
        await self.say(f"{count} lines were refused by the collector: {why}", lost=count)
