"""The tables of process-compose.yaml, and the rules that are special to it."""

import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from chapiteau.migrate.draft import Target, Template, literal
from chapiteau.migrate.rules import fixed_restart_delay, read_tables, stop_whole_group
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import integer, needs_shell, text

__all__ = ["SIMPLE", "TABLES", "fixed_restart_delay"]

# Nothing for a shell to do.
SIMPLE: Final = re.compile(r"(?:[\w@%+=:,./ \t{}-]|\$\{[\w.]+\})+")
_SHELL: Final = frozenset(
    "shell_command shell_argument elevated_shell_command elevated_shell_argument".split()
)


# ── readers ───────────────────────────────────────────────────────────────────────────────────
def _listed(value: Any) -> list[str]:
    parts = value if isinstance(value, list) else [] if value is None else [value]
    return [text(part) for part in parts]


def _joined(value: Any) -> str:
    return ",".join(_listed(value))


def _with_zero(value: Any) -> list[int]:
    return sorted({0, *(integer(code) for code in _listed(value))})


def _shell_words(value: Any) -> list[str]:
    return ["sh", "-c", literal(text(value))]


def _mebibytes(value: Any) -> str:
    return f"{integer(value)}MiB"


def _unusual_status(value: Any) -> bool:
    return integer(value) != 200


def _several(value: Any) -> bool:
    return integer(value) > 1


# ── rules ─────────────────────────────────────────────────────────────────────────────────────
def _shell(option: Option, target: Target, value: Any) -> None:
    for key in value if isinstance(value, Mapping) else ():
        if key not in _SHELL:
            part = Option(name=f"{option.name}.{key}", value="", where=option.where)
            what = "process-compose does not know it either, and takes bash -c"
            target.lost(part, what, "shell_command and shell_argument are known")
    target.kept(option, "command of the services that need a shell")


def _max_restarts(option: Option, target: Target, count: int) -> None:
    if count < 1:
        target.kept(option, "it is restarted for ever")
        return
    target.set("restart.attempts", count, option)
    target.set("restart.after_give_up", "stay-down")
    target.changed(option, "counts restarts within restart.window, not over the whole life")


def _parent_only(option: Option, target: Target, on: bool) -> None:
    stop_whole_group(option, target, on=not on)


def _interval(option: Option, target: Target, value: str) -> None:
    if target.get("schedule"):
        target.kept(option, "process-compose ignores it beside cron")
    else:
        target.put(option, "schedule", f"@every {value}")


def _foreground(option: Option, target: Target, on: bool) -> None:
    if on:
        target.set("autostart", False)
        target.lost(
            option,
            "was started by hand in the foreground of the terminal",
            'it is not started by itself: `chapiteau run exec`, or stdin = "tty" and `run attach`',
        )
    else:
        target.kept(option, "runs in the background")


def _probe_command(option: Option, target: Target, value: str) -> None:
    line = literal(value).strip()
    plain = SIMPLE.fullmatch(line) and not needs_shell(line)
    target.put(option, "exec", Template(line if plain else shlex.join(["bash", "-c", line])))


# ── what is watched ───────────────────────────────────────────────────────────────────────────
def _watch_paths(option: Option, target: Target, value: Any) -> None:
    given = value if isinstance(value, list) else [value]
    entries = [one if isinstance(one, Mapping) else {"path": one} for one in given]
    target.put(option, "watch.paths", [literal(text(one.get("path") or ".")) for one in entries])
    for key in ("include", "exclude"):
        patterns = [_listed(one.get(key)) for one in entries]
        _patterns(option, target, key, [p for part in patterns for p in part])
        if any(part != patterns[0] for part in patterns):
            target.changed(option, f"{key} of one path holds for all of them now")
    for key in {key for one in entries for key in one} - {"path", "include", "exclude"}:
        target.lost(option, f"{key} is no option that is known here", "delete it")


def _patterns(option: Option, target: Target, key: str, given: list[str]) -> None:
    names: list[str] = []
    for pattern in given:
        name = pattern.removeprefix("**/").removesuffix("/**").strip("/")
        if "/" in name:
            target.lost(option, f"{key} {pattern}: patterns are names here, anywhere below")
        else:
            names.append(literal(name))
    if names:
        target.set(f"watch.{key}", [*(target.get(f"watch.{key}") or ()), *dict.fromkeys(names)])


def _watch_exclude(option: Option, target: Target, value: Any) -> None:
    _patterns(option, target, "exclude", _listed(value))
    target.kept(option, "watch.exclude")


def _watch_include(option: Option, target: Target, value: Any) -> None:
    _patterns(option, target, "include", _listed(value))
    target.kept(option, "watch.include")


TABLES: Final = read_tables("chapiteau.migrate.process_compose", globals())
