"""`status`, `logs` and `events`: the state of the services, their output and what happened."""

from fnmatch import fnmatchcase
from typing import Any

import click

from chapiteau.io.console import print_json, use_colour
from chapiteau.run.api.client import Client
from chapiteau.run.cli.lines import event_line, follow_events
from chapiteau.run.cli.options import config_option, json_option, service_names
from chapiteau.run.cli.show import parse_moment, show_logs, show_status
from chapiteau.run.events import Event
from chapiteau.run.logs.messages import Gap

__all__ = ["events", "logs", "status"]


@click.command("status")
@click.argument("names", nargs=-1, shell_complete=service_names)
@config_option
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "brief", "json", "name"]),
    default="table",
    help="wide: every process. brief: name, state, ready and pids between tabs, the quickest. "
    "name: names alone.",
)
def status(names: tuple[str, ...], config: str | None, json_wanted: bool, output: str) -> None:
    """Show services, their state and current problems.

    \b
    chapiteau status              problems, then one line per service
    chapiteau status -o wide      … and one per process
    chapiteau status -o brief     for scripts: name, state, ready/wanted, pids
    chapiteau status --json 'web*'
    """
    show_status(names, config, json_wanted, output)


_follow = click.option("-f", "--follow", is_flag=True, help="Keep printing new lines.")
_since = click.option(
    "--since", metavar="TIME", help="Only what is younger than this: 10m, or 2026-01-31T12:00."
)


@click.command("logs")
@click.argument("names", nargs=-1, shell_complete=service_names)
@_follow
@click.option(
    "-n", "--last", default=100, show_default=True, help="Number of earlier lines to show first."
)
@click.option("--process", type=click.IntRange(0), default=0, help="Only this process.")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@click.option("--grep", default="", metavar="REGEX", help="Only lines matching this.")
@click.option("--level", default="", help="Minimum level: debug, info, warning, error …")
@_since
@click.option("--until", metavar="TIME", help="Only what is older; nothing is followed.")
@config_option
@json_option
def logs(**given: Any) -> None:
    """Show output of all services, or of those matching NAMES (globs allowed).

    \b
    chapiteau logs -f
    chapiteau logs -f 'web*' --level warning
    chapiteau logs web -n 20 --grep 'HTTP/1.1" 5'
    chapiteau logs --since 10m --until 5m --json worker
    """
    show_logs(**given)


@click.command("events")
@click.argument("names", nargs=-1, shell_complete=service_names)
@_follow
@_since
@click.option("-n", "--last", type=click.IntRange(0), help="Only the last ones of the past.")
@click.option("--after", type=click.IntRange(0), default=0, help="Only with a greater number.")
@click.option("--kind", default="*", metavar="GLOB", help="Only these, like 'process.*'.")
@config_option
@json_option
def events(config: str | None, json_wanted: bool, follow: bool, **wanted: Any) -> None:
    """Show events: what happened to services, processes and the supervisor.

    \b
    chapiteau events
    chapiteau events -f web --kind 'process.*'
    chapiteau events --since 1h --json
    """
    client, since = Client.find(config), parse_moment(wanted["since"])
    after, last = wanted["after"], wanted["last"]
    if last is not None:  # numbers have no gaps: the past ends at the newest event
        kept = [e for e in client.events(after) if isinstance(e, Event)]
        met = [e for e in kept if _chosen(e, wanted["names"], wanted["kind"])]
        if met[:-last] if last else met:
            after = (met[:-last] if last else met)[-1].seq
    items = follow_events(client, after) if follow else client.events(after)
    colour = use_colour()
    for item in items:
        if isinstance(item, Gap):
            if json_wanted:
                print_json({"lost": item.count})
            else:
                click.echo(f"… {item.count} events lost: this reader was too slow")
        elif item.time >= since and _chosen(item, wanted["names"], wanted["kind"]):
            if json_wanted:
                print_json(item.to_dict())
            else:
                click.echo(event_line(item, colour=colour), color=True)


def _chosen(item: Event, names: tuple[str, ...], kind: str) -> bool:
    return fnmatchcase(item.kind, kind) and (
        not names or any(fnmatchcase(item.service, name) for name in names)
    )
