"""Flags made from the settings of a load test: each is declared once, in load/settings.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from chapiteau.core.fields import Setting, settings
from chapiteau.load.settings import LoadTest

__all__ = ["JSON_HELP", "config_flag", "folder_of", "settings_flags", "settings_from_flags"]

JSON_HELP: Final = (
    "Print one JSON object per second, then the result; with --quiet only the result."
)

config_flag: Final = click.option(
    "--config",
    metavar="FILE",
    help="The chapiteau.toml or its folder. Default: looked for here and upwards.",
)

_SHORT: Final = {"duration": "-d", "rate": "-r", "users": "-u", "base": "--url"}
_CAPACITY: Final = frozenset({"max_rate", "min_capacity", "budget", "confidence", "vary"})
_NOT_CAPACITY: Final = frozenset(
    {"rate", "users", "shape", "duration", "iterations", "abort", "warmup"}
)
_SKIPPED: Final = frozenset({"target"})


def settings_flags(*, capacity: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that gives a command one flag for each setting it takes."""
    skipped = _SKIPPED | (_NOT_CAPACITY if capacity else _CAPACITY)

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for one in reversed([s for s in settings(LoadTest) if s.name not in skipped]):
            command = _flag(one)(command)
        return command

    return decorate


def _flag(one: Setting) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    name = "--" + one.name.replace("_", "-")
    text = one.help.removeprefix("(capacity) ").removeprefix("(document) ")
    if one.default not in {"", "[]", '""'}:
        text += f"  [default: {one.default.strip(chr(34))}]"
    if one.type == "boolean":
        return click.option(f"{name}/--no-{name[2:]}", one.name, default=None, help=text)
    many = one.type.startswith(("list", "table"))
    names = [name, *([_SHORT[one.name]] if one.name in _SHORT else [])]
    metavar = {"list of string": "TEXT", "table of string": "NAME=VALUE"}.get(
        one.type,
        one.type.split(" ")[0].upper() if "|" not in one.type else one.type.replace('"', ""),
    )
    kinds = {"integer": click.INT, "number": click.FLOAT}
    kind = kinds.get(one.type, click.STRING)
    return click.option(*names, one.name, type=kind, multiple=many, metavar=metavar, help=text)


def settings_from_flags(options: dict[str, Any]) -> dict[str, Any]:
    """The settings that stand on the command line, as chapiteau.toml would have them."""
    kinds = {s.name: s.type for s in settings(LoadTest)}
    found: dict[str, Any] = {}
    for name, value in options.items():
        if value is None or value == () or name not in kinds:
            continue
        if kinds[name].startswith("table"):
            found[name] = dict(_pair(item) for item in value)
        elif kinds[name].startswith("list"):
            found[name] = list(value)
        else:
            found[name] = _number(value) if kinds[name] in {"duration", "rate"} else value
    return found


def _number(value: str) -> str | float:
    """`--rate 200` means 200/s, `--duration 30` thirty seconds."""
    try:
        return float(value)
    except ValueError:
        return value


def _pair(item: str) -> tuple[str, str]:
    mark = "=" if "=" in item and (":" not in item or item.index("=") < item.index(":")) else ":"
    name, found, value = item.partition(mark)
    if not found:
        raise click.BadParameter(f"{item!r} is not NAME=VALUE")
    return name.strip(), value.strip()


def folder_of(config: str | None) -> Path:
    """The run folder of the project around here, or of that configuration."""
    from chapiteau.load.execution.jobs import project_or_none, run_folder

    return run_folder(project_or_none(config))
