"""The tables of supervisord.conf, and the rules that are special to it."""

from typing import Any, Final

from chapiteau.migrate.draft import Target, expand_home
from chapiteau.migrate.rules import dashboard_host, read_tables
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import duration, port_number, text

__all__ = ["TABLES"]


def _home(value: Any) -> str:
    return expand_home(text(value))


def _least_limit(option: Option, target: Target, _value: Any) -> None:
    limit = {"minfds": "open_files", "minprocs": "processes"}[option.name]
    target.changed(
        option,
        "raised the limit where it was lower: services have the supervisor's own",
        f"limits.{limit} of a service sets it",
    )


def _web_page(option: Option, target: Target, value: Any) -> None:
    host, _, port = text(value).strip().rpartition(":")
    dash = target.draft.table("dash")
    dash.put(option, "port", port_number(port))
    dash.put(option, "enable", True)
    if host in ("", "*"):
        raise ValueError("the page can be reached from other machines, and needs cert and key")
    dashboard_host(option, target, host)


def _startsecs(option: Option, target: Target, value: float) -> None:
    if value == 0:
        target.kept(option, "a process counts as up at once")
        return
    target.put(option, "ready.alive", duration(value))
    target.set("restart.healthy_after", duration(value))


def _startretries(option: Option, target: Target, count: int) -> None:
    if count < 1:
        target.set("restart.attempts", 1, option)
        target.changed(option, "0 became 1, the least there is")
    else:
        target.put(option, "restart.attempts", count)


def _kill_group(option: Option, target: Target, on: bool) -> None:
    if on:
        target.kept(option, "its whole tree is killed")
    else:
        target.changed(option, "nothing of a service survives its stop: the whole tree ends")


def _log_size(option: Option, target: Target, size: str | int) -> None:
    if size:
        target.put(option, "log.max_size", size)
    else:
        target.changed(
            option,
            "let the file grow without end; it is rotated at 50MiB",
            "see log.max_size, log.keep and log.max_total",
        )


TABLES: Final = read_tables("chapiteau.migrate.supervisord", globals())
