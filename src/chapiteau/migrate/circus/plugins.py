"""[plugin:NAME]: Circus's own become ours; one of the user's runs on through the bridge."""

import re
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from chapiteau.migrate.circus.plugin_rules import (
    FLAPPING,
    HTTP,
    REDIS,
    RELOADER,
    RESOURCES,
    STATSD,
    WATCHDOG,
)
from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import apply_rules, try_rule
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import boolean, duration, number

__all__ = ["convert_plugins"]

# What a watcher's own flapping.* says, by the name of its service.
Overrides = Mapping[str, list[Option]]
_BRIDGE: Final = "ipc://.chapiteau/circus"  # below the default run_dir, relative to the file


def convert_plugins(draft: Draft, sections: list[Section]) -> None:
    """Every [plugin:NAME], and the flapping.* of watchers, which only a plugin reads."""
    overrides = _overrides(draft, sections)
    plugins = [section for section in sections if section.name.startswith("plugin:")]
    for section in plugins:
        _take(draft, section, overrides)
    if not any(_kind(section) == "Flapping" for section in plugins):
        for name, options in overrides.items():
            for option in options:
                what = "is heeded only with Circus's plugin Flapping, which is not in this file"
                draft.table("service", name).kept(option, what)


def _kind(section: Section) -> str:
    return section.value("use").strip().rpartition(".")[2]


def _take(draft: Draft, section: Section, overrides: Overrides) -> None:
    name = _kind(section)  # Flapping needs what the watchers say, too
    active, priority = section.get("active"), section.get("priority")
    top = draft.table("project")
    if active and (name in _SHIPPED or name == "Flapping") and _is_off(top, active):
        for option in section.options:
            top.kept(option, "was switched off")
        return
    if active and (name in _SHIPPED or name == "Flapping"):
        top.kept(active, "was on anyway")
    if priority:
        top.kept(priority, "plugins start with the services, and hear all from the beginning")
    if name == "Flapping":
        _flapping(draft, section, overrides)
    elif name in _SHIPPED:
        _SHIPPED[name](draft, section)
    else:
        _own(draft, section)


def _is_off(top: Target, active: Option) -> bool:
    try:
        return not boolean(active.value)
    except ValueError as exc:
        top.lost(active, f"its value can't be used: {exc}", "write true or false")
        return False


def _plugin(draft: Draft, section: Section, use: str, wanted: str = "") -> Target:
    """[plugin.NAME] with `use`."""
    name = wanted or section.name.partition(":")[2] or use
    named = Option(name="name", value=name, where=section.where, section=section.title)
    target = draft.named("plugin", named)
    target.set("use", use, section.get("use"))
    return target


def _rest(section: Section) -> list[Option]:
    return [o for o in section.options if o.name not in ("use", "priority", "active")]


def _service_named(draft: Draft, name: str) -> Target | None:
    for path, origin in draft.origins.items():
        if path[:1] == ("service",) and len(path) == 2 and str(origin.value) == name:
            return draft.table("service", path[1])
    return None


def _used(target: Target, section: Section, differs: str) -> None:
    if use := section.get("use"):
        target.changed(use, f'became use = "{target.get("use")}": {differs}')


# ── flapping ──────────────────────────────────────────────────────────────────────────────────
def _overrides(draft: Draft, sections: list[Section]) -> dict[str, list[Option]]:
    found: dict[str, list[Option]] = {}
    for section in sections:
        options = [o for o in section.options if o.name.startswith("flapping.")]
        if section.name.startswith("watcher:") and options:
            service = _service_named(draft, section.name.partition(":")[2])
            if service is not None:
                found[service.name] = [_inside(o) for o in options]
    return found


def _inside(option: Option) -> Option:
    return Option(
        name=option.name.removeprefix("flapping."),
        value=option.value,
        where=option.where,
        section=f"{option.section} flapping.",
    )


def _flapping(draft: Draft, section: Section, overrides: Overrides) -> None:
    """One guard for all, and one more for each watcher that has words of its own."""
    services = [n for n, t in draft.tables.get("service", {}).items() if t.get("command")]
    others = [name for name in services if name not in overrides]
    general = _rest(section)
    if others or not services:
        guard = _guard(draft, section, "")
        apply_rules(general, FLAPPING, guard)
        if overrides:
            guard.set("options.services", others)
    for name, own in overrides.items():
        if _is_off_for(draft.table("service", name), own):
            continue
        guard = _guard(draft, section, f"{section.name.partition(':')[2]}-{name}")
        said = {o.name for o in own}
        apply_rules([*(o for o in general if o.name not in said), *own], FLAPPING, guard)
        guard.set("options.services", [name])


def _guard(draft: Draft, section: Section, name: str) -> Target:
    guard = _plugin(draft, section, "flapping", name)
    guard.set("options", {"attempts": 2, "window": "1s", "retry_in": "7s"})  # Circus's defaults
    _used(
        guard,
        section,
        "ends are counted per process, not per watcher, and one that was asked for never counts",
    )
    return guard


def _is_off_for(service: Target, options: list[Option]) -> bool:
    active = next((o for o in options if o.name == "active"), None)
    if active is None or not _is_off(service, active):
        return False
    for option in options:
        service.kept(option, "the guard leaves this service out")
    return True


