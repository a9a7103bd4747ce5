"""LimitX= of a unit: some have names of their own here, any can be said by its own."""

from typing import Final

from chapiteau.run.logic.imports.draft import Target
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.reading.values import integer, text
from chapiteau.run.logic.imports.rules import Rule, for_each, own
from chapiteau.run.logic.imports.systemd.words import size, span

__all__ = ["LIMITS"]

_BYTES: Final = frozenset("as core data fsize memlock msgqueue rss stack".split())


def _amount(name: str, said: str) -> int | str:
    """One side of soft:hard. Raises ValueError."""
    said = said.strip()
    if said == "infinity":
        return "unlimited"
    if name in _BYTES:
        return size(said)
    if name == "cpu":  # seconds, or a time span
        return round(span(said))
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

    return own(f"`{key}`; infinity: `limits.rlimits`" if key else "`limits.rlimits`", rule)


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
