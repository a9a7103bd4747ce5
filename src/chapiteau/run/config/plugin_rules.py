"""What [plugin.NAME] must not say."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from chapiteau.core.fields import Path, read
from chapiteau.core.text import is_level
from chapiteau.run.config.plugin_settings import (
    BUILTIN_PLUGINS,
    AlertOptions,
    CircusOptions,
    HeartbeatOptions,
    OtlpOptions,
    ResourceOptions,
    UrlObserverOptions,
)
from chapiteau.run.config.service_rules import Violation, signal_name
from chapiteau.run.config.spec import Plugin

__all__ = ["plugin_rules"]

_TARGET: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_ADDRESS: Final = re.compile(r"(?P<scheme>[a-z]+)://(?:\[(?P<six>[^\]]*)\]|(?P<host>[^/:\[]*))")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def plugin_rules(plugins: Mapping[str, Plugin], services: Collection[str]) -> Iterator[Violation]:
    """Every broken rule. Options of plugins that are not ours are known to their class alone."""
    for name, plugin in plugins.items():
        here = ("plugin", name)
        if name in services:
            hint = "status shows both under their names: choose another"
            yield Violation(here, "is also the name of a service", hint)
        if ":" in plugin.use and not _TARGET.fullmatch(plugin.use):
            yield Violation((*here, "use"), f"{plugin.use!r} is not module:Class")
        shipped = BUILTIN_PLUGINS.get(plugin.use)
        if shipped is None:
            continue
        made, problems = read(shipped.settings, plugin.options, (*here, "options"))
        for path, problem in problems:
            yield Violation(path, problem.what, problem.hint)
        if made is not None:
            yield from _of(made, (*here, "options"))


def _of(options: object, here: Path) -> Iterator[Violation]:
    rule = _RULES.get(type(options))
    if rule is not None:
        yield from rule(options, here)


def _resources(options: ResourceOptions, here: Path) -> Iterator[Violation]:
    if not (options.max_cpu or options.min_cpu or options.max_memory or options.min_memory):
        yield Violation(here, "has no bound", "set max_cpu, max_memory, min_cpu or min_memory")


def _http(options: UrlObserverOptions, here: Path) -> Iterator[Violation]:
    yield from _web((*here, "url"), options.url)
    if options.action != "alert" and not options.service:
        yield Violation((*here, "service"), f"must be given: what shall {options.action}?")


def _otlp(options: OtlpOptions, here: Path) -> Iterator[Violation]:
    yield from _web((*here, "url"), options.url)
    if options.level and not is_level(options.level):
        yield Violation(
            (*here, "level"), f"{options.level!r} is no level", "debug, info, warning …"
        )


def _web(place: Path, url: str) -> Iterator[Violation]:
    if not _is_web(url):
        yield Violation(place, f"{url!r} is not an http:// or https:// address")


def _is_web(url: str) -> bool:
    match = _ADDRESS.match(url)
    return bool(match and match["scheme"] in ("http", "https") and (match["host"] or match["six"]))


def _watchdog(options: HeartbeatOptions, here: Path) -> Iterator[Violation]:
    try:
        if "pid" not in re.compile(options.message).groupindex:
            yield Violation((*here, "message"), "has no group named pid", r"write (?P<pid>\d+)")
    except re.error as exc:
        yield Violation((*here, "message"), f"is not a regular expression: {exc}")
    try:
        if options.signal:
            signal_name(options.signal)
    except ValueError as exc:
        yield Violation((*here, "signal"), str(exc))


def _alerts(options: AlertOptions, here: Path) -> Iterator[Violation]:
    if not options.to:
        yield Violation((*here, "to"), "nobody would hear of anything", "add options.to.NAME.url")
    for name, target in options.to.items():
        place = (*here, "to", name)
        if bool(target.url) == bool(target.mail):
            yield Violation(place, "takes either url or mail")
        if target.url and not _is_web(target.url):
            yield Violation(
                (*place, "url"), f"{target.url!r} is not an http:// or https:// address"
            )
    for index, silence in enumerate(options.silence):
        try:
            if silence.until:
                datetime.fromisoformat(silence.until)
        except ValueError:
            yield Violation(
                (*here, "silence", index, "until"),
                f"{silence.until!r} is no moment",
                'write "2026-12-01T06:00" (local time)',
            )


def _circus(options: CircusOptions, here: Path) -> Iterator[Violation]:
    if options.added and options.allow_tcp:
        what = "beside allow_tcp every user of this machine could run programs as the supervisor"
        yield Violation((*here, "added"), what, "use ipc:// endpoints")
    for key in ("endpoint", "pubsub_endpoint", "stats_endpoint"):
        text = getattr(options, key)
        match = _ADDRESS.match(text)
        if not text or (text.startswith("ipc://") and len(text) > len("ipc://")):
            continue
        if match is None or match["scheme"] != "tcp":
            yield Violation((*here, key), f"{text!r} is neither ipc://PATH nor tcp://HOST:PORT")
        elif (host := match["six"] or match["host"]) not in _LOOPBACK:
            hint = "reach it from other machines through ssh: circusctl --ssh"
            yield Violation((*here, key), f"{host} is not loopback", hint)
        elif not options.allow_tcp:
            hint = "use ipc://, or set allow_tcp = true: every user of this machine may command"
            yield Violation((*here, key), "tcp has no owner and no password", hint)


_RULES: Final[Mapping[type[Any], Callable[[Any, Path], Iterator[Violation]]]] = {
    ResourceOptions: _resources,
    UrlObserverOptions: _http,
    OtlpOptions: _otlp,
    HeartbeatOptions: _watchdog,
    AlertOptions: _alerts,
    CircusOptions: _circus,
}
