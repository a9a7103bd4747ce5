"""The tables of circus.ini, and the rules that are special to it."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Final

from chapiteau.migrate.draft import Target, Template, literal
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import dashboard_host, put_limit, read_tables
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import duration, integer, number, size_text, text

__all__ = [
    "TABLES",
    "VARIABLE",
    "dashboard_host",
    "env_of",
    "fill_env",
    "fill_variables",
    "is_for",
    "rotation_unit",
]


# The environment of circus.ini, and `$(circus.env.NAME)` wherever an option has a text.

VARIABLE: Final = re.compile(r"\$\(circus\.([\w.\-]+)\)|\(\(circus\.([\w.\-]+)\)\)", re.IGNORECASE)


def fill_variables(sections: Sequence[Section]) -> None:
    """Fill in every `$(circus.env.NAME)`, but for [env] and [env:…] themselves.

    As in Circus the value becomes a part of the text: in a command it may be several words.
    """
    for section in sections:
        if section.kind != "env":
            watcher = section.label if section.kind == "watcher" else None
            env = {o.name: str(o.value).strip() for o in env_of(watcher, sections)}
            section.options = [_fill(option, env) for option in section.options]


def _fill(option: Option, env: Mapping[str, str]) -> Option:
    value = str(option.value)
    if VARIABLE.search(value) is None:
        return option
    return replace(option, value=Template(fill_env(literal(value), env)))


def env_of(watcher: str | None, sections: Sequence[Section]) -> Iterator[Option]:
    """[env], and the [env:…] that are for the watcher; later ones win."""
    for section in sections:
        if section.name == "env" or (watcher is not None and is_for(section, watcher)):
            yield from section.options


def is_for(section: Section, watcher: str) -> bool:
    """Whether an [env:…] is for the watcher."""
    patterns = [pattern.strip() for pattern in section.label.split(",")]
    return section.kind == "env" and any(fnmatchcase(watcher, pattern) for pattern in patterns)


def fill_env(text: str, env: Mapping[str, str]) -> str:
    """The text with variables of `env` as their values, and all others as `${env.NAME}`.

    Names are the same in upper and lower case to Circus; the environment knows one of them: in
    capitals, most likely, but for http_proxy and its kin.
    """
    known = {name.lower(): value for name, value in env.items()}

    def one(match: re.Match[str]) -> str:
        kind, _, name = (match[1] or match[2]).partition(".")
        if kind.lower() != "env" or not name:
            return match[0]
        if (value := known.get(name.lower())) is not None:
            return literal(value)
        spelled = name.upper() if name.islower() and not name.endswith("_proxy") else name
        return f"${{env.{spelled}}}"

    return VARIABLE.sub(one, text)


_STREAMS: Final = {
    "FileStream": "",
    "TimedRotatingFileStream": "",
    "WatchedFileStream": "Circus reopened the file after logrotate; Chapiteau rotates by itself",
    "StdoutStream": "lines go to RUN_DIR/log, and to the terminal in the foreground",
    "FancyStdoutStream": "lines go to RUN_DIR/log, and in colour to the terminal in the foreground",
    "QueueStream": "was for programs that embed Circus; lines go to RUN_DIR/log",
}
_UNITS: Final = {"S": 1, "M": 60, "H": 3600, "D": 86400, "W": 604800}


def _limit(option: Option, target: Target, value: Any) -> None:
    name = option.name.partition("_")[2]
    put_limit(option, target, name, integer(value) if value else "unlimited")


def _stream_class(option: Option, target: Target, value: Any) -> None:
    name = str(value).rpartition(".")[2]
    what = _STREAMS.get(name)
    if what is None:
        target.lost(
            option,
            "passed the output to Python code inside circusd",
            "read it with `chapiteau logs -f --json`, or from the file",
        )
    elif what:
        hint = "take the file out of logrotate" if name == "WatchedFileStream" else ""
        target.changed(option, what, hint)
    else:
        target.kept(option, "a file with rotation")


def rotation_unit(value: Any) -> int:
    """Seconds of one of Circus's units of rotation. Raises ValueError."""
    word = text(value).strip().upper()
    unit = _UNITS.get("D" if word == "MIDNIGHT" else word[:1])
    if unit is None:
        raise ValueError(f"{value!r} is none of S, M, H, D, W0-W6, midnight")
    return unit


def _rotation_age(option: Option, target: Target, value: Any) -> None:
    target.set("log.max_age", duration(rotation_unit(value)), option)
    if text(value).strip().upper().startswith(("W", "MIDNIGHT")):
        target.changed(option, "the file is rotated when it is that old, not at a time of day")
    else:
        target.kept(option, f"log.max_age in {target.title}")


def _line_mode(_value: Any) -> str:
    return "line"


def _restart_setting(key: str) -> Callable[[Option, Target, Any], None]:
    def rule(option: Option, target: Target, value: Any) -> None:
        target.set(f"restart.{key}", value, option)
        target.kept(option, f"restart.{key} of the services")

    return rule


_flapping_window = _restart_setting("window")
_flapping_retry_in = _restart_setting("max_delay")


def _flapping_attempts(option: Option, target: Target, count: int) -> None:
    target.set("restart.attempts", max(1, count - 1), option)
    target.kept(option, "restart.attempts of the services, one fewer: exits were counted")


def _flapping_retries(option: Option, target: Target, count: int) -> None:
    if count == 0:
        target.set("restart.after_give_up", "stay-down", option)
        target.kept(option, 'restart.after_give_up = "stay-down"')
    elif count < 0:
        target.kept(option, "it is tried again without end")
    else:
        what = "it is tried again without end, every restart.max_delay"
        target.changed(option, what, 'restart.after_give_up = "stay-down" never tries again')


def _flapping_active(option: Option, target: Target, active: bool) -> None:
    target.kept(option, f"{active}".lower())


def _memory_bound(option: Option, target: Target, value: Any) -> None:
    word, key = text(value).strip(), f"options.{option.name}ory"
    try:
        float(word)
    except ValueError:
        target.put(option, key, size_text(word))
    else:
        raise ValueError(f"{word}% of the machine's memory; {key} takes a size")


def _part_of_window(option: Option, target: Target, value: float) -> None:
    if value <= 0:
        raise ValueError(f"{option.value!r} is not above 0")
    target.kept(option, "options.window")


def _statsd_prefix(value: Any) -> str:
    return f"circus.{text(value).strip()}.watcher"


def _sampled(value: Any) -> bool:
    return number(value) != 1


def _heartbeat_pattern(value: Any) -> str:
    """A regular expression with a group `pid`, anchored as re.match does. Raises ValueError."""
    written = text(value)
    try:
        groups = re.compile(written).groupindex
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{written!r} is not a regular expression: {exc}") from None
    if "pid" not in groups:
        raise ValueError(f"{written!r} has no group named pid")
    return written if written.startswith("^") else f"^(?:{written})"


TABLES: Final = read_tables("chapiteau.migrate.circus", globals())
