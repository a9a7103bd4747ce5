"""What becomes of each option of process-compose.yaml: one table per kind of mapping."""

from typing import Final

from chapiteau.migrate.draft import Target, literal
from chapiteau.migrate.rules import (
    Rule,
    described,
    differs,
    fixed_restart_delay,
    for_each,
    keep,
    lost,
    lost_if,
    mapped,
    unneeded,
)
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import boolean, go_duration, integer, seconds, signal_name, text

__all__ = [
    "AVAILABILITY",
    "COMBINED",
    "LOGGER",
    "PROCESS",
    "PROJECT",
    "RESOLVED",
    "ROTATION",
    "SCHEDULE",
    "SHUTDOWN",
]

_OWN: Final = "was about process-compose itself"
_TERMINAL: Final = "the dashboard shows services and takes commands"

_SHELL: Final = frozenset(
    "shell_command shell_argument elevated_shell_command elevated_shell_argument".split()
)
# Numbers, words and switches: process-compose fills variables in everywhere, ours in texts only.
RESOLVED: Final = frozenset(
    "restart backoff_seconds max_restarts exit_on_end exit_on_skipped signal timeout_seconds "
    "parent_only period_seconds initial_delay_seconds failure_threshold success_threshold "
    "status_code replicas disabled is_tty is_interactive is_foreground is_daemon is_elevated "
    "run_on_start max_concurrent interval max_size_mb max_backups compress".split()
)


def _shell(option: Option, target: Target) -> None:
    for key in option.value if isinstance(option.value, dict) else ():
        if key not in _SHELL:
            part = Option(name=f"{option.name}.{key}", value="", where=option.where)
            near = "shell_command and shell_argument are"
            target.lost(part, "process-compose does not know it either, and takes bash -c", near)
    target.kept(option, "command of the services that need a shell")


PROJECT: Final[dict[str, Rule]] = {
    "version": unneeded("the format of the new file has no versions"),
    "name": keep("name"),
    "is_strict": unneeded("unknown keys are always errors"),
    "is_tui_disabled": unneeded("`chapiteau up` shows lines, no full screen"),
    **for_each("log_level log_length log_format", lost(_OWN, "see [log]")),
    **for_each("processes environment vars extends", unneeded("is part of every service")),
    "shell": described("nothing to write: runs commands that need a shell", _shell),
    **for_each("log_location log_configuration", unneeded("log of every service")),
    **for_each("disable_env_expansion ordered_shutdown", unneeded("is so in the new file")),
    "env_cmds": lost(
        "ran commands whose output became variables",
        "let a one-shot write them to a file, and name it in env_files",
    ),
    **for_each(
        "mcp_server theme shortcuts hidden_columns", lost("set up the terminal or MCP", _TERMINAL)
    ),
}


def _backoff(option: Option, target: Target) -> None:
    """`restart.min_delay` and `delay`, with `factor = 1` and `jitter = 0`"""
    fixed_restart_delay(option, target, seconds(option.value))


def _max_restarts(option: Option, target: Target) -> None:
    """`restart.attempts` with `after_give_up = "stay-down"`, counted within `restart.window`; 0:
    nothing to write
    """
    count = integer(option.value)
    if count < 1:
        target.kept(option, "it is started again for ever")
        return
    target.set("restart.attempts", count, option)
    target.set("restart.after_give_up", "stay-down")
    target.changed(option, "counts restarts within restart.window, not over the whole life")


AVAILABILITY: Final[dict[str, Rule]] = {
    "restart": mapped(
        "restart.policy",
        {"always": "always", "on_failure": "on-failure", "no": "never", "false": "never"}
        | {"exit_on_failure": "never"},
    ),
    "backoff_seconds": _backoff,
    "max_restarts": _max_restarts,
    "exit_on_end": described(
        "`essential`",
        lambda option, target: (
            target.put(option, "essential", True)
            if boolean(option.value)
            else target.kept(option, "was off")
        ),
    ),
    "exit_on_skipped": lost_if(
        boolean, "ended everything when this was never started", "needs = [...] waits", "was off"
    ),
}


def _parent_only(option: Option, target: Target) -> None:
    """false, the default: `stop_group`; true lets children live on there, never here"""
    if boolean(option.value):
        target.values.pop("stop_group", None)
        target.changed(
            option,
            "the stop signal goes to the process alone, but nothing of a service survives its stop",
            "make children that shall live on services of their own",
        )
    else:
        target.kept(option, "the stop signal is for the whole group")


SHUTDOWN: Final[dict[str, Rule]] = {
    "signal": keep("stop_signal", signal_name),
    "timeout_seconds": keep("stop_timeout", seconds),
    "command": differs(
        "hooks.before_stop",
        lambda value: ["sh", "-c", literal(text(value))],
        "the stop signal comes after the command, not in its place",
    ),
    "parent_only": _parent_only,
    "send_keys": lost("typed keys to end the process", "let it end at its stop_signal"),
}

