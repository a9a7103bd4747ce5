"""Services of Chapiteau's own that run beside those of the configuration."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.fields import read
from chapiteau.io.locate_config import may_define
from chapiteau.io.project_file import read_project
from chapiteau.run.config.spec import Plugin, Service

__all__ = ["DASHBOARD", "NODE", "internal_services", "plugin_service"]

DASHBOARD: Final = "dashboard"
NODE: Final = "node"


def internal_services(
    config: Path, run_dir: Path, plugins: Mapping[str, Plugin] | None = None
) -> dict[str, Service]:
    """The dashboard, when [dash] or [hub] enables it; the agent, when this server joined a hub;
    and every plugin.

    Each is a process of its own: its faults stay there.
    """
    found = {name: plugin_service(config, name, one) for name, one in (plugins or {}).items()}
    if may_define(config, "dash", "hub") and (_enabled(config, "dash") or _enabled(config, "hub")):
        found[DASHBOARD] = _service(config, "dash", "serve")
    if (run_dir / "node" / "hub.json").exists():
        found[NODE] = _service(config, "node", "run")
    return found


def _enabled(config: Path, section: str) -> bool:
    try:
        return read_project(config).section(section).get("enable", False) is True
    except ChapiteauError:
        return False  # the file is being edited: what runs is told by the keeper


def plugin_service(config: Path, name: str, plugin: Plugin) -> Service:
    """The process in which a plugin lives."""
    return _service(config, "run", "plugin", name, labels={"plugin": plugin.use})


def _service(config: Path, *words: str, labels: Mapping[str, str] | None = None) -> Service:
    made, problems = read(
        Service,
        {
            "command": [sys.executable, "-P", "-m", "chapiteau", *words, "--config", str(config)],
            "ready": {"notify": True},
            "restart": {"delay": "1s", "max_delay": "30s"},
            "stop_timeout": "6s",
            "labels": dict(labels or {}),
        },
    )
    if made is None:
        raise AssertionError(f"our own settings must be right: {problems}")
    return made
