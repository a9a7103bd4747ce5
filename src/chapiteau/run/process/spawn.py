"""Starts one process through the keeper: looks everything up first, so that errors have names."""

import errno
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.run.config.command import (
    BoundSocket,
    Command,
    CommandContext,
    cgroup_limits,
    command_of,
)
from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError, TooLargeError
from chapiteau.run.process.environment import (
    inheritable,
    merge_environment,
    parse_env_file,
    read_secrets,
)
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.process import Process
from chapiteau.run.system.accounts import account_environment, has_account, user_ids
from chapiteau.run.system.cgroups import Cgroups
from chapiteau.run.system.runtime_dirs import metrics_dir
from chapiteau.run.system.signal_numbers import stop_settings

__all__ = ["SpawnContext", "Spawner", "find_program", "read_env_file"]


@dataclass(slots=True, kw_only=True)
class SpawnContext:
    """What every process of this supervisor shares."""

    folder: Path  # of chapiteau.toml
    run_dir: Path
    notify_path: Path  # in a folder where other users may come too (run/system/runtime_dirs.py)
    cgroups: Cgroups
    name: str = ""  # of this supervisor, among all that ever run here
    keeper_no_new_privs: bool = False
    limit: tuple[int, int] = (0, 0)  # RLIMIT_NOFILE that services get
    sockets: dict[str, BoundSocket] = field(default_factory=dict)
    per_process: dict[tuple[str, int], BoundSocket] = field(default_factory=dict)  # reuse_port
    # Binds what process `number` of a service must have of its own.
    provide: Callable[[Service, int], Awaitable[None]] | None = None
    # Descriptors that process `number` of a service has left: (the keeper's key, FDNAME).
    left_by: Callable[[str, int], tuple[tuple[str, str], ...]] = lambda name, number: ()
    inherited: Mapping[str, str] = field(default_factory=lambda: inheritable(os.environ))


