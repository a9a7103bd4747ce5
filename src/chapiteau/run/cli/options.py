"""What the commands share: where the configuration is, JSON or text, how to say what happened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from chapiteau.core.errors import ChapiteauError, UsageError
from chapiteau.io.clock import SystemClock
from chapiteau.io.console import print_json, use_colour

if TYPE_CHECKING:
    from chapiteau.run.logs.messages import Outcome

__all__ = [
    "DURATION",
    "config_option",
    "json_option",
    "message",
    "print_outcome",
    "service_amounts",
    "service_names",
    "signal_names",
    "timeout_option",
    "usage_error",
    "wait_for",
    "wait_option",
]

F = TypeVar("F", bound=Callable[..., Any])


class _Duration(click.ParamType[float]):
    """ "90s", "1m30s" or a number of seconds."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Seconds."""
        from chapiteau.core.units import parse_duration

        try:
            return parse_duration(float(value) if _is_number(value) else value)
        except ValueError as exc:
            self.fail(str(exc), param, ctx)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) or value.replace(".", "", 1).isdigit()


DURATION: Final = _Duration()


def service_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """For Tab: the names in the file that begin so; none when they can't be had, for Tab must
    never complain."""
    from chapiteau.io.project_file import find_config, read_project

    try:
        names = read_project(find_config(ctx.params.get("config"))).section("service")
    except (ChapiteauError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def service_amounts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """For Tab: NAME= for every service that begins so."""
    return [f"{name}=" for name in service_names(ctx, param, incomplete)]


def signal_names(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """For Tab: the signals that begin so."""
    import signal as signals

    wanted = incomplete.upper().removeprefix("SIG")
    names = [one.name.removeprefix("SIG") for one in signals.Signals]
    return [name for name in names if name.startswith(wanted)]


def config_option(function: F) -> F:
    """--config/-c: the file, or its folder; found from here upwards when not given."""
    return click.option(
        "-c",
        "--config",
        metavar="FILE",
        envvar="CHAPITEAU_CONFIG",
        help="The chapiteau.toml or its folder. Default: looked for here and upwards.",
    )(function)


def json_option(function: F) -> F:
    """--json: data for machines."""
    return click.option("--json", "json_wanted", is_flag=True, help="Print JSON.")(function)


def wait_option(function: F) -> F:
    """--wait/--no-wait."""
    return click.option(
        "--wait/--no-wait", default=True, help="Wait until it is done (default), or return at once."
    )(function)


def timeout_option(function: F) -> F:
    """--timeout."""
    return click.option(
        "--timeout", type=DURATION, metavar="TIME", help="Maximum time to wait, for example 90s."
    )(function)


def message(text: str, *, colour: str = "") -> None:
    """A message for people, on stderr; data goes to stdout."""
    if colour and use_colour(sys.stderr):
        text = click.style(text, fg=colour)
    click.echo(text, err=True, color=True)


def wait_for(fact: Callable[[], bool], end: float) -> bool:
    """Poll until it holds, or until `end` on the monotonic clock; whether it holds."""
    clock = SystemClock()
    while not fact():
        if clock.now() >= end:
            return False
        clock.sleep(0.02)
    return True


def print_outcome(outcome: Outcome, *, json_wanted: bool) -> None:
    """Print what a command did. Raises when it failed, with its own exit code."""
    if json_wanted:
        print_json(outcome.to_dict())
        if not outcome.ok:
            raise click.exceptions.Exit(outcome.exit_code or 1)
        return
    if not outcome.ok:
        raise outcome.to_error()
    if outcome.text:
        click.echo(outcome.text)


def usage_error(what: str, hint: str = "") -> UsageError:
    """A wrong command line."""
    return UsageError(what, hint=hint)
