"""What becomes of each directive of a [Service] section."""

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
from chapiteau.migrate.systemd.commands import (
    finite_timespan,
    parse_size,
    parse_timespan,
    split_words,
)
from chapiteau.migrate.systemd.limits import LIMITS, fd_store_preserve, standard_input
from chapiteau.migrate.values import boolean, duration, integer, octal, signal_name, text

__all__ = ["COMBINED", "OUTER", "RESOURCE", "SANDBOX", "SERVICE", "burst", "interval"]

OUTER: Final = (
    "put it into the unit that starts Chapiteau (chapiteau run unit): it holds for all services"
)
SANDBOX: Final = lost("is part of systemd's sandbox", OUTER)
RESOURCE: Final = lost(
    "shared out the machine's resources", f"limits.memory, limits.cpu and limits.pids; or {OUTER}"
)


_PATIENCE: Final = frozenset({"ready.start_timeout", "stop_timeout"})


def _seconds(key: str) -> Rule:
    def rule(option: Option, target: Target) -> None:
        value = parse_timespan(text(option.value))
        if value == float("inf") and key in _PATIENCE:
            target.set(key, "1d", option)
            target.changed(option, "never ran out: it is a day here")
        elif value == float("inf"):
            target.lost(option, "never ran out", f"{key} always ends: set a long time")
        else:
            target.put(option, key, duration(value))

    return described(f"`{key}`; infinity is {'a day' if key in _PATIENCE else '**lost**'}", rule)


_TYPES: Final = {
    "simple": "it counts as up at once",
    "exec": "it counts as up at once",
    "idle": "it counts as up at once",
}


def _type(option: Option, target: Target) -> None:
    """`notify`: `ready.notify`; `notify-reload` too, with `reload_signal = "HUP"`; `oneshot`:
    `one_shot`; `simple`, `exec`, `idle`: nothing to write; `forking` and `dbus` are **lost**
    """
    word = text(option.value).strip()
    if word in _TYPES:
        target.kept(option, _TYPES[word])
    elif word in ("notify", "notify-reload"):
        target.put(option, "ready.notify", True)
        if word == "notify-reload":
            target.set("reload_signal", "HUP")
    elif word == "oneshot":
        target.put(option, "one_shot", True)
    elif word == "forking":
        target.lost(
            option,
            "is for a program that puts itself into the background",
            "start it with its option for the foreground; Chapiteau keeps the process itself",
        )
    else:
        target.lost(option, f"{word} has no equal", "use a `ready` check")


_ABNORMAL: Final = {"on-abnormal", "on-abort", "on-watchdog"}


def _restart(option: Option, target: Target) -> None:
    """`restart.policy`; `on-abnormal`, `on-abort`, `on-watchdog` become `on-failure`; `on-success`
    is **lost**
    """
    word = text(option.value).strip()
    plain = {"no": "never", "always": "always", "on-failure": "on-failure"}
    if word in plain:
        target.put(option, "restart.policy", plain[word])
    elif word in _ABNORMAL:
        target.set("restart.policy", "on-failure", option)
        target.changed(
            option,
            f"{word} became on-failure: an exit code that is no success starts it again too",
            "restart.stop_codes names the codes after which it stays down",
        )
    elif word == "on-success":
        target.set("restart.policy", "never", option)
        target.lost(option, "started it again after a success only", "use schedule, or always")
    else:
        raise ValueError(f"{word!r} is no policy")


def _restart_pause(option: Option, target: Target) -> None:
    """`restart.min_delay` and `delay`, with `factor = 1` and `jitter = 0`"""
    fixed_restart_delay(option, target, finite_timespan(parse_timespan(text(option.value))))


def burst(option: Option, target: Target) -> None:
    """`restart.attempts`"""
    target.put(option, "restart.attempts", max(1, integer(option.value)))


def interval(option: Option, target: Target) -> None:
    """`restart.window`; 0: `after_give_up = "retry"`"""
    value = parse_timespan(text(option.value))
    if value == 0:
        target.set("restart.after_give_up", "retry")
        target.kept(option, "it is tried again for ever")
    else:
        target.put(option, "restart.window", finite_timespan(value))


def _codes(key: str, first: tuple[int, ...]) -> Rule:
    def rule(option: Option, target: Target) -> None:
        words = split_words(text(option.value))
        codes = [integer(word) for word in words if word.isdecimal()]
        others = [word for word in words if not word.isdecimal()]
        known = target.get(key) or []
        target.put(option, key, list(dict.fromkeys([*known, *first, *codes])))
        if others:
            target.lost(option, f"named signals or words too: {' '.join(others)}", f"see {key}")

    return described(f"`{key}`; signals and words are **lost**", rule)


