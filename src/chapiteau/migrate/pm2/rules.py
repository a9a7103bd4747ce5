"""What becomes of each option of an app in a PM2 ecosystem file."""

import re
from dataclasses import replace
from typing import Any, Final

from chapiteau.migrate.draft import Target, expand_home, literal
from chapiteau.migrate.rules import (
    Rule,
    describe,
    described,
    differs,
    fixed_restart_delay,
    for_each,
    keep,
    lost,
    lost_if,
    unneeded,
)
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import boolean, byte_size, duration, integer, milliseconds, text

__all__ = ["ALIASES", "APP", "COMBINED", "log_path", "share_port"]

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
_PLUS: Final = "PM2 Plus sees nothing of Chapiteau; /metrics and the dashboard show figures"


def _uptime(value: Any) -> str:
    match = _UPTIME.fullmatch(text(value).strip())
    if match is None:
        raise ValueError(f"{value!r} is not a time like 5000, 10s or 1h")
    unit = {"": 0.001, "s": 1, "m": 60, "h": 3600}[match[2]]
    return duration(int(match[1]) * unit)


def _memory(value: Any) -> str:
    count = byte_size(value)
    return f"{count // 1048576}MiB" if count % 1048576 == 0 else f"{count}B"


def _backoff(option: Option, target: Target) -> None:
    """`restart.delay` and `min_delay` with `factor = 1.5` and `max_delay = "15s"`"""
    pause = milliseconds(option.value)
    target.set("restart.delay", pause, option)
    target.set("restart.min_delay", pause)
    target.set("restart.factor", 1.5)
    target.set("restart.max_delay", "15s")
    target.kept(option, f"restart.delay in [{'.'.join(target.path)}], growing up to 15s")


def _fixed_delay(option: Option, target: Target) -> None:
    """`restart.min_delay` and `delay`, with `factor = 1` and `jitter = 0`"""
    fixed_restart_delay(option, target, milliseconds(option.value))


def _max_restarts(option: Option, target: Target) -> None:
    """`restart.attempts`, one fewer, with `count = "unhealthy"`: lives shorter than `min_uptime`
    in a row; then it stays down
    """
    target.set("restart.attempts", max(1, integer(option.value) - 1), option)
    target.kept(option, f"restart.attempts in [{'.'.join(target.path)}]")


def _codes(value: Any) -> list[int]:
    parts = value if isinstance(value, list) else text(value).split(",")
    return [integer(part) for part in parts]


def _texts(value: Any) -> list[str]:
    return [literal(text(part)) for part in (value if isinstance(value, list) else [value])]


def _watch(option: Option, target: Target) -> None:
    """`watch.paths`: a change reloads the service"""
    if isinstance(option.value, bool):
        if not option.value:
            target.kept(option, "nothing is watched")
            return
        target.set("watch.paths", ["."], option)
    else:
        target.set("watch.paths", _texts(option.value), option)
    target.set("watch.include", ["*"])
    target.changed(option, "a change reloads the service, PM2 restarted it")


def _ignored(option: Option, target: Target) -> None:
    """`watch.exclude`: names, anywhere below"""
    names = [part.strip("/").rpartition("/")[2] or part for part in _texts(option.value)]
    target.set("watch.exclude", [".*", *names], option)
    target.changed(option, "are names here, anywhere below; PM2 took paths and patterns")


def _environment(option: Option, target: Target) -> None:
    """`env`"""
    values: Any = option.value
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


def _log_type(option: Option, target: Target) -> None:
    """`log.format = "json"`"""
    if text(option.value) != "json":
        raise ValueError(f"{option.value!r} is not json")
    target.set("log.mode", "line")
    target.put(option, "log.format", "json")


def log_path(value: Any) -> str:
    """Where a stream goes: a path, or "none"."""
    path = text(value)
    return "none" if path in ("NULL", "/dev/null") else literal(expand_home(path))


def share_port(option: Option, target: Target) -> None:
    """Node's cluster module, in which PM2 runs instances unless they say otherwise, is lost."""
    target.lost(
        option,
        "let Node's cluster module share one port among the instances",
        "add a [socket.NAME] and listen on its descriptor: server.listen({ fd: 3 })",
    )


def _mode(option: Option, target: Target) -> None:
    """fork: nothing to write; cluster is **lost**: listen on a [socket.NAME] instead,
    `server.listen({ fd: 3 })`
    """
    if text(option.value).startswith("cluster"):
        share_port(option, target)
    else:
        target.kept(option, "processes of their own")


_TIMES: Final = differs("log.mode", lambda _: "line", "each line gets a time, in our own format")


def _times(option: Option, target: Target) -> None:
    if option.value in (None, False, ""):
        target.kept(option, "no time is asked for")
    else:
        _TIMES(option, target)


