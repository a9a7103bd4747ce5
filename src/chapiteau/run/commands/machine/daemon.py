"""`chapiteau run daemon`: become the supervisor in this very process."""

import click

from chapiteau.run.commands.options import config_option, service_names

__all__ = ["command"]


@click.command("daemon")
@click.argument("names", nargs=-1, shell_complete=service_names)
@config_option
def command(names: tuple[str, ...], config: str | None) -> int:
    """Become the supervisor in this process, for systemd and other supervisors above us.

    It tells readiness by sd_notify, stops everything at TERM and follows the changed file at HUP.
    People use `chapiteau up` and `chapiteau up -d`.

    \b
    ExecStart=/srv/shop/.venv/bin/chapiteau run daemon --config /srv/shop/chapiteau.toml
    """
    from chapiteau.run.supervisor.daemon import daemon

    return daemon(names, config)
