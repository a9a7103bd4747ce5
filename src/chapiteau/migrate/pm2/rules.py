"""The table of an app in a PM2 ecosystem file, and the rules that are special to it."""

import re
from dataclasses import replace
from typing import Any, Final

from chapiteau.migrate.draft import Target, expand_home, literal
from chapiteau.migrate.rules import fixed_restart_delay, read_tables, stop_whole_group
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import byte_size, duration, integer, text

__all__ = ["ALIASES", "TABLES", "environment", "fixed_restart_delay", "log_path", "share_port"]

# PM2's second names for one thing → the name used here.
ALIASES: Final = {
    **dict.fromkeys(("out", "output", "out_log"), "out_file"),
    **dict.fromkeys(("error", "err", "err_file", "err_log"), "error_file"),
    **dict.fromkeys(("interpreterArgs", "interpreter_args", "nodeArgs"), "node_args"),
    **dict.fromkeys(("exec", "cmd", "command"), "script"),
    "interpreter": "exec_interpreter",
    "log": "log_file",
    "pid": "pid_file",
    "cron": "cron_restart",
    "combine_logs": "merge_logs",
    "user": "uid",
}
_UPTIME: Final = re.compile(r"(\d+)([hms]?)")


# ── readers ───────────────────────────────────────────────────────────────────────────────────
def _uptime(value: Any) -> str:
    match = _UPTIME.fullmatch(text(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a time like 5000, 10s or 1h")
    return duration(int(match[1]) * {"": 0.001, "s": 1, "m": 60, "h": 3600}[match[2]])


def _memory(value: Any) -> str:
    count = byte_size(value)
    return f"{count // 1048576}MiB" if count % 1048576 == 0 else f"{count}B"


def _texts(value: Any) -> list[str]:
    return [literal(text(part)) for part in (value if isinstance(value, list) else [value])]


def log_path(value: Any) -> str:
    """Where a stream goes: a path, or "none"."""
    path = text(value)
    return "none" if path in ("NULL", "/dev/null") else literal(expand_home(path))


# ── rules ─────────────────────────────────────────────────────────────────────────────────────
def _growing_delay(option: Option, target: Target, pause: str) -> None:
    target.set("restart.delay", pause, option)
    target.set("restart.min_delay", pause)
    target.set("restart.factor", 1.5)
    target.set("restart.max_delay", "15s")
    target.kept(option, f"restart.delay in {target.title}, growing up to 15s")


def _max_restarts(option: Option, target: Target, count: int) -> None:
    target.put(option, "restart.attempts", max(1, count - 1))


def _watch(option: Option, target: Target, value: Any) -> None:
    if value is False:
        target.kept(option, "nothing is watched")
        return
    target.set("watch.paths", ["."] if value is True else _texts(value), option)
    target.set("watch.include", ["*"])
    target.changed(option, "a change reloads the service, PM2 restarted it")


def _ignore_watch(option: Option, target: Target, paths: list[str]) -> None:
    names = [path.strip("/").rpartition("/")[2] or path for path in paths]
    target.set("watch.exclude", [".*", *names], option)
    target.changed(option, "are names here, anywhere below; PM2 took paths and patterns")


def environment(option: Option, target: Target, values: Any) -> None:
    """Put the variables of `env` down one by one; what is no plain value is told as lost."""
    if not hasattr(values, "items"):
        raise ValueError("is no object of names and values")
    for name, value in values.items():
        part = replace(option, name=f"{option.name}.{name}", value=value)
        if isinstance(value, dict | list):
            target.lost(part, "is not a plain value", "write it as text")
        elif value is None:
            target.changed(part, "has no value: it is not set, PM2 sets null as a word")
        else:
            target.set_env(name, value, option)
    target.kept(option, "env")


def _filter_env(option: Option, target: Target, value: Any) -> None:
    if value is True:
        target.put(option, "clean_env", True)
    elif value is False:
        target.kept(option, "the environment is inherited")
    else:
        target.lost(option, "kept single variables back", "clean_env = true keeps all back")


def _log_type(option: Option, target: Target, value: str) -> None:
    if value != "json":
        raise ValueError(f"{value!r} is not json")
    target.set("log.mode", "line")
    target.put(option, "log.format", "json")


def _log_times(option: Option, target: Target, value: Any) -> None:
    if value in (None, False, ""):
        target.kept(option, "no time is asked for")
    else:
        target.set("log.mode", "line", option)
        target.changed(option, "each line gets a time, in Chapiteau's format")


def share_port(option: Option, target: Target) -> None:
    """Node's cluster module, in which PM2 runs instances unless they say otherwise, is lost."""
    target.lost(
        option,
        "let Node's cluster module share one port among the instances",
        "add a [socket.NAME] and listen on its descriptor: server.listen({ fd: 3 })",
    )


def _exec_mode(option: Option, target: Target, value: str) -> None:
    if value.startswith("cluster"):
        share_port(option, target)
    else:
        target.kept(option, "processes of their own")


def _port(option: Option, target: Target, value: str) -> None:
    target.set("env.PORT", value if value.startswith("${") else str(integer(value)), option)
    target.kept(option, "env.PORT")


def _tree_kill(option: Option, target: Target, on: bool) -> None:
    stop_whole_group(option, target, on=on)


TABLES: Final = read_tables("chapiteau.migrate.pm2", globals())
