"""Every action as the command line a person would type."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Cure", "command_line", "cure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """A button: what it does, and the line that does the same."""

    verb: str
    service: str
    line: str
    options: dict[str, Any] = field(default_factory=dict)


def command_line(verb: str, service: str, options: Mapping[str, Any]) -> str:
    """`chapiteau scale web +1` and its like."""
    words = ["chapiteau", verb, service]
    if verb == "scale":
        words += _scale_words(options)
    if verb == "signal":
        words.append(str(options.get("signal", "")))
        if process := options.get("process"):
            words += ["--process", str(process)]
    if options.get("force"):
        words.append("--force")
    return shlex.join(words)


def _scale_words(options: Mapping[str, Any]) -> list[str]:
    if "processes" in options:
        return [str(options["processes"])]
    return [f"{int(options.get('by', 0)):+d}"]


def cure(verb: str, service: str, **options: Any) -> Cure:
    """A button with its line."""
    return Cure(
        verb=verb, service=service, options=options, line=command_line(verb, service, options)
    )
