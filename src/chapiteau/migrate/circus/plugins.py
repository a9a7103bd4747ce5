"""[plugin:NAME]: Circus's own become ours; one of the user's runs on through the bridge."""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from chapiteau.migrate.circus.rules import TABLES
from chapiteau.migrate.draft import Draft, Target, literal
from chapiteau.migrate.ini import Section
from chapiteau.migrate.rules import apply_rules
from chapiteau.migrate.source import Option
from chapiteau.migrate.values import duration, number

__all__ = ["convert_plugins"]

# What a watcher's own flapping.* says, by the name of its service.
Overrides = Mapping[str, list[Option]]
_SCRIPT: Final = re.compile(r"[^-$].*\.(?:py|sh|rb|pl|php|js)")
_BRIDGE: Final = "ipc://.chapiteau/circus"  # below the default run_dir, relative to the file


def convert_plugins(draft: Draft, sections: Sequence[Section]) -> None:
    """Every [plugin:NAME], and the flapping.* of watchers, which only a plugin reads."""
    overrides = _overrides(draft, sections)
    plugins = [section for section in sections if section.kind == "plugin"]
    for section in plugins:
        _convert(draft, section, overrides)
    if not any(_class(section) == "Flapping" for section in plugins):
        for name, options in overrides.items():
            for option in options:
                what = "matters only with Circus's plugin Flapping, which is not in this file"
                draft.table("service", name).kept(option, what)


def _class(section: Section) -> str:
    return section.value("use").strip().rpartition(".")[2]


def _convert(draft: Draft, section: Section, overrides: Overrides) -> None:
    name, top = _class(section), draft.project
    active, priority = section.get("active"), section.get("priority")
    if active and (name in _SHIPPED or name == "Flapping"):
        if _is_off(top, active):
            for option in section.options:
                top.kept(option, "was switched off")
            return
        top.kept(active, "was on anyway")
    if priority:
        top.kept(priority, "plugins start with the services, and see every event from the start")
    if name == "Flapping":
        _flapping(draft, section, overrides)
    elif name in _SHIPPED:
        _SHIPPED[name](draft, section)
    else:
        _foreign(draft, section)


def _is_off(target: Target, active: Option) -> bool:
    on = target.is_on(active)
    return not on and str(active.value).strip().lower() in ("false", "no", "off", "0", "n", "f")


def _plugin(
    draft: Draft, section: Section, use: str, options: Mapping[str, Any], name: str = ""
) -> Target:
    """[plugin.NAME] with `use`, and with Circus's defaults as `options`."""
    target = draft.named("plugin", section.named(name or section.label or use))
    target.set("use", use, section.get("use"))
    if options:
        target.set("options", dict(options))
    return target


def _apply(target: Target, section: Section, table: str, differs: str) -> None:
    apply_rules(section.without("use", "priority", "active"), TABLES[table], target)
    _note_use(target, section, differs)


def _note_use(target: Target, section: Section, differs: str) -> None:
    if use := section.get("use"):
        target.changed(use, f'became use = "{target.get("use")}": {differs}')


# ── flapping ──────────────────────────────────────────────────────────────────────────────────
def _overrides(draft: Draft, sections: Sequence[Section]) -> dict[str, list[Option]]:
    found: dict[str, list[Option]] = {}
    for section in sections:
        options = [
            replace(o, name=o.name.removeprefix("flapping."), section=f"{o.section} flapping.")
            for o in section.options
            if section.kind == "watcher" and o.name.startswith("flapping.")
        ]
        service = draft.service_from(section.label)
        if options and service is not None:
            found[service.name] = options
    return found


def _flapping(draft: Draft, section: Section, overrides: Overrides) -> None:
    """The restart policy of each service, with what its watcher says of its own."""
    general = section.without("use", "priority", "active")
    for service in draft.services():
        own = overrides.get(service.name, [])
        active = [option for option in own if option.name == "active"]
        if active and _is_off(service, active[0]):
            for option in own:
                service.kept(option, "restart of this service stays as it is")
            continue
        given = {option.name for option in own}
        options = [*(o for o in general if o.name not in given), *own]
        apply_rules(options, TABLES["flapping"], service)
        service.defaults(
            {"restart.attempts": 1, "restart.window": "1s", "restart.max_delay": "7s"}  # Circus's
        )
    if use := section.get("use"):
        draft.project.changed(
            use,
            "became [service.NAME.restart]: processes are restarted with growing pauses, and after "
            "too many restarts in the window only every max_delay",
        )


# ── the others that Circus brings ─────────────────────────────────────────────────────────────
def _resources(draft: Draft, section: Section) -> None:
    watcher = section.value("watcher") or section.value("service")
    service = draft.service_from(watcher)
    if service is None:
        for option in section.options:
            draft.project.lost(option, f"watches {watcher!r}, which is not there", "name a watcher")
        return
    options = {"services": [service.name], "max_cpu": 90.0}
    target = _plugin(draft, section, "resources", options)
    _apply(
        target,
        section,
        "resources",
        "each process has its bounds and its window; a bound for memory is a size, and without "
        "max_mem there is none (Circus: 90 % of the machine's)",
    )
    window = duration(_above_zero(section, "loop_rate", 60) * _above_zero(section, "max_count", 3))
    target.values["options"] |= {"window": window, "action": "restart", "pause": window}


