"""A systemd unit for a project, as text."""

import getpass
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from chapiteau.core.errors import RefusedError
from chapiteau.io.project_file import find_config
from chapiteau.run.cli.options import config_option, message

__all__ = ["UnitFacts", "systemd_unit", "unit"]

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


# `chapiteau run unit`: a systemd unit for this project.


@click.command("unit")
@config_option
@click.option("--user", default="", help="Run as this user. Default: root's units as root.")
@click.option("--for-user", is_flag=True, help="For `systemctl --user`.")
@click.option("-o", "--output", metavar="FILE", help="Write it here instead of printing it.")
def unit(config: str | None, user: str, for_user: bool, output: str | None) -> None:
    """A systemd unit for this project (Type=notify): it starts at boot and survives updates.

    \b
    chapiteau run unit                                       look at it
    chapiteau run unit -o /etc/systemd/system/shop.service   then: systemctl enable --now shop
    chapiteau run unit --for-user -o ~/.config/systemd/user/shop.service
    """
    from chapiteau.run.config.load import load_config

    found = load_config(find_config(config))
    text = systemd_unit(
        UnitFacts(
            project=found.spec.project.name,
            config=str(found.path),
            folder=str(found.path.parent),
            program=_program(),
            stop_deadline=found.spec.project.stop_deadline,
            user=user,
            for_user=for_user,
        )
    )
    if output is None:
        click.echo(text, nl=False)
        return
    _write(Path(output).expanduser(), text)
    scope = "--user " if for_user else ""
    message(f"written: {output}\nnow: systemctl {scope}daemon-reload && "
        f"systemctl {scope}enable --now {Path(output).stem}")  # fmt: skip


def _program() -> str:
    """The command that runs now, by its absolute path: systemd knows no PATH of ours."""
    beside = Path(sys.executable).with_name("chapiteau")
    return str(beside) if beside.exists() else shutil.which("chapiteau") or str(beside)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as exc:
        raise RefusedError(
            f"{path}: {exc.strerror}", hint=f"{getpass.getuser()} may not write there; try sudo"
        ) from exc
