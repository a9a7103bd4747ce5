"""`chapiteau run upgrade`: a new supervisor around the same services."""

import contextlib
from typing import Final

import click

from chapiteau.core.errors import TimedOutError
from chapiteau.io.clock import SystemClock
from chapiteau.run.api.client import Client
from chapiteau.run.cli.options import config_option, json_option, print_outcome
from chapiteau.run.errors import NotRunningError

__all__ = ["upgrade"]

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
    clock = SystemClock()
    end = clock.now() + _PATIENCE
    while clock.now() < end:
        with contextlib.suppress(NotRunningError):
            if client.status().pid != before:
                return
        clock.sleep(0.05)
    raise TimedOutError(
        "the renewed keeper has no new brain yet", hint="look with `chapiteau run doctor`"
    )
