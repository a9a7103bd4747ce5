"""Looks at the machine and the project: what would keep services from running well here."""

import errno
import os
import platform
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import click

from chapiteau.core.errors import ChapiteauError, NotFoundError
from chapiteau.core.exit_codes import NOT_MET, exit_codes_of
from chapiteau.core.plain import Plain
from chapiteau.io.compiled import LOAD_ENGINE, build_state
from chapiteau.io.console import print_json, use_colour
from chapiteau.io.files import lock_owner
from chapiteau.io.project_file import find_config
from chapiteau.io.unix_http import control_path
from chapiteau.run.cli.options import config_option, json_option
from chapiteau.run.cli.programs import find_app, find_command
from chapiteau.run.config.access import access_of
from chapiteau.run.config.hook_rules import hook_argv, hook_at
from chapiteau.run.config.load import Config
from chapiteau.run.config.spec import Service, Socket
from chapiteau.run.errors import SpawnError
from chapiteau.run.logs.rotation import has_zstd
from chapiteau.run.process.environment import merge_environment, read_secrets
from chapiteau.run.process.spawn import find_program, read_env_file
from chapiteau.run.system.accounts import account_environment, user_ids
from chapiteau.run.system.cgroups import find_cgroups, unavailable_limits
from chapiteau.run.system.port_owner import port_owner

__all__ = ["Finding", "check_machine", "check_project", "doctor"]

Level = Literal["ok", "note", "bad"]
_LIMITS: Final = 3  # memory, cpu, pids
_FEW_FILES: Final = 4096
_LITTLE_SPACE: Final = 256 * 2**20
_TOOLS: Final = {"setpriv": "user, capabilities", "prlimit": "limits", "nice": "nice"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Plain):
    """One thing that was looked at."""

    level: Level
    what: str
    hint: str = ""


def _fine(what: str) -> Finding:
    return Finding(level="ok", what=what)


def _note(what: str, hint: str = "") -> Finding:
    return Finding(level="note", what=what, hint=hint)


def _bad(what: str, hint: str = "") -> Finding:
    return Finding(level="bad", what=what, hint=hint)


def check_machine() -> Iterator[Finding]:
    """What the machine offers, whatever the project."""
    yield _fine(f"{platform.system()} {platform.release()}, Python {platform.python_version()}")
    yield _cgroups()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < _FEW_FILES:
        yield _note(f"only {hard} open files allowed", "raise `ulimit -Hn`, or LimitNOFILE=")
    else:
        yield _fine(f"{soft} open files, up to {hard}")
    for tool, uses in _TOOLS.items():
        if shutil.which(tool) is None:
            yield _note(f"{tool} is missing: services can't set {uses}", "install util-linux")
    yield _keeper()
    yield _load_engine()
    if os.geteuid() == 0:
        yield _fine("running as root: services may have users of their own")
    else:
        yield _note("not root: every service runs as this user")


def _keeper() -> Finding:
    from chapiteau.run.keeper.start import FORCE_PLAIN, compiled_birth

    if compiled_birth() is not None:
        return _fine("processes are started by compiled code")
    if FORCE_PLAIN:
        return _note("processes are started in plain Python, as CHAPITEAU_KEEPER says")
    hint = "with a C compiler and Python's headers, install chapiteau again: restarts take half"
    return _note("processes are started in plain Python", hint)


def _load_engine() -> Finding:
    state = build_state(LOAD_ENGINE)
    if state == "current":
        return _fine("load tests run on the compiled engine")
    if state == "stale":
        what = "load tests run on plain Python: the compiled engine was built from another source"
        return _note(what, "install chapiteau again to rebuild it: half the CPU a request")
    hint = "with a C compiler and Python's headers, install chapiteau again: half the CPU a request"
    return _note("load tests run on plain Python", hint)


def _cgroups() -> Finding:
    found = find_cgroups(f"doctor-{os.getpid()}")
    found.remove_all()
    if found.root is not None and len(found.limits) == _LIMITS:
        return _fine("cgroup v2: nothing escapes a stop, limits by cgroup")
    if found.root is not None:
        had = ", ".join(sorted(found.limits)) or "nothing"
        hint = "limits.memory, cpu and pids need their controllers there: no cgroup v1 beside it"
        return _note(f"cgroup v2: nothing escapes a stop; {had} can be limited", hint)
    hint = "sessions, groups and the subreaper do it instead; memory, CPU and pids have no limit"
    return _note(found.summary, hint)


def check_project(config: Config) -> Iterator[Finding]:
    """What this project needs, and whether it is there."""
    yield _answers(config)
    yield from _space(config)
    yield _catch("roles", lambda: access_of(config.spec.project))
    used = [config.spec.log, *(s.log for s in config.spec.service.values() if s.log)]
    if any(log.compress == "zstd" for log in used) and not has_zstd():
        yield _note("zstd is not installed: logs are gzipped", "pip install 'chapiteau[compress]'")
    keeper = lock_owner(config.run_dir / "lock")
    for name, wanted in config.spec.socket.items():
        yield _socket(name, wanted, config.path.parent, keeper=keeper)
    yield from (_note(line, hint) for line, hint in unavailable_limits(config.spec))
    for name, service in config.spec.named():
        yield _catch(f"service {name}", _service_check(name, service, config))


