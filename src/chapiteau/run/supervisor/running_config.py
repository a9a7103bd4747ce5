"""The configuration that runs: the file as it was applied, and what was set at run time on top.

Kept beside the file that people edit, so that a later brain does not follow one being edited.
"""

import contextlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chapiteau.core.errors import ChapiteauError
from chapiteau.core.fields import read
from chapiteau.io.files import write_atomic
from chapiteau.io.locate_config import may_define
from chapiteau.io.project_file import read_project
from chapiteau.run.config.load import plain_values
from chapiteau.run.config.overrides import Overrides, with_overrides
from chapiteau.run.config.spec import Logs, Plugin, Service, Spec
from chapiteau.run.process.environment import secret_variables

__all__ = [
    "DASHBOARD",
    "NODE",
    "RunningConfig",
    "forget_running_config",
    "internal_services",
    "plugin_service",
    "read_running_config",
]


# Services of Chapiteau's own that run beside those of the configuration.

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


_FILE: Final = "applied.json"
_SET: Final = "set"  # beside the sections: what was changed at run time


class RunningConfig:
    """`base` as the file has it, `overrides` on top of it, `spec` what both make."""

    def __init__(
        self, path: Path, run_dir: Path, base: Spec, overrides: Overrides | None = None
    ) -> None:
        self.path, self.run_dir = path, run_dir
        self.folder = path.parent
        self.base = self.spec = base
        self.overrides: Overrides = {}
        self.generation = 1
        self._secret: tuple[Spec, frozenset[str]] | None = None
        if overrides:
            spec, problems = with_overrides(base, overrides)
            if spec is not None and not problems:  # else nothing of it: it no longer fits
                self.spec, self.overrides = spec, overrides

    def use(self, spec: Spec) -> None:
        """Follow this one from now on; `commit` keeps it."""
        self.spec = spec

    def commit(self, base: Spec, overrides: Overrides, *, applied: bool = False) -> None:
        """What runs is this file with these overrides; `applied`: it is a new file."""
        self.base, self.overrides = base, overrides
        self.generation += applied
        self.save()

    def save(self) -> None:
        """Keep it for later brains."""
        plain = plain_values(self.base) | ({_SET: self.overrides} if self.overrides else {})
        data = json.dumps(plain, separators=(",", ":")).encode()
        with contextlib.suppress(OSError):
            write_atomic(self.run_dir / _FILE, data, mode=0o600)

    def withheld(self, name: str) -> frozenset[str]:
        """The variables that hold somebody's secret: nothing for our own services and plugins,
        which read their own secrets from there."""
        if name not in self.spec.service:
            return frozenset()
        if self._secret is None or self._secret[0] is not self.spec:
            self._secret = self.spec, secret_variables(self.spec.service.values())
        return self._secret[1]

    def log_rule(self, name: str) -> Logs:
        """[log] of a service."""
        service = self.spec.service.get(name)
        return (service.log if service is not None else None) or self.spec.log


def read_running_config(run_dir: Path) -> tuple[Spec, Overrides] | None:
    """(base, overrides) of the brain before; None when they can't be read."""
    try:
        raw = json.loads((run_dir / _FILE).read_text())
        overrides = {name: dict(own) for name, own in raw.pop(_SET, {}).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    spec, problems = read(Spec, raw)
    return (spec, overrides) if spec is not None and not problems else None


def forget_running_config(run_dir: Path) -> None:
    """It is of an earlier supervisor."""
    with contextlib.suppress(OSError):
        (run_dir / _FILE).unlink()
