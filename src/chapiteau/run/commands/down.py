"""`chapiteau down`: stop everything, the supervisor too, and wait until it is so."""

import click

from chapiteau.core.errors import ChapiteauError, TimedOutError
from chapiteau.plumbing.clock import SystemClock
from chapiteau.plumbing.console import print_json
from chapiteau.plumbing.processes import is_alive
from chapiteau.run.client.blocking import Client
from chapiteau.run.commands.options import (
    as_json,
    config_option,
    say,
    timeout_option,
    wait_option,
)
from chapiteau.run.errors import NotRunningError

__all__ = ["command", "wait_until_gone"]


@click.command("down")
@config_option
@wait_option
@timeout_option
@as_json
@click.option("--force", is_flag=True, help="Kill at once what runs.")
def command(
    config: str | None, wait: bool, timeout: float | None, json_wanted: bool, force: bool
) -> None:
    """Stop everything, the supervisor too. Nothing survives.

    \b
    chapiteau down
    chapiteau down --timeout 30s
    """
    client = Client.find(config)
    try:
        status = client.status()
        client.shutdown(force=force)
    except NotRunningError:
        _tell(json_wanted, "nothing runs")
        return
    if wait:
        wait_until_gone(client, (status.pid, status.keeper_pid), timeout)
    _tell(json_wanted, "stopped" if wait else "stopping")


def _tell(json_wanted: bool, text: str) -> None:
    if json_wanted:
        print_json({"schema": 1, "ok": True, "text": text})
    else:
        say(text)


def wait_until_gone(client: Client, pids: tuple[int, ...], timeout: float | None) -> None:
    """Until nobody answers and these processes have ended. Raises TimedOutError."""
    clock = SystemClock()
    end = clock.now() + timeout if timeout is not None else None
    while _answers(client) or any(map(is_alive, pids)):
        if end is not None and clock.now() >= end:
            raise TimedOutError(
                "the supervisor is still stopping", hint="look with `chapiteau events`"
            )
        clock.sleep(0.02)


def _answers(client: Client) -> bool:
    try:
        client.ping(timeout=2.0)
    except NotRunningError:
        return False
    except ChapiteauError:
        return True
    return True
