"""`chapiteau up`: start the services, in the foreground with their output or as a daemon."""

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

import click

from chapiteau.core.errors import ChapiteauError, TimedOutError, UsageError
from chapiteau.io.clock import SystemClock
from chapiteau.io.project_file import find_config
from chapiteau.run.api.client import Client
from chapiteau.run.cli.options import (
    config_option,
    json_option,
    message,
    print_outcome,
    service_names,
    timeout_option,
    wait_for,
    wait_option,
)
from chapiteau.run.errors import AlreadyRunningError, NotRunningError

if TYPE_CHECKING:
    from chapiteau.run.api.status import SupervisorStatus
    from chapiteau.run.config.load import Config

__all__ = ["EXAMPLE", "daemon", "up", "upgrade"]


# `chapiteau run upgrade`: a new supervisor around the same services.

_PATIENCE: Final = 30.0  # seconds


@click.command("upgrade")
@config_option
@json_option
def upgrade(config: str | None, json_wanted: bool) -> None:
    """Replace the supervisor by the installed version. Services, sockets and output go on.

    \b
    uv pip install -U chapiteau && chapiteau run upgrade
    """
    client = Client.find(config)
    before = client.status().pid
    outcome = client.upgrade()
    if outcome.ok:
        _wait_for_another_brain(client, before)
    print_outcome(outcome, json_wanted=json_wanted)


def _wait_for_another_brain(client: Client, before: int) -> None:
    def replaced() -> bool:
        with contextlib.suppress(NotRunningError):
            return client.status().pid != before
        return False

    if not wait_for(replaced, SystemClock().now() + _PATIENCE):
        hint = "look with `chapiteau run doctor`"
        raise TimedOutError("the renewed keeper has no new brain yet", hint=hint)


_GIVEN_UP: Final = (
    "without a keeper: when this process is killed, its services run on unseen until the next "
    "`up` ends them; sockets, output and exit codes are lost with it; it can't be upgraded, and "
    "there are no cgroups"
)
EXAMPLE: Final = """write one, for example:
    [service.web]
    command = "python3 -m http.server 8000"
    (`chapiteau new` makes a whole project, `chapiteau import` moves in from another supervisor)"""


@click.command("up")
@click.argument("names", nargs=-1, shell_complete=service_names)
@config_option
@click.option(
    "-d",
    "--detach",
    is_flag=True,
    help="Run in the background; return when all services are ready.",
)
@click.option(
    "--no-keeper",
    is_flag=True,
    help="Run everything in this process: lighter, but nothing survives its death, and no cgroups.",
)
@wait_option
@timeout_option
def up(
    names: tuple[str, ...],
    config: str | None,
    detach: bool,
    no_keeper: bool,
    wait: bool,
    timeout: float | None,
) -> None:
    """Start the services of chapiteau.toml. Press Ctrl-C to stop; press it again to kill at once.

    With names: only these and what they need. `up -d` where everything runs already is no error.

    \b
    chapiteau up
    chapiteau up -d --timeout 1m
    chapiteau up web
    """
    if no_keeper and detach:
        raise UsageError("--no-keeper stays in the foreground: take --detach out")
    from chapiteau.run.config.load import load_config
    from chapiteau.run.config.selection import select
    from chapiteau.run.supervisor.launch import start, startup_error

    path = find_config(config)
    found = load_config(path)
    _refuse_nothing(found)
    select(",".join(names), tuple(found.spec.service))  # a wrong name ends it here
    client = Client.at(found.run_dir)
    if (running := _running(client)) is not None:
        if not detach:
            raise AlreadyRunningError(
                f"{running.project} is already up ({_pids(running)})",
                hint="`chapiteau reload` follows a changed file, `chapiteau down` stops it",
            )
        _go_on(client, running, names)
        if wait:
            _wait(client, timeout, found.run_dir)
        return
    begun = SystemClock().wall()
    if no_keeper:
        from chapiteau.run.cli.foreground import run_in_foreground

        message(_GIVEN_UP, colour="yellow")
        code = run_in_foreground(path, found.run_dir, found.spec, begun, names)
        _end(startup_error(found.run_dir), code)
    start(path, found.spec, owner_pid=None if detach else os.getpid(), only=names)
    if detach:
        if wait:
            _wait(client, timeout, found.run_dir)
        return
    from chapiteau.run.cli.foreground import follow_supervisor

    code = follow_supervisor(found.run_dir, found.spec, begun)
    _end(startup_error(found.run_dir), code)


def _end(error: ChapiteauError | None, code: int) -> NoReturn:
    """Leave with the code of why it ended by itself, or with ours."""
    if error is not None:
        what = error.what.partition("\n    | ")[0]  # its last lines have been seen
        if error.exit_code:
            raise ChapiteauError(what, hint=error.hint, exit_code=error.exit_code)
        message(what)  # an essential service has ended well: so do we
        code = 0
    raise click.exceptions.Exit(code)


def _refuse_nothing(found: "Config") -> None:
    """A supervisor of nothing would wait for ever, and whoever started it too."""
    from chapiteau.run.supervisor.running_config import internal_services

    if found.spec.service or internal_services(found.path, found.run_dir, found.spec.plugin):
        return
    raise UsageError(f"{found.path.name} has no service: there is nothing to start", hint=EXAMPLE)


def _running(client: Client) -> "SupervisorStatus | None":
    with contextlib.suppress(ChapiteauError):
        return client.status()
    return None


def _pids(running: "SupervisorStatus") -> str:
    return f"keeper {running.keeper_pid}, brain {running.pid}"


def _go_on(client: Client, running: "SupervisorStatus", names: tuple[str, ...]) -> None:
    """What was asked for is there already, or is started now. Raises when it can't be."""
    message(
        f"{running.project} is already running ({_pids(running)}); "
        "`chapiteau reload` follows a changed file"
    )
    if names:
        outcome = client.command("start", ",".join(names), wait=False)
        if not outcome.ok:
            raise ChapiteauError(outcome.error, hint=outcome.hint, exit_code=outcome.exit_code)


def _wait(client: Client, timeout: float | None, run_dir: Path) -> None:
    from chapiteau.run.cli.waiting import wait_until_ready
    from chapiteau.run.supervisor.launch import startup_error

    wait_until_ready(client, timeout, lambda: startup_error(run_dir), run_dir)


# `chapiteau run daemon`: become the supervisor in this very process.


@click.command("daemon")
@click.argument("names", nargs=-1, shell_complete=service_names)
@config_option
def daemon(names: tuple[str, ...], config: str | None) -> int:
    """Run the supervisor in the foreground, for systemd and other supervisors.

    It tells readiness by sd_notify, stops everything at TERM and follows the changed file at HUP.
    People use `chapiteau up` and `chapiteau up -d`.

    \b
    ExecStart=/srv/shop/.venv/bin/chapiteau run daemon --config /srv/shop/chapiteau.toml
    """
    from chapiteau.run.supervisor.daemon import daemon

    return daemon(names, config)
