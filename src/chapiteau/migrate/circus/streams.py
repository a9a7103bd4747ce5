"""stdout_stream.* and stderr_stream.* of a watcher → [service.NAME.log]."""

from typing import Final

from chapiteau.migrate.draft import Target
from chapiteau.migrate.rules import Rule, apply_rules, differs, keep, lost, unneeded
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import duration, integer, size_text

__all__ = ["STREAM", "convert_streams"]

_CLASSES: Final = {
    "FileStream": "",
    "TimedRotatingFileStream": "",
    "WatchedFileStream": "Circus reopened the file when logrotate had moved it; Chapiteau rotates "
    "by itself",
    "StdoutStream": "lines go to RUN_DIR/log, and to the terminal in the foreground",
    "FancyStdoutStream": "lines go to RUN_DIR/log, and in colour to the terminal in the foreground",
    "QueueStream": "was for programs that embed Circus; lines go to RUN_DIR/log",
}
_WHEN: Final = {"S": 1, "M": 60, "H": 3600, "D": 86400, "W": 604800}


def _class(option: Option, target: Target) -> None:
    """files and their rotation: see below; a class of your own is **lost**: read `chapiteau logs
    -f --json`
    """
    name = str(option.value).rpartition(".")[2]
    what = _CLASSES.get(name)
    if what is None:
        target.lost(
            option,
            "handed the output to Python code inside circusd",
            "read it with `chapiteau logs -f --json`, or from the file",
        )
    elif what:
        hint = "take the file out of logrotate" if name == "WatchedFileStream" else ""
        target.changed(option, what, hint)
    else:
        target.kept(option, "a file with rotation")


def _age(option: Option, target: Target) -> None:
    """`log.max_age`"""
    word = str(option.value).strip().upper()
    unit = _WHEN.get("D" if word == "MIDNIGHT" else word[:1])
    if unit is None:
        raise ValueError(f"{option.value!r} is none of S, M, H, D, W0-W6, midnight")
    target.set("log.max_age", duration(unit), option)
    if word[:1] == "W" or word == "MIDNIGHT":
        target.changed(option, "the file is rotated when it is that old, not at a time of day")
    else:
        target.kept(option, f"log.max_age in [{'.'.join(target.path)}]")


STREAM: Final[dict[str, Rule]] = {
    "class": _class,
    "filename": keep("log.file"),
    "max_bytes": keep("log.max_size", size_text),
    "backup_count": keep("log.keep", integer),
    "time_format": differs(
        "log.mode", lambda _: "line", "each line gets a time and the process, in our own format"
    ),
    "rotate_when": _age,
    "rotate_interval": unneeded("is part of log.max_age"),
    "utc": lost("said in which zone days begin", "files are rotated by their age"),
    "color": lost("was the colour of this watcher", "the terminal gives each service its own"),
}


def convert_streams(target: Target, options: list[Option]) -> None:
    """Both streams of a service go to one file; a second file is reported as lost."""
    streams = {
        name: [o for o in options if o.name.partition(".")[0] == name]
        for name in ("stdout_stream", "stderr_stream")
    }
    main = "stdout_stream" if streams["stdout_stream"] else "stderr_stream"
    _take(target, streams[main])
    if main == "stdout_stream" and streams["stderr_stream"]:
        _second(target, streams["stdout_stream"], streams["stderr_stream"])


def _take(target: Target, options: list[Option]) -> None:
    parts = [_part(option) for option in options]
    apply_rules(parts, STREAM, target)
    interval = next((o for o in parts if o.name == "rotate_interval"), None)
    when = next((o for o in parts if o.name == "rotate_when"), None)
    if interval and when and target.get("log.max_age"):
        _times(target, interval, when)
    if any(o.name == "filename" for o in parts):
        _unbounded(target, parts)


def _times(target: Target, interval: Option, when: Option) -> None:
    try:
        word = str(when.value).strip().upper()
        unit = _WHEN["D" if word == "MIDNIGHT" else word[:1]]
        target.set("log.max_age", duration(unit * integer(interval.value)), when)
    except ValueError as exc:
        target.lost(interval, f"its value can't be used: {exc}", "set log.max_age by hand")


def _unbounded(target: Target, parts: list[Option]) -> None:
    """Circus lets a file grow for ever by default; here every file is bounded."""
    bounded = any(o.name in ("max_bytes", "rotate_when") and o.value != "0" for o in parts)
    if target.get("log.max_size") in ("0", 0):
        target.values["log"].pop("max_size")
    if not bounded:
        first = next(o for o in parts if o.name == "filename")
        target.changed(
            first,
            "Circus lets this file grow without end; it is rotated at 50MiB, five old ones stay",
            "log.max_size, log.keep and log.max_total say how much",
        )


def _second(target: Target, first: list[Option], second: list[Option]) -> None:
    values = {_part(o).name: o.value for o in first}
    for option in second:
        part = _part(option)
        if values.get(part.name) == option.value:
            target.kept(option, "the same for both streams")
        else:
            target.lost(
                option,
                "was for the error stream alone; both streams go to one file",
                "JSON lines (log.format) tell the streams apart",
            )


def _part(option: Option) -> Option:
    stream, _, name = option.name.partition(".")
    return Option(
        name=name or "class",
        value=option.value,
        where=option.where,
        section=f"{option.section} {stream}.".strip(),
    )
