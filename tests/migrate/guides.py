"""The tables of the migration guides, made from the rules that do the work."""

from __future__ import annotations

from collections.abc import Mapping

from chapiteau.migrate import procfile
from chapiteau.migrate.circus import plugin_rules as plugins
from chapiteau.migrate.circus import rules as circus
from chapiteau.migrate.circus import streams as circus_streams
from chapiteau.migrate.pm2 import rules as pm2
from chapiteau.migrate.process_compose import probes
from chapiteau.migrate.process_compose import probes as watching
from chapiteau.migrate.process_compose import rules as compose
from chapiteau.migrate.rules import Rule, describe
from chapiteau.migrate.supervisord import rules as supervisord
from chapiteau.migrate.systemd import rules as systemd
from chapiteau.migrate.systemd import unit_rules as units

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
        fates.setdefault(describe(rule), []).append(f"`{name}`")
    rows = [f"| {' '.join(names)} | {_cell(fate)} |" for fate, names in fates.items()]
    return "\n".join(["| there | in chapiteau.toml |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def tables(page: str) -> str:
    """All tables of a guide, each below its heading."""
    return "\n\n".join(f"### {title}\n\n{table(rules)}" for title, rules in TABLES[page].items())