def _service_check(name: str, service: Service, config: Config) -> Callable[[], object]:
    folder = config.path.parent

    def look() -> None:
        user_ids(name, service)
        env = merge_environment(
            service,
            inherited=os.environ,
            folder=folder,
            account=account_environment(service),
            files=[read_env_file(name, folder, path) for path in service.env_files],
            secrets=read_secrets(service, folder),
        )
        cwd = (folder / service.cwd).absolute()
        if not cwd.is_dir():
            raise SpawnError(f"the working directory {cwd} does not exist")
        _look_beside(service, folder, cwd, env.get("PATH", os.defpath))
        find_command(name, service, folder, env.get("PATH", os.defpath))
        find_app(name, service, folder)

    return look


def _look_beside(service: Service, folder: Path, cwd: Path, path: str) -> None:
    """What its settings name beside its command: a virtualenv, hooks, folders to watch."""
    python = folder / service.virtualenv / "bin" / "python"
    if service.virtualenv and "${" not in service.virtualenv and not python.exists():
        raise SpawnError(
            f"the virtualenv has no {python}", hint=f"python3 -m venv {python.parents[1]}"
        )
    for point in service.hooks:
        hook = hook_at(service, point)
        words = hook_argv(hook) if hook is not None else []
        if words and "${" not in words[0]:
            find_program(f"hooks.{point}", words[0], path, cwd)
    for watched in service.watch.paths if service.watch is not None else ():
        if not (cwd / watched).exists():
            raise SpawnError(f"watch.paths: {cwd / watched} does not exist")


def _catch(what: str, look: Callable[[], object]) -> Finding:
    try:
        look()
    except ChapiteauError as exc:
        shown = exc.what if exc.what.startswith(what) else f"{what}: {exc.what}"
        return _bad(shown, exc.hint)
    return _fine(what)


def _answers(config: Config) -> Finding:
    path = control_path(config.run_dir)
    held = bool(lock_owner(config.run_dir / "lock"))
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
            return _fine(f"a supervisor answers at {path}")
        except OSError as exc:
            if held:
                return _bad(
                    f"a supervisor holds {config.run_dir}, but does not answer ({exc.strerror})",
                    f"see {config.run_dir}/supervisor.log",
                )
            if exc.errno == errno.ECONNREFUSED:
                return _note(f"{path} was left by a supervisor that is gone", "`up` replaces it")
    return _fine("no supervisor runs for this project")


def _space(config: Config) -> Iterator[Finding]:
    folder = config.run_dir
    while not folder.exists():
        folder = folder.parent
    if not os.access(folder, os.W_OK | os.X_OK):
        yield _bad(f"{config.run_dir} can't be written by this user", "choose project.run_dir")
    left = shutil.disk_usage(folder).free
    if left < _LITTLE_SPACE:
        yield _bad(f"{left // 2**20} MiB left on the disk of {folder}", "output will be dropped")


def _socket(name: str, wanted: Socket, folder: Path, *, keeper: int) -> Finding:
    kind = socket.SOCK_STREAM if wanted.type == "stream" else socket.SOCK_DGRAM
    if wanted.path:
        parent = (folder / wanted.path).parent
        if not parent.is_dir():
            return _note(f"socket {name}: {parent} does not exist yet")
        return _fine(f"socket {name}: {wanted.path}")
    shown = f"socket {name}: {wanted.host}:{wanted.port}"
    family = socket.AF_INET6 if ":" in wanted.host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((wanted.host, wanted.port))
        except OSError as exc:
            holder = port_owner(wanted.port) if exc.errno == errno.EADDRINUSE else ""
            if keeper and f"pid {keeper} (" in holder:
                return _fine(f"{shown}, held by {holder}")
            text = f"{shown}: {exc.strerror}" + (f", held by {holder}" if holder else "")
            return _bad(text, "stop that program, or choose another port" if holder else "")
    return _fine(shown)


# `chapiteau run doctor`: is this machine fit for this project?

_MARKS: Final = {"ok": ("✓", "green"), "note": ("·", "yellow"), "bad": ("✗", "red")}


@click.command("doctor", epilog=exit_codes_of("run doctor"))
@config_option
@json_option
def doctor(config: str | None, json_wanted: bool) -> None:
    """Check that this machine can run the project: permissions, limits, ports, programs, files.

    \b
    chapiteau run doctor
    chapiteau run doctor --json
    """
    found = _findings(config)
    if json_wanted:
        print_json({"schema": 1, "findings": [finding.to_dict() for finding in found]})
    else:
        colour = use_colour()
        for finding in found:
            mark, name = _MARKS[finding.level]
            click.echo(
                f"{click.style(mark, fg=name) if colour else mark} {finding.what}"
                + (f"\n    {finding.hint}" if finding.hint else ""),
                color=True,
            )
    if any(finding.level == "bad" for finding in found):
        raise click.exceptions.Exit(NOT_MET)


def _findings(config: str | None) -> "list[Finding]":
    from chapiteau.run.config.load import load_config

    found = list(check_machine())
    try:
        found += check_project(load_config(find_config(config)))
    except NotFoundError as exc:
        if config:
            raise
        found.append(Finding(level="note", what=exc.what, hint="the machine alone was looked at"))
    except ChapiteauError as exc:
        found.append(Finding(level="bad", what=exc.what, hint=exc.hint))
    return found
