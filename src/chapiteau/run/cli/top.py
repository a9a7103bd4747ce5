"""CPU and memory of every process of this machine, as plain tables."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import click

from chapiteau.core.text import format_table
from chapiteau.core.units import format_size
from chapiteau.io.console import print_json
from chapiteau.run.api.client import Client
from chapiteau.run.cli.lines import follow_stats
from chapiteau.run.cli.options import config_option, json_option

__all__ = ["SORTS", "screen", "show_top", "top"]

_KEYS: Final[dict[str, str]] = {"cpu": "cpu", "memory": "rss", "threads": "threads", "name": "ids"}
SORTS: Final = tuple(_KEYS)
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # a screen of our own, no cursor


@click.command("top")
@click.option("--sort", type=click.Choice(SORTS), default="cpu", show_default=True)
@click.option("-n", "--count", type=click.IntRange(1), help="End after so many looks.")
@config_option
@json_option
def top(sort: str, count: int | None, config: str | None, json_wanted: bool) -> None:
    """CPU and memory of every process with all that it started, once a second. Ctrl-C ends it.

    \b
    chapiteau run top
    chapiteau run top --sort memory
    chapiteau run top --json -n 1
    """
    show_top(sort=sort, count=count, config=config, json_wanted=json_wanted)


def show_top(*, sort: str, count: int | None, config: str | None, json_wanted: bool) -> None:
    """Look once a second and print, `count` times or until Ctrl-C."""
    looks = follow_stats(Client.find(config))
    with _drawing(json_wanted) as draw:
        for number, look in enumerate(looks, 1):
            if json_wanted:
                print_json(look)
            else:
                draw(screen(look, sort=sort, size=shutil.get_terminal_size()))
            if number == count:
                return


@contextlib.contextmanager
def _drawing(json_wanted: bool) -> Iterator[Callable[[str], None]]:
    """How to show a screen: over the one before on a terminal, one after the other in a pipe."""
    if json_wanted or not sys.stdout.isatty():
        yield click.echo
        return
    sys.stdout.write(_ENTER)

    def over(text: str) -> None:
        # Each line is cleared to its end as it is written: no flicker.
        sys.stdout.write("\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[J")
        sys.stdout.flush()

    try:
        yield over
    except KeyboardInterrupt:
        pass
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()


def screen(look: Mapping[str, Any], *, sort: str = "cpu", size: tuple[int, int] = (80, 24)) -> str:
    """One stats message as text of at most that many columns and lines."""
    columns, lines = size
    ids = look.get("ids", [])
    order = sorted(range(len(ids)), key=lambda i: look[_KEYS[sort]][i], reverse=sort != "name")
    room = max(1, lines - 6)
    rows = [
        (
            ids[i].replace("/", "."),
            look["pid"][i],
            f"{look['cpu'][i]:.1f}",
            format_size(look["rss"][i]),
            look["threads"][i],
        )
        for i in order[:room]
    ]
    head = [_totals(look), _queues(look), ""]
    body = format_table(rows, ["PROCESS", "PID", "CPU%", "MEMORY", "THREADS"]).splitlines()
    more = [f"… and {len(ids) - room} more"] if len(ids) > room else []
    return "\n".join(line[:columns] for line in [*head, *body, *more])


def _totals(look: Mapping[str, Any]) -> str:
    own, host = look.get("supervisor", {}), look.get("host", {})
    total = f"{len(look.get('ids', []))} processes, CPU {sum(look.get('cpu', [])):.1f} %"
    memory = format_size(sum(look.get("rss", [])))
    supervisor = f"supervisor {own.get('cpu', 0):.1f} %, {format_size(own.get('rss', 0))}"
    return f"{total}, memory {memory} · {supervisor} · load {host.get('load1', 0):.2f}"


def _queues(look: Mapping[str, Any]) -> str:
    waiting = [f"{name} {facts['queued']}" for name, facts in look.get("sockets", {}).items()]
    return f"waiting connections: {', '.join(waiting)}" if waiting else ""
