"""How long a command may wait: first to be taken on, then to be done."""

import asyncio
from typing import Final

from chapiteau.dash.errors import NodeAwayError

__all__ = ["Patience"]

_COMMAND: Final = 600.0  # seconds in which a taken command may run


class Patience:
    """Of one command to one node; `ttl` in seconds."""

    def __init__(self, name: str, ttl: float) -> None:
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._taken = False
        self._sent = False
        self.deadline = self._loop.time() + ttl

    def left(self) -> float:
        """Seconds until it expires."""
        return max(0.0, self.deadline - self._loop.time())

    def sent(self) -> None:
        """It is on its way: from now on only an answer tells whether it was done."""
        self._sent = True

    def accepted(self) -> bool:
        """The node has taken it on; true the first time. Then it has longer."""
        if self._taken:
            return False
        self._taken = True
        self.deadline = self._loop.time() + _COMMAND
        return True

    def over(self) -> NodeAwayError:
        """What to tell when time is up."""
        if self._taken:
            return NodeAwayError(
                f"{self._name} took the command on and has not told its end",
                hint="look at its events before you try again",
            )
        if self._sent:
            return NodeAwayError(
                f"{self._name} does not answer: the command has expired, undone unless it is the"
                " answer that was lost",
                hint="look at its events before you try again",
            )
        return NodeAwayError(f"{self._name} is not connected: the command expired, undone")
