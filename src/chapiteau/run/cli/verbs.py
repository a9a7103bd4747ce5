"""start, stop, restart, reload, scale and signal: what people do to services."""

import sys
import threading
from typing import Any

import click

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.clock import SystemClock
from chapiteau.run.api.client import Client
from chapiteau.run.cli.options import (
    config_option,
    json_option,
    message,
    print_outcome,
    service_amounts,
    service_names,
    signal_names,
    timeout_option,
    usage_error,
    wait_option,
)
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Outcome

__all__ = ["drain", "reload", "reopen", "restart", "scale", "signal", "start", "stop", "undrain"]

_names = click.argument("names", nargs=-1, shell_complete=service_names)
_process = click.option("--process", type=click.IntRange(1), help="Only this process.")


@click.command("start")
@_names
@config_option
@wait_option
@timeout_option
@json_option
def start(
    names: tuple[str, ...],
    config: str | None,
    wait: bool,
    timeout: float | None,
    json_wanted: bool,
) -> None:
    """Start services and what they need; all that start by themselves when none is named.

    \b
    chapiteau start web
    chapiteau start 'worker-*' --no-wait
    chapiteau start web --timeout 20s
    """
    _do("start", names or ("all",), config, json_wanted, wait=wait, timeout=timeout)


@click.command("stop")
@_names
@config_option
@wait_option
@timeout_option
@_process
@json_option
def stop(
    names: tuple[str, ...],
    config: str | None,
    wait: bool,
    timeout: float | None,
    process: int | None,
    json_wanted: bool,
) -> None:
    """Stop services; nothing of them survives. The supervisor goes on (`down` ends it).

    \b
    chapiteau stop worker
    chapiteau stop 'web*' cron
    chapiteau stop all
    """
    _do("stop", _some(names, "stop"), config, json_wanted, wait=wait, timeout=timeout,
        process=process)  # fmt: skip


@click.command("restart")
@_names
@config_option
@wait_option
@timeout_option
@_process
@json_option
def restart(
    names: tuple[str, ...],
    config: str | None,
    wait: bool,
    timeout: float | None,
    process: int | None,
    json_wanted: bool,
) -> None:
    """Stop services, then start them. Requests may be lost: `reload` loses none.

    \b
    chapiteau restart web
    chapiteau restart web --process 2
    chapiteau restart all --timeout 1m
    """
    _do("restart", _some(names, "restart"), config, json_wanted, wait=wait, timeout=timeout,
        process=process)  # fmt: skip


@click.command("reload")
@_names
@config_option
@wait_option
@timeout_option
@_process
@json_option
def reload(
    names: tuple[str, ...],
    config: str | None,
    wait: bool,
    timeout: float | None,
    process: int | None,
    json_wanted: bool,
) -> None:
    """Replace the processes of services, a batch at a time; no request is lost.

    Without names: follow the changed chapiteau.toml, whole or not at all (`run apply`).

    \b
    chapiteau reload web          new processes are ready before old ones go
    chapiteau reload 'web*'
    chapiteau reload              what `chapiteau plan` shows
    """
    if not names:
        print_outcome(Client.find(config).apply(), json_wanted=json_wanted)
        return
    _do("reload", names, config, json_wanted, wait=wait, timeout=timeout, process=process)


@click.command("scale")
@click.argument(
    "amounts", nargs=-1, required=True, metavar="NAME=N...", shell_complete=service_amounts
)
@config_option
@wait_option
@timeout_option
@json_option
def scale(
    amounts: tuple[str, ...],
    config: str | None,
    wait: bool,
    timeout: float | None,
    json_wanted: bool,
) -> None:
    """Change how many processes a service has, until the supervisor ends.

    \b
    chapiteau scale web=6
    chapiteau scale web=+2 worker=-1
    chapiteau scale web 6
    """
    wanted = _amounts(amounts)
    client = Client.find(config)
    done = [
        client.command("scale", name, **_given(wait=wait, timeout=timeout, **how))
        for name, how in wanted
    ]
    for outcome in done:
        print_outcome(outcome, json_wanted=json_wanted)