ROTATION: Final[dict[str, Rule]] = {
    "max_size_mb": keep("log.max_size", lambda value: f"{integer(value)}MiB"),
    "max_backups": keep("log.keep", integer),
    "max_age_days": lost(
        "deleted old files after so many days", "log.max_total bounds them by their size"
    ),
    "compress": keep("log.compress", lambda value: "gzip" if boolean(value) else "none"),
    "directory": unneeded("log.file"),
    "filename": unneeded("log.file"),
}

LOGGER: Final[dict[str, Rule]] = {
    "rotation": unneeded("log"),
    "disable_json": unneeded("log.format"),
    **for_each(
        "add_timestamp no_color no_metadata timestamp_format fields_order flush_each_line",
        lost("shaped the lines of the log", "log.mode and log.format: text or JSON lines"),
    ),
}

SCHEDULE: Final[dict[str, Rule]] = {
    "cron": keep("schedule"),
    "interval": described(
        '`schedule = "@every …"`',
        lambda option, target: (
            target.kept(option, "process-compose ignores it beside cron")
            if target.get("schedule")
            else target.put(option, "schedule", f"@every {go_duration(option.value)}")
        ),
    ),
    "timezone": lost("named the zone of the clock", "start the supervisor with TZ set"),
    "run_on_start": lost_if(
        boolean, "ran it at the start too", "chapiteau start NAME runs it now", "was off"
    ),
    "max_concurrent": lost_if(
        lambda value: integer(value) > 1,
        "let several runs overlap",
        'overlap says what happens: "skip", "queue" or "kill"',
        "one run at a time",
    ),
}


def _namespaces(value: object) -> str:
    return ",".join(text(part) for part in (value if isinstance(value, list) else [value]))


def _success(option: Option, target: Target) -> None:
    """`restart.success_codes`"""
    codes = option.value if isinstance(option.value, list) else [option.value]
    target.put(option, "restart.success_codes", sorted({0, *(integer(c) for c in codes)}))


def _own_terminal(option: Option, target: Target) -> None:
    """A terminal; people come to it with `chapiteau run attach`."""
    if boolean(option.value):
        target.put(option, "stdin", "tty")
    else:
        target.kept(option, "was off")


def _foreground(option: Option, target: Target) -> None:
    """`autostart = false`; the terminal is **lost**"""
    if boolean(option.value):
        target.set("autostart", False)
        target.lost(
            option,
            "was started by hand in the foreground of the terminal",
            'it is not started by itself: `chapiteau run exec`, or stdin = "tty" and `run attach`',
        )
    else:
        target.kept(option, "runs in the background")


PROCESS: Final[dict[str, Rule]] = {
    "working_dir": keep("cwd"),
    "namespace": keep("labels.namespace", _namespaces),
    "mcp": lost("made it a tool of process-compose's MCP server", "call it with `run exec`"),
    "description": keep("labels.description"),
    "replicas": keep("processes", integer),
    "success_exit_codes": _success,
    "disabled": keep("autostart", lambda value: not boolean(value)),
    "is_tty": described('`stdin = "tty"`', _own_terminal),
    "is_foreground": _foreground,
    "is_interactive": described('`stdin = "tty"`, for `chapiteau run attach`', _own_terminal),
    "is_daemon": lost_if(
        boolean,
        "is a program that puts itself into the background",
        "start it with its option for the foreground",
        "it stays in the foreground",
    ),
    "launch_timeout_seconds": lost(
        "was the time to go into the background", "start it in the foreground"
    ),
    "is_elevated": lost_if(
        boolean,
        "ran it with sudo",
        'start the supervisor as root and set user = "root" here, another user elsewhere',
        "was off",
    ),
    "is_dotenv_disabled": described(
        "nothing to write: its env_files are without .env",
        lambda option, target: target.kept(
            option, "its env_files are without .env" if boolean(option.value) else "was off"
        ),
    ),
    "disable_ansi_colors": lost_if(
        boolean, "took colours out of the output", "set NO_COLOR in env", "was off"
    ),
    # These take part in more than one setting: see file.py.
    **for_each(
        "command entrypoint environment env_file vars depends_on availability shutdown schedule "
        "liveness_probe readiness_probe ready_log_line log_location log_configuration watch shell",
        unneeded("see the service"),
    ),
}
COMBINED: Final = frozenset(
    (
        "command entrypoint environment env_file vars depends_on availability shutdown schedule "
        "liveness_probe readiness_probe ready_log_line log_location log_configuration watch shell"
    ).split()
)
