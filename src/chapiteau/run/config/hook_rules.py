"""The points in a service's life at which a command of its owner runs."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

from chapiteau.core.problems import did_you_mean
from chapiteau.run.config.service_rules import Violation
from chapiteau.run.config.spec import Hook, Service

__all__ = ["HOOKS", "HookPoint", "hook_argv", "hook_at", "hook_rules"]


@dataclass(frozen=True, slots=True)
class HookPoint:
    """When a hook runs, and what its failure leads to ("": it is only told)."""

    when: str
    prevents: str = ""


HOOKS: Final[dict[str, HookPoint]] = {
    "before_start": HookPoint("the service is about to start", "the service stays down"),
    "after_start": HookPoint("all its processes are ready", "the service is stopped again"),
    "before_spawn": HookPoint("a process is about to be started", "the process is not started"),
    "after_spawn": HookPoint(
        "a process was started; `CHAPITEAU_PID`", "the process is killed again"
    ),
    "before_stop": HookPoint("the service is about to be stopped"),
    "after_stop": HookPoint("none of its processes is left"),
    "before_signal": HookPoint(
        "a process is about to get a signal; `CHAPITEAU_SIGNAL`",
        "the signal is not sent (KILL is sent whatever happens)",
    ),
    "after_signal": HookPoint("the signal was sent"),
    "before_reap": HookPoint("a process has ended; `CHAPITEAU_EXIT_CODE`, -N for signal N"),
    "after_reap": HookPoint("what happens next to it has been decided"),
    "extended_stats": HookPoint(
        "every `interval`, for each process: prints a JSON object, shown as `extra` in its status"
    ),
}


def hook_at(service: Service, point: str) -> Hook | None:
    """The hook of a service at this point, short forms and defaults written out."""
    given = service.hooks.get(point)
    if given is None:
        return None
    default: Literal["abort", "ignore"] = "abort" if HOOKS[point].prevents else "ignore"
    if isinstance(given, Hook):
        return replace(given, on_failure=given.on_failure or default)
    return Hook(run=given, timeout=10.0, interval=10.0, on_failure=default)


def hook_argv(hook: Hook) -> list[str]:
    """The command line. Raises ValueError when a quote is not closed."""
    return shlex.split(hook.run) if isinstance(hook.run, str) else list(hook.run)


def hook_rules(service: Service) -> Iterator[Violation]:
    """What [service.NAME.hooks] must not say."""
    for point, given in service.hooks.items():
        here = ("hooks", point)
        if point not in HOOKS:
            yield Violation(here, "is no point at which hooks run", did_you_mean(point, HOOKS))
            continue
        hook = hook_at(service, point)
        assert hook is not None  # noqa: S101 — it was just given
        place = (*here, "run") if isinstance(given, Hook) else here
        try:
            if not hook_argv(hook):
                yield Violation(place, "is empty")
        except ValueError as exc:
            yield Violation(place, f"can't be split into words: {exc}", "close the quote")
        if hook.on_failure == "abort" and not HOOKS[point].prevents:
            what = f"can't be prevented: what has happened, or must ({HOOKS[point].when})"
            yield Violation((*here, "on_failure"), what, 'write on_failure = "ignore"')
