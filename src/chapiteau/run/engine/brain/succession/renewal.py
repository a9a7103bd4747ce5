"""A new supervisor around the same services: the keeper by exec, the brain by a successor."""

import asyncio
import os
from typing import TYPE_CHECKING, Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.run.logic.messages import Outcome

if TYPE_CHECKING:
    from chapiteau.run.engine.brain.supervisor import Supervisor

__all__ = ["renew"]

_LAST_WORDS: Final = 0.2  # seconds for the answer to reach who asked


async def renew(supervisor: "Supervisor", who: str) -> Outcome:
    """Renew the keeper, then leave: it starts the installed brain, which finds everything alive.

    When the keeper can't be renewed nothing changes.
    """
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
