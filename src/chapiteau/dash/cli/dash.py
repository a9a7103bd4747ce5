"""`chapiteau dash serve | url | user`."""

import json
import sys
from pathlib import Path

import click

from chapiteau.core.errors import NotFoundError, UsageError
from chapiteau.dash.cli.options import CONFIG, JSON, audit, open_store, print_rows, run_server
from chapiteau.dash.errors import HubGoneError
from chapiteau.io.console import print_json

__all__ = ["group", "serve", "url", "user"]


# `chapiteau dash user add | remove | list`.

_SHORTEST = 10


@click.group()
def user() -> None:
    """Who may log in to the dashboard, and what they may do."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    default="viewer",
    show_default=True,
    help="viewer sees, operator also acts, admin may do everything.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@CONFIG
def add(name: str, role: str, password_stdin: bool, config: Path | None) -> None:
    """Add an account, or change its password and role; that ends the sessions it has."""
    from chapiteau.dash.auth.access import Role
    from chapiteau.dash.auth.sessions import hash_password
    from chapiteau.dash.project import read_project
    from chapiteau.io.clock import SystemClock

    project = read_project(config)
    if not name.isprintable() or not name.strip() or len(name) > 64:
        raise UsageError(f"not a name: {name!r}", hint="1 to 64 printable characters")
    password = _password(password_stdin)
    hashed, now = hash_password(password), SystemClock().wall()
    audit(project, "account", name, f"added or changed: {role}")
    with open_store(project) as store:
        is_known = store.account(name) is not None
        store.keep_account(name, int(Role[role.upper()]), hashed, now)
    ended = "; sessions of before have ended" if is_known else ""
    click.echo(f"{name} may log in as {role}{ended}", err=True)


@user.command()
@click.argument("name")
@CONFIG
def remove(name: str, config: Path | None) -> None:
    """Remove an account and end its sessions; an open page closes within seconds."""
    from chapiteau.dash.project import read_project

    project = read_project(config)
    with open_store(project) as store:
        if store.account(name) is None:
            hint = "see chapiteau dash user list"
            raise NotFoundError(f"there is no account {name!r}", hint=hint)
        audit(project, "account", name, "removed")
        store.drop_account(name)


@user.command("list")
@JSON
@CONFIG
def list_users(as_json: bool, config: Path | None) -> None:
    """Every account and its role."""
    from chapiteau.dash.auth.access import Role
    from chapiteau.dash.project import read_project

    with open_store(read_project(config)) as store:
        rows = [(name, Role(role).name.lower()) for name, role in store.accounts()]
    if as_json:
        print_json({"accounts": [{"name": name, "role": role} for name, role in rows]})
    else:
        print_rows(rows, ("NAME", "ROLE"), "no accounts: chapiteau dash user add NAME --role admin")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        raise UsageError("no terminal to ask for a password", hint="pass --password-stdin")
    if len(password) < _SHORTEST:
        raise UsageError(f"a password has {_SHORTEST} characters or more")
    return password


@click.group()
def group() -> None:
    """Run the dashboard: every service, its problems, and buttons to fix them.

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
@JSON
def url(config: Path | None, as_json: bool) -> None:
    """Print a link to the running page; it logs in one browser, once."""
    from chapiteau.dash.project import read_project

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
