"""What one service's settings must not say together."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from chapiteau.core.fields import Path
from chapiteau.core.problems import did_you_mean
from chapiteau.core.variables import variable_names
from chapiteau.run.config.cron import parse_schedule
from chapiteau.run.config.spec import Check, Logs, Service

__all__ = [
    "SERVICE_RULES",
    "Violation",
    "capability_name",
    "is_octal",
    "log_rules",
    "resource_limit",
    "signal_name",
]


# Names that the operating system gives meaning to: signals, capabilities, octal modes.

# Linux, x86 and ARM. `signal` is not asked: logic touches no module that can act.
_SIGNALS: Final = frozenset(
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP "
    "TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split()
)
_REALTIME: Final = re.compile(r"RTM(?:IN(?:\+\d{1,2})?|AX(?:-\d{1,2})?)")
_CAPABILITIES: Final = frozenset(
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable "
    "net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio "
    "sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog "
    "wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore".split()
)

_RLIMITS: Final = frozenset(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending "
    "stack".split()
)
_RLIMIT: Final = re.compile(r"(?:unlimited|\d+)(?::(?:unlimited|\d+))?")


def resource_limit(name: str, value: int | str) -> None:
    """Raises ValueError when there is no such limit, or none such."""
    if name not in _RLIMITS:
        raise ValueError(f"{name!r} is not a limit; known: {', '.join(sorted(_RLIMITS))}")
    if isinstance(value, bool) or not _RLIMIT.fullmatch(str(value)):
        raise ValueError(f'{value!r} is not a number, "unlimited" or "soft:hard"')


def signal_name(text: str) -> str:
    """ "TERM" for "term", "SIGTERM" or "TERM"; numbers stay numbers. Raises ValueError."""
    name = text.strip().upper().removeprefix("SIG")
    if name in _SIGNALS or _REALTIME.fullmatch(name):
        return name
    if name.isdigit() and 1 <= int(name) <= 64:
        return name
    raise ValueError(f"{text!r} is not a signal; write for example TERM, HUP or RTMIN+1")


def capability_name(text: str) -> str:
    """ "net_bind_service" for "CAP_NET_BIND_SERVICE". Raises ValueError."""
    name = text.strip().lower().removeprefix("cap_")
    if name not in _CAPABILITIES:
        raise ValueError(f"{text!r} is not a capability; write for example net_bind_service")
    return name


def is_octal(text: str) -> bool:
    """Whether this is a file mode like "0660"."""
    return re.fullmatch(r"(?:0o)?[0-7]{3,4}", text) is not None


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that is broken at `path`; `also` are the other places that take part."""

    path: Path
    what: str
    hint: str = ""
    also: tuple[Path, ...] = ()


Found = Iterator[Violation]
_APP: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_ENV_NAME: Final = re.compile(r"[^=\x00\s]+")
_SYSLOG: Final = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):\d{1,5}|[\d.]+|localhost")
_ADDRESS: Final = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[^\s:/]+):(?:\d{1,5}|\$\{[^}]*\})|\$\{[^}]*\}")


def _program(service: Service) -> Found:
    if service.command and service.app:
        yield Violation(("app",), "a service has a command or an app, not both", "take one out")
    elif not service.command and not service.app:
        yield Violation((), "has neither `command` nor `app`", "say what to run: command = [...]")
    if service.app and not _APP.fullmatch(service.app):
        yield Violation(
            ("app",), f"{service.app!r} is not module:factory", 'write app = "shop:main"'
        )
    if service.app and not service.sockets:
        yield Violation(("app",), "needs a socket to listen on", "add sockets = [NAME]")
    if service.shell and (service.app or not isinstance(service.command, str)):
        yield Violation(("shell",), "takes a command that is one string")
    yield from _command_line(service)


def _command_line(service: Service) -> Found:
    if isinstance(service.command, str) and service.command and not service.shell:
        try:
            if not shlex.split(service.command):
                yield Violation(("command",), "is empty")
        except ValueError as exc:
            yield Violation(("command",), f"can't be split into words: {exc}", "close the quote")
    text = service.command if isinstance(service.command, str) else " ".join(service.command)
    if "\x00" in text:
        yield Violation(("command",), "holds a NUL byte")
    if service.stdin != "null" and service.stdin_socket:
        yield Violation(("stdin",), "standard input is a socket already", also=(("stdin_socket",),))
    for name in variable_names(text):
        kind, _, rest = name.partition(".")
        wanted = rest.rpartition(".")[0]
        given = (*service.sockets, service.stdin_socket)
        if kind == "socket" and rest.endswith(".fd") and wanted not in given:
            hint = f'add sockets = ["{wanted}"]'
            yield Violation(("command",), f"uses ${{{name}}}, but is not given that socket", hint)


def _life(service: Service) -> Found:
    if service.on_demand and not (service.sockets or service.stdin_socket):
        yield Violation(("on_demand",), "needs a socket to wait at", "add sockets = [NAME]")
    if service.idle_stop and not service.on_demand:
        yield Violation(("idle_stop",), "is for services with on_demand = true")
    if service.one_shot and service.processes != 1:
        yield Violation(("processes",), "a one-shot runs once: in one process")
    if service.one_shot and service.scaling:
        yield Violation(("scaling",), "a one-shot runs once: it has nothing to scale")
    if service.before_reload and not service.one_shot:
        yield Violation(("before_reload",), "is for services with one_shot = true")
    if service.one_shot and service.on_demand:
        yield Violation(("on_demand",), "a one-shot can't wait for connections")
    if service.max_age_spread and not service.max_age:
        yield Violation(("max_age_spread",), "means nothing without max_age")
    if service.schedule:
        try:
            parse_schedule(service.schedule)
        except ValueError as exc:
            yield Violation(("schedule",), str(exc))