# ── the others that Circus brings ─────────────────────────────────────────────────────────────
def _resources(draft: Draft, section: Section) -> None:
    watcher = section.value("watcher") or section.value("service")
    service = _service_named(draft, watcher)
    if service is None:
        top = draft.table("project")
        for option in section.options:
            top.lost(option, f"watches {watcher!r}, which is not there", "name a watcher")
        return
    target = _plugin(draft, section, "resources")
    target.set("options", {"services": [service.name], "max_cpu": 90.0})
    apply_rules(_rest(section), RESOURCES, target)
    window = _window(section)
    target.values["options"] |= {"window": window, "action": "restart", "pause": window}
    _used(
        target,
        section,
        "each process has its bounds and its window; a bound for memory is a size, and without "
        "max_mem there is none (Circus: 90 % of the machine's)",
    )


def _window(section: Section) -> str:
    def of(name: str, default: float) -> float:
        try:
            found = number(section.value(name) or default)
        except ValueError:
            return default
        return found if found > 0 else default

    return duration(of("loop_rate", 60) * of("max_count", 3))


def _http(draft: Draft, section: Section) -> None:
    target = _plugin(draft, section, "http")
    target.set(
        "options",
        {"url": "http://localhost/", "interval": "60s", "timeout": "10s", "failures": 1},
    )
    apply_rules(_rest(section), HTTP, target)
    restart = section.get("restart_on_error")
    if restart is None or not restart.value:
        _used(target, section, "a failure is an event, plugin.message, which alerts pass on")
        return
    service = _service_named(draft, str(restart.value))
    if service is None:
        target.lost(restart, "names a watcher that is not there", "set options.service")
        return
    target.values["options"] |= {"service": service.name, "action": "restart"}
    _used(target, section, "a failure is an event too, plugin.message, which alerts pass on")


def _statsd(draft: Draft, section: Section) -> None:
    target = _plugin(draft, section, "statsd")
    target.set("options", {"prefix": "circus.app.watcher"})
    if _kind(section) == "FullStats":
        target.set("options.interval", "60s")
    apply_rules(_rest(section), STATSD, target)
    _used(target, section, "counts events and sends gauges; their names are those of Chapiteau")


def _reloader(draft: Draft, section: Section) -> None:
    target = _plugin(draft, section, "reloader")
    target.set("options.action", "restart")
    apply_rules(_rest(section), RELOADER, target)
    _used(target, section, "the words of a command that are files are watched too")


def _watchdog(draft: Draft, section: Section) -> None:
    target = _plugin(draft, section, "watchdog")
    apply_rules(_rest(section), WATCHDOG, target)
    chosen = section.get("watchers_regex")
    if chosen is not None:
        try_rule(chosen, target, partial(_choose, draft, target, chosen))
    _used(target, section, "the silent process alone is replaced")


def _choose(draft: Draft, target: Target, chosen: Option) -> None:
    try:
        pattern = re.compile(str(chosen.value))
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{chosen.value!r} is no regular expression: {exc}") from None
    names = [
        path[1]
        for path, origin in draft.origins.items()
        if path[:1] == ("service",) and len(path) == 2 and pattern.match(str(origin.value))
    ]
    if str(chosen.value) != ".*":
        target.set("options.services", names, chosen)


def _redis(draft: Draft, section: Section) -> None:
    restart = section.get("restart_on_timeout")
    service = _service_named(draft, section.value("restart_on_timeout")) if restart else None
    top = draft.table("project")
    if service is None:
        for option in [o for o in section.options if o.name != "priority"]:
            top.lost(
                option,
                "sent the figures of Redis to statsd, and restarted nothing",
                "let a service with schedule = '@every 1m' send what redis-cli INFO tells",
            )
        return
    url = section.value("redis_url") or "redis://localhost:6379/0"
    service.set("live", {"exec": shlex.join(["redis-cli", "-u", literal(url), "ping"])})
    service.values["live"] |= {"failures": 1, "timeout": "5s", "interval": "60s"}
    apply_rules(_rest(section), REDIS, service)
    if use := section.get("use"):
        service.changed(
            use,
            "became a `live` check with redis-cli; its figures are not sent to statsd",
            "install redis-tools, or write another command",
        )


_SHIPPED: Final[dict[str, Callable[[Draft, Section], None]]] = {
    "ResourceWatcher": _resources,
    "StatsdEmitter": _statsd,
    "FullStats": _statsd,
    "HttpObserver": _http,
    "RedisObserver": _redis,
    "CommandReloader": _reloader,
    "WatchDog": _watchdog,
}


# ── a plugin of the user's ────────────────────────────────────────────────────────────────────
def _own(draft: Draft, section: Section) -> None:
    """It runs on as a service: circus-plugin, which talks to the bridge."""
    use = section.get("use")
    if use is None or not use.value:
        top = draft.table("project")
        for option in section.options:
            top.lost(option, "belongs to a plugin without `use`", "name its class")
        return
    given = [o for o in section.options if o.name not in ("use", "priority")]
    words = ["circus-plugin", "--endpoint", f"{_BRIDGE}/ctrl", "--pubsub", f"{_BRIDGE}/pubsub"]
    if given:
        words += ["--config", ":::".join(f"{o.name}:{o.value}" for o in given)]
    name = section.name.partition(":")[2]
    named = Option(name="name", value=name, where=section.where, section=section.title)
    target = draft.named("service", named)
    target.set("command", [literal(word) for word in [*words, str(use.value)]], use)
    for option in given:
        target.kept(option, "--config in command")
    target.changed(
        use,
        "is a plugin written for Circus: it runs as a service, and speaks to [plugin.circus]",
        "pip install 'chapiteau[circus]' circus; docs/how-to/plugins.md: to write it anew",
    )
    if not _has_bridge(draft):
        bridge = Option(name="use", value="circus", where=section.where, section=section.title)
        draft.named("plugin", bridge).set("use", "circus", bridge)


def _has_bridge(draft: Draft) -> bool:
    return any(p.get("use") == "circus" for p in draft.tables.get("plugin", {}).values())
