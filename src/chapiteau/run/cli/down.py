"""`chapiteau down`: stop everything, the supervisor too, and wait until it is so."""

import os
import signal
from typing import Final

import click

from chapiteau.core.errors import ChapiteauError, RefusedError, TimedOutError
from chapiteau.io.clock import SystemClock
from chapiteau.io.console import print_json
from chapiteau.io.files import is_alive, lock_owner
from chapiteau.io.project_file import find_config
from chapiteau.io.unix_http import remove_control_socket
from chapiteau.run.api.client import Client, lock_path, run_dir_of
from chapiteau.run.cli.options import (
    config_option,
    json_option,
    message,
    timeout_option,
    wait_for,
    wait_option,
)
from chapiteau.run.errors import NotRunningError

__all__ = ["down", "wait_until_gone"]

_SILENT: Final = 3.0  # seconds after which a brain counts as one that does not answer
_KEEPERS: Final = 120.0  # seconds for the keeper to end everything, when no --timeout says
_PRESS: Final = 5.0  # so many seconds before that it is asked again: without grace


@click.command("down")
@config_option
@wait_option
@timeout_option
@json_option
@click.option("--force", is_flag=True, help="Kill running processes at once.")
def down(
    config: str | None, wait: bool, timeout: float | None, json_wanted: bool, force: bool
) -> None:
    """Stop all services and the supervisor.

    When the brain does not answer, the keeper is asked by a signal: it replaces a brain that
    hangs, and when no brain can do it, it ends everything by itself.

    \b
    chapiteau down
    chapiteau down --timeout 30s
    """
    run_dir = run_dir_of(find_config(config))
    client, lock = Client.at(run_dir), lock_path(run_dir)
    text = "stopped" if wait else "stopping"
    try:
        pids = _asked(client, lock_owner(lock), force=force)
    except (NotRunningError, TimedOutError):
        pids, text = (), "nothing runs"
        if keeper := lock_owner(lock):
            text = _by_the_keeper(keeper, _KEEPERS if timeout is None else timeout, force=force)
    if wait:
        wait_until_gone(client, pids, timeout)
    if not lock_owner(lock):
        from chapiteau.run.system.runtime_dirs import remove_runtime_dir

        remove_runtime_dir(run_dir)
        remove_control_socket(run_dir, beside=("notify.sock",))
    if json_wanted:
        print_json({"schema": 1, "ok": True, "text": text})
    else:
        message(text)


def _asked(client: Client, keeper: int, *, force: bool) -> tuple[int, ...]:
    """Brain and keeper, once the brain has been told."""
    brain = client.ping(timeout=_SILENT).get("pid", 0)
    client.shutdown(force=force, answer_within=_SILENT)
    return tuple(pid for pid in (brain, keeper) if pid)


def _by_the_keeper(keeper: int, timeout: float, *, force: bool) -> str:
    """Ask it by a signal, later again, which means at once. Raises TimedOutError, RefusedError."""
    message(f"the brain does not answer: asking the keeper (pid {keeper}) to end everything")
    clock = SystemClock()
    end = clock.now() + timeout
    press = clock.now() + 0.1 if force else max(end - _PRESS, clock.now() + timeout / 2)
    _signal(keeper)
    if not wait_for(lambda: not is_alive(keeper), press):
        message("once more, without grace")
        _signal(keeper)
    if not wait_for(lambda: not is_alive(keeper), max(end, press + _PRESS)):
        raise TimedOutError(
            f"the keeper (pid {keeper}) does not end either", hint=f"see /proc/{keeper}/stack"
        )
    return "stopped by the keeper, since the brain did not answer"


def _signal(keeper: int) -> None:
    try:
        os.kill(keeper, signal.SIGTERM)
        os.kill(keeper, signal.SIGCONT)  # one that somebody has stopped hears nothing
    except ProcessLookupError:
        return
    except PermissionError:
        raise RefusedError(
            f"this user may not end the keeper (pid {keeper})",
            hint="be the user that started it, or root",
        ) from None


def wait_until_gone(client: Client, pids: tuple[int, ...], timeout: float | None) -> None:
    """Until nobody answers and these processes have ended. Raises TimedOutError."""
    clock = SystemClock()
    end = clock.now() + timeout if timeout is not None else float("inf")
    if not wait_for(lambda: not _answers(client) and not any(map(is_alive, pids)), end):
        raise TimedOutError("the supervisor is still stopping", hint="look with `chapiteau events`")


def _answers(client: Client) -> bool:
    try:
        client.ping(timeout=2.0)
    except (NotRunningError, TimedOutError):
        return False
    except ChapiteauError:
        return True
    return True
