"""What `chapiteau status` and `chapiteau logs` print, without a command-line library."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from chapiteau.io.console import print_json, use_colour
from chapiteau.run.api.client import Client
from chapiteau.run.errors import NotRunningError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chapiteau.run.api.status import ServiceSummary, SupervisorStatus
    from chapiteau.run.logs.messages import Gap, LogLine, LogQuery

__all__ = ["parse_moment", "show_logs", "show_status"]


def show_logs(
    names: tuple[str, ...],
    config: str | None,
    json_wanted: bool,
    follow: bool,
    since: str | None,
    until: str | None,
    **wanted: str | int | None,
) -> None:
    """Print lines of output. `wanted`: last, process, stream, grep and level of the LogQuery."""
    from chapiteau.run.cli.lines import LinePrinter, follow_logs
    from chapiteau.run.logs.messages import Gap, LogQuery

    query = LogQuery(
        services=names,
        process=int(wanted["process"] or 0),
        stream=str(wanted["stream"] or ""),
        last=int(wanted["last"] or 0),
        follow=follow,
        grep=str(wanted["grep"] or ""),
        level=str(wanted["level"] or ""),
        since=parse_moment(since),
        until=parse_moment(until, "--until"),
    )
    client = Client.find(config)
    endless = follow and not query.until
    items = follow_logs(client, query) if endless else _searched(client, query)
    printer = LinePrinter(colour=use_colour())
    for item in _or_say_where(items, config):
        if json_wanted:
            print_json({"lost": item.count} if isinstance(item, Gap) else item.to_dict())
        else:
            sys.stdout.buffer.write(printer.line(item).encode("utf-8", "surrogateescape") + b"\n")
            if follow:
                sys.stdout.flush()
    sys.stdout.flush()


def _searched(client: Client, query: LogQuery) -> Iterator[LogLine | Gap]:
    """The last lines that fit, however far back they are; Ctrl-C ends with what was found."""
    from dataclasses import replace

    if not (query.grep or query.level or query.since or query.until):
        yield from client.logs(query)
        return
    found: list[LogLine] = []
    unread: dict[str, None] = {}
    try:
        while len(found) < query.last:
            wanted = replace(query, last=query.last - len(found), before=query.before)
            lines, older = client.log_page(wanted)
            found = lines + found
            unread |= dict.fromkeys(older.unread)
            if not older.places:
                break
            query = replace(query, before=older.before)
    except KeyboardInterrupt:
        sys.stderr.write("… older lines were not looked at\n")
    for what in unread:
        sys.stderr.write(f"… not read: {what}\n")
    yield from found


def _or_say_where(items: Iterator[LogLine | Gap], config: str | None) -> Iterator[LogLine | Gap]:
    """The items; when nobody runs, the files are still there."""
    try:
        yield from items
    except NotRunningError as exc:
        from chapiteau.io.locate_config import find_config
        from chapiteau.run.api.client import run_dir_of

        folder = run_dir_of(find_config(config)) / "log"
        hint = f"start it with `chapiteau up`; older output is in {folder}"
        raise NotRunningError(exc.what, hint=hint) from exc


def parse_moment(text: str | None, option: str = "--since") -> float:
    """Seconds since 1970 of "10m" (ago) or an ISO date and time (local unless it says)."""
    if not text:
        return 0.0
    from datetime import datetime

    from chapiteau.core.errors import UsageError
    from chapiteau.core.units import parse_duration
    from chapiteau.io.clock import SystemClock

    try:
        return SystemClock().wall() - parse_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        hint = "write for example 10m, or 2026-01-31T12:00"
        raise UsageError(f"{option}: {text!r} is no time", hint=hint) from None


def show_status(names: tuple[str, ...], config: str | None, json_wanted: bool, output: str) -> None:
    """Print the state of all services, or of those that are named."""
    client = Client.find(config)
    if (json_wanted or output == "json") and not names:
        # The hottest path of all: the answer goes through unread.
        sys.stdout.buffer.write(client.status_json() + b"\n")
        sys.stdout.flush()
    elif output in ("brief", "name") and not json_wanted:
        _print("\n".join(_brief(one, output) for one in _chosen(client.services(), names)))
    else:
        _show_whole(_only(client.status(), names), json_wanted or output == "json", output)


def _show_whole(status: SupervisorStatus, json_wanted: bool, output: str) -> None:
    if json_wanted:
        from chapiteau.io.console import print_json

        print_json(status.to_dict())
        return
    from chapiteau.io.clock import SystemClock
    from chapiteau.io.console import use_colour
    from chapiteau.run.cli.status_table import status_table

    now = SystemClock().wall()
    _print(status_table(status, now, wide=output == "wide", colour=use_colour()))


def _brief(service: ServiceSummary, output: str) -> str:
    if output == "name":
        return str(service["name"])
    pids = ",".join(str(pid) for pid in service["pids"]) or "-"
    ready = f"{service['ready']}/{service['wanted']}"
    return "\t".join((service["name"], service["state"], ready, pids))


def _chosen(services: list[ServiceSummary], names: tuple[str, ...]) -> list[ServiceSummary]:
    if not names:
        return services
    from chapiteau.run.config.selection import select

    chosen = set(select(",".join(names), [one["name"] for one in services]))
    return [one for one in services if one["name"] in chosen]


def _only(status: SupervisorStatus, names: tuple[str, ...]) -> SupervisorStatus:
    if not names:
        return status
    from dataclasses import replace

    from chapiteau.run.config.selection import select

    chosen = set(select(",".join(names), [s.name for s in status.services]))
    return replace(status, services=tuple(s for s in status.services if s.name in chosen))


def _print(text: str) -> None:
    if text:
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape") + b"\n")
        sys.stdout.flush()
