"""The tables of the migration guides, made from those that do the work."""

from __future__ import annotations

from collections.abc import Mapping

from chapiteau.migrate.circus.rules import TABLES as CIRCUS
from chapiteau.migrate.pm2.rules import TABLES as PM2
from chapiteau.migrate.process_compose.rules import TABLES as COMPOSE
from chapiteau.migrate.procfile.importer import TABLES as PROCFILE
from chapiteau.migrate.rules import Table
from chapiteau.migrate.supervisord.rules import TABLES as SUPERVISORD
from chapiteau.migrate.systemd.rules import TABLES as SYSTEMD

# Page → heading → what becomes of each option there.
TABLES: Mapping[str, Mapping[str, Table]] = {
    "circus": {
        "[watcher:NAME]": CIRCUS["watcher"],
        "stdout_stream.* and stderr_stream.*": CIRCUS["stream"],
        "flapping.* and the Flapping plugin": CIRCUS["flapping"],
        "The ResourceWatcher plugin": CIRCUS["resources"],
        "The HttpObserver plugin": CIRCUS["http"],
        "The StatsdEmitter and FullStats plugins": CIRCUS["statsd"],
        "The CommandReloader plugin": CIRCUS["reloader"],
        "The WatchDog plugin": CIRCUS["watchdog"],
        "The RedisObserver plugin": CIRCUS["redis"],
        "[socket:NAME]": CIRCUS["socket"],
        "[circus]": CIRCUS["circus"],
    },
    "supervisord": {
        "[program:x]": SUPERVISORD["program"],
        "[fcgi-program:x], in addition": SUPERVISORD["fcgi-program"],
        **{
            f"[{section}]": SUPERVISORD[section]
            for section in (
                "supervisord", "unix_http_server", "inet_http_server", "supervisorctl",
                "rpcinterface", "ctlplugin",
            )
        },
    },
    "procfile": {
        ".foreman": PROCFILE["foreman"],
        ".overmind.env": PROCFILE["overmind"],
    },
    "pm2": {"An app": PM2["app"]},
    "process-compose": {
        "A process": COMPOSE["process"],
        "availability": COMPOSE["availability"],
        "readiness_probe and liveness_probe": COMPOSE["readiness_probe"],
        "http_get": COMPOSE["http_get"],
        "exec": COMPOSE["exec"],
        "shutdown": COMPOSE["shutdown"],
        "schedule": COMPOSE["schedule"],
        "watch": COMPOSE["watch"],
        "log_configuration": COMPOSE["log_configuration"],
        "log_configuration.rotation": COMPOSE["rotation"],
        "The top level": COMPOSE["project"],
    },
    "systemd": {f"[{section}]": SYSTEMD[section] for section in SYSTEMD},
}  # fmt: skip


def table(rules: Table) -> str:
    """Markdown rows; options with one fate share a row."""
    fates: dict[str, list[str]] = {}
    for name, rule in rules.items():
        fates.setdefault(rule.description, []).append(f"`{name}`")
    rows = [f"| {' '.join(names)} | {_cell(fate)} |" for fate, names in fates.items()]
    return "\n".join(["| there | in chapiteau.toml |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")


def tables(page: str) -> str:
    """All tables of a guide, each below its heading."""
    return "\n\n".join(f"### {title}\n\n{table(rules)}" for title, rules in TABLES[page].items())
