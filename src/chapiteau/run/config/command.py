"""From a service as written to what is really started: words, descriptors and the exec chain."""

import functools
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chapiteau.core.variables import substitute
from chapiteau.run.config.service_rules import capability_name
from chapiteau.run.config.spec import Limits, Service

__all__ = [
    "BoundSocket",
    "Command",
    "CommandContext",
    "cgroup_limits",
    "command_of",
    "shown_command",
    "split_command",
    "values_of",
]

FIRST_FD = 3  # systemd's SD_LISTEN_FDS_START
_NUMBERED = re.compile(r"(?<!\$)\$\{socket\.[^}]*\.fd\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSocket:
    """A bound socket as a command line may name it."""

    address: str
    port: int
    stored: str  # the keeper's name for the descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandContext:
    """What is known only when a process is started."""

    service: str
    number: int
    python: str
    folder: Path = Path()  # the configuration file's: a relative virtualenv is in it
    sockets: Mapping[str, BoundSocket] = field(default_factory=dict)
    keeper_no_new_privs: bool = False
    uid: int | None = None  # of `user`, resolved
    gid: int | None = None  # of `group`, or the user's own
    listed: bool = True  # whether the user has an entry in passwd, with groups
    left: tuple[tuple[str, str], ...] = ()  # descriptors of an earlier life: (stored, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """Words to run (the first still to be looked up in PATH), and descriptors: (stored, target)."""

    argv: tuple[str, ...]
    program: str  # the user's own program: what to look up and to complain about
    fds: tuple[tuple[str, int], ...]
    listen: tuple[str, ...]  # names of the sockets at 3, 4, 5 …


def shown_command(service: Service) -> str:
    """The command for people."""
    if service.app:
        return f"app {service.app}"
    return service.command if isinstance(service.command, str) else shlex.join(service.command)


def command_of(service: Service, place: CommandContext) -> Command:
    """What to exec for one process, wrapped so that limits, user and rights are set before it."""
    values = values_of(service, place)
    own = [substitute(word, values) for word in _program_argv(service, place)]
    fds = [
        (place.sockets[name].stored, FIRST_FD + index) for index, name in enumerate(service.sockets)
    ]
    first = FIRST_FD + len(service.sockets)
    fds += [(stored, first + index) for index, (stored, _) in enumerate(place.left)]
    if service.stdin_socket:
        fds.append((place.sockets[service.stdin_socket].stored, 0))
    chain = [
        *_limits_words(service.limits),
        *(["nice", "-n", str(service.nice)] if service.nice else []),
        *_privilege_words(service, place),
        *(_LISTEN_PID if _takes_by_protocol(service, place) else ()),
    ]
    return Command(
        argv=(*chain, *own),
        program=own[0] if own else "",
        fds=tuple(fds),
        listen=(*service.sockets, *(name for _, name in place.left)),
    )


def _takes_by_protocol(service: Service, place: CommandContext) -> bool:
    """Whether it is to find its sockets by LISTEN_FDS. One that is told their numbers would take
    them twice, as gunicorn does, and so fail: without LISTEN_PID the protocol says that they are
    not meant for it."""
    if service.app or not (service.sockets or place.left):
        return False
    words = [service.command] if isinstance(service.command, str) else service.command
    told = [*words, *(value for value in service.env.values() if isinstance(value, str))]
    return bool(place.left) or not any(_NUMBERED.search(text) for text in told)


# systemd's protocol wants LISTEN_PID to be the program's own pid, which is known only after fork:
# the shell fills it in and becomes the program. Our own worker does without.
_LISTEN_PID = ("/bin/sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', "sh")


def _program_argv(service: Service, place: CommandContext) -> list[str]:
    if service.app:
        home = place.folder / service.virtualenv
        python = str(home.absolute() / "bin/python") if service.virtualenv else place.python
        serve = [python, "-m", "chapiteau", "service", "serve", service.app]
        return [*serve, "--threads", str(service.threads)]
    if service.shell:
        text = service.command if isinstance(service.command, str) else shlex.join(service.command)
        return ["/bin/sh", "-c", text]
    return list(split_command(service.command))


@functools.lru_cache(maxsize=1024)
def split_command(command: str | tuple[str, ...]) -> tuple[str, ...]:
    """A command's words, whether it is written as a line or as a list."""
    return _split(command) if isinstance(command, str) else tuple(command)


def _split(text: str) -> tuple[str, ...]:
    return tuple(shlex.split(text))


def values_of(service: Service, place: CommandContext) -> dict[str, str]:
    """What `${…}` stands for where this service is started."""
    values = {
        "service.name": place.service,
        "process.number": str(place.number),
        "python": place.python,
    }
    for index, name in enumerate(service.sockets):
        values[f"socket.{name}.fd"] = str(FIRST_FD + index)
    for name, fact in place.sockets.items():
        values[f"socket.{name}.port"] = str(fact.port)
        values[f"socket.{name}.address"] = fact.address
    return values


def cgroup_limits(limits: Limits) -> dict[str, str]:
    """Files of cgroup v2 and what to write into them (kernel docs, cgroup-v2.rst)."""
    wanted = {}
    if limits.memory:
        wanted["memory.max"] = str(limits.memory)
    if limits.cpu:
        wanted["cpu.max"] = f"{round(limits.cpu * 100_000)} 100000"
    if limits.pids:
        wanted["pids.max"] = str(limits.pids)
    return wanted


def _limits_words(limits: Limits) -> list[str]:
    """`prlimit` (util-linux) with every limit that was asked for; both soft and hard."""
    wanted: list[tuple[str, int | None]] = [
        ("nofile", limits.open_files or None),
        ("nproc", limits.processes or None),
        ("core", limits.core),
        ("stack", limits.stack or None),
        ("fsize", limits.file_size or None),
        ("as", limits.address_space or None),
    ]
    words = [f"--{name}={value}:{value}" for name, value in wanted if value is not None]
    words += [f"--{name}={value}" for name, value in limits.rlimits.items()]
    return ["prlimit", *words] if words else []


def _privilege_words(service: Service, place: CommandContext) -> list[str]:
    """`setpriv` (util-linux): groups, then user, then capabilities, then no_new_privs; it fails
    closed: when a step is refused, nothing is started."""
    words: list[str] = []
    if place.uid is not None:
        words += [f"--reuid={place.uid}", f"--regid={place.gid}"]
        words.append("--init-groups" if place.listed else "--clear-groups")
    elif place.gid is not None:
        words += [f"--regid={place.gid}", "--clear-groups"]
    if service.capabilities is not None:
        kept = ",".join(["-all", *(f"+{capability_name(name)}" for name in service.capabilities)])
        words += [f"--inh-caps={kept}", f"--bounding-set={kept}"]
        if place.uid:
            words.append(f"--ambient-caps={kept}")
    elif place.uid:
        words += ["--inh-caps=-all", "--bounding-set=-all"]
    if service.no_new_privs and not place.keeper_no_new_privs:
        words.append("--no-new-privs")
    return ["setpriv", *words, "--"] if words else []
