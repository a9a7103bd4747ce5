"""Starting a process: everything is looked up first, so that errors have names."""

import errno
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chapiteau.core.clock import Clock
from chapiteau.core.errors import ChapiteauError
from chapiteau.core.problems import nearest
from chapiteau.io.toml_file import not_utf8
from chapiteau.run.config.command import (
    Command,
    CommandContext,
    cgroup_limits,
    command_of,
    values_of,
)
from chapiteau.run.config.spec import Service
from chapiteau.run.errors import SpawnError, TooLargeError
from chapiteau.run.keeper.frames import Deadlines, Memo, SpawnAnswer, SpawnRequest
from chapiteau.run.process.environment import (
    merge_environment,
    parse_env_file,
    read_secrets,
    without,
)
from chapiteau.run.process.fdstore import FdStore
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.process.process import NEVER, Process
from chapiteau.run.process.sockets import Sockets
from chapiteau.run.system.accounts import account_environment, has_account, user_ids
from chapiteau.run.system.cgroups import Cgroups
from chapiteau.run.system.runtime_dirs import metrics_dir
from chapiteau.run.system.signal_numbers import stop_settings

__all__ = ["SpawnContext", "Spawner", "deadlines_of", "find_program", "memo_of", "read_env_file"]

# Where the processes of a web service count together; the service wing's worker reads it.
_METRICS: Final = "CHAPITEAU_METRICS_FOLDER"
_PIPES: Final = {"null": ["out", "err"], "pipe": ["in", "out", "err"], "tty": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnContext:
    """What every process of this supervisor shares."""

    folder: Path  # of chapiteau.toml
    run_dir: Path
    notify_path: Path  # in a folder where other users may come too (run/system/runtime_dirs.py)
    cgroups: Cgroups
    name: str  # of this supervisor, among all that ever run here
    inherited: Mapping[str, str]  # environment
    withheld: Callable[[str], Collection[str]]  # by service: variables that it must not inherit
    keeper_pid: int
    no_new_privs: bool = False  # whether the keeper has given up gaining rights


class Spawner:
    """`spawn` has the keeper start a process, or says why not."""

    def __init__(
        self,
        link: KeeperLink,
        context: SpawnContext,
        sockets: Sockets,
        store: FdStore,
        clock: Clock,
        report_missing: Callable[[str, list[str], str], None],
    ) -> None:
        self.context = context
        self._link, self._sockets, self._store, self._clock = link, sockets, store, clock
        self._report_missing = report_missing
        self._serial = 0
        self._limits: dict[str, dict[str, str]] = {}
        self._programs: dict[tuple[str, str, Path], str] = {}
        self._folders: dict[str, Path] = {}

    def new_key(self, name: str, number: int) -> str:
        """A key that no process ever had."""
        self._serial += 1
        return f"{name}.{number}.{int(self._clock.wall() * 1000):x}-{self._serial:x}"

    async def spawn(self, process: Process) -> dict[str, int]:
        """Start it: its pipes by name. Raises SpawnError with stage, cause and hint."""
        name, service = process.service, process.spec
        if service.sockets:
            await self._sockets.provide(service, process.number)
        request = self.request(name, service, process.number, process.key)
        self._set_limits(name, service)
        cgroups = self.context.cgroups
        group = cgroups.make(name, process.key)
        process.placed(group)
        if group is not None:
            request["cgroup"], request["home_cgroup"] = str(group), str(cgroups.home)
        request["memo"] = memo_of(process)
        answer: SpawnAnswer
        try:
            answer, fds = await self._link.spawn(request)
        except TooLargeError as exc:
            answer, fds = {"error": exc.what, "stage": "size"}, []
        if "error" in answer:
            if group is not None:
                cgroups.remove(group)
            raise _explain(name, request, answer)
        process.started(answer["pid"], answer["start"], self._clock.now())
        return dict(zip(answer["pipes"], fds, strict=True))

    def request(self, name: str, service: Service, number: int, key: str) -> SpawnRequest:
        """The keeper's message for one process, without its cgroup. Raises SpawnError."""
        command = self.command(name, service, number)
        env = self.environment(name, service, number, key)
        cwd = self.cwd(service)
        if not os.path.isdir(cwd):  # noqa: PTH112 — at each start of a process
            raise SpawnError(
                f"{name}: the working directory {cwd} does not exist",
                hint=f"create it, or change service.{name}.cwd",
            )
        path = env.get("PATH", os.defpath)
        self._find(name, command.program, path, cwd)
        first = self._find(name, command.argv[0], path, cwd)
        base = self.context.inherited
        no_input = service.stdin == "null" and not service.stdin_socket
        request: SpawnRequest = {
            "key": key,
            "memo": {},  # type: ignore[typeddict-item]  # filled in by `spawn`
            "argv": [first, *command.argv[1:]],
            "env": {k: v for k, v in env.items() if base.get(k) != v},
            "unset": [k for k in base if k not in env],
            "cwd": str(cwd),
            "fds": [*command.fds, *([("null", 0)] if no_input else [])],
            "pipes": _PIPES[service.stdin],
            "umask": int(service.umask, 8) if service.umask else None,
            "oom_score": service.oom_score,
            "cgroup": "",
            "home_cgroup": "",
        }
        if service.stdin == "tty":
            uid, gid = user_ids(name, service)
            request["tty"] = None if uid is None else [uid, -1 if gid is None else gid]
        return request

    def _set_limits(self, name: str, service: Service) -> None:
        """Set the service's cgroup limits, once; what can't be had is told, not ignored."""
        wanted = cgroup_limits(service.limits)
        if self._limits.get(name, {}) == wanted:
            return
        self._limits[name] = wanted
        missing = self.context.cgroups.limit(name, wanted)
        if missing:
            self._report_missing(name, missing, self.context.cgroups.why_unlimited(missing))

    def _find(self, name: str, program: str, path: str, cwd: Path) -> str:
        """As `find_program`, remembered; a file that has gone is looked for anew."""
        found = self._programs.get((program, path, cwd), "")
        if not found or not os.access(found, os.X_OK):
            found = self._programs[program, path, cwd] = find_program(name, program, path, cwd)
        return found

    def cwd(self, service: Service) -> Path:
        """The working directory."""
        found = self._folders.get(service.cwd)
        if found is None:
            found = self._folders[service.cwd] = (self.context.folder / service.cwd).absolute()
        return found

    def addresses(self) -> dict[str, str]:
        """Where each socket is bound: host:port or a path."""
        return {name: fact.address for name, fact in self._sockets.facts.items()}

    def command(self, name: str, service: Service, number: int) -> Command:
        """The command line and descriptors of one process. Raises SpawnError."""
        return command_of(service, self._command_context(name, service, number))

    def _command_context(self, name: str, service: Service, number: int) -> CommandContext:
        sockets = self._sockets.seen_by(service, number)
        wanted = [*service.sockets, *([service.stdin_socket] if service.stdin_socket else [])]
        missing = [s for s in wanted if s not in sockets]
        if missing:
            raise SpawnError(f"{name}: socket {missing[0]} is not bound", hint="see the events")
        uid, gid = user_ids(name, service)
        return CommandContext(
            service=name,
            number=number,
            python=sys.executable,
            folder=self.context.folder,
            sockets=sockets,
            keeper_no_new_privs=self.context.no_new_privs,
            uid=uid,
            gid=gid,
            listed=has_account(uid),
            left=self._stored(name, service, number),
        )

    def _stored(self, name: str, service: Service, number: int) -> tuple[tuple[str, str], ...]:
        return self._store.names(name, number) if service.fd_store else ()

    def environment(self, name: str, service: Service, number: int, key: str) -> dict[str, str]:
        """The final environment. Raises SpawnError."""
        try:
            env = merge_environment(
                service,
                inherited=without(self.context.inherited, self.context.withheld(name)),
                folder=self.context.folder,
                account=account_environment(service),
                files=[
                    read_env_file(name, self.context.folder, path) for path in service.env_files
                ],
                secrets=read_secrets(service, self.context.folder),
                values=self.values(name, service, number),
                sockets=(
                    *service.sockets,
                    *(given for _, given in self._stored(name, service, number)),
                ),
            )
        except ChapiteauError as exc:
            raise SpawnError(f"{name}: {exc.what}", hint=exc.hint) from exc
        # How an orphan is known again where there are no cgroups, or no supervisor any more.
        env |= {"CHAPITEAU_KEY": key, "CHAPITEAU_SUPERVISOR": self.context.name}
        env.setdefault("PYTHONUNBUFFERED", "1")  # else prints reach the pipe minutes late
        if service.live is not None or service.watchdog:
            env.setdefault("PYTHONFAULTHANDLER", "1")  # SIGABRT then tells every thread's stack
        if service.stdin == "tty":
            env.setdefault("TERM", "xterm-256color")
        if service.ready.notify or service.watchdog or service.app or service.fd_store:
            env["NOTIFY_SOCKET"] = str(self.context.notify_path)
        if service.app and _METRICS not in env:
            figures = metrics_dir(self.context.notify_path.parent, name, *user_ids(name, service))
            env |= {_METRICS: figures} if figures else {}
        if service.watchdog:
            env["WATCHDOG_USEC"] = str(int(service.watchdog * 1e6))
        return env

    def values(self, name: str, service: Service, number: int) -> dict[str, str]:
        """What `${…}` stands for at spawn time."""
        place = CommandContext(
            service=name, number=number, python=sys.executable, sockets=self._sockets.facts
        )
        return values_of(service, place)


def memo_of(process: Process) -> Memo:
    """What the keeper notes of it for a later brain; `deadlines_of` adds to it."""
    return {
        "service": process.service,
        "number": process.number,
        "generation": process.generation,
        "cgroup": str(process.cgroup or ""),
        "wall": process.began_wall,
        "tty": process.on_terminal,
        "stop": stop_settings(process.spec),
        "ready": process.ready,
        "candidate": process.candidate,
    }


def deadlines_of(process: Process, clock: Clock) -> Deadlines:
    """Until when it has time to become ready or to end, as a memo has it."""
    later = clock.wall() - clock.now()
    if process.stop_sent and process.stop_by == NEVER:
        return {"stop_by": clock.wall()}  # killed already
    if process.stop_sent:
        return {"stop_by": process.stop_by + later}
    return {} if process.ready_by == NEVER else {"ready_by": process.ready_by + later}


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
    except UnicodeDecodeError as exc:
        raise SpawnError(f"{name}: {path}: {not_utf8(exc)}") from exc
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
    hint = f"no file {where}" if "/" in program else _similar(program, path)
    raise SpawnError(f"{name}: command not found: {program}", hint=hint, shell_code=127)


def _similar(program: str, path: str) -> str:
    """What to do about a program that PATH does not have."""
    # Of another user's home `Path.is_dir` would raise; and what can't be read can't be compared.
    folders = [Path(folder) for folder in path.split(":") if os.access(folder, os.R_OK)]
    # Those with its first letter: comparing every program of a machine takes a tenth of a second.
    known = {f.name for folder in folders for f in folder.glob(f"{program[:1]}*")}
    near = nearest(program, known)
    meant = f"did you mean {near!r}? " if near else ""
    count = f"{len(folders)} folder{'' if len(folders) == 1 else 's'}"
    where = f"it is in none of the {count} of its PATH"
    return f"{meant}{where}: give its whole path, or set `virtualenv` or `env.PATH`"


def _explain(name: str, request: SpawnRequest, answer: SpawnAnswer) -> SpawnError:
    stage, why = answer.get("stage", ""), answer["error"]
    if stage == "size":
        hint = "keep large values in a file, and give its name"
        return SpawnError(f"{name}: its command line and environment are {why}", hint=hint)
    shown = {"exec": request["argv"][0], "cwd": request["cwd"]}.get(stage, stage)
    hint = "its first line may name an interpreter that is missing" if stage == "exec" else ""
    code = {errno.ENOENT: 127, errno.EACCES: 126, errno.ENOEXEC: 126}.get(answer.get("errno", 0))
    return SpawnError(f"{name}: cannot start {shown}: {why}", hint=hint, shell_code=code)
