"""What becomes of each option of circus.ini: one table per section."""

from typing import Final

from chapiteau.migrate.draft import Target, literal
from chapiteau.migrate.rules import (
    Rule,
    dashboard,
    dashboard_host,
    described,
    differs,
    for_each,
    keep,
    lost,
    lost_if,
    mapped,
    unneeded,
)
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import boolean, integer, number, port_number, seconds, signal_name

__all__ = ["COMBINED", "DAEMON", "SOCKET", "WATCHER"]

_CONTROL: Final = (
    'chapiteau status, start, stop, reload … take its place; for circusctl: use = "circus"'
)
_OWN_LOG: Final = "the supervisor's own messages come with `chapiteau events` and on stderr"
_NOT_READ: Final = "Circus does not read it either"

DAEMON: Final[dict[str, Rule]] = {
    **for_each(
        "endpoint pubsub_endpoint stats_endpoint multicast_endpoint endpoint_owner",
        lost("was an address (or its owner) of Circus's ZeroMQ protocol", _CONTROL),
    ),
    **for_each("statsd", unneeded("figures of every process are always collected")),
    "check_delay": unneeded("nothing is polled: the exit of a process is seen at once"),
    "warmup_delay": lost_if(
        number,
        "paused between the starts of two watchers",
        "say what really has to wait: needs = [...] and a `ready` check",
        "services start without a pause",
    ),
    **for_each("include include_dir", unneeded("the included files are part of this import")),
    "httpd": described("`[dash] enable`", dashboard("enable", boolean)),
    "httpd_host": described("`[dash] host`; one that others can reach is **lost**", dashboard_host),
    "httpd_port": described("`[dash] port`", dashboard("port", port_number)),
    **for_each(
        "debug debug_gc", lost_if(boolean, "made circusd say more", _OWN_LOG, "was off anyway")
    ),
    "pidfile": lost(
        "named a file with circusd's pid", "RUN_DIR holds a lock file with the supervisor's pid"
    ),
    **for_each("loglevel logoutput loggerconfig", lost("set up circusd's own log", _OWN_LOG)),
    "umask": unneeded("is set for every service"),
    "fqdn_prefix": lost("was part of the instance's id", "[project] name tells projects apart"),
    **for_each(
        "stream_backend statsd_close_outputs httpd_close_outputs ssh_server papa_endpoint use_papa",
        unneeded(_NOT_READ),
    ),
}


def _rlimit(key: str) -> Rule:
    def rule(option: Option, target: Target) -> None:
        name = option.name.partition("_")[2]
        if not option.value or not key:  # it has no name of its own, or none for "no limit"
            limit = integer(option.value) if option.value else "unlimited"
            target.put(option, f"limits.rlimits.{name}", limit)
        else:
            target.put(option, key, integer(option.value))

    return described(f"`{key or 'limits.rlimits'}`; empty is no limit", rule)


_HOOKS: Final = (
    "before_start after_start before_spawn after_spawn before_stop after_stop before_signal "
    "after_signal before_reap after_reap extended_stats"
)
_HOOK_HINT: Final = "write it as a command at the same point: hooks.NAME of the service"

WATCHER: Final[dict[str, Rule]] = {
    "numprocesses": keep("processes", integer),
    "singleton": lost_if(
        boolean,
        "refused a second process",
        "nothing refuses `chapiteau scale` here: keep processes = 1",
        "was off anyway",
    ),
    "warmup_delay": lost_if(
        number,
        "paused between the starts of two processes",
        "a `ready` check lets `batch` processes at a time come up at a reload",
        "processes start without a pause",
    ),
    "working_dir": keep("cwd"),
    "executable": unneeded(_NOT_READ),
    "uid": keep("user"),
    "gid": keep("group"),
    "copy_path": lost_if(
        boolean,
        "gave circusd's own sys.path as PYTHONPATH",
        "set virtualenv, or PYTHONPATH in env",
        "was off anyway",
    ),
    "virtualenv": differs(
        "virtualenv",
        literal,
        "the virtualenv's bin comes first in PATH; PYTHONPATH is left alone",
        "its python finds its packages without PYTHONPATH",
    ),
    "virtualenv_py_ver": unneeded("the virtualenv's own python knows its version"),
    "autostart": keep("autostart", boolean),
    "respawn": mapped(
        "restart.policy",
        dict.fromkeys(("true", "yes", "on", "1"), "always")
        | dict.fromkeys(("false", "no", "off", "0"), "never"),
    ),
    "max_retry": lost(
        "limited failed starts in one go, without a pause, and stopped the watcher then",
        "restart.attempts and restart.window count every restart, with growing pauses",
    ),
    "graceful_timeout": keep("stop_timeout", seconds),
    "stop_signal": keep("stop_signal", signal_name),
    "stop_children": keep("stop_group", boolean),
    "send_hup": described(
        '`reload_signal = "HUP"`',
        lambda option, target: (
            target.put(option, "reload_signal", "HUP")
            if boolean(option.value)
            else target.kept(option, "reload replaces the processes")
        ),
    ),
    "max_age": keep("max_age", seconds),
    "max_age_variance": keep("max_age_spread", seconds),
    "on_demand": keep("on_demand", boolean),
    "stdin_socket": keep("stdin_socket", lambda value: str(value).lower()),
    "close_child_stdin": lost_if(
        lambda value: not boolean(value),
        "let processes read circusd's own input",
        'stdin = "pipe" or "tty" gives each an input of its own, for `chapiteau run attach`',
        "the input is empty",
    ),
    "rlimit_nofile": _rlimit("limits.open_files"),
    "rlimit_nproc": _rlimit("limits.processes"),
    "rlimit_core": _rlimit("limits.core"),
    "rlimit_stack": _rlimit("limits.stack"),
    "rlimit_fsize": _rlimit("limits.file_size"),
    "rlimit_as": _rlimit("limits.address_space"),
    **for_each(
        "rlimit_cpu rlimit_data rlimit_rss rlimit_memlock rlimit_nice rlimit_rtprio "
        "rlimit_rttime rlimit_sigpending rlimit_msgqueue rlimit_locks",
        _rlimit(""),
    ),
    "shell_args": lost("were arguments of the shell", "write them into the command"),
    "check_flapping": unneeded(_NOT_READ),
    **{
        f"hooks.{name}": lost("ran Python code inside circusd", _HOOK_HINT.replace("NAME", name))
        for name in _HOOKS.split()
    },
    # These take part in more than one setting: see _watcher.
    **for_each(
        "cmd args shell copy_env priority use_sockets close_child_stdout close_child_stderr",
        unneeded("see the command, env and order of the service"),
    ),
}
# Options that only mean something together; watchers.py deals with them.
COMBINED: Final = frozenset(
    "cmd args shell copy_env priority use_sockets close_child_stdout close_child_stderr".split()
)

SOCKET: Final[dict[str, Rule]] = {
    "host": keep("host"),
    "port": keep("port", integer),
    "path": keep("path"),
    "backlog": keep("backlog", integer),
    "interface": keep("interface"),
    "so_reuseport": keep("reuse_port", boolean),
    "type": mapped("type", {"sock_stream": "stream", "sock_dgram": "datagram"}),
    "replace": unneeded("a stale socket file is replaced, one in use never"),
    "blocking": keep("blocking", boolean),
    "proto": lost("named the protocol below the socket", "type says stream or datagram"),
    "family": unneeded("host or path says the family"),
    "umask": unneeded("is the mode of a Unix socket"),
}
