"""The URL observer: asks an address again and again, and acts when it does not answer well."""

import asyncio
import contextlib
import http.client
import urllib.error
import urllib.request
from typing import Final

from chapiteau.run.config.plugin_settings import UrlObserverOptions
from chapiteau.run.plugins.plugin import Plugin

__all__ = ["UrlObserver"]

_PATIENCE: Final = 60.0  # seconds for a restart or reload; it goes on when that is not enough
_LOOKED_AT: Final = 64 << 10  # bytes of the answer in which `contains` is looked for


class UrlObserver(Plugin):
    """Counts failures in a row; acts at every `failures` of them; tells when it is well again."""

    Options = UrlObserverOptions
    options: UrlObserverOptions

    async def started(self) -> None:
        """Begin to ask."""
        self._failed = 0
        self.every(self.options.interval, self._ask)

    async def _ask(self) -> None:
        why = await self._why_not()
        rule, before = self.options, self._failed
        self._failed = before + 1 if why else 0
        if not why and before >= rule.failures:
            await self.say(f"{rule.url} answers again", service=rule.service, resolved=True)
        elif why and self._failed % rule.failures == 0:
            await self._act(f"{rule.url}: {why} ({self._failed} times in a row)")

    async def _act(self, why: str) -> None:
        rule = self.options
        said = why if rule.action == "alert" else f"{why}: {rule.action} of {rule.service}"
        await self.say(said, service=rule.service, action=rule.action)
        if rule.action == "alert":
            return
        # No question meanwhile: that nobody answers during a restart is no reason for another.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.command(rule.action, rule.service)

    async def _why_not(self) -> str:
        """ "" when the address answers as it should."""
        try:
            async with asyncio.timeout(self.options.timeout):
                return await asyncio.to_thread(self._get)
        except TimeoutError:
            return f"no answer within {self.options.timeout:g} s"

    def _get(self) -> str:
        rule = self.options
        request = urllib.request.Request(rule.url, headers={"User-Agent": "chapiteau-observer"})  # noqa: S310 — http(s) by rule
        try:
            with urllib.request.urlopen(request, timeout=rule.timeout) as reply:  # noqa: S310
                status, body = reply.status, reply.read(_LOOKED_AT) if rule.contains else b""
        except urllib.error.HTTPError as exc:
            with exc:
                status, body = exc.code, exc.read(_LOOKED_AT) if rule.contains else b""
        except (OSError, http.client.HTTPException) as exc:
            return str(getattr(exc, "reason", "")) or str(exc) or type(exc).__name__
        if status not in rule.status if rule.status else not 200 <= status < 400:
            return f"answered {status}"
        if rule.contains and rule.contains not in body.decode("utf-8", "replace"):
            return f"the answer lacks {rule.contains!r}"
        return ""
