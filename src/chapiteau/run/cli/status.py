"""`chapiteau status`: what runs, and what is wrong."""

import click

from chapiteau.run.cli.options import config_option, json_option, service_names
from chapiteau.run.cli.show_status import show_status

__all__ = ["status"]


@click.command("status")
@click.argument("names", nargs=-1, shell_complete=service_names)
@config_option
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "brief", "json", "name"]),
    default="table",
    help="wide: every process. brief: name, state, ready and pids between tabs, the quickest. "
    "name: names alone.",
)
def status(names: tuple[str, ...], config: str | None, json_wanted: bool, output: str) -> None:
    """What runs, and what is wrong.

    \b
    chapiteau status              problems, then one line per service
    chapiteau status -o wide      … and one per process
    chapiteau status -o brief     for scripts: name, state, ready/wanted, pids
    chapiteau status --json 'web*'
    """
    show_status(names, config, json_wanted, output)
