"""What becomes of each option of the plugins that Circus brings: one table per plugin."""

import re
from typing import Final

from chapiteau.migrate.draft import Target
from chapiteau.migrate.rules import (
    Rule,
    described,
    differs,
    for_each,
    keep,
    lost,
    lost_if,
    unneeded,
)
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import boolean, integer, number, seconds, signal_name, size_text, text

__all__ = ["FLAPPING", "HTTP", "REDIS", "RELOADER", "RESOURCES", "STATSD", "WATCHDOG"]

_COUNTED: Final = for_each(
    "application_name host port sample_rate",
    lost(
        "counted the plugin's own work in statsd",
        'use = "statsd" sends every event, those of plugins too',
    ),
)


def _attempts(option: Option, target: Target) -> None:
    """`options.attempts`, at least 2"""
    count = integer(option.value)
    if count < 2:
        target.set("options.attempts", 2, option)
        target.changed(option, "is 2 here: one end alone is no flapping")
    else:
        target.put(option, "options.attempts", count)


FLAPPING: Final[dict[str, Rule]] = {
    "attempts": _attempts,
    "window": keep("options.window", seconds),
    "retry_in": keep("options.retry_in", seconds),
    "max_retry": keep("options.retries", integer),
    "active": described(
        "true: nothing to write; false: the service is left out of `options.services`",
        lambda option, target: target.kept(option, f"{boolean(option.value)}".lower()),
    ),
}


def _bound(key: str) -> Rule:
    def rule(option: Option, target: Target) -> None:
        word = text(option.value).strip()
        try:
            float(word)
        except ValueError:
            target.put(option, key, size_text(word))
        else:
            raise ValueError(f"{word}% of the machine's memory; {key} takes a size")

    return described(f"`{key}`; percent of the machine's memory is **lost**", rule)


def _part_of_window(option: Option, target: Target) -> None:
    """`options.window`: `loop_rate` times `max_count`"""
    if number(option.value) <= 0:
        raise ValueError(f"{option.value!r} is not above 0")
    target.kept(option, "options.window")


RESOURCES: Final[dict[str, Rule]] = {
    **for_each("watcher service", unneeded("`options.services`")),
    "max_cpu": keep("options.max_cpu", number),
    "min_cpu": keep("options.min_cpu", number),
    "max_mem": _bound("options.max_memory"),
    "min_mem": _bound("options.min_memory"),
    **for_each("loop_rate max_count", _part_of_window),
    "health_threshold": lost_if(
        number,
        "was a bound for the mean of CPU and memory in percent",
        "options.max_cpu and options.max_memory bound each of them",
        "was off",
    ),
    **for_each(
        "process_children child_signal",
        lost(
            "was for the children of a process, one by one",
            "make them services of their own, each with its bounds",
        ),
    ),
    **_COUNTED,
}

HTTP: Final[dict[str, Rule]] = {
    "check_url": keep("options.url", text),
    "timeout": keep("options.timeout", seconds),
    "loop_rate": keep("options.interval", seconds),
    "restart_on_error": unneeded('`options.service`, with `options.action = "restart"`'),
    **_COUNTED,
}

STATSD: Final[dict[str, Rule]] = {
    "host": keep("options.host", text),
    "port": keep("options.port", integer),
    "application_name": differs(
        "options.prefix",
        lambda name: f"circus.{text(name).strip()}.watcher",
        "the prefix stays; the names after it are those of Chapiteau",
        "docs/reference/events.md lists what is counted",
    ),
    "loop_rate": keep("options.interval", seconds),
    "sample_rate": lost_if(
        lambda value: number(value) != 1,
        "sent only some of the counts",
        "every event is sent",
        "every event is sent",
    ),
}

RELOADER: Final[dict[str, Rule]] = {"loop_rate": keep("options.interval", seconds)}


def _pattern(value: object) -> str:
    """A regular expression with a group `pid`, anchored as re.match does. Raises ValueError."""
    written = text(value)
    try:
        groups = re.compile(written).groupindex
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{written!r} is no regular expression: {exc}") from None
    if "pid" not in groups:
        raise ValueError(f"{written!r} has no group named pid")
    return written if written.startswith("^") else f"^(?:{written})"


WATCHDOG: Final[dict[str, Rule]] = {
    "loop_rate": keep("options.interval", seconds),
    "max_count": keep("options.missed", integer),
    "ip": keep("options.host", text),
    "port": keep("options.port", integer),
    "msg_regex": keep("options.message", _pattern),
    "watchers_regex": unneeded("`options.services`: the names that it matches today"),
    "watchers_stop_signal": keep("options.signal", signal_name),
    "watchers_graceful_timeout": keep("options.grace", seconds),
}

REDIS: Final[dict[str, Rule]] = {
    "redis_url": unneeded("the address in `live.exec` of the service"),
    "timeout": keep("live.timeout", seconds),
    "loop_rate": keep("live.interval", seconds),
    "restart_on_timeout": unneeded("the service that gets the `live` check"),
    **_COUNTED,
}
