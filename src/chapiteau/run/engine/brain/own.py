"""Services of Chapiteau's own that run beside those of the configuration."""

import sys
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.fields import read
from chapiteau.plumbing.project import read_project
from chapiteau.run.logic.spec import Service

__all__ = ["DASHBOARD", "own_services"]

DASHBOARD: Final = "dashboard"


def own_services(config: Path) -> dict[str, Service]:
    """The dashboard, when [dash] enables it. A process of its own: its faults stay there."""
    try:
        enabled = read_project(config).section("dash").get("enable", False)
    except ChapiteauError:
        return {}  # the file is being edited: what runs is told by the keeper
    if enabled is not True:
        return {}
    words = [sys.executable, "-P", "-m", "chapiteau", "dash", "serve", "--config", str(config)]
    made, problems = read(
        Service,
        {
            "command": words,
            "ready": {"notify": True},
            "restart": {"delay": "1s", "max_delay": "30s"},
            "stop_timeout": "3s",
        },
    )
    if made is None:
        raise AssertionError(f"our own settings must be right: {problems}")
    return {DASHBOARD: made}
