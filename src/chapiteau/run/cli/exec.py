"""`chapiteau run exec`: something by hand, in a service's place."""

import click

from chapiteau.io.project_file import find_config
from chapiteau.run.cli.options import config_option, service_names

__all__ = ["exec_command"]


@click.command("exec", context_settings={"ignore_unknown_options": True})
@click.argument("service", shell_complete=service_names)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@config_option
def exec_command(service: str, words: tuple[str, ...], config: str | None) -> None:
    """Run something in a service's environment, folder, user and limits, on this terminal.

    The supervisor need not run. The exit code is the command's own.

    \b
    chapiteau run exec web -- python manage.py migrate
    chapiteau run exec web -- env
    """
    from chapiteau.run.config.load import load_config
    from chapiteau.run.process.oneoff import run_oneoff

    run_oneoff(load_config(find_config(config)), service, words)
