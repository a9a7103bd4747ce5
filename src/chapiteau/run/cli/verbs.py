"""The commands on services, made from the table of calls: start, stop, reload, scale, signal …"""

import inspect
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import click

from chapiteau.core.errors import ChapiteauError
from chapiteau.io.clock import SystemClock
from chapiteau.run.api.calls import CommandOptions
from chapiteau.run.api.client import Client
from chapiteau.run.api.commands import COMMANDS, Command
from chapiteau.run.cli.options import (
    DURATION,
    config_option,
    json_option,
    message,
    print_outcome,
    service_amounts,
    service_names,
    signal_names,
    usage_error,
    wait_option,
)
from chapiteau.run.events import Event

__all__ = ["command"]

_ARGUMENTS: Final[dict[str, list[Callable[[Any], Any]]]] = {
    "scale": [
        click.argument(
            "amounts", nargs=-1, required=True, metavar="NAME=N...", shell_complete=service_amounts
        )
    ],
    "signal": [
        click.argument("signal", shell_complete=signal_names),
        click.argument("names", nargs=-1, required=True, shell_complete=service_names),
    ],
}
_GIVEN_BY_ARGUMENTS: Final = frozenset({"processes", "signal"})
_ALL: Final = frozenset({"start", "reopen"})  # without names these mean all services


def command(name: str) -> click.Command:
    """The command of this name."""
    call = COMMANDS[name]
    names = [click.argument("names", nargs=-1, shell_complete=service_names)]
    parameters = [
        *_ARGUMENTS.get(name, names if call.subject == "service" else []),
        config_option,
        *(_option(option) for option in call.options.split() if option not in _GIVEN_BY_ARGUMENTS),
        json_option,
    ]

    def run(config: str | None, json_wanted: bool, **given: Any) -> None:
        for targets, options in _requests(call, given):
            if targets:
                _run(call, targets, options, config, json_wanted)
            else:  # `reload` without names follows the changed file
                print_outcome(Client.find(config).apply(), json_wanted=json_wanted)

    for parameter in reversed(parameters):
        run = parameter(run)
    return click.command(name, help=_help(call))(run)


def __getattr__(name: str) -> click.Command:
    if name in COMMANDS:
        return command(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _option(name: str) -> Callable[[Any], Any]:
    if name == "wait":
        return wait_option
    if name == "timeout":
        text = "Maximum time to wait, for example 90s; default 10m, or what the settings allow."
        return click.option("--timeout", type=DURATION, metavar="TIME", help=text)
    field = CommandOptions.__dataclass_fields__[name]
    if field.type == bool | None:
        return click.option(f"--{name}", is_flag=True, default=None, help=field.metadata["help"])
    number = click.IntRange(field.metadata.get("low"))
    kind = number if field.type == int | None else str
    return click.option(f"--{name}", type=kind, help=field.metadata["help"])


def _help(call: Command) -> str:
    """Its summary, then its paragraphs; the last one is examples, which click keeps as they are."""
    *prose, examples = inspect.cleandoc(call.examples).split("\n\n")
    return "\n\n".join([call.summary, *prose, f"\b\n{examples.strip()}"])


def _requests(call: Command, given: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Which services are meant and with which options; no services: the changed file."""
    options = {key: value for key, value in given.items() if value is not None}
    if call.name == "scale":
        amounts = _amounts(options.pop("amounts"), options.pop("by", None))
        return [(name, options | amount) for name, amount in amounts]
    names: tuple[str, ...] = options.pop("names", ())
    if call.name == "signal":
        options["signal"] = _signal(given["signal"])
    if call.subject == "node":
        return [("all", {"wait": True})]
    if call.name in _ALL:
        names = names or ("all",)
    elif not names and call.name != "reload":
        hint = f"name services, or all of them: chapiteau {call.name} all"
        raise usage_error(f"{call.name} what?", hint)
    return [(",".join(names), options)]


def _signal(text: str) -> str:
    from chapiteau.run.config.service_rules import signal_name

    try:
        return signal_name(text)
    except ValueError as exc:
        raise usage_error(str(exc), "first the signal, then the services: signal HUP web") from None


def _amounts(words: tuple[str, ...], by: int | None) -> list[tuple[str, dict[str, int]]]:
    """[("web", {"processes": 6}), ("worker", {"by": 1})] from "web=6 worker=+1" or "web 6".

    With `--by` the words are names. "web=-1" is refused: it reads as a number of processes too.
    """
    if by is not None:
        if any("=" in word for word in words):
            raise usage_error("NAME=N and --by are two ways to say it: take one of them")
        return [(word, {"by": by}) for word in words]
    if len(words) == 2 and "=" not in words[0] + words[1]:
        words = (f"{words[0]}={words[1]}",)
    found = []
    for word in words:
        name, _, amount = word.partition("=")
        number = amount.lstrip("+-")
        if not name or not number.isdigit() or len(amount) - len(number) > 1:
            raise usage_error(f"{word!r} is not NAME=N or NAME=+N")
        if amount[0] == "-":
            fewer = f"{number} fewer: chapiteau scale {name} --by -{number}"
            raise usage_error(f"{word!r}: there are no fewer than 0 processes", fewer)
        key = "by" if amount[0] == "+" else "processes"
        found.append((name, {key: int(amount)}))
    return found


def _run(
    call: Command, names: str, options: dict[str, Any], config: str | None, json_wanted: bool
) -> None:
    client = Client.find(config)
    with _Progress(client, quiet=json_wanted or not options.get("wait")):
        outcome = client.command(call.name, names, **options)
    print_outcome(outcome, json_wanted=json_wanted)


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