def _names(service: Service) -> Found:
    for key in ("stop_signal", "reload_signal"):
        value = getattr(service, key)
        try:
            if value:
                signal_name(value)
        except ValueError as exc:
            yield Violation((key,), str(exc))
    for index, name in enumerate(service.capabilities or ()):
        try:
            capability_name(name)
        except ValueError as exc:
            yield Violation(("capabilities", index), str(exc))
    for name, value in service.limits.rlimits.items():
        try:
            resource_limit(name, value)
        except ValueError as exc:
            yield Violation(("limits", "rlimits", name), str(exc))
    if service.umask and not is_octal(service.umask):
        yield Violation(("umask",), f'{service.umask!r} is not octal like "027"')


def _environment(service: Service) -> Found:
    for name, value in service.env.items():
        if not _ENV_NAME.fullmatch(name):
            yield Violation(("env", name), "is not a usable name of a variable")
        if isinstance(value, str):
            if "\x00" in value:
                yield Violation(("env", name), "holds a NUL byte")
        elif bool(value.file) == bool(value.env):
            yield Violation(("env", name), 'a secret has either {file = "…"} or {env = "…"}')


def _ready(service: Service) -> Found:
    ready = service.ready
    kinds = ready.kinds
    if len(kinds) > 1:
        yield Violation(("ready",), f"takes one kind of check, not {' and '.join(kinds)}")
    if service.one_shot and kinds:
        yield Violation(("ready",), "a one-shot is done when it ends with 0: take this out")
    own = [name for name in (*service.sockets, service.stdin_socket) if name]
    if ready.accept and ready.accept not in own:
        hint = did_you_mean(ready.accept, own) if own else 'name one: sockets = ["web"]'
        yield Violation(("ready", "accept"), f"the service has no socket {ready.accept!r}", hint)
    yield from _probe(("ready",), ready)


def _live(service: Service) -> Found:
    if service.live is None:
        return
    kinds = service.live.kinds
    if len(kinds) != 1:
        yield Violation(("live",), "takes exactly one of http, tcp and exec")
    for kind in kinds:
        if kind in {"notify", "log", "accept", "alive"}:
            hint = "use `watchdog` for that" if kind == "notify" else "use http, tcp or exec"
            yield Violation(("live", kind), "says nothing about a process that already runs", hint)
    yield from _probe(("live",), service.live)


def _probe(path: Path, check: Check) -> Found:
    if check.http and not check.http.startswith(("http://", "https://", "socket:")):
        hint = 'write "http://127.0.0.1:8000/ready" or "socket:NAME/ready"'
        yield Violation((*path, "http"), f"{check.http!r} is not an URL", hint)
    if check.tcp and not _ADDRESS.fullmatch(check.tcp):
        yield Violation((*path, "tcp"), f"{check.tcp!r} is not host:port")
    if check.log:
        yield from _regex((*path, "log"), check.log)


def _regex(path: Path, text: str) -> Found:
    try:
        re.compile(text)
    except re.error as exc:
        yield Violation(path, f"is not a regular expression: {exc}")


def _amounts(service: Service) -> Found:
    scaling, limits, restart = service.scaling, service.limits, service.restart
    if scaling and scaling.min > scaling.max:
        yield Violation(("scaling", "min"), f"is above max ({scaling.max})")
    elif scaling and not scaling.min <= service.processes <= scaling.max:
        yield Violation(
            ("processes",),
            f"{service.processes} is not between scaling.min ({scaling.min}) and "
            f"scaling.max ({scaling.max})",
        )
    if scaling and scaling.low >= scaling.high:
        yield Violation(("scaling", "low"), f"is not below high ({scaling.high:g})")
    if scaling and scaling.metric == "queue" and not service.sockets:
        yield Violation(("scaling", "metric"), "the queue is a socket's: add sockets = [NAME]")
    if limits.memory and limits.memory_soft >= limits.memory:
        yield Violation(
            ("limits", "memory_soft"), "is not below limits.memory: it never acts first"
        )
    for key in ("delay", "min_delay"):
        if getattr(restart, key) > restart.max_delay:
            yield Violation(("restart", key), "is longer than restart.max_delay")


def _output(service: Service) -> Found:
    if service.log:
        yield from (replace(b, path=("log", *b.path)) for b in log_rules(service.log))


def log_rules(log: Logs) -> Found:
    """What needs lines, and would be left undone without them; and where they can't go."""
    if log.syslog and not log.syslog.startswith("/") and not _SYSLOG.fullmatch(log.syslog):
        hint = 'write "/dev/log", "127.0.0.1:514", "[::1]:514" or "logs.example.org:514"'
        yield Violation(("syslog",), f"{log.syslog!r} is no absolute path and no host:port", hint)
    if log.multiline:
        yield from _regex(("multiline",), log.multiline)
    if log.mode == "raw":
        hint = 'set mode = "line" beside it'
        if log.format == "json":
            yield Violation(("format",), 'JSON lines need mode = "line"')
        if log.file not in ("", "none"):
            yield Violation(("file",), 'a file of its own needs mode = "line"', hint=hint)
        for key in ("syslog", "journald"):
            if getattr(log, key):
                yield Violation((key,), f'{key} takes lines: it needs mode = "line"', hint=hint)


SERVICE_RULES: Final[tuple[Callable[[Service], Found], ...]] = (
    _program,
    _life,
    _names,
    _environment,
    _ready,
    _live,
    _amounts,
    _output,
)
