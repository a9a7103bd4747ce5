"""Which limits by cgroup this machine can keep, and what is said where it can't."""

import os
from collections.abc import Iterator
from typing import Final

from chapiteau.run.engine.machine.cgroups import find_cgroups
from chapiteau.run.logic.command import cgroup_limits
from chapiteau.run.logic.spec import Spec

__all__ = ["instead_of", "limit_notes", "missing_text"]

_SETTINGS: Final = {"memory.max": "memory", "cpu.max": "cpu", "pids.max": "pids"}
_INSTEAD: Final = {
    "memory": "limits.memory_soft replaces a process that has grown too big, "
    "limits.address_space bounds each",
    "cpu": "nice gives way to others",
    "pids": "limits.processes bounds the user's",
}


def missing_text(files: list[str], why: str) -> str:
    """For people, of limits that can't be had: which settings, and why."""
    names = [_SETTINGS.get(name, name) for name in files]
    shown = ", ".join(f"limits.{name}" for name in names)
    verb = "does not hold" if len(names) == 1 else "do not hold"
    return f"{shown} {verb} on this machine: {why}"


def instead_of(files: list[str]) -> str:
    """What can be set in place of these limits."""
    names = [_SETTINGS.get(name, name) for name in files]
    return "instead: " + "; ".join(_INSTEAD[name] for name in names if name in _INSTEAD)


def limit_notes(spec: Spec) -> Iterator[tuple[str, str]]:
    """(what, hint) for each service whose limits this machine can't keep.

    Makes a cgroup to try it in, and removes it.
    """
    wanted = {name: limits for name, s in spec.named() if (limits := cgroup_limits(s.limits))}
    if not wanted:
        return
    found = find_cgroups(f"check-{os.getpid()}")
    try:
        for name, limits in wanted.items():
            if missing := found.limit(name, limits):
                text = missing_text(missing, found.why_unlimited(missing))
                yield f"service.{name}: {text}", instead_of(missing)
    finally:
        found.remove_all()
