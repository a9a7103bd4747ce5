"""`python -m chapiteau.run.supervisor CONFIG RUN_DIR`: what the keeper starts and restarts."""

import asyncio
import contextlib
import functools
import gc
import json
import os
import resource
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.files import write_atomic
from chapiteau.run.config.load import load_config
from chapiteau.run.config.spec import Spec
from chapiteau.run.errors import KeeperGoneError
from chapiteau.run.process.keeper_link import KeeperLink
from chapiteau.run.supervisor.bootstrap import build_context
from chapiteau.run.supervisor.context import Context
from chapiteau.run.supervisor.handover import recover_keeper, recover_unknown_keeper
from chapiteau.run.supervisor.process_registry import restore_lock
from chapiteau.run.supervisor.running_config import (
    RunningConfig,
    forget_running_config,
    internal_services,
    read_running_config,
)
from chapiteau.run.supervisor.supervisor import Supervisor
from chapiteau.run.system.runtime_dirs import remove_runtime_dir

if TYPE_CHECKING:
    from chapiteau.run.api.server import ControlServer

__all__ = ["main", "run_brain"]

_API_MAY_WAIT = 0.25  # seconds that processes which start are given first
_SOON = 0.5  # seconds after a start in which a further brain would read the file again


def _running_config(path: Path, run_dir: Path, known: Spec | None, *, first: bool) -> RunningConfig:
    """What the brain before ran; the file, when this is the first one. Raises ConfigError."""
    before = None if first else read_running_config(run_dir)
    if before is not None:
        return RunningConfig(path, run_dir, *before)
    forget_running_config(run_dir)
    return RunningConfig(path, run_dir, known or load_config(path).spec)


async def _live(config: Path, run_dir: Path, only: tuple[str, ...], known: Spec | None) -> int:
    channel = socket.socket(fileno=int(os.environ["CHAPITEAU_KEEPER_FD"]))
    first = os.environ.get("CHAPITEAU_BRAIN_START") == "0"
    return await run_brain(KeeperLink(channel), config, run_dir, only, known, first=first)


async def run_brain(
    link: KeeperLink,
    config: Path,
    run_dir: Path,
    only: tuple[str, ...],
    known: Spec | None,
    *,
    first: bool,
) -> int:
    """Be the brain behind this link until everything is over; the exit code."""
    argv = (str(config), str(run_dir), *only)
    context: Context | None = None
    try:
        running = _running_config(config, run_dir, known, first=first)
        safe_mode = "" if link.in_process else os.environ.get("CHAPITEAU_SAFE_MODE", "")
        context, hello = await build_context(link, running, argv, safe_mode)
        supervisor = _supervisor(context)
        await supervisor.begin(hello, only)
        if first:  # not before: services are waiting
            asyncio.get_running_loop().call_later(_SOON, running.save)
        control = await _open_control(supervisor, context)
    except KeeperGoneError:
        if context is None:
            recover_unknown_keeper(run_dir, argv)
        recover_keeper(context, attached=False)
    except ChapiteauError as exc:
        if not first:  # services run: they must not end for our sake; the keeper tries again
            print(f"this brain can't begin: {exc}", file=sys.stderr)  # noqa: T201 — its log
            return os.EX_TEMPFAIL
        _write_failure(run_dir, exc)
        remove_runtime_dir(run_dir)
        await _quit(link, exc.exit_code, exc)
        return exc.exit_code
    link.tell("notify", text="READY=1")
    code, error = await supervisor.ended()
    if error is not None:
        _write_failure(run_dir, error)
    await control.close()
    supervisor.close()
    await _quit(link, code, error)
    return code


def _supervisor(context: Context) -> Supervisor:
    config = context.config
    internal = internal_services(config.path, config.run_dir, config.spec.plugin)
    if context.origin.safe_mode:
        from chapiteau.run.supervisor.safe_mode import ReadOnlySupervisor

        return ReadOnlySupervisor(context, internal)
    return Supervisor(context, internal)


async def _open_control(supervisor: Supervisor, context: Context) -> "ControlServer":
    """The control API. When many processes start, most of them do so before it is imported."""
    await context.link.wait_until_idle(_API_MAY_WAIT)
    from chapiteau.io.unix_http import control_path
    from chapiteau.run.api.server import start_server
    from chapiteau.run.config.access import access_of

    run_dir, keeper_pid = context.config.run_dir, context.origin.keeper_pid
    on_look = functools.partial(restore_lock, run_dir, context.link, keeper_pid)
    if context.origin.restarts:
        on_look()
    path = control_path(run_dir, create=True)
    access = access_of(context.config.spec.project)
    server = await start_server(supervisor, path, access, on_look)
    supervisor.on_access(server.admit)
    return server


def _write_failure(run_dir: Path, exc: ChapiteauError) -> None:
    """Whoever started us reads it and shows it."""
    word = {"what": exc.what, "hint": exc.hint, "exit_code": exc.exit_code}
    with contextlib.suppress(OSError):
        write_atomic(run_dir / "failure.json", json.dumps(word).encode(), mode=0o600)


async def _quit(link: KeeperLink, code: int, why: ChapiteauError | None) -> None:
    link.ignore()  # from here on its end is what we want
    with contextlib.suppress(ChapiteauError):
        await link.ask("quit", code=code, why=why.what if why is not None else "")
    link.close()


def _try(config: Path, run_dir: Path) -> int:
    """Read what a later brain begins with, and import what it needs."""
    import chapiteau.run.api.server  # noqa: F401 — whether it can be had

    try:
        if read_running_config(run_dir) is None:
            load_config(config)
    except ChapiteauError as exc:
        print(exc.what, file=sys.stderr)  # noqa: T201 — who tries it reads that
        return exc.exit_code
    return 0


def main(argv: list[str], known: Spec | None = None) -> int:
    """CONFIG RUN_DIR [SERVICE …]: live until everything is over; after `--try` only see whether
    that could be done.

    `known` is what the configuration says, when whoever calls has just read it.
    """
    if argv[0] == "--try":
        return _try(Path(argv[1]), Path(argv[2]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.umask(0o077)
    gc.freeze()  # modules and settings live as long as we do: no collection looks at them again
    gc.enable()
    gc.set_threshold(20_000, 20, 20)  # a start of hundreds makes much, and no garbage
    return asyncio.run(_live(Path(argv[0]), Path(argv[1]), tuple(argv[2:]), known))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
