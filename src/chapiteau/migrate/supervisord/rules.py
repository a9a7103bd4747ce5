"""What becomes of each option of supervisord.conf: one table per kind of section."""

from dataclasses import replace
from typing import Any, Final

from chapiteau.migrate.draft import Target, expand_home
from chapiteau.migrate.rules import (
    Rule,
    dashboard,
    dashboard_host,
    described,
    for_each,
    keep,
    lost,
    lost_if,
    mapped,
    unneeded,
)
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import (
    boolean,
    byte_size,
    duration,
    integer,
    number,
    octal,
    port_number,
    seconds,
    signal_name,
    size_text,
    text,
)

__all__ = ["COMBINED", "DAEMON", "FCGI", "PROGRAM", "SECTIONS", "SINGLE_OPTIONS"]

_OWN_LOG: Final = "the supervisor's own messages come with `chapiteau events` and on stderr"
_LOGIN: Final = "opened supervisord's page"
_PEOPLE: Final = "`chapiteau dash user` makes who may log in"
_ROLES: Final = "[project] admins, operators and viewers say who may do what"


def _at_least(limit: str) -> Rule:
    def rule(option: Option, target: Target) -> None:
        target.changed(
            option,
            "raised the limit where it was lower: services have the supervisor's own",
            f"limits.{limit} of a service sets it",
        )

    return described(f"nothing to write: the supervisor's own limit, or `limits.{limit}`", rule)


DAEMON: Final[dict[str, Rule]] = {
    **for_each(
        "logfile logfile_maxbytes logfile_backups loglevel silent strip_ansi",
        lost("set up supervisord's own log", _OWN_LOG),
    ),
    "pidfile": lost(
        "named a file with supervisord's pid", "RUN_DIR holds a lock with the supervisor's pid"
    ),
    "nodaemon": unneeded("`chapiteau up` stays in the foreground, `chapiteau up -d` does not"),
    "identifier": keep("name"),
    **for_each("user environment", unneeded("is set for every service")),
    **for_each(
        "directory umask",
        unneeded("is set for every service, unless nodaemon is on: supervisord ignores it then"),
    ),
    "minfds": _at_least("open_files"),
    "minprocs": _at_least("processes"),
    "childlogdir": lost(
        "was the folder of log files named AUTO",
        "those files are in RUN_DIR/log; log.file moves one",
    ),
    "nocleanup": lost_if(
        boolean, "kept old AUTO log files at the start", "log.keep says how many stay", "was off"
    ),
    "profile_options": lost("profiled supervisord itself", "nothing to do"),
}

# Sections that are about supervisord itself: prefix → what becomes of every option.
SECTIONS: Final[dict[str, Rule]] = {
    "unix_http_server": lost("set up supervisord's control socket", _ROLES),
    "inet_http_server": lost(
        "opened supervisord's page and XML-RPC on the network",
        "the dashboard has a page: chapiteau dash",
    ),
    "supervisorctl": unneeded("the CLI finds the supervisor through chapiteau.toml"),
    "rpcinterface": lost("extended supervisord's XML-RPC", "the control API is HTTP and JSON"),
    "ctlplugin": lost("extended supervisorctl", "write it against the control API"),
}


def _page(option: Option, target: Target) -> None:
    """`[dash] enable`, `host` and `port`; an address that others can reach is **lost**"""
    host, _, port = text(option.value).strip().rpartition(":")
    dashboard("port", port_number)(replace(option, value=port), target)
    dashboard("enable", boolean)(replace(option, value="true"), target)
    if host in ("", "*"):
        raise ValueError("the page can be reached from other machines, and needs cert and key")
    dashboard_host(replace(option, value=host), target)


# Single options with a fate of their own.
SINGLE_OPTIONS: Final[dict[tuple[str, str], Rule]] = {
    ("unix_http_server", "file"): unneeded("RUN_DIR/control.sock takes its place"),
    ("inet_http_server", "port"): described(
        "`[dash] enable`, `host` and `port`; an address that others can reach is **lost**", _page
    ),
    ("inet_http_server", "username"): lost(_LOGIN, _PEOPLE),
    ("inet_http_server", "password"): lost(_LOGIN, _PEOPLE),
    ("rpcinterface", "supervisor.rpcinterface_factory"): unneeded(
        "the control API takes its place"
    ),
}


