"""A systemd unit for a project, as text."""

import re
from dataclasses import dataclass
from typing import Final

__all__ = ["UnitFacts", "systemd_unit"]

_PLAIN: Final = re.compile(r"[\w./:@%+=,-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFacts:
    """What the unit must know of the project and the machine."""

    project: str
    config: str  # absolute path
    folder: str
    program: str  # absolute path of the `chapiteau` command
    stop_deadline: float  # seconds
    user: str = ""
    for_user: bool = False  # a unit of `systemctl --user`


def systemd_unit(facts: UnitFacts) -> str:
    """The unit: systemd starts the keeper itself and hears from it when all is ready.

    KillMode=mixed: only the keeper gets TERM, and ends everything in its own order; systemd kills
    what would be left. Delegate=yes gives us a cgroup for each service.
    """
    command = f"{_quoted(facts.program)} run daemon --config {_quoted(facts.config)}"
    apply = f"{_quoted(facts.program)} run apply --config {_quoted(facts.config)}"
    lines = [
        f"# Made by `chapiteau run unit` for {_one_line(facts.project)}.",
        "[Unit]",
        f"Description={_escaped(facts.project)} (Chapiteau)",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={command}",
        f"ExecReload={apply}",
        f"WorkingDirectory={_escaped(facts.folder)}",
        *([f"User={facts.user}"] if facts.user and not facts.for_user else []),
        "KillMode=mixed",
        f"TimeoutStopSec={facts.stop_deadline + 10:g}",
        "TimeoutStartSec=300",
        "Restart=on-failure",
        "RestartSec=1",
        "Delegate=yes",
        "LimitNOFILE=1048576",
        "OOMScoreAdjust=-500",
        "",
        "[Install]",
        f"WantedBy={'default' if facts.for_user else 'multi-user'}.target",
    ]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    return _one_line(text).replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command line (systemd.service(5), Command lines)."""
    safe = word.replace("%", "%%").replace("$", "$$")
    if _PLAIN.fullmatch(safe):
        return safe
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"') + '"'
