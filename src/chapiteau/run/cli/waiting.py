"""Waiting until everything that should run is ready, and saying honestly when it is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError, TimedOutError
from chapiteau.io.clock import SystemClock
from chapiteau.run.api.client import Client
from chapiteau.run.api.status import SupervisorStatus
from chapiteau.run.cli.options import message
from chapiteau.run.cli.status_table import problem_lines
from chapiteau.run.errors import NotRunningError
from chapiteau.run.system.runtime_dirs import dashboard_facts

__all__ = ["PendingAndFailed", "pending_and_failed", "ready_lines", "wait_until_ready"]

PendingAndFailed = tuple[list[str], list[str]]  # names not yet ready, names that failed
_DEFAULT: Final = 300.0  # seconds
_STARTED: Final = 15.0  # seconds in which the supervisor must answer at all


def pending_and_failed(status: SupervisorStatus) -> PendingAndFailed:
    """Which services are not yet what they should be, and which have failed.

    One that restarts in a loop counts as failed: it is tried again, but waiting is no use.
    """
    missing = [s for s in status.services if not s.settled]
    failed = [s.name for s in missing if s.failing]
    return [s.name for s in missing if s.name not in failed], failed


def ready_lines(status: SupervisorStatus, run_dir: Path) -> list[str]:
    """What a person wants to know when all is ready: where to look, and the link that logs in.

    The link is read from its own file: a status is shown to more people than may log in.
    """
    drained = next((str(p) for p in status.problems if status.drained and not p.where), "")
    lines = [f"{status.project} is {drained or 'ready'}"]
    lines += [
        f"  {socket.name}  http://{socket.address}"
        for socket in status.sockets
        if socket.type == "stream" and not socket.address.startswith("/")
    ]
    if link := dashboard_facts(run_dir).get("url"):
        lines.append(f"  dashboard  {link}")
    return lines


def wait_until_ready(
    client: Client,
    timeout: float | None,
    why_over: Callable[[], ChapiteauError | None],
    run_dir: Path,
) -> None:
    """Raises ChapiteauError when a service fails, TimedOutError when it takes too long.

    `why_over` tells why a supervisor that has gone meanwhile ended by itself.
    """
    clock = SystemClock()
    begun = clock.now()
    end = begun + (_DEFAULT if timeout is None else timeout)
    while True:
        status = _status(client, clock.now() - begun)
        if status is None and (error := why_over()) is not None:
            raise error
        if status is not None:
            pending, failed = pending_and_failed(status)
            if failed:
                raise ChapiteauError(
                    "\n  ".join([f"failed: {', '.join(failed)}", *problem_lines(status)]),
                    hint="the others go on; look with `chapiteau logs`, stop with `chapiteau down`",
                )
            if not pending:
                message("\n".join(ready_lines(status, run_dir)), colour="green")
                for problem in status.problems:
                    message(f"! {problem}", colour="yellow")
                return
        if clock.now() >= end:
            raise _too_late(status)
        clock.sleep(0.05)


def _too_late(status: SupervisorStatus | None) -> TimedOutError:
    names = pending_and_failed(status)[0] if status else ["the supervisor"]
    pending = [s for s in status.services if s.name in names] if status else []
    why = [f"{s.name} is {s.state}" + (f": {s.reason}" if s.reason else "") for s in pending]
    told = problem_lines(status) if status else []
    return TimedOutError(
        "\n  ".join([f"not ready in time: {', '.join(names)}", *why, *told]),
        hint="it goes on; look with `chapiteau status`",
    )


def _status(client: Client, since: float) -> SupervisorStatus | None:
    try:
        return client.status()
    except NotRunningError:
        if since > _STARTED:
            raise
        return None
