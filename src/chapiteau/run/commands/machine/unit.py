"""`chapiteau run unit`: a systemd unit for this project."""

import getpass
import shutil
import sys
from pathlib import Path

import click

from chapiteau.core.errors import RefusedError
from chapiteau.io.project_file import find_config
from chapiteau.run.commands.options import config_option, say
from chapiteau.run.logic.written.unit import UnitFacts, systemd_unit

__all__ = ["command"]


@click.command("unit")
@config_option
@click.option("--user", default="", help="Run as this user. Default: root's units as root.")
@click.option("--for-user", is_flag=True, help="For `systemctl --user`.")
@click.option("-o", "--output", metavar="FILE", help="Write it here instead of printing it.")
def command(config: str | None, user: str, for_user: bool, output: str | None) -> None:
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
    say(f"written: {output}\nnow: systemctl {scope}daemon-reload && "
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