@click.command("signal")
@click.argument("signal_name", metavar="SIGNAL", shell_complete=signal_names)
@click.argument("names", nargs=-1, required=True, shell_complete=service_names)
@_process
@click.option("--whole", is_flag=True, help="To its whole process group, what it started too.")
@config_option
@json_option
def signal(
    signal_name: str,
    names: tuple[str, ...],
    process: int | None,
    whole: bool,
    config: str | None,
    json_wanted: bool,
) -> None:
    """Send a signal to the processes of services.

    \b
    chapiteau signal HUP nginx
    chapiteau signal USR1 web --process 2
    """
    from chapiteau.run.config.os_names import signal_name as checked

    try:
        word = checked(signal_name)
    except ValueError as exc:
        raise usage_error(str(exc), "first the signal, then the services: signal HUP web") from None
    _do("signal", names, config, json_wanted, signal=word, process=process, whole=whole or None)


@click.command("reopen")
@_names
@config_option
@json_option
def reopen(names: tuple[str, ...], config: str | None, json_wanted: bool) -> None:
    """Open log files anew, after logrotate has moved them away.

    \b
    postrotate: chapiteau run reopen -c /srv/shop
    """
    _do("reopen", names or ("all",), config, json_wanted)


@click.command("drain")
@config_option
@json_option
def drain(config: str | None, json_wanted: bool) -> None:
    """Empty this server: every service ends its work, and nothing starts until `undrain`.

    What needs others goes first. Then connections are refused, so that a balancer sends them
    elsewhere. Schedules rest; reboots change nothing about it; `down` and `up` begin afresh.

    \b
    chapiteau drain
    chapiteau undrain
    """
    _do("drain", ("all",), config, json_wanted, wait=True)


@click.command("undrain")
@config_option
@json_option
def undrain(config: str | None, json_wanted: bool) -> None:
    """Take up work again: what ran before `drain` starts.

    \b
    chapiteau undrain
    """
    _do("undrain", ("all",), config, json_wanted, wait=True)


def _some(names: tuple[str, ...], verb: str) -> tuple[str, ...]:
    if not names:
        raise usage_error(f"{verb} what?", f"name services, or all of them: chapiteau {verb} all")
    return names


def _amounts(words: tuple[str, ...]) -> list[tuple[str, dict[str, int]]]:
    """[("web", {"processes": 6}), ("worker", {"by": -1})] from "web=6 worker=-1" or "web 6"."""
    if len(words) == 2 and "=" not in words[0] + words[1]:
        words = (f"{words[0]}={words[1]}",)
    found = []
    for word in words:
        name, _, amount = word.partition("=")
        number = amount.lstrip("+-")
        if not name or not number.isdigit() or len(amount) - len(number) > 1:
            raise usage_error(f"{word!r} is not NAME=N, NAME=+N or NAME=-N")
        key = "by" if amount[0] in "+-" else "processes"
        found.append((name, {key: int(amount)}))
    return found


def _do(
    verb: str, names: tuple[str, ...], config: str | None, json_wanted: bool, **options: Any
) -> None:
    client = Client.find(config)
    with _Progress(client, quiet=json_wanted or not options.get("wait")):
        outcome: Outcome = client.command(verb, ",".join(names), **_given(**options))
    print_outcome(outcome, json_wanted=json_wanted)


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


class _Progress:
    """Shows on stderr what happens while a command runs, when a person is watching."""

    def __init__(self, client: Client, *, quiet: bool) -> None:
        self._client = client
        self._quiet = quiet or not sys.stderr.isatty()
        self._from = SystemClock().wall() - 0.1
        self._over = False

    def __enter__(self) -> None:
        if not self._quiet:
            threading.Thread(target=self._follow, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._over = True

    def _follow(self) -> None:
        try:
            for event in self._client.events(follow=True):
                if self._over:
                    return
                if isinstance(event, Event) and event.time >= self._from and event.text:
                    message(f"  {event.text}", colour="bright_black")
        except ChapiteauError:
            return  # the command itself says what is wrong
