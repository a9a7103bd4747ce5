"""The tables of the migration guides, made from the rules that do the work."""

from __future__ import annotations

from collections.abc import Mapping

from chapiteau.run.logic.imports import procfile
from chapiteau.run.logic.imports.circus import plugin_rules as plugins
from chapiteau.run.logic.imports.circus import settings as circus
from chapiteau.run.logic.imports.circus import streams as circus_streams
from chapiteau.run.logic.imports.pm2 import settings as pm2
from chapiteau.run.logic.imports.process_compose import probes, watching
from chapiteau.run.logic.imports.process_compose import settings as compose
from chapiteau.run.logic.imports.rules import Rule, row
from chapiteau.run.logic.imports.supervisord import settings as supervisord
from chapiteau.run.logic.imports.systemd import settings as systemd
from chapiteau.run.logic.imports.systemd import units

# Page → heading → what becomes of each option there.
TABLES: Mapping[str, Mapping[str, Mapping[str, Rule]]] = {
    "circus": {
        "[watcher:NAME]": circus.WATCHER,
        "stdout_stream.* and stderr_stream.*": circus_streams.STREAM,
        "flapping.* and the Flapping plugin": plugins.FLAPPING,
        "The ResourceWatcher plugin": plugins.RESOURCES,
        "The HttpObserver plugin": plugins.HTTP,
        "The StatsdEmitter and FullStats plugins": plugins.STATSD,
        "The CommandReloader plugin": plugins.RELOADER,
        "The WatchDog plugin": plugins.WATCHDOG,
        "The RedisObserver plugin": plugins.REDIS,
        "[socket:NAME]": circus.SOCKET,
        "[circus]": circus.DAEMON,
    },
    "supervisord": {
        "[program:x]": supervisord.PROGRAM,
        "[fcgi-program:x], besides": supervisord.FCGI,
        "[supervisord]": supervisord.DAEMON,
        "Other sections": supervisord.SECTIONS,
    },
    "procfile": {".foreman": procfile.FOREMAN, ".overmind.env": procfile.OVERMIND},
    "pm2": {"An app": pm2.APP},
    "process-compose": {
        "A process": compose.PROCESS,
        "availability": compose.AVAILABILITY,
        "readiness_probe and liveness_probe": probes.PROBE,
        "http_get": probes.HTTP,
        "exec": probes.EXEC,
        "shutdown": compose.SHUTDOWN,
        "schedule": compose.SCHEDULE,
        "watch": watching.WATCH,
        "log_configuration": compose.LOGGER,
        "log_configuration.rotation": compose.ROTATION,
        "The top level": compose.PROJECT,
    },
    "systemd": {
        "[Service]": systemd.SERVICE,
        "[Socket]": units.SOCKET,
        "[Unit]": units.UNIT,
        "[Install]": units.INSTALL,
    },
}


def table(rules: Mapping[str, Rule]) -> str:
    """Markdown rows; options with one fate share a row."""
    fates: dict[str, list[str]] = {}
    for name, rule in rules.items():
        fates.setdefault(row(rule), []).append(f"`{name}`")
    rows = [f"| {' '.join(names)} | {_cell(fate)} |" for fate, names in fates.items()]
    return "\n".join(["| there | in chapiteau.toml |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def tables(page: str) -> str:
    """All tables of a guide, each below its heading."""
    return "\n\n".join(f"### {title}\n\n{table(rules)}" for title, rules in TABLES[page].items())