class Spawner:
    """`spawn` gives the running process and its pipes, or says why not."""

    def __init__(self, link: KeeperLink, around: SpawnContext, clock: Clock) -> None:
        self.around = around
        self._link, self._clock = link, clock
        self._serial = 0
        self.asked: dict[str, Path | None] = {}  # asked for, not yet answered: key → its cgroup
        self._limits: dict[str, dict[str, str]] = {}
        self.on_missing: Callable[[str, list[str], str], None] = lambda name, files, why: None
        self._found: dict[tuple[str, str, Path], str] = {}
        self._cwds: dict[str, Path] = {}

    async def spawn(
        self, name: str, service: Service, number: int, generation: int
    ) -> tuple[Process, dict[str, int]]:
        """Start process `number` of a service. Raises SpawnError with stage, cause and hint."""
        self._serial += 1
        key = f"{name}.{number}.{int(self._clock.wall() * 1000):x}-{self._serial:x}"
        if service.sockets and self.around.provide is not None:
            await self.around.provide(service, number)
        request = self.request(name, service, number, key)
        self._limit(name, service)
        group = self.around.cgroups.make(name, key)
        if group is not None:
            request["cgroup"] = str(group)
            request["home_cgroup"] = str(self.around.cgroups.home)
        wall = self._clock.wall()
        memo = {"service": name, "number": number, "generation": generation,
                "cgroup": str(group) if group else "", "wall": wall,
                "tty": service.stdin == "tty",
                "stop": stop_settings(service)}  # fmt: skip
        self.asked[key] = group
        try:
            answer, fds = await self._link.ask("spawn", key=key, memo=memo, **request)
        except TooLargeError as exc:
            answer, fds = {"error": exc.what, "stage": "size"}, []
        del self.asked[key]
        if "error" in answer:
            if group is not None:
                self.around.cgroups.remove(group)
            raise _explain(name, request, answer)
        instance = Process(
            key=key,
            service=name,
            number=number,
            pid=answer["pid"],
            start=answer["start"],
            began=self._clock.now(),
            began_wall=wall,
            generation=generation,
            cgroup=group,
            on_terminal=service.stdin == "tty",
        )
        return instance, dict(zip(answer["pipes"], fds, strict=True))

    def request(self, name: str, service: Service, number: int, key: str) -> dict[str, Any]:
        """The keeper's message for one process. Raises SpawnError."""
        command = self.command(name, service, number)
        env = self.environment(name, service, number, key)
        cwd = self.cwd(service)
        if not os.path.isdir(cwd):  # noqa: PTH112 — at each start of a process
            raise SpawnError(
                f"{name}: the working directory {cwd} does not exist",
                hint=f"create it, or change service.{name}.cwd",
            )
        path = env.get("PATH", os.defpath)
        self._look_up(name, command.program, path, cwd)
        first = self._look_up(name, command.argv[0], path, cwd)
        base = self.around.inherited
        return {
            "argv": [first, *command.argv[1:]],
            "env": {k: v for k, v in env.items() if base.get(k) != v},
            "unset": [k for k in base if k not in env],
            "cwd": str(cwd),
            "fds": [*command.fds, *([("null", 0)] if _has_no_input(service) else [])],
            "pipes": _PIPES[service.stdin],
            **({"tty": _owner(name, service)} if service.stdin == "tty" else {}),
            "umask": int(service.umask, 8) if service.umask else None,
            "oom_score": service.oom_score,
        }

    def _limit(self, name: str, service: Service) -> None:
        """Set the service's cgroup limits, once; what can't be had is told, not ignored."""
        wanted = cgroup_limits(service.limits)
        if self._limits.get(name, {}) == wanted:
            return
        self._limits[name] = wanted
        missing = self.around.cgroups.limit(name, wanted)
        if missing:
            self.on_missing(name, missing, self.around.cgroups.why_unlimited(missing))

    def _look_up(self, name: str, program: str, path: str, cwd: Path) -> str:
        """As `look_up`, remembered; a file that has gone meanwhile is looked for anew."""
        found = self._found.get((program, path, cwd), "")
        if not found or not os.access(found, os.X_OK):
            found = self._found[program, path, cwd] = find_program(name, program, path, cwd)
        return found

    def cwd(self, service: Service) -> Path:
        """The working directory."""
        found = self._cwds.get(service.cwd)
        if found is None:
            found = self._cwds[service.cwd] = (self.around.folder / service.cwd).absolute()
        return found

    def command(self, name: str, service: Service, number: int) -> Command:
        """The words and descriptors of one process. Raises SpawnError."""
        sockets = dict(self.around.sockets)
        for socket_name in service.sockets:
            own = self.around.per_process.get((socket_name, number))
            if own is not None:
                sockets[socket_name] = own
        wanted = [*service.sockets, *([service.stdin_socket] if service.stdin_socket else [])]
        missing = [s for s in wanted if s not in sockets]
        if missing:
            raise SpawnError(f"{name}: socket {missing[0]} is not bound", hint="see the events")
        uid, gid = user_ids(name, service)
        place = CommandContext(
            service=name,
            number=number,
            python=sys.executable,
            sockets=sockets,
            keeper_no_new_privs=self.around.keeper_no_new_privs,
            uid=uid,
            gid=gid,
            listed=has_account(uid),
            left=self._left_by(name, service, number),
        )
        return command_of(service, place)

    def _left_by(self, name: str, service: Service, number: int) -> tuple[tuple[str, str], ...]:
        return self.around.left_by(name, number) if service.fd_store else ()

    def environment(self, name: str, service: Service, number: int, key: str) -> dict[str, str]:
        """The final environment. Raises SpawnError."""
        try:
            env = merge_environment(
                service,
                inherited=self.around.inherited,
                account=account_environment(service),
                files=[read_env_file(name, self.around.folder, path) for path in service.env_files],
                secrets=read_secrets(service, self.around.folder),
                values=self.values(name, service, number),
                sockets=(
                    *service.sockets,
                    *(given for _, given in self._left_by(name, service, number)),
                ),
            )
        except ChapiteauError as exc:
            raise SpawnError(f"{name}: {exc.what}", hint=exc.hint) from exc
        # How an orphan is known again where there are no cgroups, or no supervisor any more.
        env |= {"CHAPITEAU_KEY": key, "CHAPITEAU_SUPERVISOR": self.around.name}
        env.setdefault("PYTHONUNBUFFERED", "1")  # else prints reach the pipe minutes late
        if service.live is not None or service.watchdog:
            env.setdefault("PYTHONFAULTHANDLER", "1")  # SIGABRT then tells every thread's stack
        if service.stdin == "tty":
            env.setdefault("TERM", "xterm-256color")
        if service.ready.notify or service.watchdog or service.app or service.fd_store:
            env["NOTIFY_SOCKET"] = str(self.around.notify_path)
        if service.app and _FIGURES not in env:
            figures = metrics_dir(self.around.notify_path.parent, name, *user_ids(name, service))
            env |= {_FIGURES: figures} if figures else {}
        if service.watchdog:
            env["WATCHDOG_USEC"] = str(int(service.watchdog * 1e6))
        return env

    def values(self, name: str, service: Service, number: int) -> dict[str, str]:
        """What `${…}` stands for at spawn time."""
        values = {"service.name": name, "process.number": str(number)}
        for index, socket_name in enumerate(service.sockets):
            values[f"socket.{socket_name}.fd"] = str(3 + index)
        for socket_name, fact in self.around.sockets.items():
            values[f"socket.{socket_name}.port"] = str(fact.port)
            values[f"socket.{socket_name}.address"] = fact.address
        return values


