"""The brain after three that crashed within a minute: it is read-only.

Whatever made them crash is likely to be met again by who does the same. So services run on, their
output is written, everybody sees what there is; nothing is started, ended, restarted or probed:
the process host is read-only, and commands are refused.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from chapiteau.run.keeper.frames import Hello
from chapiteau.run.logs.messages import Outcome
from chapiteau.run.supervisor.supervisor import Supervisor

__all__ = ["ReadOnlySupervisor"]

_PATIENCE: Final = 300.0  # seconds until a brain that acts is tried again
_HARMLESS: Final = ("signal", "reopen")
_HINT: Final = "`chapiteau run upgrade` lets it act again, `chapiteau down` ends everything"


class ReadOnlySupervisor(Supervisor):
    """A supervisor in safe mode; only the shutdown works as ever."""

    async def begin(self, hello: Hello, only: tuple[str, ...] = ()) -> None:
        """Attach and look; after a while leave, for a brain that acts."""
        await super().begin(hello, only)
        if not self._shutdown.begun:
            context = self._context
            data = {"until": context.clock.wall() + _PATIENCE}
            text = f"{context.origin.safe_mode}; {_HINT}"
            context.host.emit("supervisor.safe_mode", text, data=data)
            asyncio.get_running_loop().call_later(_PATIENCE, self._leave)

    def _leave(self) -> None:
        if not self._shutdown.begun:
            os._exit(0)  # exits that were not judged are the keeper's: the next brain judges them

    async def _switch_on(self, only: set[str]) -> None:
        self._services.pause()

    def on_asked(self, what: str) -> None:
        """Only the end can be had."""
        if what != "reload":
            super().on_asked(what)

    async def command(
        self, verb: str, service: str, options: Mapping[str, Any], who: str
    ) -> Outcome:
        """Refused, but for what changes nothing of ours."""
        if verb in _HARMLESS or self._shutdown.begun:
            return await super().command(verb, service, options, who)
        return self._refused()

    async def apply_config(self, *, dry_run: bool, who: str) -> Outcome:
        """A plan can be had."""
        return await super().apply_config(dry_run=True, who=who) if dry_run else self._refused()

    async def configure(
        self, service: str, settings: Mapping[str, Any], reset: Sequence[str], who: str
    ) -> Outcome:
        """Refused."""
        return self._refused()

    def _refused(self) -> Outcome:
        why = self._context.origin.safe_mode
        error = f"the supervisor is read-only (safe mode): {why}"
        return Outcome(ok=False, error=error, hint=_HINT, exit_code=4)