def _quota(option: Option, target: Target) -> None:
    """`limits.cpu` in cores: 150% is 1.5"""
    share = text(option.value).strip()
    if not share.endswith("%"):
        raise ValueError(f"{share!r} is no share in %")
    target.put(option, "limits.cpu", float(share[:-1]) / 100)


def _memory(option: Option, target: Target) -> None:
    """`limits.memory`"""
    target.put(option, "limits.memory", parse_size(text(option.value)))


def _tasks(option: Option, target: Target) -> None:
    """`limits.pids`"""
    if text(option.value).strip() == "infinity":
        target.kept(option, "there is no limit")
    else:
        target.put(option, "limits.pids", integer(option.value))


def _directory(option: Option, target: Target) -> None:
    """`cwd`"""
    path = text(option.value).strip()
    if path.startswith("-"):
        path = path[1:]
        target.changed(option, "must be there: without it the service does not start")
    if path == "~":
        target.lost(option, "was the user's home", "write the path as cwd")
        return
    target.put(option, "cwd", literal(path))


def _output(option: Option, target: Target) -> None:
    """`file:` and `append:`: `log.file`; `journal`: `log.journald`; `syslog`: `log.syslog`;
    `null`: `log.file = "none"`
    """
    kind, _, path = text(option.value).strip().partition(":")
    if kind in ("file", "append", "truncate") and path:
        target.put(option, "log.file", literal(path))
        if kind != "append":
            target.changed(option, "lines are added to the file, which is rotated")
    elif kind == "null":
        target.put(option, "log.file", "none")
    elif kind.startswith("journal"):
        target.put(option, "log.journald", True)
    elif kind.startswith("syslog"):
        target.put(option, "log.syslog", "/dev/log")
    elif kind == "inherit":
        target.kept(option, "output goes where [log] says")
    else:
        target.lost(option, f"sent output to {kind}", "see [service.NAME.log]")


def _error_output(option: Option, target: Target) -> None:
    """`inherit`: nothing to write; else **lost**: both streams go to one file"""
    value = text(option.value).strip()
    if value in ("inherit", "journal"):
        target.kept(option, "both streams go the same way")
    else:
        target.lost(
            option,
            "sent errors another way",
            "both streams go to one file; JSON lines (log.format) tell them apart",
        )


def _kill_mode(option: Option, target: Target) -> None:
    """`mixed`: nothing to write; `control-group`, the default: `stop_group`; `process` and `none`
    are **lost**
    """
    word = text(option.value).strip()
    if word == "control-group":
        target.kept(option, "stop_group: the stop signal to all, then KILL to what is left")
        return
    target.values.pop("stop_group", None)
    if word == "mixed":
        target.kept(option, "exactly so: the stop signal to the process, then KILL to the rest")
    else:
        target.lost(option, f"{word} let processes live on", "nothing of a service survives a stop")


def _notify_access(option: Option, target: Target) -> None:
    """any process of the service may notify"""
    target.changed(option, "any process of the service may notify")


def _elsewhere(shown: str) -> Rule:
    """Takes part in more than one setting: see `TOGETHER` and services.py."""
    return described(shown, unneeded(shown))


