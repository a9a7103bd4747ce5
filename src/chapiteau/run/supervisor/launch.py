"""Starts a supervisor: the lock, the keeper, and the wait until somebody answers."""

import contextlib
import fcntl
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError, RefusedError
from chapiteau.io.clock import SystemClock
from chapiteau.io.unix_http import control_path, format_request, request
from chapiteau.run.config.spec import Spec
from chapiteau.run.errors import AlreadyRunningError

__all__ = ["keeper_argv", "prepare_run_dir", "start", "startup_error"]

KEEPER_FOLDER: Final = Path(__file__).parent.parent / "keeper"
LOCK_FD: Final = 10  # where a keeper finds the lock; it moves it up at once
_PATIENCE: Final = 30.0  # seconds until the supervisor must answer


def prepare_run_dir(run_dir: Path) -> int:
    """Make the folder and lock it; the lock's descriptor. Raises AlreadyRunningError.

    The keeper inherits the descriptor: the lock lasts exactly as long as it does.
    """
    try:
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise RefusedError(
            f"{run_dir}: {exc.strerror}", hint="choose another project.run_dir, or mend its rights"
        ) from exc
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise AlreadyRunningError(
            f"a supervisor runs here already (pid {holder or 'unknown'})",
            hint="`chapiteau status` shows it, `chapiteau down` ends it",
        ) from None
    return lock


def _refuse_second(usual: Path, run_dir: Path) -> None:
    """Whether one lives that was started before the file named another run_dir."""
    if usual.absolute() == run_dir or not (usual / "lock").exists():
        return
    try:
        os.close(prepare_run_dir(usual))
    except AlreadyRunningError as exc:
        hint = "end it with `chapiteau down`, then `chapiteau up` starts in the new run_dir"
        raise AlreadyRunningError(f"{usual}: {exc.what}", hint=hint) from None
    except RefusedError:
        return  # somebody else's: nobody can tell


def keeper_argv(
    config: Path, spec: Spec, run_dir: Path, owner_pid: int, only: Sequence[str] = ()
) -> list[str]:
    """The command line of a keeper with its brain."""
    gentle = all(service.no_new_privs for service in spec.service.values())
    brain = [sys.executable, "-P", "-m", "chapiteau.run.supervisor", str(config), str(run_dir)]
    return [
        sys.executable,
        "-I",
        "-S",
        str(KEEPER_FOLDER),
        "start",
        "no-new-privs" if gentle else "-",
        "run",
        str(run_dir),
        str(owner_pid),
        str(LOCK_FD),
        *brain,
        *only,
    ]


def start(
    config: Path, spec: Spec, *, owner_pid: int | None = None, only: Sequence[str] = ()
) -> None:
    """Start a supervisor in the background; returns when it answers on its control socket.

    With `owner_pid` it ends when that process does. Raises AlreadyRunningError, RefusedError, or
    what the supervisor said when it could not start (a port in use, say).
    """
    config = config.absolute()
    run_dir = (config.parent / spec.project.run_dir).absolute()
    _refuse_second(config.parent / ".chapiteau", run_dir)
    lock = prepare_run_dir(run_dir)
    try:
        (run_dir / "failure.json").unlink(missing_ok=True)
        words = keeper_argv(config, spec, run_dir, owner_pid or 0, only)
        keeper = _spawn(words, run_dir, lock)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{keeper}\n".encode(), 0)
    finally:
        os.close(lock)
    _wait_for_answer(run_dir, keeper)


def _spawn(words: list[str], run_dir: Path, lock: int) -> int:
    """Start the keeper in a session of its own; it is nobody's child to wait for."""
    log = os.open(run_dir / "supervisor.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        moves = [(null, 0), (log, 1), (log, 2), (lock, LOCK_FD)]
        actions = [(os.POSIX_SPAWN_DUP2, source, target) for source, target in moves]
        return os.posix_spawn(words[0], words, os.environ, file_actions=actions, setsid=True)
    finally:
        os.close(log)
        os.close(null)


def _wait_for_answer(run_dir: Path, keeper: int) -> None:
    clock = SystemClock()
    deadline = clock.now() + _PATIENCE
    path = control_path(run_dir)
    while clock.now() < deadline:
        with contextlib.suppress(OSError, ChapiteauError):
            if request(path, format_request("GET", "/v1/ping"), timeout=2.0).status == 200:
                return
        ended, status = os.waitpid(keeper, os.WNOHANG)
        if ended:
            raise _failure(run_dir, os.waitstatus_to_exitcode(status))
        clock.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.kill(keeper, signal.SIGTERM)  # or it would start brains for ever, and nobody would know
    raise ChapiteauError(
        f"the supervisor did not answer within {_PATIENCE:g} s",
        hint=f"see {run_dir}/supervisor.log",
    )


def startup_error(run_dir: Path) -> ChapiteauError | None:
    """Why the last supervisor could not start, or ended by itself; None when it was asked to."""
    try:
        word = json.loads((run_dir / "failure.json").read_text())
        return ChapiteauError(word["what"], hint=word["hint"], exit_code=int(word["exit_code"]))
    except (OSError, ValueError, KeyError):
        return None


def _failure(run_dir: Path, code: int) -> ChapiteauError:
    if (error := startup_error(run_dir)) is not None:
        return error
    log = run_dir / "supervisor.log"
    lines = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
    said = "".join(f"\n    | {line}" for line in lines)
    return ChapiteauError(f"the supervisor ended with {code}{said}", hint=f"see {log}")
