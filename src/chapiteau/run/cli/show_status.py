"""What `chapiteau status` prints, in each of its forms; it needs no command-line library."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from chapiteau.run.api.client import Client

if TYPE_CHECKING:
    from chapiteau.run.api.status import SupervisorStatus

__all__ = ["show_status"]


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


def _brief(service: dict[str, Any], output: str) -> str:
    if output == "name":
        return str(service["name"])
    pids = ",".join(str(pid) for pid in service["pids"]) or "-"
    ready = f"{service['ready']}/{service['wanted']}"
    return "\t".join((service["name"], service["state"], ready, pids))


def _chosen(services: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
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
