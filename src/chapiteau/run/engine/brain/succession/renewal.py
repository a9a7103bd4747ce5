"""A new supervisor around the same services: the keeper by exec, the brain by a successor."""

import asyncio
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.logic.messages import Outcome

if TYPE_CHECKING:
    from chapiteau.run.engine.brain.supervisor import Supervisor

__all__ = ["renew"]

_LAST_WORDS: Final = 0.2  # seconds for the answer to reach who asked
_TRIAL: Final = 60.0  # seconds for the installed brain to say that it can begin


async def renew(supervisor: "Supervisor", who: str) -> Outcome:
    """Renew the keeper, then leave: it starts the installed brain, which finds everything alive.

    Both are tried first: when they could not go on from here nothing changes.
    """
    if why := await _why_not(supervisor.words):
        hint = "the supervisor that runs goes on; mend what is installed, or take the one before"
        error = f"the installed version can't take over: {why}"
        return Outcome(ok=False, error=error, hint=hint, exit_code=1)
    try:
        keeper = await supervisor.link.upgrade()
    except ChapiteauError as exc:
        return Outcome(ok=False, error=exc.what, hint=exc.hint, exit_code=1)
    supervisor.ground.say("supervisor.upgraded", f"keeper {keeper} renewed", who=who)
    # No farewell to the keeper: to it this is a brain that ended, and it starts the next one.
    asyncio.get_running_loop().call_later(_LAST_WORDS, os._exit, 0)
    return Outcome(
        ok=True, text="the supervisor is renewed; services go on", data={"keeper": keeper}
    )


async def _why_not(words: tuple[str, ...]) -> str:
    """Let the installed brain read what it would begin with; why it can't, else ""."""
    trial = ["-P", "-m", "chapiteau.run.engine.brain", "--try", *words]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, *trial, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(_TRIAL):
            _, said = await child.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()
        return f"it said nothing for {_TRIAL:g} s"
    if not child.returncode:
        return ""
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it ended with {child.returncode}"