# Where the processes of a web service count together; service/directives.py reads it.
_FIGURES: Final = "CHAPITEAU_METRICS_FOLDER"
_PIPES: Final = {"null": ["out", "err"], "pipe": ["in", "out", "err"], "tty": []}


def _has_no_input(service: Service) -> bool:
    return service.stdin == "null" and not service.stdin_socket


def _owner(name: str, service: Service) -> list[int] | None:
    """Whose terminal it is; None where it stays the supervisor's."""
    uid, gid = user_ids(name, service)
    return None if uid is None else [uid, -1 if gid is None else gid]


def read_env_file(name: str, folder: Path, written: str) -> dict[str, str]:
    """The variables of one of a service's `env_files`; after a `-` it may be missing.

    Raises SpawnError.
    """
    path = folder / written.removeprefix("-")
    try:
        return parse_env_file(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        if written.startswith("-"):
            return {}
        hint = f'create it; env_files = ["-{written}"] does without'
        raise SpawnError(f"{name}: {path}: {exc.strerror}", hint=hint) from exc
    except OSError as exc:
        raise SpawnError(f"{name}: {path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise SpawnError(f"{name}: {path}: {exc}") from exc


def find_program(name: str, program: str, path: str, cwd: Path) -> str:
    """The absolute path of a program as this service would find it. Raises SpawnError."""
    where = str(cwd / program) if "/" in program else program
    if "/" not in program:
        import shutil

        if (found := shutil.which(program, path=path)) is not None:
            return found if found.startswith("/") else str(cwd / found)
    if "/" in program and os.access(where, os.X_OK) and not Path(where).is_dir():
        return where
    if "/" in program and Path(where).exists():
        hint = f"chmod +x {where}, or start it through its interpreter"
        raise SpawnError(f"{name}: {where} is not executable", hint=hint, shell_code=126)
    raise SpawnError(
        f"{name}: command not found: {program}",
        hint=f"PATH of the service is {path}" if "/" not in program else f"no file {where}",
        shell_code=127,
    )


def _explain(name: str, request: dict[str, Any], answer: dict[str, Any]) -> SpawnError:
    stage, why = answer.get("stage", ""), answer["error"]
    if stage == "size":
        hint = "keep large values in a file, and give its name"
        return SpawnError(f"{name}: its command line and environment are {why}", hint=hint)
    shown = {"exec": request["argv"][0], "cwd": request["cwd"]}.get(stage, stage)
    hint = "its first line may name an interpreter that is missing" if stage == "exec" else ""
    code = {errno.ENOENT: 127, errno.EACCES: 126, errno.ENOEXEC: 126}.get(answer.get("errno", 0))
    return SpawnError(f"{name}: cannot start {shown}: {why}", hint=hint, shell_code=code)