SERVICE: Final[dict[str, Rule]] = {
    "Type": _type,
    "Restart": _restart,
    "RestartSec": _restart_pause,
    "StartLimitBurst": burst,
    **for_each("StartLimitIntervalSec StartLimitInterval", interval),
    "SuccessExitStatus": _codes("restart.success_codes", (0,)),
    "RestartPreventExitStatus": _codes("restart.stop_codes", ()),
    "RestartForceExitStatus": lost("always started it again after these", "see restart.policy"),
    **for_each(
        "RestartSteps RestartMaxDelaySec RestartMode",
        lost("shaped the pauses", "restart.factor and restart.max_delay"),
    ),
    "TimeoutStartSec": _seconds("ready.start_timeout"),
    "TimeoutStopSec": _seconds("stop_timeout"),
    "RuntimeMaxSec": differs(
        "max_age",
        lambda value: finite_timespan(parse_timespan(text(value))),
        "a process of that age is replaced, without a pause in between",
    ),
    "RuntimeRandomizedExtraSec": _seconds("max_age_spread"),
    "WatchdogSec": _seconds("watchdog"),
    "KillSignal": keep("stop_signal", signal_name),
    "KillMode": _kill_mode,
    "SendSIGKILL": lost_if(
        lambda value: not boolean(value), "never killed", "stop_timeout can be long", "so it is"
    ),
    "SendSIGHUP": lost_if(boolean, "sent HUP after the stop signal", "stop_signal", "was off"),
    **for_each(
        "RestartKillSignal FinalKillSignal WatchdogSignal TimeoutAbortSec TimeoutCleanSec "
        "TimeoutStartFailureMode TimeoutStopFailureMode ReloadSignal",
        lost("named other signals or times", "stop_signal and stop_timeout; KILL comes last"),
    ),
    "NotifyAccess": _notify_access,
    "ExitType": mapped("labels.exit_type", {"main": "main"}),
    "PIDFile": lost(
        "told the pid of a program in the background", "start the program in the foreground"
    ),
    **for_each("GuessMainPID NonBlocking", unneeded("has no meaning here")),
    "RemainAfterExit": unneeded("a one-shot that ended with 0 counts as done"),
    "BusName": lost("made the D-Bus name the sign of being ready", "use a `ready` check"),
    "FileDescriptorStoreMax": keep("fd_store", integer),
    "FileDescriptorStorePreserve": fd_store_preserve,
    "OpenFile": lost("opened a file for the program", "let it open the file, or name a socket"),
    "OOMPolicy": lost("said what to do when memory ran out", "the exit says so; restart.policy"),
    "WorkingDirectory": _directory,
    "User": keep("user"),
    "Group": keep("group"),
    "SupplementaryGroups": lost(
        "added groups", "a service has all groups of its user: add the user to them"
    ),
    "DynamicUser": lost_if(
        boolean, "made a user for each run", "make a user, and set user = ...", "was off"
    ),
    "UMask": keep("umask", octal),
    "Nice": keep("nice", integer),
    "OOMScoreAdjust": keep("oom_score", integer),
    "NoNewPrivileges": keep("no_new_privs", boolean),
    "CapabilityBoundingSet": _elsewhere(
        "`capabilities` of root; another user's are those of `AmbientCapabilities`. A list that "
        "begins with ~ is **lost**"
    ),
    "AmbientCapabilities": _elsewhere("`capabilities`, with `User`; else **lost**"),
    "StandardInput": standard_input,
    "StandardOutput": _output,
    "StandardError": _error_output,
    "LogRateLimitIntervalSec": lost("bounded lines in the journal", "log.rate bounds bytes"),
    "LogRateLimitBurst": lost("bounded lines in the journal", "log.rate bounds bytes"),
    **for_each(
        "SyslogIdentifier SyslogFacility SyslogLevel SyslogLevelPrefix LogLevelMax LogExtraFields "
        "LogNamespace LogFilterPatterns StandardInputText StandardInputData",
        lost("shaped the lines in the journal", "each line carries the service's name"),
    ),
    **LIMITS,
    **for_each("MemoryMax MemoryLimit", _memory),
    "MemoryHigh": lost(
        "slowed the service down above this", "limits.memory_soft replaces a process gently"
    ),
    "CPUQuota": _quota,
    "TasksMax": _tasks,
    **for_each(
        "MemoryAccounting CPUAccounting TasksAccounting IOAccounting IPAccounting",
        unneeded("figures of every process are always collected"),
    ),
    **for_each("SystemCallErrorNumber", SANDBOX),
    "UnsetEnvironment": lost("took variables away", "clean_env = true starts with none"),
    "RuntimeDirectory": lost(
        "made folders in /run", "make them in a one-shot, or with systemd-tmpfiles"
    ),
    **for_each(
        "StateDirectory CacheDirectory LogsDirectory ConfigurationDirectory",
        lost("made folders for the service", "make them once, owned by its user"),
    ),
    "ExecCondition": lost(
        "skipped the start, without a failure, when it failed", "make it part of the command"
    ),
    "ExecStartPost": _elsewhere("`hooks.after_start`"),
    "ExecStop": _elsewhere("`hooks.before_stop`; one that uses $MAINPID is **lost**"),
    "ExecStopPost": _elsewhere("`hooks.after_reap`: after every end of a process"),
    "ExecStart": _elsewhere("`command`; several of a oneshot one after the other, by a shell"),
    "ExecStartPre": _elsewhere("a one-shot of its own, which the service `needs`"),
    "ExecReload": _elsewhere("`kill -SIGNAL $MAINPID`: `reload_signal`; else **lost**"),
    **for_each("Environment PassEnvironment", _elsewhere("`env`")),
    "EnvironmentFile": _elsewhere("`env_files`"),
    "Sockets": _elsewhere("`sockets`"),
    "TimeoutSec": _elsewhere("`stop_timeout` and `ready.start_timeout`"),
}
COMBINED: Final = frozenset(
    (
        "ExecStart ExecStartPre ExecStartPost ExecStop ExecStopPost ExecReload Environment "
        "EnvironmentFile PassEnvironment Sockets TimeoutSec CapabilityBoundingSet "
        "AmbientCapabilities"
    ).split()
)
