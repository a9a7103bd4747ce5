"""LimitX= of a unit: some have names of their own here, any can be said by its own."""

from collections.abc import Sequence
from typing import Final

from chapiteau.migrate.draft import Target
from chapiteau.migrate.rules import Rule, described, for_each
from chapiteau.migrate.source import Option
from chapiteau.migrate.systemd.commands import parse_size, parse_timespan, split_words
from chapiteau.migrate.values import boolean, integer, text

__all__ = ["LIMITS", "convert_capabilities", "fd_store_preserve", "standard_input"]

_BYTES: Final = frozenset("as core data fsize memlock msgqueue rss stack".split())


def _amount(name: str, said: str) -> int | str:
    """One side of soft:hard. Raises ValueError."""
    said = said.strip()
    if said == "infinity":
        return "unlimited"
    if name in _BYTES:
        return parse_size(said)
    if name == "cpu":  # seconds, or a time span
        return round(parse_timespan(said))
    if name == "nice" and said[:1] in "+-":  # a niceness; the limit counts from its other end
        return 20 - int(said)
    return integer(said)


def _limit(key: str = "") -> Rule:
    """LimitX=soft:hard, or one value for both; what has no name of its own keeps both."""

    def rule(option: Option, target: Target) -> None:
        name = option.name.lower().removeprefix("limit")
        both = [_amount(name, part) for part in text(option.value).split(":")]
        if key and both[0] != "unlimited":
            target.put(option, key, both[0])
        else:
            limit = both[0] if len(both) == 1 else ":".join(map(str, both))
            target.put(option, f"limits.rlimits.{name}", limit)

    return described(f"`{key}`; infinity: `limits.rlimits`" if key else "`limits.rlimits`", rule)


LIMITS: Final[dict[str, Rule]] = {
    "LimitNOFILE": _limit("limits.open_files"),
    "LimitNPROC": _limit("limits.processes"),
    "LimitCORE": _limit("limits.core"),
    "LimitSTACK": _limit("limits.stack"),
    "LimitFSIZE": _limit("limits.file_size"),
    "LimitAS": _limit("limits.address_space"),
    **for_each(
        "LimitCPU LimitDATA LimitRSS LimitMEMLOCK LimitLOCKS LimitSIGPENDING LimitMSGQUEUE "
        "LimitNICE LimitRTPRIO LimitRTTIME",
        _limit(),
    ),
}


# CapabilityBoundingSet and AmbientCapabilities → `capabilities`: what they mean hangs together.
#
# To root the bounding set is what it may do. Any other user has no capability, but for the ambient
# ones; its bounding set only limits the programs that give themselves more rights (setuid).


def convert_capabilities(target: Target, options: Sequence[Option]) -> None:
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
        if not split_words(text(option.value)):
            target.kept(option, "a user that is not root has none")
        else:
            target.changed(
                option,
                "said what a setuid program may gain: it gains no more than the service has",
                "capabilities gives some to the service's user",
            )


def _add(target: Target, option: Option) -> None:
    try:
        words = split_words(text(option.value))
    except ValueError as exc:
        target.lost(option, f"its value can't be used: {exc}", "set capabilities by hand")
        return
    if words and words[0].startswith("~"):
        target.lost(option, "took single capabilities away", "capabilities names those that stay")
        return
    names = [word.lower().removeprefix("cap_") for word in words]
    have = target.get("capabilities") or ()
    target.put(option, "capabilities", list(dict.fromkeys([*have, *names])))


# Descriptors that a unit wants beside its sockets: its input, and those that it leaves behind.


def fd_store_preserve(option: Option, target: Target) -> None:
    """`restart`: so it is; `yes` and `no` are **lost**"""
    word = text(option.value).strip().lower()
    if word == "restart":
        target.kept(option, "descriptors are kept from one process to the next, until a stop")
    else:
        when = "beyond a stop" if boolean(word) else "for no other process"
        target.lost(option, f"kept descriptors {when}", "fd_store keeps them until a stop")


def standard_input(option: Option, target: Target) -> None:
    """`null`: nothing to write; `tty`: `stdin = "tty"`; `socket`: `stdin_socket`; others are
    **lost**
    """
    word = text(option.value).strip()
    if word in ("null", ""):
        target.kept(option, "the input is empty")
    elif word.startswith("tty"):
        target.put(option, "stdin", "tty")
        target.changed(option, "is a terminal of its own: `chapiteau run attach` shows it")
    else:
        target.lost(
            option,
            "was another input",
            'stdin = "pipe" is for `chapiteau run attach`, stdin_socket hands a socket over',
        )
