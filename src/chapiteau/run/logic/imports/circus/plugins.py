"""[plugin:NAME]: those that Circus brings have equals; a user's own can't be translated."""

from typing import Final

from chapiteau.run.logic.imports.draft import Draft, Target
from chapiteau.run.logic.imports.reading.ini import Section
from chapiteau.run.logic.imports.reading.source import Option
from chapiteau.run.logic.imports.reading.values import integer, seconds, size_text
from chapiteau.run.logic.imports.rules import Rule, apply, for_each, keep, lose, same

__all__ = ["FLAPPING", "PLUGINS", "take_flapping", "take_plugin"]

PLUGINS: Final = {
    "Flapping": "restart of every service",
    "ResourceWatcher": "limits.memory_soft",
    "StatsdEmitter": '[plugin.NAME] use = "statsd", or /metrics (OpenMetrics)',
    "FullStats": '[plugin.NAME] use = "statsd", or /metrics (OpenMetrics)',
    "HttpObserver": "live.http",
    "RedisObserver": "a `live` check with exec",
    "CommandReloader": '[plugin.NAME] use = "reloader", or watch',
    "WatchDog": '[plugin.NAME] use = "watchdog", or watchdog (WATCHDOG=1)',
}


def _gave_up(option: Option, target: Target) -> None:
    """-1: nothing to write; a number is **lost**: it is tried again every `restart.max_delay`"""
    if integer(option.value) < 0:
        target.kept(option, "it is tried again for ever")
    else:
        target.lost(
            option,
            "gave up for good after so many rounds; Chapiteau goes on trying every max_delay",
            'restart.after_give_up = "stay-down" gives up after the first round',
        )


FLAPPING: Final[dict[str, Rule]] = {
    "attempts": keep("restart.attempts", integer),
    "window": keep("restart.window", seconds),
    "retry_in": keep("restart.max_delay", seconds),
    "max_retry": _gave_up,
    "active": same("restarts are always counted"),
}


def take_flapping(target: Target, options: list[Option]) -> None:
    """flapping.* of one watcher."""
    parts = [
        Option(
            name=o.name.removeprefix("flapping."),
            value=o.value,
            where=o.where,
            section=f"{o.section} flapping.",
        )
        for o in options
    ]
    apply(parts, FLAPPING, target)
    _bound_delay(target)


def _bound_delay(target: Target) -> None:
    """`delay` may not be longer than `max_delay`: a pause of 0 would be refused."""
    if target.get("restart.max_delay") in ("0s", "0ms"):
        target.set("restart.delay", "0s")


def take_plugin(draft: Draft, section: Section) -> None:
    """A plugin of Circus itself, or one of the user's."""
    use = section.value("use")
    name = use.rpartition(".")[2]
    options = [o for o in section.options if o.name not in ("use", "priority")]
    top = draft.table("project")
    if name == "Flapping":
        _flapping(draft, section, options)
    elif name == "ResourceWatcher":
        _resources(draft, section, options)
    elif name == "HttpObserver":
        _http(draft, section, options)
    elif name in PLUGINS:
        hint = f"use {PLUGINS[name]}"
        for option in [o for o in section.options if o.name != "priority"]:
            top.lost(option, f"belongs to Circus's plugin {name}", hint)
    else:
        for option in [o for o in section.options if o.name != "priority"]:
            top.lost(
                option,
                f"belongs to a plugin written for Circus ({use or 'no class given'})",
                'it runs on unchanged with circus-plugin and [plugin.circus] use = "circus"',
            )
    _order(top, section)


def _order(top: Target, section: Section) -> None:
    if priority := section.get("priority"):
        top.kept(priority, "plugins start before every service")


def _flapping(draft: Draft, section: Section, options: list[Option]) -> None:
    top = draft.table("project")
    given = {o.name: o for o in options}
    active = given.get("active")
    use = section.get("use")
    if active and str(active.value).strip().lower() in ("false", "no", "off", "0"):
        for option in section.options:
            top.kept(option, "was switched off")
        return
    if use:
        top.kept(use, "restart of every service")
    defaults = {"attempts": "2", "window": "1", "retry_in": "7"}
    for name in list(draft.tables.get("service", {})):
        target = draft.table("service", name)
        own = dict(target.get("restart") or {})
        for key, value in defaults.items():
            written = Option(name=key, value=value, where=section.where, section=section.title)
            FLAPPING[key](given.get(key, written), target)
        target.values["restart"] = {**target.values["restart"], **own}
        _bound_delay(target)
    known = for_each("attempts window retry_in active", same("restart of every service"))
    apply(options, {**known, "max_retry": _gave_up}, top)


def _service_named(draft: Draft, name: str) -> Target | None:
    for path, origin in draft.origins.items():
        if path[:1] == ("service",) and len(path) == 2 and str(origin.value) == name:
            return draft.table("service", path[1])
    return None


def _resources(draft: Draft, section: Section, options: list[Option]) -> None:
    watcher = section.value("watcher") or section.value("service")
    target = _service_named(draft, watcher)
    top = draft.table("project")
    if use := section.get("use"):
        top.kept(use, "limits.memory_soft")
    if target is None:
        for option in options:
            top.lost(option, f"watches {watcher!r}, which is not there", "name a watcher")
        return
    rules: dict[str, Rule] = {
        **for_each("watcher service", same("the service that is watched")),
        "max_mem": _max_mem,
        **for_each(
            "max_cpu min_cpu min_mem health_threshold max_count",
            lose(
                "restarted the whole watcher by its CPU, idleness or mean health",
                "limits.cpu bounds it; [service.NAME.scaling] follows the load; live checks health",
            ),
        ),
        **for_each("process_children child_signal", same("memory is that of the whole tree")),
        "loop_rate": same("memory is measured every second"),
    }
    apply(options, rules, target)


def _max_mem(option: Option, target: Target) -> None:
    text = str(option.value).strip()
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if 0 <= share <= 100:
        raise ValueError(f"{text}% of the machine's memory; limits.memory_soft takes a size")
    target.set("limits.memory_soft", size_text(text), option)
    target.changed(
        option, "one process is replaced gently when it is above, not the whole watcher restarted"
    )


def _http(draft: Draft, section: Section, options: list[Option]) -> None:
    target = _service_named(draft, section.value("restart_on_error"))
    top = draft.table("project")
    if target is None:
        for option in section.options:
            top.lost(
                option,
                "pinged an address without restarting anything",
                "add live = { http = URL } to the service that answers there",
            )
        return
    if use := section.get("use"):
        top.kept(use, "live.http")
    target.set("live.failures", 1)
    rules: dict[str, Rule] = {
        "check_url": keep("live.http"),
        "timeout": keep("live.timeout", seconds),
        "loop_rate": keep("live.interval", seconds),
        "restart_on_error": same("the service with the live check"),
    }
    apply(options, rules, target)
    if not target.get("live.http"):
        target.set("live.http", "http://localhost/")
    if target.get("live.timeout") is None:
        target.set("live.timeout", "10s")
    if target.get("live.interval") is None:
        target.set("live.interval", "60s")