def _port(option: Option, target: Target) -> None:
    """`env.PORT`"""
    value = text(option.value)
    target.set("env.PORT", value if value.startswith("${") else str(integer(value)), option)
    target.kept(option, "env.PORT")


def _filter_env(option: Option, target: Target) -> None:
    """true: `clean_env = true`; a list is **lost**"""
    if option.value is True:
        target.put(option, "clean_env", True)
    elif option.value is False:
        target.kept(option, "the environment is inherited")
    else:
        target.lost(option, "kept single variables back", "clean_env = true keeps all back")


def _tree_kill(option: Option, target: Target) -> None:
    """true, the default: `stop_group`; false lets children live on there, never here"""
    if boolean(option.value):
        target.kept(option, "the stop signal is for the whole group")
        return
    target.values.pop("stop_group", None)
    target.changed(
        option,
        "the stop signal goes to the process alone, but nothing of a service survives its stop",
        "make children that shall live on services of their own",
    )


APP: Final[dict[str, Rule]] = {
    "namespace": keep("labels.namespace"),
    "cwd": keep("cwd"),
    "env": _environment,
    "env_file": lost("is not read by PM2 either", 'env_files = [".env"] is'),
    "filter_env": _filter_env,
    "port": _port,
    "uid": keep("user"),
    "gid": keep("group"),
    "max_memory_restart": differs(
        "limits.memory_soft",
        _memory,
        "one process above it is replaced gently, its requests are finished first",
    ),
    "autostart": keep("autostart", boolean),
    "autorestart": keep("restart.policy", lambda value: "always" if boolean(value) else "never"),
    "restart_delay": _fixed_delay,
    "exp_backoff_restart_delay": _backoff,
    "min_uptime": keep("restart.healthy_after", _uptime),
    "max_restarts": _max_restarts,
    "stop_exit_codes": keep("restart.stop_codes", _codes),
    "kill_timeout": keep("stop_timeout", milliseconds),
    "kill_retry_time": unneeded("the end of a process is seen at once"),
    "shutdown_with_message": lost_if(
        boolean,
        "asked the process to end by a message of Node's",
        "handle the stop signal: process.on('SIGINT', …)",
        "the stop signal is used",
    ),
    "treekill": _tree_kill,
    "wait_ready": lost_if(
        boolean,
        "waited for process.send('ready')",
        "let the program write READY=1 to $NOTIFY_SOCKET (ready.notify), or ready.http",
        "nothing is waited for",
    ),
    "listen_timeout": keep("ready.start_timeout", milliseconds),
    "watch": _watch,
    "ignore_watch": _ignored,
    "watch_delay": keep("watch.debounce", milliseconds),
    "watch_options": lost("were options of chokidar", "watch.include, watch.exclude"),
    "out_file": keep("log.file", log_path),
    "log_type": _log_type,
    **for_each("log_date_format time", described(describe(_TIMES), _times)),
    "merge_logs": unneeded("the processes of a service share a file"),
    "disable_logs": described(
        '`log.file = "none"`',
        lambda option, target: (
            target.put(option, "log.file", "none")
            if boolean(option.value)
            else target.kept(option, "output is kept")
        ),
    ),
    "pid_file": lost("named a file with the pid", "chapiteau status --json tells pids"),
    "exec_mode": _mode,
    "increment_var": lost(
        "gave each instance another number in this variable",
        "use ${process.number} in env, or a shared socket instead of ports",
    ),
    "instance_var": lost(
        "numbered the instances from 0 in this variable",
        "CHAPITEAU_PROCESS holds the number, from 1",
    ),
    "cron_restart": lost(
        "restarted the app by the clock",
        "max_age replaces processes one by one; a job that ends is schedule = ...",
    ),
    "append_env_to_name": lost("put the environment's name into the app's", "rename the service"),
    "post_update": lost("ran commands after an update", "make them a one-shot that this needs"),
    "io": lost("set up PM2 Plus", _PLUS),
    **for_each(
        "deep_monitoring v8 event_loop_inspector trace",
        lost_if(boolean, "let PM2 look into Node", _PLUS, "was off"),
    ),
    **for_each(
        "vizion pmx automation disable_trace write execute_command windowsHide force "
        "source_map_support disable_source_map_support username install_url",
        unneeded("has no meaning outside PM2"),
    ),
    # These take part in more than one setting: see file.py.
    **for_each(
        "script name name_prefix args exec_interpreter node_args instances error_file log_file",
        unneeded("see the command, name and log of the service"),
    ),
}
COMBINED: Final = frozenset(
    "script name name_prefix args exec_interpreter node_args instances error_file log_file".split()
)