def _startsecs(option: Option, target: Target) -> None:
    """`ready.alive` and `restart.healthy_after`; 0: nothing to write"""
    value = number(option.value)
    if value == 0:
        target.kept(option, "a process counts as up at once")
        return
    target.set("ready.alive", duration(value), option)
    target.set("restart.healthy_after", duration(value))
    target.kept(option, f"ready.alive in [{'.'.join(target.path)}]")


def _startretries(option: Option, target: Target) -> None:
    """`restart.attempts` with `count = "unhealthy"` and `after_give_up = "stay-down"`"""
    count = integer(option.value)
    target.set("restart.attempts", max(1, count), option)
    if count < 1:
        target.changed(option, "0 became 1, the least there is")
    else:
        target.kept(option, f"restart.attempts in [{'.'.join(target.path)}]")


def _exit_codes(value: Any) -> list[int]:
    return [integer(part) for part in text(value).split(",") if part.strip()]


def _stop_group(option: Option, target: Target) -> None:
    """`stop_group`"""
    target.put(option, "stop_group", boolean(option.value))


def _kill_group(option: Option, target: Target) -> None:
    """nothing to write: at `stop_timeout` the whole tree of a process is killed"""
    if boolean(option.value):
        target.kept(option, "its whole tree is killed")
    else:
        target.changed(option, "nothing of a service survives its stop: the whole tree ends")


_EVENTS: Final = "watch the output with `chapiteau logs -f --json`"
_SECOND: Final = "both streams go to one file; JSON lines (log.format) tell them apart"

PROGRAM: Final[dict[str, Rule]] = {
    "process_name": unneeded("processes are called SERVICE/1, SERVICE/2 …"),
    "autostart": keep("autostart", boolean),
    "autorestart": mapped(
        "restart.policy",
        dict.fromkeys(("true", "yes", "on", "1"), "always")
        | dict.fromkeys(("false", "no", "off", "0"), "never")
        | {"unexpected": "on-failure"},
    ),
    "exitcodes": keep("restart.success_codes", _exit_codes),
    "startsecs": _startsecs,
    "startretries": _startretries,
    "stopsignal": keep("stop_signal", signal_name),
    "stopwaitsecs": keep("stop_timeout", seconds),
    "stopasgroup": _stop_group,
    "killasgroup": _kill_group,
    "user": keep("user"),
    "directory": keep("cwd", lambda value: expand_home(text(value))),
    "umask": keep("umask", octal),
    "serverurl": lost("told the program where supervisord listens", "set it in env"),
    "stdout_logfile_backups": keep("log.keep", integer),
    "stdout_logfile_maxbytes": described(
        "`log.max_size`; 0 (no rotation) becomes 50MiB",
        lambda option, target: (
            target.put(option, "log.max_size", size_text(option.value))
            if byte_size(option.value)
            else target.changed(
                option,
                "let the file grow without end; it is rotated at 50MiB",
                "log.max_size, log.keep and log.max_total say how much",
            )
        ),
    ),
    **for_each("stderr_logfile_maxbytes stderr_logfile_backups", lost("was for errors", _SECOND)),
    **for_each(
        "stdout_syslog stderr_syslog",
        described(
            '`log.syslog = "/dev/log"`',
            lambda option, target: (
                target.put(option, "log.syslog", "/dev/log")
                if boolean(option.value)
                else target.kept(option, "nothing goes to syslog")
            ),
        ),
    ),
    **for_each(
        "stdout_capture_maxbytes stderr_capture_maxbytes",
        lost_if(byte_size, "cut messages between tags out of the output", _EVENTS, "was off"),
    ),
    **for_each(
        "stdout_events_enabled stderr_events_enabled",
        lost_if(boolean, "made an event of each piece of output", _EVENTS, "was off"),
    ),
    # These take part in more than one setting: see programs.py.
    **for_each(
        "command environment numprocs numprocs_start priority "
        "stdout_logfile stderr_logfile redirect_stderr",
        unneeded("see the command, env, log and order of the service"),
    ),
}
COMBINED: Final = frozenset(
    "command environment numprocs numprocs_start priority "
    "stdout_logfile stderr_logfile redirect_stderr".split()
)

FCGI: Final[dict[str, Rule]] = {
    "socket": unneeded("a socket that processes get as standard input"),
    "socket_owner": keep("owner"),
    "socket_mode": keep("mode", octal),
    "socket_backlog": keep("backlog", integer),
}
