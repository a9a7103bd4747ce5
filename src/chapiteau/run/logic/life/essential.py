"""When an essential service takes everything down, and with which exit code."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chapiteau.run.logic.spec import Service
from chapiteau.run.logic.states import State

__all__ = ["Farewell", "farewell", "shell_code"]

Exit = Mapping[str, Any]
_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Farewell:
    """Why everything ends; `code` is what the supervisor ends with."""

    code: int
    why: str
    lines: tuple[str, ...] = ()  # the last ones of its output

    def words(self) -> str:
        """For people who saw nothing of it."""
        return self.why + "".join(f"\n    | {line}" for line in self.lines[-_SHOWN:])


def shell_code(end: Exit) -> int | None:
    """How a shell would tell this end: the code, or 128 + the signal; None when nobody knows."""
    if end.get("code") is not None:
        return int(end["code"])
    return 128 + int(end["signal"]) if end.get("signal") else None


def farewell(
    name: str, service: Service, slots: Sequence[tuple[State, Exit]], refused: str = ""
) -> Farewell | None:
    """`slots` are (state, last exit) of each process number; None while there is still hope.

    A failure never ends with 0, whatever the process said. Content (nothing more to do, and no
    one-shot or schedule, whose content is no news) ends with the process's own code.
    """
    if not service.essential:
        return None
    if refused:
        return Farewell(code=1, why=f"{name} is essential and may not start: {refused}")
    for state, end in slots:
        if state is State.FAILED:
            why = f"{name} is essential and is down: {end.get('text') or 'failed'}"
            lines = tuple(end.get("lines", ()))
            return Farewell(code=shell_code(end) or 1, why=why, lines=lines)
    done = all(state is State.COMPLETED for state, _ in slots)
    if slots and done and not service.is_job:
        codes = [shell_code(end) or 0 for _, end in slots]
        why = f"{name} is essential and has ended: exit {max(codes)}"
        return Farewell(code=max(codes), why=why)
    return None
