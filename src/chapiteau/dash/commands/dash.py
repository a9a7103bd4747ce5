"""`chapiteau dash serve | url | user`."""

import json
from pathlib import Path

import click

from chapiteau.dash.commands.options import CONFIG
from chapiteau.dash.commands.serving import run_server
from chapiteau.dash.commands.users import user
from chapiteau.dash.errors import HubGoneError
from chapiteau.plumbing.console import print_json

__all__ = ["group", "serve", "url"]


@click.group()
def group() -> None:
    """The page in the browser: every service, what is wrong, and the buttons that cure it.

    \b
    chapiteau dash serve          start it (the supervisor does, with [dash] enable = true)
    chapiteau dash url            a link that logs you in, once
    """


group.add_command(user)


@group.command()
@CONFIG
@click.option("--bind", metavar="HOST:PORT", help="Listen here instead of where [dash] says.")
def serve(config: Path | None, bind: str | None) -> None:
    """Serve the page until stopped."""
    run_server(config, bind, with_hub=False)


@group.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def url(config: Path | None, as_json: bool) -> None:
    """Print a link to the running page; it logs in one browser, once."""
    from chapiteau.dash.engine.project import read_project

    project = read_project(config)
    try:
        told = json.loads(project.address_file.read_text())
    except (OSError, ValueError):
        raise HubGoneError(
            f"no dashboard runs for {project.config}",
            hint="start one: chapiteau dash serve, or set [dash] enable = true",
        ) from None
    if as_json:
        print_json(told)
    else:
        click.echo(told["url"])
