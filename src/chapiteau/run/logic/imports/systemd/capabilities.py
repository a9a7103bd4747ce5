"""CapabilityBoundingSet and AmbientCapabilities → `capabilities`: what they mean hangs together.

To root the bounding set is what it may do. Any other user has no capability, but for the ambient
ones; its bounding set only limits the programs that give themselves more rights (setuid).
"""

from collections.abc import Sequence

from chapiteau.run.logic.imports.draft import Target
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.reading.values import text
from chapiteau.run.logic.imports.systemd.words import split

__all__ = ["take_capabilities"]


def take_capabilities(target: Target, options: Sequence[Option]) -> None:
    """The `capabilities` of a service whose user is known."""
    bounding = [o for o in options if o.name == "CapabilityBoundingSet"]
    ambient = [o for o in options if o.name == "AmbientCapabilities"]
    if target.get("user") in (None, "root", "0"):
        for option in bounding:
            _add(target, option)
        for option in ambient:
            target.lost(
                option,
                "gave rights to a user that is not root",
                "capabilities keeps them for the user; a low port is better a [socket.NAME]",
            )
        return
    for option in ambient:
        _add(target, option)
    for option in bounding:
        if not split(text(option.value)):
            target.kept(option, "a user that is not root has none")
        else:
            target.changed(
                option,
                "said what a setuid program may gain: it gains no more than the service has",
                "capabilities gives some to the service's user",
            )


def _add(target: Target, option: Option) -> None:
    try:
        words = split(text(option.value))
    except ValueError as exc:
        target.lost(option, f"its value can't be used: {exc}", "set capabilities by hand")
        return
    if words and words[0].startswith("~"):
        target.lost(option, "took single capabilities away", "capabilities names those that stay")
        return
    names = [word.lower().removeprefix("cap_") for word in words]
    have = target.get("capabilities") or ()
    target.put(option, "capabilities", list(dict.fromkeys([*have, *names])))