def _above_zero(section: Section, name: str, default: float) -> float:
    try:
        found = number(section.value(name) or default)
    except ValueError:
        return default
    return found if found > 0 else default


def _http(draft: Draft, section: Section) -> None:
    options = {"url": "http://localhost/", "interval": "60s", "timeout": "10s", "failures": 1}
    target = _plugin(draft, section, "http", options)
    restart = section.get("restart_on_error")
    also = ""
    if restart is not None and restart.value:
        service = draft.service_from(str(restart.value))
        if service is None:
            target.lost(restart, "names a watcher that is not there", "set options.service")
        else:
            target.values["options"] |= {"service": service.name, "action": "restart"}
            also = " too"
    _apply(target, section, "http", f"a failure is an event{also}, plugin.message, for alerts")


def _statsd(draft: Draft, section: Section) -> None:
    target = _plugin(draft, section, "statsd", {"prefix": "circus.app.watcher"})
    if _class(section) == "FullStats":
        target.set("options.interval", "60s")
    _apply(target, section, "statsd", "counts events and sends gauges under Chapiteau's names")


def _reloader(draft: Draft, section: Section) -> None:
    apply_rules(section.without("use", "priority", "active"), TABLES["reloader"], draft.project)
    use = section.get("use")
    if use is not None:
        draft.project.changed(use, "became [service.NAME.watch]: a change reloads the service")
    for service in draft.services():
        command = service.get("command") or ""
        words = shlex.split(command) if isinstance(command, str) else command
        files = [w for w in words[:1] if "/" in w] + [w for w in words[1:] if _SCRIPT.fullmatch(w)]
        if files:
            service.set("watch.paths", files, use)
        elif use is not None:
            what = f"{service.name}: its program is found by PATH, and is not watched"
            service.lost(use, what, "name its file in watch.paths")


def _watchdog(draft: Draft, section: Section) -> None:
    target = _plugin(draft, section, "watchdog", {})
    _apply(target, section, "watchdog", "only the silent process is replaced")
    chosen = section.get("watchers_regex")
    if chosen is None or str(chosen.value) == ".*":
        return
    with target.reading(chosen):
        try:
            pattern = re.compile(str(chosen.value))
        except (re.error, OverflowError, RecursionError) as exc:
            raise ValueError(f"{chosen.value!r} is not a regular expression: {exc}") from None
        services = [(s.name, str(draft.origins[s.path].value)) for s in draft.services()]
        names = [name for name, watcher in services if pattern.match(watcher)]
        target.set("options.services", names, chosen)


def _redis(draft: Draft, section: Section) -> None:
    restart = section.get("restart_on_timeout")
    service = draft.service_from(str(restart.value)) if restart else None
    if service is None:
        for option in section.without("priority"):
            draft.project.lost(
                option,
                "sent the figures of Redis to statsd, and restarted nothing",
                "let a service with schedule = '@every 1m' send what redis-cli INFO prints",
            )
        return
    url = literal(section.value("redis_url") or "redis://localhost:6379/0")
    ping = shlex.join(["redis-cli", "-u", url, "ping"])
    service.set("live", {"exec": ping, "failures": 1, "timeout": "5s", "interval": "60s"})
    apply_rules(section.without("use", "priority", "active"), TABLES["redis"], service)
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
def _foreign(draft: Draft, section: Section) -> None:
    """It runs on as a service: circus-plugin, which talks to the bridge."""
    use = section.get("use")
    if use is None or not use.value:
        for option in section.options:
            draft.project.lost(option, "belongs to a plugin without `use`", "name its class")
        return
    given = section.without("use", "priority")
    argv = ["circus-plugin", "--endpoint", f"{_BRIDGE}/ctrl", "--pubsub", f"{_BRIDGE}/pubsub"]
    if given:
        argv += ["--config", ":::".join(f"{o.name}:{o.value}" for o in given)]
    target = draft.named("service", section.named(section.label))
    target.set("command", [literal(word) for word in [*argv, str(use.value)]], use)
    for option in given:
        target.kept(option, "--config in command")
    target.changed(
        use,
        "is a plugin written for Circus: it runs as a service, and talks to [plugin.circus]",
        "pip install 'chapiteau[circus]' circus; docs/how-to/plugins.md: how to write it anew",
    )
    plugins = draft.tables.get("plugin", {}).values()
    if not any(plugin.get("use") == "circus" for plugin in plugins):
        bridge = section.named("circus", "use")
        draft.named("plugin", bridge).set("use", "circus", bridge)
